/*
 * Pages and the slabs they come from.
 *
 * A slab is one aligned piece of memory cut into blocks, and an array with a struct page for each.
 * Slabs are made when the free list is empty and the bound allows another; they stay until the
 * cache goes. A page's bytes never move, so adjacent free pages handed out together make one piece
 * of memory for a bio or a reply: the free list is a stack of batches, each kept in its order.
 *
 * Who frees a page: whoever takes its reference count to 0. For a page in a mapping that is the
 * reclaimer alone (it exchanges 1 for 0 under the mapping's lock, where no lookup can add one);
 * for a page that lost its mapping it is whoever puts last.
 */
#include <sys/mman.h>

#include "base/mem.h"
#include "cache_private.h"

#define HUGE_BYTES (2u << 20)	/* a slab that can be one huge page of the processor */

void page_check(const struct page *page)
{
	uint32_t flags = atomic_load(&page->flags);
	const struct mapping *m = page->mapping;

	must_debug(flags & PAGE_LOCKED);
	must_debug(atomic_load(&page->refs) > 0);
	if (flags & PAGE_DIRTY) {
		must_debug(flags & PAGE_UPTODATE);		/* P1 */
		must_debug(m != NULL);
		must_debug(!m->ops || page->block != 0);	/* P1 */
	}
	if (m && !m->ops)
		must_debug(page->block == page->index);
	if (flags & PAGE_WRITEBACK)
		must_debug(!(flags & PAGE_DIRTY));		/* P2 */
}

/* Slabs. */

static void page_init(struct page_cache *cache, struct page *page, uint8_t *data)
{
	*page = (struct page){.cache = cache, .data = data};
	list_init(&page->lru);
}

/* False without memory. */
static bool slab_carve(struct page_cache *cache) needs(cache->lru_lock)
{
	uint32_t nr = min(cache->slab_pages, cache->pages_max - cache->nr_carved);
	size_t bytes = (size_t)cache->slab_pages << cache->block_bits;
	struct page_slab *slab;

	slab = mem_alloc(sizeof(*slab) + nr * sizeof(slab->pages[0]));
	if (!slab)
		return false;
	slab->data = mem_alloc_aligned(bytes, bytes);
	if (!slab->data) {
		mem_free(slab);
		return false;
	}
	for (uint32_t i = 0; i < nr; i++) {
		page_init(cache, &slab->pages[i], slab->data + ((size_t)i << cache->block_bits));
		list_add_tail(&cache->free, &slab->pages[i].lru);
	}
	list_add(&cache->slabs, &slab->link);
	cache->nr_carved += nr;
	cache->nr_free += nr;
	if (bytes >= HUGE_BYTES)
		ignore(madvise(slab->data, bytes, MADV_HUGEPAGE), "without it there are only more page faults");
	if (cache->config.memory_made)
		cache->config.memory_made(cache->config.memory_arg, slab->data, bytes);
	must_debug(cache->nr_carved <= cache->pages_max);	/* P5 */
	return true;
}

void slabs_destroy(struct page_cache *cache)
{
	struct page_slab *slab, *tmp;

	must(cache->nr_free == cache->nr_carved);	/* else somebody still holds a page */
	list_for_each_safe(slab, tmp, &cache->slabs, link) {
		if (cache->config.memory_gone)
			cache->config.memory_gone(cache->config.memory_arg, slab->data);
		mem_free(slab->data);
		mem_free(slab);
	}
}

uint32_t pages_take(struct page_cache *cache, struct page **pages, uint32_t nr, bool *no_memory)
{
	uint32_t got = 0;

	*no_memory = false;
	while (cache->nr_free < nr && cache->nr_carved < cache->pages_max && !*no_memory)
		*no_memory = !slab_carve(cache);
	for (; got < nr && cache->nr_free > 0; got++) {
		pages[got] = list_first(&cache->free, struct page, lru);
		list_del(&pages[got]->lru);
		cache->nr_free--;
	}
	return got;
}

/* Puts batch on top of the stack, in order. */
static void free_push(struct page_cache *cache, struct list *batch, uint32_t nr) needs(cache->lru_lock)
{
	list_splice_tail(batch, &cache->free);
	list_splice_tail(&cache->free, batch);
	cache->nr_free += nr;
}

void pages_untake(struct page_cache *cache, struct page **pages, uint32_t nr)
{
	struct list batch = LIST_INIT(batch);

	for (uint32_t i = 0; i < nr; i++)
		list_add_tail(&batch, &pages[i]->lru);
	free_push(cache, &batch, nr);
}

/* Freeing. */

static void page_forget_all(struct page *page)
{
	must(atomic_load(&page->refs) == 0);
	must(!page->mapping);
	must(!(atomic_load(&page->flags) & (PAGE_LOCKED | PAGE_DIRTY | PAGE_WRITEBACK)));
	atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
	page->block = 0;
	page->private = NULL;
}

void pages_free_locked(struct page_cache *cache, struct list *pages, uint32_t nr)
{
	struct page *page;

	if (nr == 0)
		return;
	list_for_each(page, pages, lru)
		page_forget_all(page);
	free_push(cache, pages, nr);
	alloc_progress(cache);
}

void pages_free(struct page_cache *cache, struct page **pages, uint32_t nr)
{
	struct list batch = LIST_INIT(batch);

	if (nr == 0)
		return;
	for (uint32_t i = 0; i < nr; i++)
		list_add_tail(&batch, &pages[i]->lru);
	mutex_lock(&cache->lru_lock);
	pages_free_locked(cache, &batch, nr);
	mutex_unlock(&cache->lru_lock);
}

/* On and off the LRU lists; lru.c moves pages between them. */

void lru_add(struct page_cache *cache, struct page *page, enum lru_place place)
{
	if (place == LRU_ACTIVE) {
		page_set(page, PAGE_ACTIVE);
		list_add(&cache->active, &page->lru);
		cache->nr_active++;
	} else {
		list_add(&cache->inactive, &page->lru);
		cache->nr_inactive++;
	}
}

void lru_del(struct page_cache *cache, struct page *page)
{
	list_del(&page->lru);
	if (page_test(page, PAGE_ACTIVE))
		cache->nr_active--;
	else
		cache->nr_inactive--;
}

/* Pages that had been read ahead and are now used. */
struct first_uses {
	uint32_t nr, nr_early;
};

/*
 * Only now it is used once: that it was read ahead says nothing about how often it is wanted. So a
 * scan that is read ahead is no more dear to the reclaimer than one that is not.
 */
static void first_use(struct page *page, struct first_uses *uses)
{
	uint32_t before = atomic_fetch_and(&page->flags, ~(uint32_t)PAGE_PREFETCHED);

	if (!(before & PAGE_PREFETCHED)) {	/* another thread was first */
		page_set(page, PAGE_REFERENCED);
		return;
	}
	uses->nr++;
	uses->nr_early += (before & PAGE_UPTODATE) != 0;
}

void pages_touch(struct page **pages, uint32_t nr)
{
	struct page_cache *cache = NULL;
	struct first_uses uses = {0};

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t flags = pages[i] ? atomic_load_explicit(&pages[i]->flags, memory_order_relaxed) :
					    PAGE_REFERENCED;

		if (unlikely(flags & PAGE_PREFETCHED)) {
			cache = pages[i]->cache;
			first_use(pages[i], &uses);
		} else if (!(flags & PAGE_REFERENCED)) {
			page_set(pages[i], PAGE_REFERENCED);
		}
	}
	if (uses.nr == 0)
		return;
	atomic_fetch_sub(&cache->nr_prefetched, uses.nr);
	counter_add(&cache->stats.ahead_used, uses.nr);
	counter_add(&cache->stats.ahead_early, uses.nr_early);
	counter_add(&cache->stats.ahead_late, uses.nr - uses.nr_early);
}

/* References. */

void page_get(struct page *page)
{
	must_debug(atomic_load(&page->refs) > 0);
	atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
}

static void tell_alloc_waiters(struct page_cache *cache)
{
	mutex_lock(&cache->lru_lock);
	alloc_progress(cache);
	mutex_unlock(&cache->lru_lock);
}

/*
 * True when it was the last and the page is to be freed. When one is left, and that is the
 * mapping's, the page may have become reclaimable: a waiter adds itself to nr_alloc_waiters and
 * then looks at the pages once more, so either it sees the count that is written here or its
 * number is seen here; both accesses are sequentially consistent.
 */
static bool page_drop(struct page *page)
{
	struct page_cache *cache = page->cache;
	uint32_t before = atomic_fetch_sub(&page->refs, 1);

	must_debug(before > 0);
	if (before == 2 && atomic_load(&cache->nr_alloc_waiters) > 0)
		tell_alloc_waiters(cache);
	return before == 1;
}

void page_put(struct page *page)
{
	if (page_drop(page))
		pages_free(page->cache, &page, 1);
}

/*
 * Who waits for a page may have passed over this one. As in page_drop(): either the waiter's look,
 * made after it counted itself, sees the flag clear, or its number is seen here. If the page is
 * dirty it is not this thread that makes it free, but the flusher, which the waiter calls again
 * when it is woken.
 */
void page_unpin(struct page *page)
{
	struct page_cache *cache = page->cache;

	must_debug(atomic_load(&page->refs) > 0);
	atomic_fetch_and(&page->flags, ~(uint32_t)PAGE_PINNED);
	if (atomic_load(&cache->nr_alloc_waiters) > 0)
		tell_alloc_waiters(cache);
}

void pages_put(struct page **pages, uint32_t nr)
{
	struct list batch = LIST_INIT(batch);
	struct page_cache *cache;
	uint32_t nr_freed = 0;

	if (nr == 0)
		return;
	cache = pages[0]->cache;
	for (uint32_t i = 0; i < nr; i++) {
		if (!page_drop(pages[i]))
			continue;
		list_add_tail(&batch, &pages[i]->lru);
		nr_freed++;
	}
	if (nr_freed == 0)
		return;
	mutex_lock(&cache->lru_lock);
	pages_free_locked(cache, &batch, nr_freed);
	mutex_unlock(&cache->lru_lock);
}

void pages_unlock_put(struct page **pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		page_unlock(pages[i]);
	pages_put(pages, nr);
}

void pages_release_io(struct page **pages, uint32_t nr, uint32_t bit)
{
	for (uint32_t i = 0; i < nr; i++) {
		must(atomic_fetch_sub(&pages[i]->refs, 1) > 1);
		bit_clear_wake(&pages[i]->flags, bit, PAGE_WAITERS);
	}
}
