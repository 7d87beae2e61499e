/*
 * Reading and writing without a cache of ours.
 *
 * A read lends the mapping's own bytes to the reply; the kernel copies from there to the reader, and
 * where a page cannot be had (somebody cut the image file) it is the reader who gets EIO. A write
 * copies into the mapping while the handle is open that gave it its blocks:
 *
 *	handle { blocks, bytes, size, times }
 *
 * so a commit that has the blocks was begun after the bytes were there, and the flush that goes before
 * its commit record covers them (J2: new blocks make the transaction an ordered one). What the cache would
 * do for the bytes that a write leaves alone is done here:
 *
 *	| zeroed |   written   | zeroed |	of a new block
 *	|  kept  |   written   |  kept  |	of an old one, but zeros behind the file's end
 */
#include "dax.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "block/disk.h"
#include "blockmap.h"
#include "mapping.h"

/* A handle's worth: the log need not hold what a larger one may touch. */
#define CHUNK_BYTES (1u << 20)
/* Pieces that a reply takes as they are (writev's limit is 1024, and the header needs one). */
#define PIECES_MAX 1000u

#define ZEROS_BYTES 65536u
static const uint8_t zeros[ZEROS_BYTES];

static uint64_t disk_offset(const struct inode *inode, const struct block_run *run, uint64_t skip)
{
	return (run->block << ext_of(inode)->geo.block_bits) + skip;
}

/* ---- reading ---- */

/* A piece of a file that lies in one run; run.block 0: a hole. */
struct piece {
	struct block_run run;
	uint64_t skip;		/* bytes of the run before it */
	size_t len;
};

static int find_piece(struct inode *inode, uint64_t pos, size_t len, struct piece *ret)
{
	const struct geometry *geo = &ext_of(inode)->geo;
	lblk_t first = pos >> geo->block_bits, last = (pos + len - 1) >> geo->block_bits;
	int err = blockmap_find(inode, first, last - first + 1, &ret->run);

	if (err)
		return err;
	ret->skip = pos & (geo->block_size - 1);
	ret->len = (size_t)min((uint64_t)len, (ret->run.count << geo->block_bits) - ret->skip);
	return 0;
}

static int lend_piece(struct inode *inode, const struct piece *piece, struct filemap_view *view)
{
	uint8_t *bytes;

	if (piece->run.block == 0) {
		for (size_t n, done = 0; done < piece->len; done += n) {
			n = min(piece->len - done, (size_t)ZEROS_BYTES);
			filemap_view_add(view, zeros, n);
		}
		return 0;
	}
	bytes = disk_map(inode->sb->disk, disk_offset(inode, &piece->run, piece->skip), piece->len);
	if (!bytes)
		return -EIO;
	filemap_view_add(view, bytes, piece->len);
	return 0;
}

static int lend(struct inode *inode, uint64_t pos, size_t len, struct filemap_view *view)
{
	for (size_t done = 0; done < len;) {
		struct piece piece;
		int err = find_piece(inode, pos + done, len - done, &piece);

		if (!err)
			err = lend_piece(inode, &piece, view);
		if (err)
			return err;
		done += piece.len;
	}
	return 0;
}

/* A file in very many pieces: they are put together first, as the reply could not be told of them all. */
static int gather(struct inode *inode, uint64_t pos, size_t len, uint8_t *to)
{
	for (size_t done = 0; done < len;) {
		struct piece piece;
		int err = find_piece(inode, pos + done, len - done, &piece);

		if (!err && piece.run.block)
			err = disk_map_read(inode->sb->disk, disk_offset(inode, &piece.run, piece.skip), to + done,
					    piece.len);
		else if (!err)
			memset(to + done, 0, piece.len);
		if (err)
			return err;
		done += piece.len;
	}
	return 0;
}

int dax_read(struct inode *inode, uint64_t pos, size_t len, struct filemap_view *view)
{
	const struct geometry *geo = &ext_of(inode)->geo;
	uint64_t size = inode->attr.size_bytes;
	uint32_t nr_blocks;
	uint8_t *bytes;
	int err;

	filemap_view_init(view, inode->sb->cache);
	if (pos >= size || len == 0)
		return 0;
	len = (size_t)min((uint64_t)len, size - pos);
	nr_blocks = (uint32_t)(((pos + len - 1) >> geo->block_bits) - (pos >> geo->block_bits) + 1);
	err = filemap_view_make_room(view, nr_blocks);
	if (!err)
		err = lend(inode, pos, len, view);
	if (!err && view->nr_iov > PIECES_MAX) {
		bytes = filemap_view_own(view, len);
		err = bytes ? gather(inode, pos, len, bytes) : -ENOMEM;
	}
	if (err)
		filemap_view_done(view);
	return err;
}

/* ---- writing ---- */

static int write_zeros(struct inode *inode, const struct block_run *run, uint64_t skip, uint64_t len)
{
	while (len) {
		size_t n = (size_t)min(len, (uint64_t)ZEROS_BYTES);
		int err = disk_map_write(inode->sb->disk, disk_offset(inode, run, skip), zeros, n);

		if (err)
			return err;
		skip += n;
		len -= n;
	}
	return 0;
}

int dax_zero(struct inode *inode, uint64_t pos, uint64_t end)
{
	struct piece piece;
	int err;

	if (pos >= end)
		return 0;
	err = find_piece(inode, pos, end - pos, &piece);
	if (err || piece.run.block == 0)
		return err;
	return write_zeros(inode, &piece.run, piece.skip, piece.len);
}

int dax_zero_tail(struct inode *inode, uint64_t pos)
{
	return dax_zero(inode, pos, round_up(pos, (uint64_t)ext_of(inode)->geo.block_size));
}

/* What somebody else may have left behind the file's end, in its last block. */
static int zero_old_end(struct inode *inode, uint64_t old_size, uint64_t pos)
{
	return pos > old_size ? dax_zero_tail(inode, old_size) : 0;
}

struct dax_write {
	struct inode *inode;
	struct mapping_write w;		/* of this chunk */
	const uint8_t *from;		/* its bytes */
	uint64_t old_size;		/* of the file before the write */
};

/* The bytes of the run that the write covers, and what is to be zeros around them. */
static ssize_t fill_run(const struct dax_write *d, uint64_t pos, const struct block_run *run)
{
	const struct geometry *geo = &ext_of(d->inode)->geo;
	uint64_t skip = pos & (geo->block_size - 1);
	uint64_t len = min(d->w.pos + d->w.len - pos, (run->count << geo->block_bits) - skip);
	uint64_t end = pos + len, block_end = round_up(end, (uint64_t)geo->block_size);
	uint64_t zero_from = run->is_new ? end : max(end, d->old_size);
	int err = run->is_new ? write_zeros(d->inode, run, 0, skip) : 0;

	if (!err)
		err = disk_map_write(d->inode->sb->disk, disk_offset(d->inode, run, skip),
				     d->from + (pos - d->w.pos), (size_t)len);
	if (!err && zero_from < block_end)
		err = write_zeros(d->inode, run, skip + (zero_from - pos), block_end - zero_from);
	return err ? err : (ssize_t)len;
}

static ssize_t write_run(struct dax_write *d, uint64_t pos)
{
	unsigned bits = ext_of(d->inode)->geo.block_bits;
	lblk_t first = pos >> bits, last = (d->w.pos + d->w.len - 1) >> bits;
	struct handle *h = d->w.owner;
	struct block_run run;
	int err = handle_extend(h, CREDITS_BRANCH);

	if (!err)
		err = blockmap_alloc(h, d->inode, first, (uint32_t)(last - first + 1), d->w.may_use_reserved, &run);
	if (err)
		return err;
	if (run.is_new)
		ext_note_new_blocks(h, d->inode);
	return fill_run(d, pos, &run);
}

/* As many bytes as one handle serves. */
static ssize_t write_chunk(struct dax_write *d)
{
	struct mapping *m = &d->inode->mapping;
	uint64_t done = 0;
	ssize_t n = 0;
	int err = m->ops->write_begin(m, &d->w);

	if (err)
		return err;
	while (done < d->w.len) {
		n = write_run(d, d->w.pos + done);
		if (n < 0)
			break;
		done += (uint64_t)n;
	}
	err = m->ops->write_end(m, &d->w, done);
	if (err)
		return err;
	return done ? (ssize_t)done : n;
}

ssize_t dax_write(struct inode *inode, uint64_t pos, const void *from, size_t len, bool may_use_reserved)
{
	struct dax_write d = {.inode = inode, .old_size = inode->attr.size_bytes};
	ssize_t n = zero_old_end(inode, d.old_size, pos);
	size_t done = 0;

	while (!n && done < len) {
		d.from = (const uint8_t *)from + done;
		d.w = (struct mapping_write){
			.pos = pos + done,
			.len = min(len - done, (size_t)CHUNK_BYTES),
			.may_use_reserved = may_use_reserved,
		};
		n = write_chunk(&d);
		if (n <= 0)
			break;
		done += (size_t)n;
		n = 0;
	}
	return done ? (ssize_t)done : n;
}
