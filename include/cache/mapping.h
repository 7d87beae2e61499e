/*
 * cache/mapping.h - an owner's pages: (owner, index) to page.
 *
 * Purpose     Each file, and each disk for its metadata, has one mapping. The cache knows owners
 *             only by the ops below.
 * Ownership   Embedded in the owner's object; init and done by the owner. done() needs all pages
 *             gone (mapping_truncate to 0).
 * Locking     mapping->lock (RANK_MAPPING) guards the tree, the tags and nr_*. See page.h for
 *             the page lock.
 * Invariants  M1  tag DIRTY is set exactly for pages with PAGE_DIRTY, tag WRITEBACK likewise.
 *             M2  a mapping is on the cache's dirty list exactly when it has a dirty page.
 *             M3  tag TOWRITE is set only where tag DIRTY is.
 * Errors      -ENOMEM, -EIO, and what the ops return.
 */
#ifndef CACHE_MAPPING_H
#define CACHE_MAPPING_H

#include "base/list.h"
#include "base/lock.h"
#include "base/radix.h"
#include "base/types.h"
#include "cache/page.h"

struct page_cache;
struct disk;
struct mapping;

enum mapping_tag {
	MAPPING_TAG_DIRTY,
	MAPPING_TAG_WRITEBACK,
	MAPPING_TAG_TOWRITE,	/* was dirty when a sync began; only on dirty pages */
};

/* What a file's owner keeps over one write: the front half of filemap_write fills pos and len. */
struct mapping_write {
	uint64_t pos, len;	/* bytes of this chunk */
	void *owner;		/* the owner's: its handle, its credentials */
	bool may_use_reserved;	/* the caller may use blocks reserved for root */
	bool has_logged;	/* map marked a page PAGE_LOGGED */
};

struct mapping_ops {
	/*
	 * Finds out where `nr` consecutive pages from pages[0] on lie and fills page->block (0: a
	 * hole). The pages are locked and not uptodate. The cache does the reading itself. Returns
	 * 0, or how many it filled: then it is asked again for the others, which gives the cache the
	 * time to begin with these. To be done before a part of the map must be read from disk.
	 */
	int (*map_read)(struct mapping *m, struct page **pages, uint32_t nr);
	/*
	 * Optional. The owner may have in memory what the page's block will hold, newer than the disk
	 * (it is in its log): fills the page, which is locked and mapped, and says true.
	 */
	bool (*read_memory)(struct mapping *m, struct page *page);
	/*
	 * A write of w->len bytes at w->pos (within one batch of pages): begin starts what belongs
	 * together and takes no page lock; map gives each page a block, allocating where there is
	 * none (PAGE_NEW set on those), and returns how many of the nr locked pages it could serve
	 * (less than nr: out of space) or a negative errno if none. Those of them that it marks
	 * PAGE_LOGGED are given to its write_log when their bytes are there, instead of becoming dirty:
	 * their content is the owner's to keep then. end is told how many bytes were
	 * taken, updates the owner's size and times, and ends what begin began. end is called
	 * exactly when begin returned 0.
	 */
	int (*write_begin)(struct mapping *m, struct mapping_write *w);
	int (*write_map)(struct mapping *m, struct mapping_write *w, struct page **pages, uint32_t nr);
	void (*write_log)(struct mapping *m, struct mapping_write *w, struct page *page);
	int (*write_end)(struct mapping *m, struct mapping_write *w, uint64_t written);
};

struct mapping {
	/* fixed at init */
	struct page_cache *cache;
	struct disk *disk;
	const struct mapping_ops *ops;	/* NULL for a disk's own mapping: index is the block */
	void *owner;
	inr_t ino;			/* for messages; 0 for metadata */
	uint32_t block_bytes;
	unsigned block_bits;

	struct mutex lock;
	struct radix pages;		/* [lock] */
	uint64_t nr_pages;		/* [lock] */
	_Atomic uint64_t nr_dirty, nr_writeback;	/* [lock to change; without it, a hint] */
	uint64_t dirtied_ns;		/* [lock] when its oldest dirty page became so */
	uint64_t nr_writes;		/* [lock] pages that ever went to the disk from here */
	uint64_t writeback_index;	/* [lock] where the next partial write-back goes on */
	uint64_t pass_ns;		/* [lock] when the flusher last began at index 0 */
	_Atomic uint32_t error_seq;	/* rises with each failed write-back */
	_Atomic int error;		/* the latest one */
	struct list dirty_link;		/* [lru lock] on the cache's list */
	uint32_t nr_flushers;		/* [lru lock] who writes it on the cache's behalf; done() waits */
	uint64_t sync_seq;		/* [lru lock] the last page_cache_sync() that need not visit it */
};

void mapping_init(struct mapping *m, struct page_cache *cache, struct disk *disk,
		  const struct mapping_ops *ops, void *owner, inr_t ino);
/* No page is left, and the owner calls nothing more. Waits for a flusher that still looks at m. */
void mapping_done(struct mapping *m);

/* The page at index, referenced, not locked; NULL when it is not cached. */
struct page *mapping_find(struct mapping *m, uint64_t index) must_check;
/*
 * The page at index, found or made; referenced and locked. A page just made is not uptodate and
 * its bytes are undefined. May sleep for memory.
 */
int mapping_grab(struct mapping *m, uint64_t index, struct page **ret_page) must_check;
/*
 * The same for `nr` consecutive pages (at most page_cache_batch_max), ascending. All or none.
 */
int mapping_grab_run(struct mapping *m, uint64_t index, uint32_t nr, struct page **ret_pages) must_check;
/*
 * Makes the pages of a run uptodate: maps (ops->map_read), zeroes holes, reads the rest in as few
 * bios as there are disk runs, and waits. Pages are locked by the caller and stay so.
 */
int mapping_read_locked(struct mapping *m, struct page **pages, uint32_t nr) must_check;

/* How many pages are dirty, and how many ever went to the disk: at one moment. */
void mapping_write_state(struct mapping *m, uint64_t *ret_dirty, uint64_t *ret_writes);
/* The first dirty pages, at most nr, referenced; how many. */
uint32_t mapping_find_dirty(struct mapping *m, struct page **ret_pages, uint32_t nr);

/* The page is locked and uptodate; its bytes were changed. Sets dirty, tags, accounts. */
void page_mark_dirty(struct page *page);
/* The page is locked: forgets that it is dirty (its content is not wanted any more). */
void page_cancel_dirty(struct page *page);

/*
 * Drops all pages from byte size_bytes on: waits for their lock and writeback, forgets dirty ones;
 * zeroes the rest of a page that holds the border, marking it dirty if it has a block.
 * The owner's inode lock keeps new ones from coming.
 */
void mapping_truncate(struct mapping *m, uint64_t size_bytes);
/*
 * Before bytes from from_byte on may be read as zeros (a file is cut or grows): zeroes the block
 * that holds from_byte from there to its end, reading it first, and marks it dirty if it has a
 * place on disk and was not zero. Nothing to do when from_byte is the start of a block, or lies
 * beyond old_size (the file's size so far). Takes a page lock, so it is called outside of them.
 */
int mapping_zero_tail(struct mapping *m, uint64_t from_byte, uint64_t old_size) must_check;
/* Drops the clean pages in [first, last] that nobody uses. Never waits. */
void mapping_drop_clean(struct mapping *m, uint64_t first, uint64_t last);
/*
 * Drops all pages in [first, last], as mapping_truncate() does: for a hole. Dirty ones are
 * forgotten.
 */
void mapping_drop_range(struct mapping *m, uint64_t first, uint64_t last);

/*
 * What is dirty in [first, last] when it is called goes to the disk; pinned pages are left out.
 * START: those that can be had without sleeping for a page lock. SUBMIT: all of them, but their end
 * is not waited for: mapping_wait_range() does that, for many mappings at once. WAIT: they are
 * written when it returns, and so is what was under writeback; an error is one of this mapping's
 * since the call.
 */
enum writeback_mode { WRITEBACK_START, WRITEBACK_SUBMIT, WRITEBACK_WAIT };
int mapping_write_range(struct mapping *m, uint64_t first, uint64_t last, enum writeback_mode mode) must_check;
/*
 * Waits for what is under writeback in [first, last] now. An error since *since (of
 * mapping_error_mark(), taken before the writes were submitted) is told once, and *since moves on.
 */
int mapping_wait_range(struct mapping *m, uint64_t first, uint64_t last, uint32_t *since) must_check;
/* An fsync's question: has a write-back failed since *since? Returns that error once and updates. */
int mapping_error_since(struct mapping *m, uint32_t *since) must_check;
static inline uint32_t mapping_error_mark(const struct mapping *m)
{
	return atomic_load(&m->error_seq);
}

#endif
