/*
 * block/queue.h - the disk's inside: the queue between submitters and driver.
 *
 * Purpose     Holds what waits, says what goes next, gives it to the driver, takes it back.
 * Ownership   disk.c makes and destroys it.
 * Locking     disk->lock (RANK_QUEUE). It is never held over a driver's call or an end_io.
 * Invariants  q1  when something can be dispatched, then a thread is on its way to do it: a
 *                 worker that was called or runs, a dispatcher, or a helper.
 *             q2  end_io of a bio has returned before its request's slot is free, so that a
 *                 drained queue is one behind whose back nothing runs.
 */
#ifndef BLOCK_QUEUE_H
#define BLOCK_QUEUE_H

#include "base/lock.h"
#include "block/disk.h"
#include "block/elevator.h"
#include "flush.h"
#include "request_private.h"
#include "slots.h"

struct worker {
	struct disk *disk;
	struct thread *thread;
	struct cond called;
	bool is_called;			/* [queue lock] */
	struct list idle_link;		/* [queue lock] */
};

enum queue_mode {
	QUEUE_WORKERS,	/* driver with execute(); workers and waiting submitters call it */
	QUEUE_INLINE,	/* driver with execute(); one dispatching submitter at a time calls it */
	QUEUE_START,	/* driver with start(); one dispatching thread at a time calls it */
};

struct disk {
	/* configuration */
	const struct disk_ops *ops;
	void *driver;
	struct disk_limits limits;
	char *name;
	struct clock *clock;
	bool owns_clock;
	enum queue_mode mode;
	const struct elevator_ops *elevator_ops;

	struct mutex lock;
	/* what waits [lock] */
	struct slots slots;
	void *elevator;
	uint32_t nr_in_elevator;
	struct list urgent;		/* requests, by queue_link: before all of the elevator's */
	struct flusher flusher;
	/* what the driver has [lock] */
	uint32_t *free_tags;		/* a stack */
	uint32_t nr_free_tags;
	/* who works [lock] */
	struct worker *workers;
	uint32_t nr_workers;
	struct list idle_workers;	/* the last to fall idle first: its cache is warm */
	uint32_t nr_called;		/* workers that were called and have not come yet */
	bool is_dispatching, is_stopping;
	struct cond drained;
	uint32_t nr_drainers;

	void (*trace)(void *arg, const struct request *rq, int status);	/* [none: set once] */
	void *trace_arg;
	struct disk_stats stats;
};

/* queue.c, with the lock held */
/*
 * Puts bio in, merged, whole or in parts; may sleep for room (and drop the lock). A bio that is
 * waited_for goes before what the elevator holds, when the driver has execute().
 */
void queue_add(struct disk *disk, struct bio *bio, enum slot_class class) needs(disk->lock);
/* Room for a request, or NULL at the bound. */
struct request *queue_slot_try(struct disk *disk, enum slot_class class) needs(disk->lock) must_check;
/* Gives rq a tag and counts it as dispatched. False: the driver has its depth. */
bool queue_dispatch(struct disk *disk, struct request *rq) needs(disk->lock) must_check;
/* The next request to carry out, dispatched; NULL when there is none or no tag. */
struct request *queue_take(struct disk *disk) needs(disk->lock) must_check;
/* Something is to be done and may be: see that somebody does it. */
void queue_kick(struct disk *disk) needs(disk->lock);
/* Carries rq out on this thread; drops the lock meanwhile. */
void queue_carry_out(struct disk *disk, struct request *rq) needs(disk->lock);
/* rq, whose bios have ended, leaves: its tag and its slot are free. */
void queue_release(struct disk *disk, struct request *rq) needs(disk->lock);
bool queue_can_dispatch(const struct disk *disk) needs(disk->lock);

/* Without the lock. */
void queue_account(struct disk *disk, struct request *rq, int status);

/* submit.c: ends a bio that cannot be carried out or need not be, and says so. */
bool bio_refuse(struct bio *bio) must_check;

/* workers.c, and idle.c */
int workers_start(struct disk *disk, uint32_t nr) must_check;
void workers_stop(struct disk *disk);	/* NULL workers are harmless; nothing is queued */
void workers_call_one(struct disk *disk) needs(disk->lock);

#endif
