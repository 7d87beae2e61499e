/*
 * A descriptor that names impossible places or counts is refused, and a bitmap that has its own group's
 * metadata free; fresh bitmaps pass, with the free counts they claim.
 */
#include "layout/group.h"

#include <errno.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/rand.h"
#include "unit/layout/fixture.h"

/* As mke2fs has it: bitmaps and table right behind the head of the group. */
static struct ext_group_desc make_desc(const struct geometry *geo, group_t g)
{
	uint32_t at = (uint32_t)group_first_block(geo, g) + group_overhead(geo, g);
	struct ext_group_desc desc;

	memset(&desc, 0, sizeof(desc));
	desc.block_bitmap = le32_make(at);
	desc.inode_bitmap = le32_make(at + 1);
	desc.inode_table = le32_make(at + 2);
	return desc;
}

static int check(const struct geometry *geo, group_t g, const struct ext_group_desc *desc, const char *word)
{
	char why[WHY_SIZE] = "";
	int err = group_desc_check(geo, g, desc, why, sizeof(why));

	if (err)
		ck_assert_msg(strstr(why, word) != NULL, "%s is not in: %s", word, why);
	return err;
}

START_TEST(usual_descriptors_pass)
{
	struct geometry geo = make_geometry(1024, 128, 4);
	group_t g;

	for (g = 0; g < 4; g++) {
		struct ext_group_desc desc = make_desc(&geo, g);

		ck_assert_int_eq(check(&geo, g, &desc, "-"), 0);
		desc.free_blocks_count = le16_make((uint16_t)group_blocks(&geo, g));
		desc.free_inodes_count = le16_make((uint16_t)geo.inodes_per_group);
		ck_assert_int_eq(check(&geo, g, &desc, "-"), 0);
	}
}
END_TEST

START_TEST(places_outside_or_over_each_other_are_refused)
{
	struct geometry geo = make_geometry(1024, 128, 3);
	const struct ext_group_desc good = make_desc(&geo, 1);
	struct ext_group_desc desc;
	uint32_t first = (uint32_t)group_first_block(&geo, 1);
	uint32_t end = first + group_blocks(&geo, 1);

#define REFUSED(field, value, word)                                    \
	do {                                                           \
		desc = good;                                           \
		desc.field = le32_make(value);                         \
		ck_assert_int_eq(check(&geo, 1, &desc, word), -EUCLEAN); \
	} while (0)

	REFUSED(block_bitmap, 0, "outside the file system");
	REFUSED(block_bitmap, 0xffffffff, "outside the file system");
	REFUSED(inode_bitmap, (uint32_t)geo.blocks_count, "outside the file system");
	REFUSED(inode_table, (uint32_t)geo.blocks_count - 1, "outside the file system");
	REFUSED(inode_table, 0xffffffff, "outside the file system");
	REFUSED(block_bitmap, first - 1, "outside the group");
	REFUSED(inode_bitmap, end, "outside the group");
	REFUSED(inode_table, end - 1, "outside the group");
	REFUSED(block_bitmap, first, "superblock or descriptors");
	REFUSED(inode_bitmap, first + 1, "superblock or descriptors");
	REFUSED(inode_table, first + group_overhead(&geo, 1) - 1, "superblock or descriptors");
	REFUSED(block_bitmap, le32_get(good.inode_bitmap), "over each other");
	REFUSED(block_bitmap, le32_get(good.inode_table), "over each other");
	REFUSED(inode_bitmap, le32_get(good.inode_table) + geo.inode_table_blocks - 1, "over each other");
	REFUSED(inode_table, le32_get(good.block_bitmap), "over each other");

	desc = good;
	desc.inode_table = le32_make(end - geo.inode_table_blocks);
	ck_assert_int_eq(check(&geo, 1, &desc, "-"), 0);
}
END_TEST

START_TEST(counts_above_the_sizes_are_refused)
{
	struct geometry geo = make_geometry(1024, 128, 3);
	struct ext_group_desc desc = make_desc(&geo, 0);

	desc.free_blocks_count = le16_make((uint16_t)(geo.blocks_per_group + 1));
	ck_assert_int_eq(check(&geo, 0, &desc, "free blocks"), -EUCLEAN);
	desc = make_desc(&geo, 0);
	desc.free_inodes_count = le16_make((uint16_t)(geo.inodes_per_group + 1));
	ck_assert_int_eq(check(&geo, 0, &desc, "free inodes"), -EUCLEAN);
	desc.free_inodes_count = le16_make((uint16_t)geo.inodes_per_group);
	desc.used_dirs_count = le16_make(1);
	ck_assert_int_eq(check(&geo, 0, &desc, "directories"), -EUCLEAN);
}
END_TEST

START_TEST(flex_bg_lets_metadata_lie_in_other_groups)
{
	struct geometry geo = make_geometry(1024, 128, 3);
	struct ext_group_desc desc = make_desc(&geo, 0);

	geo.flex_bg = true;
	desc.block_bitmap = le32_make((uint32_t)group_first_block(&geo, 2));
	ck_assert_int_eq(check(&geo, 0, &desc, "-"), 0);
	desc.block_bitmap = le32_make((uint32_t)group_first_block(&geo, 1) + 2);
	ck_assert_int_eq(check(&geo, 0, &desc, "superblock or descriptors"), -EUCLEAN);
	/* A table that begins in group 0 and runs over the superblock copy of group 1. */
	desc = make_desc(&geo, 0);
	desc.inode_table = le32_make((uint32_t)group_first_block(&geo, 1) - 1);
	ck_assert_int_eq(check(&geo, 0, &desc, "superblock or descriptors"), -EUCLEAN);
}
END_TEST

START_TEST(no_descriptor_bytes_do_harm)
{
	struct geometry geo = make_geometry(4096, 256, 5);
	struct ext_group_desc desc;
	char why[WHY_SIZE];
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 100000; n++) {
		group_t g = (group_t)rand_below(&r, 5);
		uint8_t *byte = (uint8_t *)&desc + rand_below(&r, 16);
		fsblk_t table;

		desc = make_desc(&geo, g);
		*byte = (uint8_t)rand_u64(&r);
		if (group_desc_check(&geo, g, &desc, why, sizeof(why)) != 0)
			continue;
		table = le32_get(desc.inode_table);
		ck_assert_uint_ge(table, group_first_block(&geo, g) + group_overhead(&geo, g));
		ck_assert_uint_le(table + geo.inode_table_blocks,
				  group_first_block(&geo, g) + group_blocks(&geo, g));
	}
}
END_TEST

/* ---- bitmaps ---- */

START_TEST(fresh_bitmaps_pass_and_count)
{
	struct geometry geo = make_geometry(1024u << _i, 128, 3);
	uint8_t map[EXT_BLOCK_SIZE_MAX];
	char why[WHY_SIZE];
	group_t g;

	geo.blocks_count -= 77;	/* a shorter last group: padding */
	for (g = 0; g < 3; g++) {
		struct ext_group_desc desc = make_desc(&geo, g);
		uint32_t meta = group_overhead(&geo, g) + 2 + geo.inode_table_blocks;

		memset(map, 0xa5, sizeof(map));
		ck_assert_uint_eq(block_bitmap_init(&geo, g, &desc, map), group_blocks(&geo, g) - meta);
		ck_assert_int_eq(block_bitmap_check(&geo, g, &desc, map, why, sizeof(why)), 0);
		ck_assert_uint_eq(bitmap_find_clear(map, 0, geo.block_size * 8), meta);
		memset(map, 0xa5, sizeof(map));
		ck_assert_uint_eq(inode_bitmap_init(&geo, g, map),
				  geo.inodes_per_group - (g == 0 ? 10 : 0));
		ck_assert_int_eq(inode_bitmap_check(&geo, g, map, why, sizeof(why)), 0);
	}
}
END_TEST

/* Whichever used bit of a fresh bitmap is cleared, the check sees it. */
START_TEST(a_block_bitmap_with_metadata_or_padding_free_is_refused)
{
	struct geometry geo = make_geometry(1024, 128, 2);
	struct ext_group_desc desc;
	uint8_t map[1024];
	char why[WHY_SIZE];
	unsigned bit;

	geo.blocks_count -= 5;
	desc = make_desc(&geo, 1);
	block_bitmap_init(&geo, 1, &desc, map);
	for (bit = 0; bit < 8192; bit++) {
		bool used = bitmap_test(map, bit);

		bitmap_clear(map, bit);
		ck_assert_int_eq(block_bitmap_check(&geo, 1, &desc, map, why, sizeof(why)),
				 used ? -EUCLEAN : 0);
		if (used)
			bitmap_set(map, bit);
	}
}
END_TEST

START_TEST(an_inode_bitmap_with_reserved_or_padding_free_is_refused)
{
	struct geometry geo = make_geometry(1024, 128, 2);
	uint8_t map[1024];
	char why[WHY_SIZE];
	unsigned bit;

	inode_bitmap_init(&geo, 0, map);
	for (bit = 0; bit < 8192; bit++) {
		bool used = bitmap_test(map, bit);

		bitmap_clear(map, bit);
		ck_assert_int_eq(inode_bitmap_check(&geo, 0, map, why, sizeof(why)), used ? -EUCLEAN : 0);
		if (used)
			bitmap_set(map, bit);
	}
}
END_TEST

START_TEST(reserved_inodes_spill_into_small_groups)
{
	struct geometry geo = make_geometry(1024, 128, 3);
	uint8_t map[1024];

	geo.inodes_per_group = 8;
	ck_assert_uint_eq(inode_bitmap_init(&geo, 0, map), 0);
	ck_assert_uint_eq(inode_bitmap_init(&geo, 1, map), 6);
	ck_assert_uint_eq(inode_bitmap_init(&geo, 2, map), 8);
}
END_TEST

TEST_SUITE(layout_group)
{
	tcase_add_test(tc, usual_descriptors_pass);
	tcase_add_test(tc, places_outside_or_over_each_other_are_refused);
	tcase_add_test(tc, counts_above_the_sizes_are_refused);
	tcase_add_test(tc, flex_bg_lets_metadata_lie_in_other_groups);
	tcase_add_test(tc, no_descriptor_bytes_do_harm);
	tcase_add_loop_test(tc, fresh_bitmaps_pass_and_count, 0, 3);
	tcase_add_test(tc, a_block_bitmap_with_metadata_or_padding_free_is_refused);
	tcase_add_test(tc, an_inode_bitmap_with_reserved_or_padding_free_is_refused);
	tcase_add_test(tc, reserved_inodes_spill_into_small_groups);
}
