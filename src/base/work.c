/*
 * Work queues.
 *
 * A work's life; `state` holds the flags, and `link` is on the list that the flag names:
 *
 *	        work_queue            taken             fn returns
 *	  (0) ------------> READY ------------> RUNNING ----------> (0)
 *	   |                  ^                    |   requeue: READY instead
 *	   | work_queue_      | its date comes     | queued: requeue = true
 *	   |  delayed         | (RUNNING: requeue) | delayed: RUNNING | DELAYED
 *	   +------------> DELAYED <----------------+
 *
 *	C1  READY and DELAYED exclude each other (W1); so do READY and RUNNING (W2).
 *	C2  requeue is only set while RUNNING, and excludes DELAYED.
 *	C3  The delayed list is sorted by date.
 *
 * With threads, each worker waits for work, or for the first date of the delayed list: on the
 * real clock by a timeout, on a virtual one until the clock tells that it moved. Inline, nothing
 * waits: work_run_pending() takes a ready work by lot until none is left.
 */
#include "base/work.h"

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "clock_private.h"

enum { READY = 1, DELAYED = 2, RUNNING = 4 };

struct workqueue {
	/* Set once at create. */
	struct clock *clock;
	unsigned nr_threads;		/* 0: inline mode */

	struct mutex lock;		/* RANK_WORK */
	struct cond arrived;		/* work, a nearer date, a moved clock, or the end */
	struct cond finished;		/* a work has run */
	struct list ready;		/* [lock] */
	struct list delayed;		/* [lock] C3 */
	size_t nr_ready;		/* [lock] */
	unsigned nr_running;		/* [lock] */
	size_t nr_ran;			/* [lock] ever */
	struct rand rand;		/* [lock] */
	bool is_stopping;		/* [lock] dates do not come any more */
	struct clock_listener listener;
	struct thread *threads[];
};

void work_init(struct work *w, work_fn fn)
{
	*w = (struct work){.fn = fn};
	list_init(&w->link);
}

bool workqueue_is_inline(const struct workqueue *q)
{
	return q->nr_threads == 0;
}

/* Lists; all with the queue's lock held. */

static void make_ready(struct workqueue *q, struct work *w) needs(q->lock)
{
	if (w->state & RUNNING) {
		w->requeue = true;
		return;
	}
	w->state = READY;
	list_add_tail(&q->ready, &w->link);
	q->nr_ready++;
	cond_signal(&q->arrived);
}

static void take_off(struct workqueue *q, struct work *w) needs(q->lock)
{
	if (w->state & READY)
		q->nr_ready--;
	w->state &= ~(READY | DELAYED);
	w->requeue = false;
	list_del(&w->link);
}

static void insert_by_date(struct workqueue *q, struct work *w) needs(q->lock)
{
	struct list *before = q->delayed.prev;

	while (before != &q->delayed && list_entry(before, struct work, link)->due_ns > w->due_ns)
		before = before->prev;
	list_add(before, &w->link);
	w->state |= DELAYED;
}

/* Makes ready whose date has come. */
static void promote_due(struct workqueue *q) needs(q->lock)
{
	while (!list_empty(&q->delayed) && !q->is_stopping) {
		struct work *w = list_first(&q->delayed, struct work, link);

		if (w->due_ns > clock_now_ns(q->clock))
			return;
		take_off(q, w);
		make_ready(q, w);
	}
}

/* The first; inline one by lot. */
static struct work *choose(struct workqueue *q) needs(q->lock)
{
	struct list *l = q->ready.next;

	if (workqueue_is_inline(q))
		for (uint64_t skip = rand_below(&q->rand, q->nr_ready); skip > 0; skip--)
			l = l->next;
	return list_entry(l, struct work, link);
}

/* Runs one ready work; the lock is given up meanwhile. */
static void run_one(struct workqueue *q) needs(q->lock)
{
	struct work *w = choose(q);

	take_off(q, w);
	w->state |= RUNNING;
	q->nr_running++;
	mutex_unlock(&q->lock);
	w->fn(w);
	mutex_lock(&q->lock);
	q->nr_running--;
	q->nr_ran++;
	w->state &= ~RUNNING;
	if (w->requeue) {
		w->requeue = false;
		make_ready(q, w);
	}
	cond_broadcast(&q->finished);
}

/* Threads. */

static void wait_for_work(struct workqueue *q) needs(q->lock)
{
	uint64_t now, due;

	if (list_empty(&q->delayed) || clock_is_virtual(q->clock)) {
		cond_wait(&q->arrived, &q->lock);
		return;
	}
	now = clock_now_ns(q->clock);
	due = list_first(&q->delayed, struct work, link)->due_ns;
	if (due > now)
		cond_wait_ms(&q->arrived, &q->lock, div_round_up(due - now, NSEC_PER_MSEC));
}

/* Who goes to work may have been the only one that was waiting for the next date: wakes another. */
static void run_as_worker(struct workqueue *q) needs(q->lock)
{
	if (!list_empty(&q->delayed))
		cond_signal(&q->arrived);
	run_one(q);
}

static void worker(void *arg)
{
	struct workqueue *q = arg;

	mutex_lock(&q->lock);
	for (;;) {
		promote_due(q);
		if (q->nr_ready > 0)
			run_as_worker(q);
		else if (q->is_stopping)
			break;
		else
			wait_for_work(q);
	}
	mutex_unlock(&q->lock);
}

static void clock_moved(struct clock_listener *l)
{
	struct workqueue *q = container_of(l, struct workqueue, listener);

	mutex_lock(&q->lock);
	cond_broadcast(&q->arrived);
	mutex_unlock(&q->lock);
}

static void stop_threads(struct workqueue *q)
{
	mutex_lock(&q->lock);
	q->is_stopping = true;
	cond_broadcast(&q->arrived);
	mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->nr_threads; i++)
		thread_join(q->threads[i]);
}

static void release(struct workqueue *q)
{
	if (clock_is_virtual(q->clock))
		clock_unlisten(q->clock, &q->listener);
	cond_done(&q->finished);
	cond_done(&q->arrived);
	mutex_done(&q->lock);
	mem_free(q);
}

struct workqueue *workqueue_create(const char *name, unsigned nr_threads, struct clock *clock,
				   uint64_t seed)
{
	struct workqueue *q = mem_zalloc(sizeof(*q) + nr_threads * sizeof(q->threads[0]));

	if (!q)
		return NULL;
	q->clock = clock;
	q->nr_threads = nr_threads;
	mutex_init(&q->lock, RANK_WORK, name);
	cond_init(&q->arrived);
	cond_init(&q->finished);
	list_init(&q->ready);
	list_init(&q->delayed);
	rand_init(&q->rand, seed);
	q->listener.moved = clock_moved;
	if (clock_is_virtual(clock))
		clock_listen(clock, &q->listener);
	for (unsigned i = 0; i < nr_threads; i++) {
		q->threads[i] = thread_create(name, worker, q);
		if (!q->threads[i]) {
			stop_threads(q);
			release(q);
			return NULL;
		}
	}
	return q;
}

static void run_inline(struct workqueue *q) needs(q->lock)
{
	for (promote_due(q); q->nr_ready > 0; promote_due(q))
		run_one(q);
}

void workqueue_destroy(struct workqueue *q)
{
	if (!q)
		return;
	stop_threads(q);
	mutex_lock(&q->lock);
	if (workqueue_is_inline(q))
		run_inline(q);
	must(q->nr_running == 0);
	while (!list_empty(&q->delayed))
		take_off(q, list_first(&q->delayed, struct work, link));
	mutex_unlock(&q->lock);
	release(q);
}

/* For users. */

void work_queue(struct workqueue *q, struct work *w)
{
	mutex_lock(&q->lock);
	if (w->state & DELAYED)
		take_off(q, w);
	if (!(w->state & READY))
		make_ready(q, w);
	mutex_unlock(&q->lock);
}

void work_queue_delayed(struct workqueue *q, struct work *w, uint64_t delay_ms)
{
	uint64_t delay_ns = min(delay_ms, UINT64_MAX / 2 / NSEC_PER_MSEC) * NSEC_PER_MSEC;
	uint64_t due = clock_now_ns(q->clock) + delay_ns;

	mutex_lock(&q->lock);
	if ((w->state & DELAYED) && w->due_ns > due)
		take_off(q, w);
	if (!(w->state & (READY | DELAYED)) && !w->requeue) {
		w->due_ns = due;
		insert_by_date(q, w);
		cond_signal(&q->arrived);
	}
	mutex_unlock(&q->lock);
}

/* A work that queues itself while it runs is taken off again once it has returned. */
void work_cancel_sync(struct workqueue *q, struct work *w)
{
	mutex_lock(&q->lock);
	for (;;) {
		take_off(q, w);
		if (!(w->state & RUNNING))
			break;
		must(!workqueue_is_inline(q));	/* it would wait for itself */
		cond_wait(&q->finished, &q->lock);
	}
	mutex_unlock(&q->lock);
}

static void wait_until_idle(struct workqueue *q) needs(q->lock)
{
	for (promote_due(q); q->nr_ready > 0 || q->nr_running > 0; promote_due(q))
		cond_wait(&q->finished, &q->lock);
}

size_t work_run_pending(struct workqueue *q)
{
	size_t before;

	mutex_lock(&q->lock);
	before = q->nr_ran;
	if (workqueue_is_inline(q))
		run_inline(q);
	else
		wait_until_idle(q);
	before = q->nr_ran - before;
	mutex_unlock(&q->lock);
	return before;
}
