/*
 * Node ids and look-up counts.
 */
#include "node.h"

#include <errno.h>
#include <string.h>

#include "convert.h"

/* Freeing a file of this size may take many milliseconds without ever waiting for a disk. */
#define LONG_EVICTION_BYTES (64u << 20)

static bool is_root(const struct inode *inode)
{
	return inode == inode->sb->root;
}

fuse_ino_t node_id(const struct inode *inode)
{
	return is_root(inode) ? FUSE_ROOT_ID : inode->ino;
}

int node_get(struct super *sb, fuse_ino_t id, struct inode **ret_inode)
{
	if (id == FUSE_ROOT_ID) {
		*ret_inode = inode_ref(sb->root);
		return 0;
	}
	/* The root has one id only; two would be two inodes to the kernel. */
	if (id == 0 || id > UINT32_MAX || id == sb->root->ino)
		return -ESTALE;
	return inode_get(sb, (inr_t)id, ret_inode);
}

void node_remember(struct inode *inode)
{
	if (!is_root(inode))
		inode_remember(inode);
	inode_put(inode);
}

/* A thread more for the others, if dropping the last reference is going to take long. */
static void announce_long_eviction(struct inode *inode)
{
	struct inode_attr attr;

	inode_attr(inode, &attr);
	if (attr.nlink == 0 && attr.size_bytes >= LONG_EVICTION_BYTES)
		thread_will_block();
}

void node_forget(struct super *sb, fuse_ino_t id, uint64_t nr)
{
	struct inode *inode;

	if (id == FUSE_ROOT_ID || id > UINT32_MAX || id == sb->root->ino)
		return;
	inode = inode_forget(sb, (inr_t)id, nr);
	if (!inode)
		return;
	announce_long_eviction(inode);
	inode_put(inode);
}

void node_entry(struct inode *inode, struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->ino = node_id(inode);
	ret->generation = inode->generation;
	ret->attr_timeout = NODE_TIMEOUT_SECONDS;
	ret->entry_timeout = NODE_TIMEOUT_SECONDS;
	convert_inode(inode, &ret->attr);
}

void node_negative_entry(struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->entry_timeout = NODE_TIMEOUT_SECONDS;
}
