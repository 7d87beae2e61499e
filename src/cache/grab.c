/*
 * Found or made: runs of pages for those who will fill them.
 *
 * One hold of the mapping's lock finds what is there; if pages are missing, they are allocated
 * without any lock or reference (C4), and a second hold looks again and puts them in. New pages go
 * in unlocked and are then locked in ascending order with the others: were they locked first,
 * before an older page of lower index, two runs that overlap could wait for each other.
 */
#include <string.h>

#include "cache_private.h"

/* Makes sure of at least `nr` spare pages; what was there before goes back first (C4). */
static int get_spare(struct page_cache *cache, struct page **spare, uint32_t *nr_spare, uint32_t nr,
		     enum get_mode mode)
{
	int err;

	pages_free(cache, spare, *nr_spare);
	*nr_spare = 0;
	err = pages_alloc(cache, spare, nr, mode == GET_WANTED ? ALLOC_WAIT : ALLOC_NOWAIT);
	if (!err)
		*nr_spare = nr;
	return err;
}

static void reference_found(struct page **pages, uint32_t nr, enum get_mode mode)
{
	for (uint32_t i = 0; i < nr; i++)
		if (pages[i])
			page_get(pages[i]);
	if (mode == GET_WANTED)
		pages_touch(pages, nr);
}

static void unreference_found(struct page **pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (pages[i])
			page_put(pages[i]);
}

static void count_lookup(struct page_cache *cache, uint32_t hits, uint32_t misses)
{
	if (hits)
		counter_add(&cache->stats.hits, hits);
	if (misses)
		counter_add(&cache->stats.misses, misses);
}

int mapping_get_run(struct mapping *m, uint64_t index, uint32_t nr, struct page **pages,
		    enum get_mode mode)
{
	struct page *spare[BATCH_PAGES_MAX];
	uint32_t nr_spare = 0, nr_used = 0, nr_found;
	int err;

	must(nr > 0 && nr <= BATCH_PAGES_MAX);
	for (;;) {
		mutex_lock(&m->lock);
		nr_found = mapping_scatter(m, index, pages, nr);
		if (nr - nr_found <= nr_spare)
			break;
		mutex_unlock(&m->lock);
		err = get_spare(m->cache, spare, &nr_spare, nr - nr_found, mode);
		if (err)
			return err;
	}
	reference_found(pages, nr, mode);
	err = nr_found < nr ? mapping_fill(m, index, pages, nr, spare, &nr_used) : 0;
	mutex_unlock(&m->lock);
	if (err)
		unreference_found(pages, nr);
	pages_free(m->cache, spare + nr_used, nr_spare - nr_used);
	if (!err && mode == GET_WANTED)
		count_lookup(m->cache, nr_found, nr - nr_found);
	return err;
}

static bool lock_all(struct mapping *m, struct page **pages, uint32_t nr)
{
	bool are_all_ours = true;

	for (uint32_t i = 0; i < nr; i++) {
		page_lock(pages[i]);
		are_all_ours = are_all_ours && pages[i]->mapping == m;
	}
	return are_all_ours;
}

int mapping_grab_run(struct mapping *m, uint64_t index, uint32_t nr, struct page **ret_pages)
{
	for (;;) {
		int err = mapping_get_run(m, index, nr, ret_pages, GET_WANTED);

		if (err)
			return err;
		if (lock_all(m, ret_pages, nr))
			return 0;
		pages_unlock_put(ret_pages, nr);	/* truncated while we waited: look again */
	}
}

int mapping_grab(struct mapping *m, uint64_t index, struct page **ret_page)
{
	return mapping_grab_run(m, index, 1, ret_page);
}
