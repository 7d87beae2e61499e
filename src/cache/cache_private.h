/*
 * cache/cache_private.h - the inside of the page cache, shared by the files of this room.
 *
 * Purpose     struct page_cache, and what each file offers to those above it, lowest first.
 * Ownership   One page_cache a mount. It owns the slabs, and in them all pages and their bytes.
 * Locking     mapping->lock (RANK_MAPPING), then cache->lru_lock (RANK_LRU). The reclaimer comes
 *             from the other end: it holds lru_lock and *tries* a mapping's lock.
 * Invariants  C1  a page is on an LRU list exactly when it has a mapping; both change under
 *                 lru_lock and the mapping's lock together.
 *             C2  pages in existence = nr_carved <= pages_max, each in use or on `free` (P5).
 *             C3  no thread sleeps for a page's lock, for memory or for the throttle while it
 *                 holds back pages under writeback that it has not submitted.
 *             C4  who waits for memory in mapping_grab_run() holds nothing of that call.
 * Sources     CACHE.md.
 */
#ifndef CACHE_PRIVATE_H
#define CACHE_PRIVATE_H

#include <assert.h>

#include "base/assert.h"
#include "base/lock.h"
#include "block/plug.h"
#include "cache/cache.h"
#include "cache/mapping.h"
#include "cache/readahead.h"

/*
 * The largest batch of pages that any function here handles at once: 1 MiB of 4 KiB blocks, and
 * as many as a bio has vecs.
 */
#define BATCH_PAGES_MAX 256u
static_assert(BATCH_PAGES_MAX <= BIO_VECS_MAX, "a run of a batch fits in one bio");

/* Pages and their bytes come in slabs: one aligned piece of data, one array of pages. */
struct page_slab {
	struct list link;	/* [lru_lock] */
	uint8_t *data;
	struct page pages[];
};

/* A page that was reclaimed: who it was, and when (shadow.c). */
struct evicted {
	uint32_t who;		/* 0: nobody */
	uint32_t when;		/* on shadow_clock */
};

/* A thread that waits for its turn, in order. Lies on its stack. */
struct waiter {
	struct list link;	/* [lru_lock] */
	struct cond cond;
	uint32_t want;		/* [lru_lock] pins; completed writes */
	bool is_granted;	/* [lru_lock] */
};

struct page_cache {
	/* configuration */
	struct page_cache_config config;
	unsigned block_bits;
	uint32_t pages_max;
	uint32_t slab_pages;
	uint32_t batch_max;
	uint32_t dirty_max;		/* dirty and under writeback: beyond it writers wait */
	uint32_t brake;			/* the same: beyond it writers are slowed down */
	uint32_t background_max;	/* dirty: beyond it the flusher writes */
	uint32_t pins_max;
	uint32_t ahead_max;		/* the largest window of one reader */
	bool is_inline;			/* nobody else makes pages clean: who waits, flushes */
	/* Writes what it can without sleeping for a page; returns how many pages. flusher.c's. */
	uint32_t (*flush_some)(struct page_cache *cache);

	struct page_cache_stats stats;

	struct mutex lru_lock;
	/* pages [lru_lock] */
	struct list slabs;
	struct list free;
	struct list inactive, active;	/* the head is the youngest */
	uint32_t nr_carved, nr_free, nr_inactive, nr_active;

	/* pages that are gone [lru_lock] */
	struct evicted *shadows;
	uint32_t shadow_groups;		/* of SHADOW_GROUP entries; a power of two */
	uint32_t shadow_clock;		/* how many were reclaimed */

	_Atomic uint32_t nr_prefetched;	/* pages with PAGE_PREFETCHED */

	/* who waits for pages */
	struct cond progress;		/* a page became free, clean or unused */
	_Atomic uint32_t nr_alloc_waiters;	/* [lru_lock to change] */

	/* pages that readers' views and writers' chunks may hold at once */
	_Atomic uint32_t nr_pins;
	_Atomic uint32_t nr_pin_waiters;	/* [lru_lock to change] */
	struct list pin_waiters;	/* [lru_lock] struct waiter, oldest first */

	/* dirty accounts */
	_Atomic uint32_t nr_dirty, nr_writeback;
	struct list dirty_data, dirty_meta;	/* [lru_lock] mappings, M2 */
	uint32_t nr_dirty_data, nr_dirty_meta;	/* [lru_lock] how many */
	_Atomic uint32_t nr_throttled;	/* [lru_lock to change] */
	struct list throttled;		/* [lru_lock] struct waiter, oldest first */

	/* for bios when there is no memory (writeback.c) */
	struct list write_reserve;	/* [lru_lock] */
	struct cond reserve_back;

	/* the flusher */
	struct work flush_work;
	_Atomic bool is_kicked;		/* queued to run at once */
	_Atomic bool is_stopping;
	struct cond flushers_gone;	/* a mapping's nr_flushers came to 0 */

	/* sync: waits for the writes of an epoch, so that later ones do not hold it up */
	bool is_syncing;		/* [lru_lock] one at a time */
	uint64_t sync_seq;		/* [lru_lock] */
	unsigned epoch;			/* [lru_lock] 0 or 1 */
	uint32_t nr_in_epoch[2];	/* [lru_lock] pages under writeback, by when they began */
	struct cond sync_progress;
	_Atomic uint32_t error_seq;	/* as a mapping's, over all of them */
	_Atomic int error;
};

/* wait.c: those who wait for their turn */
void cache_kick_flusher(struct page_cache *cache);
/* Reserves the right to hold nr pages at once; before anything is locked or begun. */
void pins_get(struct page_cache *cache, uint32_t nr);
void pins_put(struct page_cache *cache, uint32_t nr);
void alloc_progress(struct page_cache *cache) needs(cache->lru_lock);
/* So many writes completed, or pages are not dirty any more. */
void throttle_progress(struct page_cache *cache, uint32_t nr_completed) needs(cache->lru_lock);
/* Before nr pages are made dirty, and before anything is locked. */
void throttle_pages(struct page_cache *cache, uint32_t nr);
/* Pure: how many writes must complete before nr pages may be written. */
uint32_t throttle_debt(uint32_t nr, uint32_t used, uint32_t brake, uint32_t limit);

/* page.c: pages and slabs */
void page_check(const struct page *page);	/* the invariants of page.h; page lock held; debug build only */
/* Up to nr pages from the free list and new slabs. Returns how many; *no_memory when a slab failed. */
uint32_t pages_take(struct page_cache *cache, struct page **pages, uint32_t nr, bool *no_memory)
	needs(cache->lru_lock);
void pages_untake(struct page_cache *cache, struct page **pages, uint32_t nr) needs(cache->lru_lock);
/* Puts pages of no mapping and with no reference back; lru_lock is held. In the list's order. */
void pages_free_locked(struct page_cache *cache, struct list *pages, uint32_t nr) needs(cache->lru_lock);
void pages_free(struct page_cache *cache, struct page **pages, uint32_t nr);
enum lru_place { LRU_INACTIVE, LRU_ACTIVE };
void lru_add(struct page_cache *cache, struct page *page, enum lru_place place) needs(cache->lru_lock);
void lru_del(struct page_cache *cache, struct page *page) needs(cache->lru_lock);
void pages_put(struct page **pages, uint32_t nr);	/* drops a reference of each */
void pages_unlock_put(struct page **pages, uint32_t nr);
/*
 * The end of an I/O that held a reference and a bit (locked or writeback) of each page: drops both.
 * The pages' mapping is locked, so the tree's reference stays and nothing is freed; the caller
 * calls alloc_progress().
 */
void pages_release_io(struct page **pages, uint32_t nr, uint32_t bit);
void slabs_destroy(struct page_cache *cache);
/* Somebody asked for the pages; NULL among them is passed over. The caller has references. */
void pages_touch(struct page **pages, uint32_t nr);
static inline void page_touch(struct page *page)
{
	/* Most that are asked for were asked for before. */
	if ((atomic_load_explicit(&page->flags, memory_order_relaxed) & (PAGE_PREFETCHED | PAGE_REFERENCED)) !=
	    PAGE_REFERENCED)
		pages_touch(&page, 1);
}

/* True for one caller. */
static inline bool page_take_mark(struct page *page)
{
	return page_test(page, PAGE_READAHEAD) &&
	       atomic_fetch_and(&page->flags, ~(uint32_t)PAGE_READAHEAD) & PAGE_READAHEAD;
}

/* shadow.c: who was reclaimed */
int shadows_create(struct page_cache *cache) must_check;
void shadows_destroy(struct page_cache *cache);
void shadow_leave(struct page_cache *cache, const struct mapping *m, uint64_t index) needs(cache->lru_lock);
/* A page comes into the cache: does it come back so soon that it belongs to the active ones? */
bool shadow_take(struct page_cache *cache, const struct mapping *m, uint64_t index) needs(cache->lru_lock);

/* mapping.c: the index tree; m->lock held */
/* Pages from index on, into slots by their index; NULL where none is. Not referenced. Returns how many. */
uint32_t mapping_scatter(struct mapping *m, uint64_t index, struct page **slots, uint32_t nr)
	needs(m->lock);
/* Fills the empty slots with spare pages; *nr_used of them. All or none. */
int mapping_fill(struct mapping *m, uint64_t index, struct page **slots, uint32_t nr,
		 struct page **spare, uint32_t *nr_used) must_check needs(m->lock);
/* Takes clean pages out of tree and LRU; the tree's reference of each is the caller's afterwards. */
void mapping_remove(struct mapping *m, struct page **pages, uint32_t nr) needs(m->lock);
/* The same for one, if nobody uses it and it may go: then it has no reference left. */
bool mapping_evict(struct page_cache *cache, struct mapping *m, struct page *page) must_check
	needs(m->lock) needs(cache->lru_lock);
/* Referenced pages of [from, last], all or those with a tag; takes m->lock itself. */
uint32_t mapping_collect(struct mapping *m, uint64_t from, uint64_t last, struct page **pages, uint32_t nr);
uint32_t mapping_collect_tag(struct mapping *m, uint64_t from, uint64_t last, enum mapping_tag tag,
			     struct page **pages, uint32_t nr);

/* dirty.c: a page's states, and what they add up to */
/* Locked, uptodate pages of m. */
void pages_mark_dirty(struct mapping *m, struct page **pages, uint32_t nr);
/*
 * Locked dirty pages of m, none under writeback: from dirty to under writeback. Returns the epoch
 * that pages_end_writeback() is to be told.
 */
unsigned pages_start_writeback(struct mapping *m, struct page **pages, uint32_t nr) must_check;
/*
 * Drops the references, too. With status -ENOMEM nothing was written: the pages are dirty again.
 * m and the cache may be gone afterwards.
 */
void pages_end_writeback(struct mapping *m, struct page **pages, uint32_t nr, unsigned epoch, int status);

/* lru.c: where pages come from */
enum alloc_mode { ALLOC_WAIT, ALLOC_NOWAIT };
/* nr pages without references, flags and block. All or none. ALLOC_NOWAIT fails rather than waits. */
int pages_alloc(struct page_cache *cache, struct page **pages, uint32_t nr, enum alloc_mode mode) must_check;

/* grab.c: found or made */
/*
 * As mapping_grab_run(), without the locks. GET_AHEAD: nobody asked for the pages, so what is found
 * is not used by this, and -ENOMEM rather than a wait.
 */
enum get_mode { GET_WANTED, GET_AHEAD };
int mapping_get_run(struct mapping *m, uint64_t index, uint32_t nr, struct page **pages,
		    enum get_mode mode) must_check;

/* read.c */
/* Starts reading locked consecutive pages of m; each is unlocked and put when it is done. */
void pages_read_async(struct mapping *m, struct page **pages, uint32_t nr);

/* readahead.c: pure */
struct ra_request {
	uint64_t first;
	uint32_t nr;
	uint64_t absent;	/* its first page that is not cached, or RA_NONE */
	bool has_mark;		/* a page of it had the mark */
	uint64_t prev_end;	/* behind the request before it, or RA_NONE */
	uint64_t begin, end;	/* where there is anything to read */
	bool starts_file;	/* page 0 is a start, from which one usually reads on */
	uint32_t pages_max;	/* of a window */
	uint32_t pages_now;	/* that may be read ahead now */
};
struct ra_plan {
	uint64_t first;
	uint32_t nr;		/* pages of a piece; 0: nothing to do */
	uint32_t nr_pieces;
	int64_t stride;		/* from one to the next */
	uint64_t mark;
};
void readahead_plan(struct readahead_state *ra, const struct ra_request *rq, struct ra_plan *plan);

/* prefetch.c */
uint32_t prefetch_room(struct page_cache *cache);	/* pages of a window that may be read now */
/* Starts reading what is not cached of the run, and sets the mark. False when memory ended. */
bool prefetch_run(struct mapping *m, uint64_t first, uint32_t nr, uint64_t mark);
void prefetch(struct mapping *m, const struct ra_plan *plan);

/* writeback.c: from dirty pages to bios */
int write_reserve_create(struct page_cache *cache) must_check;
void write_reserve_destroy(struct page_cache *cache);
struct writeout {
	struct mapping *mapping;	/* of the pages below */
	struct page *pages[BATCH_PAGES_MAX];	/* locked, dirty, to be written together */
	uint32_t nr;
	bool may_sleep;			/* for page locks and earlier writes; else such pages are left */
	bool waits;			/* for the writes' end: then a lone bio can be carried out here */
	uint32_t bio_flags;
	uint32_t bio_pages_max;		/* of this mapping's disk */
	struct plug plug;
	struct bio *single;		/* the only bio so far, held back */
	uint64_t nr_written;		/* so far */
	int err;			/* first: a lack of memory, or the lone bio's */
};
void writeout_start(struct writeout *w, enum writeback_mode mode);
/*
 * Writes the pages with `tag` in [from, last], until about nr_max were. Returns the index to go on
 * from, or UINT64_MAX when the range is done. The pages may wait in w for more.
 */
uint64_t writeout_range(struct writeout *w, struct mapping *m, uint64_t from, uint64_t last,
			enum mapping_tag tag, uint64_t nr_max);
/* Everything is submitted. The caller does a lone bio's work itself when it may sleep. */
int writeout_finish(struct writeout *w) must_check;
/* Writes this page now, if it is dirty, and waits. -EBUSY while it is pinned. Not locked. */
int page_write(struct page *page) must_check;
/* Marks what is dirty in [first, last] now. Returns the last index that is dirty or under writeback. */
uint64_t mapping_tag_towrite(struct mapping *m, uint64_t first, uint64_t last);
void mapping_wait_writeback(struct mapping *m, uint64_t first, uint64_t last);

/* flusher.c */
void cache_flusher_init(struct page_cache *cache);
void cache_flusher_stop(struct page_cache *cache);

#endif
