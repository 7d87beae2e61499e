/*
 * Taking blocks out of a tree.
 *
 * The tree is walked from the last slot of the inode to the first, so that what remains is always
 * the beginning of the file. In a block that names data the doomed slots are freed run by run, each
 * run's slots cleared right after it (U1). An indirect block in which nothing is left is freed and
 * its own slot cleared. Whenever the handle cannot be extended, the inode is written with what is
 * left and the handle restarted: a crash there leaves a shorter file on the orphan list.
 *
 * A damaged tree cannot make this run for ever: the depth is bounded, and slots are cleared as they
 * are freed, so a block that is named twice is empty the second time.
 */
#include "truncate.h"

#include <errno.h>
#include <string.h>

#include "balloc.h"
#include "blockmap.h"
#include "datalog.h"
#include "dax.h"
#include "error.h"
#include "group.h"
#include "inode.h"
#include "layout/blockpath.h"
#include "log.h"
#include "orphan.h"
#include "cache/filemap.h"
#include "vfs/attr.h"

struct freeing {
	struct handle *h;
	struct inode *inode;
	struct ext *fs;
	lblk_t from, to;	/* logical blocks to free: [from, to) */
	int damage;		/* first damage met; the walk goes on */
};

static void subtract_blocks(struct freeing *f, uint64_t nr_blocks)
{
	uint64_t units = nr_blocks << (f->fs->geo.block_bits - SECTOR_SHIFT);
	struct inode *inode = f->inode;

	mutex_lock(&inode->attr_lock);
	inode->attr.blocks_512 -= min(units, inode->attr.blocks_512);
	mutex_unlock(&inode->attr_lock);
}

/*
 * Room in the log for the next step: extended, or begun anew with the inode written. A step frees
 * one run or one indirect block and clears the slot that named it; nothing inside it may begin the
 * handle anew, for a block that is forgotten must not stay linked.
 */
static int next_step(struct freeing *f)
{
	return log_ensure(f->h, f->inode, CREDITS_TRUNCATE_STEP);
}

/* Damage costs only what it maps; a failing disk ends the walk. */
static int tolerate(struct freeing *f, int err)
{
	if (err != -EUCLEAN)
		return err;
	f->damage = first_error(f->damage, err);
	return 0;
}

/* Blocks of directories and symlinks are buffers, as are a file's in the log: they are written no more. */
static int forget_buffers(struct freeing *f, fsblk_t first, uint64_t count)
{
	int err = 0;

	if (!block_run_is_valid(&f->fs->geo, first, count))
		return 0;
	if (S_ISREG(f->inode->attr.mode))
		return datalog_forget(f->h, f->fs, first, count);
	for (uint64_t i = 0; i < count && !err; i++)
		err = handle_forget(f->h, &f->fs->buffers, first + i);
	return err;
}

/* Within the running step. */
static int release_run(struct freeing *f, fsblk_t first, uint64_t count)
{
	subtract_blocks(f, count);
	return tolerate(f, balloc_free(f->h, f->fs, f->inode->ino, first, count));
}

static int free_run(struct freeing *f, fsblk_t first, uint64_t count)
{
	int err = next_step(f);

	if (!err)
		err = forget_buffers(f, first, count);
	return err ? err : release_run(f, first, count);
}

#define BUFFERS_IN_STEP 8u	/* each is one of the transaction's */

/* How many of nr consecutive blocks go in one step, at least one. */
static unsigned blocks_in_step(const struct freeing *f, fsblk_t first, unsigned nr)
{
	if (!S_ISREG(f->inode->attr.mode))
		return min(nr, BUFFERS_IN_STEP);
	return (unsigned)datalog_limit_run(f->fs, first, nr, BUFFERS_IN_STEP);
}

static int clear_slots(struct freeing *f, struct buffer *b, unsigned from, unsigned count)
{
	int err = meta_begin(f->h, b);

	if (err)
		return err;
	memset((le32_t *)buffer_data(b) + from, 0, count * sizeof(le32_t));
	meta_end(f->h, b);
	return 0;
}

static fsblk_t slot_of(const struct buffer *b, unsigned slot)
{
	return le32_get(((const le32_t *)buffer_data(b))[slot]);
}

/* Frees what the slots [from, to) of a lowest indirect block name. */
static int free_data_slots(struct freeing *f, struct buffer *b, unsigned from, unsigned to)
{
	while (from < to) {
		fsblk_t first = slot_of(b, from);
		unsigned n = 1;
		int err;

		if (first == 0) {
			from++;
			continue;
		}
		while (from + n < to && slot_of(b, from + n) == first + n)
			n++;
		n = blocks_in_step(f, first, n);
		err = free_run(f, first, n);
		if (!err)
			err = clear_slots(f, b, from, n);
		if (err)
			return err;
		from += n;
	}
	return 0;
}

static bool is_all_zero(const struct ext *fs, const struct buffer *b)
{
	for (unsigned i = 0; i < fs->geo.addr_per_block; i++)
		if (slot_of(b, i))
			return false;
	return true;
}

/* The part of [f->from, f->to) among nr children of `span` blocks each, the first at lblk `base`. */
static void doomed_children(const struct freeing *f, lblk_t base, uint64_t span, unsigned nr,
			    unsigned *ret_from, unsigned *ret_to)
{
	uint64_t from = f->from > base ? (f->from - base) / span : 0;
	uint64_t to = f->to > base ? (f->to - base - 1) / span + 1 : 0;

	*ret_from = (unsigned)min(from, (uint64_t)nr);
	*ret_to = (unsigned)min(to, (uint64_t)nr);
}

static int free_subtree(struct freeing *f, fsblk_t block, unsigned height, lblk_t base, bool *ret_is_empty);

static int free_child_trees(struct freeing *f, struct buffer *b, unsigned height, lblk_t base, uint64_t span,
			    unsigned from, unsigned to)
{
	for (unsigned i = to; i-- > from;) {
		bool is_empty;
		int err;

		if (slot_of(b, i) == 0)
			continue;
		err = free_subtree(f, slot_of(b, i), height - 1, base + i * span, &is_empty);
		if (!err && is_empty)
			err = clear_slots(f, b, i, 1);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Frees the doomed part below the indirect block at height 1 (names data) to 3, whose first logical
 * block is base, and the block itself when nothing is left in it; then the caller clears its slot.
 */
static int free_subtree(struct freeing *f, fsblk_t block, unsigned height, lblk_t base, bool *ret_is_empty)
{
	uint64_t span = 1;
	unsigned from, to;
	struct buffer *b;
	int err;

	*ret_is_empty = true;
	if (!ext_blocks_are_for_files(f->fs, block, 1))
		return tolerate(f, ext_error(f->fs, f->inode->ino, block, "an indirect block cannot lie there"));
	for (unsigned i = 1; i < height; i++)
		span <<= f->fs->geo.addr_bits;
	doomed_children(f, base, span, f->fs->geo.addr_per_block, &from, &to);
	err = buffer_read(&f->fs->buffers, block, &b);
	if (err)
		return err;
	if (height == 1)
		err = free_data_slots(f, b, from, to);
	else
		err = free_child_trees(f, b, height, base, span, from, to);
	*ret_is_empty = !err && is_all_zero(f->fs, b);
	buffer_put(b);
	if (err || !*ret_is_empty)
		return err;
	err = next_step(f);
	if (!err)
		err = handle_forget(f->h, &f->fs->buffers, block);
	/* No step between the two: forgotten and still linked it would be read again as it was. */
	return err ? err : release_run(f, block, 1);
}

static int free_direct(struct freeing *f)
{
	uint32_t *slots = info_of(f->inode)->block;
	unsigned from, to;

	doomed_children(f, 0, 1, EXT_NDIR_BLOCKS, &from, &to);
	while (from < to) {
		unsigned n = 1;
		int err;

		if (slots[from] == 0) {
			from++;
			continue;
		}
		while (from + n < to && slots[from + n] == slots[from] + n)
			n++;
		n = blocks_in_step(f, slots[from], n);
		err = free_run(f, slots[from], n);
		if (err)
			return err;
		memset(&slots[from], 0, n * sizeof(slots[0]));
		from += n;
	}
	return 0;
}

static int free_slots_of_inode(struct freeing *f)
{
	uint32_t *slots = info_of(f->inode)->block;

	for (unsigned slot = EXT_TIND_BLOCK; slot >= EXT_IND_BLOCK; slot--) {
		lblk_t base = blockpath_slot_start(&f->fs->geo, slot);
		unsigned height = blockpath_slot_depth(slot) - 1;
		uint64_t blocks = (uint64_t)1 << (height * f->fs->geo.addr_bits);
		bool is_empty;
		int err;

		if (slots[slot] == 0 || f->to <= base || f->from >= base + blocks)
			continue;
		err = free_subtree(f, slots[slot], height, base, &is_empty);
		if (err)
			return err;
		if (is_empty)
			slots[slot] = 0;
	}
	return free_direct(f);
}

int ext_free_range(struct handle *h, struct inode *inode, lblk_t from, lblk_t to)
{
	struct ext_inode_info *info = info_of(inode);
	struct freeing f = {.h = h, .inode = inode, .fs = ext_of(inode), .from = from, .to = to};
	int err = 0;

	thread_will_block();	/* a big file takes long; let others be served */
	rwlock_write_lock(&info->tree_lock);
	blockmap_forget_runs(info);
	balloc_drop_window(f.fs, info);
	if (from < to && ext_inode_has_tree(inode))
		err = free_slots_of_inode(&f);
	rwlock_write_unlock(&info->tree_lock);
	err = first_error(err, ext_inode_write(h, inode));
	return first_error(err, f.damage);
}

void ext_wait_ordered(struct inode *inode)
{
	if (ext_of(inode)->journal)
		journal_inode_wait_ordered(ext_of(inode)->journal, &info_of(inode)->ordered);
}

static void set_size(struct inode *inode, uint64_t size_bytes)
{
	mutex_lock(&inode->attr_lock);
	inode->attr.size_bytes = size_bytes;
	mutex_unlock(&inode->attr_lock);
	attr_touch(inode, SETATTR_MTIME | SETATTR_CTIME);
}

/* The new size is on its way to the disk, and the inode on the orphan list while it shrinks. */
static int begin_truncate(struct inode *inode, uint64_t size_bytes, bool shrinks)
{
	struct handle h;
	int err = handle_start(ext_of(inode)->journal, CREDITS_INODE + CREDITS_ORPHAN, &h);

	if (err)
		return err;
	if (shrinks)
		err = orphan_add(&h, inode);
	if (!err) {
		set_size(inode, size_bytes);
		if (h.journal)
			info_of(inode)->datasync_tid = handle_tid(&h);
		err = ext_inode_write(&h, inode);
	}
	return first_error(err, handle_stop(&h));
}

static int finish_truncate(struct inode *inode, lblk_t from)
{
	struct handle h;
	int err = handle_start(ext_of(inode)->journal, CREDITS_TRUNCATE_STEP, &h);

	if (err)
		return err;
	err = ext_free_range(&h, inode, from, ext_of(inode)->geo.max_file_blocks);
	if (inode->attr.nlink)
		err = first_error(err, orphan_del(&h, inode));
	return first_error(err, handle_stop(&h));
}

/* Zeroes [pos, end) within one block. */
static int zero_part(struct inode *inode, uint64_t pos, uint64_t end)
{
	static const uint8_t zeros[EXT_BLOCK_SIZE_MAX];
	struct block_run run;
	ssize_t written;
	int err = blockmap_find(inode, pos >> ext_of(inode)->geo.block_bits, 1, &run);

	if (err || run.block == 0 || pos >= end)
		return err;
	if (ext_is_dax(inode))
		return dax_zero(inode, pos, end);
	written = filemap_write(&inode->mapping, pos, zeros, end - pos, inode->attr.size_bytes, false);
	return written < 0 ? (int)written : 0;
}

static int zero_tail(struct inode *inode, uint64_t from, uint64_t old_size)
{
	return ext_is_dax(inode) ? dax_zero_tail(inode, from) : mapping_zero_tail(&inode->mapping, from, old_size);
}

int ext_truncate(struct inode *inode, uint64_t size_bytes)
{
	const struct geometry *geo = &ext_of(inode)->geo;
	uint64_t old_size = inode->attr.size_bytes;
	bool shrinks = size_bytes < old_size;
	int err = 0;

	/*
	 * What lies behind the border must read as zeros when the file grows again; and where it grows
	 * now, somebody else may have left bytes behind the old end.
	 */
	if (shrinks && datalog_has_tail(inode, size_bytes))
		err = zero_part(inode, size_bytes, min(round_up(size_bytes, (uint64_t)geo->block_size), old_size));
	else if (size_bytes != old_size && inode->mapping.ops)
		err = zero_tail(inode, min(size_bytes, old_size), old_size);
	if (!err)
		err = begin_truncate(inode, size_bytes, shrinks);
	if (err || !shrinks)
		return err;
	ext_wait_ordered(inode);
	mapping_truncate(&inode->mapping, size_bytes);
	return finish_truncate(inode, div_round_up(size_bytes, (uint64_t)geo->block_size));
}

int ext_punch_hole(struct inode *inode, uint64_t pos, uint64_t len)
{
	const struct geometry *geo = &ext_of(inode)->geo;
	uint64_t end = min(pos + len, inode->attr.size_bytes);
	uint64_t first_whole = round_up(pos, (uint64_t)geo->block_size);
	uint64_t end_whole = end == inode->attr.size_bytes ? round_up(end, (uint64_t)geo->block_size)
							     : round_down(end, (uint64_t)geo->block_size);
	struct handle h;
	int err;

	if (pos >= end)
		return 0;
	err = zero_part(inode, pos, min(first_whole, end));
	if (!err && end_whole < end && end_whole >= first_whole)
		err = zero_part(inode, end_whole, end);
	if (err)
		return err;
	/* Written before it is dropped: the blocks may stay the file's if the next commit is the last. */
	if (first_whole < end_whole)
		err = mapping_write_range(&inode->mapping, first_whole >> geo->block_bits,
					  (end_whole >> geo->block_bits) - 1, WRITEBACK_WAIT);
	if (err)
		return err;
	if (first_whole < end_whole)
		mapping_drop_range(&inode->mapping, first_whole >> geo->block_bits,
				   (end_whole >> geo->block_bits) - 1);
	err = handle_start(ext_of(inode)->journal, CREDITS_TRUNCATE_STEP, &h);
	if (err)
		return err;
	attr_touch(inode, SETATTR_MTIME | SETATTR_CTIME);
	err = ext_free_range(&h, inode, first_whole >> geo->block_bits, end_whole >> geo->block_bits);
	/* What reads as zeros now must do so after an fdatasync and a crash. */
	if (h.journal)
		info_of(inode)->datasync_tid = handle_tid(&h);
	return first_error(err, handle_stop(&h));
}
