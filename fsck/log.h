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

#include "block/disk.h"
#include "context.h"

/* Blocks that the inode's size says, no more than there are. */
uint32_t log_claimed_blocks(const struct fsck *f, const struct ext_inode *raw);
/* Why the inode cannot hold a log. */
const char *log_inode_fault(struct fsck *f, const struct ext_inode *raw);
/* Why its first block cannot be a log's superblock. */
const char *log_fault(struct fsck *f, const struct ext_inode *raw);
/* Changes the inode to what the superblock's copy says. False: unchanged, as that cannot hold a log. */
bool log_copy_of_inode(struct fsck *f, union inode_buf *buf);
/*
 * Changes the inode to the copy where its own blocks begin with no log and the copy's do. They may be somebody's
 * data, and a new log's superblock would be written over it.
 */
bool log_lies_elsewhere(struct fsck *f, union inode_buf *buf);
/* Does the usual inode begin with a log, whatever the superblock says? */
bool log_is_in_usual_inode(struct fsck *f);
/*
 * The inode of the log: its own, what a copy of the descriptor leads to, or the superblock's copy. False: there is none
 * that can be read.
 */
bool log_find(struct fsck *f, union inode_buf *ret);
/* What log_fault() says where nothing is wrong but the field that says where the ring begins. */
extern const char log_first_fault[];
/* That field is 1 in every log that lies in an inode: sets it so before a replay. */
void log_mend_first(struct fsck *f, struct disk *disk, const struct ext_inode *raw);
/* Are there transactions in the log, whether or not the superblock says so? */
bool log_has_data(struct fsck *f);

#endif
