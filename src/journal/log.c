/*
 * The log on disk: a ring of blocks behind its superblock.
 *
 *	 0        first                                              end
 *	+-------+------------------------------------------------------+
 *	| super |  free  | T5 desc data data commit | T6 desc .. | free |
 *	+-------+------------------------------------------------------+
 *	                  ^ tail                                  ^ head
 *
 * The log's own blocks do not pass through the buffer cache: they are written once, in order, and
 * read only by recovery. Where they lie on disk is a list of extents given at load.
 */
#include <errno.h>
#include <string.h>

#include "block/disk.h"
#include "block/plug.h"
#include "journal_private.h"

uint32_t log_next(const struct journal *j, uint32_t log_block, uint32_t count)
{
	uint64_t next = (uint64_t)log_block + count;

	return next < j->log_end ? (uint32_t)next : (uint32_t)(next - j->log_end + j->log_first);
}

/* The piece of [log_block, + nr) that lies together on disk. */
static uint32_t find_extent(const struct journal *j, uint32_t log_block, uint32_t nr, fsblk_t *ret_block)
{
	uint32_t low = 0, high = j->config.nr_extents;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (j->extents[middle].log_block <= log_block)
			low = middle;
		else
			high = middle;
	}
	must(log_block - j->extents[low].log_block < j->extents[low].count);
	*ret_block = j->extents[low].block + (log_block - j->extents[low].log_block);
	return min(nr, j->extents[low].count - (log_block - j->extents[low].log_block));
}

int ring_read(struct journal *j, uint32_t log_block, uint32_t nr, void *to)
{
	uint32_t size = j->config.block_bytes;

	while (nr) {
		fsblk_t block;
		uint32_t here = find_extent(j, log_block, nr, &block);
		int err = disk_read(j->config.disk, block * size, to, here * size);

		if (err)
			return err;
		to = (uint8_t *)to + (size_t)here * size;
		log_block += here;
		nr -= here;
	}
	return 0;
}

/* The bios of one ring_write(), waited for together. */
struct log_io {
	struct mutex lock;
	struct cond done;
	uint32_t nr_left;
	int err;
};

static void log_end_io(struct bio *bio)
{
	struct log_io *io = bio->private;

	mutex_lock(&io->lock);
	io->err = first_error(io->err, bio->status);
	if (--io->nr_left == 0)
		cond_signal(&io->done);
	mutex_unlock(&io->lock);
	bio_free(bio);
}

static void submit_piece(struct journal *j, struct log_io *io, struct plug *plug, fsblk_t block, const void *from,
			 uint32_t nr)
{
	sector_t sector = block * (j->config.block_bytes >> SECTOR_SHIFT);
	struct bio *bio = bio_alloc(j->config.disk, BIO_WRITE, BIO_SYNC | BIO_META, sector, 1);

	mutex_lock(&io->lock);
	if (!bio)
		io->err = first_error(io->err, -ENOMEM);
	else
		io->nr_left++;
	mutex_unlock(&io->lock);
	if (!bio)
		return;
	must(bio_add(bio, (void *)(uintptr_t)from, nr * j->config.block_bytes));
	bio->private = io;
	bio->end_io = log_end_io;
	plug_submit(plug, bio);
}

/* How much goes in one piece: bounded so that a bio's size in bytes stays moderate. */
#define PIECE_BYTES_MAX (1u << 20)

/* Whether the whole run lies together and is small: then the caller's thread writes it itself. */
static bool is_one_piece(const struct journal *j, uint32_t log_block, uint32_t nr, fsblk_t *ret_block)
{
	return log_block + nr <= j->log_end && nr * j->config.block_bytes <= PIECE_BYTES_MAX &&
	       find_extent(j, log_block, nr, ret_block) == nr;
}

int ring_write(struct journal *j, uint32_t log_block, const void *from, uint32_t nr, uint32_t flags)
{
	uint32_t size = j->config.block_bytes;
	const uint8_t *at = from;
	struct log_io io = {0};
	struct plug plug;
	fsblk_t block;

	if (is_one_piece(j, log_block, nr, &block))
		return disk_write(j->config.disk, block * size, from, nr * size, flags | BIO_SYNC | BIO_META);
	must(!(flags & (BIO_PREFLUSH | BIO_FUA)));
	mutex_init(&io.lock, RANK_LEAF, "log write");
	cond_init(&io.done);
	plug_start(&plug);
	while (nr) {
		uint32_t to_end = min(nr, j->log_end - log_block);
		uint32_t most = min(to_end, PIECE_BYTES_MAX / size);
		uint32_t here = find_extent(j, log_block, most, &block);

		submit_piece(j, &io, &plug, block, at, here);
		at += (size_t)here * size;
		log_block = log_next(j, log_block, here);
		nr -= here;
	}
	plug_finish_here(&plug);
	mutex_lock(&io.lock);
	while (io.nr_left)
		cond_wait(&io.done, &io.lock);
	mutex_unlock(&io.lock);
	cond_done(&io.done);
	mutex_done(&io.lock);
	return io.err;
}

int log_write_super(struct journal *j, uint32_t start, tid_t sequence, uint32_t flags)
{
	fsblk_t block;
	int err;

	j->super.start = be32_make(start);
	j->super.sequence = be32_make(sequence);
	j->super.feature_compat = be32_make(j->features_compat);
	j->super.feature_incompat = be32_make(j->features_incompat);
	find_extent(j, 0, 1, &block);
	counter_add(&j->stats.tail_updates, 1);
	err = disk_write(j->config.disk, block * j->config.block_bytes, &j->super, sizeof(j->super),
			 flags | BIO_SYNC | BIO_META);
	return err;
}

uint32_t log_blocks_needed(const struct journal *j, uint32_t nr_blocks, uint32_t nr_revokes)
{
	return nr_blocks + div_round_up(nr_blocks, j->tags_per_block) +
	       div_round_up(nr_revokes, j->records_per_block) + 1;
}

int log_flush(struct journal *j)
{
	if (j->config.flush == COMMIT_NO_FLUSH)
		return 0;
	counter_add(&j->stats.flushes, 1);
	return disk_flush(j->config.disk);
}
