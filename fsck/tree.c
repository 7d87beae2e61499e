/* The walk over an inode's blocks: recursion as deep as the tree, which is three. */
#include "tree.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bitmap.h"

/* Data blocks below one slot of an indirect block of this level. */
static uint64_t span_of_slot(const struct geometry *geo, unsigned level)
{
	return (uint64_t)1 << (geo->addr_bits * (level - 1));
}

static bool walk_slots(struct tree_walk *w, le32_t *slots, unsigned count, unsigned level, lblk_t lblk,
		       uint64_t span);

/* Indirect blocks below an indirect block: all of them will be read, one after another. */
static void ask_for_children(struct tree_walk *w, const le32_t *slots)
{
	const struct geometry *geo = &w->f->geo;
	unsigned i, run;

	for (i = 0; i < geo->addr_per_block; i += run) {
		uint32_t first = le32_get(slots[i]);

		for (run = 1; first && i + run < geo->addr_per_block &&
			      le32_get(slots[i + run]) == first + run;
		     run++)
			;
		if (first && first < geo->blocks_count)
			store_prefetch(&w->f->store, first, run);
	}
}

/* Goes below one pointer that the visitor agreed to. Returns true if the pointer is to be cleared. */
static bool walk_below(struct tree_walk *w, fsblk_t block, unsigned level, lblk_t lblk)
{
	const struct geometry *geo = &w->f->geo;
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];

	if (store_read(&w->f->store, block, 1, slots))
		return w->unreadable && w->unreadable(w, block, level, lblk);
	if (w->look && !w->look(w, block, level, lblk, slots))
		return true;
	if (level > 1)
		ask_for_children(w, slots);
	if (walk_slots(w, slots, geo->addr_per_block, level - 1, lblk, span_of_slot(geo, level)) &&
	    !(w->f->meta && bitmap_test(w->f->meta, block_bit(w->f, block))) &&
	    (!w->may_write || w->may_write(w, block)))
		fsck_write_block(w->f, block, slots);
	return false;
}

/* Returns true when a slot was changed. */
static bool walk_slots(struct tree_walk *w, le32_t *slots, unsigned count, unsigned level, lblk_t lblk,
		       uint64_t span)
{
	bool changed = false;
	unsigned i;

	for (i = 0; i < count && !w->stopped; i++, lblk += span) {
		uint32_t pointer = le32_get(slots[i]);
		enum tree_verdict verdict;

		if (!pointer)
			continue;
		verdict = w->visit(w, &pointer, level, lblk);
		if (verdict == TREE_STOP)
			w->stopped = true;
		if (verdict == TREE_GO && level > 0 && pointer && walk_below(w, pointer, level, lblk))
			pointer = 0;
		if (pointer != le32_get(slots[i])) {
			slots[i] = le32_make(pointer);
			changed = true;
		}
	}
	return changed;
}

void tree_walk(struct tree_walk *w, struct ext_inode *inode)
{
	const struct geometry *geo = &w->f->geo;
	lblk_t lblk = EXT_NDIR_BLOCKS;
	unsigned level;

	w->inode_changed = walk_slots(w, inode->block, EXT_NDIR_BLOCKS, 0, 0, 1);
	for (level = 1; level <= 3; level++) {
		uint64_t span = (uint64_t)1 << (geo->addr_bits * level);

		w->inode_changed |=
			walk_slots(w, &inode->block[EXT_NDIR_BLOCKS + level - 1], 1, level, lblk, span);
		lblk += span;
	}
}

/* A text of just the length that the size says is a target, whatever is wrong with the counts. */
static bool holds_target(const struct ext_inode *inode)
{
	uint32_t size = le32_get(inode->size);

	return size && size < sizeof(inode->block) &&
	       strnlen((const char *)inode->block, sizeof(inode->block)) == size;
}

bool tree_exists(const struct fsck *f, const struct ext_inode *inode)
{
	unsigned mode = le16_get(inode->mode);

	(void)f;
	if (S_ISREG(mode) || S_ISDIR(mode))
		return true;
	if (!S_ISLNK(mode) || holds_target(inode))
		return false;
	if (!le32_get(inode->file_acl))
		return le32_get(inode->blocks) != 0;
	/* With an attribute block the count does not tell: the size does, and what lies in block[1]. */
	if (le32_get(inode->size) >= sizeof(inode->block))
		return true;
	return le32_get(inode->size) > 4 && le32_get(inode->block[1]) == 0;
}
