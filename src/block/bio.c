/* Bios: made, filled and freed. */
#include "block/bio.h"

#include "base/assert.h"
#include "base/mem.h"

void bio_init(struct bio *bio, struct disk *disk, enum bio_op op, uint32_t flags, sector_t sector,
	      uint32_t nr_vecs_max)
{
	bio->disk = disk;
	bio->sector = sector;
	bio->op = op;
	bio->flags = flags;
	bio->size_bytes = 0;
	bio->status = 0;
	bio->end_io = NULL;
	bio->private = NULL;
	list_init(&bio->link);
	bio->submit_ns = 0;
	atomic_init(&bio->nr_parts, 0);
	atomic_init(&bio->part_error, 0);
	bio->nr_vecs = 0;
	bio->nr_vecs_max = nr_vecs_max;
}

struct bio *bio_alloc(struct disk *disk, enum bio_op op, uint32_t flags, sector_t sector,
		      uint32_t nr_vecs)
{
	struct bio *bio;

	must(nr_vecs <= BIO_VECS_MAX);
	bio = mem_alloc(sizeof(*bio) + nr_vecs * sizeof(struct bio_vec));
	if (bio)
		bio_init(bio, disk, op, flags, sector, nr_vecs);
	return bio;
}

void bio_free(struct bio *bio)
{
	mem_free(bio);
}

bool bio_add(struct bio *bio, void *base, uint32_t len_bytes)
{
	struct bio_vec *last = bio->nr_vecs ? &bio->vecs[bio->nr_vecs - 1] : NULL;

	if (len_bytes == 0)
		return true;
	if (len_bytes > UINT32_MAX - bio->size_bytes)
		return false;
	if (last && (char *)last->base + last->len_bytes == base) {
		last->len_bytes += len_bytes;
	} else if (bio->nr_vecs < bio->nr_vecs_max) {
		bio->vecs[bio->nr_vecs++] = (struct bio_vec){base, len_bytes};
	} else {
		return false;
	}
	bio->size_bytes += len_bytes;
	return true;
}
