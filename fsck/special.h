/*
 * fsck/special.h - the inodes that belong to the file system: resize inode and journal.
 *
 * Purpose     Judged before pass 1, because what they claim is metadata. The resize inode's tree follows
 *             from the geometry and can be made again; a journal's superblock can be made empty again, and
 *             its inode has a copy in the superblock.
 * Relies on   Descriptors (super.h).
 * Leaves      A resize inode that fits, or none, with the question put; a journal that a mount can use.
 */
#ifndef FSCK_SPECIAL_H
#define FSCK_SPECIAL_H

#include "context.h"

void special_check_journal(struct fsck *f);
void special_check_resize_inode(struct fsck *f);
/* After pass 1, when a block for it can be had. Sets f->restart if it was made anew. */
void special_make_resize_inode(struct fsck *f);
/* The same for a journal that was lost: without it the next mount would be one of ext2. */
void special_make_journal(struct fsck *f);
/* True: the log holds transactions that are not home. */
bool special_needs_recovery(const struct fsck *f);

#endif
