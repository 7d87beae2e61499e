/*
 * fsck/log.h - where the log lies, and whether it can be one.
 *
 * Purpose     Replay and repair find the journal alike: through its inode, or through the copy of that in the
 *             superblock.
 * Relies on   A superblock and descriptors that were read (super.h, descs.h); they may still be damaged.
 * Errors      Faults are words for a message; NULL: there is none.
 */
#ifndef FSCK_LOG_H
#define FSCK_LOG_H

#include "context.h"

/* Blocks that the inode's size says, no more than there are. */
uint32_t log_claimed_blocks(const struct fsck *f, const struct ext_inode *raw);
/* Why the inode cannot hold a log. */
const char *log_inode_fault(struct fsck *f, const struct ext_inode *raw);
/* Why its first block cannot be a log's superblock. */
const char *log_fault(struct fsck *f, const struct ext_inode *raw);
/* Changes the inode to what the superblock's copy says. False: unchanged, as that cannot hold a log. */
bool log_copy_of_inode(struct fsck *f, union inode_buf *buf);
/* Does the usual inode hold a log that a mount could use, whatever the superblock says? */
bool log_is_in_usual_inode(struct fsck *f);
/* The inode of the log: its own, or the copy if that leads nowhere. False: there is none that can be read. */
bool log_find(struct fsck *f, union inode_buf *ret);
/* Are there transactions in the log, whether or not the superblock says so? */
bool log_has_data(struct fsck *f);

#endif
