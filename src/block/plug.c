/*
 * Plugs: a submitter's own bios, held back and kept in order of the disk.
 *
 * They lie sorted by disk, direction and sector, so that they meet their neighbours in the
 * queue one after another: a merge then only looks at the request made last. Sorting is by
 * insertion from the end, since most submitters come in ascending order already.
 */
#include "block/plug.h"

#include "base/lock.h"
#include "queue.h"

#define LEFT_TO_ONE_MAX 3u	/* requests that one thread does sooner than another wakes up */

void plug_start(struct plug *plug)
{
	list_init(&plug->bios);
	plug->nr_bios = 0;
}

static bool bio_stands_before(const struct bio *a, const struct bio *b)
{
	if (a->disk != b->disk)
		return (uintptr_t)a->disk < (uintptr_t)b->disk;
	if (a->op != b->op)
		return a->op < b->op;
	return a->sector < b->sector;
}

static void plug_insert(struct plug *plug, struct bio *bio)
{
	struct list *after = plug->bios.prev;

	while (after != &plug->bios && bio_stands_before(bio, list_entry(after, struct bio, link)))
		after = after->prev;
	list_add(after, &bio->link);
	plug->nr_bios++;
}

void plug_submit(struct plug *plug, struct bio *bio)
{
	/* What promises durability is not merged; holding it back would only make it late. */
	if (!plug || bio->op == BIO_FLUSH || (bio->flags & (BIO_PREFLUSH | BIO_FUA))) {
		bio_submit(bio);
		return;
	}
	if (bio_refuse(bio))
		return;
	plug_insert(plug, bio);
	if (plug->nr_bios == PLUG_BIOS_MAX)
		plug_finish(plug);
}

/* Hands on all bios of the first bio's disk, under one lock. Returns how many. The lock is held. */
static uint32_t hand_on_one_disk(struct plug *plug, struct disk *disk) needs(disk->lock)
{
	uint32_t nr = 0;

	while (!list_empty(&plug->bios)) {
		struct bio *bio = list_first(&plug->bios, struct bio, link);

		if (bio->disk != disk)
			break;
		list_del(&bio->link);
		plug->nr_bios--;
		nr++;
		queue_add(disk, bio, SLOT_HANDED_IN);
	}
	return nr;
}

void plug_finish(struct plug *plug)
{
	while (!list_empty(&plug->bios)) {
		struct disk *disk = list_first(&plug->bios, struct bio, link)->disk;

		mutex_lock(&disk->lock);
		hand_on_one_disk(plug, disk);
		queue_kick(disk);
		mutex_unlock(&disk->lock);
	}
}

/*
 * At most nr requests, so that a busy disk does not keep this thread for ever. What waits meanwhile
 * is left to it while it is little: q1 holds, as this thread comes back to it or kicks at the end.
 */
static void carry_out_some(struct disk *disk, uint32_t nr) needs(disk->lock)
{
	struct request *rq;

	while (nr-- && disk->mode == QUEUE_WORKERS && (rq = queue_take(disk))) {
		if (disk->nr_in_elevator > LEFT_TO_ONE_MAX)
			queue_kick(disk);
		queue_carry_out(disk, rq);
	}
	queue_kick(disk);
}

void plug_finish_here(struct plug *plug)
{
	if (!list_empty(&plug->bios))
		thread_will_block();
	while (!list_empty(&plug->bios)) {
		struct disk *disk = list_first(&plug->bios, struct bio, link)->disk;

		mutex_lock(&disk->lock);
		carry_out_some(disk, hand_on_one_disk(plug, disk));
		mutex_unlock(&disk->lock);
	}
}
