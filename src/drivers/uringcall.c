/*
 * What is better done by system calls than in the ring, and the threads that do it.
 *
 * Writes to the host's page cache make no good entries: few of the host's file systems can promise
 * not to wait there, so the kernel hands each to a thread of its own, at twice the CPU of the call.
 * Large reads from it are copies by whoever submits, one after the other, or again a kernel thread
 * each. A few threads of ours make both by plain calls, as filedisk's workers do, and copy side by
 * side. With O_DIRECT there is no page cache, and everything goes through the ring.
 *
 * As with those workers, a batch wakes one thread at most, and that one the next if it leaves some. Small
 * calls are made and ended several at a time: for a 4 KiB copy the locks, and the lines of memory that go to
 * and fro with them, would cost as much as the copy.
 */
#include <errno.h>

#include "uring.h"

#define CALLS_AT_ONCE 16u		/* a caller takes so many, */
#define CALL_BYTES_AT_ONCE (64u << 10)	/* or fewer from this size on */
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

/* The queue starts from one thread at a time, and that one commits: until then they are its own. */
void uring_call_later(struct uringdisk *u, struct uring_io *io)
{
	list_add_tail(&u->callers.started, &io->link);
}

/* One that was called and has not come yet will see this work too, and call on. */
static void call_one(struct callers *c) needs(c->lock)
{
	if (c->nr_called || !c->nr_idle)
		return;
	c->nr_called++;
	cond_signal(&c->called);
}

void uring_callers_commit(struct uringdisk *u)
{
	struct callers *c = &u->callers;

	if (list_empty(&c->started))
		return;
	mutex_lock(&c->lock);
	list_splice_tail(&c->ios, &c->started);
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

/* What one caller does before it looks again: little, or one large request. */
static uint32_t take_calls(struct callers *c, struct uring_io **taken) needs(c->lock)
{
	uint64_t bytes = 0;
	uint32_t nr = 0;

	while (nr < CALLS_AT_ONCE && bytes < CALL_BYTES_AT_ONCE && !list_empty(&c->ios)) {
		taken[nr] = list_first(&c->ios, struct uring_io, link);
		list_del(&taken[nr]->link);
		bytes += taken[nr]->rq->size_bytes;
		nr++;
	}
	return nr;
}

/* The next to do; 0 when the disk closes. */
static uint32_t next_calls(struct callers *c, struct uring_io **taken)
{
	uint32_t nr;

	mutex_lock(&c->lock);
	while (list_empty(&c->ios) && !c->is_stopping)
		sleep_until_called(c);
	nr = take_calls(c, taken);
	if (!list_empty(&c->ios))
		call_one(c);
	mutex_unlock(&c->lock);
	return nr;
}

static void caller_thread(void *arg)
{
	struct uringdisk *u = arg;
	struct uring_io *taken[CALLS_AT_ONCE];
	struct disk_completion done[CALLS_AT_ONCE];
	uint32_t nr;

	while ((nr = next_calls(&u->callers, taken))) {
		for (uint32_t i = 0; i < nr; i++)
			done[i] = (struct disk_completion){taken[i]->rq, uring_call_now(u, taken[i])};
		disk_complete_batch(done, nr);	/* from here on the ios may be others' */
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
