/*
 * ext/truncate.h - taking blocks out of a file's tree, in steps that can be interrupted.
 *
 * Purpose     Truncation, hole punching and the emptying of a deleted inode.
 * Locking     inode lock exclusively (or eviction); takes the tree lock.
 * Invariants  U1  between two steps the tree is whole: what is freed is no longer linked.
 * Errors      -EUCLEAN for damage met on the way (told; the rest is freed all the same), -EIO.
 */
#ifndef EXT_TRUNCATE_H
#define EXT_TRUNCATE_H

#include "ext.h"

/*
 * Frees the blocks [from, to) and the indirect blocks that become empty. Pages of the range are
 * gone already. Writes the inode. h may be restarted.
 */
int ext_free_range(struct handle *h, struct inode *inode, lblk_t from, lblk_t to) must_check;
/* Sets the size, shrinking or growing, with all that belongs to it. Starts its own handles. */
int ext_truncate(struct inode *inode, uint64_t size_bytes) must_check;
/* Before pages of it are dropped unwritten: a commit under way may still need them (JOURNAL.md J2). */
void ext_wait_ordered(struct inode *inode);
/* Makes bytes [pos, pos + len) a hole; the size stays. */
int ext_punch_hole(struct inode *inode, uint64_t pos, uint64_t len) must_check;

#endif
