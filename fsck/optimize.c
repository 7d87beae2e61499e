/*
 * -D: directories packed and indexed.
 *
 * A directory is written where nothing was, and then its inode in one write: before that the old tree
 * is the directory, after it the new one. Old blocks are given to nobody before the inodes that left them
 * are durable, which is waited for once in many directories.
 */
#include "optimize.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "base/bitmap.h"
#include "base/mem.h"
#include "dirs.h"
#include "maketree.h"
#include "maps.h"
#include "packing.h"

/* Blocks that wait for their old owner's inode to be durable. */
#define LEFT_MAX 4096u
/* A directory that would not fit into memory beside everything else stays as it is. */
#define DIR_BYTES_MAX (64u << 20)

struct optimizing {
	struct fsck *f;
	struct block_list taken, left; /* by directories since the last flush */
	uint64_t nr_dirs;
};

/* From here on the left blocks are free. */
static void settle(struct optimizing *o)
{
	struct fsck *f = o->f;
	size_t i;

	fsck_flush(f);
	for (i = 0; i < o->left.count; i++) {
		bitmap_clear(f->found, block_bit(f, o->left.blocks[i]));
		maps_follow(f, o->left.blocks[i]);
	}
	for (i = 0; i < o->taken.count; i++)
		maps_follow(f, o->taken.blocks[i]);
	f->used_blocks += o->taken.count;
	f->used_blocks -= o->left.count;
	o->left.count = o->taken.count = 0;
}

/* ---- one directory ---- */

static bool read_blocks(struct packing *p, const struct ext_inode *inode)
{
	struct fsck *f = p->f;
	size_t i;

	p->old = fsck_alloc(f, p->nr_old << f->geo.block_bits);
	for (i = 0; i < p->nr_old; i++) {
		fsblk_t block = dirs_block_at(f, inode, i);

		if (!block || store_read(&f->store, block, 1, p->old + (i << f->geo.block_bits)))
			return false;
	}
	return true;
}

/* Is there something to be gained? */
static bool is_better(const struct packing *p, bool was_indexed)
{
	if (p->is_renamed)
		return true;
	if (p->is_indexed != was_indexed)
		return p->is_indexed || p->nr_made < p->nr_old;
	if (p->nr_made != p->nr_old)
		return p->is_indexed || p->nr_made < p->nr_old;
	return p->is_indexed && memcmp(p->made, p->old, p->nr_made << p->f->geo.block_bits) != 0;
}

static void give_back(struct fsck *f, const struct block_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		bitmap_clear(f->found, block_bit(f, list->blocks[i]));
}

/* Blocks for the new directory, in a row if that can be. False: there are not enough. */
static bool take_blocks(struct packing *p, struct block_list *data)
{
	struct fsck *f = p->f;
	fsblk_t goal = group_first_block(&f->geo, group_of_inode(&f->geo, p->ino));

	while (data->count < p->nr_made) {
		fsblk_t block = alloc_block(f, goal);

		if (!block)
			return false;
		block_list_add(f, data, block);
		goal = block + 1;
	}
	return true;
}

static void write_blocks(struct packing *p, const struct block_list *data)
{
	size_t i;

	for (i = 0; i < data->count; i++)
		fsck_write_new_block(p->f, data->blocks[i], p->made + (i << p->f->geo.block_bits));
}

static void move_inode(struct packing *p, union inode_buf *buf, const le32_t *slots, size_t nr_blocks)
{
	uint32_t flags = le32_get(buf->raw.flags) & ~EXT_INDEX_FL;

	if (le32_get(buf->raw.file_acl))
		nr_blocks++;
	memcpy(buf->raw.block, slots, sizeof(buf->raw.block));
	buf->raw.flags = le32_make(p->is_indexed ? flags | EXT_INDEX_FL : flags);
	buf->raw.size = le32_make((uint32_t)(p->nr_made << p->f->geo.block_bits));
	buf->raw.blocks = le32_make((uint32_t)nr_blocks << (p->f->geo.block_bits - SECTOR_SHIFT));
	fsck_write_inode(p->f, p->ino, buf);
}

static void add_all(struct fsck *f, struct block_list *to, const struct block_list *from)
{
	size_t i;

	for (i = 0; i < from->count; i++)
		block_list_add(f, to, from->blocks[i]);
}

/* False: no room; nothing has changed. */
static bool move(struct optimizing *o, struct packing *p, union inode_buf *buf)
{
	struct fsck *f = o->f;
	struct block_list data = {0}, indirect = {0};
	le32_t slots[EXT_N_BLOCKS];
	bool is_done = take_blocks(p, &data) && maketree(f, &data, data.blocks[0], slots, &indirect);

	if (is_done) {
		write_blocks(p, &data);
		maketree_collect(f, p->ino, &buf->raw, &o->left);
		move_inode(p, buf, slots, data.count + indirect.count);
		add_all(f, &o->taken, &data);
		add_all(f, &o->taken, &indirect);
		o->nr_dirs++;
	} else {
		give_back(f, &data);
		give_back(f, &indirect);
	}
	block_list_done(&data);
	block_list_done(&indirect);
	return is_done;
}

static void optimize(struct optimizing *o, inr_t ino)
{
	struct fsck *f = o->f;
	struct packing p = {.f = f, .ino = ino};
	union inode_buf buf;
	bool was_indexed;

	if (!fsck_read_inode(f, ino, &buf))
		return;
	p.nr_old = le32_get(buf.raw.size) >> f->geo.block_bits;
	if (p.nr_old < 2 || le32_get(buf.raw.size) > DIR_BYTES_MAX)
		return;
	was_indexed = le32_get(buf.raw.flags) & EXT_INDEX_FL;
	if (read_blocks(&p, &buf.raw) && packing_take(&p) && packing_part_duplicates(&p) &&
	    packing_make(&p) && is_better(&p, was_indexed) && !move(o, &p, &buf) && o->left.count) {
		/* What others have left may be the room that is missing. */
		settle(o);
		ignore(move(o, &p, &buf), "then it stays as it is");
	}
	packing_done(&p);
}

void optimize_dirs(struct fsck *f)
{
	struct optimizing o = {.f = f};
	inr_t lost_found = dirs_lookup(f, EXT_ROOT_INO, "lost+found");
	size_t i;

	f->pass_name = "3A";
	for (i = 0; i < f->nr_dirs; i++) {
		inr_t ino = f->dirs[i].ino;

		/* lost+found has empty blocks on purpose. */
		if (ino != lost_found && bitmap_test(f->ino_used, ino - 1) &&
		    bitmap_test(f->ino_dir, ino - 1))
			optimize(&o, ino);
		if (o.left.count > LEFT_MAX)
			settle(&o);
		if (f->cancelled)
			fsck_cancel(f);
	}
	settle(&o);
	fsck_flush(f);
	block_list_done(&o.left);
	block_list_done(&o.taken);
	f->was_modified |= o.nr_dirs > 0;
	if (!f->opt.json && f->opt.mode != MODE_PREEN)
		printf("%s: %llu directories packed\n", f->store.path, (unsigned long long)o.nr_dirs);
}
