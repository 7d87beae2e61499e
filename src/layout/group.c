/* The gates for group descriptors and bitmaps, and the bitmaps of a fresh group. FORMAT.md 3.4 and 4. */
#include "layout/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bitmap.h"
#include "refuse.h"

/* A run of blocks that the descriptor names. */
struct run {
	const char *what;
	fsblk_t first;
	uint32_t count;
};

#define GROUP_RUNS 3

static void runs_of_group(const struct geometry *geo, const struct ext_group_desc *desc,
			  struct run runs[GROUP_RUNS])
{
	runs[0] = (struct run){"block bitmap", le32_get(desc->block_bitmap), 1};
	runs[1] = (struct run){"inode bitmap", le32_get(desc->inode_bitmap), 1};
	runs[2] = (struct run){"inode table", le32_get(desc->inode_table), geo->inode_table_blocks};
}

static bool runs_meet(fsblk_t a, uint64_t a_count, fsblk_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

/* Does a valid run touch the superblock copy or descriptors of any group that it passes through? */
static bool run_meets_a_head(const struct geometry *geo, const struct run *run)
{
	group_t last = group_of_block(geo, run->first + run->count - 1);
	group_t g;

	for (g = group_of_block(geo, run->first); g <= last; g++)
		if (runs_meet(run->first, run->count, group_first_block(geo, g),
			      group_overhead(geo, g)))
			return true;
	return false;
}

static int check_place(const struct geometry *geo, group_t g, const struct run *run, struct why why)
{
	fsblk_t start = group_first_block(geo, g);

	if (!block_run_is_valid(geo, run->first, run->count))
		return refuse(why, "group %u: %s at block %" PRIu64 " is outside the file system", g,
			      run->what, run->first);
	if (!geo->flex_bg && (run->first < start ||
			      run->first + run->count > start + group_blocks(geo, g)))
		return refuse(why, "group %u: %s at block %" PRIu64 " is outside the group", g,
			      run->what, run->first);
	if (run_meets_a_head(geo, run))
		return refuse(why, "group %u: %s at block %" PRIu64 " lies over superblock or descriptors",
			      g, run->what, run->first);
	return 0;
}

static int check_overlap(group_t g, const struct run runs[GROUP_RUNS], struct why why)
{
	unsigned i, j;

	for (i = 0; i < GROUP_RUNS; i++)
		for (j = i + 1; j < GROUP_RUNS; j++)
			if (runs_meet(runs[i].first, runs[i].count, runs[j].first, runs[j].count))
				return refuse(why, "group %u: %s and %s lie over each other", g,
					      runs[i].what, runs[j].what);
	return 0;
}

static int check_desc_counts(const struct geometry *geo, group_t g, const struct ext_group_desc *desc,
			     struct why why)
{
	uint32_t free_blocks = le16_get(desc->free_blocks_count);
	uint32_t free_inodes = le16_get(desc->free_inodes_count);
	uint32_t dirs = le16_get(desc->used_dirs_count);

	if (free_blocks > group_blocks(geo, g))
		return refuse(why, "group %u: %u free blocks of %u", g, free_blocks,
			      group_blocks(geo, g));
	if (free_inodes + dirs > geo->inodes_per_group)
		return refuse(why, "group %u: %u free inodes and %u directories of %u inodes", g,
			      free_inodes, dirs, geo->inodes_per_group);
	return 0;
}

int group_desc_check(const struct geometry *geo, group_t g, const struct ext_group_desc *desc,
		     char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	struct run runs[GROUP_RUNS];
	unsigned i;
	int err = 0;

	runs_of_group(geo, desc, runs);
	for (i = 0; i < GROUP_RUNS && !err; i++)
		err = check_place(geo, g, &runs[i], why);
	if (!err)
		err = check_overlap(g, runs, why);
	if (!err)
		err = check_desc_counts(geo, g, desc, why);
	return err;
}

/* ---- bitmaps ---- */

/* The part of a run that lies in group g, as bits of its block bitmap: *ret_from, and the count (0: none). */
static uint32_t run_in_group(const struct geometry *geo, group_t g, const struct run *run,
			     grpblk_t *ret_from)
{
	fsblk_t start = group_first_block(geo, g);
	fsblk_t from = max(run->first, start);
	fsblk_t end = min(run->first + run->count, start + group_blocks(geo, g));

	if (from >= end)
		return 0;
	*ret_from = (grpblk_t)(from - start);
	return (uint32_t)(end - from);
}

static bool range_is_set(const void *bitmap, uint64_t from, uint64_t count)
{
	return bitmap_find_clear(bitmap, from, from + count) == from + count;
}

bool bitmap_padding_is_set(const void *bitmap, uint32_t used, unsigned block_size)
{
	uint32_t bits = block_size * 8;

	return used >= bits || range_is_set(bitmap, used, bits - used);
}

int block_bitmap_check(const struct geometry *geo, group_t g, const struct ext_group_desc *desc,
		       const void *bitmap, char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	struct run runs[GROUP_RUNS];
	grpblk_t from;
	uint32_t count;
	unsigned i;

	if (!range_is_set(bitmap, 0, group_overhead(geo, g)))
		return refuse(why, "block bitmap of group %u has superblock or descriptors free", g);
	runs_of_group(geo, desc, runs);
	for (i = 0; i < GROUP_RUNS; i++) {
		count = run_in_group(geo, g, &runs[i], &from);
		if (count && !range_is_set(bitmap, from, count))
			return refuse(why, "block bitmap of group %u has its %s free", g, runs[i].what);
	}
	if (!bitmap_padding_is_set(bitmap, group_blocks(geo, g), geo->block_size))
		return refuse(why, "block bitmap of group %u has free blocks behind the group's end", g);
	return 0;
}

/* How many of the group's inodes are reserved: all of them below first_ino, as a rule in group 0 only. */
static uint32_t reserved_inodes_in_group(const struct geometry *geo, group_t g)
{
	inr_t first = group_first_inode(geo, g);

	if (first >= geo->first_ino)
		return 0;
	return min(geo->first_ino - first, geo->inodes_per_group);
}

int inode_bitmap_check(const struct geometry *geo, group_t g, const void *bitmap, char *why_text,
		       size_t why_size)
{
	struct why why = {why_text, why_size};

	if (!range_is_set(bitmap, 0, reserved_inodes_in_group(geo, g)))
		return refuse(why, "inode bitmap of group %u has reserved inodes free", g);
	if (!bitmap_padding_is_set(bitmap, geo->inodes_per_group, geo->block_size))
		return refuse(why, "inode bitmap of group %u has free inodes behind the group's end", g);
	return 0;
}

/* Clears the first used bits of a bitmap and sets all behind them. */
static void init_padding(void *bitmap, uint32_t used, unsigned block_size)
{
	memset(bitmap, 0, block_size);
	bitmap_set_range(bitmap, used, block_size * 8 - used);
}

uint32_t block_bitmap_init(const struct geometry *geo, group_t g, const struct ext_group_desc *desc,
			   void *bitmap)
{
	struct run runs[GROUP_RUNS];
	grpblk_t from;
	uint32_t count;
	unsigned i;

	init_padding(bitmap, group_blocks(geo, g), geo->block_size);
	bitmap_set_range(bitmap, 0, group_overhead(geo, g));
	runs_of_group(geo, desc, runs);
	for (i = 0; i < GROUP_RUNS; i++) {
		count = run_in_group(geo, g, &runs[i], &from);
		if (count)
			bitmap_set_range(bitmap, from, count);
	}
	return group_blocks(geo, g) -
	       (uint32_t)bitmap_count_set(bitmap, 0, group_blocks(geo, g));
}

uint32_t inode_bitmap_init(const struct geometry *geo, group_t g, void *bitmap)
{
	uint32_t reserved = reserved_inodes_in_group(geo, g);

	init_padding(bitmap, geo->inodes_per_group, geo->block_size);
	bitmap_set_range(bitmap, 0, reserved);
	return geo->inodes_per_group - reserved;
}
