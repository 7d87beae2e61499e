/*
 * cache/buffer.h - metadata blocks of one disk, cached and shared.
 *
 * Purpose     The file system reads and changes metadata a block at a time. A buffer is that block
 *             in memory: whoever asks for block 17 gets the same bytes.
 * Ownership   The cache owns buffers and lends them. Every buffer_get() or buffer_read() is paired
 *             with one buffer_put(). While you hold one, its bytes do not move.
 * Locking     The buffer lock (the page's, RANK_BUFFER) guards bytes and flags against write-back;
 *             who reads and who changes a block's bytes is ordered by the owner's own lock (inode,
 *             tree, group) or by this one. Changes happen between buffer_lock() and buffer_unlock().
 * Invariants  B1  There is one buffer for a (disk, block).
 *             B2  A dirty buffer is uptodate.
 *             B3  A pinned buffer (of a running transaction) is not written home.
 * Units       block: fsblk_t, in blocks of the cache's block_bytes.
 * Errors      0 or negative errno. -EIO the disk failed, -ENOMEM. This room never looks into the
 *             bytes, so it never says -EUCLEAN.
 * Context     May sleep.
 */
#ifndef CACHE_BUFFER_H
#define CACHE_BUFFER_H

#include "cache/mapping.h"
#include "cache/readahead.h"

/* A buffer is a page of the disk's own mapping: index and block are the same number. */
struct buffer {
	struct page page;
};

struct buffer_cache {
	struct mapping mapping;
};

int buffer_cache_init(struct buffer_cache *bc, struct page_cache *cache, struct disk *disk) must_check;
void buffer_cache_done(struct buffer_cache *bc);	/* drops clean buffers; dirty ones must be gone */

/* The buffer of a block, read from disk if need be: uptodate, not locked. */
int buffer_read(struct buffer_cache *bc, fsblk_t block, struct buffer **ret_buffer) must_check;
/* The buffer of a block whose old content is of no interest: perhaps not uptodate, not locked. */
int buffer_get(struct buffer_cache *bc, fsblk_t block, struct buffer **ret_buffer) must_check;
/*
 * Starts reading `nr` blocks that will be wanted soon; errors are found by who wants them. Blocks
 * that are cached cost a lookup; without a page at hand the rest is left.
 */
void buffer_read_ahead(struct buffer_cache *bc, fsblk_t block, uint32_t nr);
/* The same for blocks anywhere. Sorts them. */
void buffer_read_ahead_list(struct buffer_cache *bc, fsblk_t *blocks, uint32_t nr);
/*
 * As buffer_read(), for somebody who often goes through blocks in order: who does so according to ra
 * finds the next blocks of [range->first, range->end) read. For tables, such as the inodes'.
 */
struct buffer_range {
	fsblk_t first, end;
	uint32_t ahead_max;	/* blocks; 0: as many as the cache allows */
};
int buffer_read_in_order(struct buffer_cache *bc, struct readahead_state *ra, fsblk_t block,
			 const struct buffer_range *range, struct buffer **ret_buffer) must_check;
/* The buffer if it is cached and uptodate, else NULL. */
struct buffer *buffer_find(struct buffer_cache *bc, fsblk_t block) must_check;
void buffer_put(struct buffer *b);			/* NULL is harmless */
static inline struct buffer *buffer_ref(struct buffer *b)
{
	page_get(&b->page);
	return b;
}

/* Takes the buffer for a change of its bytes: locked, and not under writeback. */
void buffer_lock(struct buffer *b);
void buffer_unlock(struct buffer *b);
static inline void buffer_set_uptodate(struct buffer *b)
{
	page_set(&b->page, PAGE_UPTODATE);
}
/* Locked and uptodate: to be written home by the flusher. */
static inline void buffer_mark_dirty(struct buffer *b)
{
	page_mark_dirty(&b->page);
}
/* Writes it now if it is dirty, and waits. Not locked by the caller. -EBUSY while it is pinned (B3). */
int buffer_write(struct buffer *b) must_check;
/*
 * The block was freed: whatever is dirty of it must never reach the disk. Waits for a write under
 * way. The caller's reference, if any, stays valid; the buffer is not uptodate any more.
 */
void buffer_forget(struct buffer_cache *bc, fsblk_t block);
/* Writes all dirty buffers and waits. */
int buffer_sync(struct buffer_cache *bc) must_check;

static inline fsblk_t buffer_block(const struct buffer *b)
{
	return b->page.block;
}

static inline void *buffer_data(const struct buffer *b)
{
	return b->page.data;
}

#endif
