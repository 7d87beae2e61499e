/*
 * What must hold: a line of mountinfo is taken apart whatever optional fields it has, escapes are
 * undone, and what is no such line is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fuse/mountinfo.h"
#include "harness/runner.h"

static int parse(const char *text, char *line, struct mountinfo *info)
{
	snprintf(line, 512, "%s", text);
	return mountinfo_parse(line, info);
}

START_TEST(a_line_is_taken_apart)
{
	struct mountinfo info;
	char line[512];

	ck_assert_int_eq(parse("42 27 0:39 / /mnt/a\\040b\\134c rw,relatime shared:1 master:2 - fuse.extant "
			       "/img\\011x rw,user_id=0\n", line, &info), 0);
	ck_assert_uint_eq(info.dev_major, 0);
	ck_assert_uint_eq(info.dev_minor, 39);
	ck_assert_str_eq(info.mountpoint, "/mnt/a b\\c");
	ck_assert_str_eq(info.type, "fuse.extant");
	ck_assert_str_eq(info.source, "/img\tx");
}
END_TEST

START_TEST(optional_fields_may_be_missing)
{
	struct mountinfo info;
	char line[512];

	ck_assert_int_eq(parse("1 2 259:1048575 / / rw - ext4 /dev/root rw", line, &info), 0);
	ck_assert_uint_eq(info.dev_major, 259);
	ck_assert_uint_eq(info.dev_minor, 1048575);
	ck_assert_str_eq(info.mountpoint, "/");
	ck_assert_str_eq(info.source, "/dev/root");
}
END_TEST

START_TEST(a_backslash_that_escapes_nothing_stays)
{
	struct mountinfo info;
	char line[512];

	ck_assert_int_eq(parse("1 2 0:1 / /a\\09\\4 rw - t s\\", line, &info), 0);
	ck_assert_str_eq(info.mountpoint, "/a\\09\\4");
	ck_assert_str_eq(info.source, "s\\");
}
END_TEST

START_TEST(other_lines_are_refused)
{
	static const char *const lines[] = {
		"", "\n", "1", "1 2 0:1 /", "1 2 nonsense / /m rw - t s", "1 2 0:1 / /m rw t s", "1 2 0:1 / /m rw -",
		"1 2 0:1 / /m rw - t", "1  2 0:1 / /m rw - t s",
	};
	struct mountinfo info;
	char line[512];

	for (size_t i = 0; i < array_size(lines); i++)
		ck_assert_int_eq(parse(lines[i], line, &info), -EINVAL);
}
END_TEST

START_TEST(what_is_mounted_is_found)
{
	unsigned dev_major, dev_minor;

	ck_assert_int_eq(mountinfo_device("/proc", &dev_major, &dev_minor), 0);
	ck_assert_int_eq(mountinfo_device("/proc/no such mount", &dev_major, &dev_minor), -ENOENT);
	ck_assert(mountinfo_has_source("proc", "proc"));
	ck_assert(!mountinfo_has_source("fuse.extant", "/no/such/image"));
}
END_TEST

TEST_SUITE(fuse_mountinfo)
{
	tcase_add_test(tc, a_line_is_taken_apart);
	tcase_add_test(tc, optional_fields_may_be_missing);
	tcase_add_test(tc, a_backslash_that_escapes_nothing_stays);
	tcase_add_test(tc, other_lines_are_refused);
	tcase_add_test(tc, what_is_mounted_is_found);
}
