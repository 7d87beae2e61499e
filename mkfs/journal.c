/*
 * An empty journal.
 *
 * Sources: FORMAT.md 6 for the tree, journal/format.h for the superblock.
 */
#include "journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "journal/format.h"

#define TREE_LEVELS 3	/* of indirect blocks: single, double, triple */

struct tree {
	const struct plan *plan;
	struct image *img;
	fsblk_t next;			/* of the run of free blocks that is being used up */
	uint64_t run_left;
	uint64_t data_left;		/* log blocks that have no place yet */
	le32_t *slots[TREE_LEVELS];	/* the indirect block under construction, by level */
};

static fsblk_t next_block(struct tree *t)
{
	if (t->run_left == 0)
		t->next = plan_free_run(t->plan, t->next, &t->run_left);
	must(t->run_left > 0);		/* P2: place_files() counted them */
	t->run_left--;
	return t->next++;
}

/*
 * Gives a place to an indirect block and to all that hangs below it, as far as there is something.
 * level 0 names data blocks. Written when full, so one block a level is in memory.
 */
static int fill_indirect(struct tree *t, unsigned level, uint32_t *ret)
{
	const struct geometry *geo = &t->plan->geo;
	le32_t *slots = t->slots[level];
	fsblk_t self = next_block(t);
	int err = 0;

	memset(slots, 0, geo->block_size);
	for (unsigned i = 0; i < geo->addr_per_block && t->data_left && !err; i++) {
		uint32_t child = 0;

		if (level > 0) {
			err = fill_indirect(t, level - 1, &child);
		} else {
			child = (uint32_t)next_block(t);
			t->data_left--;
		}
		slots[i] = le32_make(child);
	}
	*ret = (uint32_t)self;
	if (err)
		return err;
	return image_write(t->img, self << geo->block_bits, slots, geo->block_size);
}

static int fill_inode(struct tree *t, uint32_t block[EXT_N_BLOCKS])
{
	int err = 0;

	for (unsigned i = 0; i < EXT_NDIR_BLOCKS && t->data_left; i++) {
		block[i] = (uint32_t)next_block(t);
		t->data_left--;
	}
	for (unsigned level = 0; level < TREE_LEVELS && t->data_left && !err; level++)
		err = fill_indirect(t, level, &block[EXT_IND_BLOCK + level]);
	return err;
}

/* Version 2 without features: whoever mounts first turns on what it uses. */
static int write_super(const struct plan *plan, struct image *img, fsblk_t where)
{
	struct journal_super *s = mem_zalloc(plan->geo.block_size);
	int err;

	if (!s) {
		snprintf(img->why, sizeof(img->why), "out of memory");
		return -ENOMEM;
	}
	s->header.magic = be32_make(JOURNAL_MAGIC);
	s->header.blocktype = be32_make(JOURNAL_SUPERBLOCK_V2);
	s->blocksize = be32_make(plan->geo.block_size);
	s->maxlen = be32_make((uint32_t)plan->journal_blocks);
	s->first = be32_make(1);
	s->sequence = be32_make(JOURNAL_FIRST_SEQUENCE);
	s->nr_users = be32_make(1);
	memcpy(s->uuid, plan->super.uuid, sizeof(s->uuid));
	err = image_write(img, where << plan->geo.block_bits, s, plan->geo.block_size);
	mem_free(s);
	return err;
}

int write_journal(const struct plan *plan, struct image *img, struct inode_fields *fields)
{
	struct tree t = {.plan = plan, .img = img, .next = plan->journal_start,
			 .data_left = plan->journal_blocks};
	uint64_t blocks = plan->journal_blocks + plan->journal_tree_blocks;
	le32_t *slots = mem_alloc((size_t)TREE_LEVELS * plan->geo.block_size);
	int err;

	if (!slots) {
		snprintf(img->why, sizeof(img->why), "out of memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < TREE_LEVELS; i++)
		t.slots[i] = slots + (size_t)i * plan->geo.addr_per_block;
	fields->size = plan->journal_blocks << plan->geo.block_bits;
	fields->blocks = blocks << (plan->geo.block_bits - SECTOR_SHIFT);
	err = fill_inode(&t, fields->block);
	must(err || t.next == plan->data_end);		/* P2 */
	if (!err)
		err = write_super(plan, img, fields->block[0]);
	mem_free(slots);
	return err;
}
