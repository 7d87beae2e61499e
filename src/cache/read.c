/*
 * Reading pages from disk.
 *
 * A run of pages is cut three times: at pages that are uptodate already; at holes, which are
 * zeroed; and where the places on disk do not follow each other. What remains is one bio each.
 * All bios but the last are submitted; the last one's work is done by this thread itself, so that
 * reading one piece wakes no other thread.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "block/disk.h"
#include "cache_private.h"

enum { BATCH_BUSY = 1u << 0, BATCH_WAITERS = 1u << 1 };

/* The bios that one thread waits for. On its stack. */
struct read_batch {
	bitword_t word;			/* BATCH_BUSY until the last submitted bio ended */
	_Atomic uint32_t nr_busy;	/* one for who builds the batch, one for each submitted bio */
	_Atomic int err;		/* first */
};

/* Pages that one bio fills: a part of the waiting caller's array. */
struct read_io {
	struct read_batch *batch;
	struct page **pages;
	uint32_t nr;
};

static void page_read_done(struct page *page, int status)
{
	if (status) {
		page_set(page, PAGE_ERROR);
		return;
	}
	page_clear(page, PAGE_ERROR);
	page_set(page, PAGE_UPTODATE);
}

static void batch_fail(struct read_batch *batch, int err)
{
	int none = 0;

	atomic_compare_exchange_strong(&batch->err, &none, err);
}

static void read_io_done(struct read_io *io, int status)
{
	for (uint32_t i = 0; i < io->nr; i++)
		page_read_done(io->pages[i], status);
	if (status)
		batch_fail(io->batch, status);
}

static void batch_leave(struct read_batch *batch)
{
	if (atomic_fetch_sub(&batch->nr_busy, 1) == 1)
		bit_clear_wake(&batch->word, BATCH_BUSY, BATCH_WAITERS);
}

static void read_end_io(struct bio *bio)
{
	struct read_io *io = bio->private;
	struct read_batch *batch = io->batch;

	read_io_done(io, bio->status);
	mem_free(io);
	bio_free(bio);
	batch_leave(batch);
}

/* Cutting runs. */

static uint32_t bio_pages_max(const struct mapping *m)
{
	const struct disk_limits *limits = disk_limits(m->disk);
	uint32_t nr = min(limits->request_bytes_max >> m->block_bits, limits->vecs_max);

	return max(1u, min(nr, BATCH_PAGES_MAX));
}

static bool is_in_memory(struct mapping *m, struct page *page)
{
	return m->ops && m->ops->read_memory && m->ops->read_memory(m, page);
}

/* How many pages from the first on, at most max, lie behind each other on disk and are to be read there. */
static uint32_t disk_run(struct mapping *m, struct page *const *pages, uint32_t nr, uint32_t max_pages)
{
	uint32_t n = 1;

	while (n < nr && n < max_pages && pages[n]->block == pages[0]->block + n && !is_in_memory(m, pages[n]))
		n++;
	return n;
}

/* How many pages from the first on are holes; they are zeroed. */
static uint32_t hole_run(struct mapping *m, struct page *const *pages, uint32_t nr)
{
	uint32_t n = 0;

	if (!m->ops)
		return 0;
	while (n < nr && pages[n]->block == 0)
		memset(pages[n++]->data, 0, m->block_bytes);
	return n;
}

/* How many pages from the first on can be had without the disk: they are filled. */
static uint32_t memory_run(struct mapping *m, struct page *const *pages, uint32_t nr)
{
	uint32_t n = hole_run(m, pages, nr);

	while (n < nr && pages[n]->block != 0 && is_in_memory(m, pages[n]))
		n++;
	return n;
}

/* Learns where pages lie, from the first one on; how many, or an error. */
static int map_some(struct mapping *m, struct page **pages, uint32_t nr)
{
	int got = m->ops ? m->ops->map_read(m, pages, nr) : 0;

	must(got <= (int)nr);
	return got == 0 ? (int)nr : got;
}

static struct bio *bio_for_pages(struct mapping *m, struct page *const *pages, uint32_t nr, uint32_t flags)
{
	sector_t sector = pages[0]->block << (m->block_bits - SECTOR_SHIFT);
	struct bio *bio = bio_alloc(m->disk, BIO_READ, flags | (m->ops ? 0 : BIO_META), sector, nr);

	if (!bio)
		return NULL;
	for (uint32_t i = 0; i < nr; i++)
		must(bio_add(bio, pages[i]->data, m->block_bytes));
	counter_add(&m->cache->stats.pages_read, nr);
	counter_add(&m->cache->stats.read_runs, 1);
	return bio;
}

/* Reading while the caller waits. */

struct reader {
	struct mapping *mapping;
	struct read_batch batch;
	struct plug plug;
	struct bio *last;	/* not submitted yet */
	struct read_io last_io;
};

/* Submits the bio that was held back, as it is not the last one. */
static void submit_held(struct reader *r)
{
	struct read_io *io;

	if (!r->last)
		return;
	io = mem_alloc(sizeof(*io));
	if (!io) {	/* then this thread does it now */
		read_io_done(&r->last_io, bio_submit_wait(r->last));
		bio_free(r->last);
	} else {
		*io = r->last_io;
		r->last->private = io;
		r->last->end_io = read_end_io;
		atomic_fetch_add(&r->batch.nr_busy, 1);
		plug_submit(&r->plug, r->last);
	}
	r->last = NULL;
}

static void read_disk_run(struct reader *r, struct page **pages, uint32_t nr)
{
	struct bio *bio = bio_for_pages(r->mapping, pages, nr, BIO_SYNC);

	if (!bio) {
		batch_fail(&r->batch, -ENOMEM);
		return;
	}
	submit_held(r);
	r->last = bio;
	r->last_io = (struct read_io){.batch = &r->batch, .pages = pages, .nr = nr};
}

static void read_mapped(struct reader *r, struct page **pages, uint32_t nr)
{
	uint32_t nr_max = bio_pages_max(r->mapping);

	for (uint32_t i = 0; i < nr;) {
		uint32_t n = memory_run(r->mapping, pages + i, nr - i);

		for (uint32_t k = 0; k < n; k++)
			page_read_done(pages[i + k], 0);
		if (n == 0) {
			n = disk_run(r->mapping, pages + i, nr - i, nr_max);
			read_disk_run(r, pages + i, n);
		}
		i += n;
	}
}

/* Somebody waits for all of it: so all is mapped first, and then read at once. */
static int map_all(struct mapping *m, struct page **pages, uint32_t nr)
{
	while (nr > 0) {
		int got = map_some(m, pages, nr);

		if (got < 0)
			return got;
		pages += got;
		nr -= (uint32_t)got;
	}
	return 0;
}

static void read_run(struct reader *r, struct page **pages, uint32_t nr)
{
	int err = map_all(r->mapping, pages, nr);

	if (err)
		batch_fail(&r->batch, err);
	else
		read_mapped(r, pages, nr);
}

static int reader_finish(struct reader *r)
{
	plug_finish(&r->plug);
	if (r->last) {
		read_io_done(&r->last_io, bio_submit_wait(r->last));
		bio_free(r->last);
	}
	batch_leave(&r->batch);
	bit_wait_clear(&r->batch.word, BATCH_BUSY, BATCH_WAITERS);
	return atomic_load(&r->batch.err);
}

int mapping_read_locked(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct reader r = {.mapping = m, .batch = {.word = BATCH_BUSY, .nr_busy = 1}};

	plug_start(&r.plug);
	for (uint32_t i = 0; i < nr;) {
		uint32_t from = i;

		while (i < nr && !page_test(pages[i], PAGE_UPTODATE))
			i++;
		if (i > from)
			read_run(&r, pages + from, i - from);
		else
			i++;
	}
	return reader_finish(&r);
}

/* Reading ahead: nobody waits, completion unlocks. */

struct ahead_io {
	struct mapping *mapping;
	uint32_t nr;
	struct page *pages[];
};

/* As with pages_end_writeback(): once a page is unlocked, m's lock is all that keeps m and the cache. */
static void ahead_end(struct mapping *m, struct page **pages, uint32_t nr, int status)
{
	struct page_cache *cache = m->cache;

	for (uint32_t i = 0; i < nr; i++)
		page_read_done(pages[i], status);
	mutex_lock(&m->lock);
	pages_release_io(pages, nr, PAGE_LOCKED);
	mutex_lock(&cache->lru_lock);
	alloc_progress(cache);
	mutex_unlock(&cache->lru_lock);
	mutex_unlock(&m->lock);
}

static void ahead_end_io(struct bio *bio)
{
	struct ahead_io *io = bio->private;

	ahead_end(io->mapping, io->pages, io->nr, bio->status);
	mem_free(io);
	bio_free(bio);
}

static void ahead_disk_run(struct mapping *m, struct page **pages, uint32_t nr, struct plug *plug)
{
	struct ahead_io *io = mem_alloc(sizeof(*io) + nr * sizeof(io->pages[0]));
	struct bio *bio = io ? bio_for_pages(m, pages, nr, BIO_RAHEAD) : NULL;

	if (!bio) {	/* it was only a hint */
		mem_free(io);
		pages_unlock_put(pages, nr);
		return;
	}
	io->mapping = m;
	io->nr = nr;
	memcpy(io->pages, pages, nr * sizeof(io->pages[0]));
	bio->private = io;
	bio->end_io = ahead_end_io;
	plug_submit(plug, bio);
}

static void ahead_mapped(struct mapping *m, struct page **pages, uint32_t nr)
{
	uint32_t nr_max = bio_pages_max(m);
	struct plug plug;

	plug_start(&plug);
	for (uint32_t i = 0; i < nr;) {
		uint32_t n = memory_run(m, pages + i, nr - i);

		if (n > 0) {
			ahead_end(m, pages + i, n, 0);
		} else {
			n = disk_run(m, pages + i, nr - i, nr_max);
			ahead_disk_run(m, pages + i, n, &plug);
		}
		i += n;
	}
	plug_finish(&plug);
}

void pages_read_async(struct mapping *m, struct page **pages, uint32_t nr)
{
	while (nr > 0) {
		int got = map_some(m, pages, nr);

		if (got < 0) {	/* who wants them will be told */
			pages_unlock_put(pages, nr);
			return;
		}
		ahead_mapped(m, pages, (uint32_t)got);
		pages += got;
		nr -= (uint32_t)got;
	}
}
