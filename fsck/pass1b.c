/*
 * Pass 1B: blocks claimed twice.
 *
 * All trees are walked again in the order of inodes. The first to name a block keeps it; each later
 * one gets a copy, written before its pointer changes. Below an indirect block that was shared nothing
 * is walked: it may be data of the other owner, which the copy needs as it is, and what hangs below a copy
 * has two owners only from now on. Both are met in the next round. A tree has three levels, so that ends.
 */
#include "pass1b.h"

#include <string.h>

#include "alloc.h"
#include "base/bitmap.h"
#include "claims.h"
#include "tree.h"

struct owner {
	struct fsck *f;
	inr_t ino;
	bool goes_below; /* also below a shared indirect block that it keeps */
	bool is_asked, may_clone; /* the question is put once an inode */
	bool failed;
};

/* kept: some file has the block. kept_xattr: as its attribute block, which others may share. */
#define kept_of(f)       ((f)->piece)
#define kept_xattr_of(f) ((f)->piece2)

static bool is_dup(const struct fsck *f, fsblk_t block)
{
	return bitmap_test(f->dup, block_bit(f, block));
}

/* Copies a block; 0 when none is free. */
static fsblk_t clone(struct owner *o, fsblk_t block)
{
	struct fsck *f = o->f;
	struct where w = {.ino = o->ino, .block = block};
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	fsblk_t copy;

	if (o->failed)
		return 0;
	if (store_read(&f->store, block, 1, bytes))
		memset(bytes, 0, f->geo.block_size);
	copy = alloc_block(f, block);
	if (!copy) {
		w.str = "no block is free";
		problem(f, DUP_CLONE_FAILED, w);
		o->failed = true;
		return 0;
	}
	fsck_write_new_block(f, copy, bytes);
	return copy;
}

static bool may_clone(struct owner *o, fsblk_t block)
{
	if (!o->is_asked) {
		o->is_asked = true;
		o->may_clone = problem(o->f, DUP_INODE, (struct where){.ino = o->ino, .block = block});
		o->f->restart |= o->may_clone;
	}
	return o->may_clone;
}

/* True: the inode has the block from now on. */
static bool keep(struct owner *o, fsblk_t block)
{
	uint64_t bit = block_bit(o->f, block);

	if (bitmap_test(o->f->meta, bit) || bitmap_test(kept_of(o->f), bit))
		return false;
	bitmap_set(kept_of(o->f), bit);
	return true;
}

static enum tree_verdict visit(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	struct owner *o = w->arg;
	struct fsck *f = o->f;
	fsblk_t copy;

	(void)lblk;
	if (!pointer_is_possible(f, *pointer))
		return TREE_SKIP;
	if (level > 0 && block_is_metadata(f, *pointer))
		return TREE_SKIP;
	if (!is_dup(f, *pointer))
		return TREE_GO;
	if (keep(o, *pointer))
		return level > 0 && !o->goes_below ? TREE_SKIP : TREE_GO;
	copy = may_clone(o, *pointer) ? clone(o, *pointer) : 0;
	if (copy)
		*pointer = (uint32_t)copy;
	return TREE_SKIP;
}

/* The list of bad blocks keeps the blocks that it is written in; the bad blocks themselves are metadata. */
static enum tree_verdict visit_special(struct tree_walk *w, uint32_t *pointer, unsigned level,
				       lblk_t lblk)
{
	struct fsck *f = w->f;

	(void)lblk;
	if (level == 0 || !pointer_is_possible(f, *pointer))
		return TREE_SKIP;
	if (w->ino == EXT_RESIZE_INO && level != 2)
		return TREE_SKIP;
	bitmap_set(kept_of(f), block_bit(f, *pointer));
	return w->ino == EXT_RESIZE_INO ? TREE_SKIP : TREE_GO;
}

static void walk_attributes(struct owner *o, union inode_buf *buf, bool *changed)
{
	struct fsck *f = o->f;
	fsblk_t block = le32_get(buf->raw.file_acl), copy;
	uint64_t bit;

	if (!block || !pointer_is_possible(f, block) || !is_dup(f, block))
		return;
	bit = block_bit(f, block);
	if (bitmap_test(kept_xattr_of(f), bit))
		return;
	if (keep(o, block)) {
		bitmap_set(kept_xattr_of(f), bit);
		return;
	}
	copy = may_clone(o, block) ? clone(o, block) : 0;
	if (copy) {
		buf->raw.file_acl = le32_make((uint32_t)copy);
		*changed = true;
	}
}

/* Returns true if the inode's bytes were changed. */
static bool walk_owner(struct owner *o, union inode_buf *buf)
{
	struct tree_walk w = {.f = o->f, .ino = o->ino, .visit = visit, .arg = o};
	bool changed = false;

	if (o->ino == EXT_BAD_INO || (o->ino == EXT_RESIZE_INO && o->f->geo.has_resize_inode)) {
		w.visit = visit_special;
		tree_walk(&w, &buf->raw);
		return false;
	}
	if (tree_exists(o->f, &buf->raw))
		tree_walk(&w, &buf->raw);
	walk_attributes(o, buf, &changed);
	return changed || w.inode_changed;
}

/* Returns true if it was asked about. */
static bool check_inode(struct fsck *f, inr_t ino, bool goes_below)
{
	struct owner o = {.f = f, .ino = ino, .goes_below = goes_below};
	union inode_buf buf;

	if (!fsck_read_inode(f, ino, &buf) ||
	    (!le16_get(buf.raw.links_count) && ino >= f->geo.first_ino))
		return false;
	if (walk_owner(&o, &buf))
		fsck_write_inode(f, ino, &buf);
	return o.is_asked;
}

/* Returns true if somebody's blocks were asked about. */
static bool check_inodes(struct fsck *f, bool goes_below)
{
	uint64_t bit = 0, end = f->geo.inodes_count;
	bool is_asked = false;

	kept_of(f) = fsck_block_map(f);
	kept_xattr_of(f) = fsck_block_map(f);
	while ((bit = bitmap_find_set(f->ino_used, bit, end)) < end)
		is_asked |= check_inode(f, (inr_t)++bit, goes_below);
	fsck_release_pieces(f);
	return is_asked;
}

void pass1b(struct fsck *f)
{
	f->pass_name = "1B";
	problem(f, DUP_HEADER, (struct where){0});
	/* Nobody to ask: what has two owners hangs below shared blocks only, as in a tree that names itself. */
	if (!check_inodes(f, false))
		check_inodes(f, true);
}
