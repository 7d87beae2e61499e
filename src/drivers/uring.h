/*
 * drivers/uring.h - inside the io_uring driver: the ring, and what is under way in it.
 *
 * Purpose     uringring.c moves entries into and out of the rings, which uringdisk.c has opened; uringio.c knows what the entries of
 *             a request are, which system calls would do the same, and what their results mean.
 * Ownership   uringdisk.c makes and destroys it.
 * Locking     sq_lock over the submission ring and the table of regions, cq_lock over the completion
 *             ring's end that is ours, callers.lock over what the callers are to do. None is held while
 *             calling out; they do not nest. A uring_io is its request's: the dispatcher's until
 *             it is in the submission ring, then that of the thread that took its completion;
 *             or a caller's.
 * Invariants  u1  an io has at most one entry in the rings, so neither ring can overflow.
 *             u2  while entries are under way, the ring's thread waits for them, or was woken to.
 */
#ifndef DRIVERS_URING_H
#define DRIVERS_URING_H

#include <liburing.h>

#include "base/lock.h"
#include "drivers/uringdisk.h"
#include "image.h"

#define URING_VECS_MAX 256u	/* of one request; 4 KiB a tag */
#define URING_NR_CALLERS 4u

struct uring_io {
	struct request *rq;
	struct iovec *iov;	/* room for URING_VECS_MAX; the kernel reads it until the entry ends */
	uint64_t done;		/* bytes transferred */
	void *bounce;		/* memory in place of the request's, for O_DIRECT; or NULL */
	uint32_t nr_retries;	/* after EAGAIN, EINTR, ECANCELED */
	bool is_in_sync;	/* the write is done, the fdatasync behind it is not */
	bool is_dsync;		/* the entry under way is a durable write */
	/* What the submitter wrote above is there for who takes the completion: the kernel sees to it. */
	_Atomic bool is_under_way;
	struct list link;	/* in one of callers' lists */
};

struct uring_region {
	char *base;
	size_t len;
	uint32_t slot;		/* the kernel's name for it */
};

struct uringdisk {
	/* configuration */
	struct image image;
	uint32_t depth;
	bool has_sqpoll;
	bool has_regions;	/* this kernel takes registered memory piece by piece */
	struct uring_io *ios;	/* by tag */
	struct iovec *iovs;	/* theirs */
	struct io_uring ring;

	struct mutex sq_lock, cq_lock;
	struct uring_region regions[URINGDISK_REGIONS_MAX];	/* [sq_lock] by base */
	uint32_t nr_regions;				/* [sq_lock] */
	bool slot_is_used[URINGDISK_REGIONS_MAX];	/* [sq_lock] */

	_Atomic uint32_t nr_under_way;	/* ios */
	struct mutex idle_lock;
	struct cond called;
	_Atomic bool is_idle;		/* the ring's thread sleeps, or is about to */
	bool is_stopping;		/* [idle_lock] */
	struct thread *thread;
	_Atomic uintptr_t thread_self;	/* its pthread_self(), once it runs */

	/* Threads of ours that make system calls (uringcall.c says for what, and why). */
	struct callers {
		struct mutex lock;
		struct cond called;
		struct list started;	/* of struct uring_io; the dispatcher's until it commits */
		struct list ios;	/* [lock] handed to the threads */
		uint32_t nr_idle;	/* [lock] threads that sleep */
		uint32_t nr_called;	/* [lock] of them, were woken and have not come yet */
		bool is_stopping;	/* [lock] */
		struct thread *threads[URING_NR_CALLERS];
	} callers;

	struct uringdisk_stats stats;
};

/* uringring.c */
void uring_start(struct uringdisk *u, struct request *rq);
void uring_commit(struct uringdisk *u);
/* The ring's thread and the callers. -EAGAIN: there are no threads, and none of them runs. */
int uring_threads_start(struct uringdisk *u) must_check;
void uring_threads_stop(struct uringdisk *u);	/* nothing is under way */

/* uringcall.c */
bool uring_is_call(const struct uringdisk *u, const struct request *rq);	/* is it better done by a call? */
int uring_call_now(struct uringdisk *u, struct uring_io *io) must_check;	/* returns its status */
void uring_call_later(struct uringdisk *u, struct uring_io *io);	/* after uring_callers_commit() */
void uring_callers_commit(struct uringdisk *u);
int uring_callers_start(struct uringdisk *u) must_check;	/* as uring_threads_start() */
void uring_callers_stop(struct uringdisk *u);

/* uringio.c */
/*
 * What can be said of rq without the kernel: 0 to go on, else its status. Takes a bounce buffer when
 * one is needed.
 */
int uring_io_begin(struct uringdisk *u, struct uring_io *io, struct request *rq) must_check;
/* How many regions begin at base or below it: the last of them is the one that may hold it. */
uint32_t uring_regions_below(const struct uringdisk *u, const char *base) needs(u->sq_lock);
/* Fills an entry with what io has to do next. sq_lock held. */
void uring_io_prepare(struct uringdisk *u, struct uring_io *io, struct io_uring_sqe *sqe)
	needs(u->sq_lock);
/* Does by a system call what uring_io_prepare() would ask for, and waits. Returns what the entry would. */
int uring_io_call(struct uringdisk *u, struct uring_io *io) must_check;
/* The entry, or the call, ended with res. True: io has ended, with that status; false: prepare it again. */
bool uring_io_ended(struct uringdisk *u, struct uring_io *io, int res, int *ret_status) must_check;

#endif
