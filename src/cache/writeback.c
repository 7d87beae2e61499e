/*
 * From dirty pages to bios.
 *
 * A writeout takes dirty pages of one mapping in index order, by their tag, locks up to a batch of
 * them, turns the batch to "under writeback" in one step, unlocks it, sorts it by place on disk,
 * and makes one bio of each piece of consecutive blocks. Bios gather in a plug, also over several
 * mappings, so that neighbours of different files meet.
 *
 * The rule that keeps it from deadlock (C3): page locks are tried first. Only when a try fails and
 * the writeout may sleep does it wait, and before that everything it holds is given to the disk:
 * no page lock, no page under writeback without its I/O on the way. For somebody who holds the
 * page we want may well be waiting for one that we hold back.
 *
 *	    gathered by tag --trylock--> batch --start writeback, unlock--> bios --> plug --> disk
 *	                        |                       ^                             ^
 *	                        +-- must wait: first ---+-----------------------------+
 *
 * Awkward meetings:
 *   truncated meanwhile      page->mapping is not ours any more when we have the lock: passed over.
 *   another writer was first the page is clean when we have the lock: passed over; who syncs waits
 *                            for its writeback afterwards.
 *   redirtied under way      cannot be: writers wait for writeback (P2).
 *   pinned by the journal    passed over; it stays dirty.
 *   no memory for a bio      one of the reserve is used; who may sleep waits for one. For the flusher
 *                            the pages become dirty again when there is none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "block/disk.h"
#include "cache_private.h"

/*
 * A write bio and its pages, from submission to completion, in one piece of memory. Behind the
 * pages lies the bio. A few of the largest size are made with the cache and kept for times
 * without memory: so what makes pages clean never fails for want of memory, nor waits for any but
 * what its own writes give back.
 */
struct write_io {
	struct mapping *mapping;
	struct bio *bio;
	struct list reserve_link;	/* [lru_lock] */
	bool is_reserve;
	unsigned epoch;
	uint32_t nr;
	struct page *pages[];
};

/* Kept for times without memory: enough to have the disk always at work. */
#define WRITE_RESERVE 8

void writeout_start(struct writeout *w, enum writeback_mode mode)
{
	w->mapping = NULL;
	w->nr = 0;
	w->may_sleep = mode != WRITEBACK_START;
	w->waits = mode == WRITEBACK_WAIT;
	w->single = NULL;
	w->nr_written = 0;
	w->err = 0;
	plug_start(&w->plug);
}

/* Bios. */

static size_t bio_offset(uint32_t nr)
{
	return round_up(sizeof(struct write_io) + nr * sizeof(struct page *), _Alignof(struct bio));
}

static struct write_io *io_alloc(uint32_t nr)
{
	struct write_io *io = mem_alloc(bio_offset(nr) + sizeof(struct bio) + nr * sizeof(struct bio_vec));

	if (io)
		io->is_reserve = false;
	return io;
}

int write_reserve_create(struct page_cache *cache)
{
	list_init(&cache->write_reserve);
	for (int i = 0; i < WRITE_RESERVE; i++) {
		struct write_io *io = io_alloc(BATCH_PAGES_MAX);

		if (!io) {
			write_reserve_destroy(cache);
			return -ENOMEM;
		}
		io->is_reserve = true;
		list_add(&cache->write_reserve, &io->reserve_link);
	}
	return 0;
}

void write_reserve_destroy(struct page_cache *cache)
{
	struct write_io *io, *tmp;

	list_for_each_safe(io, tmp, &cache->write_reserve, reserve_link)
		mem_free(io);
}

static struct write_io *reserve_take(struct page_cache *cache) needs(cache->lru_lock)
{
	struct write_io *io;

	if (list_empty(&cache->write_reserve))
		return NULL;
	io = list_first(&cache->write_reserve, struct write_io, reserve_link);
	list_del(&io->reserve_link);
	counter_add(&cache->stats.reserve_uses, 1);
	return io;
}

/*
 * The pages' end comes last, as the cache may go with it; so what is kept for the next one goes
 * back before, and a sleeper finds it when it has the lock.
 */
static void write_io_end(struct write_io *io, int status)
{
	struct page_cache *cache = io->mapping->cache;
	struct page *pages[BATCH_PAGES_MAX];
	struct mapping *m = io->mapping;
	unsigned epoch = io->epoch;
	uint32_t nr = io->nr;

	if (!io->is_reserve) {
		pages_end_writeback(m, io->pages, nr, epoch, status);
		mem_free(io);
		return;
	}
	memcpy(pages, io->pages, nr * sizeof(pages[0]));
	mutex_lock(&cache->lru_lock);
	list_add(&cache->write_reserve, &io->reserve_link);
	cond_signal(&cache->reserve_back);
	mutex_unlock(&cache->lru_lock);
	pages_end_writeback(m, pages, nr, epoch, status);
}

/* -ENOMEM from below is a disk that failed: the pages were handed to it. */
static void write_end_io(struct bio *bio)
{
	write_io_end(bio->private, bio->status == -ENOMEM ? -EIO : bio->status);
}

/* All that is held back goes to the disk, but for the batch that is being made into bios. */
static void submit_held(struct writeout *w)
{
	if (w->single) {
		plug_submit(&w->plug, w->single);
		w->single = NULL;
	}
	plug_finish(&w->plug);
	plug_start(&w->plug);
}

/*
 * Who may sleep waits for its own writes or others' to give a piece of the reserve back: all of
 * them are with the disk by then.
 */
static struct write_io *io_from_reserve(struct writeout *w)
{
	struct page_cache *cache = w->mapping->cache;
	struct write_io *io;

	if (w->may_sleep)
		submit_held(w);
	mutex_lock(&cache->lru_lock);
	while (!(io = reserve_take(cache)) && w->may_sleep)
		cond_wait(&cache->reserve_back, &cache->lru_lock);
	mutex_unlock(&cache->lru_lock);
	return io;
}

static struct bio *write_bio(struct writeout *w, struct page **pages, uint32_t nr, unsigned epoch)
{
	struct mapping *m = w->mapping;
	struct write_io *io = io_alloc(nr);

	if (!io)
		io = io_from_reserve(w);
	if (!io)
		return NULL;
	io->mapping = m;
	io->epoch = epoch;
	io->nr = nr;
	memcpy(io->pages, pages, nr * sizeof(io->pages[0]));
	io->bio = (struct bio *)(void *)((char *)io + bio_offset(nr));
	bio_init(io->bio, m->disk, BIO_WRITE, w->bio_flags, pages[0]->block << (m->block_bits - SECTOR_SHIFT), nr);
	io->bio->private = io;
	io->bio->end_io = write_end_io;
	for (uint32_t i = 0; i < nr; i++)
		must(bio_add(io->bio, pages[i]->data, m->block_bytes));
	return io->bio;
}

/* The first bio is held back: if it stays the only one, writeout_finish() need not wake a thread. */
static void queue_bio(struct writeout *w, struct bio *bio)
{
	if (!w->single && w->plug.nr_bios == 0 && w->waits) {
		w->single = bio;
		return;
	}
	if (w->single) {
		plug_submit(&w->plug, w->single);
		w->single = NULL;
	}
	plug_submit(&w->plug, bio);
}

static void write_run(struct writeout *w, struct page **pages, uint32_t nr, unsigned epoch)
{
	struct bio *bio = write_bio(w, pages, nr, epoch);

	if (bio) {
		w->nr_written += nr;
		counter_add(&w->mapping->cache->stats.writeback_runs, 1);
		queue_bio(w, bio);
		return;
	}
	w->err = first_error(w->err, -ENOMEM);
	pages_end_writeback(w->mapping, pages, nr, epoch, -ENOMEM);
}

/* Batches. */

static int by_block(const void *a, const void *b)
{
	fsblk_t block_a = (*(struct page *const *)a)->block;
	fsblk_t block_b = (*(struct page *const *)b)->block;

	return block_a < block_b ? -1 : block_a > block_b;
}

/* Usually a file's pages lie in order. */
static void sort_by_block(struct page **pages, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++) {
		if (pages[i]->block < pages[i - 1]->block) {
			qsort(pages, nr, sizeof(pages[0]), by_block);
			return;
		}
	}
}

static void write_sorted(struct writeout *w, unsigned epoch)
{
	for (uint32_t i = 0; i < w->nr;) {
		uint32_t n = 1;

		while (i + n < w->nr && n < w->bio_pages_max &&
		       w->pages[i + n]->block == w->pages[i]->block + n)
			n++;
		write_run(w, w->pages + i, n, epoch);
		i += n;
	}
}

static void write_batch(struct writeout *w)
{
	unsigned epoch;

	if (w->nr == 0)
		return;
	sort_by_block(w->pages, w->nr);
	epoch = pages_start_writeback(w->mapping, w->pages, w->nr);
	for (uint32_t i = 0; i < w->nr; i++)
		page_unlock(w->pages[i]);
	write_sorted(w, epoch);
	w->nr = 0;
}

/* C3: nothing is held back from here on. */
static void submit_all(struct writeout *w)
{
	write_batch(w);
	submit_held(w);
}

static bool lock_for_write(struct writeout *w, struct page *page)
{
	if (page_trylock(page))
		return true;
	if (!w->may_sleep)
		return false;
	submit_all(w);
	page_lock(page);
	return true;
}

/* Locked: is it still ours to write? */
static bool is_to_be_written(struct writeout *w, struct page *page)
{
	if (page->mapping != w->mapping || !page_test(page, PAGE_DIRTY) || page_test(page, PAGE_PINNED))
		return false;
	if (page_test(page, PAGE_WRITEBACK)) {	/* a failed start that will be dirty again (P3) */
		if (!w->may_sleep)
			return false;
		submit_all(w);
		page_wait_writeback(page);
	}
	must(page->block != 0 || !w->mapping->ops);	/* P1 */
	return true;
}

/* Takes over the reference. */
static void writeout_add(struct writeout *w, struct page *page)
{
	if (!lock_for_write(w, page)) {
		page_put(page);
		return;
	}
	if (!is_to_be_written(w, page)) {
		pages_unlock_put(&page, 1);
		return;
	}
	w->pages[w->nr++] = page;
	if (w->nr == BATCH_PAGES_MAX)
		write_batch(w);
}

static void set_mapping(struct writeout *w, struct mapping *m)
{
	const struct disk_limits *limits = disk_limits(m->disk);
	uint32_t nr = min(limits->request_bytes_max >> m->block_bits, limits->vecs_max);

	w->mapping = m;
	w->bio_pages_max = max(1u, min(nr, BATCH_PAGES_MAX));
	w->bio_flags = (m->ops ? 0 : BIO_META) | (w->may_sleep ? BIO_SYNC : 0);
}

uint64_t writeout_range(struct writeout *w, struct mapping *m, uint64_t from, uint64_t last,
			enum mapping_tag tag, uint64_t nr_max)
{
	uint64_t enough = w->nr_written + nr_max;
	struct page *found[BATCH_PAGES_MAX];

	set_mapping(w, m);
	while (from <= last) {
		uint32_t nr = mapping_collect_tag(m, from, last, tag, found, BATCH_PAGES_MAX);

		if (nr == 0) {
			from = UINT64_MAX;
			break;
		}
		from = found[nr - 1]->index + 1;	/* not over the end: indexes stay below it */
		for (uint32_t i = 0; i < nr; i++)
			writeout_add(w, found[i]);
		write_batch(w);
		if (w->nr_written >= enough)
			break;
	}
	return from > last ? UINT64_MAX : from;
}

int writeout_finish(struct writeout *w)
{
	must(w->nr == 0);
	plug_finish(&w->plug);
	if (w->single) {
		int status = bio_submit_wait(w->single);

		status = status == -ENOMEM ? -EIO : status;
		write_io_end(w->single->private, status);
		w->single = NULL;
		w->err = first_error(w->err, status);
	}
	return w->err;
}

int page_write(struct page *page)
{
	struct writeout w;
	int err = 0;

	page_lock(page);
	page_wait_writeback(page);
	if (!page_test(page, PAGE_DIRTY) || page_test(page, PAGE_PINNED)) {
		err = page_test(page, PAGE_DIRTY) ? -EBUSY : 0;
		page_unlock(page);
		return err;
	}
	page_get(page);
	writeout_start(&w, WRITEBACK_WAIT);
	set_mapping(&w, page->mapping);
	w.pages[w.nr++] = page;
	write_batch(&w);
	return writeout_finish(&w);
}

/* Ranges of one mapping. */

/* Calls for each batch of a tag's pages what marks them; returns the last index seen, or 0. */
static uint64_t last_tagged(struct mapping *m, uint64_t first, uint64_t last, enum mapping_tag tag,
			    bool marks_towrite)
{
	struct page *found[BATCH_PAGES_MAX];
	uint64_t seen = 0;
	size_t nr;

	do {
		mutex_lock(&m->lock);
		nr = radix_gather_tag(&m->pages, first, last, tag, (void **)found, NULL, BATCH_PAGES_MAX);
		for (size_t i = 0; i < nr && marks_towrite; i++)
			radix_tag_set(&m->pages, found[i]->index, MAPPING_TAG_TOWRITE);
		if (nr > 0) {
			seen = found[nr - 1]->index;
			first = seen + 1;
		}
		mutex_unlock(&m->lock);
	} while (nr == BATCH_PAGES_MAX);
	return seen;
}

uint64_t mapping_tag_towrite(struct mapping *m, uint64_t first, uint64_t last)
{
	uint64_t in_flight = last_tagged(m, first, last, MAPPING_TAG_WRITEBACK, false);
	uint64_t dirty = last_tagged(m, first, last, MAPPING_TAG_DIRTY, true);

	return max(dirty, in_flight);
}

void mapping_wait_writeback(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page *found[64];
	uint32_t nr;

	while (first <= last) {
		nr = mapping_collect_tag(m, first, last, MAPPING_TAG_WRITEBACK, found, array_size(found));
		if (nr == 0)
			return;
		first = found[nr - 1]->index + 1;
		for (uint32_t i = 0; i < nr; i++)
			page_wait_writeback(found[i]);
		pages_put(found, nr);
	}
}

int mapping_write_range(struct mapping *m, uint64_t first, uint64_t last, enum writeback_mode mode)
{
	uint32_t error_mark = mapping_error_mark(m);
	struct writeout w;
	int err;

	/* What becomes dirty from here on is the next caller's: a stream of writers cannot hold us. */
	last = min(last, mapping_tag_towrite(m, first, last));
	writeout_start(&w, mode);
	ignore(writeout_range(&w, m, first, last, MAPPING_TAG_TOWRITE, UINT64_MAX), "the whole range");
	err = writeout_finish(&w);
	if (mode != WRITEBACK_WAIT)
		return err;
	mapping_wait_writeback(m, first, last);
	return first_error(err, mapping_error_since(m, &error_mark));
}

int mapping_wait_range(struct mapping *m, uint64_t first, uint64_t last, uint32_t *since)
{
	mapping_wait_writeback(m, first, last);
	return mapping_error_since(m, since);
}
