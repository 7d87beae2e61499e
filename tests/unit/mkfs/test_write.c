/*
 * Writing a plan tells when memory runs out, at whichever allocation, and leaks nothing; and an
 * image whose mkfs was interrupted before its end is no file system (W1).
 */
#include "write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "detect.h"
#include "harness/runner.h"
#include "layout/super.h"

#define SIZE_BYTES (8u << 20)

static int fd;
static char path[32];
static struct plan plan;

static void setup(void)
{
	struct mkfs_params p = {.is_ext3 = true, .size_bytes = SIZE_BYTES, .reserved_percent = 5,
				.rev_level = EXT_DYNAMIC_REV, .now = 1};
	char err[256] = "";

	fd = memfd_create("mkfs", 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SIZE_BYTES), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_msg(plan_make(&p, &plan, err, sizeof(err)) == 0, "%s", err);
}

static void teardown(void)
{
	close(fd);
}

/* Opens, writes, closes; returns what the writing said. */
static int write_once(const struct write_options *opt, char *why, size_t why_size)
{
	struct image img;
	int err;

	ck_assert_int_eq(image_open(&img, path, 0), 0);
	ck_assert_int_eq(image_lock(&img), 0);
	err = write_filesystem(&plan, &img, opt);
	snprintf(why, why_size, "%s", img.why);
	ck_assert_int_eq(image_close(&img, false), 0);
	return err;
}

static bool has_super(void)
{
	struct ext_super super;

	ck_assert_int_eq(pread(fd, &super, sizeof(super), EXT_SUPER_OFFSET), sizeof(super));
	return super_has_magic(&super);
}

static void fill_with_rubbish(void)
{
	static char rubbish[1 << 16];

	memset(rubbish, 0xa5, sizeof(rubbish));
	for (off_t at = 0; at < SIZE_BYTES; at += sizeof(rubbish))
		ck_assert_int_eq(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
}

START_TEST(running_out_of_memory_is_told_and_leaves_no_file_system)
{
	struct write_options opt = {.discard = true};
	uint64_t live = mem_live_count();
	char why[256];
	int err = -ENOMEM;
	unsigned n;

	ck_assert_int_eq(write_once(&opt, why, sizeof(why)), 0);
	ck_assert(has_super());
	for (n = 1; err; n++) {
		mem_fail_nth(n, false);
		err = write_once(&opt, why, sizeof(why));
		mem_fail_nth(0, false);
		ck_assert_uint_eq(mem_live_count(), live);
		if (!err)
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_str_eq(why, "out of memory");
		ck_assert_msg(!has_super(), "W1, allocation %u", n);
	}
	ck_assert(has_super());
	ck_assert_uint_gt(n, 4);
}
END_TEST

START_TEST(old_content_makes_no_difference)
{
	struct write_options keep = {.discard = false}, discard = {.discard = true};
	static char first[SIZE_BYTES], second[SIZE_BYTES];
	char why[256];

	ck_assert_int_eq(write_once(&discard, why, sizeof(why)), 0);
	ck_assert_int_eq(pread(fd, first, SIZE_BYTES, 0), SIZE_BYTES);
	fill_with_rubbish();
	ck_assert_int_eq(write_once(&discard, why, sizeof(why)), 0);
	ck_assert_int_eq(pread(fd, second, SIZE_BYTES, 0), SIZE_BYTES);
	ck_assert(memcmp(first, second, SIZE_BYTES) == 0);

	/* Without discard what is free keeps its bytes, the boot block too; what is in use is the same. */
	fill_with_rubbish();
	ck_assert_int_eq(write_once(&keep, why, sizeof(why)), 0);
	ck_assert_int_eq(pread(fd, second, SIZE_BYTES, 0), SIZE_BYTES);
	ck_assert_int_eq((uint8_t)second[0], 0xa5);
	ck_assert(memcmp(first + EXT_SUPER_OFFSET, second + EXT_SUPER_OFFSET,
			 (plan.data_end << plan.geo.block_bits) - EXT_SUPER_OFFSET) == 0);
	ck_assert_int_eq((uint8_t)second[(plan.data_end << plan.geo.block_bits) + 1], 0xa5);
}
END_TEST

START_TEST(magic_numbers_are_found_and_wiped)
{
	struct detected found;
	struct image img;

	ck_assert_int_eq(pwrite(fd, "XFSB", 4, 0), 4);
	ck_assert_int_eq(pwrite(fd, "_BHRfS_M", 8, 0x10040), 8);
	ck_assert_int_eq(image_open(&img, path, 0), 0);
	ck_assert_int_eq(image_lock(&img), 0);
	ck_assert_int_eq(detect(&img, &found), 0);
	ck_assert_str_eq(found.what, "an XFS file system");
	ck_assert_int_eq(detect_wipe(&img), 0);
	ck_assert_int_eq(detect(&img, &found), 0);
	ck_assert_ptr_null(found.what);
	ck_assert_int_eq(image_close(&img, false), 0);
}
END_TEST

TEST_SUITE(mkfs_write)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, running_out_of_memory_is_told_and_leaves_no_file_system);
	tcase_add_test(tc, old_content_makes_no_difference);
	tcase_add_test(tc, magic_numbers_are_found_and_wiped);
}
