/*
 * "scan", the elevator: sweeps up, then down, and serves what lies on the way.
 *
 * It turns at the last request and not at the disk's edge (the books call that LOOK). Every sweep
 * moves strictly on, so whoever waits is reached within two of them. Requests near the edges are
 * passed twice in a short time and then not for long: their waits are spread more than under C-SCAN.
 */
#include <errno.h>

#include "base/mem.h"
#include "sched/sched.h"
#include "sorted.h"

struct scan {
	struct sorted waiting;	/* [queue lock] */
	/* Upwards: what starts at head or behind is ahead. Downwards: what starts before it is. */
	sector_t head;		/* [queue lock] */
	bool is_downwards;	/* [queue lock] */
};

static int scan_init(void **ret_elevator)
{
	struct scan *scan = mem_zalloc(sizeof(*scan));

	if (!scan)
		return -ENOMEM;
	sorted_init(&scan->waiting);
	*ret_elevator = scan;
	return 0;
}

static void scan_insert(void *elevator, struct request *rq)
{
	struct scan *scan = elevator;

	sorted_add(&scan->waiting, rq);
}

static bool scan_try_merge(void *elevator, struct bio *bio)
{
	struct scan *scan = elevator;

	return sorted_try_merge(&scan->waiting, bio);
}

static struct request *ahead(const struct scan *scan)
{
	return scan->is_downwards ? sorted_before(&scan->waiting, scan->head)
				  : sorted_at_or_after(&scan->waiting, scan->head);
}

static struct request *scan_next(void *elevator, uint64_t now_ns)
{
	struct scan *scan = elevator;
	struct request *rq = ahead(scan);

	(void)now_ns;
	if (!rq) {
		if (sorted_is_empty(&scan->waiting))
			return NULL;
		scan->is_downwards = !scan->is_downwards;
		rq = ahead(scan);
	}
	sorted_del(&scan->waiting, rq);
	/* Strictly on: a stream at one place does not hold the head there. */
	scan->head = scan->is_downwards ? rq->sector : request_end(rq);
	return rq;
}

const struct elevator_ops scan_elevator = {
	.name = "scan",
	.init = scan_init,
	.done = mem_free,
	.insert = scan_insert,
	.try_merge = scan_try_merge,
	.next = scan_next,
};
