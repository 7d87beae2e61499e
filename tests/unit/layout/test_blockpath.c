/*
 * A path leads to its block and back for every border and for random blocks; spans and leaf lengths
 * add up; the count of indirect blocks is that of walking the tree.
 */
#include "layout/blockpath.h"

#include <errno.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

static struct geometry geometry_of(unsigned block_size)
{
	struct geometry geo = {0};

	geometry_set_block_size(&geo, block_size);
	return geo;
}

/* The path's own meaning, worked out from the spans alone. */
static void assert_path(const struct geometry *geo, lblk_t lblk)
{
	unsigned offsets[BLOCKPATH_DEPTH_MAX];
	int depth = blockpath(geo, lblk, offsets);
	lblk_t sum;
	int level;

	ck_assert_int_ge(depth, 1);
	ck_assert_int_le(depth, 4);
	ck_assert_uint_lt(offsets[0], EXT_N_BLOCKS);
	ck_assert_int_eq(depth, (int)blockpath_slot_depth(offsets[0]));
	sum = blockpath_slot_start(geo, offsets[0]);
	for (level = 1; level < depth; level++) {
		ck_assert_uint_lt(offsets[level], geo->addr_per_block);
		sum += offsets[level] * blockpath_span(geo, (unsigned)depth, (unsigned)level);
	}
	ck_assert_uint_eq(sum, lblk);
	ck_assert_uint_eq(blockpath_lblk(geo, offsets, (unsigned)depth), lblk);
	ck_assert_uint_eq(blockpath_span(geo, (unsigned)depth, (unsigned)depth - 1), 1);
}

START_TEST(paths_lead_there_and_back)
{
	struct geometry geo = geometry_of(1024u << _i);
	uint64_t n = geo.addr_per_block;
	lblk_t borders[] = {0, 11, 12, 12 + n - 1, 12 + n, 12 + n + n * n - 1, 12 + n + n * n,
			    geo.max_file_blocks - 1};
	struct rand r;
	unsigned i;

	rand_init(&r, test_seed());
	for (i = 0; i < array_size(borders); i++)
		assert_path(&geo, borders[i]);
	for (i = 0; i < 50000; i++)
		assert_path(&geo, rand_below(&r, 1 + rand_below(&r, geo.max_file_blocks)));
}
END_TEST

START_TEST(depths_change_at_the_borders)
{
	struct geometry geo = geometry_of(1024);
	unsigned offsets[BLOCKPATH_DEPTH_MAX];

	ck_assert_int_eq(blockpath(&geo, 11, offsets), 1);
	ck_assert_uint_eq(offsets[0], 11);
	ck_assert_int_eq(blockpath(&geo, 12, offsets), 2);
	ck_assert(offsets[0] == EXT_IND_BLOCK && offsets[1] == 0);
	ck_assert_int_eq(blockpath(&geo, 267, offsets), 2);
	ck_assert(offsets[0] == EXT_IND_BLOCK && offsets[1] == 255);
	ck_assert_int_eq(blockpath(&geo, 268, offsets), 3);
	ck_assert(offsets[0] == EXT_DIND_BLOCK && offsets[1] == 0 && offsets[2] == 0);
	ck_assert_int_eq(blockpath(&geo, 268 + 65536, offsets), 4);
	ck_assert(offsets[0] == EXT_TIND_BLOCK && offsets[1] == 0 && offsets[2] == 0 && offsets[3] == 0);
	ck_assert_int_eq(blockpath(&geo, geo.max_file_blocks, offsets), -EFBIG);
	ck_assert_int_eq(blockpath(&geo, UINT64_MAX, offsets), -EFBIG);
}
END_TEST

/* Stepping by what is left in the leaf visits each leaf once. */
START_TEST(leaves_follow_each_other)
{
	struct geometry geo = geometry_of(1024);
	unsigned offsets[BLOCKPATH_DEPTH_MAX];
	lblk_t lblk = 0, leaves = 0;

	while (lblk < 12 + 256 + 65536 + 3 * 256) {
		int depth = blockpath(&geo, lblk, offsets);

		ck_assert_uint_eq(offsets[depth - 1], 0);
		lblk += blockpath_leaf_left(&geo, offsets, (unsigned)depth);
		leaves++;
	}
	ck_assert_uint_eq(leaves, 1 + 1 + 256 + 3);
	ck_assert_int_eq(blockpath(&geo, 5, offsets), 1);
	ck_assert_uint_eq(blockpath_leaf_left(&geo, offsets, 1), 7);
	ck_assert_int_eq(blockpath(&geo, 12 + 255, offsets), 2);
	ck_assert_uint_eq(blockpath_leaf_left(&geo, offsets, 2), 1);
}
END_TEST

/* An indirect block is new where a path's slots from some level on are all 0. */
START_TEST(indirect_blocks_are_counted_as_a_walk_meets_them)
{
	struct geometry geo = geometry_of(1024);
	unsigned offsets[BLOCKPATH_DEPTH_MAX];
	uint64_t walked = 0;
	lblk_t lblk;

	for (lblk = 0; lblk < 12 + 256 + 65536 + 70000; lblk++) {
		int depth = blockpath(&geo, lblk, offsets);
		int level;

		for (level = depth - 1; level >= 1 && offsets[level] == 0; level--)
			walked++;
		ck_assert_uint_eq(blockpath_indirect_blocks(&geo, lblk + 1), walked);
	}
	ck_assert_uint_eq(blockpath_indirect_blocks(&geo, 0), 0);
	ck_assert_uint_eq(blockpath_indirect_blocks(&geo, geo.max_file_blocks),
			  1 + 1 + 256 + 1 + 256 + 65536);
}
END_TEST

TEST_SUITE(layout_blockpath)
{
	tcase_add_loop_test(tc, paths_lead_there_and_back, 0, 3);
	tcase_add_test(tc, depths_change_at_the_borders);
	tcase_add_test(tc, leaves_follow_each_other);
	tcase_add_test(tc, indirect_blocks_are_counted_as_a_walk_meets_them);
}
