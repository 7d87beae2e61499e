/*
 * The blocks of one inode.
 *
 * Each pointer is judged before anything is read through it: it must name a block of the file system,
 * and an indirect block must not lie in metadata. An indirect block whose own pointers are mostly
 * impossible is no indirect block at all: its slot is cleared, which costs what it mapped and spares
 * everybody else the blocks that it seems to name.
 *
 * An indirect block that somebody claimed before is not walked a second time. What hangs below it
 * belongs to the first; the second gets a copy of the block (pass 1b), and its children are met in
 * the next round. So the work is bounded by the number of blocks, whatever the pointers say.
 *
 * What seems to be an indirect block may be somebody's data. Until all claims are known, nothing is written
 * into it: the inode is noted, and blocks_mend() walks it again.
 */
#include "blocks.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "badlist.h"
#include "base/bitmap.h"
#include "tree.h"
#include "xattrs.h"

/* More impossible pointers of one inode than this are not listed one by one. */
#define ILLEGAL_TOLD_MAX 12u
/* A hole in a directory that is longer than this is no hole: the pointer behind it is wrong. */
#define DIR_HOLE_MAX 1024u
/* An indirect block is garbage with this many impossible pointers, and so large a part of all: 1 in 4. */
#define GARBAGE_MIN  12u
#define GARBAGE_PART 4u
/* An inode flag of features that are none of ours. */
#define FLAG_VERITY 0x00100000u

struct block_check {
	struct inode_check *c;
	bool is_dir, is_reg;
	bool is_second; /* all was told and claimed: what is impossible is cleared */
	bool is_listing; /* ... and directory blocks are noted */
	bool is_partial; /* something was not walked: the count means nothing */
	uint64_t nr_blocks;
	int64_t last_lblk; /* -1: none */
	int64_t last_dir_lblk;
	uint32_t previous;
	bool is_fragmented;
	unsigned nr_illegal;
};

/* ---- judging a pointer ---- */

/* Told up to a number, then only counted; the answer stays the mode's. */
static bool tell_illegal(struct block_check *b, enum problem_code code, struct where w)
{
	struct fsck *f = b->c->f;

	b->nr_illegal++;
	if (b->nr_illegal <= ILLEGAL_TOLD_MAX)
		return problem(f, code, w);
	if (b->nr_illegal == ILLEGAL_TOLD_MAX + 1)
		problem(f, BLOCK_ILLEGAL_MANY, w);
	return f->opt.mode == MODE_YES || f->opt.mode == MODE_ASK;
}

static bool dir_place_is_possible(const struct block_check *b, unsigned level, lblk_t lblk)
{
	unsigned log = b->c->f->geo.block_bits - EXT_BLOCK_BITS_MIN;

	if (!b->is_dir || level > 0)
		return true;
	return lblk <= 1u << (21 - log) && (int64_t)lblk <= b->last_dir_lblk + (int64_t)DIR_HOLE_MAX;
}

static bool is_indirect_already(struct fsck *f, fsblk_t block)
{
	uint64_t bit = block_bit(f, block);

	if (!f->indirect)
		f->indirect = fsck_block_map(f);
	if (bitmap_test(f->indirect, bit))
		return true;
	bitmap_set(f->indirect, bit);
	return false;
}

/* Directory blocks are kept in order for pass 2, holes as block 0. */
static void note_dir_block(struct block_check *b, lblk_t lblk, uint32_t block)
{
	if (b->is_second && !b->is_listing) {
		b->last_dir_lblk = (int64_t)lblk;
		return;
	}
	while (++b->last_dir_lblk < (int64_t)lblk)
		fsck_add_dir_block(b->c->f, b->c->ino, (uint32_t)b->last_dir_lblk, 0);
	fsck_add_dir_block(b->c->f, b->c->ino, (uint32_t)lblk, block);
}

/* -E fragcheck: the line is that of e2fsck. */
static void tell_gap(const struct block_check *b, uint32_t block, unsigned level, lblk_t lblk)
{
	if (b->c->f->opt.fragcheck && !b->c->f->opt.json)
		printf("%6u(%c): expecting %6u got phys %6u (blkcnt %lld)\n", b->c->ino,
		       b->is_dir ? 'd' : b->is_reg ? 'f' : '?', b->previous + 1, block,
		       level ? -(long long)level : (long long)lblk);
}

static void note_order(struct block_check *b, uint32_t block, unsigned level, lblk_t lblk)
{
	if (b->previous && b->previous + 1 != block) {
		b->is_fragmented = true;
		tell_gap(b, block, level, lblk);
	}
	b->previous = block;
}

/* Clears a pointer that failed; a directory keeps a hole in its place, so that pass 2 fills it. */
static enum tree_verdict refuse_pointer(struct block_check *b, uint32_t *pointer, unsigned level,
					lblk_t lblk, enum problem_code code)
{
	struct where w = {.ino = b->c->ino, .block = *pointer, .lblk = lblk, .level = level};

	if (!b->is_second && !tell_illegal(b, code, w)) {
		b->is_partial = true;
		return TREE_SKIP;
	}
	*pointer = 0;
	if (b->is_dir && level == 0 && code != DIR_TOO_BIG)
		note_dir_block(b, lblk, 0);
	return TREE_SKIP;
}

static bool is_shared(const struct fsck *f, fsblk_t block)
{
	return f->dup && bitmap_test(f->dup, block_bit(f, block));
}

/* The second walk meets what the first one left, and claims nothing. */
static enum tree_verdict visit_again(struct block_check *b, fsblk_t block, unsigned level, lblk_t lblk)
{
	if (level == 0 && b->is_dir)
		note_dir_block(b, lblk, (uint32_t)block);
	return level > 0 && is_shared(b->c->f, block) ? TREE_SKIP : TREE_GO;
}

static enum tree_verdict visit(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	struct block_check *b = w->arg;
	struct fsck *f = w->f;

	if (!pointer_is_possible(f, *pointer))
		return refuse_pointer(b, pointer, level, lblk, BLOCK_ILLEGAL);
	if (level > 0 && block_is_metadata(f, *pointer) &&
	    !(w->ino == EXT_RESIZE_INO && f->geo.has_resize_inode))
		return refuse_pointer(b, pointer, level, lblk, IND_IN_METADATA);
	if (!dir_place_is_possible(b, level, lblk))
		return refuse_pointer(b, pointer, level, lblk, DIR_TOO_BIG);
	if (!b->is_dir && !b->is_reg && lblk > 0)
		return refuse_pointer(b, pointer, level, lblk, SYMLINK_TOO_BIG);
	if (b->is_second)
		return visit_again(b, *pointer, level, lblk);

	b->nr_blocks++;
	if (w->ino == EXT_RESIZE_INO && f->geo.has_resize_inode) {
		/* Its tree is made of reserved descriptor blocks, which tables.c has claimed. */
		if (level == 2)
			claim_block(f, *pointer);
		b->last_lblk = level == 0 ? (int64_t)lblk : b->last_lblk;
		return TREE_GO;
	}
	claim_block(f, *pointer);
	note_order(b, *pointer, level, lblk);
	if (level == 0) {
		b->last_lblk = (int64_t)lblk;
		if (b->is_dir)
			note_dir_block(b, lblk, *pointer);
		return TREE_GO;
	}
	if (is_indirect_already(f, *pointer)) {
		b->is_partial = true;
		return TREE_SKIP;
	}
	return TREE_GO;
}

static bool is_garbage(const struct fsck *f, const le32_t *slots)
{
	unsigned used = 0, impossible = 0, i;

	for (i = 0; i < f->geo.addr_per_block; i++) {
		uint32_t pointer = le32_get(slots[i]);

		used += pointer != 0;
		impossible += pointer != 0 && !pointer_is_possible(f, pointer);
	}
	return impossible >= GARBAGE_MIN && impossible * GARBAGE_PART >= used;
}

static void unclaim(struct fsck *f, fsblk_t block)
{
	uint64_t bit = block_bit(f, block);

	if (!f->dup || !bitmap_test(f->dup, bit))
		bitmap_clear(f->found, bit);
	bitmap_clear(f->indirect, bit);
}

/* An indirect block was read: false, its slot is to be cleared. */
static bool look(struct tree_walk *w, fsblk_t block, unsigned level, lblk_t lblk, const le32_t *slots)
{
	struct block_check *b = w->arg;
	struct where where = {.ino = w->ino, .block = block, .lblk = lblk, .level = level};

	if (w->ino == EXT_RESIZE_INO || !is_garbage(w->f, slots))
		return true;
	if (b->is_second)
		return false;
	if (!tell_illegal(b, BLOCK_ILLEGAL, where)) {
		b->is_partial = true;
		return true;
	}
	unclaim(w->f, block);
	b->nr_blocks--;
	return false;
}

static bool unreadable(struct tree_walk *w, fsblk_t block, unsigned level, lblk_t lblk)
{
	struct block_check *b = w->arg;
	struct where where = {.ino = w->ino, .block = block, .lblk = lblk, .level = level};

	if (b->is_second)
		return true;
	if (!problem(w->f, IND_UNREADABLE, where)) {
		b->is_partial = true;
		return false;
	}
	unclaim(w->f, block);
	b->nr_blocks--;
	return true;
}

/* Who is asked decides pointer by pointer, so for him there is no second walk. */
static bool may_write(struct tree_walk *w, fsblk_t block)
{
	const struct block_check *b = w->arg;
	struct fsck *f = w->f;

	if (b->is_listing)
		return false;
	if (b->is_second || f->opt.mode == MODE_ASK)
		return !is_shared(f, block);
	if (!f->mend)
		f->mend = fsck_inode_map(f);
	bitmap_set(f->mend, w->ino - 1);
	return false;
}

/* ---- what the walk has counted ---- */

static uint64_t size_of(const struct ext_inode *raw)
{
	return le32_get(raw->size) | (uint64_t)le32_get(raw->size_high) << 32;
}

/* The size that the blocks ask for; the present one if that is possible. */
static uint64_t size_should_be(const struct block_check *b, uint64_t size)
{
	const struct geometry *geo = &b->c->f->geo;
	uint64_t blocks = (uint64_t)(b->last_lblk + 1);
	uint64_t by_blocks = blocks << geo->block_bits;

	if (b->is_dir) {
		uint64_t now = size >> geo->block_bits;

		if (size & (geo->block_size - 1) || now > blocks ||
		    blocks - now > b->c->f->super.prealloc_dir_blocks)
			return by_blocks;
		return size;
	}
	/* With this flag, whoever set it, what lies behind the end belongs there. */
	if (b->last_lblk >= 0 && !(le32_get(b->c->buf.raw.flags) & FLAG_VERITY) &&
	    size < (uint64_t)b->last_lblk << geo->block_bits)
		return by_blocks;
	if (size > geo->max_file_blocks << geo->block_bits)
		return by_blocks;
	return size;
}

static void check_size(struct block_check *b)
{
	struct ext_inode *raw = &b->c->buf.raw;
	uint64_t size = size_of(raw);
	uint64_t should = size_should_be(b, size);

	if (size != should && !S_ISLNK(le16_get(raw->mode)) &&
	    problem(b->c->f, INODE_SIZE,
		    (struct where){.ino = b->c->ino, .num = size, .num2 = should})) {
		raw->size = le32_make((uint32_t)should);
		raw->size_high = le32_make((uint32_t)(should >> 32));
		b->c->is_dirty = true;
	}
	if (b->is_reg && size_of(raw) >> 31)
		b->c->f->nr_large_files++;
}

static void check_count(struct block_check *b)
{
	struct ext_inode *raw = &b->c->buf.raw;
	uint64_t sectors = b->nr_blocks << (b->c->f->geo.block_bits - SECTOR_SHIFT);

	if (b->is_partial || le32_get(raw->blocks) == sectors)
		return;
	if (problem(b->c->f, INODE_BLOCKS,
		    (struct where){.ino = b->c->ino, .num = le32_get(raw->blocks), .num2 = sectors})) {
		raw->blocks = le32_make((uint32_t)sectors);
		b->c->is_dirty = true;
	}
}

/* ---- the index of a directory ---- */

/* Why the root of the index cannot be one; NULL: it can. */
static const char *index_root_fault(struct inode_check *c)
{
	struct fsck *f = c->f;
	fsblk_t block = le32_get(c->buf.raw.block[0]);
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	const struct ext_dx_root *root = (const void *)bytes;

	if (!pointer_is_possible(f, block) || store_read(&f->store, block, 1, bytes))
		return "no block";
	if (le32_get(root->info.reserved_zero) || root->info.info_length < 8)
		return "its header";
	if (root->info.hash_version > EXT_HASH_TEA)
		return "its hash version";
	if (root->info.unused_flags & 1)
		return "its flags";
	if (root->info.indirect_levels > 1)
		return "its depth";
	return NULL;
}

/* False: the index is not to be used. */
static bool check_index(struct block_check *b)
{
	struct inode_check *c = b->c;
	struct where w = {.ino = c->ino};

	if (!b->is_dir)
		return !problem(c->f, HTREE_NOT_DIR, w);
	if (!c->f->geo.has_dir_index && problem(c->f, HTREE_NO_FEATURE, w))
		return false;
	w.str = index_root_fault(c);
	return !w.str || !problem(c->f, HTREE_ROOT, w);
}

static void note_index(struct block_check *b)
{
	struct ext_inode *raw = &b->c->buf.raw;
	struct dir_info *dir;

	if (!(le32_get(raw->flags) & EXT_INDEX_FL))
		return;
	if (!check_index(b)) {
		raw->flags = le32_make(le32_get(raw->flags) & ~EXT_INDEX_FL);
		b->c->is_dirty = true;
		return;
	}
	dir = fsck_find_dir(b->c->f, b->c->ino);
	if (dir)
		dir->index_blocks = (uint32_t)(b->last_lblk + 1);
}

/* ---- one inode ---- */

static void walk(struct block_check *b)
{
	struct tree_walk w = {
		.f = b->c->f,
		.ino = b->c->ino,
		.visit = visit,
		.look = look,
		.unreadable = unreadable,
		.may_write = may_write,
		.arg = b,
	};

	tree_walk(&w, &b->c->buf.raw);
	b->c->is_dirty |= w.inode_changed;
}

static void clear_empty_dir(struct block_check *b)
{
	struct fsck *f = b->c->f;

	if (!problem(f, DIR_EMPTY, (struct where){.ino = b->c->ino}))
		return;
	fsck_clear_inode(f, b->c->ino, &b->c->buf);
	b->c->is_dirty = false;
	b->c->is_cleared = true;
	f->restart = true;
}

static struct block_check begin_check(struct inode_check *c)
{
	return (struct block_check){
		.c = c,
		.is_dir = S_ISDIR(le16_get(c->buf.raw.mode)),
		.is_reg = S_ISREG(le16_get(c->buf.raw.mode)),
		.last_lblk = -1,
		.last_dir_lblk = -1,
	};
}

void blocks_check(struct inode_check *c)
{
	struct block_check b = begin_check(c);

	if (xattrs_check_block(c))
		b.nr_blocks++;
	if (tree_exists(c->f, &c->buf.raw))
		walk(&b);
	if (b.is_dir && b.nr_blocks == 0) {
		clear_empty_dir(&b);
		if (c->is_cleared)
			return;
	}
	/* '.' and '..' must stand in block 0, which pass 2 can only repair if it meets it. */
	if (b.is_dir && b.last_dir_lblk < 0)
		note_dir_block(&b, 0, 0);
	if (b.is_fragmented) {
		c->f->nr_fragmented += !b.is_dir;
		c->f->nr_fragmented_dirs += b.is_dir;
	}
	note_index(&b);
	check_size(&b);
	check_count(&b);
}

void blocks_list_dir(struct fsck *f, inr_t ino)
{
	struct inode_check c = {.f = f, .ino = ino};
	struct block_check b;

	if (!fsck_read_inode(f, ino, &c.buf))
		return;
	b = begin_check(&c);
	b.is_second = b.is_listing = true;
	walk(&b);
	if (b.last_dir_lblk < 0)
		note_dir_block(&b, 0, 0);
}

void blocks_mend(struct fsck *f)
{
	uint64_t bit = 0, end = f->geo.inodes_count;

	while (f->mend && (bit = bitmap_find_set(f->mend, bit, end)) < end) {
		struct inode_check c = {.f = f, .ino = (inr_t)++bit};
		struct block_check b;

		if (!bitmap_test(f->ino_used, bit - 1) || !fsck_read_inode(f, c.ino, &c.buf))
			continue;
		b = begin_check(&c);
		b.is_second = true;
		walk(&b);
		if (c.is_dirty)
			fsck_write_inode(f, c.ino, &c.buf);
	}
}

/* ---- the bad-blocks inode ---- */

static enum tree_verdict visit_bad(struct tree_walk *w, uint32_t *pointer, unsigned level, lblk_t lblk)
{
	struct inode_check *c = w->arg;
	struct fsck *f = w->f;
	struct where where = {.ino = c->ino, .block = *pointer, .lblk = lblk};

	if (!pointer_is_possible(f, *pointer)) {
		if (problem(f, BAD_INODE_BLOCK, where))
			*pointer = 0;
		return TREE_SKIP;
	}
	if (level == 0 && bitmap_test(f->found, block_bit(f, *pointer))) {
		/* Metadata does not move away from bad blocks, and what lies in them would be passed over. */
		if (problem(f, BAD_INODE_METADATA, where))
			*pointer = 0;
		return TREE_SKIP;
	}
	if (level == 0) {
		claim_bad_block(f, *pointer);
		return TREE_SKIP;
	}
	if (bitmap_test(f->found, block_bit(f, *pointer))) {
		if (problem(f, BAD_INODE_USED, where))
			*pointer = 0;
		return TREE_SKIP;
	}
	claim_block(f, *pointer);
	return TREE_GO;
}

void blocks_check_bad_list(struct inode_check *c)
{
	struct tree_walk w = {.f = c->f, .ino = c->ino, .visit = visit_bad, .arg = c};

	if (badlist_claim(c))
		return;
	/* Its mode is 0, and yet it has a tree. */
	tree_walk(&w, &c->buf.raw);
	c->is_dirty |= w.inode_changed;
}
