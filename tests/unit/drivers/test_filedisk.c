/*
 * The file driver where files are awkward. What must hold: what cannot be a disk is refused by
 * name; a cut last sector reads as zeros, a cut file gives -EIO; a failed flush is never followed
 * by a good one; read-only changes nothing; two owners are refused; discard frees; the first
 * failure is logged with its place, and only the first.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "drivers/filedisk.h"
#include "harness/runner.h"

static const struct filedisk_config rw = {.is_read_only = false}, ro = {.is_read_only = true};
static const struct disk_config config = {.name = "image"};
static char dir[200], path[300], why[300];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/filedisk-XXXXXX", tmp ? tmp : P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk.img", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void make_image(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static struct disk *open_memfd(off_t size, const struct filedisk_config *fc, int *ret_fd)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct disk *disk;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(filedisk_open_fd(fd, fc, &config, &disk, why, sizeof(why)), 0);
	*ret_fd = fd;
	return disk;
}

/* Log lines, kept. */
static char lines[10][300];
static unsigned nr_lines;

static void keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (nr_lines < array_size(lines))
		snprintf(lines[nr_lines], sizeof(lines[0]), "%s", line);
	nr_lines++;
}

static void check_refused(int want, const char *sentence)
{
	char full[600];
	struct disk *disk = NULL;

	snprintf(full, sizeof(full), "cannot open %s: %s", path, sentence);
	ck_assert_int_eq(filedisk_open(path, &rw, &config, &disk, why, sizeof(why)), want);
	ck_assert_str_eq(why, full);
	ck_assert_ptr_null(disk);
}

START_TEST(what_is_not_there_is_refused_and_not_made)
{
	check_refused(-ENOENT, "No such file or directory");
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(what_cannot_be_a_disk_is_refused_by_name)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
	check_refused(-EISDIR, "it is a directory");
	rmdir(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	check_refused(-EINVAL, "it is a pipe, not a file or block device");
	unlink(path);
	ck_assert_int_eq(mknod(path, S_IFSOCK | 0600, 0), 0);
	check_refused(-EINVAL, "it is a socket, not a file or block device");
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	check_refused(-ENOTBLK, "it is a character device, not a block device");
}
END_TEST

START_TEST(a_descriptor_is_closed_when_it_is_refused)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct disk *disk;

	ck_assert_int_eq(filedisk_open_fd(fd, &ro, &config, &disk, why, sizeof(why)), -EISDIR);
	ck_assert_str_eq(why, "cannot open image: it is a directory");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(a_second_owner_is_refused_readers_share)
{
	const struct filedisk_config rw_lock = {.takes_lock = true},
				     ro_lock = {.takes_lock = true, .is_read_only = true};
	struct disk *first, *second;

	make_image(1 << 20);
	ck_assert_int_eq(filedisk_open(path, &rw_lock, &config, &first, why, sizeof(why)), 0);
	ck_assert_int_eq(filedisk_open(path, &rw_lock, &config, &second, why, sizeof(why)), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, path));
	ck_assert_int_eq(filedisk_open(path, &ro_lock, &config, &second, why, sizeof(why)), -EBUSY);
	disk_close(first);
	ck_assert_int_eq(filedisk_open(path, &ro_lock, &config, &first, why, sizeof(why)), 0);
	ck_assert_int_eq(filedisk_open(path, &ro_lock, &config, &second, why, sizeof(why)), 0);
	disk_close(first);
	disk_close(second);
}
END_TEST

START_TEST(content_outlives_the_disk)
{
	char out[4096], in[4096];
	struct disk *disk;

	make_image(1 << 20);
	memset(out, 'x', sizeof(out));
	ck_assert_int_eq(filedisk_open(path, &rw, &config, &disk, why, sizeof(why)), 0);
	ck_assert_int_eq(disk_write(disk, 8192, out, sizeof(out), 0), 0);
	disk_close(disk);
	ck_assert_int_eq(filedisk_open(path, &ro, &config, &disk, why, sizeof(why)), 0);
	ck_assert_int_eq(disk_read(disk, 8192, in, sizeof(in)), 0);
	ck_assert_mem_eq(in, out, sizeof(in));
	ck_assert_int_eq(disk_write(disk, 0, out, sizeof(out), 0), -EROFS);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
}
END_TEST

START_TEST(a_cut_last_sector_reads_as_zeros_and_a_write_completes_it)
{
	unsigned char memory[1024];
	struct disk *disk;
	struct stat st;
	int fd;

	disk = open_memfd(1000, &rw, &fd);
	ck_assert_uint_eq(disk_limits(disk)->size_bytes, 1024);
	ck_assert_int_eq(pwrite(fd, memset(memory, 'a', 1000), 1000, 0), 1000);
	memset(memory, 0xff, sizeof(memory));
	ck_assert_int_eq(disk_read(disk, 0, memory, 1024), 0);
	for (int i = 0; i < 1024; i++)
		ck_assert_uint_eq(memory[i], i < 1000 ? 'a' : 0);
	ck_assert_int_eq(disk_write(disk, 512, memory, 512, 0), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 1024);
	disk_close(disk);
}
END_TEST

START_TEST(a_file_cut_meanwhile_gives_an_error_and_one_line)
{
	unsigned char memory[1024];
	struct disk *disk;
	int fd;

	log_set_sink(keep_line, NULL);
	disk = open_memfd(8192, &rw, &fd);
	ck_assert_int_eq(ftruncate(fd, 4096 + 512), 0);
	ck_assert_int_eq(disk_read(disk, 4096, memory, 512), 0);
	ck_assert_int_eq(disk_read(disk, 4096, memory, 1024), -EIO);
	ck_assert_int_eq(disk_read(disk, 7680, memory, 512), -EIO);
	ck_assert_uint_eq(nr_lines, 1);
	ck_assert_str_eq(lines[0], "image: read at byte 4608 failed: the file has become shorter");
	disk_close(disk);
}
END_TEST

START_TEST(an_empty_file_is_an_empty_disk)
{
	char memory[512];
	struct disk *disk;

	make_image(0);
	ck_assert_int_eq(filedisk_open(path, &rw, &config, &disk, why, sizeof(why)), 0);
	ck_assert_uint_eq(disk_limits(disk)->size_bytes, 0);
	ck_assert_int_eq(disk_read(disk, 0, memory, 512), -EINVAL);
	disk_close(disk);
}
END_TEST

START_TEST(after_a_failed_flush_nothing_is_called_durable)
{
	char memory[512] = {0};
	struct disk *disk;
	int fd, copy;

	log_set_sink(keep_line, NULL);
	disk = open_memfd(8192, &rw, &fd);
	copy = dup(fd);
	close(fd);	/* the descriptor vanishes: every call on it fails */
	ck_assert_int_eq(disk_flush(disk), -EIO);
	ck_assert_int_eq(dup2(copy, fd), fd);
	close(copy);
	ck_assert_int_eq(disk_flush(disk), -EIO);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, BIO_FUA), -EIO);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, BIO_PREFLUSH), -EIO);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, 0), 0);
	ck_assert_int_eq(disk_read(disk, 0, memory, 512), 0);
	ck_assert_uint_eq(nr_lines, 1);
	ck_assert_str_eq(lines[0], "image: flush failed: Bad file descriptor");
	disk_close(disk);
}
END_TEST

/* A file size limit makes the host write the first part of a request and then refuse. */
START_TEST(a_write_that_the_host_cuts_short_goes_on_and_fails_there)
{
	struct rlimit limit = {.rlim_cur = 70000, .rlim_max = RLIM_INFINITY};
	char *memory = calloc(1, 65536), line[400];
	struct disk *disk;

	log_set_sink(keep_line, NULL);
	signal(SIGXFSZ, SIG_IGN);
	make_image(1 << 20);
	ck_assert_int_eq(filedisk_open(path, &rw, &config, &disk, why, sizeof(why)), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(disk_write(disk, 0, memory, 65536, 0), 0);
	ck_assert_int_eq(disk_write(disk, 65536, memory, 65536, 0), -EIO);
	ck_assert_int_eq(disk_write(disk, 131072, memory, 65536, 0), -EIO);
	ck_assert_uint_eq(nr_lines, 1);
	snprintf(line, sizeof(line), "%s: write at byte 70000 failed: File too large", path);
	ck_assert_str_eq(lines[0], line);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
	free(memory);
}
END_TEST

START_TEST(discard_gives_the_room_back_and_keeps_the_size)
{
	char *memory = malloc(1 << 20);
	struct stat before, after;
	struct disk *disk;
	struct bio bio;
	int fd;

	memset(memory, 'x', 1 << 20);
	disk = open_memfd(1 << 20, &rw, &fd);
	ck_assert_int_eq(disk_write(disk, 0, memory, 1 << 20, 0), 0);
	ck_assert_int_eq(fstat(fd, &before), 0);
	bio_init(&bio, disk, BIO_DISCARD, 0, 128, 0);
	bio.size_bytes = 512 << 10;
	ck_assert_int_eq(bio_submit_wait(&bio), 0);
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_int_eq(before.st_blocks - after.st_blocks, 1024);
	ck_assert_int_eq(disk_read(disk, 0, memory, 65536), 0);
	ck_assert_int_eq(memory[65535], 'x');
	disk_close(disk);
	free(memory);
}
END_TEST

TEST_SUITE(drivers_filedisk)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_not_there_is_refused_and_not_made);
	tcase_add_test(tc, what_cannot_be_a_disk_is_refused_by_name);
	tcase_add_test(tc, a_descriptor_is_closed_when_it_is_refused);
	tcase_add_test(tc, a_second_owner_is_refused_readers_share);
	tcase_add_test(tc, content_outlives_the_disk);
	tcase_add_test(tc, a_cut_last_sector_reads_as_zeros_and_a_write_completes_it);
	tcase_add_test(tc, a_file_cut_meanwhile_gives_an_error_and_one_line);
	tcase_add_test(tc, an_empty_file_is_an_empty_disk);
	tcase_add_test(tc, after_a_failed_flush_nothing_is_called_durable);
	tcase_add_test(tc, a_write_that_the_host_cuts_short_goes_on_and_fails_there);
	tcase_add_test(tc, discard_gives_the_room_back_and_keeps_the_size);
}
