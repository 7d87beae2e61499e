/*
 * What is better done by system calls than in the ring, and the threads that do it.
 *
 * Writes to the host's page cache make no good entries: few of the host's file systems can promise
 * not to wait there, so the kernel hands each to a thread of its own, at twice the CPU of the call.
 * Large reads from it are copies by whoever submits, one after the other, or again a kernel thread
 * each. A few threads of ours make both by plain calls, as filedisk's workers do, and copy side by
 * side. With O_DIRECT there is no page cache, and everything goes through the ring.
 *
 * As with those workers, a push wakes one thread at most, and that one the next if it leaves some.
 */
#include <errno.h>

#include "uring.h"

#define READ_BYTES_LARGE (256u << 10)	/* copying so much takes longer than waking a thread, by far */

bool uring_is_call(const struct uringdisk *u, const struct request *rq)
{
	if (u->image.is_direct)
		return false;
	if (rq->op == BIO_WRITE)
		return !(rq->flags & BIO_FUA);	/* that one waits for the device */
	return rq->op == BIO_READ && rq->size_bytes >= READ_BYTES_LARGE;
}

int uring_call_now(struct uringdisk *u, struct uring_io *io)
{
	int status;

	do {
		counter_add(&u->stats.calls, 1);
	} while (!uring_io_ended(u, io, uring_io_call(u, io), &status));
	return status;
}

/* One that was called and has not come yet will see this work too, and call on. */
static void call_one(struct callers *c) needs(c->lock)
{
	if (c->nr_called || !c->nr_idle)
		return;
	c->nr_called++;
	cond_signal(&c->called);
}

void uring_call_later(struct uringdisk *u, struct uring_io *io)
{
	struct callers *c = &u->callers;

	mutex_lock(&c->lock);
	list_add_tail(&c->ios, &io->link);
	call_one(c);
	mutex_unlock(&c->lock);
}

static void sleep_until_called(struct callers *c) needs(c->lock)
{
	c->nr_idle++;
	while (!c->nr_called && !c->is_stopping)
		cond_wait(&c->called, &c->lock);
	if (c->nr_called)
		c->nr_called--;
	c->nr_idle--;
}

/* The next to do; NULL when the disk closes. */
static struct uring_io *next_call(struct callers *c)
{
	struct uring_io *io = NULL;

	mutex_lock(&c->lock);
	while (list_empty(&c->ios) && !c->is_stopping)
		sleep_until_called(c);
	if (!list_empty(&c->ios)) {
		io = list_first(&c->ios, struct uring_io, link);
		list_del(&io->link);
	}
	if (!list_empty(&c->ios))
		call_one(c);
	mutex_unlock(&c->lock);
	return io;
}

static void caller_thread(void *arg)
{
	struct uringdisk *u = arg;
	struct uring_io *io;

	while ((io = next_call(&u->callers))) {
		struct request *rq = io->rq;

		disk_complete(rq, uring_call_now(u, io));	/* from here on io may be another's */
	}
}

int uring_callers_start(struct uringdisk *u)
{
	for (uint32_t i = 0; i < URING_NR_CALLERS; i++) {
		u->callers.threads[i] = thread_create("uring-caller", caller_thread, u);
		if (!u->callers.threads[i]) {
			uring_callers_stop(u);
			return -EAGAIN;
		}
	}
	return 0;
}

void uring_callers_stop(struct uringdisk *u)
{
	struct callers *c = &u->callers;

	mutex_lock(&c->lock);
	c->is_stopping = true;
	cond_broadcast(&c->called);
	mutex_unlock(&c->lock);
	for (uint32_t i = 0; i < URING_NR_CALLERS; i++)
		thread_join(c->threads[i]);
}
