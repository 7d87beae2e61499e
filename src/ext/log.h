/*
 * ext/log.h - the journal of a mount: found, recovered, started, stopped.
 *
 * Purpose     Ties the journal's room to the file system: where the log lies, what is written
 *             before a commit, what a commit sets free, what an abort does.
 * Ownership   fs->journal, from log_start() to log_stop().
 * Locking     Mount and unmount are alone.
 * Errors      As journal/journal.h; `why` names what is wrong.
 */
#ifndef EXT_LOG_H
#define EXT_LOG_H

#include "ext.h"
#include "journal/journal.h"

/*
 * Groups and superblock are loaded. Finds the journal inode and reads the log's superblock. On
 * success *ret_journal is loaded and neither recovered nor started.
 */
int log_open(struct ext *fs, struct journal **ret_journal, char *why, size_t why_size) must_check;
/* The log is empty: needs_recovery is set on disk, durably, and fs->journal begins to take handles. */
int log_start(struct ext *fs, struct journal *j, char *why, size_t why_size) must_check;
/* Everything home, the log empty; fs->journal is NULL afterwards. */
int log_stop(struct ext *fs) must_check;

/*
 * Writes a file's data. An error also if any of it could not be written since a transaction that is not
 * durable yet gave it blocks: that transaction must not become durable.
 */
int log_write_ordered(struct ext_inode_info *info) must_check;
/*
 * An operation found no space. True when blocks were freed a moment ago and are free for good now:
 * then it is worth another try. *tries counts them.
 */
bool log_frees_space(struct ext *fs, int err, unsigned *tries);
/* At least `credits` more for h: extended, or the inode written and the handle begun anew. */
int log_ensure(struct handle *h, struct inode *inode, uint32_t credits) must_check;

#endif
