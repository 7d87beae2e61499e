/*
 * What every operation needs: the inode it names, the error or the entry it answers with.
 */
#include "convert.h"
#include "node.h"
#include "ops.h"

void reply_error(fuse_req_t req, int err)
{
	fuse_reply_err(req, convert_error(err));
}

void reply_entry(fuse_req_t req, struct inode *inode)
{
	struct super *sb = inode->sb;
	struct fuse_entry_param e;

	node_entry(inode, &e);
	node_remember(inode);
	/* The reference is gone with that, and once it has the reply the kernel may forget the inode. */
	if (fuse_reply_entry(req, &e) != 0)
		node_forget(sb, e.ino, 1);	/* O2 */
}

bool node_of(fuse_req_t req, fuse_ino_t id, struct inode **ret_inode)
{
	int err = node_get(front_of(req)->sb, id, ret_inode);

	if (err)
		reply_error(req, err);
	return err == 0;
}
