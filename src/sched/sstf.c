/*
 * "sstf", shortest seek time first: whatever lies nearest to the head.
 *
 * The least travel for the next step, and no promise to anybody: as long as requests keep coming
 * where the head is, those far away wait. The laboratory shows how long; a mount wants
 * "deadline" instead.
 */
#include <errno.h>

#include "base/mem.h"
#include "sched/sched.h"
#include "sorted.h"

struct sstf {
	struct sorted waiting;	/* [queue lock] */
	sector_t head;		/* where the last request ended [queue lock] */
};

static int sstf_init(void **ret_elevator)
{
	struct sstf *sstf = mem_zalloc(sizeof(*sstf));

	if (!sstf)
		return -ENOMEM;
	sorted_init(&sstf->waiting);
	*ret_elevator = sstf;
	return 0;
}

static void sstf_insert(void *elevator, struct request *rq)
{
	struct sstf *sstf = elevator;

	sorted_add(&sstf->waiting, rq);
}

static bool sstf_try_merge(void *elevator, struct bio *bio)
{
	struct sstf *sstf = elevator;

	return sorted_try_merge(&sstf->waiting, bio);
}

static struct request *nearer(sector_t head, struct request *below, struct request *above)
{
	if (!below || !above)
		return below ? below : above;
	return head - below->sector < above->sector - head ? below : above;
}

static struct request *sstf_next(void *elevator, uint64_t now_ns)
{
	struct sstf *sstf = elevator;
	struct request *rq;

	(void)now_ns;
	rq = nearer(sstf->head, sorted_before(&sstf->waiting, sstf->head),
		    sorted_at_or_after(&sstf->waiting, sstf->head));
	if (!rq)
		return NULL;
	sorted_del(&sstf->waiting, rq);
	sstf->head = request_end(rq);
	return rq;
}

const struct elevator_ops sstf_elevator = {
	.name = "sstf",
	.init = sstf_init,
	.done = mem_free,
	.insert = sstf_insert,
	.try_merge = sstf_try_merge,
	.next = sstf_next,
};
