/*
 * Metadata blocks: pages of the disk's own mapping, where index and block are one number.
 *
 * A hit takes the mapping's lock once and no page lock: who finds the page uptodate may use it, as
 * uptodate is never taken back while the block is in use (only buffer_forget() does, for a block
 * that was freed). A miss locks the page and reads it on the calling thread; others who want the
 * same block sleep for the lock and find it uptodate.
 */
#include <errno.h>

#include "cache/buffer.h"
#include "cache_private.h"

#define AHEAD_MAX 32u	/* blocks of one buffer_read_ahead() */

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
	int err = mapping_get_run(&bc->mapping, block, 1, &page, ALLOC_WAIT);

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

void buffer_read_ahead(struct buffer_cache *bc, fsblk_t block, uint32_t nr)
{
	uint32_t at_once = min(bc->mapping.cache->batch_max, AHEAD_MAX);

	while (nr > 0) {
		struct page *pages[AHEAD_MAX];
		uint32_t n = min(nr, at_once);

		/* Without a free page at hand a guess is not worth a wait. */
		if (mapping_get_run(&bc->mapping, block, n, pages, ALLOC_NOWAIT))
			return;
		pages_read_async(&bc->mapping, pages, lock_unread(pages, n));
		block += n;
		nr -= n;
	}
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
