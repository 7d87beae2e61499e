/*
 * Pass 0: the group descriptors.
 *
 * They are judged one by one. Where one is impossible and a copy of it is not, the copy is used for
 * that group alone. Where both are possible and name different places, what lies there decides.
 */
#include "descs.h"

#include <errno.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "layout/group.h"
#include "layout/inode.h"

#define WHY_BYTES 192

/* The copy of group g's descriptor that group copy holds, if it holds one. */
static bool read_copy(struct fsck *f, group_t copy, group_t g, struct ext_group_desc *ret,
		      fsblk_t *ret_block)
{
	struct group_head head = group_head(&f->geo, copy);
	uint32_t i = group_desc_block(&f->geo, g);
	uint8_t block[EXT_BLOCK_SIZE_MAX];

	if (!head.gdt_blocks || i < head.gdt_index || i >= head.gdt_index + head.gdt_blocks)
		return false;
	*ret_block = head.gdt + (i - head.gdt_index);
	if (*ret_block == group_desc_location(&f->geo, i))
		return false; /* with meta_bg the primary lies among the copies */
	if (store_read(&f->store, *ret_block, 1, block))
		return false;
	memcpy(ret, block + group_desc_offset(&f->geo, g), sizeof(*ret));
	return true;
}

static bool places_differ(const struct ext_group_desc *a, const struct ext_group_desc *b)
{
	return le32_get(a->block_bitmap) != le32_get(b->block_bitmap) ||
	       le32_get(a->inode_bitmap) != le32_get(b->inode_bitmap) ||
	       le32_get(a->inode_table) != le32_get(b->inode_table);
}

static void use_copy(struct fsck *f, group_t g, const struct ext_group_desc *copy)
{
	f->desc[g].block_bitmap = copy->block_bitmap;
	f->desc[g].inode_bitmap = copy->inode_bitmap;
	f->desc[g].inode_table = copy->inode_table;
	f->desc[g].flags = copy->flags;
	f->desc[g].itable_unused = copy->itable_unused;
	f->desc_dirty = true;
}

/* The first copy of the descriptor of group g that passes the gate and names other places. */
static bool find_good_copy(struct fsck *f, group_t g, struct ext_group_desc *ret, fsblk_t *ret_block)
{
	char why[WHY_BYTES];
	group_t c;

	for (c = 1; c < f->geo.groups_count; c++)
		if (read_copy(f, c, g, ret, ret_block) && places_differ(ret, &f->desc[g]) &&
		    !group_desc_check(&f->geo, g, ret, why, sizeof(why)))
			return true;
	return false;
}

bool descs_read_inode(struct fsck *f, inr_t ino, union inode_buf *ret)
{
	group_t g = group_of_inode(&f->geo, ino);
	struct ext_group_desc present = f->desc[g], copy;
	fsblk_t block;
	bool is_read;

	if (!find_good_copy(f, g, &copy, &block))
		return false;
	f->desc[g] = copy;
	is_read = fsck_read_inode(f, ino, ret);
	f->desc[g] = present;
	return is_read;
}

static void replace_impossible(struct fsck *f, group_t g, const char *why)
{
	struct ext_group_desc copy;
	fsblk_t block;

	if (find_good_copy(f, g, &copy, &block) &&
	    problem(f, DESC_FROM_BACKUP, (struct where){.group = g, .block = block, .str = why}))
		use_copy(f, g, &copy);
}

group_t descs_count_lost(struct fsck *f)
{
	struct ext_group_desc copy;
	char why[WHY_BYTES];
	fsblk_t block;
	group_t g, nr = 0;

	for (g = 0; g < f->geo.groups_count; g++)
		nr += group_desc_check(&f->geo, g, &f->desc[g], why, sizeof(why)) &&
		      !find_good_copy(f, g, &copy, &block);
	return nr;
}

/* ---- possible, but not what a copy says ---- */

/* A root directory outweighs what a table of any size can show. */
#define ROOT_WEIGHT (1 << 20)
/* So many groups are enough to tell one geometry from another. */
#define GROUPS_JUDGED 32
#define NOT_READABLE  (-((int64_t)1 << 40))

/* For and against the inode at this place of the table: can it be one, and does the bitmap know of it? */
static int judge_inode(const struct fsck *f, inr_t ino, const uint8_t *bytes, bool is_marked)
{
	struct inode_fields fields;
	char why[WHY_BYTES];
	int points = 0, err;

	inode_decode(&f->geo, bytes, &fields);
	err = inode_check(&f->geo, ino, &fields, why, sizeof(why));
	if (ino == EXT_ROOT_INO && !err && S_ISDIR(fields.mode))
		points += ROOT_WEIGHT;
	if (ino >= f->geo.first_ino)
		points += (fields.links != 0) == is_marked ? 1 : -1;
	return points + (err == -EUCLEAN ? -1 : err == 0);
}

static int64_t judge_places(struct fsck *f, group_t g, const struct ext_group_desc *d)
{
	const struct geometry *geo = &f->geo;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX], map[EXT_BLOCK_SIZE_MAX];
	uint32_t b, i, nth = 0;
	int64_t points = 0;

	if (store_read(&f->store, le32_get(d->inode_bitmap), 1, map))
		return NOT_READABLE;
	for (b = 0; b < geo->inode_table_blocks; b++) {
		if (store_read(&f->store, le32_get(d->inode_table) + b, 1, bytes))
			return NOT_READABLE;
		for (i = 0; i < geo->inodes_per_block && nth < geo->inodes_per_group; i++, nth++)
			points += judge_inode(f, group_first_inode(geo, g) + nth, bytes + i * geo->inode_size,
					      bitmap_test(map, nth));
	}
	return points;
}

int64_t descs_judge(struct fsck *f)
{
	struct ext_group_desc copy;
	char why[WHY_BYTES];
	int64_t points = 0;
	fsblk_t block;
	group_t g;

	for (g = 0; g < min(f->geo.groups_count, (group_t)GROUPS_JUDGED); g++) {
		if (!group_desc_check(&f->geo, g, &f->desc[g], why, sizeof(why)))
			points += judge_places(f, g, &f->desc[g]);
		else if (find_good_copy(f, g, &copy, &block))
			points += judge_places(f, g, &copy);
	}
	return points;
}

/*
 * Places never move but by tools that change the copies too. A descriptor that is possible and yet names
 * other places than its copy is one whose bits were flipped, or an old or foreign block; or the copy is.
 * What lies at the two places decides, and the primary where that tells nothing.
 */
static void compare_with_copy(struct fsck *f, group_t g, const struct ext_group_desc *copy, fsblk_t block)
{
	char why[WHY_BYTES];

	if (!places_differ(copy, &f->desc[g]) || group_desc_check(&f->geo, g, copy, why, sizeof(why)) ||
	    judge_places(f, g, copy) <= judge_places(f, g, &f->desc[g]))
		return;
	if (problem(f, DESC_FROM_BACKUP,
		    (struct where){.group = g, .block = block, .str = "no inodes lie where it says"}))
		use_copy(f, g, copy);
}

static bool run_is_in_group(const struct fsck *f, group_t g, fsblk_t block, uint32_t count)
{
	fsblk_t first = group_first_block(&f->geo, g);
	fsblk_t end = first + group_blocks(&f->geo, g);

	return block >= first && block + count <= end;
}

/* What lies outside its group is marked to be placed anew; a table's files are lost with it. */
static void check_places(struct fsck *f, group_t g)
{
	struct ext_group_desc *d = &f->desc[g];
	struct where w = {.group = g};

	w.block = le32_get(d->block_bitmap);
	if (!run_is_in_group(f, g, w.block, 1)) {
		problem(f, DESC_BLOCK_BITMAP, w);
		bitmap_set(f->bad_block_bitmaps, g);
	}
	w.block = le32_get(d->inode_bitmap);
	if (!run_is_in_group(f, g, w.block, 1)) {
		problem(f, DESC_INODE_BITMAP, w);
		bitmap_set(f->bad_inode_bitmaps, g);
	}
	w.block = le32_get(d->inode_table);
	if (!run_is_in_group(f, g, w.block, f->geo.inode_table_blocks)) {
		problem(f, DESC_INODE_TABLE, w);
		bitmap_set(f->bad_tables, g);
	}
}

static void check_counts(struct fsck *f, group_t g)
{
	struct ext_group_desc *d = &f->desc[g];

	if (le16_get(d->free_blocks_count) <= f->geo.blocks_per_group &&
	    le16_get(d->free_inodes_count) <= f->geo.inodes_per_group &&
	    le16_get(d->used_dirs_count) <= f->geo.inodes_per_group)
		return;
	if (problem(f, DESC_COUNTS, (struct where){.group = g})) {
		d->free_blocks_count = le16_make(0);
		d->free_inodes_count = le16_make(0);
		d->used_dirs_count = le16_make(0);
		f->desc_dirty = true;
	}
}

static void check_uninit(struct fsck *f, group_t g)
{
	struct ext_group_desc *d = &f->desc[g];
	uint16_t flags = le16_get(d->flags);

	if (!(flags & (EXT_BG_INODE_UNINIT | EXT_BG_BLOCK_UNINIT)) && !le16_get(d->itable_unused))
		return;
	if (problem(f, DESC_UNINIT, (struct where){.group = g})) {
		flags = (uint16_t)(flags & ~(EXT_BG_INODE_UNINIT | EXT_BG_BLOCK_UNINIT));
		d->flags = le16_make(flags);
		d->itable_unused = le16_make(0);
		f->desc_dirty = true;
	}
}

/* copies: the block of a group's copies that holds those of g, or NULL. */
static void check_desc(struct fsck *f, group_t g, const uint8_t *copies, fsblk_t block)
{
	struct ext_group_desc copy;
	char why[WHY_BYTES];

	check_counts(f, g);
	check_uninit(f, g);
	if (group_desc_check(&f->geo, g, &f->desc[g], why, sizeof(why))) {
		replace_impossible(f, g, why);
	} else if (copies) {
		memcpy(&copy, copies + group_desc_offset(&f->geo, g), sizeof(copy));
		compare_with_copy(f, g, &copy, block);
	}
	check_places(f, g);
}

/* Reads the first block of copies that has the descriptor of group g. */
static bool read_copies(struct fsck *f, group_t g, uint8_t *bytes, fsblk_t *ret_block)
{
	struct ext_group_desc copy;
	group_t c;

	for (c = 1; c < f->geo.groups_count; c++)
		if (read_copy(f, c, g, &copy, ret_block))
			return !store_read(&f->store, *ret_block, 1, bytes);
	return false;
}

void descs_check(struct fsck *f)
{
	uint8_t copies[EXT_BLOCK_SIZE_MAX];
	bool has_copies = false;
	fsblk_t block = 0;
	group_t g;

	for (g = 0; g < f->geo.groups_count; g++) {
		if (g % f->geo.desc_per_block == 0)
			has_copies = read_copies(f, g, copies, &block);
		check_desc(f, g, has_copies ? copies : NULL, block);
	}
}

void descs_read(struct fsck *f)
{
	size_t maps = f->geo.groups_count / 8 + 1;
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	group_t g;

	f->desc = fsck_alloc(f, (size_t)f->geo.gdt_blocks * f->geo.block_size);
	f->bad_tables = fsck_alloc(f, maps);
	f->bad_block_bitmaps = fsck_alloc(f, maps);
	f->bad_inode_bitmaps = fsck_alloc(f, maps);
	for (g = 0; g < f->geo.groups_count; g++) {
		if (g % f->geo.desc_per_block == 0)
			fsck_read_block(f, group_desc_location(&f->geo, group_desc_block(&f->geo, g)),
					block);
		memcpy(&f->desc[g], block + group_desc_offset(&f->geo, g), sizeof(f->desc[g]));
	}
}

void descs_take_totals(struct fsck *f)
{
	uint64_t free_blocks = 0, free_inodes = 0;
	group_t g;

	if (!fsck_may_write(f))
		return;
	for (g = 0; g < f->geo.groups_count; g++) {
		free_blocks += le16_get(f->desc[g].free_blocks_count);
		free_inodes += le16_get(f->desc[g].free_inodes_count);
	}
	if (free_blocks > f->geo.blocks_count || free_inodes > f->geo.inodes_count ||
	    (free_blocks == le32_get(f->super.free_blocks_count) &&
	     free_inodes == le32_get(f->super.free_inodes_count)))
		return;
	f->super.free_blocks_count = le32_make((uint32_t)free_blocks);
	f->super.free_inodes_count = le32_make((uint32_t)free_inodes);
	f->super_dirty = true;
}

static void free_and_null(void *field)
{
	void **p = field;

	mem_free(*p);
	*p = NULL;
}

void descs_forget(struct fsck *f)
{
	free_and_null(&f->desc);
	free_and_null(&f->bad_tables);
	free_and_null(&f->bad_block_bitmaps);
	free_and_null(&f->bad_inode_bitmaps);
}

/* ---- writing ---- */

void descs_write_block(struct fsck *f, fsblk_t block, uint32_t index)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX] = {0};
	group_t first = index * f->geo.desc_per_block;
	group_t count = min(f->geo.groups_count - first, f->geo.desc_per_block);

	memcpy(bytes, &f->desc[first], count * sizeof(f->desc[0]));
	fsck_write_block(f, block, bytes);
}

void descs_write(struct fsck *f)
{
	uint32_t i;

	for (i = 0; i < f->geo.gdt_blocks; i++)
		descs_write_block(f, group_desc_location(&f->geo, i), i);
}
