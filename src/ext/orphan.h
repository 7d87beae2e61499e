/*
 * ext/orphan.h - inodes that a crash must not forget: unlinked but open, or being truncated.
 *
 * Purpose     The list on disk: superblock -> inode -> inode, linked through dtime. Whoever mounts
 *             after a crash frees or truncates what is on it.
 * Locking     fs->orphan_lock (RANK_ORPHAN) inside the handle.
 * Invariants  E3 of ext.h. An inode is added at most once.
 * Errors      -EIO, -EUCLEAN.
 * Sources     FORMAT.md, orphan list.
 */
#ifndef EXT_ORPHAN_H
#define EXT_ORPHAN_H

#include "ext.h"

/* No-op when it is on the list already. The caller need not write the inode. */
int orphan_add(struct handle *h, struct inode *inode) must_check;
/* No-op when it is not. Leaves dtime 0. */
int orphan_del(struct handle *h, struct inode *inode) must_check;
/* It is the first one on disk: it is in memory too from here on. -EUCLEAN when it was before. */
int orphan_adopt(struct ext *fs, struct inode *inode) must_check;
/* The inode leaves memory: if it is on the list still, its place stays. */
void orphan_leave(struct ext *fs, struct inode *inode);
/* The mount ends, or the list is given up. */
void orphan_done(struct ext *fs);
/* For the clean-up at mount (evict.h): the first one on disk, and changing that. */
inr_t orphan_head(const struct ext *fs);
int orphan_set_head(struct handle *h, struct ext *fs, inr_t ino) must_check;

#endif
