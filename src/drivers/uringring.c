/*
 * The ring at work: entries in, completions out.
 *
 *	start()   fills an entry                    submission ring  [ e e e . . . ]
 *	commit()  one system call for the batch            |
 *	                                                kernel
 *	                                                   |
 *	commit()'s caller, then the ring's thread   completion ring  [ c c . . . . ]
 *
 * Who takes completions. What the host has in its page cache is there when the system call that
 * submits it returns, so the submitter looks once and ends it himself: no other thread is woken for
 * it. For what is still under way the ring's thread waits in the kernel; with nothing under way
 * it sleeps outside of it, where completions that a submitter takes do not disturb it (u2):
 *
 *	ring's thread:  is_idle = true;  nr_under_way == 0?  sleep
 *	submitter:      nr_under_way++;  is_idle?            wake
 *
 * each in this order, so that one of the two sees the other.
 *
 * Ending a request may make the queue start the next one on this thread. On the ring's thread such
 * starts are not committed one by one: they are part of the batch that follows the last of the
 * completions that were there. So a full queue costs two system calls (submit; wait) for as many
 * requests as completed since the last time.
 *
 * Any thread may submit, and the kernel ties a request to its submitter: when that thread exits, what it
 * submitted is cancelled (and done again here), and its completion runs on that thread, between
 * two of its instructions. A thread that hands in a request and then sleeps in the kernel where no
 * signal reaches it delays that request's end by as much. Handing all to one thread of ours
 * would avoid that, at a thread switch for each batch.
 *
 * The submission ring is filled under its lock, and the kernel is entered with the lock held. That
 * does not wait for the device: what cannot go on at once, the kernel keeps.
 */
#include <errno.h>
#include <sched.h>

#include "base/assert.h"
#include "uring.h"

#define REAP_BATCH 64u
#define SUBMIT_BATCH 8u			/* entries: the disk begins with these while the next are made */
#define WAKE UINT64_MAX			/* user data of an entry that only wakes the ring's thread */

/* Submitting. */

/* Entries never run out: there are twice as many as ios, and each has one at most (u1). */
static struct io_uring_sqe *sqe_get(struct uringdisk *u) needs(u->sq_lock)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	must(sqe);
	counter_add(&u->stats.submitted, 1);
	return sqe;
}

/* Returns how many entries wait for submit_pushed(). */
static unsigned io_push(struct uringdisk *u, struct uring_io *io)
{
	struct io_uring_sqe *sqe;
	unsigned nr;

	mutex_lock(&u->sq_lock);
	sqe = sqe_get(u);
	uring_io_prepare(u, io, sqe);
	io_uring_sqe_set_data64(sqe, (uint64_t)(io - u->ios));
	atomic_store_explicit(&io->is_under_way, true, memory_order_release);
	nr = io_uring_sq_ready(&u->ring);
	mutex_unlock(&u->sq_lock);
	return nr;
}

/* A poller that is awake needs no call. */
static bool submit_enters(struct uringdisk *u) needs(u->sq_lock)
{
	return !u->has_sqpoll || (IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_NEED_WAKEUP);
}

/* Gives the kernel all entries that were pushed, by whomever. */
static void submit_pushed(struct uringdisk *u)
{
	mutex_lock(&u->sq_lock);
	while (io_uring_sq_ready(&u->ring)) {
		int nr;

		if (submit_enters(u))
			counter_add(&u->stats.enters, 1);
		nr = io_uring_submit(&u->ring);
		if (nr == -EAGAIN || nr == -EBUSY)
			sched_yield();	/* the kernel is short of memory for a moment */
		else
			must(nr >= 0 || nr == -EINTR);
		if (u->has_sqpoll)
			break;	/* the poller takes them */
	}
	mutex_unlock(&u->sq_lock);
}

/* Completions. */

struct completion {
	uint64_t data;
	int res;
};

static unsigned take_completions(struct uringdisk *u, struct completion *done, unsigned max)
{
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;

	mutex_lock(&u->cq_lock);
	io_uring_for_each_cqe(&u->ring, head, cqe) {
		if (nr == max)
			break;
		done[nr++] = (struct completion){cqe->user_data, cqe->res};
	}
	io_uring_cq_advance(&u->ring, nr);
	mutex_unlock(&u->cq_lock);
	return nr;
}

/* True: io has ended, as *ret_done says; false: it was pushed again. */
static bool io_completed(struct uringdisk *u, struct uring_io *io, int res,
			 struct disk_completion *ret_done)
{
	/* Before anything else of io is read: its submitter's stores are then seen. */
	must(atomic_load_explicit(&io->is_under_way, memory_order_acquire));
	ret_done->rq = io->rq;
	if (!uring_io_ended(u, io, res, &ret_done->status)) {
		ignore(io_push(u, io) > 0, "it waits for the end of this batch");
		return false;
	}
	atomic_store_explicit(&io->is_under_way, false, memory_order_relaxed);
	return true;
}

/* Ends all that has completed. Returns how many, and whether something was pushed again. */
static unsigned reap(struct uringdisk *u, bool *ret_pushed)
{
	struct completion taken[REAP_BATCH];
	struct disk_completion done[REAP_BATCH];
	unsigned nr, nr_all = 0;

	*ret_pushed = false;
	while ((nr = take_completions(u, taken, REAP_BATCH))) {
		uint32_t nr_done = 0;

		for (unsigned i = 0; i < nr; i++) {
			if (taken[i].data == WAKE)
				continue;
			if (io_completed(u, &u->ios[taken[i].data], taken[i].res, &done[nr_done]))
				nr_done++;
			else
				*ret_pushed = true;
		}
		atomic_fetch_sub(&u->nr_under_way, nr_done);
		disk_complete_batch(done, nr_done);	/* from here on the ios may be others' */
		nr_all += nr;
	}
	return nr_all;
}

/* The ring's thread. */

static bool is_ring_thread(const struct uringdisk *u)
{
	return atomic_load_explicit(&u->thread_self, memory_order_relaxed) == (uintptr_t)pthread_self();
}

static void call_ring_thread(struct uringdisk *u)
{
	if (!atomic_load(&u->is_idle))
		return;
	mutex_lock(&u->idle_lock);
	cond_signal(&u->called);
	mutex_unlock(&u->idle_lock);
}

/* Sleeps until something is under way. False: the disk closes. */
static bool wait_for_work(struct uringdisk *u)
{
	bool goes_on;

	if (atomic_load(&u->nr_under_way))
		return true;
	mutex_lock(&u->idle_lock);
	atomic_store(&u->is_idle, true);
	while (atomic_load(&u->nr_under_way) == 0 && !u->is_stopping)
		cond_wait(&u->called, &u->idle_lock);
	atomic_store(&u->is_idle, false);
	goes_on = !u->is_stopping;
	mutex_unlock(&u->idle_lock);
	return goes_on;
}

static void wait_for_completion(struct uringdisk *u)
{
	int err;

	counter_add(&u->stats.enters, 1);
	err = io_uring_enter((unsigned)u->ring.ring_fd, 0, 1, IORING_ENTER_GETEVENTS, NULL);
	must(err >= 0 || err == -EINTR || err == -EAGAIN || err == -EBUSY);
}

static void ring_thread(void *arg)
{
	struct uringdisk *u = arg;
	bool has_pushed;

	atomic_store_explicit(&u->thread_self, (uintptr_t)pthread_self(), memory_order_relaxed);
	while (wait_for_work(u)) {
		wait_for_completion(u);
		reap(u, &has_pushed);
		submit_pushed(u);	/* again, and what the queue started meanwhile */
	}
}

/* The queue's side. */

void uring_start(struct uringdisk *u, struct request *rq)
{
	struct uring_io *io = &u->ios[rq->tag];
	int status = uring_io_begin(u, io, rq);

	if (status) {
		disk_complete(rq, status);
	} else if (uring_is_call(u, rq)) {
		uring_call_later(u, io);
	} else {
		atomic_fetch_add(&u->nr_under_way, 1);
		/* With O_DIRECT the disk is to begin; from its own memory the host answers while it is asked. */
		if (io_push(u, io) >= SUBMIT_BATCH && u->image.is_direct)
			submit_pushed(u);
	}
}

void uring_commit(struct uringdisk *u)
{
	bool has_pushed;

	uring_callers_commit(u);
	if (is_ring_thread(u))
		return;		/* inside reap(): submitted behind it */
	submit_pushed(u);
	counter_add(&u->stats.reaped_here, reap(u, &has_pushed));
	if (has_pushed)
		submit_pushed(u);
	if (atomic_load(&u->nr_under_way))
		call_ring_thread(u);
}

static void ring_thread_stop(struct uringdisk *u)
{
	struct io_uring_sqe *sqe;

	mutex_lock(&u->idle_lock);
	u->is_stopping = true;
	cond_signal(&u->called);
	mutex_unlock(&u->idle_lock);
	/* It may wait in the kernel for what a submitter has taken. */
	mutex_lock(&u->sq_lock);
	sqe = sqe_get(u);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, WAKE);
	mutex_unlock(&u->sq_lock);
	submit_pushed(u);
	thread_join(u->thread);
}

void uring_threads_stop(struct uringdisk *u)
{
	ring_thread_stop(u);
	uring_callers_stop(u);
}

int uring_threads_start(struct uringdisk *u)
{
	int err = uring_callers_start(u);

	if (err)
		return err;
	u->thread = thread_create("uring", ring_thread, u);
	if (u->thread)
		return 0;
	uring_callers_stop(u);
	return -EAGAIN;
}
