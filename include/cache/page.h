/*
 * cache/page.h - one cached block of an owner's bytes.
 *
 * Purpose     The unit of the page cache. A page holds exactly one block of the file system (1, 2
 *             or 4 KiB), so a page has one place on disk and one state; nothing is half uptodate.
 * Ownership   The cache owns pages and lends them by reference. While you hold a reference the
 *             page and its bytes do not go away; it may lose its mapping (truncate) and then
 *             page->mapping is NULL.
 * Locking     The page lock is a bit of flags (RANK_PAGE for file data, RANK_BUFFER for metadata):
 *             it guards the bytes, uptodate, dirty and block. Several pages of one mapping are
 *             locked in ascending index. Completion releases a lock that another thread took.
 * Invariants  P1  a dirty page is uptodate and, if the owner writes in place, has a block.
 *             P2  bytes change only under the page lock and while not under writeback.
 *             P3  at most one write of a page is under way.
 *             P4  a page under writeback or locked is not reclaimed.
 *             P5  the bound: pages in existence never exceed page_cache_config.size_bytes.
 */
#ifndef CACHE_PAGE_H
#define CACHE_PAGE_H

#include "base/list.h"
#include "base/lock.h"
#include "base/types.h"

enum page_flags {
	PAGE_LOCKED = 1u << 0,
	PAGE_WAITERS = 1u << 1,		/* somebody sleeps on a bit of this word */
	PAGE_UPTODATE = 1u << 2,
	PAGE_DIRTY = 1u << 3,
	PAGE_WRITEBACK = 1u << 4,
	PAGE_ERROR = 1u << 5,		/* the last read failed */
	PAGE_REFERENCED = 1u << 6,	/* used since the reclaimer last looked */
	PAGE_ACTIVE = 1u << 7,		/* on the active list */
	PAGE_READAHEAD = 1u << 8,	/* the mark: reaching it starts the next window */
	PAGE_NEW = 1u << 9,		/* its block was allocated for the write under way */
	PAGE_PINNED = 1u << 10,		/* the owner forbids writing it home (journal) */
	PAGE_CHECKED = 1u << 11,	/* the owner's gate passed these bytes since they were read */
	PAGE_PREFETCHED = 1u << 12,	/* read ahead, and nobody has asked for it yet */
	PAGE_LOGGED = 1u << 13,		/* the owner takes what the write under way puts into it */
	PAGE_LISTED = 1u << 14,		/* the owner has read ahead what these bytes name */
};

struct mapping;
struct page_cache;

struct page {
	struct page_cache *cache;	/* whose it is; set once */
	struct mapping *mapping;	/* [mapping lock to change; page lock or a lookup to read] */
	uint64_t index;			/* which block of the owner; set once */
	fsblk_t block;			/* where on disk; 0: nowhere yet (a hole) [page lock] */
	uint8_t *data;			/* mapping->block_bytes bytes; set once */
	bitword_t flags;
	_Atomic uint32_t refs;		/* one for being in a mapping, one for each borrower or I/O */
	struct list lru;		/* [lru lock] */
	void *private;			/* the owner's: the journal's head of a metadata block [page lock] */
};

static inline bool page_test(const struct page *page, uint32_t flag)
{
	return atomic_load_explicit(&page->flags, memory_order_acquire) & flag;
}

static inline void page_set(struct page *page, uint32_t flag)
{
	atomic_fetch_or_explicit(&page->flags, flag, memory_order_acq_rel);
}

static inline void page_clear(struct page *page, uint32_t flag)
{
	atomic_fetch_and_explicit(&page->flags, ~flag, memory_order_acq_rel);
}

void page_get(struct page *page);	/* the caller already has one, or the mapping lock */
void page_put(struct page *page);

/*
 * Clears PAGE_PINNED and tells those who wait for a page that one more may be written or go. The
 * caller has a reference. (The flag is set with page_set(), under the page lock.)
 */
void page_unpin(struct page *page);

static inline void page_lock(struct page *page)
{
	bit_lock(&page->flags, PAGE_LOCKED, PAGE_WAITERS);
}

static inline bool page_trylock(struct page *page)
{
	return bit_trylock(&page->flags, PAGE_LOCKED);
}

static inline void page_unlock(struct page *page)
{
	bit_unlock(&page->flags, PAGE_LOCKED, PAGE_WAITERS);
}

static inline void page_wait_writeback(struct page *page)
{
	if (page_test(page, PAGE_WRITEBACK))
		bit_wait_clear(&page->flags, PAGE_WRITEBACK, PAGE_WAITERS);
}

#endif
