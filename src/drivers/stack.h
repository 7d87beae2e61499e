/*
 * drivers/stack.h - what disks that lie on another disk have in common.
 *
 * Purpose     Gives a request of the upper disk to the lower one as a bio over the same memory, and
 *             brings its end back; or, for drivers that block, carries part of one out at once.
 * Ownership   A member of the driver. The lower disk is closed in stack_done() when owned.
 * Locking     One lock (RANK_DRIVER) over the list of what the sender is to submit.
 * Invariants  k1  nobody submits to the lower disk inside an end_io of it: at its bound, he would
 *                 wait for room that only his own return makes (bio.h). What a completion sets
 *                 free to go, the sender thread submits.
 *             k2  after stack_done() no thread of the lower disk's is inside the driver.
 * Context     stack_submit() may sleep while the lower disk is at its bound.
 */
#ifndef DRIVERS_STACK_H
#define DRIVERS_STACK_H

#include "base/lock.h"
#include "block/disk.h"

struct stack;
/* The lower disk is done with rq; runs in its end_io. disk_complete() follows, now or later. */
typedef void (*stack_ended_fn)(struct stack *s, struct request *rq, int status);

struct stack_io;

struct stack {
	/* configuration */
	struct disk *lower;
	bool owns_lower;
	stack_ended_fn ended;
	struct stack_io *ios;		/* by the upper disk's tag */
	char *bios;			/* theirs */

	_Atomic uint32_t nr_ending;	/* threads inside our end_io (k2) */

	struct mutex lock;
	struct cond more;
	struct list to_send;		/* [lock] of struct stack_io */
	bool is_stopping;		/* [lock] */
	struct thread *sender;
};

/* ended NULL: rq just ends with the lower disk's status. On failure nothing is held. */
int stack_init(struct stack *s, struct disk *lower, bool owns_lower, stack_ended_fn ended) must_check;
void stack_done(struct stack *s);
/* Those of a disk that is as the lower one is. A FUA write goes down as one, so there is FUA. */
struct disk_limits stack_limits(const struct disk *lower);

/* The first len_bytes of rq's memory, at another place; of a flush or discard only what it has. */
void stack_submit(struct stack *s, struct request *rq, sector_t lower_sector, uint32_t len_bytes);

/* rq's read, write or discard, of len_bytes from byte `skip` on, at offset_bytes of another disk; waits. */
int lower_transfer(struct disk *lower, const struct request *rq, uint64_t skip, uint32_t len_bytes,
		   uint64_t offset_bytes) must_check;

#endif
