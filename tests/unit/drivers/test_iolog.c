/*
 * What a disk carried out is written in fio's words, in the order in which it ended, failures left out; and
 * what is written is read back, of both versions, while what makes no sense is said to make none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/iolog.h"
#include "drivers/ramdisk.h"
#include "harness/runner.h"

#define PATH_BYTES 64

static struct disk *traced_disk(struct iolog *log)
{
	struct disk_config config = {.name = "ram", .is_inline = true, .trace = iolog_note, .trace_arg = log};
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
		"fio version 2 iolog\n", "/x.img add\n", "/x.img open\n", "/x.img write 4096 8192\n",
		"/x.img write 0 512\n", "/x.img datasync 0 0\n", "/x.img read 512 1024\n", "/x.img datasync 0 0\n",
		"/x.img close\n",
	};
	char path[PATH_BYTES], memory[8192] = "", line[300], why[200];
	struct iolog *log = NULL;
	struct disk *disk;
	FILE *f;

	fresh_name(path);
	ck_assert_int_eq(iolog_create(&log), 0);
	disk = traced_disk(log);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, 0), 0);	/* before it is on: not there */
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), 0);
	ck_assert_int_eq(iolog_start(log, path, "/x.img", why, sizeof(why)), -EBUSY);
	ck_assert_int_eq(disk_write(disk, 4096, memory, 8192, 0), 0);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, BIO_FUA), 0);
	ck_assert_int_eq(disk_read(disk, 512, memory, 1024), 0);
	ck_assert_int_eq(disk_read(disk, 2 << 20, memory, 512), -EINVAL);
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
	tcase_add_test(tc, a_file_that_is_there_is_not_overwritten);
	tcase_add_test(tc, both_versions_are_read);
	tcase_add_test(tc, nonsense_is_told);
}
