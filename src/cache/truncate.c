/*
 * Pages that go: the end of a file, a hole, clean ones that a direct writer outdates.
 *
 * Dropping a page for good: lock it, wait for its write, forget that it is dirty, take it out of
 * the tree. A batch of pages is locked in ascending order and then taken out in one hold of the
 * mapping's lock. Its block may be given to somebody else afterwards: no write of it is under way
 * and none can begin. Who holds a reference keeps the bytes, but not the place.
 *
 * The owner's inode lock keeps others from making new pages in the range; the flusher and the
 * reclaimer may be at work in it.
 */
#include <string.h>

#include "cache_private.h"

#define DROP_BATCH 64u

/* Locked and not under writeback afterwards. False: somebody else took it out. */
static bool prepare_drop(struct mapping *m, struct page *page)
{
	page_lock(page);
	page_wait_writeback(page);
	if (page->mapping != m) {
		page_unlock(page);
		page_put(page);
		return false;
	}
	page_cancel_dirty(page);
	return true;
}

/* Takes over the references. */
static void drop_batch(struct mapping *m, struct page **pages, uint32_t nr)
{
	uint32_t nr_ours = 0;

	for (uint32_t i = 0; i < nr; i++)
		if (prepare_drop(m, pages[i]))
			pages[nr_ours++] = pages[i];
	mutex_lock(&m->lock);
	mapping_remove(m, pages, nr_ours);
	mutex_unlock(&m->lock);
	for (uint32_t i = 0; i < nr_ours; i++)
		page_unlock(pages[i]);
	pages_put(pages, nr_ours);	/* the tree's */
	pages_put(pages, nr_ours);	/* ours */
}

void mapping_drop_range(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page *found[DROP_BATCH];
	uint32_t nr;

	while (first <= last) {
		nr = mapping_collect(m, first, last, found, DROP_BATCH);
		if (nr == 0)
			return;
		first = found[nr - 1]->index + 1;
		drop_batch(m, found, nr);
	}
}

void mapping_drop_clean(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page_cache *cache = m->cache;

	while (first <= last) {
		struct page *found[DROP_BATCH];
		struct list freed = LIST_INIT(freed);
		uint32_t nr_freed = 0;
		size_t nr;

		mutex_lock(&m->lock);
		nr = radix_gather(&m->pages, first, last, (void **)found, NULL, DROP_BATCH);
		if (nr > 0)
			first = found[nr - 1]->index + 1;
		mutex_lock(&cache->lru_lock);
		for (size_t i = 0; i < nr; i++) {
			if (!mapping_evict(cache, m, found[i]))
				continue;
			list_add_tail(&freed, &found[i]->lru);
			nr_freed++;
		}
		pages_free_locked(cache, &freed, nr_freed);
		mutex_unlock(&cache->lru_lock);
		mutex_unlock(&m->lock);
		if (nr < DROP_BATCH)
			return;
	}
}

/* The border. */

static bool is_all_zero(const uint8_t *bytes, uint32_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Locked, uptodate, not under writeback. */
static void zero_rest(struct mapping *m, struct page *page, uint32_t from)
{
	if (is_all_zero(page->data + from, m->block_bytes - from))
		return;
	memset(page->data + from, 0, m->block_bytes - from);
	if (page->block != 0)
		page_mark_dirty(page);
}

static void zero_cached_border(struct mapping *m, uint64_t size_bytes)
{
	uint32_t from = (uint32_t)(size_bytes & (m->block_bytes - 1));
	struct page *page;

	if (from == 0)
		return;
	mutex_lock(&m->lock);
	page = radix_find(&m->pages, size_bytes >> m->block_bits);
	if (page)
		page_get(page);
	mutex_unlock(&m->lock);
	if (!page)
		return;
	page_lock(page);
	page_wait_writeback(page);
	if (page->mapping == m && page_test(page, PAGE_UPTODATE))
		zero_rest(m, page, from);
	page_unlock(page);
	page_put(page);
}

void mapping_truncate(struct mapping *m, uint64_t size_bytes)
{
	uint64_t first_gone = (size_bytes >> m->block_bits) + ((size_bytes & (m->block_bytes - 1)) != 0);

	zero_cached_border(m, size_bytes);
	mapping_drop_range(m, first_gone, UINT64_MAX);
}

int mapping_zero_tail(struct mapping *m, uint64_t from_byte, uint64_t old_size)
{
	uint32_t from = (uint32_t)(from_byte & (m->block_bytes - 1));
	struct page *page;
	int err;

	if (from == 0 || from_byte > old_size)
		return 0;
	err = mapping_grab(m, from_byte >> m->block_bits, &page);
	if (err)
		return err;
	err = mapping_read_locked(m, &page, 1);
	if (!err) {
		page_wait_writeback(page);
		zero_rest(m, page, from);
	}
	page_unlock(page);
	page_put(page);
	return err;
}
