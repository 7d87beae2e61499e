/* What driver tests share, and that a pattern tells places and versions apart. */
#include "unit/drivers/openers.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "drivers/filedisk.h"
#include "drivers/ramdisk.h"
#include "harness/runner.h"

struct disk *new_ram(uint64_t size_bytes)
{
	struct ramdisk_config ram = {.size_bytes = size_bytes};
	struct disk *disk;

	ck_assert_int_eq(ramdisk_open(&ram, &(struct disk_config){.name = "ram"}, NULL, &disk), 0);
	return disk;
}

struct disk *new_file(uint64_t size_bytes, enum file_style style)
{
	struct disk_config config = {.name = "image"};
	struct filedisk_config file = {.is_read_only = false};
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct disk *disk;
	char why[200];

	config.is_inline = style == FILE_INLINE;
	if (style == FILE_NARROW) {
		config.queue_depth_max = 2;
		config.nr_workers = 1;
	}
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	ck_assert_msg(filedisk_open_fd(fd, &file, &config, &disk, why, sizeof(why)) == 0, "%s", why);
	return disk;
}

const char *new_path(char *path, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	ck_assert_int_lt(snprintf(path, size, "%s/extant-drivers-XXXXXX", tmp ? tmp : P_tmpdir), (int)size - 8);
	ck_assert_ptr_nonnull(mkdtemp(path));
	strcat(path, "/file");
	return path;
}

void remove_path(const char *path)
{
	char dir[300];

	unlink(path);
	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	rmdir(dir);
}

static void fill_pattern(unsigned char *bytes, uint64_t offset, uint32_t len, uint32_t version)
{
	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t word = (uint32_t)((offset + i) / 4) * 2654435761u ^ version * 40503u;

		memcpy(bytes + i, &word, sizeof(word));
	}
}

void put_pattern(struct disk *disk, uint64_t offset, uint32_t len, uint32_t version)
{
	unsigned char *bytes = malloc(len);

	fill_pattern(bytes, offset, len, version);
	ck_assert_int_eq(disk_write(disk, offset, bytes, len, 0), 0);
	free(bytes);
}

void check_pattern(struct disk *disk, uint64_t offset, uint32_t len, uint32_t version)
{
	unsigned char *want = malloc(len), *got = calloc(1, len);

	fill_pattern(want, offset, len, version);
	ck_assert_int_eq(disk_read(disk, offset, got, len), 0);
	ck_assert_mem_eq(got, want, len);
	free(want);
	free(got);
}

void check_zeros(struct disk *disk, uint64_t offset, uint32_t len)
{
	unsigned char *got = malloc(len);
	uint32_t nr_set = 0;

	memset(got, 0x55, len);
	ck_assert_int_eq(disk_read(disk, offset, got, len), 0);
	for (uint32_t i = 0; i < len; i++)
		nr_set += got[i] != 0;
	ck_assert_uint_eq(nr_set, 0);
	free(got);
}

int discard(struct disk *disk, uint64_t offset, uint32_t len)
{
	struct bio bio;

	bio_init(&bio, disk, BIO_DISCARD, 0, offset / 512, 0);
	bio.size_bytes = len;
	return bio_submit_wait(&bio);
}

static void batch_end_io(struct bio *bio)
{
	struct batch *batch = bio->private;

	if (bio->status)
		atomic_fetch_add(&batch->nr_errors, 1);
	atomic_fetch_add(&batch->nr_ended, 1);
	bio_free(bio);
	atomic_fetch_sub(&batch->nr_left, 1);
}

void batch_submit(struct batch *batch, struct disk *disk, enum bio_op op, uint32_t flags,
		  uint64_t offset, void *memory, uint32_t len)
{
	struct bio *bio = bio_alloc(disk, op, flags, offset / 512, 1);

	must(bio);
	must(bio_add(bio, memory, len));
	bio->private = batch;
	bio->end_io = batch_end_io;
	atomic_fetch_add(&batch->nr_left, 1);
	bio_submit(bio);
}

uint32_t batch_wait(struct batch *batch)
{
	while (atomic_load(&batch->nr_left))
		sched_yield();
	return atomic_load(&batch->nr_errors);
}

START_TEST(patterns_tell_places_and_versions_apart)
{
	unsigned char a[512], b[512];

	fill_pattern(a, 0, 512, 1);
	fill_pattern(b, 512, 512, 1);
	ck_assert_mem_ne(a, b, 512);
	fill_pattern(b, 0, 512, 2);
	ck_assert_mem_ne(a, b, 512);
}
END_TEST

TEST_SUITE(drivers_openers)
{
	tcase_add_test(tc, patterns_tell_places_and_versions_apart);
}
