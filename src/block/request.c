/*
 * Requests: bios go in, whole or in parts; the driver sees memory; the bios learn the end.
 *
 * A bio larger than the driver takes is not copied into smaller bios, which would need memory
 * in the middle of I/O. Each of its requests points at it and remembers which bytes it carries;
 * the bio counts the requests that are not done, and the last one ends it.
 */
#include "block/request.h"

#include "base/assert.h"
#include "request_private.h"

/* Up to max entries from byte `skip` of the bio on, at most len bytes. Returns the entries used. */
static size_t bio_fill_iov(const struct bio *bio, uint64_t skip, uint64_t len, struct iovec *iov,
			   size_t max)
{
	size_t used = 0;

	for (uint32_t i = 0; i < bio->nr_vecs && len && used < max; i++) {
		const struct bio_vec *vec = &bio->vecs[i];
		uint64_t take;

		if (skip >= vec->len_bytes) {
			skip -= vec->len_bytes;
			continue;
		}
		take = min(vec->len_bytes - skip, len);
		iov[used++] = (struct iovec){(char *)vec->base + skip, take};
		len -= take;
		skip = 0;
	}
	return used;
}

size_t request_fill_iov(const struct request *rq, uint64_t skip, struct iovec *iov, size_t max)
{
	const struct bio *bio;
	size_t used = 0;

	if (skip >= rq->size_bytes)
		return 0;
	if (rq->part_of)
		return bio_fill_iov(rq->part_of, rq->part_skip_bytes + skip, rq->size_bytes - skip,
				    iov, max);
	list_for_each(bio, &rq->bios, link) {
		if (used == max)
			break;
		if (skip >= bio->size_bytes) {
			skip -= bio->size_bytes;
			continue;
		}
		used += bio_fill_iov(bio, skip, bio->size_bytes - skip, iov + used, max - used);
		skip = 0;
	}
	return used;
}

struct bio_part bio_part_at(const struct disk_limits *limits, const struct bio *bio,
			    uint32_t skip_bytes)
{
	struct bio_part part = {skip_bytes, 0, 0};
	uint32_t before = 0, i = 0;

	while (i < bio->nr_vecs && skip_bytes - before >= bio->vecs[i].len_bytes)
		before += bio->vecs[i++].len_bytes;
	for (; i < bio->nr_vecs && part.nr_vecs < limits->vecs_max; i++) {
		uint32_t left = bio->vecs[i].len_bytes - (skip_bytes + part.len_bytes - before);

		if (part.len_bytes == limits->request_bytes_max)
			break;
		part.len_bytes += min(left, limits->request_bytes_max - part.len_bytes);
		part.nr_vecs++;
		before += bio->vecs[i].len_bytes;
	}
	/* The rest must begin at a block's edge; nr_vecs may then be one too many, which is harmless. */
	part.len_bytes = round_down(part.len_bytes, limits->block_bytes);
	return part;
}

static bool bio_fits_whole(const struct disk_limits *limits, const struct bio *bio)
{
	return bio->op == BIO_DISCARD || bio->op == BIO_FLUSH ||
	       (bio->size_bytes <= limits->request_bytes_max && bio->nr_vecs <= limits->vecs_max);
}

uint32_t bio_count_parts(const struct disk_limits *limits, const struct bio *bio)
{
	uint32_t count = 0;

	if (bio_fits_whole(limits, bio))
		return 1;
	for (uint32_t skip = 0; skip < bio->size_bytes; count++) {
		struct bio_part part = bio_part_at(limits, bio, skip);

		if (part.len_bytes == 0)
			return 0;
		skip += part.len_bytes;
	}
	return count;
}

static void request_init(struct request *rq, const struct bio *bio)
{
	rq->disk = bio->disk;
	rq->op = bio->op;
	rq->flags = bio->flags;
	rq->tag = REQUEST_NO_TAG;
	list_init(&rq->bios);
	list_init(&rq->queue_link);
	rq->sort_node.is_linked = false;
	rq->queued_ns = bio->submit_ns;
	rq->dispatched_ns = 0;
	rq->driver_private = NULL;
	rq->steps_left = 0;
	rq->status = 0;
	rq->is_elevators = false;
}

void request_init_whole(struct request *rq, struct bio *bio)
{
	request_init(rq, bio);
	rq->sector = bio->sector;
	rq->size_bytes = bio->size_bytes;
	rq->nr_vecs = bio->nr_vecs;
	rq->part_of = NULL;
	rq->part_skip_bytes = 0;
	list_add_tail(&rq->bios, &bio->link);
}

void request_init_part(struct request *rq, struct bio *bio, struct bio_part part)
{
	request_init(rq, bio);
	rq->sector = bio->sector + (part.skip_bytes >> SECTOR_SHIFT);
	rq->size_bytes = part.len_bytes;
	rq->nr_vecs = part.nr_vecs;
	rq->part_of = bio;
	rq->part_skip_bytes = part.skip_bytes;
}

void bio_end(struct bio *bio, int status)
{
	bio->status = status;
	bio->end_io(bio);
}

static void part_end(struct bio *bio, int status)
{
	int none = 0;

	if (status)
		atomic_compare_exchange_strong(&bio->part_error, &none, status);
	/* Whoever takes the count to 0 sees every part's memory and error: the exchange orders them. */
	if (atomic_fetch_sub(&bio->nr_parts, 1) == 1)
		bio_end(bio, atomic_load(&bio->part_error));
}

void request_end_bios(struct request *rq, int status)
{
	struct bio *bio, *tmp;

	if (rq->part_of) {
		part_end(rq->part_of, status);
		return;
	}
	/* end_io may free the bio, or link it elsewhere: it is off the list before. */
	list_for_each_safe(bio, tmp, &rq->bios, link) {
		list_del(&bio->link);
		bio_end(bio, status);
	}
}
