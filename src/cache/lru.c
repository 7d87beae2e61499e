/*
 * Where pages come from: the free list, new slabs, and reclaim.
 *
 * Two lists. A page enters the inactive one; when the reclaimer comes to its oldest end and finds
 * a page used again since it came (PAGE_REFERENCED, which a hit sets without any lock), the page
 * moves to the active list. So does a page at once that comes back soon after it was reclaimed
 * (shadow.c). Active pages are looked at, oldest first, when there are more than twice as many as
 * inactive ones: those used since stay, the others go back to inactive and have the whole way
 * through it for a last chance. So a scan, whose pages are used once, passes through the inactive
 * list and leaves the working set alone, however long it is; and a working set that is not used any
 * more gives way as another one grows.
 *
 *	       new                                    used again
 *	        |          inactive                        |
 *	        v                                          |
 *	   [ youngest ......................... oldest ] --+--> active [ youngest ... oldest ]
 *	        ^                                  |                       ^            |
 *	        |                                  +--> freed              +-- used ----+
 *	        +------------------------------- not used since ------------------------+
 *
 * What is dirty, under writeback, pinned or in use goes round to the youngest end.
 *
 * Lock order: the reclaimer holds lru_lock and needs the lock of a page's mapping, which ranks
 * before it; so it only tries, and passes over the page when somebody is in there. The mapping
 * cannot go away meanwhile: see mapping.c.
 *
 * When nothing can be freed, the allocating thread rings for the flusher and waits until a page
 * becomes clean, unused or free. It holds no page of its own call then (C4), see CACHE.md for why
 * somebody else always can go on. Inline, there is nobody else: it flushes itself, and without
 * success the allocation fails.
 */
#include <errno.h>

#include "cache_private.h"

#define RECLAIM_BATCH 32u	/* freed at least, while at it: shares the cost of the lock */
#define ACTIVE_PER_INACTIVE 2u	/* more active ones than that are looked at */
#define RECHECK_MS 50u		/* for progress that nobody announces: a mapping's lock that was busy */

/* The lists. */

static void activate(struct page_cache *cache, struct page *page) needs(cache->lru_lock)
{
	page_set(page, PAGE_ACTIVE);
	list_move(&cache->active, &page->lru);
	cache->nr_inactive--;
	cache->nr_active++;
	counter_add(&cache->stats.activated, 1);
}

static void deactivate(struct page_cache *cache, struct page *page) needs(cache->lru_lock)
{
	page_clear(page, PAGE_ACTIVE);
	list_move(&cache->inactive, &page->lru);
	cache->nr_active--;
	cache->nr_inactive++;
	counter_add(&cache->stats.deactivated, 1);
}

/* Looks at up to nr active pages, oldest first. */
static void shrink_active(struct page_cache *cache, uint32_t nr) needs(cache->lru_lock)
{
	for (; nr > 0 && cache->nr_active > 0; nr--) {
		struct page *page = list_last(&cache->active, struct page, lru);

		if (page_test(page, PAGE_REFERENCED)) {
			page_clear(page, PAGE_REFERENCED);
			list_move(&cache->active, &page->lru);
		} else {
			deactivate(cache, page);
		}
	}
}

static void balance(struct page_cache *cache) needs(cache->lru_lock)
{
	if (cache->nr_active > ACTIVE_PER_INACTIVE * cache->nr_inactive)
		shrink_active(cache, 2 * RECLAIM_BATCH);
}

/* Reclaim. */

/* lru_lock is held; clang does not see that, nor a mapping's lock kept from one page to the next. */
#define no_tsa TSA(no_thread_safety_analysis)

struct reclaim {
	struct page_cache *cache;
	struct mapping *held;	/* whose lock is held: neighbours on the list often share one */
	struct list freed;
	uint32_t nr_freed;
};

static bool looks_reclaimable(const struct page *page)
{
	uint32_t flags = atomic_load_explicit(&page->flags, memory_order_relaxed);

	return !(flags & (PAGE_LOCKED | PAGE_DIRTY | PAGE_WRITEBACK | PAGE_PINNED)) &&
	       atomic_load_explicit(&page->refs, memory_order_relaxed) == 1;
}

no_tsa static void let_go(struct reclaim *r)
{
	if (r->held)
		mutex_unlock(&r->held->lock);
	r->held = NULL;
}

no_tsa static bool hold(struct reclaim *r, struct mapping *m)
{
	if (r->held == m)
		return true;
	let_go(r);
	if (!mutex_trylock(&m->lock))
		return false;
	r->held = m;
	return true;
}

/* A page that was read ahead in vain leaves no shadow: nobody has wanted it yet. */
no_tsa static bool evict(struct reclaim *r, struct page *page)
{
	struct mapping *m = page->mapping;
	bool was_used = !page_test(page, PAGE_PREFETCHED);

	if (!mapping_evict(r->cache, m, page))
		return false;
	if (was_used)
		shadow_leave(r->cache, m, page->index);
	list_add_tail(&r->freed, &page->lru);
	r->nr_freed++;
	return true;
}

/* Looks at the oldest inactive page. */
no_tsa static void reclaim_oldest(struct reclaim *r)
{
	struct page *page = list_last(&r->cache->inactive, struct page, lru);

	if (page_test(page, PAGE_REFERENCED)) {
		page_clear(page, PAGE_REFERENCED);
		activate(r->cache, page);
		return;
	}
	if (looks_reclaimable(page) && hold(r, page->mapping) && evict(r, page))
		return;
	list_move(&r->cache->inactive, &page->lru);
}

static void reclaim_scan(struct reclaim *r, uint32_t want)
{
	for (uint32_t left = r->cache->nr_inactive; left > 0 && r->nr_freed < want; left--)
		reclaim_oldest(r);
}

/*
 * Frees at least `want` pages if it can. One round over the inactive list is normal; only when it
 * was not enough are active pages sent there regardless of the balance: those not used first,
 * then, all having lost their second chance, the rest.
 */
static uint32_t lru_reclaim(struct page_cache *cache, uint32_t want) needs(cache->lru_lock)
{
	struct reclaim r = {.cache = cache};

	list_init(&r.freed);
	balance(cache);
	reclaim_scan(&r, want);
	for (int round = 0; round < 3 && r.nr_freed < want; round++) {
		shrink_active(cache, cache->nr_active);
		reclaim_scan(&r, want);
	}
	let_go(&r);
	pages_free_locked(cache, &r.freed, r.nr_freed);
	counter_add(&cache->stats.reclaimed, r.nr_freed);
	return r.nr_freed;
}

/* Allocation. */

/* All nr or none, without waiting. *no_memory: the bound is not reached, the system's memory is. */
static bool try_alloc(struct page_cache *cache, struct page **pages, uint32_t nr, bool *no_memory)
	needs(cache->lru_lock)
{
	uint32_t got = pages_take(cache, pages, nr, no_memory);

	if (got < nr && lru_reclaim(cache, max(nr - got, RECLAIM_BATCH)) > 0) {
		bool ignored;

		got += pages_take(cache, pages + got, nr - got, &ignored);
	}
	if (got == nr)
		return true;
	pages_untake(cache, pages, got);
	return false;
}

/* False when nothing can come of waiting. */
static bool wait_inline(struct page_cache *cache) needs(cache->lru_lock)
{
	bool has_hope;

	mutex_unlock(&cache->lru_lock);
	has_hope = cache->flush_some(cache) > 0;
	mutex_lock(&cache->lru_lock);
	if (atomic_load(&cache->nr_writeback) > 0) {	/* the disk has threads, though we have none */
		cond_wait_ms(&cache->progress, &cache->lru_lock, RECHECK_MS);
		has_hope = true;
	}
	return has_hope;
}

static bool wait_for_progress(struct page_cache *cache) needs(cache->lru_lock)
{
	counter_add(&cache->stats.reclaim_waits, 1);
	if (cache->is_inline)
		return wait_inline(cache);
	cache_kick_flusher(cache);
	ignore(cond_wait_ms(&cache->progress, &cache->lru_lock, RECHECK_MS), "looks again either way");
	return true;
}

/*
 * A waiter counts itself before it looks, so that whoever makes progress after that look will see
 * the count and wake it (page_drop in page.c).
 */
static int alloc_slow(struct page_cache *cache, struct page **pages, uint32_t nr) needs(cache->lru_lock)
{
	bool no_memory;
	int err = 0;

	atomic_fetch_add(&cache->nr_alloc_waiters, 1);
	while (!try_alloc(cache, pages, nr, &no_memory)) {
		if (no_memory || !wait_for_progress(cache)) {
			err = -ENOMEM;
			break;
		}
	}
	atomic_fetch_sub(&cache->nr_alloc_waiters, 1);
	return err;
}

int pages_alloc(struct page_cache *cache, struct page **pages, uint32_t nr, enum alloc_mode mode)
{
	bool no_memory;
	int err = 0;

	mutex_lock(&cache->lru_lock);
	if (!try_alloc(cache, pages, nr, &no_memory))
		err = mode == ALLOC_WAIT ? alloc_slow(cache, pages, nr) : -ENOMEM;
	mutex_unlock(&cache->lru_lock);
	return err;
}
