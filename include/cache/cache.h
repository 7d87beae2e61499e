/*
 * cache/cache.h - the page cache of one mount: its bound, its lists, its flusher.
 *
 * Purpose     One cache for everything a mount keeps in memory of its disk. Hard bound, two-list
 *             LRU, dirty accounting with throttling of writers, background write-back by age and
 *             by amount, all tunable.
 * Ownership   Created before the first mapping, destroyed after the last.
 * Locking     LRU and dirty accounts: RANK_LRU. Each mapping: RANK_MAPPING.
 * Units       Pages of block_bytes; times in milliseconds.
 * Context     Allocation of a page may sleep until the flusher has made one clean; no lock above
 *             RANK_BUFFER may be held then.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/clock.h"
#include "base/stats.h"
#include "base/types.h"
#include "base/work.h"

struct page_cache;
struct disk;

struct page_cache_config {
	uint32_t block_bytes;		/* 1024, 2048 or 4096 */
	uint64_t size_bytes;		/* the hard bound; at least PAGE_CACHE_BYTES_MIN */
	unsigned dirty_percent;		/* writers wait beyond it; default 40 */
	unsigned background_percent;	/* the flusher starts beyond it; default 10 */
	uint32_t dirty_expire_ms;	/* older dirty pages are written; default 5000 */
	uint32_t flush_interval_ms;	/* how often the flusher looks; default 1000; 0: never by itself */
	/* The largest read-ahead window; default 8 MiB, at most 1/16 of the cache; below a block: none. */
	uint64_t readahead_bytes_max;
	/*
	 * Told of each piece of memory that pages come to lie in, and before it goes, so that a disk can prepare
	 * it; under a lock of the cache's: it must not call back. Both NULL: nobody.
	 */
	void (*memory_made)(void *arg, void *base, size_t len);
	void (*memory_gone)(void *arg, void *base);
	void *memory_arg;
	struct clock *clock;
	struct workqueue *work;		/* the flusher's thread, or inline in tests */
};

#define PAGE_CACHE_BYTES_MIN (4u << 20)
#define PAGE_CACHE_READAHEAD_DEFAULT (8u << 20)

/* What each means is told in CACHE.md section 10; page_cache_report() gives all of them by name. */
struct page_cache_stats {
	counter_t hits, misses;
	counter_t pages_read, pages_written;
	counter_t read_runs, writeback_runs;	/* bios */
	counter_t ahead_windows, ahead_pages;
	counter_t ahead_used, ahead_early, ahead_late, ahead_wasted;
	counter_t reclaimed, activated, deactivated;
	counter_t refaults, refaults_activated;
	counter_t throttle_waits, throttle_ns, reclaim_waits, reserve_uses;
	counter_t bytes_copied_in, bytes_copied_out, bytes_lent;
};

int page_cache_create(const struct page_cache_config *config, struct page_cache **ret_cache) must_check;
void page_cache_destroy(struct page_cache *cache);	/* all mappings must be done */
const struct page_cache_stats *page_cache_stats(const struct page_cache *cache);
/* Calls for each number there is to know of the cache now, in the order of CACHE.md section 10. */
void page_cache_report(const struct page_cache *cache,
		       void (*line)(void *arg, const char *name, uint64_t value), void *arg);
uint64_t page_cache_nr_pages(const struct page_cache *cache);
uint64_t page_cache_nr_dirty(const struct page_cache *cache);
uint64_t page_cache_bytes_copied_in(const struct page_cache *cache);	/* by writes, since it was created */
/* The largest number of pages one caller should keep locked at once, so that all can go on. */
uint32_t page_cache_batch_max(const struct page_cache *cache);

/*
 * Writers call this before they lock anything: sleeps while too much is dirty, so that a fast
 * writer goes at the disk's speed.
 */
void page_cache_throttle(struct page_cache *cache);
/* Writes all dirty pages of all mappings, file data first, and waits. First error seen, or 0. */
int page_cache_sync(struct page_cache *cache) must_check;

#endif
