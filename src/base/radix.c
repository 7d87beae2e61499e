/*
 * The index tree: 64 slots a node, 6 bits of the index a level.
 *
 *	height 2:  root --slot[index >> 6]--> leaf --slot[index & 63]--> item
 *
 * Each node has a bit mask a tag, and one more for "something is here" (PRESENT), so a search
 * for the next tagged or the next present item is one and the same, and skips 64 at a step.
 *
 *	C1  The tree is as low as its largest index allows; an empty tree has no root.
 *	C2  No node is empty.
 *	C3  A node's tag bit is set exactly when the slot's item has the tag or, further up, when
 *	    the child has any bit of that tag.
 */
#include "base/radix.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"

#define LEVEL_BITS 6u
#define NR_SLOTS (1u << LEVEL_BITS)
#define HEIGHT_MAX 11u		/* 11 times 6 bits hold 64 */
#define PRESENT RADIX_NR_TAGS

struct radix_node {
	uint64_t mask[RADIX_NR_TAGS + 1];
	void *slots[NR_SLOTS];	/* nodes; items where the level is 0 */
};

/* The nodes from the root (the last) to the leaf (at 0) on the way to one index. */
struct path {
	struct radix_node *nodes[HEIGHT_MAX];
};

static unsigned slot_of(uint64_t index, unsigned level)
{
	return (unsigned)(index >> (level * LEVEL_BITS)) & (NR_SLOTS - 1);
}

static uint64_t slot_bit(uint64_t index, unsigned level)
{
	return 1ull << slot_of(index, level);
}

/* The largest index below a node of this level, less the index of its first. */
static uint64_t span_of(unsigned level)
{
	unsigned bits = (level + 1) * LEVEL_BITS;

	return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

static bool reaches(const struct radix *r, uint64_t index)
{
	return r->height > 0 && index <= span_of(r->height - 1);
}

void radix_init(struct radix *r)
{
	*r = (struct radix){.root = NULL};
}

static void free_below(struct radix_node *n, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < NR_SLOTS; i++)
		if (n->slots[i])
			free_below(n->slots[i], level - 1);
	mem_free(n);
}

void radix_done(struct radix *r)
{
	if (r->root)
		free_below(r->root, r->height - 1);
	radix_init(r);
}

/* Fills path down to the leaf; false when the tree has no leaf for the index. */
static bool walk(const struct radix *r, uint64_t index, struct path *path)
{
	struct radix_node *n = r->root;

	if (!reaches(r, index))
		return false;
	for (unsigned level = r->height; level-- > 0 && n;) {
		path->nodes[level] = n;
		n = level > 0 ? n->slots[slot_of(index, level)] : n;
	}
	return n;
}

void *radix_find(const struct radix *r, uint64_t index)
{
	const struct radix_node *n = r->root;

	if (!reaches(r, index))
		return NULL;
	for (unsigned level = r->height - 1; level > 0; level--) {
		n = n->slots[slot_of(index, level)];
		if (!n)
			return NULL;
	}
	return n->slots[slot_of(index, 0)];
}

/* Lowers the tree while all lies below the root's first slot. */
static void shrink(struct radix *r)
{
	while (r->height > 1 && r->root->mask[PRESENT] == 1) {
		struct radix_node *top = r->root;

		r->root = top->slots[0];
		r->height--;
		mem_free(top);
	}
	if (r->root && r->root->mask[PRESENT] == 0) {
		mem_free(r->root);
		radix_init(r);
	}
}

/* Frees the empty nodes on the way to index, from node `level` of the path up (C1, C2). */
static void prune(struct radix *r, uint64_t index, const struct path *path, unsigned level)
{
	for (; level + 1 < r->height && path->nodes[level]->mask[PRESENT] == 0; level++) {
		struct radix_node *parent = path->nodes[level + 1];

		parent->slots[slot_of(index, level + 1)] = NULL;
		parent->mask[PRESENT] &= ~slot_bit(index, level + 1);
		mem_free(path->nodes[level]);
	}
	shrink(r);
}

/* Puts nodes above the root until the tree reaches index. */
static int heighten(struct radix *r, uint64_t index)
{
	while (!reaches(r, index)) {
		struct radix_node *top = mem_zalloc(sizeof(*top));

		if (!top)
			return -ENOMEM;
		if (r->root) {
			top->slots[0] = r->root;
			for (unsigned tag = 0; tag <= PRESENT; tag++)
				top->mask[tag] = r->root->mask[tag] != 0;
			r->height++;
		} else {
			/* Nothing to lift: the one node may stand at the right height at once. */
			while (++r->height < HEIGHT_MAX && !reaches(r, index))
				;
		}
		r->root = top;
	}
	return 0;
}

/* As walk(), building what is missing; on -ENOMEM the tree is as before. */
static int walk_building(struct radix *r, uint64_t index, struct path *path)
{
	unsigned level;

	if (heighten(r, index)) {
		if (r->root)
			shrink(r);
		return -ENOMEM;
	}
	path->nodes[r->height - 1] = r->root;
	for (level = r->height - 1; level > 0; level--) {
		struct radix_node *n = path->nodes[level];
		struct radix_node *child = n->slots[slot_of(index, level)];

		if (!child) {
			child = mem_zalloc(sizeof(*child));
			if (!child) {
				prune(r, index, path, level);
				return -ENOMEM;
			}
			n->slots[slot_of(index, level)] = child;
			n->mask[PRESENT] |= slot_bit(index, level);
		}
		path->nodes[level - 1] = child;
	}
	return 0;
}

int radix_insert(struct radix *r, uint64_t index, void *item)
{
	struct path path;

	must(item);
	if (radix_find(r, index))
		return -EEXIST;
	if (walk_building(r, index, &path))
		return -ENOMEM;
	path.nodes[0]->slots[slot_of(index, 0)] = item;
	path.nodes[0]->mask[PRESENT] |= slot_bit(index, 0);
	r->nr_items++;
	return 0;
}

static void clear_tag_on_path(const struct radix *r, uint64_t index, const struct path *path,
			      unsigned tag)
{
	for (unsigned level = 0; level < r->height; level++) {
		path->nodes[level]->mask[tag] &= ~slot_bit(index, level);
		if (path->nodes[level]->mask[tag])
			return;
	}
}

void *radix_remove(struct radix *r, uint64_t index)
{
	struct path path;
	void *item;

	if (!walk(r, index, &path))
		return NULL;
	item = path.nodes[0]->slots[slot_of(index, 0)];
	if (!item)
		return NULL;
	for (unsigned tag = 0; tag < RADIX_NR_TAGS; tag++)
		clear_tag_on_path(r, index, &path, tag);
	path.nodes[0]->slots[slot_of(index, 0)] = NULL;
	path.nodes[0]->mask[PRESENT] &= ~slot_bit(index, 0);
	r->nr_items--;
	prune(r, index, &path, 0);
	return item;
}

/* Gathering. */

struct gather {
	uint64_t from, last;
	unsigned tag;
	void **items;
	uint64_t *index;
	size_t count, max;
};

/* The bits of the slots of a node that may hold an index in [from, last]; first is its own first. */
static uint64_t slots_in_range(const struct gather *g, uint64_t first, unsigned level)
{
	uint64_t bits = ~0ull;

	if (g->from > first)
		bits &= ~0ull << slot_of(g->from, level);
	if (g->last - first < span_of(level))
		bits &= ~0ull >> (NR_SLOTS - 1 - slot_of(g->last, level));
	return bits;
}

/* first <= g->last, and the node's last index >= g->from. */
static void gather_below(struct gather *g, const struct radix_node *n, uint64_t first, unsigned level)
{
	uint64_t bits = n->mask[g->tag] & slots_in_range(g, first, level);

	for (; bits && g->count < g->max; bits &= bits - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(bits);
		uint64_t index = first + ((uint64_t)slot << (level * LEVEL_BITS));

		if (level > 0) {
			gather_below(g, n->slots[slot], index, level - 1);
			continue;
		}
		if (g->index)
			g->index[g->count] = index;
		g->items[g->count++] = n->slots[slot];
	}
}

size_t radix_gather_tag(const struct radix *r, uint64_t from, uint64_t last, unsigned tag,
			void **ret_items, uint64_t *ret_index, size_t max)
{
	struct gather g = {
		.from = from, .last = last, .tag = tag, .items = ret_items, .index = ret_index, .max = max,
	};

	if (from <= last && reaches(r, from))
		gather_below(&g, r->root, 0, r->height - 1);
	return g.count;
}

size_t radix_gather(const struct radix *r, uint64_t from, uint64_t last, void **ret_items,
		    uint64_t *ret_index, size_t max)
{
	return radix_gather_tag(r, from, last, PRESENT, ret_items, ret_index, max);
}

/* Tags. */

void radix_tag_set(struct radix *r, uint64_t index, unsigned tag)
{
	struct path path;

	must(tag < RADIX_NR_TAGS);
	must(walk(r, index, &path));
	must(path.nodes[0]->slots[slot_of(index, 0)]);
	for (unsigned level = 0; level < r->height; level++) {
		if (path.nodes[level]->mask[tag] & slot_bit(index, level))
			return;	/* C3: then it is set further up too */
		path.nodes[level]->mask[tag] |= slot_bit(index, level);
	}
}

void radix_tag_clear(struct radix *r, uint64_t index, unsigned tag)
{
	struct path path;

	must(tag < RADIX_NR_TAGS);
	if (walk(r, index, &path))
		clear_tag_on_path(r, index, &path, tag);
}

bool radix_tag_get(const struct radix *r, uint64_t index, unsigned tag)
{
	struct path path;

	must(tag < RADIX_NR_TAGS);
	return walk(r, index, &path) && path.nodes[0]->mask[tag] & slot_bit(index, 0);
}

bool radix_tagged(const struct radix *r, unsigned tag)
{
	must(tag < RADIX_NR_TAGS);
	return r->root && r->root->mask[tag];
}
