/*
 * Metadata blocks: pages of the disk's own mapping, where index and block are one number.
 *
 * A hit takes the mapping's lock once and no page lock: who finds the page uptodate may use it, as
 * uptodate is never taken back while the block is in use (only buffer_forget() does, for a block
 * that was freed). A miss locks the page and reads it on the calling thread; others who want the
 * same block sleep for the lock and find it uptodate.
 */
#include <errno.h>
#include <stdlib.h>

#include "cache/buffer.h"
#include "cache_private.h"

static struct buffer *to_buffer(struct page *page)
{
	return container_of(page, struct buffer, page);
}

int buffer_cache_init(struct buffer_cache *bc, struct page_cache *cache, struct disk *disk)
{
	mapping_init(&bc->mapping, cache, disk, NULL, bc, 0);
	return 0;
}

void buffer_cache_done(struct buffer_cache *bc)
{
	must(bc->mapping.nr_dirty == 0);
	mapping_truncate(&bc->mapping, 0);
	mapping_done(&bc->mapping);
}

int buffer_get(struct buffer_cache *bc, fsblk_t block, struct buffer **ret_buffer)
{
	struct page *page;
	int err = mapping_get_run(&bc->mapping, block, 1, &page, GET_WANTED);

	if (!err)
		*ret_buffer = to_buffer(page);
	return err;
}

/* Referenced, not uptodate when we looked. */
static int read_now(struct buffer_cache *bc, struct page *page)
{
	int err;

	page_lock(page);
	err = mapping_read_locked(&bc->mapping, &page, 1);
	page_unlock(page);
	return err;
}

int buffer_read(struct buffer_cache *bc, fsblk_t block, struct buffer **ret_buffer)
{
	struct buffer *b;
	int err = buffer_get(bc, block, &b);

	if (err)
		return err;
	if (!page_test(&b->page, PAGE_UPTODATE)) {
		err = read_now(bc, &b->page);
		if (err) {
			buffer_put(b);
			return err;
		}
	}
	*ret_buffer = b;
	return 0;
}

struct buffer *buffer_find(struct buffer_cache *bc, fsblk_t block)
{
	struct page *page = mapping_find(&bc->mapping, block);

	if (page && !page_test(page, PAGE_UPTODATE)) {
		page_put(page);
		return NULL;
	}
	return page ? to_buffer(page) : NULL;
}

void buffer_put(struct buffer *b)
{
	if (b)
		page_put(&b->page);
}

void buffer_read_ahead(struct buffer_cache *bc, fsblk_t block, uint32_t nr)
{
	ignore(prefetch_run(&bc->mapping, block, nr, RA_NONE), "it was only a hint");
}

static int by_number(const void *a, const void *b)
{
	fsblk_t block_a = *(const fsblk_t *)a, block_b = *(const fsblk_t *)b;

	return block_a < block_b ? -1 : block_a > block_b;
}

void buffer_read_ahead_list(struct buffer_cache *bc, fsblk_t *blocks, uint32_t nr)
{
	qsort(blocks, nr, sizeof(blocks[0]), by_number);
	for (uint32_t i = 0; i < nr;) {
		fsblk_t first = blocks[i], last = first;

		while (++i < nr && blocks[i] <= last + 1)	/* the same may stand there twice */
			last = blocks[i];
		buffer_read_ahead(bc, first, (uint32_t)(last - first + 1));
	}
}

/* What a reader in some order asks for: is there more to read? */
static void plan_ahead(struct buffer_cache *bc, struct readahead_state *ra, struct page *page,
		       const struct buffer_range *range, struct ra_plan *plan)
{
	struct page_cache *cache = bc->mapping.cache;
	struct ra_request rq = {
		.first = page->index,
		.nr = 1,
		.absent = page_test(page, PAGE_UPTODATE | PAGE_LOCKED) ? RA_NONE : page->index,
		.has_mark = page_take_mark(page),
		.prev_end = RA_NONE,
		.begin = range->first,
		.end = range->end,
		.pages_max = range->ahead_max ? min(range->ahead_max, cache->ahead_max) : cache->ahead_max,
	};

	*plan = (struct ra_plan){.nr = 0};
	if ((!rq.has_mark && rq.absent == RA_NONE) || cache->ahead_max == 0)
		return;
	rq.pages_now = prefetch_room(cache);
	readahead_plan(ra, &rq, plan);
}

int buffer_read_in_order(struct buffer_cache *bc, struct readahead_state *ra, fsblk_t block,
			 const struct buffer_range *range, struct buffer **ret_buffer)
{
	struct ra_plan plan;
	struct buffer *b;
	int err = buffer_get(bc, block, &b);

	if (err)
		return err;
	plan_ahead(bc, ra, &b->page, range, &plan);
	if (!page_test(&b->page, PAGE_UPTODATE))
		err = read_now(bc, &b->page);
	if (plan.nr > 0)
		prefetch(&bc->mapping, &plan);
	if (err) {
		buffer_put(b);
		return err;
	}
	*ret_buffer = b;
	return 0;
}

/* Changing. */

void buffer_lock(struct buffer *b)
{
	page_lock(&b->page);
	page_wait_writeback(&b->page);	/* P2 */
}

void buffer_unlock(struct buffer *b)
{
	page_unlock(&b->page);
}

int buffer_write(struct buffer *b)
{
	return page_write(&b->page);
}

/* Nobody else has a reference: then the page can go at once. Locked. */
static void drop_if_unused(struct mapping *m, struct page *page)
{
	bool is_unused;

	mutex_lock(&m->lock);
	is_unused = atomic_load(&page->refs) == 2;	/* the tree's and ours; nobody can find it now */
	if (is_unused)
		mapping_remove(m, &page, 1);
	mutex_unlock(&m->lock);
	if (is_unused)
		page_put(page);
}

void buffer_forget(struct buffer_cache *bc, fsblk_t block)
{
	struct mapping *m = &bc->mapping;
	struct page *page;

	if (mapping_collect(m, block, block, &page, 1) == 0)
		return;
	page_lock(page);
	page_wait_writeback(page);
	if (page->mapping == m) {
		page_cancel_dirty(page);
		page_clear(page, PAGE_UPTODATE);	/* a later user of the block reads or makes it anew */
		drop_if_unused(m, page);
	}
	page_unlock(page);
	page_put(page);
}

int buffer_sync(struct buffer_cache *bc)
{
	return mapping_write_range(&bc->mapping, 0, UINT64_MAX, WRITEBACK_WAIT);
}
