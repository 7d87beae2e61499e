/*
 * The door: bios come in, are checked, and are handed in or waited for.
 *
 * A submitter that waits would only sleep while another thread does its work, and two thread
 * switches cost more than a read that the host has cached. So with a driver that has execute()
 * it takes a tag and makes the call itself. What it cannot do at once - a flush sequence, a bio
 * of several parts, no tag free - goes to the urgent list, and while the submitter waits for its
 * end it carries out what lies there. The work of others that the elevator holds it leaves
 * to the workers: its own I/O may be done meanwhile.
 */
#include <errno.h>

#include "base/assert.h"
#include "queue.h"

/* Pure: may this bio be carried out on this disk? */
static int bio_check(const struct bio *bio)
{
	const struct disk_limits *limits = &bio->disk->limits;
	uint64_t offset_bytes = bio->sector << SECTOR_SHIFT;

	if ((bio->op == BIO_WRITE || bio->op == BIO_DISCARD) && limits->is_read_only)
		return -EROFS;
	if (bio->op == BIO_FLUSH)
		return bio->size_bytes ? -EINVAL : 0;
	if (bio->op != BIO_WRITE && (bio->flags & (BIO_PREFLUSH | BIO_FUA)))
		return -EINVAL;
	if (bio->op == BIO_DISCARD && !limits->has_discard)
		return -EOPNOTSUPP;
	if (bio->sector > UINT64_MAX >> SECTOR_SHIFT || bio->size_bytes == 0)
		return -EINVAL;
	if (offset_bytes % limits->block_bytes || bio->size_bytes % limits->block_bytes)
		return -EINVAL;
	if (offset_bytes > limits->size_bytes || bio->size_bytes > limits->size_bytes - offset_bytes)
		return -EINVAL;
	return bio_count_parts(limits, bio) ? 0 : -EINVAL;
}

/* Nothing was written to a read-only disk, so nothing is to be flushed. */
static bool bio_is_vacuous(const struct bio *bio)
{
	return bio->op == BIO_FLUSH && bio->disk->limits.is_read_only;
}

bool bio_refuse(struct bio *bio)
{
	int err = bio_check(bio);

	must(bio->end_io);
	if (!err && !bio_is_vacuous(bio))
		return false;
	bio_end(bio, err);
	return true;
}

void bio_submit(struct bio *bio)
{
	struct disk *disk = bio->disk;

	if (bio_refuse(bio))
		return;
	mutex_lock(&disk->lock);
	queue_add(disk, bio, SLOT_HANDED_IN);
	queue_kick(disk);
	mutex_unlock(&disk->lock);
}

static bool bio_is_simple(const struct disk *disk, const struct bio *bio)
{
	return flush_steps(&disk->limits, bio) == 0 && bio_count_parts(&disk->limits, bio) == 1;
}

/* A dispatched request around bio, for this thread to carry out; NULL when that cannot be now. */
static struct request *take_direct(struct disk *disk, struct bio *bio) needs(disk->lock)
{
	struct request *rq;

	if (disk->mode == QUEUE_INLINE || !disk->ops->execute || disk->nr_free_tags == 0 ||
	    !bio_is_simple(disk, bio))
		return NULL;
	rq = queue_slot_try(disk, SLOT_WAITED_FOR);
	if (!rq)
		return NULL;
	bio->submit_ns = clock_now_ns(disk->clock);
	request_init_whole(rq, bio);
	must(queue_dispatch(disk, rq));
	return rq;
}

static int carry_out_direct(struct disk *disk, struct request *rq, struct bio *bio)
	needs(disk->lock)
{
	int status;

	mutex_unlock(&disk->lock);
	status = disk->ops->execute(disk->driver, rq);
	queue_account(disk, rq, status);
	counter_add(&disk->stats.direct, 1);
	mutex_lock(&disk->lock);
	list_del(&bio->link);
	queue_release(disk, rq);
	queue_kick(disk);	/* the tag may be what somebody waits for */
	return status;
}

struct waiter {
	struct disk *disk;
	struct cond ended;
	bool is_ended;		/* [queue lock] */
};

static void waiter_end_io(struct bio *bio)
{
	struct waiter *w = bio->private;
	struct disk *disk = w->disk;

	/* The waiter's stack is gone as soon as it has seen is_ended: signal before unlocking. */
	mutex_lock(&disk->lock);
	w->is_ended = true;
	cond_signal(&w->ended);
	mutex_unlock(&disk->lock);
}

static bool help_once(struct disk *disk) needs(disk->lock)
{
	struct request *rq;

	if (disk->mode != QUEUE_WORKERS || list_empty(&disk->urgent))
		return false;
	rq = queue_take(disk);
	if (!rq)
		return false;
	queue_kick(disk);	/* what is left is for the workers */
	queue_carry_out(disk, rq);
	return true;
}

static int add_and_wait(struct disk *disk, struct bio *bio) needs(disk->lock)
{
	struct waiter w = {.disk = disk};
	void (*end_io)(struct bio *) = bio->end_io;
	void *private = bio->private;

	cond_init(&w.ended);
	bio->end_io = waiter_end_io;
	bio->private = &w;
	queue_add(disk, bio, SLOT_WAITED_FOR);
	while (!w.is_ended) {
		if (help_once(disk))
			continue;
		queue_kick(disk);	/* may carry it out on this thread, and drop the lock */
		if (!w.is_ended)
			cond_wait(&w.ended, &disk->lock);
	}
	queue_kick(disk);
	cond_done(&w.ended);
	bio->end_io = end_io;
	bio->private = private;
	return bio->status;
}

/* Handing work on to others costs more than a read that the host has in its memory. */
static bool tells_by_itself(const struct bio *bio)
{
	return bio->op == BIO_READ && bio->disk->ops->tells_blocking_reads;
}

int bio_submit_wait(struct bio *bio)
{
	struct disk *disk = bio->disk;
	struct request *rq;

	bio->status = bio_check(bio);
	if (bio->status || bio_is_vacuous(bio))
		return bio->status;
	if (!tells_by_itself(bio))
		thread_will_block();
	mutex_lock(&disk->lock);
	rq = take_direct(disk, bio);
	if (rq)
		bio->status = carry_out_direct(disk, rq, bio);
	else
		bio->status = add_and_wait(disk, bio);
	mutex_unlock(&disk->lock);
	return bio->status;
}

int disk_flush(struct disk *disk)
{
	struct bio bio;

	bio_init(&bio, disk, BIO_FLUSH, BIO_SYNC, 0, 0);
	return bio_submit_wait(&bio);
}

static int transfer(struct disk *disk, enum bio_op op, uint32_t flags, uint64_t offset_bytes,
		    void *memory, uint32_t len_bytes)
{
	_Alignas(struct bio) char space[sizeof(struct bio) + sizeof(struct bio_vec)];
	struct bio *bio = (struct bio *)space;

	if (offset_bytes % SECTOR_SIZE)
		return -EINVAL;
	bio_init(bio, disk, op, flags | BIO_SYNC, offset_bytes >> SECTOR_SHIFT, 1);
	if (!bio_add(bio, memory, len_bytes))
		return -EINVAL;
	return bio_submit_wait(bio);
}

int disk_read(struct disk *disk, uint64_t offset_bytes, void *to, uint32_t len_bytes)
{
	return transfer(disk, BIO_READ, 0, offset_bytes, to, len_bytes);
}

int disk_write(struct disk *disk, uint64_t offset_bytes, const void *from, uint32_t len_bytes,
	       uint32_t flags)
{
	/* A write only reads this memory; a vec serves both directions and has no const. */
	return transfer(disk, BIO_WRITE, flags, offset_bytes, (void *)(uintptr_t)from, len_bytes);
}
