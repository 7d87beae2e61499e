/*
 * (owner, index) to page: the tree of a mapping, and its life.
 *
 * A lookup happens under the mapping's lock and takes a reference there; the reclaimer takes a
 * page out under the same lock and only when the tree's reference is the only one. So a page that
 * was found stays, and nobody needs to look twice - except those who then slept for the page lock,
 * as a truncate may have taken the page out meanwhile (page->mapping is NULL then).
 *
 * Lifetime: a mapping lies in its owner's object. Others that may look at it are
 *   - the reclaimer, which finds it through a page on an LRU list while it holds lru_lock: it is
 *     gone when no page of the mapping is left and lru_lock was free once;
 *   - the flusher and sync, which find it on the dirty list and then hold nr_flushers;
 *   - the completion of a write, which touches it before the last page leaves writeback.
 * mapping_done() waits for the first two; that no page is left rules out the third.
 */
#include "cache_private.h"

void mapping_init(struct mapping *m, struct page_cache *cache, struct disk *disk,
		  const struct mapping_ops *ops, void *owner, inr_t ino)
{
	*m = (struct mapping){
		.cache = cache,
		.disk = disk,
		.ops = ops,
		.owner = owner,
		.ino = ino,
		.block_bytes = cache->config.block_bytes,
		.block_bits = cache->block_bits,
	};
	mutex_init(&m->lock, RANK_MAPPING, "mapping");
	radix_init(&m->pages);
	list_init(&m->dirty_link);
}

void mapping_done(struct mapping *m)
{
	struct page_cache *cache = m->cache;

	mutex_lock(&cache->lru_lock);
	while (m->nr_flushers > 0)
		cond_wait(&cache->flushers_gone, &cache->lru_lock);
	mutex_unlock(&cache->lru_lock);
	mutex_lock(&m->lock);
	must(m->nr_pages == 0);
	must(m->nr_dirty == 0);
	must(m->nr_writeback == 0);
	mutex_unlock(&m->lock);
	must(list_empty(&m->dirty_link));	/* M2 */
	radix_done(&m->pages);
	mutex_done(&m->lock);
}

/* Lookup. */

struct page *mapping_find(struct mapping *m, uint64_t index)
{
	struct page *page;

	mutex_lock(&m->lock);
	page = radix_find(&m->pages, index);
	if (page)
		page_get(page);
	mutex_unlock(&m->lock);
	if (!page) {
		counter_add(&m->cache->stats.misses, 1);
		return NULL;
	}
	counter_add(&m->cache->stats.hits, 1);
	page_touch(page);
	return page;
}

uint32_t mapping_scatter(struct mapping *m, uint64_t index, struct page **slots, uint32_t nr)
{
	uint32_t nr_found, left;

	if (nr == 1) {
		slots[0] = radix_find(&m->pages, index);
		return slots[0] != NULL;
	}
	nr_found = (uint32_t)radix_gather(&m->pages, index, index + nr - 1, (void **)slots, NULL, nr);
	/* They stand side by side at the front; each moves up to its own slot, the last one first. */
	left = nr_found;
	for (uint32_t i = nr; i-- > 0;) {
		if (left > 0 && slots[left - 1]->index == index + i)
			slots[i] = slots[--left];
		else
			slots[i] = NULL;
	}
	return nr_found;
}

static uint32_t get_all(struct page **pages, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		page_get(pages[i]);
	return (uint32_t)nr;
}

uint32_t mapping_collect(struct mapping *m, uint64_t from, uint64_t last, struct page **pages, uint32_t nr)
{
	uint32_t got;

	mutex_lock(&m->lock);
	got = get_all(pages, radix_gather(&m->pages, from, last, (void **)pages, NULL, nr));
	mutex_unlock(&m->lock);
	return got;
}

uint32_t mapping_collect_tag(struct mapping *m, uint64_t from, uint64_t last, enum mapping_tag tag,
			     struct page **pages, uint32_t nr)
{
	uint32_t got;

	mutex_lock(&m->lock);
	got = get_all(pages, radix_gather_tag(&m->pages, from, last, tag, (void **)pages, NULL, nr));
	mutex_unlock(&m->lock);
	return got;
}

uint32_t mapping_find_dirty(struct mapping *m, struct page **ret_pages, uint32_t nr)
{
	return mapping_collect_tag(m, 0, UINT64_MAX, MAPPING_TAG_DIRTY, ret_pages, nr);
}

void mapping_write_state(struct mapping *m, uint64_t *ret_dirty, uint64_t *ret_writes)
{
	mutex_lock(&m->lock);
	*ret_dirty = m->nr_dirty;
	*ret_writes = m->nr_writes;
	mutex_unlock(&m->lock);
}

/* In and out of the tree. */

static int insert(struct mapping *m, struct page *page, uint64_t index) needs(m->lock)
{
	int err = radix_insert(&m->pages, index, page);

	if (err)
		return err;
	page->mapping = m;
	page->index = index;
	page->block = m->ops ? 0 : index;
	/* The tree's, and the caller's. */
	atomic_store_explicit(&page->refs, 2, memory_order_relaxed);
	return 0;
}

/* Nobody has seen the spare pages: the lock was held all the time. */
static void fill_undo(struct mapping *m, struct page **slots, uint32_t nr, struct page **spare,
		      uint32_t used) needs(m->lock)
{
	while (used > 0) {
		struct page *page = spare[--used];

		while (slots[--nr] != page)
			continue;
		slots[nr] = NULL;
		must(radix_remove(&m->pages, page->index) == page);
		page->mapping = NULL;
		atomic_store_explicit(&page->refs, 0, memory_order_relaxed);
	}
}

int mapping_fill(struct mapping *m, uint64_t index, struct page **slots, uint32_t nr,
		 struct page **spare, uint32_t *nr_used)
{
	struct page_cache *cache = m->cache;
	uint32_t used = 0;

	*nr_used = 0;
	for (uint32_t i = 0; i < nr; i++) {
		int err;

		if (slots[i])
			continue;
		err = insert(m, spare[used], index + i);
		if (err) {
			fill_undo(m, slots, i, spare, used);
			return err;
		}
		slots[i] = spare[used++];
	}
	m->nr_pages += used;
	mutex_lock(&cache->lru_lock);
	for (uint32_t i = 0; i < used; i++)
		lru_add(cache, spare[i], shadow_take(cache, m, spare[i]->index) ? LRU_ACTIVE : LRU_INACTIVE);
	mutex_unlock(&cache->lru_lock);
	*nr_used = used;
	return 0;
}

static void take_out(struct page_cache *cache, struct mapping *m, struct page *page)
	needs(m->lock) needs(cache->lru_lock)
{
	must(page->mapping == m);
	must_debug(!page_test(page, PAGE_DIRTY | PAGE_WRITEBACK));
	must(radix_remove(&m->pages, page->index) == page);
	m->nr_pages--;
	if (page_test(page, PAGE_PREFETCHED) &&
	    atomic_fetch_and(&page->flags, ~(uint32_t)PAGE_PREFETCHED) & PAGE_PREFETCHED) {
		atomic_fetch_sub(&cache->nr_prefetched, 1);
		counter_add(&cache->stats.ahead_wasted, 1);
	}
	page->mapping = NULL;
	lru_del(cache, page);
}

void mapping_remove(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct page_cache *cache = m->cache;

	mutex_lock(&cache->lru_lock);
	for (uint32_t i = 0; i < nr; i++)
		take_out(cache, m, pages[i]);
	mutex_unlock(&cache->lru_lock);
}

bool mapping_evict(struct page_cache *cache, struct mapping *m, struct page *page)
{
	uint32_t only_the_trees = 1;

	if (page_test(page, PAGE_DIRTY | PAGE_WRITEBACK | PAGE_PINNED))
		return false;
	/* P4: a locked page has a reference of who locked it. */
	if (!atomic_compare_exchange_strong(&page->refs, &only_the_trees, 0))
		return false;
	take_out(cache, m, page);
	return true;
}

/* Errors of write-back. */

int mapping_error_since(struct mapping *m, uint32_t *since)
{
	uint32_t now = atomic_load(&m->error_seq);

	if (now == *since)
		return 0;
	*since = now;
	return atomic_load(&m->error);
}
