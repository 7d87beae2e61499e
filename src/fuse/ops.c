/*
 * The table of operations, and what is agreed with the kernel at INIT.
 *
 * Left out on purpose: xattrs (not served yet: the kernel learns that with the first question and
 * asks no more, where an answer would cost one GETXATTR before every write), FLUSH (the kernel
 * writes its pages back before it, and that is all there is to do), locks (they stay in the
 * kernel), copy_file_range (the kernel copies by itself) and poll.
 */
#include "ops.h"

#include <errno.h>

#include "base/mem.h"

/* Requests that need no waiting program, such as read-ahead: enough to keep a disk's queue busy. */
#define BACKGROUND_MAX 64u
#define BACKGROUND_CONGESTED 48u
/* One request: as much as a read gives back in one piece. */
#define TRANSFER_BYTES_MAX FILEMAP_READ_MAX

static void want_if_capable(struct fuse_conn_info *conn, unsigned caps)
{
	conn->want |= conn->capable & caps;
}

/*
 * The image is ours alone, so the kernel may keep what it knows. Not asked for: AUTO_INVAL_DATA
 * (nobody changes files behind the kernel), splice (replies come from our own memory),
 * ATOMIC_O_TRUNC and HANDLE_KILLPRIV (with them the kernel would rely on us to clear set-id bits
 * on its cached writes, of which we hear too late), DONT_MASK (until there are ACLs to inherit).
 */
static void op_init(void *arg, struct fuse_conn_info *conn)
{
	struct front *f = arg;

	conn->want = 0;
	want_if_capable(conn, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_WRITEBACK_CACHE |
			      FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			      FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_IOCTL_DIR);
	conn->max_write = TRANSFER_BYTES_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_CONGESTED;
	conn->time_gran = f->time_gran_ns;
	f->has_no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	f->on_init(f->on_init_arg);
}

const struct fuse_lowlevel_ops front_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.ioctl = op_ioctl,
};

int front_init(struct front *f)
{
	f->later = workqueue_create("fuse later", 1, f->sb->clock, 0);
	if (!f->later)
		return -ENOMEM;
	mutex_init(&f->open_lock, RANK_LEAF, "open files");
	list_init(&f->open_files);
	mutex_init(&f->seek_lock, RANK_MOUNT, "seeks put off");
	list_init(&f->seeks);
	work_init(&f->seek_work, seek_work_run);
	return 0;
}

void front_quiesce(struct front *f)
{
	mutex_lock(&f->seek_lock);
	f->is_quiet = true;
	mutex_unlock(&f->seek_lock);
	work_run_pending(f->later);
}

void front_done(struct front *f)
{
	struct open_file *of, *tmp;

	workqueue_destroy(f->later);
	list_for_each_safe(of, tmp, &f->open_files, link) {
		list_del(&of->link);
		file_close(of->file);
		mem_free(of);
	}
	mutex_done(&f->open_lock);
	mutex_done(&f->seek_lock);
}
