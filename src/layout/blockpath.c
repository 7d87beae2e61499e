/* From a block of a file to slots of its tree, and back. FORMAT.md 6. */
#include "layout/blockpath.h"

#include <errno.h>

/* Data blocks below a node that has this many levels of indirect blocks, itself included. */
static uint64_t blocks_below(const struct geometry *geo, unsigned levels)
{
	return UINT64_C(1) << (geo->addr_bits * levels);
}

unsigned blockpath_slot_depth(unsigned slot)
{
	return slot < EXT_NDIR_BLOCKS ? 1 : slot - EXT_NDIR_BLOCKS + 2;
}

lblk_t blockpath_slot_start(const struct geometry *geo, unsigned slot)
{
	lblk_t start = EXT_NDIR_BLOCKS;
	unsigned i;

	if (slot < EXT_NDIR_BLOCKS)
		return slot;
	for (i = EXT_IND_BLOCK; i < slot; i++)
		start += blocks_below(geo, blockpath_slot_depth(i) - 1);
	return start;
}

static unsigned slot_of(const struct geometry *geo, lblk_t lblk)
{
	unsigned slot = EXT_TIND_BLOCK;

	if (lblk < EXT_NDIR_BLOCKS)
		return (unsigned)lblk;
	while (slot > EXT_IND_BLOCK && lblk < blockpath_slot_start(geo, slot))
		slot--;
	return slot;
}

int blockpath(const struct geometry *geo, lblk_t lblk, unsigned offsets[BLOCKPATH_DEPTH_MAX])
{
	unsigned depth, level;
	lblk_t rest;

	if (lblk >= geo->max_file_blocks)
		return -EFBIG;
	offsets[0] = slot_of(geo, lblk);
	depth = blockpath_slot_depth(offsets[0]);
	rest = lblk - blockpath_slot_start(geo, offsets[0]);
	for (level = depth - 1; level >= 1; level--) {
		offsets[level] = (unsigned)rest & (geo->addr_per_block - 1);
		rest >>= geo->addr_bits;
	}
	return (int)depth;
}

lblk_t blockpath_lblk(const struct geometry *geo, const unsigned *offsets, unsigned depth)
{
	lblk_t rest = 0;
	unsigned level;

	for (level = 1; level < depth; level++)
		rest = rest << geo->addr_bits | offsets[level];
	return blockpath_slot_start(geo, offsets[0]) + rest;
}

uint64_t blockpath_span(const struct geometry *geo, unsigned depth, unsigned level)
{
	return blocks_below(geo, depth - 1 - level);
}

unsigned blockpath_leaf_left(const struct geometry *geo, const unsigned *offsets, unsigned depth)
{
	unsigned slots = depth == 1 ? EXT_NDIR_BLOCKS : geo->addr_per_block;

	return slots - offsets[depth - 1];
}

uint64_t blockpath_indirect_blocks(const struct geometry *geo, lblk_t nr_blocks)
{
	uint64_t indirect = 0;
	unsigned slot, level;

	for (slot = EXT_IND_BLOCK; slot <= EXT_TIND_BLOCK; slot++) {
		lblk_t start = blockpath_slot_start(geo, slot);
		unsigned depth = blockpath_slot_depth(slot);
		uint64_t data;

		if (nr_blocks <= start)
			break;
		data = min(nr_blocks - start, blocks_below(geo, depth - 1));
		for (level = 1; level < depth; level++)
			indirect += div_round_up(data, blocks_below(geo, level));
	}
	return indirect;
}
