/*
 * block/bio.h - one I/O as its submitter sees it.
 *
 * Purpose     A run of sectors of one disk, the memory it goes to or comes from as a scatter
 *             list, flags, and the function to call when it is done.
 * Ownership   Whoever allocated it frees it, in end_io or later. The memory in the scatter list
 *             must stay put from bio_submit() until end_io.
 * Locking     None of its own: it belongs to the submitter, then to the queue, then to end_io.
 * Invariants  b1  size_bytes is the sum of the vecs' lengths and a multiple of 512.
 *             b2  end_io is called exactly once for each submitted bio.
 * Units       sector: 512 bytes.
 * Errors      status: 0 or negative errno, set when end_io runs. -EIO for a disk that failed.
 * Context     end_io runs on a driver's thread (or the submitter's): it may take locks from
 *             RANK_MAPPING on. It must not submit to the same disk: at the bound it would wait
 *             for room that only its own return makes.
 */
#ifndef BLOCK_BIO_H
#define BLOCK_BIO_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/types.h"

enum bio_op { BIO_READ, BIO_WRITE, BIO_FLUSH, BIO_DISCARD };
#define BIO_NR_OPS 4

enum bio_flags {
	BIO_SYNC = 1u << 0,	/* somebody waits for it */
	BIO_META = 1u << 1,	/* file system metadata */
	BIO_RAHEAD = 1u << 2,	/* nobody may ever ask for it */
	BIO_PREFLUSH = 1u << 3,	/* writes: what completed before is durable before this is written */
	BIO_FUA = 1u << 4,	/* writes: durable when it completes */
};

struct bio_vec {
	void *base;
	uint32_t len_bytes;
};

struct disk;

struct bio {
	struct disk *disk;
	sector_t sector;
	enum bio_op op;
	uint32_t flags;
	uint32_t size_bytes;	/* kept by bio_add(); for DISCARD set by the submitter */
	int status;
	void (*end_io)(struct bio *bio);
	void *private;		/* the submitter's */
	struct list link;	/* the holder's: plug, request */
	uint64_t submit_ns;	/* when it entered the queue */
	/* Of a bio that is larger than the driver takes, and lies in several requests: */
	_Atomic uint32_t nr_parts;	/* requests that are not done yet; 0: it is in one request */
	_Atomic int part_error;		/* the first error among them */
	uint32_t nr_vecs, nr_vecs_max;
	struct bio_vec vecs[];
};

#define BIO_VECS_MAX 256u

/* A bio for up to nr_vecs (at most BIO_VECS_MAX) pieces of memory, with nothing in it. NULL without memory. */
struct bio *bio_alloc(struct disk *disk, enum bio_op op, uint32_t flags, sector_t sector,
		      uint32_t nr_vecs) must_check;
void bio_free(struct bio *bio);		/* NULL is harmless */
/* The same in memory of the caller's, which has room for nr_vecs_max vecs behind the struct. */
void bio_init(struct bio *bio, struct disk *disk, enum bio_op op, uint32_t flags, sector_t sector,
	      uint32_t nr_vecs_max);
/* False when it is full. Memory that follows the last piece directly is joined to it. */
bool bio_add(struct bio *bio, void *base, uint32_t len_bytes) must_check;

static inline uint32_t bio_sectors(const struct bio *bio)
{
	return bio->size_bytes >> SECTOR_SHIFT;
}

#endif
