/*
 * ext/balloc.h - blocks: given near a goal, kept together for each growing file, taken back.
 *
 * Purpose     Allocation of runs of blocks. A growing file holds a reservation window, in memory
 *             only, in which nobody else allocates while there is space elsewhere: so several
 *             writers at once each get long runs.
 * Ownership   A block belongs to whoever it was returned to until balloc_free().
 * Locking     Bitmap bytes: their buffer lock, inside which the reserve lock is taken. The caller
 *             holds the inode's tree lock exclusively when it passes one.
 * Invariants  A1  windows do not overlap (fs->reserves).
 *             A2  a block is returned to one caller only: its bit goes from clear to set under
 *                 the bitmap's lock.
 * Errors      -ENOSPC; -EUCLEAN a bitmap is impossible; -EIO.
 */
#ifndef EXT_BALLOC_H
#define EXT_BALLOC_H

#include "ext.h"

void balloc_init(struct ext *fs);
void balloc_done(struct ext *fs);	/* all windows are dropped */

struct alloc_request {
	struct ext_inode_info *info;	/* whose window to use; NULL: none */
	fsblk_t goal;			/* where it would be best; 0: anywhere */
	uint32_t count;			/* how many are wanted, at least 1 */
	bool may_use_reserved;
};

/* A run of 1 to request->count blocks, marked used and accounted. */
int balloc_new(struct handle *h, struct ext *fs, const struct alloc_request *request, fsblk_t *ret_first,
	       uint32_t *ret_count) must_check;
/*
 * Gives blocks back. Ones that are no file's blocks, or free already, are damage: told, and left.
 * The caller has forgotten their cached content before.
 */
int balloc_free(struct handle *h, struct ext *fs, inr_t ino, fsblk_t first, uint64_t count) must_check;
/* Forgets the inode's window. Idempotent. tree_lock held exclusively, or the inode is going away. */
void balloc_drop_window(struct ext *fs, struct ext_inode_info *info);
void balloc_init_window(struct ext_inode_info *info);

#endif
