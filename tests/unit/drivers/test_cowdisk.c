/*
 * Copy on write. What must hold: the lower disk sees only reads; a sector reads as last written or
 * discarded here, else as below, under random I/O beside a model; memory goes with what is
 * written; reset brings the lower disk's content back; a scratch file takes nobody's data and
 * leaves no name.
 */
#include "drivers/cowdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "drivers/ramdisk.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"
#include "unit/drivers/openers.h"

static const struct disk_config plain = {.name = "cow"};
static char why[300];

static struct disk *cow_on(struct disk *lower, const char *path, bool owns_lower, struct cowdisk **ret_cow)
{
	struct cowdisk_config config = {.path = path, .owns_lower = owns_lower};
	struct disk *disk;

	ck_assert_msg(cowdisk_open(lower, &config, &plain, ret_cow, &disk, why, sizeof(why)) == 0, "%s", why);
	return disk;
}

OPENER(cow_on_ram)
{
	*ret_state = NULL;
	return cow_on(new_ram(size_bytes), NULL, true, NULL);
}

OPENER(cow_on_file)
{
	struct disk *disk;
	char path[300];

	*ret_state = NULL;
	disk = cow_on(new_file(size_bytes, FILE_PLAIN), new_path(path, sizeof(path)), true, NULL);
	remove_path(path);
	return disk;
}

START_TEST(the_lower_disk_sees_only_reads)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake"};
	struct fake_event events[100];
	struct disk *lower, *disk;
	struct fake *fake = fake_open(&fc, &config, &lower);
	size_t nr;

	disk = cow_on(lower, NULL, false, NULL);
	put_pattern(disk, 4096, 8192, 1);
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(discard(disk, 8192, 4096), 0);
	check_zeros(disk, 0, 4096);
	check_pattern(disk, 4096, 4096, 1);
	check_zeros(disk, 8192, 8192);
	disk_close(disk);
	nr = fake_events(fake, events, array_size(events));
	ck_assert_uint_eq(nr, 2);	/* of what is not its own: [0, 4096) and [12288, 16384) */
	for (size_t i = 0; i < nr; i++) {
		ck_assert_int_eq(events[i].op, BIO_READ);
		ck_assert_uint_eq(events[i].size_bytes, 4096);
	}
	disk_close(lower);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_read_only_disk_becomes_writable)
{
	struct ramdisk_config ro = {.size_bytes = 1 << 20, .is_read_only = true};
	struct disk *lower, *disk;

	ck_assert_int_eq(ramdisk_open(&ro, &plain, NULL, &lower), 0);
	disk = cow_on(lower, NULL, true, NULL);
	put_pattern(disk, 1024, 512, 1);
	check_pattern(disk, 1024, 512, 1);
	disk_close(disk);
}
END_TEST

/* Random writes, discards, reads and resets, in sectors, against an array. */
#define MODEL_BYTES (1u << 20)

struct model {
	struct disk *lower, *disk;
	struct cowdisk *cow;
	unsigned char *base, *now;
	struct rand r;
};

static void model_step(struct model *m)
{
	uint32_t sector = (uint32_t)rand_below(&m->r, MODEL_BYTES / 512);
	uint32_t nr = 1 + (uint32_t)rand_below(&m->r, rand_one_in(&m->r, 5) ? 400 : 20);
	uint32_t at = sector * 512, len;
	unsigned char *got;

	len = min(nr * 512, MODEL_BYTES - at);
	switch (rand_below(&m->r, 8)) {
	case 0: case 1: case 2:
		rand_fill(&m->r, m->now + at, len);
		ck_assert_int_eq(disk_write(m->disk, at, m->now + at, len, 0), 0);
		break;
	case 3:
		memset(m->now + at, 0, len);
		ck_assert_int_eq(discard(m->disk, at, len), 0);
		break;
	case 4:
		if (rand_one_in(&m->r, 50)) {
			memcpy(m->now, m->base, MODEL_BYTES);
			cowdisk_reset(m->cow);
		}
		break;
	default:
		got = malloc(len);
		ck_assert_int_eq(disk_read(m->disk, at, got, len), 0);
		ck_assert_mem_eq(got, m->now + at, len);
		free(got);
	}
}

static void run_model(const char *path)
{
	struct model m = {.base = malloc(MODEL_BYTES), .now = malloc(MODEL_BYTES)};
	unsigned char *got = malloc(MODEL_BYTES);

	rand_init(&m.r, test_seed());
	m.lower = new_ram(MODEL_BYTES);
	rand_fill(&m.r, m.base, MODEL_BYTES);
	memcpy(m.now, m.base, MODEL_BYTES);
	ck_assert_int_eq(disk_write(m.lower, 0, m.base, MODEL_BYTES, 0), 0);
	m.disk = cow_on(m.lower, path, false, &m.cow);
	for (int i = 0; i < 4000; i++)
		model_step(&m);
	ck_assert_int_eq(disk_read(m.disk, 0, got, MODEL_BYTES), 0);
	ck_assert_mem_eq(got, m.now, MODEL_BYTES);
	cowdisk_reset(m.cow);
	ck_assert_uint_eq(cowdisk_used_bytes(m.cow), 0);
	ck_assert_int_eq(disk_read(m.disk, 0, got, MODEL_BYTES), 0);
	ck_assert_mem_eq(got, m.base, MODEL_BYTES);
	disk_close(m.disk);
	ck_assert_int_eq(disk_read(m.lower, 0, got, MODEL_BYTES), 0);
	ck_assert_mem_eq(got, m.base, MODEL_BYTES);
	disk_close(m.lower);
	free(m.base);
	free(m.now);
	free(got);
}

START_TEST(content_is_that_of_a_model_in_memory)
{
	run_model(NULL);
}
END_TEST

START_TEST(content_is_that_of_a_model_with_a_scratch_file)
{
	char path[300];

	run_model(new_path(path, sizeof(path)));
	remove_path(path);
}
END_TEST

START_TEST(memory_goes_with_what_is_written_not_with_the_size)
{
	struct disk *lower = new_ram(1ull << 40), *disk;
	uint64_t nr_before = mem_live_count();
	struct cowdisk *cow;

	disk = cow_on(lower, NULL, false, &cow);
	/* The driver's struct, and what a queue always has. */
	ck_assert_uint_le(mem_live_count(), nr_before + 64);
	for (uint64_t i = 0; i < 100; i++)
		put_pattern(disk, i << 33, 4096, 1);
	ck_assert_uint_eq(cowdisk_used_bytes(cow), 100 * 4096);
	/* Each discard is 2 GiB at most by its type; two that touch are one. */
	for (uint64_t i = 0; i < 512; i++)
		ck_assert_int_eq(discard(disk, i << 31, 1u << 31), 0);
	ck_assert_uint_eq(cowdisk_used_bytes(cow), 0);
	ck_assert_uint_le(mem_live_count(), nr_before + 64);
	check_zeros(disk, 1ull << 33, 4096);
	disk_close(disk);
	ck_assert_uint_eq(mem_live_count(), nr_before);
	disk_close(lower);
}
END_TEST

START_TEST(two_on_one_disk_do_not_see_each_other)
{
	struct disk *lower = new_ram(1 << 20), *a, *b;

	put_pattern(lower, 0, 8192, 1);
	a = cow_on(lower, NULL, false, NULL);
	b = cow_on(lower, NULL, false, NULL);
	put_pattern(a, 0, 4096, 2);
	put_pattern(b, 4096, 4096, 3);
	check_pattern(a, 0, 4096, 2);
	check_pattern(a, 4096, 4096, 1);
	check_pattern(b, 0, 4096, 1);
	check_pattern(b, 4096, 4096, 3);
	disk_close(a);
	disk_close(b);
	disk_close(lower);
}
END_TEST

START_TEST(a_scratch_file_that_exists_is_refused_and_kept)
{
	struct disk *lower = new_ram(1 << 20), *disk;
	struct cowdisk_config config = {0};
	char path[300];
	int fd;

	config.path = new_path(path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "dear", 4), 4);
	close(fd);
	ck_assert_int_eq(cowdisk_open(lower, &config, &plain, NULL, &disk, why, sizeof(why)), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why, path));
	ck_assert_int_eq(access(path, F_OK), 0);
	disk_close(lower);
	remove_path(path);
}
END_TEST

START_TEST(a_scratch_file_has_no_name_once_it_is_open)
{
	struct disk *lower = new_ram(1 << 20), *disk;
	char path[300];

	disk = cow_on(lower, new_path(path, sizeof(path)), true, NULL);
	ck_assert_int_ne(access(path, F_OK), 0);
	put_pattern(disk, 0, 4096, 1);
	check_pattern(disk, 0, 4096, 1);
	disk_close(disk);
	remove_path(path);
}
END_TEST

static void drop_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

START_TEST(without_memory_a_write_fails_and_the_rest_stays)
{
	struct disk *lower = new_ram(1 << 20), *disk = cow_on(lower, NULL, true, NULL);
	unsigned char bytes[4096] = {1};

	log_set_sink(drop_line, NULL);
	put_pattern(disk, 65536, 4096, 1);
	mem_fail_nth(1, true);
	ck_assert_int_eq(disk_write(disk, 0, bytes, sizeof(bytes), 0), -EIO);
	mem_fail_nth(0, false);
	check_pattern(disk, 65536, 4096, 1);
	check_zeros(disk, 0, 4096);
	disk_close(disk);
}
END_TEST

START_TEST(a_bad_sector_below_that_was_written_here_is_not_read)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk *lower, *disk;
	struct fake *fake = fake_open(&fc, &plain, &lower);
	unsigned char bytes[4096];

	disk = cow_on(lower, NULL, false, NULL);
	fake_fail(fake, BIO_READ, 1, -EIO);
	put_pattern(disk, 0, 4096, 1);
	check_pattern(disk, 0, 4096, 1);
	ck_assert_int_eq(disk_read(disk, 4096, bytes, 4096), -EIO);
	check_zeros(disk, 4096, 4096);
	disk_close(disk);
	disk_close(lower);
	fake_destroy(fake);
}
END_TEST

TEST_SUITE(drivers_cowdisk)
{
	tcase_add_test(tc, the_lower_disk_sees_only_reads);
	tcase_add_test(tc, a_read_only_disk_becomes_writable);
	tcase_add_test(tc, content_is_that_of_a_model_in_memory);
	tcase_add_test(tc, content_is_that_of_a_model_with_a_scratch_file);
	tcase_add_test(tc, memory_goes_with_what_is_written_not_with_the_size);
	tcase_add_test(tc, two_on_one_disk_do_not_see_each_other);
	tcase_add_test(tc, a_scratch_file_that_exists_is_refused_and_kept);
	tcase_add_test(tc, a_scratch_file_has_no_name_once_it_is_open);
	tcase_add_test(tc, without_memory_a_write_fails_and_the_rest_stays);
	tcase_add_test(tc, a_bad_sector_below_that_was_written_here_is_not_read);
}
