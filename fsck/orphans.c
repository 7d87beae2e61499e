/*
 * Orphans.
 *
 * The list begins in the superblock and goes on in the inodes' time of deletion. An inode without links is
 * deleted: its blocks are freed. One with links is cut at its size. Each inode is written before the list
 * is cut behind it, so an interruption meets it again, and freeing again what is free is told apart.
 */
#include "orphans.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bitmap.h"
#include "dirs.h"
#include "layout/group.h"
#include "tree.h"

struct release {
	struct fsck *f;
	union inode_buf *buf;
	uint64_t keep_blocks; /* of the file, from its start */
	uint64_t nr_freed;
	const char *fault;
};

static bool descriptors_are_good(struct fsck *f)
{
	char why[128];
	group_t g;

	for (g = 0; g < f->geo.groups_count; g++)
		if (group_desc_check(&f->geo, g, &f->desc[g], why, sizeof(why)))
			return false;
	return true;
}

/* Clears a bit of an on-disk bitmap and counts it as free; false: it was clear. */
static bool free_bit(struct fsck *f, fsblk_t bitmap, uint32_t bit, le16_t *group_free, le32_t *all_free)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	fsck_read_block(f, bitmap, bytes);
	if (!bitmap_test(bytes, bit))
		return false;
	bitmap_clear(bytes, bit);
	fsck_write_block(f, bitmap, bytes);
	*group_free = le16_make((uint16_t)(le16_get(*group_free) + 1));
	le32_add(all_free, 1);
	f->desc_dirty = f->super_dirty = true;
	return true;
}

static bool free_block(struct fsck *f, fsblk_t block)
{
	struct ext_group_desc *d = &f->desc[group_of_block(&f->geo, block)];

	return free_bit(f, le32_get(d->block_bitmap), block_in_group(&f->geo, block),
			&d->free_blocks_count, &f->super.free_blocks_count);
}

static enum tree_verdict judge(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	struct release *r = w->arg;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct ext_group_desc *d;

	(void)level;
	(void)lblk;
	if (!block_is_valid(&w->f->geo, *pointer)) {
		r->fault = "it names an impossible block";
		return TREE_STOP;
	}
	d = &w->f->desc[group_of_block(&w->f->geo, *pointer)];
	fsck_read_block(w->f, le32_get(d->block_bitmap), bytes);
	if (!bitmap_test(bytes, block_in_group(&w->f->geo, *pointer))) {
		r->fault = "it names a block that is free";
		return TREE_STOP;
	}
	return TREE_GO;
}

/* An indirect block goes when everything below it goes; a kept one is walked for what it maps. */
static enum tree_verdict release(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	struct release *r = w->arg;

	if (level > 0 && lblk < r->keep_blocks)
		return TREE_GO;
	if (lblk < r->keep_blocks)
		return TREE_SKIP;
	if (level > 0)
		return TREE_GO;
	free_block(w->f, *pointer);
	r->nr_freed++;
	*pointer = 0;
	return TREE_SKIP;
}

static enum tree_verdict release_indirect(struct tree_walk *w, uint32_t *pointer, unsigned level,
					  lblk_t lblk)
{
	struct release *r = w->arg;
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	unsigned i;

	if (level == 0)
		return TREE_SKIP;
	if (lblk < r->keep_blocks)
		return TREE_GO;
	/* Higher ones first see their children, which the walk below has still to free. */
	if (level > 1) {
		struct tree_walk below = *w;

		fsck_read_block(w->f, *pointer, slots);
		for (i = 0; i < w->f->geo.addr_per_block; i++) {
			uint32_t child = le32_get(slots[i]);

			if (child)
				release_indirect(&below, &child, level - 1, lblk);
		}
	}
	free_block(w->f, *pointer);
	r->nr_freed++;
	*pointer = 0;
	return TREE_SKIP;
}

static bool walk(struct release *r, inr_t ino, tree_visit_fn visit)
{
	struct tree_walk w = {.f = r->f, .ino = ino, .visit = visit, .arg = r};

	tree_walk(&w, &r->buf->raw);
	return !r->fault;
}

/* Zeroes what lies behind the size in the last block that stays. */
static void clear_tail(struct fsck *f, struct release *r, uint64_t size)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	unsigned used = size & (f->geo.block_size - 1);
	fsblk_t block;

	if (!used)
		return;
	block = dirs_block_at(f, &r->buf->raw, size >> f->geo.block_bits);
	if (!block)
		return;
	fsck_read_block(f, block, bytes);
	memset(bytes + used, 0, f->geo.block_size - used);
	fsck_write_block(f, block, bytes);
}

/* One reference less on the attribute block, which goes with the last. */
static void release_attributes(struct fsck *f, struct ext_inode *raw)
{
	fsblk_t block = le32_get(raw->file_acl);
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct ext_xattr_header *header = (void *)bytes;
	uint32_t count;

	if (!block || !block_is_valid(&f->geo, block))
		return;
	fsck_read_block(f, block, bytes);
	count = le32_get(header->refcount);
	if (le32_get(header->magic) != EXT_XATTR_MAGIC || count <= 1) {
		free_block(f, block);
	} else {
		header->refcount = le32_make(count - 1);
		fsck_write_block(f, block, bytes);
	}
	raw->file_acl = le32_make(0);
}

static void release_inode(struct fsck *f, inr_t ino, struct ext_inode *raw)
{
	group_t g = group_of_inode(&f->geo, ino);
	struct ext_group_desc *d = &f->desc[g];

	release_attributes(f, raw);
	free_bit(f, le32_get(d->inode_bitmap), inode_in_group(&f->geo, ino), &d->free_inodes_count,
		 &f->super.free_inodes_count);
	if (S_ISDIR(le16_get(raw->mode)) && le16_get(d->used_dirs_count))
		d->used_dirs_count = le16_make((uint16_t)(le16_get(d->used_dirs_count) - 1));
	raw->dtime = le32_make(f->now);
}

/* NULL, or why it cannot be done. */
static const char *release_one(struct fsck *f, inr_t ino, union inode_buf *buf)
{
	uint64_t size = le32_get(buf->raw.size);
	struct release r = {.f = f, .buf = buf};
	bool is_deleted = !le16_get(buf->raw.links_count);

	if (S_ISREG(le16_get(buf->raw.mode)))
		size |= (uint64_t)le32_get(buf->raw.size_high) << 32;
	r.keep_blocks = is_deleted ? 0 : (size + f->geo.block_size - 1) >> f->geo.block_bits;
	if (tree_exists(f, &buf->raw)) {
		if (!walk(&r, ino, judge))
			return r.fault;
		walk(&r, ino, release);
		walk(&r, ino, release_indirect);
		if (!is_deleted)
			clear_tail(f, &r, size);
	}
	le32_add(&buf->raw.blocks, (uint32_t) - (r.nr_freed << (f->geo.block_bits - SECTOR_SHIFT)));
	if (is_deleted)
		release_inode(f, ino, &buf->raw);
	else
		buf->raw.dtime = le32_make(0);
	fsck_write_inode(f, ino, buf);
	return NULL;
}

static void give_up(struct fsck *f)
{
	f->super.state = le16_make(le16_get(f->super.state) | EXT_ERROR_FS);
}

void orphans_release(struct fsck *f)
{
	inr_t ino = le32_get(f->super.last_orphan), next;
	uint32_t left = f->geo.inodes_count; /* a list that is longer goes round */
	union inode_buf buf;

	if (!ino || !fsck_may_write(f))
		return;
	f->super.last_orphan = le32_make(0);
	f->super_dirty = true;
	if (le16_get(f->super.state) & EXT_ERROR_FS || !descriptors_are_good(f))
		return; /* a list in a damaged file system is not to be believed; pass 1 finds them */
	for (; ino && left; ino = next, left--) {
		struct where w = {.ino = ino};
		bool is_deleted;

		if (ino < f->geo.first_ino || ino > f->geo.inodes_count ||
		    !fsck_read_inode(f, ino, &buf)) {
			problem(f, left == f->geo.inodes_count ? ORPHAN_HEAD_BAD : ORPHAN_NEXT_BAD, w);
			give_up(f);
			return;
		}
		next = le32_get(buf.raw.dtime);
		is_deleted = !le16_get(buf.raw.links_count);
		w.num = le16_get(buf.raw.uid) | (uint32_t)le16_get(buf.raw.uid_high) << 16;
		w.num2 = le32_get(buf.raw.size);
		w.str = release_one(f, ino, &buf);
		if (w.str) {
			problem(f, ORPHAN_BROKEN, w);
			give_up(f);
			return;
		}
		problem(f, is_deleted ? ORPHAN_CLEARED : ORPHAN_TRUNCATED, w);
	}
}
