/*
 * fsck/descs.h - pass 0: the group descriptors.
 *
 * Purpose     Places that pass 1 may follow: possible, and from the copies where the primary's are not,
 *             or where nothing at them can be what the primary says.
 * Ownership   Fills f->desc and the bad_* maps; descs_forget() frees them.
 * Relies on   A geometry (super.h).
 * Leaves      Every place in f->desc lies inside its group, or is marked in a bad_* map.
 */
#ifndef FSCK_DESCS_H
#define FSCK_DESCS_H

#include "context.h"

void descs_read(struct fsck *f);
void descs_forget(struct fsck *f);
/*
 * The superblock's totals lag behind the groups' while a journal is in use, and nobody calls that damage:
 * before a check that may write they are set to the sums.
 */
void descs_take_totals(struct fsck *f);
void descs_check(struct fsck *f);
/* How many groups have neither a possible descriptor nor a possible copy of it. */
group_t descs_count_lost(struct fsck *f);
/* Reads an inode where a copy of its group's descriptor says that it lies. False: none says another place. */
bool descs_read_inode(struct fsck *f, inr_t ino, union inode_buf *ret);
/* How well the inodes that they lead to can be believed, the root directory most of all. */
int64_t descs_judge(struct fsck *f);
/* The block number index of the table, to its place in the primary or in a copy. */
void descs_write_block(struct fsck *f, fsblk_t block, uint32_t index);
void descs_write(struct fsck *f);

#endif
