/*
 * ext/blockmap.h - where a file's blocks lie: the indirect tree, found and grown.
 *
 * Purpose     Logical blocks to runs of disk blocks. Answers are runs, not single blocks, so a
 *             megabyte costs one walk of the tree and one I/O.
 * Ownership   None passes.
 * Locking     Takes info->tree_lock itself: shared to find, exclusive to grow.
 * Invariants  T1  a block number that was read from the tree is checked before it is returned.
 *             T2  when growing fails nothing hangs in the tree and nothing stays allocated.
 * Errors      -EFBIG behind what the tree reaches; -EUCLEAN an impossible block number (told);
 *             -ENOSPC, -EIO, -ENOMEM.
 */
#ifndef EXT_BLOCKMAP_H
#define EXT_BLOCKMAP_H

#include "ext.h"

struct block_run {
	fsblk_t block;		/* 0: a hole */
	uint64_t count;		/* at least 1, at most what was asked for */
	bool is_new;		/* allocated by this call */
};

/* The run from lblk on, at most max blocks long. */
int blockmap_find(struct inode *inode, lblk_t lblk, uint64_t max, struct block_run *ret_run) must_check;
/*
 * The same, allocating where there is a hole. The caller writes the inode afterwards, under the
 * same handle, which needs CREDITS_BRANCH for each call.
 */
int blockmap_alloc(struct handle *h, struct inode *inode, lblk_t lblk, uint32_t max, bool may_use_reserved,
		   struct block_run *ret_run) must_check;
/* The tree shrank: forget what was remembered. */
void blockmap_forget_runs(struct ext_inode_info *info);

#endif
