/*
 * fsck/maketree.h - lists of blocks, and a tree of indirect blocks made for one.
 *
 * Purpose     What replaces all blocks of an inode at once: the list of bad blocks, a directory that was
 *             made anew. The tree is written where nothing was, so that the inode's own write is the moment
 *             of the change.
 * Relies on   Pass 1 (alloc.h).
 * Errors      Lists end the check when there is no memory.
 */
#ifndef FSCK_MAKETREE_H
#define FSCK_MAKETREE_H

#include "context.h"

struct block_list {
	uint32_t *blocks;
	size_t count, room;
};

void block_list_add(struct fsck *f, struct block_list *list, fsblk_t block);
void block_list_done(struct block_list *list);

/*
 * Fills slots with a tree over these blocks, in this order and without holes; its indirect blocks are
 * allocated, written, and added to made. False: no block is free; what is in made stays the caller's.
 */
bool maketree(struct fsck *f, const struct block_list *data, fsblk_t goal, le32_t slots[EXT_N_BLOCKS],
	      struct block_list *made) must_check;

/* All blocks that a whole tree has, indirect ones too. */
void maketree_collect(struct fsck *f, inr_t ino, const struct ext_inode *inode,
		      struct block_list *list);

#endif
