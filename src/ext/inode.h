/*
 * ext/inode.h - inodes between disk and memory: read, written, made, evicted.
 *
 * Purpose     The way of an inode's fields into struct inode and back into its table block.
 * Ownership   ext_inode_new() returns a referenced inode, not live yet.
 * Locking     Writing: the inode lock exclusively, or nobody else knows the inode. The table
 *             block's buffer lock inside.
 * Errors      -EUCLEAN (told; also of one that is not in use), -ESTALE (the same while orphans are cleaned up), -EIO, -ENOMEM, -ENOSPC.
 */
#ifndef EXT_INODE_H
#define EXT_INODE_H

#include "ext.h"

/* Which block of the inode tables has it; 0 for a number that is none. */
fsblk_t ext_inode_block(const struct ext *fs, inr_t ino);
/* Encodes the inode into its table block. A handle with CREDITS_INODE. */
int ext_inode_write(struct handle *h, struct inode *inode) must_check;
/* Changes only dtime, in memory and on disk: for the orphan list, which links inodes it has no lock of. */
int ext_inode_set_dtime(struct handle *h, struct ext *fs, inr_t ino, struct ext_inode_info *info,
			uint32_t dtime) must_check;
/* Whether block[] is a tree of block numbers. */
bool ext_inode_has_tree(const struct inode *inode);
/*
 * A new inode near dir with its attributes settled by wish, times now; nlink as given. It has a
 * number on disk but no name: on failure of the rest set nlink to 0 and put it.
 */
int ext_inode_new(struct handle *h, struct inode *dir, const struct new_inode *wish, uint32_t nlink,
		  struct inode **ret_inode) must_check;

/*
 * An inode that no name leads to (the journal's), outside the vfs's table and only for looking at;
 * not checked further than inode_check() does. Given back with ext_free_reserved().
 */
int ext_read_reserved(struct ext *fs, inr_t ino, struct inode **ret_inode) must_check;
void ext_free_reserved(struct inode *inode);

/* super_ops */
struct inode *ext_alloc_inode(struct super *sb);
void ext_free_inode(struct inode *inode);
int ext_read_inode(struct inode *inode);

/* Changes nlink and moves ctime. */
void ext_set_nlink(struct inode *inode, uint32_t nlink);

#endif
