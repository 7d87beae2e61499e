/*
 * Bytes of a file to and from its pages.
 *
 * Reading: one hold of the mapping's lock finds the pages that are there. Those that are uptodate
 * are simply referenced; each run of the others is grabbed and read, as long as a batch may be. The
 * view then points at the pages' own memory.
 *
 * Writing goes chunk by chunk, and a chunk is a list of phases (write_chunk). What becomes of the
 * bytes of a page that the write does not cover, with `old` the part of the page below the size
 * the file had before:
 *
 *	   |<------------ old ----------->|<--- beyond the end --->|
 *	   |  kept  |      written       |  kept   |    zeroed     |
 *
 * If bytes are to be kept and the page is not uptodate, it is read first. The bytes beyond the end
 * are zeroed whatever the page held: on disk nobody promised what is there.
 *
 * Pages of a chunk that got no block (the disk is full) are left as they were: not uptodate, or the
 * hole they were before.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "cache/filemap.h"
#include "cache_private.h"

static uint64_t page_start(const struct page *page)
{
	return page->index << page->mapping->block_bits;
}

/* Reading. */

static void drop_slots(struct page **pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (pages[i])
			page_put(pages[i]);
}

/* What a lookup of a run saw. */
struct found {
	uint32_t nr_uptodate;
	uint32_t first_absent;	/* place in the run of the first page that is not even being read; nr: none */
	bool has_mark;
};

/* What the cache has of the run, referenced; NULL where it has nothing or nothing uptodate. */
static struct found find_uptodate(struct mapping *m, uint64_t index, struct page **pages, uint32_t nr)
{
	struct found found = {.first_absent = nr};

	mutex_lock(&m->lock);
	ignore(mapping_scatter(m, index, pages, nr), "counted below, those that are of use");
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t flags = pages[i] ? atomic_load_explicit(&pages[i]->flags, memory_order_acquire) : 0;

		if (unlikely(flags & PAGE_READAHEAD))
			found.has_mark |= page_take_mark(pages[i]);
		if (flags & PAGE_UPTODATE) {
			page_get(pages[i]);
			found.nr_uptodate++;
			continue;
		}
		if (!(flags & PAGE_LOCKED))
			found.first_absent = min(found.first_absent, i);
		pages[i] = NULL;
	}
	mutex_unlock(&m->lock);
	return found;
}

/* Reads a run of at most a batch; referenced afterwards, or all NULL. */
static int read_missing(struct mapping *m, uint64_t index, struct page **pages, uint32_t nr)
{
	int err = mapping_grab_run(m, index, nr, pages);

	if (err) {
		memset(pages, 0, nr * sizeof(pages[0]));
		return err;
	}
	err = mapping_read_locked(m, pages, nr);
	for (uint32_t i = 0; i < nr; i++)
		page_unlock(pages[i]);
	if (err) {
		pages_put(pages, nr);
		memset(pages, 0, nr * sizeof(pages[0]));
	}
	return err;
}

static int read_all_missing(struct mapping *m, uint64_t index, struct page **pages, uint32_t nr)
{
	int err = 0;

	for (uint32_t i = 0; i < nr && !err;) {
		uint32_t from = i;

		while (i < nr && !pages[i] && i - from < m->cache->batch_max)
			i++;
		if (i > from)
			err = read_missing(m, index + from, pages + from, i - from);
		else
			i++;
	}
	return err;
}

/* A run of a file, and who reads it. */
struct read_run {
	struct mapping *mapping;
	struct readahead_state *ra;	/* NULL: nobody of whom we know more */
	uint64_t first, end_of_file;	/* pages */
	uint32_t nr;
	uint64_t prev_end;
};

static void plan_ahead(const struct read_run *r, const struct found *found, struct ra_plan *plan)
{
	struct page_cache *cache = r->mapping->cache;
	struct ra_request rq = {
		.first = r->first,
		.nr = r->nr,
		.absent = found->first_absent < r->nr ? r->first + found->first_absent : RA_NONE,
		.has_mark = found->has_mark,
		.prev_end = r->prev_end,
		.end = r->end_of_file,
		.starts_file = true,
		.pages_max = cache->ahead_max,
	};

	plan->nr = 0;
	if (!r->ra || cache->ahead_max == 0 || (!rq.has_mark && rq.absent == RA_NONE))
		return;
	rq.pages_now = prefetch_room(cache);
	readahead_plan(r->ra, &rq, plan);
}

/*
 * What is absent is wanted now and is read first, the window behind it. If all that is missing is
 * under way already, the window is started before we wait for that.
 */
static int read_and_look_ahead(const struct read_run *r, const struct found *found, struct page **pages)
{
	bool is_any_absent = found->first_absent < r->nr;
	struct ra_plan plan;
	int err;

	plan_ahead(r, found, &plan);
	if (plan.nr > 0 && !is_any_absent)
		prefetch(r->mapping, &plan);
	err = read_all_missing(r->mapping, r->first, pages, r->nr);
	if (plan.nr > 0 && is_any_absent)
		prefetch(r->mapping, &plan);
	return err;
}

static uint64_t note_request(struct readahead_state *ra, uint64_t end)
{
	uint64_t prev_end = atomic_load_explicit(&ra->prev_end, memory_order_relaxed);

	atomic_store_explicit(&ra->prev_end, end, memory_order_relaxed);
	return prev_end;
}

static int get_uptodate(struct read_run *r, struct page **pages)
{
	struct found found = find_uptodate(r->mapping, r->first, pages, r->nr);
	uint32_t known;
	int err = 0;

	r->prev_end = r->ra ? note_request(r->ra, r->first + r->nr) : RA_NONE;
	/* A reader of a few bytes at a time comes to a page again and again: that is one use. */
	known = r->prev_end == r->first + 1;
	pages_touch(pages + known, r->nr - known);
	counter_add(&r->mapping->cache->stats.hits, found.nr_uptodate);
	if (found.nr_uptodate < r->nr || found.has_mark)
		err = read_and_look_ahead(r, &found, pages);
	if (err)
		drop_slots(pages, r->nr);
	return err;
}

void filemap_view_init(struct filemap_view *view, struct page_cache *cache)
{
	view->cache = cache;
	view->heap = NULL;
	view->iov = view->small_iov;
	view->pages = view->small_pages;
	view->nr_iov = view->nr_pages = view->nr_pinned = 0;
	view->len_bytes = 0;
}

int filemap_view_make_room(struct filemap_view *view, uint32_t nr)
{
	if (nr <= FILEMAP_VIEW_SMALL)
		return 0;
	view->heap = mem_alloc(nr * (sizeof(view->iov[0]) + sizeof(view->pages[0])));
	if (!view->heap)
		return -ENOMEM;
	view->iov = view->heap;
	view->pages = (struct page **)(view->iov + nr);
	return 0;
}

void filemap_view_add(struct filemap_view *view, const void *bytes, size_t len)
{
	uint8_t *base = (uint8_t *)(uintptr_t)bytes;	/* an iovec serves both directions and has no const */
	struct iovec *last = view->nr_iov > 0 ? &view->iov[view->nr_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == base)
		last->iov_len += len;
	else
		view->iov[view->nr_iov++] = (struct iovec){.iov_base = base, .iov_len = len};
	view->len_bytes += len;
}

void *filemap_view_own(struct filemap_view *view, size_t len)
{
	void *bytes = mem_alloc(len);

	if (!bytes)
		return NULL;
	mem_free(view->heap);
	filemap_view_init(view, view->cache);
	view->heap = bytes;
	filemap_view_add(view, bytes, len);
	return bytes;
}

static void view_fill(struct filemap_view *view, uint32_t block_bytes, uint64_t pos, size_t len)
{
	uint32_t skip = (uint32_t)(pos & (block_bytes - 1));

	for (uint32_t i = 0; i < view->nr_pages; i++) {
		size_t n = min((size_t)(block_bytes - skip), len);

		filemap_view_add(view, view->pages[i]->data + skip, n);
		len -= n;
		skip = 0;
	}
}

void filemap_view_done(struct filemap_view *view)
{
	pages_put(view->pages, view->nr_pages);
	if (view->nr_pinned > 0)
		pins_put(view->cache, view->nr_pinned);
	mem_free(view->heap);
	filemap_view_init(view, view->cache);
}

int filemap_read(struct mapping *m, uint64_t pos, size_t len, uint64_t size_bytes,
		 struct readahead_state *ra, struct filemap_view *view)
{
	struct read_run r = {.mapping = m, .ra = ra, .first = pos >> m->block_bits};
	int err;

	must(len <= FILEMAP_READ_MAX);
	filemap_view_init(view, m->cache);
	if (pos >= size_bytes || len == 0)
		return 0;
	len = (size_t)min((uint64_t)len, size_bytes - pos);
	r.nr = (uint32_t)(((pos + len - 1) >> m->block_bits) - r.first + 1);
	r.end_of_file = ((size_bytes - 1) >> m->block_bits) + 1;
	pins_get(m->cache, r.nr);
	view->nr_pinned = r.nr;
	err = filemap_view_make_room(view, r.nr);
	if (!err)
		err = get_uptodate(&r, view->pages);
	if (err) {
		filemap_view_done(view);
		return err;
	}
	view->nr_pages = r.nr;
	view_fill(view, m->block_bytes, pos, len);
	counter_add(&m->cache->stats.bytes_lent, view->len_bytes);
	return 0;
}

static ssize_t read_copy_chunk(struct mapping *m, uint64_t pos, uint8_t *to, size_t len, uint64_t size_bytes)
{
	struct filemap_view view;
	size_t copied = 0;
	int err = filemap_read(m, pos, len, size_bytes, NULL, &view);

	if (err)
		return err;
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		memcpy(to + copied, view.iov[i].iov_base, view.iov[i].iov_len);
		copied += view.iov[i].iov_len;
	}
	counter_add(&m->cache->stats.bytes_copied_out, copied);
	filemap_view_done(&view);
	return (ssize_t)copied;
}

ssize_t filemap_read_copy(struct mapping *m, uint64_t pos, void *to, size_t len, uint64_t size_bytes)
{
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, (size_t)FILEMAP_READ_MAX);
		ssize_t got = read_copy_chunk(m, pos + done, (uint8_t *)to + done, n, size_bytes);

		if (got < 0)
			return done > 0 ? (ssize_t)done : got;
		done += (size_t)got;
		if ((size_t)got < n)
			break;
	}
	return (ssize_t)done;
}

/* Writing. */

struct chunk {
	struct mapping *mapping;
	struct mapping_write w;		/* pos and len of this chunk */
	const uint8_t *from;
	uint64_t old_size;		/* of the file, before the write */
	uint64_t first;
	uint32_t nr;
	struct page *pages[BATCH_PAGES_MAX];
};

/* What the write covers of a page, and how much of it is old content; offsets in the page. */
struct cover {
	uint32_t start, end, old;
};

static struct cover chunk_cover(const struct chunk *c, const struct page *page)
{
	uint64_t from = page_start(page), bytes = c->mapping->block_bytes;
	uint64_t end = c->w.pos + c->w.len;

	return (struct cover){
		.start = (uint32_t)(c->w.pos > from ? c->w.pos - from : 0),
		.end = (uint32_t)min(end - from, bytes),
		.old = (uint32_t)(c->old_size > from ? min(c->old_size - from, bytes) : 0),
	};
}

static bool keeps_old_bytes(const struct cover *cover)
{
	return (cover->start > 0 && cover->old > 0) || cover->end < cover->old;
}

static int read_if_partial(struct chunk *c, struct page *page)
{
	struct cover cover = chunk_cover(c, page);

	if (page_test(page, PAGE_UPTODATE) || !keeps_old_bytes(&cover))
		return 0;
	return mapping_read_locked(c->mapping, &page, 1);
}

/* Only the ends of a chunk can be partial. */
static int read_partial_ends(struct chunk *c)
{
	int err = read_if_partial(c, c->pages[0]);

	if (!err && c->nr > 1)
		err = read_if_partial(c, c->pages[c->nr - 1]);
	return err;
}

/* How many pages have a block afterwards, or why none has. */
static int map_chunk(struct chunk *c)
{
	int got = c->mapping->ops->write_map(c->mapping, &c->w, c->pages, c->nr);

	must(got <= (int)c->nr);
	return got == 0 ? -ENOSPC : got;
}

static size_t copy_page(struct chunk *c, struct page *page, const uint8_t *from)
{
	struct cover cover = chunk_cover(c, page);
	uint32_t zero_from = max(cover.end, cover.old);

	must(page->block != 0);		/* P1 */
	if (cover.old < cover.start)
		memset(page->data + cover.old, 0, cover.start - cover.old);
	memcpy(page->data + cover.start, from, cover.end - cover.start);
	memset(page->data + zero_from, 0, c->mapping->block_bytes - zero_from);
	page_clear(page, PAGE_NEW | PAGE_ERROR);
	page_set(page, PAGE_UPTODATE);
	return cover.end - cover.start;
}

/* Some of the pages are the owner's to keep, the others are dirty. */
static void keep_apart(struct chunk *c, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (page_test(c->pages[i], PAGE_LOGGED)) {
			page_clear(c->pages[i], PAGE_LOGGED);
			c->mapping->ops->write_log(c->mapping, &c->w, c->pages[i]);
		} else {
			page_mark_dirty(c->pages[i]);
		}
	}
}

static size_t copy_chunk(struct chunk *c, uint32_t nr)
{
	size_t copied = 0;

	for (uint32_t i = 0; i < nr; i++)
		copied += copy_page(c, c->pages[i], c->from + copied);
	if (c->w.has_logged)
		keep_apart(c, nr);
	else
		pages_mark_dirty(c->mapping, c->pages, nr);
	page_check(c->pages[0]);
	counter_add(&c->mapping->cache->stats.bytes_copied_in, copied);
	return copied;
}

/* Between begin and end. Returns the bytes taken or an error. */
static ssize_t fill_chunk(struct chunk *c)
{
	size_t copied = 0;
	int got;
	int err = mapping_grab_run(c->mapping, c->first, c->nr, c->pages);

	if (err)
		return err;
	for (uint32_t i = 0; i < c->nr; i++)
		page_wait_writeback(c->pages[i]);	/* P2 */
	err = read_partial_ends(c);
	if (!err) {
		got = map_chunk(c);
		if (got > 0)
			copied = copy_chunk(c, (uint32_t)got);
		else
			err = got;
	}
	pages_unlock_put(c->pages, c->nr);
	return err ? err : (ssize_t)copied;
}

static ssize_t begin_fill_end(struct chunk *c)
{
	const struct mapping_ops *ops = c->mapping->ops;
	ssize_t taken;
	int err = ops->write_begin(c->mapping, &c->w);

	if (err)
		return err;
	taken = fill_chunk(c);
	err = ops->write_end(c->mapping, &c->w, taken > 0 ? (uint64_t)taken : 0);
	return taken < 0 || !err ? taken : err;
}

/* Throttle and pins come first, while nothing is held that somebody else may wait for. */
static ssize_t write_chunk(struct chunk *c)
{
	struct page_cache *cache = c->mapping->cache;
	uint32_t nr_pinned = c->nr;
	ssize_t taken;

	throttle_pages(cache, nr_pinned);
	pins_get(cache, nr_pinned);
	taken = begin_fill_end(c);
	pins_put(cache, nr_pinned);
	return taken;
}

/* The chunk at pos: up to a batch of pages, so that it ends with a page if there is more. */
static void chunk_init(struct chunk *c, struct mapping *m, uint64_t pos, const uint8_t *from, size_t len)
{
	uint64_t end = round_down(pos, (uint64_t)m->block_bytes) +
		       ((uint64_t)m->cache->batch_max << m->block_bits);

	c->mapping = m;
	c->from = from;
	c->w = (struct mapping_write){.pos = pos, .len = min((uint64_t)len, end - pos)};
	c->first = pos >> m->block_bits;
	c->nr = (uint32_t)(((pos + c->w.len - 1) >> m->block_bits) - c->first + 1);
}

/* The write leaves a gap behind the old end, and the end's own block is not part of it. */
static int zero_gap(struct mapping *m, uint64_t pos, uint64_t size_bytes)
{
	if (pos <= size_bytes || pos >> m->block_bits == size_bytes >> m->block_bits)
		return 0;
	return mapping_zero_tail(m, size_bytes, size_bytes);
}

ssize_t filemap_write(struct mapping *m, uint64_t pos, const void *from, size_t len,
		      uint64_t size_bytes, bool may_use_reserved)
{
	ssize_t err = zero_gap(m, pos, size_bytes);
	struct chunk c;
	size_t done = 0;

	while (!err && done < len) {
		ssize_t taken;

		chunk_init(&c, m, pos + done, (const uint8_t *)from + done, len - done);
		c.old_size = size_bytes;
		c.w.may_use_reserved = may_use_reserved;
		taken = write_chunk(&c);
		if (taken < 0)
			err = taken;
		else
			done += (size_t)taken;
		/* A short chunk may have met the end of a transaction, not of the disk: the next try tells. */
		if (taken == 0)
			break;
	}
	return done > 0 ? (ssize_t)done : err;
}
