/*
 * cache/readahead.h - what a reader is doing, remembered from one read to the next.
 *
 * Purpose     Who reads in an order finds the next pages in memory already. An open file (or any
 *             other reader) keeps this state; reads pass it on, and readahead.c draws from it
 *             which pages will be wanted.
 * Ownership   Embedded in the reader's object; init and done by its owner.
 * Locking     lock (RANK_LEAF) inside: any number of threads may read through one state.
 * Invariants  ra1  a stream's mark lies on the first page that its reader will come to in the
 *                  latest window, or there is none.
 * Units       Pages.
 */
#ifndef CACHE_READAHEAD_H
#define CACHE_READAHEAD_H

#include "base/lock.h"
#include "base/types.h"

#define RA_STREAMS 4u	/* readers that one state tells apart */
#define RA_HISTORY 8u	/* latest requests that missed; from them a new stream is recognised */
#define RA_NONE UINT64_MAX	/* no page */

enum ra_kind { RA_UNUSED, RA_FORWARD, RA_BACKWARD, RA_STRIDED };

/* One reader's way through the pages. A "piece" is what a strided reader takes at once. */
struct ra_stream {
	enum ra_kind kind;
	uint32_t piece;		/* STRIDED: pages of one */
	int64_t stride;		/* STRIDED: from the start of one to the start of the next */
	uint64_t at;		/* FORWARD: behind what was asked for; BACKWARD: its lowest; STRIDED: its latest piece */
	uint64_t ahead;		/* the same of what was read ahead; equal to `at` when nothing is */
	uint64_t mark;		/* which page has the mark, or RA_NONE */
	uint32_t window;	/* of the latest read-ahead; 0: so far it is only watched */
	uint32_t run;		/* asked for in this order while it was only watched */
	uint32_t stamp;		/* when it was last used; the oldest gives way */
	bool is_proven;		/* its reader came to a mark */
};

struct ra_request_seen {
	uint64_t first;
	uint32_t nr;
};

struct readahead_state {
	_Atomic uint64_t prev_end;	/* behind the latest request, hit or miss; racy, a hint */
	struct mutex lock;
	/* all [lock] */
	struct ra_stream streams[RA_STREAMS];
	struct ra_request_seen history[RA_HISTORY];	/* a ring; nr 0: empty */
	uint32_t next_history;
	uint32_t stamp;			/* requests that were looked at */
	uint32_t caution;	/* rises with streams that ended before they were proven; halves first windows */
};

void readahead_init(struct readahead_state *ra);
void readahead_done(struct readahead_state *ra);

#endif
