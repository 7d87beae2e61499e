/*
 * Sparse memory: a radix tree of chunks, each with a bit a sector and a pointer a page.
 *
 *	chunk, 32 KiB of the disk:   owned: 64 bits, one a sector
 *	                             pages: 8 pointers, NULL until something is written there
 *
 * A page is 4 KiB because file systems write blocks of that size: larger ones would multiply the
 * memory of scattered writes, smaller ones its bookkeeping (here 2 % at worst, .3 % when full).
 */
#include "sparse.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define PAGE_BYTES 4096u
#define CHUNK_PAGES 8u
#define CHUNK_BYTES (PAGE_BYTES * CHUNK_PAGES)
#define CHUNK_SECTORS (CHUNK_BYTES / SECTOR_SIZE)
#define PAGE_SECTORS (PAGE_BYTES / SECTOR_SIZE)
#define GATHER_MAX 64u

static_assert(CHUNK_SECTORS == 64, "a chunk's sectors are the bits of one word");

struct chunk {
	uint64_t owned;		/* a bit a sector, the first lowest */
	unsigned char *pages[CHUNK_PAGES];
};

/* What of [offset, offset + len) lies in one chunk. */
struct span {
	uint64_t index;		/* of the chunk */
	uint32_t from, len;	/* bytes in it */
};

static struct span span_at(uint64_t offset, uint64_t len)
{
	uint32_t from = (uint32_t)(offset % CHUNK_BYTES);

	return (struct span){offset / CHUNK_BYTES, from, (uint32_t)min(len, (uint64_t)(CHUNK_BYTES - from))};
}

/* The sectors that these bytes touch: a piece of memory may end inside one, and the next goes on there. */
static uint64_t sector_bits(uint32_t from_bytes, uint32_t len_bytes)
{
	uint32_t first = from_bytes / SECTOR_SIZE;
	uint32_t nr = (from_bytes + len_bytes - 1) / SECTOR_SIZE - first + 1;

	return (nr == CHUNK_SECTORS ? UINT64_MAX : (1ull << nr) - 1) << first;
}

void sparse_init(struct sparse *s)
{
	radix_init(&s->chunks);
	atomic_init(&s->used_bytes, 0);
}

static void count_pages(struct sparse *s, int64_t nr)
{
	atomic_fetch_add_explicit(&s->used_bytes, (uint64_t)(nr * (int64_t)PAGE_BYTES),
				  memory_order_relaxed);
}

static void page_free(struct sparse *s, struct chunk *chunk, uint32_t i)
{
	if (!chunk->pages[i])
		return;
	mem_free(chunk->pages[i]);
	chunk->pages[i] = NULL;
	count_pages(s, -1);
}

static void chunk_free(struct sparse *s, struct chunk *chunk)
{
	for (uint32_t i = 0; i < CHUNK_PAGES; i++)
		page_free(s, chunk, i);
	mem_free(chunk);
}

void sparse_clear(struct sparse *s)
{
	void *chunks[GATHER_MAX];
	uint64_t from = 0;
	size_t nr;

	do {
		uint64_t indexes[GATHER_MAX];

		nr = radix_gather(&s->chunks, from, UINT64_MAX, chunks, indexes, GATHER_MAX);
		for (size_t i = 0; i < nr; i++)
			chunk_free(s, chunks[i]);
		if (nr)
			from = indexes[nr - 1] + 1;
	} while (nr == GATHER_MAX);
	radix_done(&s->chunks);
	radix_init(&s->chunks);
}

void sparse_done(struct sparse *s)
{
	sparse_clear(s);
	radix_done(&s->chunks);
}

static int chunk_get(struct sparse *s, uint64_t index, struct chunk **ret_chunk)
{
	struct chunk *chunk = radix_find(&s->chunks, index);
	int err;

	if (!chunk) {
		chunk = mem_zalloc(sizeof(*chunk));
		if (!chunk)
			return -ENOMEM;
		err = radix_insert(&s->chunks, index, chunk);
		if (err) {
			mem_free(chunk);
			return err;
		}
	}
	*ret_chunk = chunk;
	return 0;
}

static int page_get(struct sparse *s, struct chunk *chunk, uint32_t i)
{
	if (chunk->pages[i])
		return 0;
	chunk->pages[i] = mem_zalloc(PAGE_BYTES);
	if (!chunk->pages[i])
		return -ENOMEM;
	count_pages(s, 1);
	return 0;
}

static int chunk_write(struct sparse *s, struct chunk *chunk, struct span span, const char *from)
{
	for (uint32_t done = 0; done < span.len;) {
		uint32_t at = span.from + done, i = at / PAGE_BYTES, in_page = at % PAGE_BYTES;
		uint32_t nr = min(PAGE_BYTES - in_page, span.len - done);
		int err = page_get(s, chunk, i);

		if (err)
			return err;
		memcpy(chunk->pages[i] + in_page, from + done, nr);
		chunk->owned |= sector_bits(at, nr);
		done += nr;
	}
	return 0;
}

int sparse_write(struct sparse *s, uint64_t offset, const void *from, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct span span = span_at(offset + done, len - done);
		struct chunk *chunk;
		int err = chunk_get(s, span.index, &chunk);

		if (!err)
			err = chunk_write(s, chunk, span, (const char *)from + done);
		if (err)
			return err;
		done += span.len;
	}
	return 0;
}

int sparse_mark(struct sparse *s, uint64_t offset, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct span span = span_at(offset + done, len - done);
		struct chunk *chunk;
		int err = chunk_get(s, span.index, &chunk);

		if (err)
			return err;
		chunk->owned |= sector_bits(span.from, span.len);
		done += span.len;
	}
	return 0;
}

static void chunk_read(const struct chunk *chunk, struct span span, char *to)
{
	for (uint32_t done = 0; done < span.len;) {
		uint32_t at = span.from + done, in_page = at % PAGE_BYTES;
		uint32_t nr = min(PAGE_BYTES - in_page, span.len - done);
		const unsigned char *page = chunk->pages[at / PAGE_BYTES];

		if (page)
			memcpy(to + done, page + in_page, nr);
		else
			memset(to + done, 0, nr);
		done += nr;
	}
}

void sparse_read(const struct sparse *s, uint64_t offset, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct span span = span_at(offset + done, len - done);
		const struct chunk *chunk = radix_find(&s->chunks, span.index);

		if (chunk)
			chunk_read(chunk, span, (char *)to + done);
		else
			memset((char *)to + done, 0, span.len);
		done += span.len;
	}
}

/* Clears what of the chunk's pages is dropped; pages without an owned sector go (s2). */
static void chunk_drop(struct sparse *s, struct chunk *chunk, struct span span)
{
	chunk->owned &= ~sector_bits(span.from, span.len);
	for (uint32_t done = 0; done < span.len;) {
		uint32_t at = span.from + done, i = at / PAGE_BYTES, in_page = at % PAGE_BYTES;
		uint32_t nr = min(PAGE_BYTES - in_page, span.len - done);

		if (!(chunk->owned & sector_bits(i * PAGE_BYTES, PAGE_BYTES)))
			page_free(s, chunk, i);
		else if (chunk->pages[i])
			memset(chunk->pages[i] + in_page, 0, nr);
		done += nr;
	}
}

void sparse_drop(struct sparse *s, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len, indexes[GATHER_MAX];
	void *chunks[GATHER_MAX];
	size_t nr;

	/* By what is there, not by what is asked: a whole empty disk is dropped at once. */
	do {
		nr = radix_gather(&s->chunks, offset / CHUNK_BYTES, (end - 1) / CHUNK_BYTES, chunks, indexes,
				  GATHER_MAX);
		for (size_t i = 0; i < nr; i++) {
			uint64_t start = max(offset, indexes[i] * CHUNK_BYTES);
			struct chunk *chunk = chunks[i];

			chunk_drop(s, chunk, span_at(start, end - start));
			if (!chunk->owned) {
				must(radix_remove(&s->chunks, indexes[i]) == chunk);
				chunk_free(s, chunk);
			}
		}
		if (nr)
			offset = (indexes[nr - 1] + 1) * CHUNK_BYTES;
	} while (nr == GATHER_MAX && offset < end);
}

static size_t chunk_run(const struct chunk *chunk, struct span span, bool *ret_is_owned)
{
	uint64_t bits = (chunk ? chunk->owned : 0) >> (span.from / SECTOR_SIZE);
	bool is_owned = bits & 1;
	uint64_t other = is_owned ? ~bits : bits;
	uint32_t nr = other ? (uint32_t)__builtin_ctzll(other) * SECTOR_SIZE : CHUNK_BYTES;

	*ret_is_owned = is_owned;
	return min(nr, span.len);
}

size_t sparse_run(const struct sparse *s, uint64_t offset, size_t len, bool *ret_is_owned)
{
	size_t done = 0;

	while (done < len) {
		struct span span = span_at(offset + done, len - done);
		bool is_owned;
		size_t nr = chunk_run(radix_find(&s->chunks, span.index), span, &is_owned);

		if (done == 0)
			*ret_is_owned = is_owned;
		else if (is_owned != *ret_is_owned)
			break;
		done += nr;
		if (nr < span.len)
			break;
	}
	return done;
}
