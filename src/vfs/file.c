/*
 * Open files: the checks that depend on how a file was opened, and the lock around each transfer.
 *
 * The kernel's write-back cache makes an open file serve requests that its opener could not make:
 * it reads through a file opened for writing, to fill the rest of a page; and it writes whole
 * pages at places of its choice through one opened for appending. So reading is allowed on every
 * open file, and append-only is checked once, at open.
 */
#include "vfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "base/mem.h"
#include "vfs.h"
#include "vfs/attr.h"

static bool flags_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static int check_open(const struct inode *inode, const struct inode_attr *attr, int flags)
{
	bool changes = flags_write(flags) || (flags & O_TRUNC);

	if (!changes)
		return 0;
	if (S_ISDIR(attr->mode))
		return -EISDIR;
	if (super_is_read_only(inode->sb))
		return -EROFS;
	if (attr->flags & INODE_IMMUTABLE)
		return -EPERM;
	if ((attr->flags & INODE_APPEND) && (!(flags & O_APPEND) || (flags & O_TRUNC)))
		return -EPERM;
	return 0;
}

int file_open(struct inode *inode, int flags, const struct cred *cred, struct file **ret_file)
{
	struct inode_attr attr;
	struct file *file;
	int err;

	inode_attr(inode, &attr);
	err = check_open(inode, &attr, flags);
	if (err)
		return err;
	file = mem_alloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->inode = inode_ref(inode);
	file->flags = flags;
	file->cred = *cred;
	file->error_seen = mapping_error_mark(&inode->mapping);
	readahead_init(&file->ra);
	*ret_file = file;
	return 0;
}

void file_close(struct file *file)
{
	const struct file_ops *fops;

	if (!file)
		return;
	fops = file->inode->fops;
	if (flags_write(file->flags) && fops->release)
		fops->release(file->inode);
	inode_put(file->inode);
	readahead_done(&file->ra);
	mem_free(file);
}

int file_read(struct file *file, uint64_t pos, size_t len, struct filemap_view *view)
{
	struct inode *inode = file->inode;
	int err;

	if (inode_is_dir(inode))
		return -EISDIR;
	if (!inode->fops->read)
		return -EINVAL;
	rwlock_read_lock(&inode->lock);
	err = inode->fops->read(inode, pos, min(len, (size_t)FILEMAP_READ_MAX), &file->ra, view);
	if (err)
		rwlock_read_unlock(&inode->lock);
	return err;
}

/* Ends a shared access: the lock goes, and atime moves if it is due. */
static void end_access(struct inode *inode)
{
	bool is_due = attr_atime_is_due(inode, clock_wall(inode->sb->clock));

	rwlock_read_unlock(&inode->lock);
	if (is_due)
		inode_accessed(inode);
}

void file_read_done(struct file *file, struct filemap_view *view)
{
	filemap_view_done(view);
	end_access(file->inode);
}

/* The inode lock is held exclusively. */
static int kill_setid(struct inode *inode)
{
	struct setattr sa = {.valid = SETATTR_MODE | SETATTR_CTIME, .mode = attr_without_setid(inode->attr.mode)};

	if (sa.mode == inode->attr.mode)
		return 0;
	sa.ctime = clock_wall(inode->sb->clock);
	return inode->iops->setattr(inode, &sa);
}

/* What can be written at pos: cut at the largest file, or why nothing can. */
static int check_write(const struct file *file, uint64_t pos, size_t *len)
{
	const struct inode *inode = file->inode;

	if (!flags_write(file->flags))
		return -EBADF;
	if (!inode->fops->write)
		return -EINVAL;
	if (super_is_read_only(inode->sb))
		return -EROFS;
	if (*len == 0)
		return 0;
	if (pos >= inode->sb->file_bytes_max)
		return -EFBIG;
	*len = (size_t)min((uint64_t)*len, inode->sb->file_bytes_max - pos);
	return 0;
}

/* An fsync that also tells, once to this open file, of write-backs that failed behind its back. */
static int sync_file(struct file *file, bool datasync)
{
	struct inode *inode = file->inode;
	int err = inode->fops->fsync(inode, datasync);
	int late;

	mutex_lock(&inode->attr_lock);	/* error_seen: two threads may fsync one open file */
	late = mapping_error_since(&inode->mapping, &file->error_seen);
	mutex_unlock(&inode->attr_lock);
	return first_error(err, late);
}

/* After a change of the data: what O_SYNC, O_DSYNC, the sync flag and -o sync promise. */
static int sync_after_change(struct file *file)
{
	struct inode_attr attr;
	bool wants_all;

	inode_attr(file->inode, &attr);
	wants_all = (file->flags & O_SYNC) == O_SYNC || file->inode->sb->is_sync || (attr.flags & INODE_SYNC);
	if (wants_all || (file->flags & O_DSYNC))
		return sync_file(file, !wants_all);
	return 0;
}

enum write_kind { WRITE_NOW, WRITE_NOW_KILL_PRIV, WRITE_CACHED };

static ssize_t write_locked(struct file *file, uint64_t pos, const void *from, size_t len, enum write_kind kind)
{
	struct inode *inode = file->inode;
	ssize_t written = kind == WRITE_NOW_KILL_PRIV ? kill_setid(inode) : 0;

	if (written)
		return written;
	inode->keeps_times = kind == WRITE_CACHED;
	written = inode->fops->write(inode, pos, from, len, &file->cred);
	inode->keeps_times = false;
	return written;
}

static ssize_t write_as(struct file *file, uint64_t pos, const void *from, size_t len, enum write_kind kind)
{
	struct inode *inode = file->inode;
	ssize_t written;
	int err;

	err = check_write(file, pos, &len);
	if (err || len == 0)
		return err;
	rwlock_write_lock(&inode->lock);
	written = write_locked(file, pos, from, len, kind);
	rwlock_write_unlock(&inode->lock);
	if (written <= 0)
		return written;
	err = sync_after_change(file);
	return err ? err : written;
}

ssize_t file_write(struct file *file, uint64_t pos, const void *from, size_t len, bool kill_priv)
{
	return write_as(file, pos, from, len, kill_priv ? WRITE_NOW_KILL_PRIV : WRITE_NOW);
}

ssize_t file_write_cached(struct file *file, uint64_t pos, const void *from, size_t len)
{
	return write_as(file, pos, from, len, WRITE_CACHED);
}

int file_fsync(struct file *file, bool datasync)
{
	return sync_file(file, datasync);
}

int file_seek(struct file *file, uint64_t pos, int whence, uint64_t *ret_pos)
{
	struct inode *inode = file->inode;
	int err;

	if ((whence != SEEK_DATA && whence != SEEK_HOLE) || !inode->fops->seek)
		return -EINVAL;
	rwlock_read_lock(&inode->lock);
	err = inode->fops->seek(inode, pos, whence, ret_pos);
	rwlock_read_unlock(&inode->lock);
	return err;
}

static int check_fallocate(const struct file *file, const struct inode_attr *attr, int mode,
			   uint64_t pos, uint64_t len)
{
	const struct inode *inode = file->inode;
	uint64_t end;

	if (len == 0)
		return -EINVAL;
	if (!flags_write(file->flags))
		return -EBADF;
	if (super_is_read_only(inode->sb))
		return -EROFS;
	if ((attr->flags & INODE_APPEND) && (mode & ~FALLOC_FL_KEEP_SIZE))
		return -EPERM;
	if (attr->flags & INODE_IMMUTABLE)
		return -EPERM;
	if (S_ISDIR(attr->mode))
		return -EISDIR;
	if (!inode->fops->fallocate)
		return -EOPNOTSUPP;
	if (__builtin_add_overflow(pos, len, &end) || end > inode->sb->file_bytes_max)
		return -EFBIG;
	return 0;
}

int file_fallocate(struct file *file, int mode, uint64_t pos, uint64_t len)
{
	struct inode *inode = file->inode;
	int err;

	rwlock_write_lock(&inode->lock);
	err = check_fallocate(file, &inode->attr, mode, pos, len);
	if (!err && !file->cred.has_fsetid)
		err = kill_setid(inode);
	if (!err)
		err = inode->fops->fallocate(inode, mode, pos, len);
	rwlock_write_unlock(&inode->lock);
	return err ? err : sync_after_change(file);
}

int dir_read(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg)
{
	int err = 0;

	if (!inode_is_dir(dir))
		return -ENOTDIR;
	rwlock_read_lock(&dir->lock);
	/* A removed directory that somebody still has open is empty: even "." and ".." are gone. */
	if (dir->attr.nlink > 0)
		err = dir->fops->readdir(dir, pos, emit, arg);
	if (err) {
		rwlock_read_unlock(&dir->lock);
		return err;
	}
	end_access(dir);
	return 0;
}

int dir_fsync(struct inode *dir, bool datasync)
{
	return inode_is_dir(dir) ? dir->fops->fsync(dir, datasync) : -ENOTDIR;
}
