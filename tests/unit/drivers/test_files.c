/*
 * Drivers over files, where files are awkward. What must hold for each: what cannot be a disk is
 * refused by name; content outlives the disk, read-only changes nothing, a second owner is refused; a
 * cut last sector reads as zeros and a write completes it; a file that became shorter gives -EIO
 * and one line; a host that is full does; discard gives room back. Each row of the table is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/filedisk.h"
#include "drivers/mmapdisk.h"
#include "drivers/uringdisk.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

static const struct disk_config config = {.name = "image"};
static char path[300], why[400];

enum mode { RW, RW_LOCK, RO, RO_LOCK };

static int file_open(enum mode mode, struct disk **ret_disk)
{
	struct filedisk_config file = {.is_read_only = mode >= RO, .takes_lock = mode % 2};

	return filedisk_open(path, &file, &config, ret_disk, why, sizeof(why));
}

static int file_direct_open(enum mode mode, struct disk **ret_disk)
{
	struct filedisk_config file = {.is_read_only = mode >= RO, .takes_lock = mode % 2, .is_direct = true};
	int err = filedisk_open(path, &file, &config, ret_disk, why, sizeof(why));

	if (err == -EINVAL && strstr(why, "direct"))
		test_skip(why);
	return err;
}

static int uring_open(enum mode mode, struct disk **ret_disk)
{
	struct uringdisk_config uring = {.is_read_only = mode >= RO, .takes_lock = mode % 2};
	int err = uringdisk_open(path, &uring, &config, NULL, ret_disk, why, sizeof(why));

	if (err == -ENOSYS)
		test_skip(why);
	return err;
}

static int uring_direct_open(enum mode mode, struct disk **ret_disk)
{
	struct uringdisk_config uring = {.is_read_only = mode >= RO, .takes_lock = mode % 2, .is_direct = true};
	int err = uringdisk_open(path, &uring, &config, NULL, ret_disk, why, sizeof(why));

	if (err == -ENOSYS || (err == -EINVAL && strstr(why, "direct")))
		test_skip(why);
	return err;
}

static int mmap_open(enum mode mode, struct disk **ret_disk)
{
	struct mmapdisk_config mmap = {.is_read_only = mode >= RO, .takes_lock = mode % 2};

	return mmapdisk_open(path, &mmap, &config, ret_disk, why, sizeof(why));
}

static const struct {
	const char *name;
	int (*open)(enum mode mode, struct disk **ret_disk);
	bool is_mapped;		/* the host knows of pages only */
} rows[] = {
	{"file", file_open, false},
	{"file, direct", file_direct_open, false},
	{"uring", uring_open, false},
	{"uring, direct", uring_direct_open, false},
	{"mmap", mmap_open, true},
};

static void setup(void)
{
	new_path(path, sizeof(path));
}

static void teardown(void)
{
	remove_path(path);
}

static void make_image(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static struct disk *open_row(int row, enum mode mode)
{
	struct disk *disk;

	ck_assert_msg(rows[row].open(mode, &disk) == 0, "%s: %s", rows[row].name, why);
	return disk;
}

/* Log lines, kept. */
static char line[400];
static unsigned nr_lines;

static void keep_line(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (nr_lines++ == 0)
		snprintf(line, sizeof(line), "%s", text);
}

static void check_refused(int row, int want, const char *sentence)
{
	uint64_t nr_live = mem_live_count();
	struct disk *disk = NULL;
	char full[600];

	snprintf(full, sizeof(full), "cannot open %s: %s", path, sentence);
	ck_assert_int_eq(rows[row].open(RW, &disk), want);
	ck_assert_str_eq(why, full);
	ck_assert_ptr_null(disk);
	ck_assert_uint_eq(mem_live_count(), nr_live);
}

START_TEST(what_cannot_be_a_disk_is_refused_by_name)
{
	check_refused(_i, -ENOENT, "No such file or directory");
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	check_refused(_i, -EISDIR, "it is a directory");
	rmdir(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	check_refused(_i, -EINVAL, "it is a pipe, not a file or block device");
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	check_refused(_i, -ENOTBLK, "it is a character device, not a block device");
}
END_TEST

START_TEST(a_second_owner_is_refused_readers_share)
{
	struct disk *first, *second;

	make_image(1 << 20);
	first = open_row(_i, RW_LOCK);
	ck_assert_int_eq(rows[_i].open(RW_LOCK, &second), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, path));
	ck_assert_int_eq(rows[_i].open(RO_LOCK, &second), -EBUSY);
	disk_close(first);
	first = open_row(_i, RO_LOCK);
	second = open_row(_i, RO_LOCK);
	disk_close(first);
	disk_close(second);
}
END_TEST

START_TEST(content_outlives_the_disk_and_read_only_changes_nothing)
{
	unsigned char bytes[4096] = {0};
	struct disk *disk;

	make_image(1 << 20);
	disk = open_row(_i, RW);
	put_pattern(disk, 8192, 65536, 1);
	disk_close(disk);
	disk = open_row(_i, RO);
	check_pattern(disk, 8192, 65536, 1);
	ck_assert_int_eq(disk_write(disk, 8192, bytes, sizeof(bytes), 0), -EROFS);
	ck_assert_int_eq(discard(disk, 8192, 4096), -EROFS);
	ck_assert_int_eq(disk_flush(disk), 0);
	check_pattern(disk, 8192, 65536, 1);
	disk_close(disk);
}
END_TEST

static off_t size_of_file(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

START_TEST(a_cut_last_block_reads_as_zeros_and_a_write_completes_it)
{
	unsigned char memory[16384];
	uint32_t block, size;
	struct disk *disk;

	make_image(8192 + 1000);
	disk = open_row(_i, RW);
	block = disk_limits(disk)->block_bytes;
	size = (uint32_t)disk_limits(disk)->size_bytes;
	ck_assert_uint_eq(size, round_up(8192u + 1000u, block));
	put_pattern(disk, 0, 8192, 1);
	ck_assert_int_eq(size_of_file(), 8192 + 1000);
	check_zeros(disk, 8192, size - 8192);
	ck_assert_int_eq(disk_read(disk, 0, memory, size), 0);
	for (uint32_t i = 8192; i < size; i++)
		ck_assert_uint_eq(memory[i], 0);
	put_pattern(disk, size - block, block, 2);
	ck_assert_int_eq(size_of_file(), (off_t)size);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
	disk = open_row(_i, RW);
	check_pattern(disk, 0, 8192, 1);
	check_pattern(disk, size - block, block, 2);
	disk_close(disk);
}
END_TEST

START_TEST(a_file_that_became_shorter_gives_an_error_and_one_line)
{
	unsigned char *memory = malloc(65536);
	char want[400];
	struct disk *disk;

	log_set_sink(keep_line, NULL);
	make_image(65536);
	disk = open_row(_i, RW);
	put_pattern(disk, 0, 65536, 1);
	ck_assert_int_eq(truncate(path, 32768), 0);
	check_pattern(disk, 0, 32768, 1);
	ck_assert_int_eq(disk_read(disk, 32768, memory, 4096), -EIO);
	ck_assert_int_eq(disk_read(disk, 0, memory, 65536), -EIO);
	ck_assert_int_eq(disk_read(disk, 61440, memory, 4096), -EIO);
	ck_assert_uint_eq(nr_lines, 1);
	snprintf(want, sizeof(want), "%s: read at byte 32768 failed: the file has become shorter", path);
	ck_assert_str_eq(line, want);
	check_pattern(disk, 0, 32768, 1);
	disk_close(disk);
	free(memory);
}
END_TEST

START_TEST(an_empty_file_is_an_empty_disk)
{
	char memory[4096];
	struct disk *disk;

	make_image(0);
	disk = open_row(_i, RW);
	ck_assert_uint_eq(disk_limits(disk)->size_bytes, 0);
	ck_assert_int_eq(disk_read(disk, 0, memory, sizeof(memory)), -EINVAL);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
}
END_TEST

/* A file size limit makes the host write the first part of a request and then refuse. */
START_TEST(a_write_that_the_host_cuts_short_goes_on_and_fails_there)
{
	struct rlimit limit = {.rlim_cur = 65536 + 8192, .rlim_max = RLIM_INFINITY};
	unsigned char *memory = NULL;
	struct disk *disk;

	if (rows[_i].is_mapped)
		return;		/* no limit applies to a mapping */
	log_set_sink(keep_line, NULL);
	signal(SIGXFSZ, SIG_IGN);
	make_image(1 << 20);
	disk = open_row(_i, RW);
	ck_assert_int_eq(posix_memalign((void **)&memory, 4096, 65536), 0);
	memset(memory, 1, 65536);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(disk_write(disk, 0, memory, 65536, 0), 0);
	ck_assert_int_eq(disk_write(disk, 65536, memory, 65536, 0), -EIO);
	ck_assert_int_eq(disk_write(disk, 131072, memory, 65536, 0), -EIO);
	ck_assert_uint_eq(nr_lines, 1);
	ck_assert_ptr_nonnull(strstr(line, "write at byte 73728 failed: File too large"));
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
	free(memory);
}
END_TEST

START_TEST(discard_gives_the_room_back_and_keeps_the_size)
{
	struct stat before, after;
	struct disk *disk;

	make_image(1 << 20);
	disk = open_row(_i, RW);
	put_pattern(disk, 0, 1 << 20, 1);
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(stat(path, &before), 0);
	if (discard(disk, 65536, 512 << 10) == -EOPNOTSUPP)
		test_skip("this file system cannot punch holes");
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(after.st_size, before.st_size);
	/* The host may need a block or two to note the hole. */
	ck_assert_int_ge(before.st_blocks - after.st_blocks, 1024 - 64);
	check_pattern(disk, 0, 65536, 1);
	check_zeros(disk, 65536, 512 << 10);
	check_pattern(disk, 65536 + (512 << 10), 65536, 1);
	disk_close(disk);
}
END_TEST

START_TEST(without_memory_opening_fails_and_holds_nothing)
{
	uint64_t nr_live = mem_live_count();
	struct disk *disk;
	int err;

	make_image(65536);
	for (uint64_t n = 1;; n++) {
		mem_fail_nth(n, true);
		err = rows[_i].open(RW_LOCK, &disk);
		mem_fail_nth(0, false);
		if (!err)
			break;
		ck_assert(err == -ENOMEM || err == -EAGAIN);	/* a thread that is not to be had */
		ck_assert_uint_eq(mem_live_count(), nr_live);
	}
	disk_close(disk);
}
END_TEST

/* Slots of the conformance suite lie anywhere in memory: half of them O_DIRECT cannot take. */
OPENER(file_direct)
{
	struct disk *disk;

	*ret_state = NULL;
	setup();
	make_image((off_t)size_bytes);
	ck_assert_msg(file_direct_open(RW, &disk) == 0, "%s", why);
	teardown();
	return disk;
}

TEST_SUITE(drivers_files)
{
	int nr = (int)array_size(rows);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_cannot_be_a_disk_is_refused_by_name, 0, nr);
	tcase_add_loop_test(tc, a_second_owner_is_refused_readers_share, 0, nr);
	tcase_add_loop_test(tc, content_outlives_the_disk_and_read_only_changes_nothing, 0, nr);
	tcase_add_loop_test(tc, a_cut_last_block_reads_as_zeros_and_a_write_completes_it, 0, nr);
	tcase_add_loop_test(tc, a_file_that_became_shorter_gives_an_error_and_one_line, 0, nr);
	tcase_add_loop_test(tc, an_empty_file_is_an_empty_disk, 0, nr);
	tcase_add_loop_test(tc, a_write_that_the_host_cuts_short_goes_on_and_fails_there, 0, nr);
	tcase_add_loop_test(tc, discard_gives_the_room_back_and_keeps_the_size, 0, nr);
	tcase_add_loop_test(tc, without_memory_opening_fails_and_holds_nothing, 0, nr);
}
