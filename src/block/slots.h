/*
 * block/slots.h - the bounded pool of requests of one queue.
 *
 * Purpose     Backpressure: a submitter without room sleeps until there is some, in order. Room
 *             comes in two classes, so that those who wait for their I/O (readers, fsync) need
 *             not queue behind those who only hand work in (write-back).
 * Ownership   The pool owns the requests and lends them.
 * Locking     The queue's lock for every call.
 * Invariants  s1  at most nr_max requests are out.
 *             s2  within a class, who came first gets room first.
 * Context     slot_wait() sleeps and drops the lock meanwhile.
 */
#ifndef BLOCK_SLOTS_H
#define BLOCK_SLOTS_H

#include "base/list.h"
#include "base/lock.h"
#include "block/request.h"

enum slot_class { SLOT_HANDED_IN, SLOT_WAITED_FOR, SLOT_NR_CLASSES };

struct slots {
	/* configuration */
	struct request *requests;	/* all of them */
	uint32_t nr_max;
	/* state [queue lock] */
	struct slot_room {
		struct list free;	/* of requests, by queue_link: the last used first (warm) */
		uint32_t nr_free;
		uint32_t wake_batch;	/* sleepers are woken when so many are free */
		struct list sleepers;	/* of struct sleeper, oldest first */
	} rooms[SLOT_NR_CLASSES];
	uint32_t nr_out;
};

int slots_init(struct slots *slots, uint32_t nr_max) must_check;
void slots_done(struct slots *slots);
/* A request, or NULL when there is no room or somebody is in line before. */
struct request *slot_try(struct slots *slots, enum slot_class class) must_check;
struct request *slot_wait(struct slots *slots, enum slot_class class, struct mutex *queue_lock)
	needs(*queue_lock) must_check;
void slot_put(struct slots *slots, struct request *rq);

#endif
