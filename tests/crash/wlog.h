/*
 * crash/wlog.h - the recorded writes, block by block, with their kinds and transactions.
 *
 * Purpose     What rules.c asks: which block of which write belongs to which transaction, where it
 *             was going to, and when it was durable.
 * Ownership   wlog_done() frees all of it; bytes belong to the run.
 * Locking     One thread.
 * Invariants  W1  pieces are in the order of submission.
 *             W2  a piece of a transaction has its tid; of a log block also the home that it is for.
 */
#ifndef CRASH_WLOG_H
#define CRASH_WLOG_H

#include "crash/lab.h"

enum piece_kind {
	PIECE_DATA, PIECE_DESCRIPTOR, PIECE_LOG_BLOCK, PIECE_REVOKE, PIECE_COMMIT, PIECE_CHECKPOINT, PIECE_LOG_SUPER,
	PIECE_SUPER, PIECE_STRAY,	/* a log block that no descriptor names */
	PIECE_NR_KINDS
};

extern const char *const piece_names[PIECE_NR_KINDS];

#define NO_PIECE UINT32_MAX

/* A block of a write. */
struct piece {
	enum piece_kind kind;
	uint32_t write;			/* in run->writes */
	uint32_t block;			/* where it was written */
	uint32_t tid;			/* of a transaction's pieces; of PIECE_LOG_SUPER: the first that is needed */
	uint32_t home;			/* of a log block */
	uint32_t before;		/* the last one written to the same block; NO_PIECE */
	uint32_t image_before;		/* of a log block: the last one with the same home; NO_PIECE */
	bool is_escaped, has_checksum;
	const uint8_t *bytes;
	uint64_t submitted, durable;	/* ticks; UINT64_MAX: never */
};

struct wtransaction {
	uint32_t tid;
	uint32_t commit;		/* piece; NO_PIECE: it never was */
	uint64_t durable;		/* from here on a recovery replays it */
};

struct wlog {
	const struct lab *lab;
	const struct run *run;
	struct piece *pieces;
	uint32_t nr;
	uint32_t *last_at;		/* by block: the last piece written there */
	uint32_t *last_image;		/* by home: the last log block for it */
	struct wtransaction *txs;	/* by tid */
	uint32_t nr_txs;
	struct revoked {
		uint32_t tid, block;
	} *revoked;
	uint32_t nr_revoked;
};

void wlog_init(struct wlog *w, const struct lab *lab, const struct run *run);
void wlog_done(struct wlog *w);
/* NULL: the log has nothing of it. */
const struct wtransaction *wlog_find(const struct wlog *w, uint32_t tid);
/* Whether the piece's bytes are what the log block says, before it was escaped. */
bool piece_is_image(const struct wlog *w, const struct piece *home, const struct piece *image);
/* The content of a log block's home, byte by byte. */
uint8_t image_byte(const struct piece *image, uint32_t at);
/* A transaction with that or a later tid, durable at `tick`, has revoked the block. */
bool wlog_is_revoked(const struct wlog *w, uint32_t block, uint32_t tid, uint64_t tick);

#endif
