/*
 * journal/journal_private.h - the inside of the journal, shared by the files of this room.
 *
 * Purpose     struct journal, struct transaction, struct journal_head, and what each file offers
 *             to those above it, lowest first: state, log, revoke, datalog, transaction,
 *             checkpoint, handle, commit, recovery, journal.
 * Ownership   The journal owns transactions; a transaction owns the journal heads linked to it,
 *             and each head holds a reference of its buffer.
 * Locking     journal->lock (RANK_JOURNAL). A head is found through page->private, which changes
 *             under the page lock and journal->lock together, and may be read under either.
 *             Committer and checkpointer take turns (is_committing, is_checkpointing) and hold
 *             no lock over I/O.
 * Invariants  K1  a running and a committing transaction have neighbouring tids, so what can be
 *                 in both has two places, told apart by the parity of the tid.
 *             K2  a page is PAGE_PINNED exactly when it has a head.
 *             K3  log_free counts the blocks between head and tail; they never meet.
 */
#ifndef JOURNAL_PRIVATE_H
#define JOURNAL_PRIVATE_H

#include "base/assert.h"
#include "base/hash.h"
#include "base/lock.h"
#include "journal/format.h"
#include "journal/handle.h"
#include "journal/journal.h"

enum tx_state {
	TX_RUNNING,	/* handles join */
	TX_LOCKED,	/* no new handle; the open ones are waited for */
	TX_COMMITTING,	/* copied out, on its way into the log */
	TX_COMMITTED,	/* durable in the log; kept until its blocks are home */
};

/* A set of block numbers. */
struct revoke_set {
	struct hash hash;
	uint32_t nr;
};

struct transaction {
	struct journal *journal;
	tid_t tid;
	enum tx_state state;		/* [lock] */
	uint64_t started_ns;

	uint32_t nr_handles;		/* [lock] open ones */
	uint32_t credits;		/* [lock] promised to open handles and not used */
	struct list heads;		/* [lock] */
	uint32_t nr_heads;		/* [lock] */
	struct list ordered;		/* [lock] struct journal_inode */
	bool has_ordered;		/* [lock] one was let go: its data was written in place just before */
	bool has_begun_flush;		/* [lock] what is written from now on, its flush may miss */
	struct revoke_set revokes;	/* [lock] */

	uint32_t log_start, log_blocks;	/* [none: set when copied out] */
	struct list checkpoints;	/* [lock] struct checkpoint */
	struct list link;		/* [lock] on journal->committed, oldest first */
};

/* A block whose newest durable copy in the log is that of tx and that is not home yet. */
struct checkpoint {
	struct hash_node node;		/* in journal->checkpoints, by block */
	fsblk_t block;
	struct transaction *tx;
	struct list link;		/* on tx->checkpoints */
};

struct journal_head {
	struct buffer *buffer;
	struct {
		struct transaction *tx;	/* NULL: not in this one */
		struct list link;
		bool is_dirty;		/* changed: to be logged */
		bool is_forgotten;	/* freed: not to be logged, and not home either */
		bool is_new;		/* allocated in it: the log has no older copy */
	} in[2];			/* [lock] by parity of the tid */
};

struct journal {
	/* configuration, fixed at load */
	struct journal_config config;
	struct journal_extent *extents;
	uint32_t log_first, log_end;	/* the ring: log blocks [first, end) */
	uint32_t tags_per_block, records_per_block;
	uint32_t tx_blocks_max;
	uint32_t features_compat, features_incompat;

	struct journal_super super;	/* as on disk; [whoever set is_moving_tail, else the committer] */
	struct journal_stats stats;

	struct mutex lock;
	struct cond changed;		/* any state below changed */
	bool is_started;		/* [lock] */
	_Atomic bool is_aborted;
	int abort_error;		/* [lock] */
	tid_t next_tid;			/* [lock] of the next transaction to be opened */
	tid_t committed_tid;		/* [lock] this and all before are durable */
	struct transaction *running;	/* [lock] */
	struct transaction *committing;	/* [lock] */
	bool is_committing, is_checkpointing;	/* [lock] somebody's turn */
	bool is_moving_tail;		/* [lock] the superblock is being written with what was chosen under it */
	struct list committed;		/* [lock] transactions whose blocks are not all home */
	struct hash checkpoints;	/* [lock] block to struct checkpoint */
	struct hash data_blocks;	/* [lock] file data that the log may hold (datalog.c) */
	struct list data_list;		/* [lock] the same, by the tid of the newest copy */
	_Atomic uint32_t nr_data;	/* of them [lock to change] */
	uint32_t log_head;		/* [lock] where the next transaction goes */
	uint32_t log_tail;		/* [lock] the oldest block that recovery would need */
	uint32_t log_free;		/* [lock] */
	bool is_empty_on_disk;		/* [lock] the superblock on disk says: nothing to recover */
	uint32_t error_seen;		/* [checkpointer] of the buffers' mapping */

	struct pool *heads;
	struct work commit_work;	/* by age or size */
	struct work checkpoint_work;
	uint8_t *log_memory;		/* [committer] the transaction as it goes into the log */
	uint32_t log_memory_blocks;
};

static inline unsigned parity(tid_t tid)
{
	return tid & 1;
}

static inline struct journal_head *head_of(const struct buffer *b)
{
	return b->page.private;
}

/* ---- state.c ---- */

int journal_error(const struct journal *j);	/* 0, or -EROFS once aborted */

/* ---- log.c ---- */

/* Reads or writes nr log blocks from log_block on (not across the ring's end) and waits. */
int ring_read(struct journal *j, uint32_t log_block, uint32_t nr, void *to) must_check;
/* Writes a run of the ring, going round at its end. flags: of the last bio. */
int ring_write(struct journal *j, uint32_t log_block, const void *from, uint32_t nr, uint32_t flags) must_check;
uint32_t log_next(const struct journal *j, uint32_t log_block, uint32_t count);
/* Writes j->super with the given tail; flags PREFLUSH and FUA as asked. */
int log_write_super(struct journal *j, uint32_t start, tid_t sequence, uint32_t flags) must_check;
/* What a transaction of that many blocks and revokes takes in the log, commit block included. */
uint32_t log_blocks_needed(const struct journal *j, uint32_t nr_blocks, uint32_t nr_revokes);
int log_flush(struct journal *j) must_check;

/* ---- revoke.c ---- */

int revoke_set_init(struct revoke_set *set) must_check;
void revoke_set_done(struct revoke_set *set);
int revoke_add(struct revoke_set *set, fsblk_t block) must_check;	/* no-op when it is there */
void revoke_cancel(struct revoke_set *set, fsblk_t block);
bool revoke_contains(const struct revoke_set *set, fsblk_t block);
/* Calls fn with each block. */
void revoke_for_each(const struct revoke_set *set, void (*fn)(void *arg, fsblk_t block), void *arg);

/* ---- datalog.c ---- */

int datalog_init(struct journal *j) must_check;
void datalog_done(struct journal *j);
/* Transaction tid will hold a copy of the block, as data. */
int datalog_add(struct journal *j, fsblk_t block, tid_t tid) must_check needs(j->lock);
/* Freed, and revoked if need be. */
void datalog_remove(struct journal *j, fsblk_t block) needs(j->lock);
/* Durably, the tail is behind transaction tid. */
void datalog_passed(struct journal *j, tid_t tid) needs(j->lock);

/* ---- transaction.c ---- */

/* The running transaction, opened if need be. */
int transaction_get_running(struct journal *j, struct transaction **ret_tx) must_check needs(j->lock);
void transaction_free(struct transaction *tx);
/* Log blocks that it needs at most, with `more` blocks besides what it has and has promised. */
uint32_t transaction_needs(const struct transaction *tx, uint32_t more);
/* The buffer's head, with its place in tx taken. Page lock held. NULL without memory. */
struct journal_head *transaction_attach(struct transaction *tx, struct buffer *b) must_check needs(tx->journal->lock);
/* Takes the head out of tx; frees it and unpins the page when it is in none. Page lock held. */
void transaction_detach(struct transaction *tx, struct journal_head *jh) needs(tx->journal->lock);
void transaction_check(const struct transaction *tx);

/* ---- checkpoint.c ---- */

/* tx is durable and holds the newest copy of block. */
int checkpoint_add(struct transaction *tx, fsblk_t block) must_check needs(tx->journal->lock);
/* The block was freed by a durable transaction: nobody needs its copy. */
void checkpoint_drop(struct journal *j, fsblk_t block) needs(j->lock);
bool checkpoint_has(struct journal *j, fsblk_t block) needs(j->lock);
/*
 * Writes home and moves the tail. 0: it moved, or nothing was left; -EAGAIN: the oldest is held up
 * by what the running transaction changes again: commit that first.
 */
int checkpoint_run(struct journal *j) must_check;

/* ---- commit.c ---- */

/* Commits until tid is durable; -EROFS or the first error after an abort. */
int commit_until(struct journal *j, tid_t tid) must_check;

#endif
