/*
 * "deadline": sweeps upwards in batches, but looks at the clock between them.
 *
 * Reads and writes wait apart, each sorted by sector and queued by age. A batch goes upwards through
 * one direction from where its last batch ended. Between two batches it is asked who is next:
 *
 * D1  Reads before writes, because somebody waits for a read; but after two batches of reads
 *     that passed waiting writes, the writes have a batch.
 * D2  A batch begins at the oldest request of its direction when that is past its time, else where the
 *     sweep stands.
 * D3  Hence whoever is past his time waits for at most the batches before his own: with n requests
 *     past their time before him, n batches of his direction. Nobody starves.
 *
 * The idea is that of Linux's deadline scheduler (Documentation/block/deadline-iosched.rst).
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sched/sched.h"
#include "sorted.h"

#define READ_EXPIRE_NS (500 * NSEC_PER_MSEC)	/* a person begins to notice */
#define WRITE_EXPIRE_NS (5 * NSEC_PER_SEC)	/* as often as dirty pages are looked for */
#define BATCH_MAX 16u				/* requests between two looks at the clock */
#define READ_BATCHES_MAX 2u			/* before writes that wait have one */

enum direction { READS, WRITES, NR_DIRECTIONS };	/* discards go with the writes */

struct deadline {
	/* all [queue lock] */
	struct waiting {
		struct sorted sorted;
		struct list by_age;	/* by queue_link, oldest first */
		sector_t head;		/* where the direction's last request ended */
	} waiting[NR_DIRECTIONS];
	enum direction direction;	/* of the batch */
	uint32_t batch_left;
	uint32_t nr_passed;		/* batches of reads since writes began to wait */
};

static const uint64_t expire_ns[NR_DIRECTIONS] = {READ_EXPIRE_NS, WRITE_EXPIRE_NS};

static int deadline_init(void **ret_elevator)
{
	struct deadline *d = mem_zalloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	for (int i = 0; i < NR_DIRECTIONS; i++) {
		sorted_init(&d->waiting[i].sorted);
		list_init(&d->waiting[i].by_age);
	}
	*ret_elevator = d;
	return 0;
}

static enum direction direction_of(enum bio_op op)
{
	return op == BIO_READ ? READS : WRITES;
}

static void deadline_insert(void *elevator, struct request *rq)
{
	struct deadline *d = elevator;
	struct waiting *w = &d->waiting[direction_of(rq->op)];

	sorted_add(&w->sorted, rq);
	list_add_tail(&w->by_age, &rq->queue_link);
}

/* A request keeps its age when a younger bio joins it. */
static bool deadline_try_merge(void *elevator, struct bio *bio)
{
	struct deadline *d = elevator;

	return sorted_try_merge(&d->waiting[direction_of(bio->op)].sorted, bio);
}

/* D1. Something waits. */
static enum direction choose_direction(struct deadline *d)
{
	bool has_reads = !list_empty(&d->waiting[READS].by_age);
	bool has_writes = !list_empty(&d->waiting[WRITES].by_age);

	if (has_reads && (!has_writes || d->nr_passed < READ_BATCHES_MAX)) {
		d->nr_passed += has_writes;
		return READS;
	}
	d->nr_passed = 0;
	return WRITES;
}

/* D2 */
static struct request *batch_begin(struct deadline *d, uint64_t now_ns)
{
	struct waiting *w;
	struct request *oldest, *rq;

	d->direction = choose_direction(d);
	d->batch_left = BATCH_MAX;
	w = &d->waiting[d->direction];
	oldest = list_first(&w->by_age, struct request, queue_link);
	if (oldest->queued_ns + expire_ns[d->direction] <= now_ns)
		return oldest;
	rq = sorted_at_or_after(&w->sorted, w->head);
	return rq ? rq : sorted_first(&w->sorted);
}

static struct request *batch_go_on(struct deadline *d)
{
	struct waiting *w = &d->waiting[d->direction];

	return d->batch_left ? sorted_at_or_after(&w->sorted, w->head) : NULL;
}

static struct request *deadline_next(void *elevator, uint64_t now_ns)
{
	struct deadline *d = elevator;
	struct waiting *w;
	struct request *rq;

	if (list_empty(&d->waiting[READS].by_age) && list_empty(&d->waiting[WRITES].by_age))
		return NULL;
	rq = batch_go_on(d);
	if (!rq)
		rq = batch_begin(d, now_ns);
	w = &d->waiting[d->direction];
	sorted_del(&w->sorted, rq);
	list_del(&rq->queue_link);
	w->head = request_end(rq);
	d->batch_left--;
	return rq;
}

const struct elevator_ops deadline_elevator = {
	.name = "deadline",
	.init = deadline_init,
	.done = mem_free,
	.insert = deadline_insert,
	.try_merge = deadline_try_merge,
	.next = deadline_next,
};
