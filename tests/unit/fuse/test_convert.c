/*
 * What must hold: attributes and wishes say the same on both sides of the border; an error that
 * may leave the house leaves it as the same errno, and one that may not stops the program.
 */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/types.h"
#include "fuse/convert.h"
#include "harness/runner.h"

START_TEST(errors_keep_their_number)
{
	static const int errors[] = {
		EPERM, ENOENT, EIO, ENXIO, EBADF, ENOMEM, EACCES, EBUSY, EEXIST, ENOTDIR, EISDIR, EINVAL, EFBIG,
		ENOSPC, EROFS, EMLINK, ENAMETOOLONG, ENOTEMPTY, EOPNOTSUPP, ESTALE, EUCLEAN, ENOSYS, ENOTTY,
	};

	ck_assert_int_eq(convert_error(0), 0);
	for (size_t i = 0; i < array_size(errors); i++)
		ck_assert_int_eq(convert_error(-errors[i]), errors[i]);
}
END_TEST

static void convert_inner_answer(void)
{
	ignore(convert_error(-EAGAIN), "it does not come back");
}

static void convert_positive(void)
{
	ignore(convert_error(ENOENT), "it does not come back");
}

START_TEST(inner_answers_stop_the_program)
{
	char text[4096];

	ck_assert_int_ne(test_run_to_death(convert_inner_answer, text, sizeof(text)), 0);
	ck_assert_int_ne(test_run_to_death(convert_positive, text, sizeof(text)), 0);
}
END_TEST

START_TEST(attributes_arrive_whole)
{
	struct super sb = {.block_bytes = 2048};
	struct inode inode = {.sb = &sb, .ino = 4711};
	const struct inode_attr attr = {
		.mode = S_IFCHR | 04755,
		.nlink = 7,
		.uid = 4000000000u,
		.gid = 4000000001u,
		.rdev_major = 300,
		.rdev_minor = 70000,
		.size_bytes = 5ull << 40,
		.blocks_512 = 99,
		.atime = {-5, 1},
		.mtime = {1ll << 33, 999999999},
		.ctime = {3, 0},
	};
	struct stat st;

	convert_attr(&inode, &attr, &st);
	ck_assert_uint_eq(st.st_ino, 4711);
	ck_assert_uint_eq(st.st_mode, attr.mode);
	ck_assert_uint_eq(st.st_nlink, 7);
	ck_assert_uint_eq(st.st_uid, attr.uid);
	ck_assert_uint_eq(st.st_gid, attr.gid);
	ck_assert_uint_eq(major(st.st_rdev), 300);
	ck_assert_uint_eq(minor(st.st_rdev), 70000);
	/* The wire carries 32 bits of it. */
	ck_assert_uint_eq(st.st_rdev >> 32, 0);
	ck_assert_int_eq(st.st_size, (off_t)attr.size_bytes);
	ck_assert_int_eq(st.st_blocks, 99);
	ck_assert_int_eq(st.st_blksize, 2048);
	ck_assert(memcmp(&st.st_atim, &attr.atime, sizeof(attr.atime)) == 0);
	ck_assert(memcmp(&st.st_mtim, &attr.mtime, sizeof(attr.mtime)) == 0);
	ck_assert(memcmp(&st.st_ctim, &attr.ctime, sizeof(attr.ctime)) == 0);
}
END_TEST

START_TEST(only_what_is_asked_is_set)
{
	static const struct { int theirs; uint32_t ours; } pairs[] = {
		{FUSE_SET_ATTR_MODE, SETATTR_MODE},
		{FUSE_SET_ATTR_UID, SETATTR_UID},
		{FUSE_SET_ATTR_GID, SETATTR_GID},
		{FUSE_SET_ATTR_SIZE, SETATTR_SIZE},
		{FUSE_SET_ATTR_ATIME, SETATTR_ATIME},
		{FUSE_SET_ATTR_MTIME, SETATTR_MTIME},
		{FUSE_SET_ATTR_CTIME, SETATTR_CTIME},
		/* NOW comes together with the plain bit, and wins. */
		{FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW, SETATTR_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW, SETATTR_MTIME_NOW},
		{FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID, SETATTR_UID | SETATTR_GID},
		{0, 0},
	};
	const struct stat st = {
		.st_mode = 0640, .st_uid = 1, .st_gid = 2, .st_size = 3ll << 40,
		.st_atim = {4, 5}, .st_mtim = {6, 7}, .st_ctim = {8, 9},
	};
	struct setattr sa;

	for (size_t i = 0; i < array_size(pairs); i++) {
		ck_assert_int_eq(convert_setattr(&st, pairs[i].theirs, &sa), 0);
		ck_assert_uint_eq(sa.valid, pairs[i].ours);
	}
	ck_assert_uint_eq(sa.mode, 0640);
	ck_assert_uint_eq(sa.uid, 1);
	ck_assert_uint_eq(sa.gid, 2);
	ck_assert_uint_eq(sa.size_bytes, 3ull << 40);
	ck_assert_int_eq(sa.atime.tv_nsec, 5);
	ck_assert_int_eq(sa.mtime.tv_nsec, 7);
	ck_assert_int_eq(sa.ctime.tv_nsec, 9);
}
END_TEST

START_TEST(impossible_times_are_refused_only_when_asked_for)
{
	const struct stat st = {.st_atim = {0, -1}, .st_mtim = {0, 1000000000}, .st_ctim = {0, 1l << 40}};
	struct setattr sa;

	ck_assert_int_eq(convert_setattr(&st, FUSE_SET_ATTR_ATIME, &sa), -EINVAL);
	ck_assert_int_eq(convert_setattr(&st, FUSE_SET_ATTR_MTIME, &sa), -EINVAL);
	ck_assert_int_eq(convert_setattr(&st, FUSE_SET_ATTR_CTIME, &sa), -EINVAL);
	ck_assert_int_eq(convert_setattr(&st, FUSE_SET_ATTR_MODE, &sa), 0);
	ck_assert_int_eq(convert_setattr(&st, FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW, &sa), 0);
}
END_TEST

START_TEST(only_root_keeps_foreign_setgid)
{
	const struct fuse_ctx root = {.uid = 0, .gid = 5}, user = {.uid = 9, .gid = 8, .umask = 027};
	struct cred cred;

	convert_cred(&root, &cred);
	ck_assert(cred.has_fsetid);
	convert_cred(&user, &cred);
	ck_assert(!cred.has_fsetid);
	ck_assert_uint_eq(cred.uid, 9);
	ck_assert_uint_eq(cred.gid, 8);
	ck_assert_uint_eq(cred.umask, 027);
}
END_TEST

START_TEST(totals_are_in_blocks)
{
	const struct statfs_info info = {
		.blocks = 100, .blocks_free = 50, .blocks_available = 45, .files = 9, .files_free = 4,
		.block_bytes = 1024, .name_max = 255, .fsid = 77,
	};
	struct statvfs st;

	convert_statfs(&info, &st);
	ck_assert_uint_eq(st.f_bsize, 1024);
	ck_assert_uint_eq(st.f_frsize, 1024);
	ck_assert_uint_eq(st.f_blocks, 100);
	ck_assert_uint_eq(st.f_bfree, 50);
	ck_assert_uint_eq(st.f_bavail, 45);
	ck_assert_uint_eq(st.f_files, 9);
	ck_assert_uint_eq(st.f_ffree, 4);
	ck_assert_uint_eq(st.f_namemax, 255);
}
END_TEST

TEST_SUITE(fuse_convert)
{
	tcase_add_test(tc, errors_keep_their_number);
	tcase_add_test(tc, inner_answers_stop_the_program);
	tcase_add_test(tc, attributes_arrive_whole);
	tcase_add_test(tc, only_what_is_asked_is_set);
	tcase_add_test(tc, impossible_times_are_refused_only_when_asked_for);
	tcase_add_test(tc, only_root_keeps_foreign_setgid);
	tcase_add_test(tc, totals_are_in_blocks);
}
