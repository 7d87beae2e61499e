/*
 * fsck/blocks.h - pass 1's check of the blocks of one inode.
 *
 * Purpose     Walks the tree, claims its blocks, and compares size and block count with what is there.
 * Relies on   f->meta and f->found (tables.h).
 * Leaves      Claims in f->found, second claims in f->dup, directory blocks in f->dir_blocks,
 *             inodes for blocks_mend() in f->mend.
 */
#ifndef FSCK_BLOCKS_H
#define FSCK_BLOCKS_H

#include "claims.h"

/* Checks all blocks, the attribute block too. */
void blocks_check(struct inode_check *c);

/*
 * After all inodes were checked: clears what is impossible in indirect blocks that have one owner. The others
 * wait until pass 1B has given their owners a block each.
 */
void blocks_mend(struct fsck *f);

/* Lists the blocks of one directory in f->dir_blocks, where pass 1 had no room for all (f->dirs_unlisted). */
void blocks_list_dir(struct fsck *f, inr_t ino);

/* The bad-blocks inode's list: it claims blocks that nobody uses. */
void blocks_check_bad_list(struct inode_check *c);

#endif
