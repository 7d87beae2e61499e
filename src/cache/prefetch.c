/*
 * Reading ahead: carries out what readahead.c planned.
 *
 * Pages that are not there are made and read; nobody waits, completion unlocks them. They have
 * PAGE_PREFETCHED until they are first used, which is when one learns what the guess was worth:
 *
 *	used      somebody asked for it; it then counts as used once, not twice: reading it ahead was
 *	          no use (page_touch in cache_private.h)
 *	  early   and it had been read by then
 *	  late    and had to wait for the rest of the read
 *	wasted    it went without having been asked for
 *
 * A guess never waits for memory: it takes free pages or what reclaim gives at once. Once the cache
 * is full, prefetched pages that nobody has used yet may be a quarter of it, and each window gets at
 * most half of what is left of that, so that many readers share it and do not drive each other's
 * pages out.
 *
 * A file's pages are mapped a run at a time, and each run is given to the disk before the next is
 * mapped: to map may mean to read a block of the map, and on disk that lies between the runs.
 */
#include "cache_private.h"

#define PREFETCHED_SHARE 4u	/* of the cache: prefetched and not used */

uint32_t prefetch_room(struct page_cache *cache)
{
	uint32_t unused = atomic_load(&cache->nr_prefetched), share = cache->pages_max / PREFETCHED_SHARE;
	uint32_t free;

	mutex_lock(&cache->lru_lock);
	free = cache->nr_free + (cache->pages_max - cache->nr_carved);
	mutex_unlock(&cache->lru_lock);
	if (free >= cache->ahead_max)
		return cache->ahead_max;
	share = share > unused ? (share - unused) / 2 : 0;
	return min(max(free / 2, share), cache->ahead_max);
}

/* Keeps, locked, those that are to be read and that nobody else reads now; order is kept. */
static uint32_t lock_unread(struct page **pages, uint32_t nr)
{
	uint32_t nr_kept = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (page_test(pages[i], PAGE_UPTODATE) || !page_trylock(pages[i])) {
			page_put(pages[i]);
			continue;
		}
		if (page_test(pages[i], PAGE_UPTODATE) || !pages[i]->mapping) {
			pages_unlock_put(&pages[i], 1);
			continue;
		}
		pages[nr_kept++] = pages[i];
	}
	return nr_kept;
}

static void set_prefetched(struct page_cache *cache, struct page **pages, uint32_t nr)
{
	uint32_t nr_set = 0;

	for (uint32_t i = 0; i < nr; i++)
		nr_set += !(atomic_fetch_or(&pages[i]->flags, PAGE_PREFETCHED) & PAGE_PREFETCHED);
	atomic_fetch_add(&cache->nr_prefetched, nr_set);
	counter_add(&cache->stats.ahead_pages, nr_set);
}

/* What is kept may have gaps where something was cached. */
static void read_kept(struct mapping *m, struct page **pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr;) {
		uint32_t n = 1;

		while (i + n < nr && pages[i + n]->index == pages[i]->index + n)
			n++;
		pages_read_async(m, pages + i, n);
		i += n;
	}
}

bool prefetch_run(struct mapping *m, uint64_t first, uint32_t nr, uint64_t mark)
{
	uint32_t at_once = m->cache->batch_max;
	struct page *pages[BATCH_PAGES_MAX];

	while (nr > 0) {
		uint32_t n = min(nr, at_once), nr_kept;

		/* Without a page at hand a guess is not worth a wait. */
		if (mapping_get_run(m, first, n, pages, GET_AHEAD))
			return false;
		if (mark >= first && mark < first + n)
			page_set(pages[mark - first], PAGE_READAHEAD);
		nr_kept = lock_unread(pages, n);
		set_prefetched(m->cache, pages, nr_kept);
		read_kept(m, pages, nr_kept);
		first += n;
		nr -= n;
	}
	return true;
}

void prefetch(struct mapping *m, const struct ra_plan *plan)
{
	uint64_t first = plan->first;

	counter_add(&m->cache->stats.ahead_windows, 1);
	for (uint32_t i = 0; i < plan->nr_pieces; i++, first += (uint64_t)plan->stride)
		if (!prefetch_run(m, first, plan->nr, plan->mark))
			return;
}
