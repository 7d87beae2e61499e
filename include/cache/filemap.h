/*
 * cache/filemap.h - buffered reading and writing of a file's bytes.
 *
 * Purpose     Bytes of a file to pages of the cache and back, a run of pages at a time.
 * Ownership   A filemap_view borrows pages; filemap_view_done() gives them back.
 * Locking     The caller holds the inode lock: shared to read (until the view is done), exclusive
 *             to write. Page locks are taken here in ascending index.
 * Errors      -EIO, -ENOMEM, -ENOSPC and what mapping_ops say.
 * Units       Bytes.
 */
#ifndef CACHE_FILEMAP_H
#define CACHE_FILEMAP_H

#include <sys/uio.h>

#include "cache/mapping.h"
#include "cache/readahead.h"

/*
 * What a read found: memory of the cache itself, so that the reply needs no second copy. Pages
 * that lie behind each other in memory share an iovec.
 */
#define FILEMAP_VIEW_SMALL 32u	/* pages for which a view needs no memory */

/* The arrays may lie in the view itself, so a view is not copied. */
struct filemap_view {
	struct iovec *iov;	/* nr_iov entries */
	uint32_t nr_iov, nr_pages;
	size_t len_bytes;
	struct page **pages;
	/* inner: */
	struct page_cache *cache;
	uint32_t nr_pinned;
	void *heap;		/* NULL while the small arrays do */
	struct iovec small_iov[FILEMAP_VIEW_SMALL];
	struct page *small_pages[FILEMAP_VIEW_SMALL];
};

/*
 * Bytes [pos, pos + len) cut at size_bytes (the file's). Holes and pages not cached are read. The
 * view is valid also on error, then empty. len must not exceed FILEMAP_READ_MAX. ra is what the
 * reader's open file remembers; what it will want next may be read ahead. NULL: nothing is.
 */
#define FILEMAP_READ_MAX (1u << 20)
int filemap_read(struct mapping *m, uint64_t pos, size_t len, uint64_t size_bytes,
		 struct readahead_state *ra, struct filemap_view *view) must_check;
void filemap_view_done(struct filemap_view *view);

/*
 * A view of memory that is no page's, which its owner keeps in place until the view is done: init, then room
 * for so many pieces (-ENOMEM; the view stays valid), then add them in the file's order.
 */
void filemap_view_init(struct filemap_view *view, struct page_cache *cache);
int filemap_view_make_room(struct filemap_view *view, uint32_t nr) must_check;
void filemap_view_add(struct filemap_view *view, const void *bytes, size_t len);
/* Makes it, whatever it was, a view of len bytes of its own, and returns them; NULL without memory. */
void *filemap_view_own(struct filemap_view *view, size_t len) must_check;

/*
 * Writes len bytes at pos: chunk by chunk write_begin, grab pages, read partial ones that have old
 * content (below size_bytes, the file's size before), write_map, copy, mark dirty, write_end.
 * Throttles before each chunk. Returns the bytes written (perhaps fewer, when space ran out), or a
 * negative errno when none.
 */
ssize_t filemap_write(struct mapping *m, uint64_t pos, const void *from, size_t len,
		      uint64_t size_bytes, bool may_use_reserved) must_check;

/* Copying forms, for tests and for inner users (symlinks). */
ssize_t filemap_read_copy(struct mapping *m, uint64_t pos, void *to, size_t len, uint64_t size_bytes) must_check;

#endif
