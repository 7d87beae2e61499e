/* Blocks and inodes for repairs, from the maps of pass 1. */
#include "alloc.h"

#include "base/bitmap.h"

/*
 * A block is looked for this far behind its goal, and then where the last search of the whole ended: nothing is
 * freed meanwhile, so a million copies do not search a full bitmap a million times.
 */
#define NEAR_BLOCKS 4096u

static uint64_t nr_block_bits(const struct fsck *f)
{
	return f->geo.blocks_count - f->geo.first_data_block;
}

fsblk_t alloc_block(struct fsck *f, fsblk_t goal)
{
	uint64_t end = nr_block_bits(f);
	uint64_t from =
		goal > f->geo.first_data_block && goal < f->geo.blocks_count ? block_bit(f, goal) : 0;
	uint64_t near = min(from + NEAR_BLOCKS, end), bit;

	if (f->is_full)
		return 0;
	bit = bitmap_find_clear(f->found, from, near);
	if (bit == near) {
		bit = bitmap_find_clear(f->found, f->alloc_at, end);
		if (bit == end)
			bit = bitmap_find_clear(f->found, 0, end);
		f->alloc_at = bit;
	}
	f->is_full = bit == end;
	if (f->is_full)
		return 0;
	bitmap_set(f->found, bit);
	return bit + f->geo.first_data_block;
}

fsblk_t alloc_run_in_group(struct fsck *f, group_t g, uint32_t count)
{
	uint64_t from = block_bit(f, group_first_block(&f->geo, g));
	uint64_t end = from + group_blocks(&f->geo, g);
	uint64_t bit = bitmap_find_clear_run(f->found, from, end, count);

	if (bit == end)
		return 0;
	bitmap_set_range(f->found, bit, count);
	return bit + f->geo.first_data_block;
}

/* A clear bit in a group whose table is good; end if there is none. */
static uint64_t find_inode(const struct fsck *f, uint64_t from, uint64_t end)
{
	uint64_t bit = from;

	while ((bit = bitmap_find_clear(f->ino_used, bit, end)) < end) {
		group_t g = group_of_inode(&f->geo, (inr_t)bit + 1);

		if (!bitmap_test(f->bad_tables, g))
			return bit;
		bit = (uint64_t)(g + 1) * f->geo.inodes_per_group;
		if (bit >= end)
			return end;
	}
	return end;
}

inr_t alloc_inode(struct fsck *f, inr_t near_ino)
{
	uint64_t first = f->geo.first_ino - 1, end = f->geo.inodes_count;
	uint64_t from = max((uint64_t)near_ino, first);
	uint64_t bit = from < end ? find_inode(f, from, end) : end;

	if (bit == end)
		bit = find_inode(f, first, end);
	if (bit == end)
		return 0;
	bitmap_set(f->ino_used, bit);
	return (inr_t)bit + 1;
}
