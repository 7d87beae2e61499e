/*
 * block/request_private.h - a request's filling and emptying, inside the room.
 *
 * Purpose     Puts a bio, or a part of one, into a request; at the end tells the bios.
 * Ownership   The request's slot is the pool's (slots.h).
 * Locking     None: the caller owns the request.
 */
#ifndef BLOCK_REQUEST_PRIVATE_H
#define BLOCK_REQUEST_PRIVATE_H

#include "block/disk.h"
#include "block/request.h"

/* A piece of a bio: what one request may carry. */
struct bio_part {
	uint32_t skip_bytes;	/* from the bio's start */
	uint32_t len_bytes;
	uint32_t nr_vecs;
};

/*
 * The largest part from skip_bytes on that fits the limits. len_bytes is 0 when none does: the
 * pieces of memory are so small that not even one block fits into vecs_max of them.
 */
struct bio_part bio_part_at(const struct disk_limits *limits, const struct bio *bio,
			    uint32_t skip_bytes);
/* How many such parts make the bio up; 0 when it cannot be carried out. */
uint32_t bio_count_parts(const struct disk_limits *limits, const struct bio *bio);

void request_init_whole(struct request *rq, struct bio *bio);
void request_init_part(struct request *rq, struct bio *bio, struct bio_part part);
/* Calls end_io of each bio that is done with this request. The bios may be gone afterwards. */
void request_end_bios(struct request *rq, int status);
void bio_end(struct bio *bio, int status);

#endif
