/*
 * fuse/ops.h - one small function an operation.
 *
 * Purpose     Each takes a request apart, calls the vfs, and replies. Permission was checked by
 *             the kernel (default_permissions), the umask applied by it.
 * Ownership   struct front is the session's. An open file belongs to the kernel's file handle,
 *             and is on front->open_files until RELEASE or the end of the session.
 * Locking     Any number of operations at once; what excludes them from each other is the vfs's.
 * Invariants  O1  every request is answered exactly once.
 *             O2  a giving that the kernel did not receive is taken back: an interrupted LOOKUP
 *                 leaves no inode behind that nobody would ever forget.
 * Sources     linux/fuse.h.
 */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include <fuse_lowlevel.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/work.h"
#include "vfs/file.h"
#include "vfs/super.h"

struct front {
	/* configuration */
	struct super *sb;
	uint32_t time_gran_ns;
	void (*on_init)(void *arg);	/* the kernel and we agreed; on a serving thread */
	void *on_init_arg;

	/* state */
	struct fuse_session *se;	/* set once, before the first request */
	struct workqueue *later;	/* one thread, for what a serving thread must not wait for */
	struct mutex seek_lock;		/* RANK_MOUNT: work is queued under it */
	struct list seeks;		/* [seek_lock] put off, for seek_work */
	bool is_quiet;			/* [seek_lock] nothing is put off any more */
	struct work seek_work;
	bool has_no_opendir;		/* the kernel takes ENOSYS for "open directories yourself" */
	struct mutex open_lock;		/* RANK_LEAF */
	struct list open_files;		/* [open_lock] struct open_file */
};

/*
 * References: the kernel's handle, until RELEASE; and a READ, whose reply lets the kernel release
 * the file before we are through with the pages.
 */
struct open_file {
	struct file *file;
	_Atomic uint32_t refs;
	_Atomic uint64_t blocks_told;	/* st_blocks as the kernel heard last, as far as this handle knows */
	struct list link;		/* [front->open_lock] */
};

/*
 * How long attributes hold that were told while the file was being written: the kernel knows its
 * size and times better than we, but of the blocks that its cached writes took it hears only from
 * us, when it asks.
 */
#define WRITER_ATTR_TIMEOUT_SECONDS 1.0

extern const struct fuse_lowlevel_ops front_ops;

int front_init(struct front *f) must_check;
/* Finishes what was put off; while requests are still served, since it may wait for some of them. */
void front_quiesce(struct front *f);
void front_done(struct front *f);	/* no request is under way: closes what is still open */

/* For the files of operations. */
static inline struct open_file *open_file_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

/* Valid until the reply is sent. */
static inline struct file *file_of(const struct fuse_file_info *fi)
{
	return open_file_of(fi)->file;
}

static inline struct front *front_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void reply_error(fuse_req_t req, int err);	/* 0 or negative errno */
/* Gives inode to the kernel; consumes the caller's reference. */
void reply_entry(fuse_req_t req, struct inode *inode);
/* Looks up node id and replies with the error if there is none: false then. */
bool node_of(fuse_req_t req, fuse_ino_t id, struct inode **ret_inode);

/* ops_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t nr);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_readlink(fuse_req_t req, fuse_ino_t id);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t old_parent, const char *old_name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name);

/* ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t id);

/* ops_ioctl.c */
void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size);

/* ops_data.c */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t size, off_t pos,
	      struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t pos, off_t len, struct fuse_file_info *fi);

/* ops_seek.c */
void seek_work_run(struct work *w);
void op_lseek(fuse_req_t req, fuse_ino_t id, off_t pos, int whence, struct fuse_file_info *fi);

/* ops_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);

#endif
