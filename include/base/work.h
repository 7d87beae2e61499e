/*
 * base/work.h - work handed to another thread, or run in order on this one.
 *
 * Purpose     Work queues with a fixed number of threads; timers; and an inline mode in which
 *             queued work runs on the thread that calls work_run_pending(), in an order chosen
 *             by a seed, so that a test of a threaded stack is deterministic.
 * Ownership   The queue is the creator's. A struct work lies in its user's object and must not
 *             be freed while it is queued or running (work_cancel_sync waits).
 * Locking     One lock a queue (RANK_WORK); it is not held while work runs.
 * Invariants  W1 a work is queued at most once at a time; queueing it again meanwhile is no-op.
 *             W2 a work does not run on two threads at once.
 * Context     work functions may sleep and may queue.
 */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include "base/clock.h"
#include "base/list.h"
#include "base/types.h"

struct work;
typedef void (*work_fn)(struct work *w);

struct work {
	work_fn fn;
	struct list link;	/* [queue lock] */
	uint64_t due_ns;	/* [queue lock] of delayed work */
	int state;		/* [queue lock] */
	bool requeue;		/* [queue lock] queued again while it ran */
};

struct workqueue;

void work_init(struct work *w, work_fn fn);
/* nr_threads 0 is inline mode; then seed chooses the order. */
struct workqueue *workqueue_create(const char *name, unsigned nr_threads, struct clock *clock,
				   uint64_t seed) must_check;
void workqueue_destroy(struct workqueue *q);	/* runs what is queued, drops what is delayed */
bool workqueue_is_inline(const struct workqueue *q);
void work_queue(struct workqueue *q, struct work *w);
/* Runs it once `delay_ms` have passed on the queue's clock; moves an earlier date only forward to sooner. */
void work_queue_delayed(struct workqueue *q, struct work *w, uint64_t delay_ms);
void work_cancel_sync(struct workqueue *q, struct work *w);	/* off the queue, and not running any more */
/* Inline mode: runs queued and due work until none is left; returns how many ran. Threads: waits until idle. */
size_t work_run_pending(struct workqueue *q);

#endif
