/* Lists of blocks; the tree of an inode from its leaves up. */
#include "maketree.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "base/mem.h"
#include "tree.h"

void block_list_add(struct fsck *f, struct block_list *list, fsblk_t block)
{
	if (list->count == list->room) {
		size_t room = list->room * 2 + 64;
		uint32_t *grown = mem_realloc(list->blocks, room * sizeof(*grown));

		if (!grown)
			fsck_fail(f, "memory", -ENOMEM);
		list->blocks = grown;
		list->room = room;
	}
	list->blocks[list->count++] = (uint32_t)block;
}

void block_list_done(struct block_list *list)
{
	mem_free(list->blocks);
	*list = (struct block_list){0};
}

struct making {
	struct fsck *f;
	const struct block_list *data;
	size_t next; /* of data */
	fsblk_t goal;
	struct block_list *made;
};

/* A block of pointers, with those below it written before; 0: no block is free. */
static fsblk_t make_indirect(struct making *m, unsigned level)
{
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	fsblk_t block = alloc_block(m->f, m->goal), child;
	unsigned i;

	if (!block)
		return 0;
	block_list_add(m->f, m->made, block);
	memset(slots, 0, sizeof(slots));
	for (i = 0; i < m->f->geo.addr_per_block && m->next < m->data->count; i++) {
		child = level > 1 ? make_indirect(m, level - 1) : m->data->blocks[m->next++];
		if (!child)
			return 0;
		slots[i] = le32_make((uint32_t)child);
	}
	fsck_write_new_block(m->f, block, slots);
	return block;
}

bool maketree(struct fsck *f, const struct block_list *data, fsblk_t goal, le32_t slots[EXT_N_BLOCKS],
	      struct block_list *made)
{
	struct making m = {.f = f, .data = data, .goal = goal, .made = made};
	unsigned i;

	memset(slots, 0, EXT_N_BLOCKS * sizeof(*slots));
	for (i = 0; i < EXT_N_BLOCKS && m.next < data->count; i++) {
		fsblk_t block = i < EXT_NDIR_BLOCKS ? data->blocks[m.next++]
						    : make_indirect(&m, i - EXT_NDIR_BLOCKS + 1);

		if (!block)
			return false;
		slots[i] = le32_make((uint32_t)block);
	}
	return m.next == data->count;
}

static enum tree_verdict collect(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	(void)level;
	(void)lblk;
	if (!pointer_is_possible(w->f, *pointer))
		return TREE_SKIP;
	block_list_add(w->f, w->arg, *pointer);
	return TREE_GO;
}

void maketree_collect(struct fsck *f, inr_t ino, const struct ext_inode *inode, struct block_list *list)
{
	struct tree_walk w = {.f = f, .ino = ino, .visit = collect, .arg = list};
	struct ext_inode copy = *inode;

	tree_walk(&w, &copy);
}
