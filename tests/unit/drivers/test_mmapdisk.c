/*
 * The mapped disk. What must hold besides what test_files.c asks of every driver over a file: a page
 * that cannot be had is -EIO on every thread, also when many copy at once and the file is cut under
 * them; a SIGBUS that is not ours still ends the process; direct access sees and makes the disk's
 * content, within its bounds.
 */
#include "drivers/mmapdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "drivers/guard.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

static char why[300];

static struct disk *mmap_over(int fd, bool is_read_only)
{
	struct mmapdisk_config config = {.is_read_only = is_read_only};
	struct disk *disk;

	ck_assert_msg(mmapdisk_open_fd(fd, &config, &(struct disk_config){.name = "image"}, &disk, why,
				       sizeof(why)) == 0, "%s", why);
	return disk;
}

static int memfd_of(off_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

OPENER(mmap)
{
	*ret_state = NULL;
	return mmap_over(memfd_of((off_t)size_bytes), false);
}

START_TEST(direct_access_is_the_disks_content)
{
	struct disk *disk = mmap_over(memfd_of(1 << 20), false);
	unsigned char bytes[5000], other[5000];

	put_pattern(disk, 4096, 8192, 1);
	ck_assert_int_eq(disk_map_read(disk, 4096, bytes, sizeof(bytes)), 0);
	ck_assert_mem_eq(disk_map(disk, 4096, sizeof(bytes)), bytes, sizeof(bytes));
	ck_assert_int_eq(disk_map_write(disk, 500000, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(disk_map_read(disk, 500000, other, sizeof(other)), 0);
	ck_assert_mem_eq(bytes, other, sizeof(bytes));
	ck_assert_int_eq(disk_read(disk, 500224, other, 1024), 0);
	ck_assert_mem_eq(bytes + 224, other, 1024);
	disk_close(disk);
}
END_TEST

START_TEST(direct_access_ends_with_the_disk)
{
	struct disk *disk = mmap_over(memfd_of(8192), false);
	unsigned char bytes[512] = {0};

	ck_assert_int_eq(disk_map_read(disk, 8192 - 512, bytes, 512), 0);
	ck_assert_int_eq(disk_map_read(disk, 8192 - 511, bytes, 512), -EINVAL);
	ck_assert_int_eq(disk_map_write(disk, 8192, bytes, 1), -EINVAL);
	ck_assert_int_eq(disk_map_write(disk, UINT64_MAX, bytes, 512), -EINVAL);
	ck_assert_ptr_null(disk_map(disk, 8192 - 511, 512));
	ck_assert_ptr_nonnull(disk_map(disk, 0, 8192));
	disk_close(disk);
	disk = mmap_over(memfd_of(8192), true);
	ck_assert_int_eq(disk_map_write(disk, 0, bytes, 512), -EROFS);
	disk_close(disk);
}
END_TEST

static void drop_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

struct hammer {
	struct disk *disk;
	_Atomic unsigned nr_started;
	_Atomic bool is_stopping;
	_Atomic unsigned nr_good, nr_eio, nr_else;
};

/* Each thread in a quarter of its own. */
static void hammer_run(void *arg)
{
	struct hammer *h = arg;
	uint64_t start = atomic_fetch_add(&h->nr_started, 1) * 262144ull;
	unsigned char *memory = calloc(1, 65536);
	unsigned n = 0;

	while (!atomic_load(&h->is_stopping)) {
		uint64_t at = start + 65536 * (n++ / 2 % 4);
		int err = n % 2 ? disk_read(h->disk, at, memory, 65536)
				: disk_write(h->disk, at, memory, 65536, 0);

		atomic_fetch_add(err == 0 ? &h->nr_good : err == -EIO ? &h->nr_eio : &h->nr_else, 1);
	}
	free(memory);
}

START_TEST(a_file_that_is_cut_and_grows_under_four_threads_is_eio)
{
	int fd = memfd_of(1 << 20);
	struct hammer h = {.disk = mmap_over(fd, false)};
	struct thread *threads[4];

	log_set_sink(drop_line, NULL);
	for (int i = 0; i < 4; i++)
		threads[i] = thread_create("hammer", hammer_run, &h);
	for (int i = 0; i < 3000 && (i < 300 || !h.nr_eio || !h.nr_good); i++) {
		ck_assert_int_eq(ftruncate(fd, i % 2 ? 1 << 20 : 32768), 0);
		usleep(100);
	}
	atomic_store(&h.is_stopping, true);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(h.nr_else, 0);
	ck_assert_uint_gt(h.nr_eio, 0);
	ck_assert_uint_gt(h.nr_good, 0);
	disk_close(h.disk);
}
END_TEST

/* With a disk open, so that our handler is there. */
static void touch_what_is_not_there(void)
{
	int fd = memfd_of(4096);
	char *map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);

	mmap_over(memfd_of(8192), false);
	if (((volatile char *)map)[4096])
		_exit(1);
}

static void be_sent_sigbus(void)
{
	mmap_over(memfd_of(8192), false);
	kill(getpid(), SIGBUS);
	usleep(1000000);
}

START_TEST(a_sigbus_that_is_not_ours_still_ends_the_process)
{
	char text[2000];
	int sig = test_run_to_death(_i ? be_sent_sigbus : touch_what_is_not_there, text, sizeof(text));

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* A sanitizer has a handler of its own, which then tells and exits. */
	ck_assert(sig == SIGBUS || strstr(text, "BUS") || strstr(text, "Sanitizer"));
#else
	ck_assert_int_eq(sig, SIGBUS);
#endif
}
END_TEST

static volatile sig_atomic_t nr_theirs;

static void their_handler(int sig)
{
	(void)sig;
	nr_theirs++;
}

START_TEST(the_handler_before_us_is_there_again_afterwards)
{
	struct sigaction theirs = {.sa_handler = their_handler}, now;
	struct disk *one, *two;

	ck_assert_int_eq(sigaction(SIGBUS, &theirs, NULL), 0);
	one = mmap_over(memfd_of(8192), false);
	two = mmap_over(memfd_of(8192), false);
	disk_close(one);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
	ck_assert(now.sa_handler != their_handler);
	disk_close(two);
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
	ck_assert(now.sa_handler == their_handler);
	raise(SIGBUS);
	ck_assert_int_eq(nr_theirs, 1);
}
END_TEST

START_TEST(a_guarded_copy_goes_on_after_a_failed_one)
{
	int fd = memfd_of(4096);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), bytes[4096];

	guard_start();
	for (int i = 0; i < 1000; i++) {
		memset(bytes, i, sizeof(bytes));
		ck_assert_int_eq(guarded_copy_to(map, bytes, 4096), 0);
		ck_assert_int_eq(guarded_copy_to(map + 4096, bytes, 4096), -EIO);
		ck_assert_int_eq(guarded_copy_from(bytes, map + 4096 - 10, 11), -EIO);
		ck_assert_int_eq(guarded_copy_from(bytes, map, 4096), 0);
		ck_assert_int_eq(bytes[4095], (char)i);
	}
	guard_stop();
	munmap(map, 8192);
	close(fd);
}
END_TEST

TEST_SUITE(drivers_mmapdisk)
{
	tcase_add_test(tc, direct_access_is_the_disks_content);
	tcase_add_test(tc, direct_access_ends_with_the_disk);
	tcase_add_test(tc, a_file_that_is_cut_and_grows_under_four_threads_is_eio);
	tcase_add_loop_test(tc, a_sigbus_that_is_not_ours_still_ends_the_process, 0, 2);
	tcase_add_test(tc, the_handler_before_us_is_there_again_afterwards);
	tcase_add_test(tc, a_guarded_copy_goes_on_after_a_failed_one);
}
