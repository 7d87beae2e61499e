/*
 * Who waits for whom: turns at the throttle and at the pins, and the flusher's bell.
 *
 * Writers are slowed down before they are stopped. Half-way between the background limit and the
 * dirty limit the brake begins: a writer then owes, for the pages it is about to write, a share of
 * as many completed writes; the share grows from nothing there to all of them at the limit. So a
 * writer's speed falls smoothly to the disk's, and what is dirty settles below the limit.
 *
 *	share that must complete first
 *	    1 |                         .
 *	      |                     .   |
 *	      |                 .       |
 *	    0 +--------------.----------+--------> dirty and under writeback
 *	      0  background  brake      limit
 *
 * Debts are paid in a line, oldest first, so that several writers together get what the disk
 * completes, not each of them. Who was let go does not look again. Below the limit nobody is held
 * for longer than BRAKE_MS, as it may be that nothing can be written just then; at the limit the
 * wait is for as long as it takes.
 *
 * Pins bound how many pages all views and chunks may hold together, to half of the cache. A
 * thread takes its pins before it holds anything, so it can wait for others to finish theirs; the
 * other half is left for metadata and for whatever grabs single pages. Without this, a few large
 * reads at once could hold all pages and wait for each other's.
 */
#include "cache_private.h"

#define BRAKE_MS 200u	/* the longest that a writer below the limit is held */

void cache_kick_flusher(struct page_cache *cache)
{
	/* The load first: a busy bell is only read. */
	if (atomic_load(&cache->is_kicked) || atomic_exchange(&cache->is_kicked, true))
		return;
	if (!atomic_load(&cache->is_stopping))
		work_queue(cache->config.work, &cache->flush_work);
}

void alloc_progress(struct page_cache *cache)
{
	if (atomic_load(&cache->nr_alloc_waiters) > 0)
		cond_broadcast(&cache->progress);
}

/* Lines. */

static void waiter_grant(struct waiter *w)
{
	list_del(&w->link);
	w->is_granted = true;
	cond_signal(&w->cond);
}

static void waiter_init(struct waiter *w, struct list *line, uint32_t want)
{
	*w = (struct waiter){.want = want};
	cond_init(&w->cond);
	list_add_tail(line, &w->link);
}

static void waiter_wait(struct waiter *w, struct page_cache *cache) needs(cache->lru_lock)
{
	while (!w->is_granted)
		cond_wait(&w->cond, &cache->lru_lock);
	cond_done(&w->cond);
}

/* Pins. */

static bool pins_try(struct page_cache *cache, uint32_t nr)
{
	uint32_t held = atomic_load(&cache->nr_pins);

	do {
		if (held + nr > cache->pins_max)
			return false;
	} while (!atomic_compare_exchange_weak(&cache->nr_pins, &held, held + nr));
	return true;
}

static void pins_grant(struct page_cache *cache) needs(cache->lru_lock)
{
	while (!list_empty(&cache->pin_waiters)) {
		struct waiter *w = list_first(&cache->pin_waiters, struct waiter, link);

		if (!pins_try(cache, w->want))
			return;
		waiter_grant(w);
	}
}

void pins_get(struct page_cache *cache, uint32_t nr)
{
	struct waiter w;

	must(nr <= cache->pins_max);
	if (cache->is_inline) {		/* one thread: nobody would give any back */
		atomic_fetch_add(&cache->nr_pins, nr);
		return;
	}
	if (atomic_load(&cache->nr_pin_waiters) == 0 && pins_try(cache, nr))
		return;
	mutex_lock(&cache->lru_lock);
	atomic_fetch_add(&cache->nr_pin_waiters, 1);
	counter_add(&cache->stats.reclaim_waits, 1);
	waiter_init(&w, &cache->pin_waiters, nr);
	pins_grant(cache);	/* what was put before our number could be seen */
	waiter_wait(&w, cache);
	atomic_fetch_sub(&cache->nr_pin_waiters, 1);
	mutex_unlock(&cache->lru_lock);
}

void pins_put(struct page_cache *cache, uint32_t nr)
{
	atomic_fetch_sub(&cache->nr_pins, nr);
	if (atomic_load(&cache->nr_pin_waiters) == 0)
		return;
	mutex_lock(&cache->lru_lock);
	pins_grant(cache);
	mutex_unlock(&cache->lru_lock);
}

/* Throttle. */

static uint32_t nr_unwritten(const struct page_cache *cache)
{
	return atomic_load(&cache->nr_dirty) + atomic_load(&cache->nr_writeback);
}

static uint32_t room_below(const struct page_cache *cache, uint32_t limit)
{
	uint32_t used = nr_unwritten(cache);

	return used < limit ? limit - used : 0;
}

uint32_t throttle_debt(uint32_t nr, uint32_t used, uint32_t brake, uint32_t limit)
{
	uint64_t span = limit - brake;

	if (used < brake)
		return 0;
	return (uint32_t)(div_round_up(nr * min((uint64_t)(used - brake), span), span) + 1);
}

/* Below the brake debts are forgotten, for as many writers as fit. */
static void throttle_forgive(struct page_cache *cache) needs(cache->lru_lock)
{
	uint32_t room = room_below(cache, cache->brake);

	while (room > 0 && !list_empty(&cache->throttled)) {
		waiter_grant(list_first(&cache->throttled, struct waiter, link));
		room -= min(room, cache->batch_max);
	}
}

void throttle_progress(struct page_cache *cache, uint32_t nr_completed)
{
	throttle_forgive(cache);
	while (!list_empty(&cache->throttled)) {
		struct waiter *w = list_first(&cache->throttled, struct waiter, link);
		uint32_t paid = min(w->want, nr_completed);

		w->want -= paid;
		nr_completed -= paid;
		if (w->want > 0 || room_below(cache, cache->dirty_max) == 0)
			return;
		waiter_grant(w);
	}
}

/* With nobody else to write, this thread does, until there is room or nothing more can be done. */
static void throttle_inline(struct page_cache *cache)
{
	while (room_below(cache, cache->dirty_max) == 0 && cache->flush_some(cache) > 0)
		continue;
}

/* Until it is let go; or, when only the brake holds it, until it has waited long enough. */
static void wait_in_line(struct page_cache *cache, struct waiter *w) needs(cache->lru_lock)
{
	while (!w->is_granted) {
		bool is_told = cond_wait_ms(&w->cond, &cache->lru_lock, BRAKE_MS);

		if (!is_told && !w->is_granted && room_below(cache, cache->dirty_max) > 0)
			waiter_grant(w);
	}
	cond_done(&w->cond);
}

static void throttle_wait(struct page_cache *cache, uint32_t debt)
{
	uint64_t began_ns = clock_now_ns(cache->config.clock);
	struct waiter w;

	cache_kick_flusher(cache);
	mutex_lock(&cache->lru_lock);
	atomic_fetch_add(&cache->nr_throttled, 1);
	waiter_init(&w, &cache->throttled, debt);
	throttle_progress(cache, 0);	/* what completed before we stood in line */
	wait_in_line(cache, &w);
	atomic_fetch_sub(&cache->nr_throttled, 1);
	mutex_unlock(&cache->lru_lock);
	counter_add(&cache->stats.throttle_ns, clock_now_ns(cache->config.clock) - began_ns);
}

void throttle_pages(struct page_cache *cache, uint32_t nr)
{
	uint32_t used = nr_unwritten(cache);

	if (likely(used < cache->brake))
		return;
	if (!cache->is_inline) {
		counter_add(&cache->stats.throttle_waits, 1);
		throttle_wait(cache, throttle_debt(nr, used, cache->brake, cache->dirty_max));
	} else if (used >= cache->dirty_max) {
		counter_add(&cache->stats.throttle_waits, 1);
		throttle_inline(cache);
	}
}

void page_cache_throttle(struct page_cache *cache)
{
	throttle_pages(cache, 1);
}
