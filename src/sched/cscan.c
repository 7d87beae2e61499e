/*
 * "cscan": sweeps upwards, then goes back to the lowest request and sweeps again.
 *
 * The way back serves nobody, and in return every place is passed once a round: waits differ less
 * than under SCAN. It turns at the last request, not at the disk's edge (C-LOOK).
 */
#include <errno.h>

#include "base/mem.h"
#include "sched/sched.h"
#include "sorted.h"

struct cscan {
	struct sorted waiting;	/* [queue lock] */
	sector_t head;		/* where the last request ended [queue lock] */
};

static int cscan_init(void **ret_elevator)
{
	struct cscan *cscan = mem_zalloc(sizeof(*cscan));

	if (!cscan)
		return -ENOMEM;
	sorted_init(&cscan->waiting);
	*ret_elevator = cscan;
	return 0;
}

static void cscan_insert(void *elevator, struct request *rq)
{
	struct cscan *cscan = elevator;

	sorted_add(&cscan->waiting, rq);
}

static bool cscan_try_merge(void *elevator, struct bio *bio)
{
	struct cscan *cscan = elevator;

	return sorted_try_merge(&cscan->waiting, bio);
}

static struct request *cscan_next(void *elevator, uint64_t now_ns)
{
	struct cscan *cscan = elevator;
	struct request *rq = sorted_at_or_after(&cscan->waiting, cscan->head);

	(void)now_ns;
	if (!rq)
		rq = sorted_first(&cscan->waiting);
	if (!rq)
		return NULL;
	sorted_del(&cscan->waiting, rq);
	cscan->head = request_end(rq);
	return rq;
}

const struct elevator_ops cscan_elevator = {
	.name = "cscan",
	.init = cscan_init,
	.done = mem_free,
	.insert = cscan_insert,
	.try_merge = cscan_try_merge,
	.next = cscan_next,
};
