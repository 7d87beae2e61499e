/*
 * "noop", the built-in elevator: first come, first served, with merging at the tail.
 *
 * Right where moving costs nothing (flash, an image in the page cache), and the measure for all
 * others. A few requests from the tail are looked at for a merge, so that several sequential
 * writers at once do not part each other's neighbours.
 */
#include <errno.h>

#include "base/mem.h"
#include "block/elevator.h"

#define TAIL_LOOKED_AT 8u	/* requests; more writers than that at once are rare */

struct fifo {
	struct list requests;	/* in the order of arrival [queue lock] */
};

static int fifo_init(void **ret_elevator)
{
	struct fifo *fifo = mem_alloc(sizeof(*fifo));

	if (!fifo)
		return -ENOMEM;
	list_init(&fifo->requests);
	*ret_elevator = fifo;
	return 0;
}

static void fifo_done(void *elevator)
{
	mem_free(elevator);
}

static void fifo_insert(void *elevator, struct request *rq)
{
	struct fifo *fifo = elevator;

	list_add_tail(&fifo->requests, &rq->queue_link);
}

static bool fifo_try_merge(void *elevator, struct bio *bio)
{
	struct fifo *fifo = elevator;
	unsigned looked_at = 0;

	for (struct list *l = fifo->requests.prev; l != &fifo->requests; l = l->prev) {
		if (looked_at++ == TAIL_LOOKED_AT)
			break;
		if (request_try_merge(list_entry(l, struct request, queue_link), bio) != MERGE_NONE)
			return true;
	}
	return false;
}

static struct request *fifo_next(void *elevator, uint64_t now_ns)
{
	struct fifo *fifo = elevator;
	struct request *rq;

	(void)now_ns;
	if (list_empty(&fifo->requests))
		return NULL;
	rq = list_first(&fifo->requests, struct request, queue_link);
	list_del(&rq->queue_link);
	return rq;
}

const struct elevator_ops fifo_elevator = {
	.name = "noop",
	.init = fifo_init,
	.done = fifo_done,
	.insert = fifo_insert,
	.try_merge = fifo_try_merge,
	.next = fifo_next,
};
