/* Blocks and entries added to directories by repairs. New blocks are written before what points to them. */
#include "dirs.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "layout/blockpath.h"
#include "layout/dirblock.h"

static uint64_t nr_blocks_of(const struct fsck *f, const struct ext_inode *inode)
{
	return (uint64_t)le32_get(inode->size) >> f->geo.block_bits;
}

/* ---- finding ---- */

fsblk_t dirs_block_at(struct fsck *f, const struct ext_inode *inode, lblk_t lblk)
{
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	unsigned path[BLOCKPATH_DEPTH_MAX];
	int depth = blockpath(&f->geo, lblk, path), i;
	fsblk_t block;

	if (depth < 0)
		return 0;
	block = le32_get(inode->block[path[0]]);
	for (i = 1; i < depth && block; i++) {
		if (!pointer_is_possible(f, block) || store_read(&f->store, block, 1, slots))
			return 0;
		block = le32_get(slots[path[i]]);
	}
	return pointer_is_possible(f, block) ? block : 0;
}

inr_t dirs_lookup(struct fsck *f, inr_t dir, const char *name)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct dirblock_entry e;
	union inode_buf buf;
	uint64_t lblk;

	if (!fsck_read_inode(f, dir, &buf))
		return 0;
	for (lblk = 0; lblk < nr_blocks_of(f, &buf.raw); lblk++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, lblk);

		if (block && !store_read(&f->store, block, 1, bytes) &&
		    !dirblock_find(&f->geo, bytes, name, (unsigned)strlen(name), &e))
			return e.ino;
	}
	return 0;
}

void dirs_for_each(struct fsck *f, inr_t dir, dirs_name_fn fn)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct dirblock_entry e;
	union inode_buf buf;
	uint64_t lblk;

	if (!fsck_read_inode(f, dir, &buf))
		return;
	for (lblk = 0; lblk < nr_blocks_of(f, &buf.raw); lblk++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, lblk);
		unsigned offset = 0;

		if (!block || store_read(&f->store, block, 1, bytes))
			continue;
		while (dirblock_next(&f->geo, bytes, &offset, &e) == 1)
			if (e.ino)
				fn(f, e.name, e.name_len);
	}
}

/* ---- adding a block ---- */

static void count_blocks(struct fsck *f, struct ext_inode *inode, unsigned nr)
{
	le32_add(&inode->blocks, nr << (f->geo.block_bits - SECTOR_SHIFT));
}

/* The indirect block in *slot, made if there is none. */
static fsblk_t get_indirect(struct fsck *f, struct ext_inode *inode, le32_t *slot, fsblk_t goal,
			    le32_t *ret_slots)
{
	fsblk_t block = le32_get(*slot);

	if (block) {
		fsck_read_block(f, block, ret_slots);
		return block;
	}
	block = alloc_block(f, goal);
	if (!block)
		return 0;
	memset(ret_slots, 0, f->geo.block_size);
	fsck_write_new_block(f, block, ret_slots);
	*slot = le32_make((uint32_t)block);
	count_blocks(f, inode, 1);
	return block;
}

/* Sets the last slot of the path; indirect blocks are written bottom up by the recursion's return. */
static bool set_path(struct fsck *f, struct ext_inode *inode, le32_t *slot, const unsigned *path,
		     int left, fsblk_t block)
{
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	fsblk_t indirect;

	if (left == 0) {
		*slot = le32_make((uint32_t)block);
		return true;
	}
	indirect = get_indirect(f, inode, slot, block, slots);
	if (!indirect || !set_path(f, inode, &slots[path[0]], path + 1, left - 1, block))
		return false;
	fsck_write_block(f, indirect, slots);
	return true;
}

fsblk_t dirs_add_block(struct fsck *f, inr_t ino, lblk_t lblk, const void *bytes)
{
	unsigned path[BLOCKPATH_DEPTH_MAX];
	int depth = blockpath(&f->geo, lblk, path);
	union inode_buf buf;
	fsblk_t block;

	if (depth < 0 || !fsck_read_inode(f, ino, &buf))
		return 0;
	block = alloc_block(f, group_first_block(&f->geo, group_of_inode(&f->geo, ino)));
	if (!block)
		return 0;
	fsck_write_new_block(f, block, bytes);
	if (!set_path(f, &buf.raw, &buf.raw.block[path[0]], path + 1, depth - 1, block))
		return 0;
	count_blocks(f, &buf.raw, 1);
	if (nr_blocks_of(f, &buf.raw) <= lblk)
		buf.raw.size = le32_make((uint32_t)((lblk + 1) << f->geo.block_bits));
	fsck_write_inode(f, ino, &buf);
	return block;
}

/* ---- entries ---- */

/* Without its index a directory is read from end to end, and any block may take a name. */
static void forget_index(struct fsck *f, inr_t dir, union inode_buf *buf)
{
	if (!(le32_get(buf->raw.flags) & EXT_INDEX_FL))
		return;
	buf->raw.flags = le32_make(le32_get(buf->raw.flags) & ~EXT_INDEX_FL);
	fsck_write_inode(f, dir, buf);
}

int dirs_add_entry(struct fsck *f, inr_t dir, const char *name, inr_t ino, uint8_t file_type)
{
	unsigned name_len = (unsigned)strlen(name);
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	union inode_buf buf;
	uint64_t lblk, count;

	if (!fsck_read_inode(f, dir, &buf))
		return -EIO;
	forget_index(f, dir, &buf);
	count = nr_blocks_of(f, &buf.raw);
	/* In lost+found, which may get a million names, what was full stays full. */
	for (lblk = dir == f->lost_found ? f->lost_found_at : 0; lblk < count; lblk++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, lblk);

		if (!block || store_read(&f->store, block, 1, bytes) ||
		    dirblock_insert(&f->geo, bytes, name, name_len, ino, file_type))
			continue;
		fsck_write_block(f, block, bytes);
		if (dir == f->lost_found)
			f->lost_found_at = lblk;
		return 0;
	}
	if (dir == f->lost_found)
		f->lost_found_at = count;
	dirblock_init_empty(&f->geo, bytes);
	if (dirblock_insert(&f->geo, bytes, name, name_len, ino, file_type))
		return -ENOSPC;
	return dirs_add_block(f, dir, count, bytes) ? 0 : -ENOSPC;
}

int dirs_set_entry(struct fsck *f, inr_t dir, const char *name, inr_t ino)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct dirblock_entry e;
	union inode_buf buf;
	uint64_t lblk;

	if (!fsck_read_inode(f, dir, &buf))
		return -ENOENT;
	for (lblk = 0; lblk < nr_blocks_of(f, &buf.raw); lblk++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, lblk);
		struct ext_dirent *d;

		if (!block || store_read(&f->store, block, 1, bytes) ||
		    dirblock_find(&f->geo, bytes, name, (unsigned)strlen(name), &e))
			continue;
		d = (void *)(bytes + e.offset);
		d->inode = le32_make(ino);
		fsck_write_block(f, block, bytes);
		return 0;
	}
	return -ENOENT;
}

static bool drop_in_block(struct fsck *f, uint8_t *bytes, lblk_t lblk, inr_t child)
{
	unsigned offset = 0, nth;
	struct dirblock_entry e;

	for (nth = 0; dirblock_next(&f->geo, bytes, &offset, &e) == 1; nth++) {
		if (e.ino != child || (lblk == 0 && nth < 2))
			continue;
		((struct ext_dirent *)(void *)(bytes + e.offset))->inode = le32_make(0);
		return true;
	}
	return false;
}

void dirs_drop_child(struct fsck *f, inr_t dir, inr_t child)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	union inode_buf buf;
	uint64_t lblk;

	if (!fsck_read_inode(f, dir, &buf))
		return;
	for (lblk = 0; lblk < nr_blocks_of(f, &buf.raw); lblk++) {
		fsblk_t block = dirs_block_at(f, &buf.raw, lblk);

		if (block && !store_read(&f->store, block, 1, bytes) &&
		    drop_in_block(f, bytes, lblk, child)) {
			fsck_write_block(f, block, bytes);
			return;
		}
	}
}
