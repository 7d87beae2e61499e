/*
 * A plan is a file system that the gates let pass, whatever was asked for: P1 to P3 of plan.h, over
 * random options, sizes and group sizes. What cannot be planned is refused with a sentence. The
 * steps at which defaults change stand in tables. That the same numbers come out as mke2fs's is
 * for tests/mkfs/matrix.sh.
 */
#include "plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/rand.h"
#include "harness/runner.h"
#include "layout/blockpath.h"
#include "layout/group.h"
#include "layout/super.h"
#include "uuid.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define NR_RANDOM_PLANS 400

static struct mkfs_params basic(uint64_t size_bytes)
{
	return (struct mkfs_params){
		.is_ext3 = true,
		.size_bytes = size_bytes,
		.reserved_percent = 5,
		.rev_level = EXT_DYNAMIC_REV,
		.now = 1700000000,
	};
}

static struct plan planned(const struct mkfs_params *p)
{
	struct plan plan;
	char err[256] = "";
	int e = plan_make(p, &plan, err, sizeof(err));

	ck_assert_msg(e == 0, "%d: %s", e, err);
	return plan;
}

/* Checks one group with the room's own gates and returns its free blocks, as its bitmap has them. */
static uint32_t check_group(const struct plan *plan, group_t g, uint32_t *ret_free_inodes)
{
	const struct geometry *geo = &plan->geo;
	static _Thread_local uint8_t bitmap[EXT_BLOCK_SIZE_MAX];
	struct ext_group_desc desc;
	uint32_t free_blocks, free_inodes;
	char why[128] = "";

	plan_group_desc(plan, g, &desc);
	ck_assert_msg(group_desc_check(geo, g, &desc, why, sizeof(why)) == 0, "group %u: %s", g, why);
	plan_block_bitmap(plan, g, bitmap);
	ck_assert_msg(block_bitmap_check(geo, g, &desc, bitmap, why, sizeof(why)) == 0, "group %u: %s", g, why);
	free_blocks = group_blocks(geo, g) - (uint32_t)bitmap_count_set(bitmap, 0, group_blocks(geo, g));
	ck_assert_uint_eq(free_blocks, le16_get(desc.free_blocks_count));
	plan_inode_bitmap(plan, g, bitmap);
	ck_assert_msg(inode_bitmap_check(geo, g, bitmap, why, sizeof(why)) == 0, "group %u: %s", g, why);
	free_inodes = geo->inodes_per_group - (uint32_t)bitmap_count_set(bitmap, 0, geo->inodes_per_group);
	ck_assert_uint_eq(free_inodes, le16_get(desc.free_inodes_count));
	*ret_free_inodes = free_inodes;
	return free_blocks;
}

/* Is the block taken by a file of the plan: marked in use, and no metadata? */
static bool is_file_block(const struct plan *plan, fsblk_t block)
{
	group_t g = group_of_block(&plan->geo, block);
	static _Thread_local uint8_t bitmap[EXT_BLOCK_SIZE_MAX];
	struct ext_group_desc desc;

	plan_block_bitmap(plan, g, bitmap);
	if (!bitmap_test(bitmap, block_in_group(&plan->geo, block)))
		return false;
	plan_group_desc(plan, g, &desc);
	ignore(block_bitmap_init(&plan->geo, g, &desc, bitmap), "only the bits count here");
	return !bitmap_test(bitmap, block_in_group(&plan->geo, block));
}

static void check_files(const struct plan *plan)
{
	ck_assert(is_file_block(plan, plan->root_block));
	for (unsigned i = 0; i < plan->nr_lpf_blocks; i++) {
		ck_assert(is_file_block(plan, plan->lpf_blocks[i]));
		ck_assert(plan->lpf_blocks[i] != plan->root_block);
		ck_assert(i == 0 || plan->lpf_blocks[i] > plan->lpf_blocks[i - 1]);
	}
	if (plan->geo.has_resize_inode)
		ck_assert(is_file_block(plan, plan->resize_block));
	ck_assert_int_eq(plan->journal_blocks != 0, plan->geo.has_journal);
}

static void check_plan(const struct plan *plan)
{
	uint64_t free_blocks = 0, free_inodes = 0, files;
	struct geometry geo;
	uint32_t inodes;
	char why[128] = "";
	int err = super_check(&plan->super, plan->geo.blocks_count << plan->geo.block_bits, &geo, why,
			      sizeof(why));

	ck_assert_msg(err == 0, "P1: %s", why);
	ck_assert(geometry_equal(&geo, &plan->geo));
	for (group_t g = 0; g < geo.groups_count; g++) {
		free_blocks += check_group(plan, g, &inodes);
		free_inodes += inodes;
	}
	ck_assert_uint_eq(free_blocks, le32_get(plan->super.free_blocks_count));
	ck_assert_uint_eq(free_inodes, le32_get(plan->super.free_inodes_count));
	files = 1 + plan->nr_lpf_blocks + geo.has_resize_inode + plan->journal_blocks + plan->journal_tree_blocks;
	ck_assert_uint_eq(geo.blocks_count - geometry_overhead(&geo) - files, free_blocks);
	ck_assert_uint_eq(le32_get(plan->super.overhead_clusters), geometry_overhead(&geo) + plan->journal_blocks);
	check_files(plan);
}

static void random_features(struct rand *r, struct mkfs_params *p)
{
	if (rand_one_in(r, 8)) {
		p->rev_level = EXT_GOOD_OLD_REV;
		p->is_ext3 = false;
		return;
	}
	if (rand_one_in(r, 3))
		p->feature_clear[FEATURE_COMPAT] |= EXT_COMPAT_RESIZE_INODE;
	if (rand_one_in(r, 5)) {
		p->feature_clear[FEATURE_COMPAT] |= EXT_COMPAT_RESIZE_INODE;
		p->feature_clear[FEATURE_RO_COMPAT] |= EXT_RO_COMPAT_SPARSE_SUPER;
	} else if (rand_one_in(r, 5)) {
		p->feature_clear[FEATURE_COMPAT] |= EXT_COMPAT_RESIZE_INODE;
		p->feature_set[FEATURE_INCOMPAT] |= EXT_INCOMPAT_META_BG;
	}
}

static struct mkfs_params random_params(struct rand *r)
{
	struct mkfs_params p = basic(64 * 1024 + rand_below(r, rand_one_in(r, 2) ? 4 * MIB : 300 * MIB));

	p.is_ext3 = !rand_one_in(r, 2);
	if (!rand_one_in(r, 4))
		p.block_size = 1024u << rand_below(r, 3);
	if (rand_one_in(r, 2))
		p.inode_size = 128u << rand_below(r, 4);
	if (rand_one_in(r, 3))
		p.nr_inodes = 1 + rand_below(r, rand_one_in(r, 2) ? 100 : 100000);
	if (rand_one_in(r, 3))
		p.inode_ratio = 1024u << rand_below(r, 10);
	if (rand_one_in(r, 3))
		p.blocks_per_group = 256 + 8 * (uint32_t)rand_below(r, 1000);
	if (rand_one_in(r, 4))
		p.stride = rand_below(r, 9000);
	if (rand_one_in(r, 4))
		p.journal_mib = 1 + rand_below(r, 40);
	if (rand_one_in(r, 6))
		p.resize = (struct size_arg){p.size_bytes * (1 + rand_below(r, 5000)), 1};
	p.reserved_percent = (double)rand_below(r, 51);
	random_features(r, &p);
	return p;
}

START_TEST(random_plans_pass_the_gates)
{
	unsigned nr_planned = 0;
	struct rand r;

	rand_init(&r, test_seed());
	for (int i = 0; i < NR_RANDOM_PLANS; i++) {
		struct mkfs_params p = random_params(&r);
		char err[256] = "";
		struct plan plan;
		int e = plan_make(&p, &plan, err, sizeof(err));

		if (e) {
			/* Refused, by one of the two errors, and with a reason. */
			ck_assert(e == -EINVAL || e == -ENOSPC);
			ck_assert_msg(err[0] != 0, "round %d", i);
			ck_assert_msg(strncmp(err, "no file system can be made so", 29) != 0,
				      "round %d: only the gate noticed: %s", i, err);
			continue;
		}
		check_plan(&plan);
		nr_planned++;
	}
	/* The test is about plans, so most must come to be. */
	ck_assert_uint_gt(nr_planned, NR_RANDOM_PLANS / 3);
}
END_TEST

START_TEST(the_same_request_gives_the_same_plan)
{
	struct mkfs_params p = basic(100 * MIB);
	struct plan a = planned(&p), b = planned(&p);

	ck_assert_mem_eq(&a.super, &b.super, sizeof(a.super));
	ck_assert_uint_eq(a.data_end, b.data_end);
}
END_TEST

START_TEST(journal_sizes_step_where_mke2fs_steps)
{
	static const struct {
		uint64_t blocks;
		lblk_t journal;
	} rows[] = {
		{2047, 0},	    {2048, 1024},	 {32767, 1024},	     {32768, 4096},
		{262143, 4096},	    {262144, 8192},	 {524287, 8192},     {524288, 16384},
		{4194303, 16384},   {4194304, 32768},	 {8388607, 32768},   {8388608, 65536},
		{16777215, 65536},  {16777216, 131072},	 {33554431, 131072}, {33554432, 262144},
		{UINT32_MAX, 262144},
	};

	for (size_t i = 0; i < array_size(rows); i++)
		ck_assert_uint_eq(plan_default_journal(rows[i].blocks), rows[i].journal);
}
END_TEST

START_TEST(block_size_and_ratio_follow_the_size)
{
	static const struct {
		uint64_t size;
		unsigned block_size;
		uint64_t bytes_per_inode;
	} rows[] = {
		{3 * MIB - 4096, 1024, 8192},	{3 * MIB, 1024, 4096},	  {512 * MIB - 4096, 1024, 4096},
		{512 * MIB, 4096, 16384},	{4096 * GIB, 4096, 32768}, {4096 * GIB - MIB, 4096, 16384},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct mkfs_params p = basic(rows[i].size);
		struct plan plan = planned(&p);
		uint64_t wanted = rows[i].size / rows[i].bytes_per_inode;

		ck_assert_uint_eq(plan.geo.block_size, rows[i].block_size);
		/* Rounded up to whole table blocks in each group, or down by less than one of them. */
		ck_assert_uint_ge(plan.geo.inodes_count + 8ull * plan.geo.groups_count, wanted);
		ck_assert_uint_le(plan.geo.inodes_count, wanted + wanted / 8 + 64);
	}
}
END_TEST

START_TEST(a_journal_that_does_not_fit_is_left_out_with_its_feature)
{
	struct mkfs_params p = basic(MIB);
	struct plan plan = planned(&p);

	ck_assert(plan.journal_does_not_fit);
	ck_assert_uint_eq(plan.journal_blocks, 0);
	ck_assert(!super_has_compat(&plan.super, EXT_COMPAT_HAS_JOURNAL));
	ck_assert_uint_eq(le32_get(plan.super.journal_inum), 0);
	check_plan(&plan);
}
END_TEST

START_TEST(a_last_group_too_short_for_its_tables_is_dropped)
{
	struct mkfs_params p = basic(0);
	struct plan plan;

	p.block_size = 1024;
	p.size_bytes = (1 + 2 * 8192 + 40) * 1024;	/* forty blocks of a third group */
	plan = planned(&p);
	ck_assert_uint_eq(plan.geo.blocks_count, 1 + 2 * 8192);
	ck_assert_uint_eq(plan.blocks_unused, 40);
	check_plan(&plan);
}
END_TEST

START_TEST(descriptors_that_would_fill_a_group_turn_on_meta_bg)
{
	struct mkfs_params p = basic(3ull << 40);
	struct plan plan;

	p.block_size = 1024;
	plan = planned(&p);
	ck_assert(plan.geo.meta_bg);
	ck_assert(!plan.geo.has_resize_inode);
	ck_assert_uint_eq(plan.geo.reserved_gdt_blocks, 0);
}
END_TEST

START_TEST(the_largest_sizes_are_planned_and_larger_ones_refused)
{
	struct mkfs_params p = basic(UINT32_MAX * 4096ull);
	struct plan plan = planned(&p);
	char err[256];

	ck_assert_uint_eq(plan.geo.blocks_count, UINT32_MAX);
	p.size_bytes += 4096;
	ck_assert_int_eq(plan_make(&p, &plan, err, sizeof(err)), -EINVAL);
	p.size_bytes = UINT64_MAX;
	ck_assert_int_eq(plan_make(&p, &plan, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(free_runs_cover_what_is_no_metadata_and_nothing_else)
{
	static uint8_t bitmap[EXT_BLOCK_SIZE_MAX];
	struct mkfs_params p = basic(20 * MIB);
	struct plan plan;
	fsblk_t at = 0, expected;
	uint64_t len;

	p.block_size = 1024;
	p.stride = 700;
	p.is_ext3 = false;
	plan = planned(&p);
	expected = plan.geo.first_data_block;
	while ((at = plan_free_run(&plan, at, &len)) < plan.geo.blocks_count) {
		for (fsblk_t b = expected; b < at + len; b++) {
			group_t g = group_of_block(&plan.geo, b);
			struct ext_group_desc desc;

			plan_group_desc(&plan, g, &desc);
			ignore(block_bitmap_init(&plan.geo, g, &desc, bitmap), "only the bits count here");
			ck_assert_int_eq(bitmap_test(bitmap, block_in_group(&plan.geo, b)), b < at);
		}
		at = expected = at + len;
	}
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(uuids_survive_text)
{
	uint8_t uuid[UUID_BYTES], again[UUID_BYTES];
	char text[UUID_TEXT];
	struct rand r;

	rand_init(&r, test_seed());
	for (int i = 0; i < 100; i++) {
		rand_fill(&r, uuid, sizeof(uuid));
		uuid_to_text(uuid, text);
		ck_assert_int_eq(uuid_from_text(text, again), 0);
		ck_assert_mem_eq(uuid, again, sizeof(uuid));
		text[rand_below(&r, UUID_TEXT - 1)] = 'x';
		ck_assert_int_eq(uuid_from_text(text, again), -EINVAL);
	}
	ck_assert_int_eq(uuid_from_text("", again), -EINVAL);
	ck_assert_int_eq(uuid_make_time(uuid), 0);
	ck_assert_int_eq(uuid[6] >> 4, 1);
	ck_assert_int_eq(uuid_make_random(uuid), 0);
	ck_assert_int_eq(uuid[6] >> 4, 4);
}
END_TEST

TEST_SUITE(mkfs_plan)
{
	tcase_add_test(tc, random_plans_pass_the_gates);
	tcase_add_test(tc, the_same_request_gives_the_same_plan);
	tcase_add_test(tc, journal_sizes_step_where_mke2fs_steps);
	tcase_add_test(tc, block_size_and_ratio_follow_the_size);
	tcase_add_test(tc, a_journal_that_does_not_fit_is_left_out_with_its_feature);
	tcase_add_test(tc, a_last_group_too_short_for_its_tables_is_dropped);
	tcase_add_test(tc, descriptors_that_would_fill_a_group_turn_on_meta_bg);
	tcase_add_test(tc, the_largest_sizes_are_planned_and_larger_ones_refused);
	tcase_add_test(tc, free_runs_cover_what_is_no_metadata_and_nothing_else);
	tcase_add_test(tc, uuids_survive_text);
}
