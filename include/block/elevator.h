/*
 * block/elevator.h - what a scheduler is to the queue.
 *
 * Purpose     The queue asks two questions: can this bio join a request that waits, and which
 *             request goes next. An elevator answers them; the queue counts, bounds, sequences
 *             flushes and talks to the driver.
 * Ownership   A request belongs to the elevator from insert() until next() returns it. The
 *             elevator uses its queue_link and sort_node, and nothing else of it.
 * Locking     Every call but init and done comes with the queue's lock held: an elevator needs no
 *             lock of its own, must not sleep and must not call back into the queue.
 * Invariants  e1  next() is NULL only when nothing is inserted.
 *             e2  what was inserted comes out of next() once.
 *             e3  what never passes here: flushes, writes with a flush sequence, and (with
 *                 drivers that execute()) I/O whose submitter waits and carries it out itself.
 */
#ifndef BLOCK_ELEVATOR_H
#define BLOCK_ELEVATOR_H

#include "block/request.h"

struct elevator_ops {
	const char *name;
	int (*init)(void **ret_elevator) must_check;
	void (*done)(void *elevator);			/* nothing is inserted any more */
	void (*insert)(void *elevator, struct request *rq);
	/* Looks for a waiting request that bio adjoins, and joins them by request_try_merge(). */
	bool (*try_merge)(void *elevator, struct bio *bio);
	struct request *(*next)(void *elevator, uint64_t now_ns);
	/*
	 * A request that next() gave is done; after disk_set_elevator() perhaps that of the elevator
	 * before. NULL: the elevator does not care.
	 */
	void (*completed)(void *elevator, struct request *rq);
};

/* The built-in one, "noop": first come, first served, with merging at the tail. */
extern const struct elevator_ops fifo_elevator;

enum merge { MERGE_NONE, MERGE_BACK, MERGE_FRONT };
/*
 * Joins bio to rq when it adjoins and the driver's limits allow. After MERGE_FRONT rq starts at
 * another sector. Queue lock held.
 */
enum merge request_try_merge(struct request *rq, struct bio *bio);

#endif
