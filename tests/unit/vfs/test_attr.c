/*
 * The attribute rules, as tables: what is inherited, what clears set-id bits, which times move, what
 * immutable and append-only inodes refuse, who may delete.
 */
#include "vfs/attr.h"

#include <errno.h>

#include "base/clock.h"
#include "fakefs.h"
#include "harness/runner.h"

/* An inode that lies in no table, for the pure rules. */
static struct inode *bare(struct fakefs *fs, mode_t mode)
{
	static struct inode inode;

	inode = (struct inode){0};
	inode_init(&inode, &fs->sb);
	inode.attr.mode = mode;
	inode.attr.uid = 1000;
	inode.attr.gid = 100;
	inode.attr.nlink = 1;
	return &inode;
}

START_TEST(a_setgid_directory_hands_down_its_group)
{
	static const struct {
		mode_t dir, mode, want_mode;
		bool bsd;
		gid_t want_gid;
	} rows[] = {
		{S_IFDIR | 0755, S_IFREG | 0644, S_IFREG | 0644, false, 5},
		{S_IFDIR | 02755, S_IFREG | 0644, S_IFREG | 0644, false, 100},
		{S_IFDIR | 02755, S_IFDIR | 0755, S_IFDIR | 02755, false, 100},
		{S_IFDIR | 0755, S_IFDIR | 0755, S_IFDIR | 0755, true, 100},
		{S_IFDIR | 0755, S_IFREG | 0644, S_IFREG | 0644, true, 100},
	};
	struct fakefs *fs = fakefs_mount(0);
	struct cred cred = {.uid = 7, .gid = 5};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct inode *dir = bare(fs, rows[i].dir);
		struct new_inode wish = {0};

		fs->sb.has_bsd_groups = rows[i].bsd;
		attr_inherit(dir, rows[i].mode, &cred, &wish);
		ck_assert_uint_eq(wish.uid, 7);
		ck_assert_uint_eq(wish.gid, rows[i].want_gid);
		ck_assert_uint_eq(wish.mode, rows[i].want_mode);
		inode_done(dir);
	}
	fakefs_unmount(fs);
}
END_TEST

START_TEST(setgid_stays_where_group_execute_is_not_set)
{
	ck_assert_uint_eq(attr_without_setid(S_IFREG | 06755), S_IFREG | 0755);
	ck_assert_uint_eq(attr_without_setid(S_IFREG | 06745), S_IFREG | 02745);
	ck_assert_uint_eq(attr_without_setid(S_IFREG | 01644), S_IFREG | 01644);
}
END_TEST

static const struct timespec t1 = {.tv_sec = 11, .tv_nsec = 1}, t2 = {.tv_sec = 22, .tv_nsec = 2};

START_TEST(changes_take_set_id_bits_away)
{
	static const struct {
		uint32_t valid;
		bool privileged;
		mode_t before, after;
	} rows[] = {
		{SETATTR_SIZE, false, S_IFREG | 06755, S_IFREG | 0755},
		{SETATTR_SIZE, true, S_IFREG | 06755, S_IFREG | 06755},
		{SETATTR_SIZE | SETATTR_KILL_PRIV, true, S_IFREG | 06755, S_IFREG | 0755},
		{SETATTR_UID, true, S_IFREG | 06755, S_IFREG | 0755},
		{SETATTR_GID, false, S_IFREG | 06755, S_IFREG | 0755},
		{SETATTR_GID, false, S_IFREG | 02745, S_IFREG | 02745},
		{SETATTR_UID, true, S_IFDIR | 06755, S_IFDIR | 06755},
		{SETATTR_ATIME, false, S_IFREG | 06755, S_IFREG | 06755},
		{SETATTR_KILL_PRIV, true, S_IFREG | 04711, S_IFREG | 0711},
		/* An explicit mode is kept, and cannot change the type. */
		{SETATTR_UID | SETATTR_MODE, true, S_IFREG | 0, S_IFREG | 04701},
	};
	struct fakefs *fs = fakefs_mount(0);

	for (size_t i = 0; i < array_size(rows); i++) {
		struct inode *inode = bare(fs, rows[i].before);
		struct setattr sa = {.valid = rows[i].valid, .mode = S_IFDIR | 04701, .atime = t1};
		const struct cred *cred = rows[i].privileged ? &fake_root : &fake_user;

		ck_assert_int_eq(attr_prepare(inode, &sa, cred), 0);
		ck_assert(!(sa.valid & SETATTR_KILL_PRIV));
		attr_apply(inode, &sa);
		ck_assert_msg(inode->attr.mode == rows[i].after, "row %zu: %o", i, inode->attr.mode);
		inode_done(inode);
	}
	fakefs_unmount(fs);
}
END_TEST

START_TEST(times_are_settled)
{
	struct fakefs *fs = fakefs_mount(0);
	struct timespec now = clock_wall(fs->sb.clock);
	struct inode *inode = bare(fs, S_IFREG | 0644);
	struct setattr sa = {.valid = SETATTR_MODE, .mode = 0600};

	ck_assert_int_eq(attr_prepare(inode, &sa, &fake_user), 0);
	ck_assert_uint_eq(sa.valid, SETATTR_MODE | SETATTR_CTIME);
	ck_assert_int_eq(sa.ctime.tv_sec, now.tv_sec);

	sa = (struct setattr){.valid = SETATTR_SIZE};
	ck_assert_int_eq(attr_prepare(inode, &sa, &fake_root), 0);
	ck_assert_uint_eq(sa.valid, SETATTR_SIZE | SETATTR_MTIME | SETATTR_CTIME);
	ck_assert_int_eq(sa.mtime.tv_sec, now.tv_sec);

	sa = (struct setattr){.valid = SETATTR_SIZE | SETATTR_MTIME | SETATTR_CTIME, .mtime = t1, .ctime = t2};
	ck_assert_int_eq(attr_prepare(inode, &sa, &fake_root), 0);
	ck_assert_int_eq(sa.mtime.tv_sec, 11);
	ck_assert_int_eq(sa.ctime.tv_sec, 22);

	sa = (struct setattr){.valid = SETATTR_ATIME_NOW | SETATTR_MTIME, .mtime = t1};
	ck_assert_int_eq(attr_prepare(inode, &sa, &fake_user), 0);
	ck_assert_uint_eq(sa.valid, SETATTR_ATIME | SETATTR_MTIME | SETATTR_CTIME);
	attr_apply(inode, &sa);
	ck_assert_int_eq(inode->attr.atime.tv_sec, now.tv_sec);
	ck_assert_int_eq(inode->attr.mtime.tv_sec, 11);
	ck_assert_int_eq(inode->attr.ctime.tv_sec, now.tv_sec);
	inode_done(inode);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(flags_and_types_refuse)
{
	static const struct {
		mode_t type;
		uint32_t flags, valid;
		uint64_t size;
		int want;
	} rows[] = {
		{S_IFREG, INODE_IMMUTABLE, SETATTR_MODE, 0, -EPERM},
		{S_IFREG, INODE_IMMUTABLE, SETATTR_ATIME_NOW, 0, -EPERM},
		{S_IFREG, INODE_IMMUTABLE, SETATTR_SIZE, 0, -EPERM},
		{S_IFREG, INODE_APPEND, SETATTR_SIZE, 0, -EPERM},
		{S_IFREG, INODE_APPEND, SETATTR_UID, 0, -EPERM},
		{S_IFREG, INODE_APPEND, SETATTR_ATIME, 0, -EPERM},
		{S_IFREG, INODE_APPEND, SETATTR_ATIME_NOW | SETATTR_MTIME_NOW, 0, 0},
		/* the kernel's, for writes that it cached */
		{S_IFREG, INODE_APPEND, SETATTR_MTIME | SETATTR_CTIME, 0, 0},
		{S_IFDIR, 0, SETATTR_SIZE, 0, -EISDIR},
		{S_IFLNK, 0, SETATTR_SIZE, 0, -EINVAL},
		{S_IFREG, 0, SETATTR_SIZE, FAKE_BYTES_MAX, 0},
		{S_IFREG, 0, SETATTR_SIZE, FAKE_BYTES_MAX + 1, -EFBIG},
	};
	struct fakefs *fs = fakefs_mount(0);

	for (size_t i = 0; i < array_size(rows); i++) {
		struct inode *inode = bare(fs, rows[i].type | 0644);
		struct setattr sa = {.valid = rows[i].valid, .size_bytes = rows[i].size};

		inode->attr.flags = rows[i].flags;
		ck_assert_msg(attr_prepare(inode, &sa, &fake_root) == rows[i].want, "row %zu", i);
		inode_done(inode);
	}
	fakefs_unmount(fs);
}
END_TEST

START_TEST(atime_moves_as_the_mount_says)
{
	static const struct {
		enum atime_mode mode;
		time_t atime, mtime, ctime, now;
		uint32_t flags;
		bool want;
	} rows[] = {
		{ATIME_NONE, 5, 9, 9, 100, 0, false},
		{ATIME_STRICT, 50, 1, 1, 100, 0, true},
		{ATIME_STRICT, 100, 1, 1, 100, 0, false},
		{ATIME_STRICT, 50, 1, 1, 100, INODE_NOATIME, false},
		{ATIME_RELATIME, 50, 1, 1, 100, 0, false},
		{ATIME_RELATIME, 50, 50, 1, 100, 0, true},
		{ATIME_RELATIME, 50, 1, 60, 100, 0, true},
		{ATIME_RELATIME, 50, 1, 1, 50 + 24 * 60 * 60, 0, true},
		{ATIME_RELATIME, 50, 1, 1, 49 + 24 * 60 * 60, 0, false},
		{ATIME_RELATIME, 50, 60, 60, 100, INODE_NOATIME, false},
	};
	struct fakefs *fs = fakefs_mount(0);
	struct inode *inode;

	for (size_t i = 0; i < array_size(rows); i++) {
		struct timespec now = {.tv_sec = rows[i].now};

		inode = bare(fs, S_IFREG);
		fs->sb.atime_mode = rows[i].mode;
		inode->attr.flags = rows[i].flags;
		inode->attr.atime.tv_sec = rows[i].atime;
		inode->attr.mtime.tv_sec = rows[i].mtime;
		inode->attr.ctime.tv_sec = rows[i].ctime;
		ck_assert_msg(attr_atime_is_due(inode, now) == rows[i].want, "row %zu", i);
		fs->sb.is_read_only = true;
		ck_assert(!attr_atime_is_due(inode, now));
		fs->sb.is_read_only = false;
		inode_done(inode);
	}
	fakefs_unmount(fs);
}
END_TEST

START_TEST(sticky_and_flags_keep_names)
{
	static const struct {
		mode_t dir_mode;
		uid_t dir_uid, victim_uid, uid;
		uint32_t dir_flags, victim_flags;
		int want;
	} rows[] = {
		{0777, 1, 2, 3, 0, 0, 0},
		{01777, 1, 2, 3, 0, 0, -EPERM},
		{01777, 3, 2, 3, 0, 0, 0},
		{01777, 1, 3, 3, 0, 0, 0},
		{01777, 1, 2, 0, 0, 0, 0},
		{0777, 1, 2, 0, INODE_APPEND, 0, -EPERM},
		{0777, 1, 2, 0, INODE_IMMUTABLE, 0, -EPERM},
		{0777, 1, 2, 0, 0, INODE_APPEND, -EPERM},
		{0777, 1, 2, 0, 0, INODE_IMMUTABLE, -EPERM},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct inode dir = {.attr = {.mode = S_IFDIR | rows[i].dir_mode, .uid = rows[i].dir_uid,
					     .flags = rows[i].dir_flags}};
		struct inode victim = {.attr = {.uid = rows[i].victim_uid, .flags = rows[i].victim_flags}};
		struct cred cred = {.uid = rows[i].uid};

		ck_assert_msg(attr_may_delete(&dir, &victim, &cred) == rows[i].want, "row %zu", i);
	}
}
END_TEST

START_TEST(touch_sets_the_times_named_and_no_others)
{
	struct fakefs *fs = fakefs_mount(0);
	struct inode *inode = bare(fs, S_IFREG);
	struct timespec now = clock_wall(fs->sb.clock);

	attr_touch(inode, SETATTR_MTIME | SETATTR_CTIME);
	ck_assert_int_eq(inode->attr.atime.tv_sec, 0);
	ck_assert_int_eq(inode->attr.mtime.tv_sec, now.tv_sec);
	ck_assert_int_eq(inode->attr.ctime.tv_sec, now.tv_sec);
	inode_done(inode);
	fakefs_unmount(fs);
}
END_TEST

TEST_SUITE(vfs_attr)
{
	tcase_add_test(tc, a_setgid_directory_hands_down_its_group);
	tcase_add_test(tc, setgid_stays_where_group_execute_is_not_set);
	tcase_add_test(tc, changes_take_set_id_bits_away);
	tcase_add_test(tc, times_are_settled);
	tcase_add_test(tc, flags_and_types_refuse);
	tcase_add_test(tc, atime_moves_as_the_mount_says);
	tcase_add_test(tc, sticky_and_flags_keep_names);
	tcase_add_test(tc, touch_sets_the_times_named_and_no_others);
}
