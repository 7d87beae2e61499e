/*
 * fuse/node.h - node ids, and how often the kernel was given each.
 *
 * Purpose     A node id is the inode's number, with one exception: the kernel calls the root 1,
 *             whatever its number on disk. What an NFS client kept therefore still means the
 *             same inode after the kernel, or this daemon, forgot it.
 * Ownership   The kernel's knowing an inode is no reference: with links it may leave memory, and
 *             comes back by its number. Without links it stays until the last giving is taken
 *             back (vfs/inode.h). The root is the super's own and is not counted.
 * Locking     The vfs's.
 * Errors      -ESTALE the number names no inode in use; -EIO, -EUCLEAN, -ENOMEM.
 * Sources     linux/fuse.h; SEMANTICS.
 */
#ifndef FUSE_NODE_H
#define FUSE_NODE_H

#include <fuse_lowlevel.h>

#include "vfs/inode.h"
#include "vfs/super.h"

/* How long the kernel may believe what it was told: as good as for ever, the image is ours alone. */
#define NODE_TIMEOUT_SECONDS (365.0 * 24 * 3600)

fuse_ino_t node_id(const struct inode *inode);
/* Referenced. Works for inodes the kernel knows and for those it forgot. */
int node_get(struct super *sb, fuse_ino_t id, struct inode **ret_inode) must_check;
/* The kernel is about to be given inode once more: the caller's reference goes. */
void node_remember(struct inode *inode);
/* Takes back nr givings. */
void node_forget(struct super *sb, fuse_ino_t id, uint64_t nr);
/* What the kernel is told of inode: id, generation, attributes, timeouts. */
void node_entry(struct inode *inode, struct fuse_entry_param *ret);
/* What it is told of a name that does not exist, so that it need not ask again. */
void node_negative_entry(struct fuse_entry_param *ret);

#endif
