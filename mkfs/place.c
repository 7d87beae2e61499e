/*
 * Where everything lies: three places in each group, and one file after another from the start.
 *
 *	group:	| super | descriptors | reserve | bitmap | bitmap | inode table | free ...
 *	        '---- head, where it has one ---'
 *
 * A RAID stride moves the bitmaps of group n by n strides, so that not all of them lie on one disk.
 *
 * Files take the next free block each time, so "in use" needs no list: it is the metadata of the
 * groups, and whatever is free otherwise but lies before data_end (P2). lost+found, where it lies
 * apart, counts as metadata here.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "layout/blockpath.h"
#include "layout/group.h"
#include "layout/super.h"

#define LPF_BYTES 16384u	/* of lost+found: room for fsck to reconnect without allocating */
#define LAST_USED_INO EXT_GOOD_OLD_FIRST_INO	/* lost+found */

/* ---- the groups' own blocks ---- */

struct run {
	fsblk_t first;
	uint64_t count;
};

#define GROUP_RUNS 5

static fsblk_t group_end(const struct geometry *geo, group_t g)
{
	return group_first_block(geo, g) + group_blocks(geo, g);
}

/* Where the staggered bitmaps of a group begin to be looked for. */
static fsblk_t stagger(const struct plan *plan, group_t g, fsblk_t first_free)
{
	fsblk_t last = group_end(&plan->geo, g) - 1;
	fsblk_t start = first_free + plan->geo.inode_table_blocks;

	if (!plan->stride)
		return first_free;
	start += (uint64_t)plan->stride * g % (last - start + 1);
	return start >= last ? first_free : start;
}

struct group_places plan_group_places(const struct plan *plan, group_t g)
{
	fsblk_t first_free = group_first_block(&plan->geo, g) + group_overhead(&plan->geo, g);
	struct group_places p;

	p.block_bitmap = stagger(plan, g, first_free);
	p.inode_bitmap = p.block_bitmap + 1;
	/* The table goes to the first gap that takes it: before the bitmaps or behind them. */
	p.inode_table = first_free;
	if (p.block_bitmap < first_free + plan->geo.inode_table_blocks)
		p.inode_table = p.inode_bitmap + 1;
	return p;
}

/* Blocks that lost+found takes of group g where it lies apart, else 0. */
static unsigned lpf_apart(const struct plan *plan, group_t g)
{
	bool here = plan->lpf_is_apart && group_of_block(&plan->geo, plan->lpf_blocks[0]) == g;

	return here ? plan->nr_lpf_blocks : 0;
}

static void group_runs(const struct plan *plan, group_t g, struct run runs[GROUP_RUNS])
{
	const struct geometry *geo = &plan->geo;
	struct group_places p = plan_group_places(plan, g);

	runs[0] = (struct run){group_first_block(geo, g), group_overhead(geo, g)};
	runs[1] = (struct run){p.block_bitmap, 1};
	runs[2] = (struct run){p.inode_bitmap, 1};
	runs[3] = (struct run){p.inode_table, geo->inode_table_blocks};
	runs[4] = (struct run){plan->lpf_blocks[0], lpf_apart(plan, g)};
}

static uint64_t group_free_blocks(const struct plan *plan, group_t g)
{
	return group_blocks(&plan->geo, g) - group_overhead(&plan->geo, g) - 2 - plan->geo.inode_table_blocks;
}

uint64_t place_free_blocks(const struct plan *plan)
{
	uint64_t sum = 0;

	for (group_t g = 0; g < plan->geo.groups_count; g++)
		sum += group_free_blocks(plan, g);
	return sum;
}

/* The first free block of group g from `from` on, or the group's end. */
static fsblk_t skip_metadata(const struct run runs[GROUP_RUNS], fsblk_t from, fsblk_t end)
{
	for (int i = 0; i < GROUP_RUNS && from < end; i++) {
		if (from < runs[i].first || from >= runs[i].first + runs[i].count)
			continue;
		from = runs[i].first + runs[i].count;
		i = -1;		/* the runs are not sorted: look at all again */
	}
	return min(from, end);
}

static fsblk_t next_metadata(const struct run runs[GROUP_RUNS], fsblk_t from, fsblk_t end)
{
	for (int i = 0; i < GROUP_RUNS; i++)
		if (runs[i].count && runs[i].first > from)
			end = min(end, runs[i].first);
	return end;
}

fsblk_t plan_free_run(const struct plan *plan, fsblk_t from, uint64_t *ret_len)
{
	const struct geometry *geo = &plan->geo;
	struct run runs[GROUP_RUNS];

	*ret_len = 0;
	from = max(from, geo->first_data_block);
	while (from < geo->blocks_count) {
		group_t g = group_of_block(geo, from);
		fsblk_t end = group_end(geo, g);

		group_runs(plan, g, runs);
		from = skip_metadata(runs, from, end);
		if (from < end) {
			*ret_len = next_metadata(runs, from, end) - from;
			return from;
		}
	}
	return geo->blocks_count;
}

/* ---- counts and bitmaps ---- */

/* Blocks of [from, to) that are no metadata; both lie in group g, or to is its end. */
static uint64_t free_between(const struct plan *plan, fsblk_t from, fsblk_t to)
{
	uint64_t sum = 0, len;

	while ((from = plan_free_run(plan, from, &len)) < to) {
		sum += min(len, to - from);
		from += len;
	}
	return sum;
}

/* Blocks of group g that the files take. */
static uint64_t group_file_blocks(const struct plan *plan, group_t g)
{
	fsblk_t first = group_first_block(&plan->geo, g);

	if (plan->data_end <= first)
		return lpf_apart(plan, g);
	if (plan->data_end >= group_end(&plan->geo, g))
		return group_free_blocks(plan, g);
	return free_between(plan, first, plan->data_end) + lpf_apart(plan, g);
}

uint32_t plan_used_inodes(const struct plan *plan, group_t g)
{
	uint32_t before = g * plan->geo.inodes_per_group;

	if (plan->super_only || before >= LAST_USED_INO)
		return 0;
	return min(LAST_USED_INO - before, plan->geo.inodes_per_group);
}

static uint16_t group_dirs(const struct plan *plan, group_t g)
{
	if (plan->super_only)
		return 0;
	return (uint16_t)((group_of_inode(&plan->geo, EXT_ROOT_INO) == g) +
			  (group_of_inode(&plan->geo, LAST_USED_INO) == g));
}

void plan_group_desc(const struct plan *plan, group_t g, struct ext_group_desc *ret)
{
	struct group_places p = plan_group_places(plan, g);

	memset(ret, 0, sizeof(*ret));
	ret->block_bitmap = le32_make((uint32_t)p.block_bitmap);
	ret->inode_bitmap = le32_make((uint32_t)p.inode_bitmap);
	ret->inode_table = le32_make((uint32_t)p.inode_table);
	ret->free_blocks_count =
		le16_make((uint16_t)(group_free_blocks(plan, g) - group_file_blocks(plan, g)));
	ret->free_inodes_count = le16_make((uint16_t)(plan->geo.inodes_per_group - plan_used_inodes(plan, g)));
	ret->used_dirs_count = le16_make(group_dirs(plan, g));
}

void plan_block_bitmap(const struct plan *plan, group_t g, void *bitmap)
{
	fsblk_t first = group_first_block(&plan->geo, g);
	fsblk_t end = group_end(&plan->geo, g);
	struct ext_group_desc desc;

	plan_group_desc(plan, g, &desc);
	ignore(block_bitmap_init(&plan->geo, g, &desc, bitmap), "the descriptor has the number already");
	if (plan->data_end > first)
		bitmap_set_range(bitmap, 0, min(plan->data_end, end) - first);
	if (lpf_apart(plan, g))
		bitmap_set_range(bitmap, plan->lpf_blocks[0] - first, plan->nr_lpf_blocks);
}

void plan_inode_bitmap(const struct plan *plan, group_t g, void *bitmap)
{
	ignore(inode_bitmap_init(&plan->geo, g, bitmap), "the descriptor has the number already");
	bitmap_set_range(bitmap, 0, plan_used_inodes(plan, g));
}

/* ---- the files ---- */

/* Moves *at over nr free blocks; returns how many there were not. */
static uint64_t take(const struct plan *plan, fsblk_t *at, uint64_t nr)
{
	uint64_t len;

	while (nr) {
		fsblk_t first = plan_free_run(plan, *at, &len);

		if (len == 0)
			break;
		len = min(len, nr);
		*at = first + len;
		nr -= len;
	}
	return nr;
}

/* One free block; 0 when there is none (block 0 is never free). */
static fsblk_t take_one(const struct plan *plan, fsblk_t *at)
{
	return take(plan, at, 1) ? 0 : *at - 1;
}

static bool place_lost_found(struct plan *plan, fsblk_t *at)
{
	group_t g = group_of_inode(&plan->geo, LAST_USED_INO);
	uint64_t len;
	fsblk_t first = plan_free_run(plan, group_first_block(&plan->geo, g), &len);
	/* Only as one run in one group; where that does not fit, in order after all. */
	bool is_apart = group_of_inode(&plan->geo, EXT_ROOT_INO) != g && first > *at &&
			len >= plan->nr_lpf_blocks;
	fsblk_t *from = is_apart ? &first : at;

	for (unsigned i = 0; i < plan->nr_lpf_blocks; i++) {
		plan->lpf_blocks[i] = take_one(plan, from);
		if (!plan->lpf_blocks[i])
			return false;
	}
	plan->lpf_is_apart = is_apart;
	return true;
}

static uint64_t place_directories(struct plan *plan, fsblk_t *at)
{
	plan->nr_lpf_blocks = min(LPF_BYTES / plan->geo.block_size, PLAN_LPF_BLOCKS_MAX);
	plan->root_block = take_one(plan, at);
	return plan->root_block && place_lost_found(plan, at) ? 0 : 1;
}

static void fill_counts(struct plan *plan)
{
	struct ext_super *s = &plan->super;
	uint64_t free_blocks = 0, metadata;
	uint32_t used_inodes = 0;

	for (group_t g = 0; g < plan->geo.groups_count; g++) {
		free_blocks += group_free_blocks(plan, g) - group_file_blocks(plan, g);
		used_inodes += plan_used_inodes(plan, g);
	}
	s->free_blocks_count = le32_make((uint32_t)free_blocks);
	s->free_inodes_count = le32_make(plan->geo.inodes_count - used_inodes);
	/* What statfs takes off; with -S it stays 0, which means: to be computed. */
	metadata = plan->geo.blocks_count - place_free_blocks(plan) + plan->journal_blocks;
	if (!plan->super_only)
		s->overhead_clusters = le32_make((uint32_t)metadata);
}

static void clear_journal(struct plan *plan)
{
	uint32_t compat = plan->geo.feature_compat & ~EXT_COMPAT_HAS_JOURNAL;

	plan->geo.has_journal = false;
	plan->geo.feature_compat = compat;
	plan->super.feature_compat = le32_make(compat);
}

int place_files(struct plan *plan, char *err, size_t err_size)
{
	const struct geometry *geo = &plan->geo;
	fsblk_t at = geo->first_data_block;
	uint64_t missing = 0;

	if (geo->has_journal && !plan->journal_blocks)
		clear_journal(plan);
	if (plan->journal_blocks)
		plan->super.journal_inum = le32_make(EXT_JOURNAL_INO);
	if (plan->super_only) {
		/* Files that are there already keep their blocks; fsck finds them. */
		plan->journal_blocks = 0;
		fill_counts(plan);
		return 0;
	}
	missing = place_directories(plan, &at);
	if (geo->has_resize_inode) {
		plan->resize_block = take_one(plan, &at);
		missing += plan->resize_block == 0;
	}
	plan->journal_start = at;
	plan->journal_tree_blocks =
		plan->journal_blocks ? blockpath_indirect_blocks(geo, plan->journal_blocks) : 0;
	missing += take(plan, &at, plan->journal_blocks + plan->journal_tree_blocks);
	plan->data_end = at;
	if (missing) {
		snprintf(err, err_size, "%llu blocks are too few for its tables, lost+found and journal",
			 (unsigned long long)geo->blocks_count);
		return -ENOSPC;
	}
	fill_counts(plan);
	return 0;
}
