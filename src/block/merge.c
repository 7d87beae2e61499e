/*
 * When a bio may join a request that waits: the pure question, and the joining.
 *
 * Two neighbours on the disk become one transfer when they go the same way, when the driver takes
 * that much at once, and when neither carries a promise about order or durability (r3): those
 * are sequenced one by one in flush.c. Hints (SYNC, META, RAHEAD) do not part neighbours; the
 * request carries all of them, ored.
 */
#include "base/assert.h"
#include "block/elevator.h"
#include "queue.h"

static bool bio_is_mergeable(const struct bio *bio)
{
	return (bio->op == BIO_READ || bio->op == BIO_WRITE) &&
	       !(bio->flags & (BIO_PREFLUSH | BIO_FUA));
}

static bool request_is_mergeable(const struct request *rq)
{
	return !rq->part_of && !(rq->flags & (BIO_PREFLUSH | BIO_FUA));
}

/* Pure: where bio would go. */
static enum merge merge_decide(const struct disk_limits *limits, const struct request *rq,
			       const struct bio *bio)
{
	if (bio->op != rq->op || !bio_is_mergeable(bio) || !request_is_mergeable(rq))
		return MERGE_NONE;
	if ((uint64_t)rq->size_bytes + bio->size_bytes > limits->request_bytes_max)
		return MERGE_NONE;
	if ((uint64_t)rq->nr_vecs + bio->nr_vecs > limits->vecs_max)
		return MERGE_NONE;
	if (bio->sector == rq->sector + (rq->size_bytes >> SECTOR_SHIFT))
		return MERGE_BACK;
	if (bio->sector + bio_sectors(bio) == rq->sector)
		return MERGE_FRONT;
	return MERGE_NONE;
}

enum merge request_try_merge(struct request *rq, struct bio *bio)
{
	enum merge merge = merge_decide(&rq->disk->limits, rq, bio);

	if (merge == MERGE_NONE)
		return merge;
	if (merge == MERGE_BACK) {
		list_add_tail(&rq->bios, &bio->link);
	} else {
		list_add(&rq->bios, &bio->link);
		rq->sector = bio->sector;
	}
	rq->flags |= bio->flags;
	rq->size_bytes += bio->size_bytes;
	rq->nr_vecs += bio->nr_vecs;
	return merge;
}
