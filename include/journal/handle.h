/*
 * journal/handle.h - one operation's part of a transaction.
 *
 * Purpose     Everything that changes metadata holds a handle: it says how many blocks it may
 *             touch, announces each buffer before changing it, and stops when the tree is whole
 *             again. On a file system without a journal the same calls keep the same order and
 *             hand the buffers to write-back.
 * Ownership   handle_start() lends a handle until handle_stop(); one thread uses it.
 * Locking     A started handle counts as a lock of RANK_HANDLE. Announcing a buffer may sleep
 *             and takes the buffer lock.
 * Invariants  H1  bytes of a metadata buffer change only between handle_get_*_access() and
 *                 handle_dirty_metadata() of the same handle, under the buffer lock.
 *             H2  a freed block is forgotten (handle_forget) before it can be allocated again.
 * Errors      -EROFS (the journal is aborted), -ENOSPC (more credits than the log can hold),
 *             -ENOMEM, -EIO.
 */
#ifndef JOURNAL_HANDLE_H
#define JOURNAL_HANDLE_H

#include "base/types.h"
#include "cache/buffer.h"

struct journal;
struct transaction;

struct handle {
	struct journal *journal;	/* NULL: no journal */
	struct transaction *tx;		/* the one it is part of */
	uint32_t credits;		/* buffers it may still touch */
	bool is_sync;			/* durable when it stops */
	int error;			/* the first failure under it */
};

/* h is the caller's memory, on its stack as a rule. journal NULL: a file system without one. */
int handle_start(struct journal *journal, uint32_t credits, struct handle *h) must_check;
int handle_stop(struct handle *h) must_check;
/*
 * Asks for `credits` more without ending: 0 granted, -EAGAIN: bring the tree to a consistent
 * state and restart (handle_restart).
 */
int handle_extend(struct handle *h, uint32_t credits) must_check;
int handle_restart(struct handle *h, uint32_t credits) must_check;

/* The buffer will be changed; its content is there already. Before the buffer lock. */
int handle_get_write_access(struct handle *h, struct buffer *b) must_check;
/* The block was just allocated: its old content is of no interest to anybody. */
int handle_get_create_access(struct handle *h, struct buffer *b) must_check;
/*
 * The block is file data that is logged (J8): all of it is about to be replaced, whatever it holds.
 * To be followed by the change: from here on journal_has_data() says yes.
 */
int handle_get_data_access(struct handle *h, struct buffer *b) must_check;
/* The change is made; buffer lock held. */
void handle_dirty_metadata(struct handle *h, struct buffer *b);
/* The metadata block is freed: not to be written any more; revoked where the log may hold it. */
int handle_forget(struct handle *h, struct buffer_cache *bc, fsblk_t block) must_check;

#endif
