/*
 * journal/journal.h - the write-ahead log of one file system.
 *
 * Purpose     Makes many changes of metadata one: after a crash each transaction happened or it
 *             did not. The log on disk is jbd2's, so Linux and e2fsck recover it too.
 * Ownership   journal_load() makes it, journal_destroy() ends it. Disk, clock, work queue and
 *             buffer cache are the mounter's and outlive it.
 * Locking     journal->lock (RANK_JOURNAL) guards its lists and states; page locks come before it.
 *             No lock is held over I/O but the committer's and the checkpointer's turn.
 * Invariants  J1  a commit block is written when all that it covers is durable, or carries the
 *                 checksum that shows it when it is not.
 *             J2  ordered data is durable before the commit block of the transaction that
 *                 allocated its blocks.
 *             J3  a buffer goes home only when the transaction that changed it last is durable.
 *             J4  the tail passes a transaction when all its blocks are durable at home, or in
 *                 the log again in a later durable transaction.
 *             J5  log space is overwritten when the tail that frees it is durable.
 *             J6  a freed block is not used again before the transaction that freed it is durable.
 *             J7  after an abort nothing more is written to the log or, of what it held, home.
 *             J8  data that the log may hold is changed by logging it again, not in place.
 * Units       Log blocks count from 0, the journal superblock, to the end of the journal.
 * Errors      -EUCLEAN a log that is impossible, -EIO, -ENOMEM, -EROFS aborted, -EOPNOTSUPP.
 * Sources     JOURNAL.md; the kernel's document of jbd2.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/clock.h"
#include "base/list.h"
#include "base/stats.h"
#include "base/types.h"
#include "base/work.h"
#include "cache/buffer.h"

typedef uint32_t tid_t;

/* tids go round; the nearer way decides. */
static inline bool tid_geq(tid_t a, tid_t b)
{
	return (int32_t)(a - b) >= 0;
}

struct disk;
struct handle;
struct journal;
struct transaction;

/* Where log blocks lie: log_block .. log_block + count - 1 at block .. */
struct journal_extent {
	uint32_t log_block;
	uint32_t count;
	fsblk_t block;
};

/*
 * A file whose data must be durable before the transaction that gave it blocks. Embedded in the
 * file system's inode. Two links, as it may be in the running and the committing transaction.
 */
struct journal_inode {
	struct list link[2];		/* [journal lock] by parity of the tid */
	bool is_writing;		/* [journal lock] the committer is at it */
	uint32_t nr_visits;		/* [journal lock] journal_visit_ordered() is at it */
};

struct journal_ops {
	/* Writes the file's dirty data and waits. No lock held. */
	int (*write_ordered)(struct journal_inode *ji);
	/* Transaction tid is durable; what it freed may be used again. No lock held. */
	void (*committed)(void *arg, tid_t tid);
	/* The journal gave up: once, with the first error. No lock held. */
	void (*aborted)(void *arg, int err, const char *why);
};

enum journal_commit_flush {
	COMMIT_ASYNC,		/* checksum in place of the flush before the commit block, where J2 allows */
	COMMIT_TWO_FLUSHES,
	COMMIT_NO_FLUSH,	/* barrier=0: for disks that keep what they said they have */
};

struct journal_config {
	struct disk *disk;
	uint32_t block_bytes;
	const struct journal_extent *extents;	/* copied; ascending, without gaps, from log block 0 */
	uint32_t nr_extents;
	struct clock *clock;
	/* What follows is for journal_start(); recovery alone needs none of it. */
	struct buffer_cache *buffers;
	struct workqueue *work;			/* for commits by age; NULL: never by themselves */
	uint32_t commit_interval_ms;		/* default 5000 */
	uint32_t tx_blocks_max;			/* 0: a quarter of the log, and what the cache can pin */
	enum journal_commit_flush flush;
	bool has_checksum;			/* v1: CRC32 in the commit block */
	const struct journal_ops *ops;
	void *ops_arg;
};

struct journal_stats {
	counter_t handles, commits, commits_by_age, commits_by_size, commits_by_sync, empty_commits;
	counter_t blocks_logged, revokes, checkpoints, tail_updates;
	counter_t waits_locked, waits_space, waits_size;
	counter_t flushes;
};

/* Reads and checks the journal superblock. The log's content is not looked at. */
int journal_load(const struct journal_config *config, struct journal **ret_journal, char *why, size_t why_size) must_check;
/* Whether the log holds transactions. */
bool journal_needs_recovery(const struct journal *j);
/* Why it was aborted when it was last used, as a positive errno; 0: it was not. */
int journal_recorded_error(const struct journal *j);

struct journal_recovery {
	tid_t first_tid, end_tid;	/* replayed: [first, end) */
	uint32_t nr_transactions, nr_blocks, nr_revoked;
	bool was_torn;			/* the last transaction was cut off, and dropped */
	bool is_corrupt;		/* damage before a valid later transaction: run fsck */
	char text[160];			/* what was found, for people */
};
/*
 * Scan, revoke, replay; then the blocks are durable and the log is empty. Safe to be cut at any
 * point and begun again. -EUCLEAN with is_corrupt when damage lies in the middle: replayed up to
 * there, the log left as it was.
 */
int journal_recover(struct journal *j, struct journal_recovery *ret) must_check;

/* Empties the log without replaying it; later transactions get tids that it never used. */
int journal_wipe(struct journal *j) must_check;

/* The log is empty and changes may begin. */
int journal_start(struct journal *j) must_check;
/* Commits, writes all home and leaves an empty log, unless it was aborted or never started. */
int journal_destroy(struct journal *j) must_check;

/* Blocks that one transaction may touch; a handle asks for less. */
uint32_t journal_tx_blocks_max(const struct journal *j);
/* Waits until tid is durable, committing it if need be. */
int journal_commit_wait(struct journal *j, tid_t tid) must_check;
/*
 * Whether the commit of tid has its flush still before it: then it makes durable also what the
 * caller wrote until now. False: the caller needs a flush of its own.
 */
bool journal_will_flush(struct journal *j, tid_t tid);
/* The tid of the running transaction, or of the next one when there is none. */
tid_t journal_current_tid(struct journal *j);
bool journal_is_committed(struct journal *j, tid_t tid);
/* Commits whatever is running, and waits. */
int journal_force_commit(struct journal *j) must_check;
/* The transaction of a started handle. */
tid_t handle_tid(const struct handle *h);
/*
 * J2: the file got blocks under this handle, and their data is not durable yet. True if it had none
 * before, so that errors of writing its data count from here on.
 */
bool handle_add_ordered(struct handle *h, struct journal_inode *ji);
/*
 * All that the file wrote into new blocks under the handle's transaction is in that transaction, as
 * logged data: the commit need not write it in place first. May it be so? Not while an earlier
 * transaction, which has no copy, waits for its data.
 */
bool handle_may_drop_ordered(struct handle *h, struct journal_inode *ji);
void handle_drop_ordered(struct handle *h, struct journal_inode *ji);
/*
 * Calls visit for each file whose data the running transaction tid waits for, if they are no more
 * than nr_max. The files do not go away meanwhile. No handle, no lock held.
 */
void journal_visit_ordered(struct journal *j, tid_t tid, uint32_t nr_max, void (*visit)(struct journal_inode *ji));
/* Whether a transaction that is not durable waits for its data. */
bool journal_inode_is_ordered(struct journal *j, struct journal_inode *ji);
void journal_inode_init(struct journal_inode *ji);
/* The file goes away: off the lists, after the committer is done with it. */
void journal_inode_forget(struct journal *j, struct journal_inode *ji);
/*
 * Before dirty data of the file is dropped unwritten: the transaction that is being committed may
 * name its blocks, and then needs the data (J2). Waits until it has it. No handle, no page held.
 */
void journal_inode_wait_ordered(struct journal *j, struct journal_inode *ji);

/*
 * File data in the log (J8). journal_has_data(): the log may hold a copy of the block, so it must
 * not be changed in place; its newest content is in its buffer if that is cached, else at home.
 * Answers stay true while the block is the caller's and its page is locked, but that a yes may
 * become a no. journal_logs_data(): whether there is any such block.
 */
bool journal_has_data(struct journal *j, fsblk_t block);
bool journal_logs_data(const struct journal *j);
/* Whether a transaction without ordered data is made durable with a single flush. */
bool journal_has_short_commit(const struct journal *j);

void journal_abort(struct journal *j, int err, const char *why);
bool journal_is_aborted(const struct journal *j);
const struct journal_stats *journal_stats(const struct journal *j);
/* Blocks of the log, and how many are free now. */
uint32_t journal_log_blocks(const struct journal *j);
uint32_t journal_log_free(struct journal *j);

#endif
