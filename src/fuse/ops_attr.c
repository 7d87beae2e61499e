/*
 * Attributes and totals.
 */
#include "convert.h"
#include "node.h"
#include "ops.h"
#include "vfs/namei.h"

static void reply_attr(fuse_req_t req, struct inode *inode, double timeout_seconds)
{
	struct stat st;

	convert_inode(inode, &st);
	fuse_reply_attr(req, &st, timeout_seconds);
}

void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct inode *inode;

	(void)fi;	/* an unlinked open file is found by its number as long as it is open */
	if (!node_of(req, id, &inode))
		return;
	reply_attr(req, inode, NODE_TIMEOUT_SECONDS);
	inode_put(inode);
}

/* Cutting off much may take many milliseconds without waiting for a disk: let others be served. */
static void announce_long_truncate(struct inode *inode, const struct setattr *sa)
{
	const uint64_t much_bytes = 64u << 20;
	struct inode_attr attr;

	if (!(sa->valid & SETATTR_SIZE))
		return;
	inode_attr(inode, &attr);
	if (attr.size_bytes > sa->size_bytes && attr.size_bytes - sa->size_bytes >= much_bytes)
		thread_will_block();
}

void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct inode *inode;
	struct setattr sa;
	struct cred cred;
	int err;

	if (!node_of(req, id, &inode))
		return;
	convert_cred(fuse_req_ctx(req), &cred);
	err = convert_setattr(attr, to_set, &sa);
	if (!err) {
		announce_long_truncate(inode, &sa);
		err = vfs_setattr(inode, &sa, &cred);
	}
	if (err)
		reply_error(req, err);
	else
		reply_attr(req, inode, fi ? WRITER_ATTR_TIMEOUT_SECONDS : NODE_TIMEOUT_SECONDS);
	inode_put(inode);
}

void op_statfs(fuse_req_t req, fuse_ino_t id)
{
	struct statfs_info info;
	struct statvfs st;
	int err;

	(void)id;
	err = super_statfs(front_of(req)->sb, &info);
	if (err) {
		reply_error(req, err);
		return;
	}
	convert_statfs(&info, &st);
	fuse_reply_statfs(req, &st);
}
