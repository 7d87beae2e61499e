/*
 * block/flush.h - the order of flushes and the writes that rely on them.
 *
 * Purpose     Turns FLUSH, PREFLUSH and FUA into plain requests and flushes of the driver, in
 *             an order that keeps the promises; many who wait share one flush.
 * Ownership   Requests in a sequence are the sequencer's until they come out on `urgent` (to be
 *             given to the driver) or `done`.
 * Locking     The queue's lock for every call.
 * Invariants  BLOCK.md F1 to F4.
 */
#ifndef BLOCK_FLUSH_H
#define BLOCK_FLUSH_H

#include "block/disk.h"
#include "block/request.h"

enum flush_step {
	FLUSH_STEP_PRE = 1u << 0,	/* a flush that begins after the request came in */
	FLUSH_STEP_DATA = 1u << 1,	/* the write itself */
	FLUSH_STEP_POST = 1u << 2,	/* a flush that begins after the write is done */
};

struct flusher {
	struct request rq;	/* the one flush that the driver sees */
	bool is_running;	/* it is on the urgent list, or with the driver */
	struct list riding;	/* requests that wait for this flush, by queue_link */
	struct list waiting;	/* requests that wait for the next one */
};

void flusher_init(struct flusher *f, struct disk *disk);
/* Pure: the steps of such a bio. 0: it needs no sequence. */
uint32_t flush_steps(const struct disk_limits *limits, const struct bio *bio);
/* Starts rq's sequence; what the driver is to do next goes to the tail of urgent. */
void flush_begin(struct flusher *f, struct request *rq, uint32_t steps, uint64_t now_ns,
		 struct list *urgent);
/*
 * rq (the flusher's own, or the data step of a sequence) came back from the driver. Whoever has
 * finished thereby goes to done, with its status set.
 */
void flush_step_done(struct flusher *f, struct request *rq, int status, uint64_t now_ns,
		     struct list *urgent, struct list *done);

#endif
