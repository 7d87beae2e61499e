/*
 * vfs/file.h - open files.
 *
 * Purpose     An opened inode: who opened it and how, and which write-back errors it was told.
 * Ownership   file_open() takes a reference of the inode; file_close() drops it.
 * Locking     Takes the inode lock itself: shared for reading (until file_read_done), exclusive
 *             for writing.
 * Errors      -EBADF (not opened for writing; every open file may be read, as the kernel's
 *             write-back cache fills pages through files opened for writing), -EISDIR, -EFBIG, -EPERM (immutable, append-only),
 *             -EIO, -ENOSPC, -EROFS.
 */
#ifndef VFS_FILE_H
#define VFS_FILE_H

#include "cache/filemap.h"
#include "vfs/inode.h"

struct file {
	struct inode *inode;
	int flags;			/* O_* of open */
	struct cred cred;
	uint32_t error_seen;		/* mapping_error_since() */
	struct readahead_state ra;
};

int file_open(struct inode *inode, int flags, const struct cred *cred, struct file **ret_file) must_check;
void file_close(struct file *file);
/*
 * At most FILEMAP_READ_MAX bytes. The inode lock is held shared from a successful return until
 * file_read_done(), which also moves atime if that is due.
 */
int file_read(struct file *file, uint64_t pos, size_t len, struct filemap_view *view) must_check;
void file_read_done(struct file *file, struct filemap_view *view);
/*
 * from: one piece of memory. kill_priv: clear set-id bits (the kernel asked for it). Returns the
 * bytes written, perhaps fewer; durable already where O_SYNC, the inode or the mount ask for it.
 */
ssize_t file_write(struct file *file, uint64_t pos, const void *from, size_t len, bool kill_priv) must_check;
/*
 * The same of pages that the kernel's write-back cache held back. It keeps the times of what it caches,
 * and tells them by setattr, before this or after: so they do not move here.
 */
ssize_t file_write_cached(struct file *file, uint64_t pos, const void *from, size_t len) must_check;
int file_fsync(struct file *file, bool datasync) must_check;
int file_seek(struct file *file, uint64_t pos, int whence, uint64_t *ret_pos) must_check;
int file_fallocate(struct file *file, int mode, uint64_t pos, uint64_t len) must_check;

/*
 * Directories need no open file: positions are stable by themselves. emit runs under the
 * directory's lock, shared: it may get inodes and look at them, but not change names. A removed
 * directory is empty.
 */
int dir_read(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg) must_check;
int dir_fsync(struct inode *dir, bool datasync) must_check;

#endif
