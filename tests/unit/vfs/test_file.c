/*
 * Open files: who may open what, where a write is cut, what clears set-id bits, what is synced, and
 * when a read moves atime.
 */
#include "vfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fakefs.h"
#include "harness/runner.h"

#define REG (S_IFREG | 0644)

static struct file *open_path(struct fakefs *fs, const char *path, int flags)
{
	struct inode *inode = fake_get(fs, path);
	struct file *file;

	ck_assert_int_eq(file_open(inode, flags, &fake_root, &file), 0);
	inode_put(inode);
	return file;
}

static int try_open(struct fakefs *fs, const char *path, int flags)
{
	struct inode *inode = fake_get(fs, path);
	struct file *file;
	int err = file_open(inode, flags, &fake_root, &file);

	if (!err)
		file_close(file);
	inode_put(inode);
	return err;
}

START_TEST(open_obeys_kind_flags_and_mount)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", REG);
	fake_make(fs, "d", S_IFDIR | 0755);
	ck_assert_int_eq(try_open(fs, "f", O_RDWR | O_TRUNC), 0);
	ck_assert_int_eq(try_open(fs, "d", O_RDONLY), 0);
	ck_assert_int_eq(try_open(fs, "d", O_WRONLY), -EISDIR);
	fake_set_flags(fs, "f", INODE_APPEND);
	ck_assert_int_eq(try_open(fs, "f", O_RDONLY), 0);
	ck_assert_int_eq(try_open(fs, "f", O_RDONLY | O_TRUNC), -EPERM);
	ck_assert_int_eq(try_open(fs, "f", O_WRONLY), -EPERM);
	ck_assert_int_eq(try_open(fs, "f", O_WRONLY | O_APPEND), 0);
	ck_assert_int_eq(try_open(fs, "f", O_WRONLY | O_APPEND | O_TRUNC), -EPERM);
	fake_set_flags(fs, "f", INODE_IMMUTABLE);
	ck_assert_int_eq(try_open(fs, "f", O_WRONLY | O_APPEND), -EPERM);
	ck_assert_int_eq(try_open(fs, "f", O_RDONLY), 0);
	fake_set_flags(fs, "f", 0);
	fs->sb.is_read_only = true;
	ck_assert_int_eq(try_open(fs, "f", O_RDWR), -EROFS);
	ck_assert_int_eq(try_open(fs, "f", O_RDONLY), 0);
	fs->sb.is_read_only = false;
	fakefs_unmount(fs);
}
END_TEST

START_TEST(writes_are_cut_at_the_largest_file)
{
	struct fakefs *fs = fakefs_mount(0);
	struct file *file;

	fake_make(fs, "f", REG);
	file = open_path(fs, "f", O_WRONLY);
	ck_assert_int_eq(file_write(file, 990, "0123456789abc", 13, false), 10);
	ck_assert_uint_eq(fs->last_write_len, 10);
	ck_assert_int_eq(file_write(file, FAKE_BYTES_MAX, "x", 1, false), -EFBIG);
	ck_assert_int_eq(file_write(file, UINT64_MAX, "x", 1, false), -EFBIG);
	ck_assert_int_eq(file_write(file, FAKE_BYTES_MAX, "x", 0, false), 0);
	file_close(file);
	file = open_path(fs, "f", O_RDONLY);
	ck_assert_int_eq(file_write(file, 0, "x", 1, false), -EBADF);
	file_close(file);
	file = open_path(fs, "f", O_WRONLY);
	fs->sb.is_read_only = true;
	ck_assert_int_eq(file_write(file, 0, "x", 1, false), -EROFS);
	fs->sb.is_read_only = false;
	file_close(file);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_write_clears_set_id_bits_when_asked)
{
	struct fakefs *fs = fakefs_mount(0);
	struct file *file;

	fake_make(fs, "f", S_IFREG | 06755);
	file = open_path(fs, "f", O_WRONLY);
	ck_assert_int_eq(file_write(file, 0, "x", 1, false), 1);
	ck_assert_uint_eq(file->inode->attr.mode, S_IFREG | 06755);
	ck_assert_int_eq(file_write(file, 0, "x", 1, true), 1);
	ck_assert_uint_eq(file->inode->attr.mode, S_IFREG | 0755);
	ck_assert_uint_eq(fs->nr_setattrs, 1);
	ck_assert_int_eq(file_write(file, 0, "x", 1, true), 1);
	ck_assert_uint_eq(fs->nr_setattrs, 1);
	file_close(file);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(synchronous_writes_are_synced)
{
	static const struct {
		int open_flags;
		uint32_t inode_flags;
		bool mount, synced, datasync;
	} rows[] = {
		{0, 0, false, false, false},
		{O_DSYNC, 0, false, true, true},
		{O_SYNC, 0, false, true, false},
		{0, INODE_SYNC, false, true, false},
		{O_DSYNC, INODE_SYNC, false, true, false},
		{0, 0, true, true, false},
	};
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", REG);
	for (size_t i = 0; i < array_size(rows); i++) {
		struct file *file = open_path(fs, "f", O_WRONLY | rows[i].open_flags);
		unsigned before = fs->nr_fsyncs;

		fake_set_flags(fs, "f", rows[i].inode_flags);
		fs->sb.is_sync = rows[i].mount;
		ck_assert_int_eq(file_write(file, 0, "x", 1, false), 1);
		ck_assert_uint_eq(fs->nr_fsyncs, before + rows[i].synced);
		if (rows[i].synced)
			ck_assert_msg(fs->last_was_datasync == rows[i].datasync, "row %zu", i);
		file_close(file);
	}
	fs->sb.is_sync = false;
	fakefs_unmount(fs);
}
END_TEST

START_TEST(every_open_file_is_told_of_a_lost_write_once)
{
	struct fakefs *fs = fakefs_mount(0);
	struct file *a, *b, *late;

	fake_make(fs, "f", REG);
	a = open_path(fs, "f", O_RDWR);
	b = open_path(fs, "f", O_RDWR);
	atomic_store(&a->inode->mapping.error, -EIO);
	atomic_fetch_add(&a->inode->mapping.error_seq, 1);
	late = open_path(fs, "f", O_RDWR);
	ck_assert_int_eq(file_fsync(a, false), -EIO);
	ck_assert_int_eq(file_fsync(a, false), 0);
	ck_assert_int_eq(file_fsync(b, true), -EIO);
	ck_assert_int_eq(file_fsync(b, true), 0);
	ck_assert_int_eq(file_fsync(late, false), 0);
	file_close(a);
	file_close(b);
	file_close(late);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_read_holds_the_lock_until_it_is_done)
{
	struct fakefs *fs = fakefs_mount(0);
	struct filemap_view view;
	struct file *file;

	fake_make(fs, "f", REG);
	file = open_path(fs, "f", O_WRONLY);	/* the kernel reads through such files too */
	ck_assert_int_eq(file_write(file, 0, "abc", 3, false), 3);
	ck_assert_int_eq(file_read(file, 1, 100, &view), 0);
	ck_assert_uint_eq(view.len_bytes, 2);
	ck_assert(!rwlock_write_trylock(&file->inode->lock));
	file_read_done(file, &view);
	ck_assert(rwlock_write_trylock(&file->inode->lock));
	rwlock_write_unlock(&file->inode->lock);
	file_close(file);
	file = open_path(fs, "", O_RDONLY);
	ck_assert_int_eq(file_read(file, 0, 1, &view), -EISDIR);
	file_close(file);
	fakefs_unmount(fs);
}
END_TEST

static void read_once(struct file *file)
{
	struct filemap_view view;

	ck_assert_int_eq(file_read(file, 0, 1, &view), 0);
	file_read_done(file, &view);
}

START_TEST(a_read_moves_atime_when_it_is_due)
{
	struct fakefs *fs = fakefs_mount(0);
	struct file *file;

	fake_make(fs, "f", REG);
	file = open_path(fs, "f", O_RDONLY);
	clock_advance(fs->sb.clock, 5 * NSEC_PER_SEC);
	read_once(file);		/* atime was not after mtime */
	ck_assert_uint_eq(fs->nr_setattrs, 1);
	ck_assert_uint_eq(fs->last_setattr, SETATTR_ATIME);
	ck_assert_int_eq(file->inode->attr.atime.tv_sec, 1000000005);
	clock_advance(fs->sb.clock, 5 * NSEC_PER_SEC);
	read_once(file);
	ck_assert_uint_eq(fs->nr_setattrs, 1);
	fs->sb.atime_mode = ATIME_STRICT;
	read_once(file);
	ck_assert_uint_eq(fs->nr_setattrs, 2);
	clock_advance(fs->sb.clock, 5 * NSEC_PER_SEC);
	fs->sb.is_read_only = true;
	read_once(file);
	ck_assert_uint_eq(fs->nr_setattrs, 2);
	fs->sb.is_read_only = false;
	file_close(file);
	fakefs_unmount(fs);
}
END_TEST

static bool count_entry(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	(void)name, (void)ino, (void)d_type, (void)next;
	++*(unsigned *)arg;
	return true;
}

START_TEST(a_removed_directory_lists_nothing)
{
	struct fakefs *fs = fakefs_mount(0);
	unsigned nr = 0;
	struct inode *d;

	fake_make(fs, "d", S_IFDIR | 0755);
	fake_make(fs, "d/f", REG);
	d = fake_get(fs, "d");
	ck_assert_int_eq(dir_read(d, 0, count_entry, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_int_eq(fake_unlink(fs, "d/f"), 0);
	ck_assert_int_eq(fake_rmdir(fs, "d"), 0);
	ck_assert_int_eq(dir_read(d, 0, count_entry, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_int_eq(dir_fsync(d, false), 0);
	inode_put(d);
	fake_make(fs, "f", REG);
	d = fake_get(fs, "f");
	ck_assert_int_eq(dir_read(d, 0, count_entry, &nr), -ENOTDIR);
	ck_assert_int_eq(dir_fsync(d, false), -ENOTDIR);
	inode_put(d);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(what_the_file_system_lacks_is_refused)
{
	struct fakefs *fs = fakefs_mount(0);
	struct file *file;
	uint64_t pos;

	fake_make(fs, "f", REG);
	file = open_path(fs, "f", O_RDWR);
	ck_assert_int_eq(file_seek(file, 0, SEEK_DATA, &pos), -EINVAL);
	ck_assert_int_eq(file_seek(file, 0, SEEK_SET, &pos), -EINVAL);
	ck_assert_int_eq(file_fallocate(file, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(file_fallocate(file, 0, 0, 10), -EOPNOTSUPP);
	file_close(file);
	fakefs_unmount(fs);
}
END_TEST

TEST_SUITE(vfs_file)
{
	tcase_add_test(tc, open_obeys_kind_flags_and_mount);
	tcase_add_test(tc, writes_are_cut_at_the_largest_file);
	tcase_add_test(tc, a_write_clears_set_id_bits_when_asked);
	tcase_add_test(tc, synchronous_writes_are_synced);
	tcase_add_test(tc, every_open_file_is_told_of_a_lost_write_once);
	tcase_add_test(tc, a_read_holds_the_lock_until_it_is_done);
	tcase_add_test(tc, a_read_moves_atime_when_it_is_due);
	tcase_add_test(tc, a_removed_directory_lists_nothing);
	tcase_add_test(tc, what_the_file_system_lacks_is_refused);
}
