/*
 * fsck/alloc.h - blocks and inodes for repairs.
 *
 * Purpose     Gives away what pass 1 found free. Only after pass 1: before it nobody knows.
 * Errors      0: none is left (block 0 and inode 0 are never free).
 */
#ifndef FSCK_ALLOC_H
#define FSCK_ALLOC_H

#include "context.h"

/* A free block near goal, marked as found. */
fsblk_t alloc_block(struct fsck *f, fsblk_t goal);
/* count blocks in a row inside group g, marked as found. */
fsblk_t alloc_run_in_group(struct fsck *f, group_t g, uint32_t count);
/* A free inode that is not reserved, near that of dir, marked as used. */
inr_t alloc_inode(struct fsck *f, inr_t near_ino);

#endif
