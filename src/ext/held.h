/*
 * ext/held.h - blocks that are free in the bitmap, and not to be given away yet.
 *
 * Purpose     Two reasons: the transaction that freed a block is not durable, and until it is the older
 *             content counts (J6); or the disk is being told that the block is free (trim).
 * Ownership   A held run belongs to fs until it is released; a trimmed one to who took it.
 * Locking     fs->held_lock (RANK_RESERVE). Whoever holds a group's bitmap locked sees a bit
 *             as held or as free, never as neither.
 * Invariants  A3  no block is given away while its bit is set in its group's map of held ones.
 * Errors      -ENOMEM
 */
#ifndef EXT_HELD_H
#define EXT_HELD_H

#include "ext.h"

void held_init(struct ext *fs);
void held_done(struct ext *fs);		/* nothing is held any more */

/* Keeps blocks that the handle frees until its transaction is durable; without a journal does nothing. */
int held_add_freed(struct handle *h, struct ext *fs, group_t g, grpblk_t bit, uint32_t count) must_check;
/* Transaction tid and all before it are durable: what they freed may be given away. */
void held_release_freed(struct ext *fs, tid_t tid);
void held_release_all_freed(struct ext *fs);

/*
 * The bitmap to search: the disk's, or `merged` (of EXT_BLOCK_SIZE_MAX bytes), which has the held ones set as
 * well. The group's bitmap is locked.
 */
const void *held_merge(struct ext *fs, group_t g, const void *bitmap, uint64_t *merged);

/*
 * Holds the first run of at least count_min free blocks among the bits [from, end) of a group, as long as
 * it is; count is 0 when there is none. To be released soon: somebody may be waiting for space.
 */
struct held_run {
	group_t group;
	grpblk_t bit;
	uint32_t count;
};
int held_take_free(struct ext *fs, group_t g, grpblk_t from, grpblk_t end, uint32_t count_min,
		   struct held_run *ret) must_check;
void held_release(struct ext *fs, const struct held_run *run);

/*
 * For who found no space: true when runs were being trimmed since held_count_trims() said so, after waiting
 * for one that still is. Then it is worth another look.
 */
uint32_t held_count_trims(struct ext *fs);
bool held_wait_for_trims(struct ext *fs, uint32_t trims_seen);

#endif
