/*
 * The hash tree of a directory.
 *
 * Each block gets a record: the range of the hashes of its names, the range that its parent's entry
 * promises, and how often it is named. A tree is good when every block is named once, at the depth
 * that the root says, and holds nothing outside its range.
 */
#include "index.h"

#include <string.h>

#include "base/mem.h"
#include "layout/dirhash.h"

enum kind { KIND_LEAF, KIND_ROOT, KIND_NODE };

#define SEEN_ONCE  1u
#define SEEN_TWICE 2u
#define IS_FIRST   4u /* the first of its parent: its least hash is the parent's */
#define IS_LAST    8u

#define BLOCK_MASK 0x0fffffffu /* of a number in the tree: the rest was meant for fill levels */
#define DEPTH_MAX  3u

struct index_block {
	uint8_t kind;
	uint8_t flags;
	uint32_t parent;
	uint32_t min_hash, max_hash; /* of what it holds */
	uint32_t range_min, range_max; /* of what it may hold */
};

struct index {
	struct fsck *f;
	inr_t ino;
	uint32_t nr_blocks;
	unsigned depth; /* of leaves: 1 below the root */
	unsigned hash_version;
	uint32_t seed[4];
	bool is_bad;
	bool is_spoilt;
	struct index_block blocks[];
};

static uint32_t max_blocks(const struct fsck *f)
{
	uint32_t entries = f->geo.block_size / (uint32_t)sizeof(struct ext_dx_entry);

	return 1 + entries + entries * entries;
}

struct index *index_begin(struct fsck *f, inr_t ino, uint32_t nr_blocks)
{
	struct index *x;
	uint32_t i;

	if (!nr_blocks)
		return NULL;
	/* What no tree of two levels could name has no place in it: the last block stands for all of them. */
	nr_blocks = min(nr_blocks, max_blocks(f) + 1);
	x = fsck_alloc(f, sizeof(*x) + (size_t)nr_blocks * sizeof(x->blocks[0]));
	x->f = f;
	x->ino = ino;
	x->nr_blocks = nr_blocks;
	dirhash_seed(&f->super, x->seed);
	for (i = 0; i < nr_blocks; i++)
		x->blocks[i].min_hash = UINT32_MAX;
	return x;
}

static void fault(struct index *x, enum problem_code code, uint32_t lblk, uint64_t num)
{
	problem(x->f, code, (struct where){.ino = x->ino, .lblk = lblk, .num = num});
	x->is_bad = true;
}

/* ---- block by block ---- */

static bool is_node(const struct fsck *f, const uint8_t *block)
{
	const struct ext_dirent *d = (const void *)block;
	const struct ext_dx_countlimit *limit = (const void *)(block + sizeof(struct ext_dx_node));

	return !le32_get(d->inode) && le16_get(d->rec_len) == f->geo.block_size && !d->name_len &&
	       le16_get(limit->limit) ==
		       (f->geo.block_size - sizeof(struct ext_dx_node)) / sizeof(struct ext_dx_entry);
}

void index_block(struct index *x, uint32_t lblk, const uint8_t *block)
{
	const struct ext_dx_root *root = (const void *)block;

	if (!x || lblk >= x->nr_blocks)
		return;
	if (lblk == 0) {
		x->blocks[0].kind = KIND_ROOT;
		x->blocks[0].flags |= IS_FIRST | IS_LAST | SEEN_ONCE;
		x->hash_version = dirhash_version(&x->f->super, root->info.hash_version);
		x->depth = root->info.indirect_levels + 1u;
	} else if (is_node(x->f, block)) {
		x->blocks[lblk].kind = KIND_NODE;
	}
}

void index_name(struct index *x, uint32_t lblk, const char *name, unsigned name_len)
{
	struct index_block *b;
	struct dirhash hash;

	if (!x || lblk >= x->nr_blocks || dirhash(x->hash_version, x->seed, name, name_len, &hash))
		return;
	b = &x->blocks[lblk];
	b->min_hash = min(b->min_hash, hash.major);
	b->max_hash = max(b->max_hash, hash.major);
}

/* One entry of the tree: the block that it names gets its range. */
static void take_entry(struct index *x, uint32_t lblk, uint32_t block, uint32_t from, uint32_t to,
		       uint8_t flags)
{
	struct index_block *child = &x->blocks[block];

	if (child->flags & SEEN_ONCE) {
		child->flags |= SEEN_TWICE;
	} else {
		child->flags |= SEEN_ONCE;
		child->parent = lblk;
	}
	child->flags |= flags;
	child->range_min = from;
	child->range_max = to;
}

static void take_entries(struct index *x, uint32_t lblk, const struct ext_dx_entry *entries,
			 unsigned count)
{
	uint32_t least = UINT32_MAX, most = 0, hash = 0, before;
	unsigned i;

	for (i = 0; i < count; i++) {
		uint32_t block = le32_get(entries[i].block) & BLOCK_MASK;
		bool is_last = i + 1 == count;

		before = hash;
		hash = i ? le32_get(entries[i].hash) & ~1u : 0;
		if (block >= x->nr_blocks) {
			fault(x, HTREE_BAD_BLOCK, lblk, block);
			continue;
		}
		if (hash < before)
			fault(x, HTREE_ORDER, lblk, 0);
		least = min(least, hash);
		most = max(most, hash);
		take_entry(x, lblk, block, hash,
			   is_last ? DIRHASH_EOF : le32_get(entries[i + 1].hash) & ~1u,
			   (uint8_t)((i == 0 ? IS_FIRST : 0) | (is_last ? IS_LAST : 0)));
	}
	x->blocks[lblk].min_hash = least;
	x->blocks[lblk].max_hash = most;
}

void index_node(struct index *x, uint32_t lblk, const uint8_t *block)
{
	const struct ext_dx_root *root = (const void *)block;
	const struct ext_dx_countlimit *limit;
	unsigned offset, room, count;

	if (!x || lblk >= x->nr_blocks || x->blocks[lblk].kind == KIND_LEAF)
		return;
	offset = sizeof(struct ext_dx_node);
	if (lblk == 0)
		offset = offsetof(struct ext_dx_root, info) + root->info.info_length;
	if (offset % 4 || offset > x->f->geo.block_size - sizeof(struct ext_dx_entry)) {
		fault(x, HTREE_LIMIT, lblk, 0);
		return;
	}
	limit = (const void *)(block + offset);
	room = (x->f->geo.block_size - offset) / (unsigned)sizeof(struct ext_dx_entry);
	count = le16_get(limit->count);
	if (le16_get(limit->limit) != room)
		fault(x, HTREE_LIMIT, lblk, le16_get(limit->limit));
	if (count > room) {
		fault(x, HTREE_COUNT, lblk, count);
		return;
	}
	take_entries(x, lblk, (const void *)limit, count);
}

void index_spoil(struct index *x)
{
	if (x)
		x->is_spoilt = true;
}

/* ---- the whole ---- */

static unsigned depth_of(const struct index *x, uint32_t lblk)
{
	unsigned depth = 0;

	while (x->blocks[lblk].kind != KIND_ROOT && depth <= DEPTH_MAX) {
		lblk = x->blocks[lblk].parent;
		depth++;
	}
	return depth;
}

/* A node knows its range from its entries; the ends of it are those of its outermost leaves. */
static void widen_parents(struct index *x)
{
	uint32_t i;

	for (i = 0; i < x->nr_blocks; i++) {
		struct index_block *b = &x->blocks[i];

		if (b->kind != KIND_LEAF)
			continue;
		if (b->flags & IS_FIRST)
			x->blocks[b->parent].min_hash = b->min_hash;
		if (b->flags & IS_LAST)
			x->blocks[b->parent].max_hash = b->max_hash;
	}
}

static void judge_block(struct index *x, uint32_t lblk)
{
	const struct index_block *b = &x->blocks[lblk];

	if (b->kind == KIND_LEAF && depth_of(x, lblk) != x->depth)
		fault(x, HTREE_DEPTH, lblk, 0);
	if (lblk && b->min_hash < b->range_min)
		fault(x, HTREE_MIN, lblk, 0);
	if (lblk && b->max_hash > b->range_max)
		fault(x, HTREE_MAX, lblk, 0);
	if (!(b->flags & SEEN_ONCE))
		fault(x, HTREE_UNREFERENCED, lblk, 0);
	else if (b->flags & SEEN_TWICE)
		fault(x, HTREE_TWICE, lblk, 0);
}

bool index_end(struct index *x)
{
	bool drop;
	uint32_t i;

	if (!x)
		return false;
	if (!x->is_spoilt) {
		widen_parents(x);
		for (i = 0; i < x->nr_blocks; i++)
			judge_block(x, i);
	}
	drop = x->is_spoilt;
	if (x->is_bad)
		drop |= problem(x->f, HTREE_CLEAR, (struct where){.ino = x->ino});
	mem_free(x);
	return drop;
}
