/*
 * Directories: no handle is kept, since positions are stable by themselves.
 */
#include <errno.h>

#include "dirbuf.h"
#include "node.h"
#include "ops.h"

/*
 * ENOSYS once, and the kernel opens directories by itself from then on, keeping their listings.
 * Kernels before 5.1 need the answer each time. The image is ours alone, so a listing stays true
 * until the kernel itself changes the directory.
 */
void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id;
	if (front_of(req)->has_no_opendir) {
		reply_error(req, -ENOSYS);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void list(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, bool is_plus)
{
	struct front *f = front_of(req);
	struct inode *dir;
	struct dirbuf d;
	int err;

	if (!node_of(req, id, &dir))
		return;
	err = dirbuf_init(&d, req, f->sb, size, is_plus);
	if (err)
		goto out_put;
	err = dir_read(dir, (uint64_t)pos, dirbuf_emit, &d);
	/* What was read before the damage is delivered; the next call meets the error again. */
	if (d.used_bytes > 0)
		err = 0;
	if (!err && fuse_reply_buf(req, d.bytes, d.used_bytes) != 0)
		dirbuf_undo(&d);
	dirbuf_done(&d);
out_put:
	inode_put(dir);
	if (err)
		reply_error(req, err);
}

void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, id, size, pos, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t pos, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, id, size, pos, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	struct inode *dir;
	int err;

	(void)fi;
	if (!node_of(req, id, &dir))
		return;
	err = dir_fsync(dir, datasync != 0);
	inode_put(dir);
	reply_error(req, err);
}
