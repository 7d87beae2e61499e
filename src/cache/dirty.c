/*
 * A page's way from clean to dirty to under writeback to clean, and the accounts of it.
 *
 *	            pages_mark_dirty        pages_start_writeback
 *	   clean ---------------------> dirty -----------------> under writeback
 *	     ^     page_cancel_dirty      |  ^                        |     |
 *	     +<---------------------------+  +------ not written -----+     |
 *	     +<--------------------------------- pages_end_writeback -------+
 *
 * Each step changes flag, tag, the mapping's counts and the cache's under the mapping's lock, so
 * they agree for everybody who holds it (M1). The mapping's place on the cache's dirty list
 * changes under lru_lock inside of that (M2).
 *
 * While a page is under writeback, write-back owns its dirty flag: nobody else can set it, as
 * they would have to wait first (P2). So a page that could not be written is made dirty again
 * without its lock, before the waiters are let go.
 *
 * Epochs: a page under writeback counts for the epoch (0 or 1) that was current when it began. It
 * is counted before its mapping may leave the dirty list, under the same hold of lru_lock, so a
 * sync that finds a mapping not on the list and then turns the epoch waits for its pages too.
 */
#include <errno.h>

#include "base/log.h"
#include "block/disk.h"
#include "cache_private.h"

/* Accounts of the cache. */

static bool is_any_dirty(const struct page_cache *cache) needs(cache->lru_lock)
{
	return cache->nr_dirty_data + cache->nr_dirty_meta > 0;
}

static void mapping_became_dirty(struct mapping *m) needs(m->lock)
{
	struct page_cache *cache = m->cache;
	bool was_idle;

	m->dirtied_ns = clock_now_ns(cache->config.clock);
	mutex_lock(&cache->lru_lock);
	was_idle = !is_any_dirty(cache);
	m->sync_seq = cache->sync_seq;	/* a sync under way need not visit it */
	if (m->ops) {
		list_add_tail(&cache->dirty_data, &m->dirty_link);
		cache->nr_dirty_data++;
	} else {
		list_add_tail(&cache->dirty_meta, &m->dirty_link);
		cache->nr_dirty_meta++;
	}
	mutex_unlock(&cache->lru_lock);
	if (was_idle && cache->config.flush_interval_ms > 0 && !atomic_load(&cache->is_stopping))
		work_queue_delayed(cache->config.work, &cache->flush_work, cache->config.flush_interval_ms);
}

static void mapping_became_clean(struct page_cache *cache, struct mapping *m) needs(cache->lru_lock)
{
	if (m->ops)
		cache->nr_dirty_data--;
	else
		cache->nr_dirty_meta--;
	list_del(&m->dirty_link);
}

static void dirty_added(struct page_cache *cache, uint32_t nr)
{
	uint32_t now = atomic_fetch_add(&cache->nr_dirty, nr) + nr;

	if (now > cache->background_max)
		cache_kick_flusher(cache);
}

/* Into dirty. */

static bool set_dirty(struct mapping *m, struct page *page) needs(m->lock)
{
	must(page->mapping == m);
	if (page_test(page, PAGE_DIRTY))
		return false;
	page_set(page, PAGE_DIRTY);
	radix_tag_set(&m->pages, page->index, MAPPING_TAG_DIRTY);
	return true;
}

static void count_dirty(struct mapping *m, uint32_t nr) needs(m->lock)
{
	if (nr == 0)
		return;
	if (m->nr_dirty == 0)
		mapping_became_dirty(m);
	m->nr_dirty += nr;
	dirty_added(m->cache, nr);
}

void pages_mark_dirty(struct mapping *m, struct page **pages, uint32_t nr)
{
	uint32_t nr_new = 0;

	mutex_lock(&m->lock);
	for (uint32_t i = 0; i < nr; i++)
		nr_new += set_dirty(m, pages[i]);
	count_dirty(m, nr_new);
	mutex_unlock(&m->lock);
}

void page_mark_dirty(struct page *page)
{
	must(page_test(page, PAGE_LOCKED));
	must(page_test(page, PAGE_UPTODATE));			/* P1 */
	must_debug(!page_test(page, PAGE_WRITEBACK));		/* P2 */
	if (!page_test(page, PAGE_DIRTY))
		pages_mark_dirty(page->mapping, &page, 1);
	page_check(page);
}

/* Out of dirty. */

static void clear_dirty(struct mapping *m, struct page *page) needs(m->lock)
{
	page_clear(page, PAGE_DIRTY);
	radix_tag_clear(&m->pages, page->index, MAPPING_TAG_DIRTY);
	radix_tag_clear(&m->pages, page->index, MAPPING_TAG_TOWRITE);	/* M3 */
}

void page_cancel_dirty(struct page *page)
{
	struct mapping *m = page->mapping;
	struct page_cache *cache = page->cache;

	must(page_test(page, PAGE_LOCKED));
	if (!page_test(page, PAGE_DIRTY))
		return;
	mutex_lock(&m->lock);
	clear_dirty(m, page);
	m->nr_dirty--;
	atomic_fetch_sub(&cache->nr_dirty, 1);
	mutex_lock(&cache->lru_lock);
	if (m->nr_dirty == 0)
		mapping_became_clean(cache, m);
	throttle_progress(cache, 0);
	mutex_unlock(&cache->lru_lock);
	mutex_unlock(&m->lock);
}

/* Under writeback, and out of it. */

unsigned pages_start_writeback(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct page_cache *cache = m->cache;
	unsigned epoch;

	mutex_lock(&m->lock);
	for (uint32_t i = 0; i < nr; i++) {
		page_check(pages[i]);
		must(pages[i]->mapping == m);
		must(page_test(pages[i], PAGE_DIRTY));
		must(!page_test(pages[i], PAGE_WRITEBACK));	/* P3 */
		page_set(pages[i], PAGE_WRITEBACK);
		radix_tag_set(&m->pages, pages[i]->index, MAPPING_TAG_WRITEBACK);
		clear_dirty(m, pages[i]);
	}
	m->nr_dirty -= nr;
	m->nr_writes += nr;
	m->nr_writeback += nr;
	atomic_fetch_add(&cache->nr_writeback, nr);
	atomic_fetch_sub(&cache->nr_dirty, nr);
	mutex_lock(&cache->lru_lock);
	epoch = cache->epoch;
	cache->nr_in_epoch[epoch] += nr;
	if (m->nr_dirty == 0)
		mapping_became_clean(cache, m);
	mutex_unlock(&cache->lru_lock);
	mutex_unlock(&m->lock);
	return epoch;
}

/*
 * A write failed: the pages stay clean, as their owner can do nothing better with them, and the
 * loss is told to each later asker (mapping_error_since) and to a sync.
 */
static void record_error(struct mapping *m, const struct page *page, int status)
{
	atomic_store(&m->error, status);
	atomic_fetch_add(&m->error_seq, 1);
	atomic_store(&m->cache->error, status);
	atomic_fetch_add(&m->cache->error_seq, 1);
	if (m->ops)
		log_error_limited("%s: inode %u: block %llu could not be written: error %d, data lost",
				  disk_name(m->disk), m->ino, (unsigned long long)page->block, -status);
	else
		log_error_limited("%s: metadata block %llu could not be written: error %d",
				  disk_name(m->disk), (unsigned long long)page->block, -status);
}

static void epoch_leave(struct page_cache *cache, unsigned epoch, uint32_t nr) needs(cache->lru_lock)
{
	must(cache->nr_in_epoch[epoch] >= nr);
	cache->nr_in_epoch[epoch] -= nr;
	if (cache->nr_in_epoch[epoch] == 0 && cache->is_syncing)
		cond_broadcast(&cache->sync_progress);
}

static void clear_writeback(struct mapping *m, struct page **pages, uint32_t nr, bool again_dirty)
	needs(m->lock)
{
	uint32_t nr_dirty = 0;

	for (uint32_t i = 0; i < nr; i++)
		radix_tag_clear(&m->pages, pages[i]->index, MAPPING_TAG_WRITEBACK);
	if (again_dirty)
		for (uint32_t i = 0; i < nr; i++)
			nr_dirty += set_dirty(m, pages[i]);
	count_dirty(m, nr_dirty);
	m->nr_writeback -= nr;
	pages_release_io(pages, nr, PAGE_WRITEBACK);
}

/*
 * Who sees the flags clear may take the pages, the mapping and the cache away, but for each of
 * them it needs the mapping's lock: unlocking that is the last thing done here.
 */
void pages_end_writeback(struct mapping *m, struct page **pages, uint32_t nr, unsigned epoch, int status)
{
	struct page_cache *cache = m->cache;
	bool was_written = status != -ENOMEM;

	if (status && was_written)
		record_error(m, pages[0], status);
	if (was_written)
		counter_add(&cache->stats.pages_written, nr);
	mutex_lock(&m->lock);
	atomic_fetch_sub(&cache->nr_writeback, nr);
	clear_writeback(m, pages, nr, !was_written);
	mutex_lock(&cache->lru_lock);
	epoch_leave(cache, epoch, nr);
	throttle_progress(cache, was_written ? nr : 0);
	alloc_progress(cache);
	mutex_unlock(&cache->lru_lock);
	mutex_unlock(&m->lock);
}
