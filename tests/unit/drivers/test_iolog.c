/*
 * What a disk carried out is written in fio's words, in the order in which it ended, failures left out; and
 * what is written is read back, of both versions, while what makes no sense is said to make none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "block/request.h"
#include "drivers/iolog.h"
#include "drivers/ramdisk.h"
#include "harness/runner.h"

#define PATH_BYTES 64

static struct disk *traced_disk(struct iolog *log, struct clock *clock)
{
	struct disk_config config = {
		.name = "ram", .clock = clock, .is_inline = true, .trace = iolog_note, .trace_arg = log,
	};
	struct disk *disk;

	ck_assert_int_eq(ramdisk_open(&(struct ramdisk_config){.size_bytes = 1 << 20}, &config, NULL, &disk), 0);
	return disk;
}

static void fresh_name(char path[PATH_BYTES])
{
	int fd;

	snprintf(path, PATH_BYTES, "%s", "/tmp/extant-iolog.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(path);
}

START_TEST(requests_are_written_in_fios_words)
{
	static const char *const wanted[] = {
		"fio version 3 iolog\n", "0 /x.img add\n", "0 /x.img open\n", "1 /x.img write 4096 8192\n",
		"3001 /x.img write 0 512\n", "3001 /x.img datasync 0 0\n", "3001 /x.img read 512 1024\n",
		"7000001 /x.img datasync 0 0\n", "7000001 /x.img close\n",
	};
	struct clock *clock = clock_create_virtual((struct timespec){0});
	char path[PATH_BYTES], memory[8192] = "", line[300], why[200];
	struct iolog *log = NULL;
	struct disk *disk;
	FILE *f;

	fresh_name(path);
	ck_assert_ptr_nonnull(clock);
	ck_assert_int_eq(iolog_create(&log), 0);
	disk = traced_disk(log, clock);
	clock_advance(clock, 5 * NSEC_PER_SEC);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, 0), 0);	/* before it is on: not there */
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), 0);
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), -EBUSY);
	clock_advance(clock, 5 * NSEC_PER_SEC);	/* idle at the begin: not told */
	ck_assert_int_eq(disk_write(disk, 4096, memory, 8192, 0), 0);
	clock_advance(clock, 3 * NSEC_PER_MSEC);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, BIO_FUA), 0);
	ck_assert_int_eq(disk_read(disk, 512, memory, 1024), 0);
	ck_assert_int_eq(disk_read(disk, 2 << 20, memory, 512), -EINVAL);
	clock_advance(clock, 6997 * NSEC_PER_MSEC);
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(iolog_stop(log), 0);
	ck_assert_int_eq(disk_read(disk, 512, memory, 1024), 0);	/* it is off again */
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < array_size(wanted); i++) {
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
		ck_assert_str_eq(line, wanted[i]);
	}
	ck_assert_ptr_null(fgets(line, sizeof(line), f));
	fclose(f);
	unlink(path);
	disk_close(disk);
	iolog_destroy(log);
	clock_destroy(clock);
}
END_TEST

/* Who was overtaken ended later, and came sooner: a time that ran backwards would stop fio from waiting. */
START_TEST(times_never_run_backwards)
{
	char path[PATH_BYTES], line[300], why[200];
	struct iolog *log = NULL;
	static const uint64_t came_ns[] = {90000, 500, 60000, 95000};
	static const uint64_t wanted_us[] = {1, 1, 1, 6};
	struct request rq = {.op = BIO_READ, .size_bytes = 512};
	FILE *f;

	fresh_name(path);
	ck_assert_int_eq(iolog_create(&log), 0);
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), 0);
	for (size_t i = 0; i < array_size(came_ns); i++) {
		rq.sector = i;
		rq.queued_ns = came_ns[i];
		iolog_note(log, &rq, 0);
	}
	ck_assert_int_eq(iolog_stop(log), 0);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	for (size_t i = 0; i < array_size(wanted_us); i++) {
		struct iolog_action a;

		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
		ck_assert_int_eq(iolog_parse(3, line, &a), IOLOG_IO);
		ck_assert_uint_eq(a.at_us, wanted_us[i]);
		ck_assert_uint_eq(a.offset_bytes, i * 512);
	}
	fclose(f);
	unlink(path);
	iolog_destroy(log);
}
END_TEST

START_TEST(a_file_that_is_there_is_not_overwritten)
{
	char path[PATH_BYTES], why[200] = "";
	struct iolog *log = NULL;
	FILE *f;

	fresh_name(path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_int_eq(iolog_create(&log), 0);
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why, path));
	unlink(path);
	ck_assert_int_eq(iolog_start(log, path, "/a b.img", why, sizeof(why)), -EINVAL);
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), 0);
	iolog_destroy(log);
	unlink(path);
}
END_TEST

START_TEST(both_versions_are_read)
{
	struct iolog_action a;

	ck_assert_uint_eq(iolog_version("fio version 2 iolog\n"), 2);
	ck_assert_uint_eq(iolog_version("fio version 3 iolog\n"), 3);
	ck_assert_uint_eq(iolog_version("fio version 4 iolog\n"), 0);
	ck_assert_uint_eq(iolog_version("/dev/sda read 0 4096\n"), 0);
	ck_assert_int_eq(iolog_parse(2, "/dev/sda read 8192 4096\n", &a), IOLOG_IO);
	ck_assert_int_eq(a.op, BIO_READ);
	ck_assert_uint_eq(a.offset_bytes, 8192);
	ck_assert_uint_eq(a.len_bytes, 4096);
	ck_assert_int_eq(iolog_parse(3, "1234 /dev/sda trim 512 1024\n", &a), IOLOG_IO);
	ck_assert_int_eq(a.op, BIO_DISCARD);
	ck_assert_uint_eq(a.at_us, 1234);
	ck_assert_uint_eq(a.offset_bytes, 512);
	ck_assert_int_eq(iolog_parse(2, "f sync 0 0\n", &a), IOLOG_IO);
	ck_assert_int_eq(a.op, BIO_FLUSH);
	ck_assert_int_eq(iolog_parse(2, "f wait 100 0\n", &a), IOLOG_NOTHING);
	ck_assert_int_eq(iolog_parse(3, "7 f add\n", &a), IOLOG_NOTHING);
	ck_assert_int_eq(iolog_parse(2, "\n", &a), IOLOG_NOTHING);
}
END_TEST

START_TEST(nonsense_is_told)
{
	struct iolog_action a;

	ck_assert_int_eq(iolog_parse(2, "f erase 0 512\n", &a), IOLOG_BAD);
	ck_assert_int_eq(iolog_parse(2, "f read 0\n", &a), IOLOG_BAD);
	ck_assert_int_eq(iolog_parse(2, "f write x 512\n", &a), IOLOG_BAD);
	ck_assert_int_eq(iolog_parse(3, "f read 0 512\n", &a), IOLOG_BAD);
	ck_assert_int_eq(iolog_parse(2, "word\n", &a), IOLOG_BAD);
}
END_TEST

TEST_SUITE(drivers_iolog)
{
	tcase_add_test(tc, requests_are_written_in_fios_words);
	tcase_add_test(tc, times_never_run_backwards);
	tcase_add_test(tc, a_file_that_is_there_is_not_overwritten);
	tcase_add_test(tc, both_versions_are_read);
	tcase_add_test(tc, nonsense_is_told);
}
