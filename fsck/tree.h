/*
 * fsck/tree.h - a walk over every block of an inode.
 *
 * Purpose     One walker for all passes: it meets each pointer of the tree from the top, and the
 *             visitor says whether to go below it and may change it.
 * Ownership   The walk borrows the inode's bytes; changed indirect blocks are written by the walk,
 *             a changed inode by the caller.
 * Locking     One thread.
 * Invariants  T1  A pointer is visited before the block that it names is read.
 *             T2  Nothing is read at a place that the visitor did not agree to.
 */
#ifndef FSCK_TREE_H
#define FSCK_TREE_H

#include "context.h"

enum tree_verdict {
	TREE_GO, /* below an indirect block: go on there */
	TREE_SKIP, /* not below this one */
	TREE_STOP,
};

struct tree_walk;

/* level 0 is data, 1 to 3 an indirect block; lblk the first block of the file below. Never called for 0. */
typedef enum tree_verdict (*tree_visit_fn)(struct tree_walk *w, uint32_t *pointer, unsigned level,
					   lblk_t lblk);
/* The indirect block at block was read: is it to be walked? NULL: always. */
typedef bool (*tree_look_fn)(struct tree_walk *w, fsblk_t block, unsigned level, lblk_t lblk,
			     const le32_t *slots);
/* It could not be read. NULL: skip it. True: clear the pointer. */
typedef bool (*tree_unreadable_fn)(struct tree_walk *w, fsblk_t block, unsigned level, lblk_t lblk);
/* Slots of the indirect block at block were changed: are they to be written? NULL: always. */
typedef bool (*tree_may_write_fn)(struct tree_walk *w, fsblk_t block);

struct tree_walk {
	struct fsck *f;
	inr_t ino;
	tree_visit_fn visit;
	tree_look_fn look;
	tree_unreadable_fn unreadable;
	tree_may_write_fn may_write;
	void *arg;
	/* set by the walk */
	bool inode_changed;
	bool stopped;
};

void tree_walk(struct tree_walk *w, struct ext_inode *inode);

/*
 * Does block[] hold block numbers, as e2fsck and the kernel take it: files, directories, and symlinks
 * that are neither empty nor short enough to lie in the inode. A target that is there to be read is one.
 */
bool tree_exists(const struct fsck *f, const struct ext_inode *inode);

#endif
