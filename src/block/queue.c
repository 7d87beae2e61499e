/*
 * The queue: bios in, requests out to whoever carries them out, and back.
 *
 *	          merge                          take               driver
 *	bio --> [slot] --> elevator ---------------------> dispatched (tag) ----> end_io --> release
 *	             \---> flusher --> urgent ----------/        |
 *	                      ^------------- steps left ---------'
 *
 * Who carries out: with a driver that has execute(), worker threads, and submitters that would
 * only sleep meanwhile. With a driver that has start(), the submitter or completing thread that
 * finds something to start becomes the dispatcher; a second one sees `is_dispatching` and leaves,
 * because the first looks again, under the lock, before it stops. Inline mode is the same with
 * execute() in place of start().
 *
 * Waking is dear (microseconds) and most I/O is not, so a kick calls at most one worker, and that
 * one calls the next if it finds more than it takes itself. A batch that the first worker finishes
 * in no time wakes nobody else; a batch of slow ones has all workers after a few wake-ups.
 */
#include "queue.h"

#include "base/assert.h"
#include "base/log.h"

#define DISPATCH_BATCH_MAX 32u	/* starts between two commits: one ring of the doorbell */

static uint64_t now(const struct disk *disk)
{
	return clock_now_ns(disk->clock);
}

/* What waits and what may go. */

static bool queue_has_waiting(const struct disk *disk)
{
	return !list_empty(&disk->urgent) || disk->nr_in_elevator;
}

bool queue_can_dispatch(const struct disk *disk)
{
	return disk->nr_free_tags && queue_has_waiting(disk);
}

bool queue_dispatch(struct disk *disk, struct request *rq)
{
	if (disk->nr_free_tags == 0)
		return false;
	must(rq->tag == REQUEST_NO_TAG);
	rq->tag = disk->free_tags[--disk->nr_free_tags];
	rq->dispatched_ns = now(disk);
	histogram_add(&disk->stats.wait_ns, rq->dispatched_ns - rq->queued_ns);
	trace("block.dispatch", rq->sector, (uint64_t)rq->op << 32 | rq->size_bytes);
	return true;
}

static void tag_put(struct disk *disk, struct request *rq) needs(disk->lock)
{
	if (rq->tag == REQUEST_NO_TAG)
		return;
	must(disk->nr_free_tags < disk->limits.depth);
	disk->free_tags[disk->nr_free_tags++] = rq->tag;
	rq->tag = REQUEST_NO_TAG;
}

struct request *queue_take(struct disk *disk)
{
	struct request *rq;

	must_hold(&disk->lock);
	if (!queue_can_dispatch(disk))
		return NULL;
	if (!list_empty(&disk->urgent)) {
		rq = list_first(&disk->urgent, struct request, queue_link);
		list_del(&rq->queue_link);
	} else {
		rq = disk->elevator_ops->next(disk->elevator, now(disk));
		must(rq);	/* e1 */
		disk->nr_in_elevator--;
		rq->is_elevators = true;
	}
	must(queue_dispatch(disk, rq));
	return rq;
}

/* Those that wait go over in the old one's order; the new one sorts them anew. */
int disk_set_elevator(struct disk *disk, const struct elevator_ops *ops)
{
	const struct elevator_ops *old_ops;
	struct request *rq;
	void *old, *new;
	int err = ops->init(&new);

	if (err)
		return err;
	mutex_lock(&disk->lock);
	old_ops = disk->elevator_ops;
	old = disk->elevator;
	while ((rq = old_ops->next(old, now(disk))))
		ops->insert(new, rq);
	disk->elevator_ops = ops;
	disk->elevator = new;
	mutex_unlock(&disk->lock);
	old_ops->done(old);
	return 0;
}

const char *disk_elevator_name(struct disk *disk)
{
	const char *name;

	mutex_lock(&disk->lock);
	name = disk->elevator_ops->name;
	mutex_unlock(&disk->lock);
	return name;
}

/* The way back. */

void queue_account(struct disk *disk, struct request *rq, int status)
{
	struct disk_stats *stats = &disk->stats;

	counter_add(&stats->ios[rq->op], 1);
	counter_add(&stats->bytes[rq->op], rq->size_bytes);
	if (status)
		counter_add(&stats->errors, 1);
	histogram_add(&stats->service_ns, now(disk) - rq->dispatched_ns);
	trace("block.complete", rq->sector, (uint64_t)-status);
	if (disk->trace)
		disk->trace(disk->trace_arg, rq, status);
}

void queue_release(struct disk *disk, struct request *rq)
{
	must_hold(&disk->lock);
	tag_put(disk, rq);
	if (rq->is_elevators && disk->elevator_ops->completed)
		disk->elevator_ops->completed(disk->elevator, rq);
	slot_put(&disk->slots, rq);
	atomic_store_explicit(&disk->stats.depth_now, disk->slots.nr_out, memory_order_relaxed);
	if (disk->slots.nr_out == 0 && disk->nr_drainers)
		cond_broadcast(&disk->drained);
}

/* A step of a flush sequence is over: steps behind it queue up, and ended ones go to ended. */
static void step_done(struct disk *disk, struct request *rq, int status, struct list *ended)
{
	mutex_lock(&disk->lock);
	tag_put(disk, rq);
	flush_step_done(&disk->flusher, rq, status, now(disk), &disk->urgent, ended);
	mutex_unlock(&disk->lock);
}

/*
 * The driver is done with rq: ends the bios, without the lock, of rq or of those that waited for
 * this flush. The requests to release go to ended.
 */
static void request_done(struct disk *disk, struct request *rq, int status, struct list *ended)
{
	struct list *l;

	queue_account(disk, rq, status);
	if (rq == &disk->flusher.rq || rq->steps_left) {
		step_done(disk, rq, status, ended);
	} else {
		rq->status = status;
		list_add_tail(ended, &rq->queue_link);
	}
	for (l = ended->next; l != ended; l = l->next) {
		struct request *end = list_entry(l, struct request, queue_link);

		request_end_bios(end, end->status);
	}
}

static void release_all(struct disk *disk, struct list *ended) needs(disk->lock)
{
	while (!list_empty(ended)) {
		struct request *rq = list_first(ended, struct request, queue_link);

		list_del(&rq->queue_link);
		queue_release(disk, rq);
	}
}

void queue_carry_out(struct disk *disk, struct request *rq)
{
	struct list ended = LIST_INIT(ended);
	int status;

	mutex_unlock(&disk->lock);
	status = disk->ops->execute(disk->driver, rq);
	request_done(disk, rq, status, &ended);
	mutex_lock(&disk->lock);
	release_all(disk, &ended);
}

/* Dispatching to drivers with start(), and inline. */

static uint32_t take_batch(struct disk *disk, struct list *batch) needs(disk->lock)
{
	struct request *rq;
	uint32_t nr = 0;

	while (nr < DISPATCH_BATCH_MAX && (rq = queue_take(disk))) {
		list_add_tail(batch, &rq->queue_link);
		nr++;
	}
	return nr;
}

static void start_batch(struct disk *disk, struct list *batch) needs(disk->lock)
{
	mutex_unlock(&disk->lock);
	while (!list_empty(batch)) {
		struct request *rq = list_first(batch, struct request, queue_link);

		list_del(&rq->queue_link);	/* from start() on it may be gone at any moment */
		disk->ops->start(disk->driver, rq);
	}
	if (disk->ops->commit)
		disk->ops->commit(disk->driver);
	mutex_lock(&disk->lock);
}

static void queue_run(struct disk *disk) needs(disk->lock)
{
	struct list batch = LIST_INIT(batch);
	struct request *rq;

	if (disk->is_dispatching)
		return;
	disk->is_dispatching = true;
	if (disk->mode == QUEUE_INLINE)
		while ((rq = queue_take(disk)))
			queue_carry_out(disk, rq);
	else
		while (take_batch(disk, &batch))
			start_batch(disk, &batch);
	disk->is_dispatching = false;
	if (disk->nr_drainers)
		cond_broadcast(&disk->drained);
}

void queue_kick(struct disk *disk)
{
	must_hold(&disk->lock);
	if (!queue_can_dispatch(disk))
		return;
	if (disk->mode == QUEUE_WORKERS)
		workers_call_one(disk);
	else
		queue_run(disk);
}

void disk_complete_batch(const struct disk_completion *done, uint32_t nr)
{
	struct disk *disk = nr ? done[0].rq->disk : NULL;
	struct list ended = LIST_INIT(ended);

	if (!disk)
		return;
	must(disk->mode == QUEUE_START);
	for (uint32_t i = 0; i < nr; i++) {
		struct list one = LIST_INIT(one);

		request_done(disk, done[i].rq, done[i].status, &one);
		list_splice_tail(&ended, &one);
	}
	mutex_lock(&disk->lock);
	release_all(disk, &ended);
	queue_kick(disk);
	mutex_unlock(&disk->lock);
}

void disk_complete(struct request *rq, int status)
{
	struct disk_completion done = {rq, status};

	disk_complete_batch(&done, 1);
}

/* The way in. */

static void note_depth(struct disk *disk)
{
	uint32_t nr_out = disk->slots.nr_out;

	/* Written under the lock only; atomic for those who read without it. */
	atomic_store_explicit(&disk->stats.depth_now, nr_out, memory_order_relaxed);
	if (nr_out > atomic_load_explicit(&disk->stats.depth_most, memory_order_relaxed))
		atomic_store_explicit(&disk->stats.depth_most, nr_out, memory_order_relaxed);
}

struct request *queue_slot_try(struct disk *disk, enum slot_class class)
{
	struct request *rq = slot_try(&disk->slots, class);

	note_depth(disk);
	return rq;
}

static struct request *slot_get(struct disk *disk, enum slot_class class) needs(disk->lock)
{
	struct request *rq = slot_try(&disk->slots, class);

	if (!rq) {
		queue_kick(disk);	/* what this thread put in itself may be what fills the queue */
		rq = slot_try(&disk->slots, class);
	}
	if (!rq) {
		counter_add(&disk->stats.backpressure_waits, 1);
		rq = slot_wait(&disk->slots, class, &disk->lock);
	}
	note_depth(disk);
	return rq;
}

/* Does the submitter carry this out himself, rather than leave it to the elevator's order? */
static bool goes_first(const struct disk *disk, enum slot_class class)
{
	return class == SLOT_WAITED_FOR && disk->mode == QUEUE_WORKERS;
}

/* A filled request starts its life: in a flush sequence, in front, or with the elevator. */
static void request_enter(struct disk *disk, struct request *rq, uint32_t steps,
			  enum slot_class class) needs(disk->lock)
{
	if (steps) {
		flush_begin(&disk->flusher, rq, steps, rq->queued_ns, &disk->urgent);
	} else if (goes_first(disk, class)) {
		list_add_tail(&disk->urgent, &rq->queue_link);
	} else {
		disk->elevator_ops->insert(disk->elevator, rq);
		disk->nr_in_elevator++;
	}
}

static void add_parts(struct disk *disk, struct bio *bio, uint32_t nr_parts, uint32_t steps,
		      enum slot_class class) needs(disk->lock)
{
	uint32_t skip = 0;

	counter_add(&disk->stats.splits, 1);
	atomic_store(&bio->part_error, 0);
	atomic_store(&bio->nr_parts, nr_parts);
	/* While the lock is dropped for room, parts end; the bio cannot before the last went in. */
	while (nr_parts--) {
		struct request *rq = slot_get(disk, class);
		struct bio_part part = bio_part_at(&disk->limits, bio, skip);

		request_init_part(rq, bio, part);
		skip += part.len_bytes;
		request_enter(disk, rq, steps, class);
	}
}

static bool merge_into_waiting(struct disk *disk, struct bio *bio, enum slot_class class)
	needs(disk->lock)
{
	if (disk->nr_in_elevator == 0 || goes_first(disk, class) ||
	    !disk->elevator_ops->try_merge(disk->elevator, bio))
		return false;
	counter_add(&disk->stats.merges, 1);
	return true;
}

void queue_add(struct disk *disk, struct bio *bio, enum slot_class class)
{
	uint32_t steps = flush_steps(&disk->limits, bio);
	uint32_t nr_parts = bio_count_parts(&disk->limits, bio);
	struct request *rq;

	must_hold(&disk->lock);
	bio->submit_ns = now(disk);
	if (nr_parts > 1) {
		add_parts(disk, bio, nr_parts, steps, class);
		return;
	}
	if (!steps && merge_into_waiting(disk, bio, class))
		return;
	rq = slot_get(disk, class);
	request_init_whole(rq, bio);
	request_enter(disk, rq, steps, class);
}
