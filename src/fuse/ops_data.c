/*
 * Open files and their bytes.
 *
 * With the kernel's write-back cache it is the kernel that appends, fills pages around a partial
 * write and knows the size, so a file that was opened to write is also read from here, and WRITE
 * always says where.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "convert.h"
#include "node.h"
#include "ops.h"
#include "vfs/namei.h"

static uint64_t blocks_of(struct inode *inode)
{
	struct inode_attr attr;

	inode_attr(inode, &attr);
	return attr.blocks_512;
}

static int handle_open(fuse_req_t req, struct inode *inode, struct fuse_file_info *fi)
{
	struct front *f = front_of(req);
	struct open_file *of;
	struct cred cred;
	/* What O_SYNC promises is kept at each write (below), or by the kernel's FSYNC after it. */
	int flags = fi->flags & ~(O_SYNC | O_DSYNC);
	int err;

	of = mem_alloc(sizeof(*of));
	if (!of)
		return -ENOMEM;
	if ((flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	convert_cred(fuse_req_ctx(req), &cred);
	err = file_open(inode, flags, &cred, &of->file);
	if (err) {
		mem_free(of);
		return err;
	}
	atomic_init(&of->refs, 1);
	atomic_init(&of->blocks_told, blocks_of(inode));
	mutex_lock(&f->open_lock);
	list_add_tail(&f->open_files, &of->link);
	mutex_unlock(&f->open_lock);
	fi->fh = (uint64_t)(uintptr_t)of;
	fi->keep_cache = 1;	/* nobody but this kernel changes the file */
	return 0;
}

static void open_file_put(struct front *f, struct open_file *of)
{
	if (atomic_fetch_sub(&of->refs, 1) > 1)
		return;
	mutex_lock(&f->open_lock);
	list_del(&of->link);
	mutex_unlock(&f->open_lock);
	file_close(of->file);
	mem_free(of);
}

/* As reply_entry(), with the handle beside it. */
static void reply_created(fuse_req_t req, struct inode *inode, const struct fuse_file_info *fi)
{
	struct front *f = front_of(req);
	struct fuse_entry_param e;

	node_entry(inode, &e);
	e.attr_timeout = WRITER_ATTR_TIMEOUT_SECONDS;
	node_remember(inode);
	if (fuse_reply_create(req, &e, fi) == 0)
		return;
	open_file_put(f, open_file_of(fi));
	node_forget(f->sb, e.ino, 1);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, struct fuse_file_info *fi)
{
	struct name name = convert_name(text);
	struct inode *dir, *inode;
	struct cred cred;
	int err;

	if (!node_of(req, parent, &dir))
		return;
	convert_cred(fuse_req_ctx(req), &cred);
	err = vfs_mknod(dir, &name, S_IFREG | (mode & 07777), 0, 0, &cred, &inode);
	inode_put(dir);
	if (err) {
		reply_error(req, err);
		return;
	}
	err = handle_open(req, inode, fi);
	if (err) {
		inode_put(inode);
		reply_error(req, err);
		return;
	}
	reply_created(req, inode, fi);
}

void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct front *f = front_of(req);
	struct inode *inode;
	int err;

	if (!node_of(req, id, &inode))
		return;
	err = handle_open(req, inode, fi);
	inode_put(inode);
	if (err)
		reply_error(req, err);
	else if (fuse_reply_open(req, fi) != 0)
		open_file_put(f, open_file_of(fi));
}

void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id;
	open_file_put(front_of(req), open_file_of(fi));
	fuse_reply_err(req, 0);
}

/* For a view of more pieces than one writev() takes: small blocks, scattered in memory. */
static void reply_copy(fuse_req_t req, const struct filemap_view *view)
{
	char *bytes = mem_alloc(view->len_bytes);
	size_t at = 0;

	if (!bytes) {
		reply_error(req, -ENOMEM);
		return;
	}
	for (uint32_t i = 0; i < view->nr_iov; i++) {
		memcpy(bytes + at, view->iov[i].iov_base, view->iov[i].iov_len);
		at += view->iov[i].iov_len;
	}
	counter_add(&front_of(req)->sb->transfers.gathered_bytes, at);
	fuse_reply_buf(req, bytes, at);
	mem_free(bytes);
}

void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi)
{
	const uint32_t iov_max = IOV_MAX - 1;	/* libfuse puts its header before ours */
	struct open_file *of = open_file_of(fi);
	struct front *f = front_of(req);
	struct filemap_view view;
	int err;

	(void)id;
	/* INIT agreed on no more; a shorter answer would look like the end of the file. */
	if (size > FILEMAP_READ_MAX) {
		reply_error(req, -EINVAL);
		return;
	}
	err = file_read(of->file, (uint64_t)pos, size, &view);
	if (err) {
		reply_error(req, err);
		return;
	}
	counter_add(&f->sb->transfers.reads, 1);
	counter_add(&f->sb->transfers.read_bytes, view.len_bytes);
	atomic_fetch_add(&of->refs, 1);
	if (view.nr_iov <= iov_max)
		fuse_reply_iov(req, view.iov, (int)view.nr_iov);
	else
		reply_copy(req, &view);
	file_read_done(of->file, &view);
	open_file_put(f, of);
}

/*
 * A write around the kernel's cache (O_DIRECT) carries the promise of O_SYNC in its flags; for
 * pages of the cache the kernel sends FSYNC itself.
 */
static int sync_if_promised(struct file *file, const struct fuse_file_info *fi)
{
	if (fi->writepage || !(fi->flags & O_DSYNC))
		return 0;
	return file_fsync(file, (fi->flags & O_SYNC) != O_SYNC);
}

void op_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t size, off_t pos,
	      struct fuse_file_info *fi)
{
	struct file *file = file_of(fi);
	ssize_t written;
	int err;

	(void)id;
	if (fi->writepage)
		written = file_write_cached(file, (uint64_t)pos, bytes, size);
	else
		written = file_write(file, (uint64_t)pos, bytes, size, false);
	if (written < 0) {
		reply_error(req, (int)written);
		return;
	}
	counter_add(&front_of(req)->sb->transfers.writes, 1);
	counter_add(&front_of(req)->sb->transfers.write_bytes, (uint64_t)written);
	err = sync_if_promised(file, fi);
	if (err)
		reply_error(req, err);
	else
		fuse_reply_write(req, (size_t)written);
}

/*
 * Has the kernel ask for the attributes again if blocks came or went. Looking the inode up, it may
 * wait for one that is being evicted; this one is not, since a program is inside fsync with it.
 */
static void tell_new_blocks(struct front *f, fuse_ino_t id, struct open_file *of)
{
	uint64_t blocks = blocks_of(of->file->inode);

	if (atomic_exchange(&of->blocks_told, blocks) != blocks)
		ignore(fuse_lowlevel_notify_inval_inode(f->se, id, -1, 0), "stale totals harm nobody");
}

void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	int err = file_fsync(file_of(fi), datasync != 0);

	tell_new_blocks(front_of(req), id, open_file_of(fi));
	reply_error(req, err);
}

void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t pos, off_t len, struct fuse_file_info *fi)
{
	(void)id;
	reply_error(req, file_fallocate(file_of(fi), mode, (uint64_t)pos, (uint64_t)len));
}
