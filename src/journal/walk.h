/*
 * journal/walk.h - the walker: the log's structure, read transaction by transaction.
 *
 * Purpose     The one place that reads descriptor, revoke and commit blocks; the visitors of recovery
 *             take from it what they need.
 * Ownership   A walk owns its window of the log, from walk_init() to walk_done().
 * Locking     None: recovery is alone with the journal.
 * Invariants  A walk ends: it visits no more log blocks than the ring has, whatever is in them.
 * Units       Log blocks, counted from the journal's first; tids of 32 bits, which wrap.
 * Errors      -ENOMEM, the disk's, or what a visitor returned. Damage is none: see enum outcome.
 * Sources     JOURNAL.md; the kernel's document of jbd2.
 */
#ifndef JOURNAL_WALK_H
#define JOURNAL_WALK_H

#include <time.h>

#include "journal_private.h"

/* A window over the log, so that it is read in large requests. */
struct reader {
	struct journal *j;
	uint8_t *window;
	uint32_t first, nr;	/* log blocks in the window */
};

struct tag {
	fsblk_t block;
	bool is_escaped, is_last, has_uuid;
	uint32_t checksum;		/* V2: 16 bits, V3: 32 */
};

enum outcome {
	WALK_COMMIT,	/* a whole transaction, checksums right */
	WALK_BAD,	/* a whole transaction, a checksum wrong */
	WALK_END,	/* not a whole transaction of this tid */
};

struct walk {
	struct reader reader;
	uint32_t feature_incompat, feature_compat;
	uint32_t seed_v3;		/* CRC32C of the journal's UUID */
	tid_t tid;			/* of the transaction being walked */
	uint32_t at;			/* the next log block */
	uint32_t nr_left;		/* log blocks not walked yet: it ends in any case */
	struct timespec commit_time;	/* of the last commit block */
	bool sums;			/* verify checksums */

	/* the visitor */
	int (*on_block)(void *arg, const struct walk *w, const struct tag *tag, uint32_t log_block);
	int (*on_revoke)(void *arg, const struct walk *w, fsblk_t block);
	void *arg;

	/* of the transaction being walked */
	uint32_t sum_v1;
	bool is_bad;
};

/* Begins at the log's tail; the visitor is set afterwards. walk_done() also after an error. */
int walk_init(struct walk *w, struct journal *j);
void walk_done(struct walk *w);

/* Walks transaction w->tid from w->at on. Afterwards w->at is behind its commit block. */
int walk_transaction(struct walk *w, enum outcome *ret);

#endif
