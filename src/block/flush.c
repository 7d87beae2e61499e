/*
 * Flush sequencing: what a promise of durability costs, and how many share the cost.
 *
 * A request that promises something walks through up to three steps:
 *
 *	FLUSH bio               PRE
 *	write, PREFLUSH         PRE -> DATA
 *	write, FUA              DATA               driver has FUA: the driver keeps the promise
 *	write, FUA              DATA -> POST       it has not: a flush behind the write keeps it
 *	write, PREFLUSH | FUA   PRE -> DATA (-> POST)
 *
 * The driver has at most one flush at a time. Who needs a flush while it runs waits for the next,
 * since a flush vouches only for what was complete when it began (F1); all who wait then ride
 * on that one together:
 *
 *	            begin                 flush comes back
 *	newcomer ----------> waiting ----------------------> riding ---> next step, or done
 *	                        ^      (the next one starts)
 *	                        '--- newcomers while one runs
 *
 * F1  A flush that keeps a promise is given to the driver after what it vouches for completed.
 * F2  The data of a PREFLUSH write is given to the driver after its flush succeeded.
 * F3  A request is done when its last step is; a failed step skips those behind it, and its
 *     error is the request's.
 * F4  One flush is under way, and who waits rides on the first that began after he came.
 */
#include "flush.h"

#include "base/assert.h"

void flusher_init(struct flusher *f, struct disk *disk)
{
	*f = (struct flusher){.rq = {.disk = disk, .op = BIO_FLUSH, .tag = REQUEST_NO_TAG}};
	list_init(&f->rq.bios);
	list_init(&f->rq.queue_link);
	list_init(&f->riding);
	list_init(&f->waiting);
}

uint32_t flush_steps(const struct disk_limits *limits, const struct bio *bio)
{
	uint32_t steps = 0;

	if (bio->op == BIO_FLUSH)
		return FLUSH_STEP_PRE;
	if (bio->flags & BIO_PREFLUSH)
		steps |= FLUSH_STEP_PRE | FLUSH_STEP_DATA;
	if ((bio->flags & BIO_FUA) && !limits->has_fua)
		steps |= FLUSH_STEP_DATA | FLUSH_STEP_POST;
	return steps;
}

/* F4: the next flush takes all who wait, when none is under way. */
static void flush_start_next(struct flusher *f, uint64_t now_ns, struct list *urgent)
{
	if (f->is_running || list_empty(&f->waiting))
		return;
	list_splice_tail(&f->riding, &f->waiting);
	f->is_running = true;
	f->rq.queued_ns = now_ns;
	list_add_tail(urgent, &f->rq.queue_link);
}

/* Where rq goes with the steps it has left. */
static void flush_go_on(struct flusher *f, struct request *rq, struct list *urgent,
			struct list *done)
{
	if (rq->steps_left & FLUSH_STEP_PRE)
		list_add_tail(&f->waiting, &rq->queue_link);
	else if (rq->steps_left & FLUSH_STEP_DATA)
		list_add_tail(urgent, &rq->queue_link);	/* F2: PRE is behind it, or was not asked for */
	else if (rq->steps_left & FLUSH_STEP_POST)
		list_add_tail(&f->waiting, &rq->queue_link);
	else
		list_add_tail(done, &rq->queue_link);
}

void flush_begin(struct flusher *f, struct request *rq, uint32_t steps, uint64_t now_ns,
		 struct list *urgent)
{
	struct list none;

	must(steps != 0);
	list_init(&none);
	rq->steps_left = steps;
	rq->status = 0;
	/* The sequence keeps these promises; the driver sees FUA only when it keeps that one. */
	rq->flags &= ~(uint32_t)BIO_PREFLUSH;
	if (steps & FLUSH_STEP_POST)
		rq->flags &= ~(uint32_t)BIO_FUA;
	flush_go_on(f, rq, urgent, &none);
	flush_start_next(f, now_ns, urgent);
	must(list_empty(&none));
}

static void step_end(struct flusher *f, struct request *rq, uint32_t step, int status,
		     struct list *urgent, struct list *done)
{
	rq->steps_left &= ~step;
	if (status) {	/* F3 */
		rq->status = status;
		rq->steps_left = 0;
	}
	flush_go_on(f, rq, urgent, done);
}

void flush_step_done(struct flusher *f, struct request *rq, int status, uint64_t now_ns,
		     struct list *urgent, struct list *done)
{
	struct list riders;

	if (rq != &f->rq) {
		must(rq->steps_left & FLUSH_STEP_DATA);
		step_end(f, rq, FLUSH_STEP_DATA, status, urgent, done);
	} else {
		list_init(&riders);
		list_splice_tail(&riders, &f->riding);
		f->is_running = false;
		while (!list_empty(&riders)) {
			struct request *rider = list_first(&riders, struct request, queue_link);
			/* A rider waits for its first flush: PRE when that is left, else POST. */
			uint32_t step = rider->steps_left & FLUSH_STEP_PRE ? FLUSH_STEP_PRE
									   : FLUSH_STEP_POST;

			list_del(&rider->queue_link);
			step_end(f, rider, step, status, urgent, done);
		}
	}
	flush_start_next(f, now_ns, urgent);
}
