/*
 * Who waits for whom: turns at the throttle and at the pins, and the flusher's bell.
 *
 * Throttled writers stand in a line. Each time writes complete, as many are let go as there is
 * room for their next chunks below the limit, oldest first, so that they go on one after the
 * other at the disk's speed instead of all at once. Who was let go does not look again.
 *
 * Pins bound how many pages all views and chunks may hold together, to half of the cache. A
 * thread takes its pins before it holds anything, so it can wait for others to finish theirs; the
 * other half is left for metadata and for whatever grabs single pages. Without this, a few large
 * reads at once could hold all pages and wait for each other's.
 */
#include "cache_private.h"

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

static uint32_t dirty_room(const struct page_cache *cache)
{
	uint32_t used = atomic_load(&cache->nr_dirty) + atomic_load(&cache->nr_writeback);

	return used < cache->dirty_max ? cache->dirty_max - used : 0;
}

void throttle_progress(struct page_cache *cache)
{
	uint32_t room = dirty_room(cache);

	while (room > 0 && !list_empty(&cache->throttled)) {
		waiter_grant(list_first(&cache->throttled, struct waiter, link));
		room -= min(room, cache->batch_max);
	}
}

/* With nobody else to write, this thread does, until there is room or nothing more can be done. */
static void throttle_inline(struct page_cache *cache)
{
	while (dirty_room(cache) == 0 && cache->flush_some(cache) > 0)
		continue;
}

void page_cache_throttle(struct page_cache *cache)
{
	struct waiter w;

	if (likely(dirty_room(cache) > 0))
		return;
	counter_add(&cache->stats.throttle_waits, 1);
	if (cache->is_inline) {
		throttle_inline(cache);
		return;
	}
	cache_kick_flusher(cache);
	mutex_lock(&cache->lru_lock);
	atomic_fetch_add(&cache->nr_throttled, 1);
	waiter_init(&w, &cache->throttled, 1);
	throttle_progress(cache);	/* what completed before we stood in line */
	waiter_wait(&w, cache);
	atomic_fetch_sub(&cache->nr_throttled, 1);
	mutex_unlock(&cache->lru_lock);
}
