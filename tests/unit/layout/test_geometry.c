/*
 * Everything lies where mke2fs put it: for a matrix of options each group that dumpe2fs prints is
 * compared with ours, superblock copies, descriptors, reserve, bitmaps, tables and free counts. And
 * by property: each block belongs to one group, each inode to one place, limits are those of Linux.
 */
#include "layout/geometry.h"

#include <inttypes.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/rand.h"
#include "layout/group.h"
#include "unit/layout/fixture.h"

struct recipe {
	const char *options;
	uint64_t size_bytes;
};

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const struct recipe recipes[] = {
	{"-t ext2", MIB},
	{"-t ext2 -r 0 -O none -b 1024", 64 * MIB},
	{"-t ext2 -r 0 -O none -b 4096", 300 * MIB},
	{"-t ext3 -J size=4 -b 1024", 100 * MIB},
	{"-t ext2 -b 1024 -I 128", 500 * MIB},
	{"-t ext2 -b 2048", 700 * MIB},
	{"-t ext2 -b 4096", 2 * GIB},
	{"-t ext2 -b 4096 -O ^resize_inode", 2 * GIB},
	{"-t ext2 -b 4096 -O ^sparse_super,^resize_inode", GIB},
	{"-t ext2 -b 1024 -O meta_bg,^resize_inode", 700 * MIB},
	{"-t ext2 -b 4096 -O meta_bg,^resize_inode -N 20000", 20 * GIB},
	{"-t ext2 -b 1024 -O sparse_super2,^resize_inode", 100 * MIB},
	{"-t ext2 -b 1024 -g 4096", 40 * MIB},
	{"-t ext2 -b 4096 -I 1024 -N 999", 300 * MIB},
	{"-t ext2 -b 1024 -N 16", 200 * MIB},
	{"-t ext2 -b 1024 -N 16", 8 * MIB + 60 * 1024},
	{"-t ext3 -J size=4 -N 200000", 200 * GIB},
};

/* What dumpe2fs says of a group; -1 where it says nothing. */
struct printed_group {
	unsigned nr;
	int64_t first, last;
	int64_t super, gdt, gdt_end, reserved, reserved_end;
	int64_t block_bitmap, inode_bitmap, table, table_end;
	int64_t free_blocks, free_inodes, dirs;
};

/* The number behind a word, or the range: -1 and -1 where the word does not stand in the line. */
static void scan_range(const char *line, const char *word, int64_t *ret_from, int64_t *ret_to)
{
	const char *at = strstr(line, word);

	if (!at)
		return;
	at += strlen(word);
	if (sscanf(at, " at %" SCNd64 "-%" SCNd64, ret_from, ret_to) == 1)
		*ret_to = *ret_from;
}

static void assert_run(const struct printed_group *p, const char *what, int64_t from, int64_t to,
		       fsblk_t first, uint32_t count)
{
	if (count == 0)
		ck_assert_msg(from == -1, "group %u: %s at %" PRId64, p->nr, what, from);
	else
		ck_assert_msg(from == (int64_t)first && to == (int64_t)(first + count - 1),
			      "group %u: %s at %" PRId64 "-%" PRId64 ", not %" PRIu64 "+%u", p->nr, what,
			      from, to, first, count);
}

static void compare_group(const struct e2fs_image *image, const struct geometry *geo,
			  const struct printed_group *p)
{
	struct group_head head = group_head(geo, p->nr);
	struct ext_group_desc desc = image_desc(image, geo, p->nr);
	char why[WHY_SIZE];

	ck_assert_int_eq(p->first, (int64_t)group_first_block(geo, p->nr));
	ck_assert_int_eq(p->last, p->first + group_blocks(geo, p->nr) - 1);
	assert_run(p, "superblock", p->super, p->super, head.super, head.has_super);
	assert_run(p, "descriptors", p->gdt, p->gdt_end, head.gdt, head.gdt_blocks);
	assert_run(p, "reserve", p->reserved, p->reserved_end, head.gdt + head.gdt_blocks,
		   head.reserved_gdt_blocks);
	assert_run(p, "block bitmap", p->block_bitmap, p->block_bitmap, le32_get(desc.block_bitmap), 1);
	assert_run(p, "inode bitmap", p->inode_bitmap, p->inode_bitmap, le32_get(desc.inode_bitmap), 1);
	assert_run(p, "table", p->table, p->table_end, le32_get(desc.inode_table),
		   geo->inode_table_blocks);
	ck_assert_int_eq(p->free_blocks, le16_get(desc.free_blocks_count));
	ck_assert_int_eq(p->free_inodes, le16_get(desc.free_inodes_count));
	ck_assert_int_eq(p->dirs, le16_get(desc.used_dirs_count));
	ck_assert_msg(group_desc_check(geo, p->nr, &desc, why, sizeof(why)) == 0, "%s", why);
}

/* The bitmaps of the image pass their gates and agree with the counts. */
static void check_bitmaps(const struct e2fs_image *image, const struct geometry *geo, group_t g)
{
	struct ext_group_desc desc = image_desc(image, geo, g);
	uint8_t map[EXT_BLOCK_SIZE_MAX];
	char why[WHY_SIZE];

	image_block(image, geo, le32_get(desc.block_bitmap), map);
	ck_assert_msg(block_bitmap_check(geo, g, &desc, map, why, sizeof(why)) == 0, "%s", why);
	ck_assert_uint_eq(group_blocks(geo, g) - bitmap_count_set(map, 0, group_blocks(geo, g)),
			  le16_get(desc.free_blocks_count));
	image_block(image, geo, le32_get(desc.inode_bitmap), map);
	ck_assert_msg(inode_bitmap_check(geo, g, map, why, sizeof(why)) == 0, "%s", why);
	ck_assert_uint_eq(geo->inodes_per_group - bitmap_count_set(map, 0, geo->inodes_per_group),
			  le16_get(desc.free_inodes_count));
}

static const struct printed_group nothing_printed = {
	.super = -1, .gdt = -1, .reserved = -1, .block_bitmap = -1, .inode_bitmap = -1, .table = -1,
};

START_TEST(groups_lie_where_mke2fs_put_them)
{
	struct e2fs_image image = make_image(recipes[_i].options, recipes[_i].size_bytes);
	struct geometry geo = image_geometry(&image);
	FILE *out = e2fs_run("dumpe2fs %s 2>/dev/null", image.path);
	struct printed_group p = nothing_printed;
	char line[512];
	group_t seen = 0;

	while (fgets(line, sizeof(line), out)) {
		if (sscanf(line, "Group %u: (Blocks %" SCNd64 "-%" SCNd64, &p.nr, &p.first, &p.last) == 3)
			continue;
		scan_range(line, "superblock", &p.super, &p.super);
		scan_range(line, "Group descriptors", &p.gdt, &p.gdt_end);
		scan_range(line, "Group descriptor", &p.gdt, &p.gdt_end);
		scan_range(line, "Reserved GDT blocks", &p.reserved, &p.reserved_end);
		scan_range(line, "Block bitmap", &p.block_bitmap, &p.block_bitmap);
		scan_range(line, "Inode bitmap", &p.inode_bitmap, &p.inode_bitmap);
		scan_range(line, "Inode table", &p.table, &p.table_end);
		if (sscanf(line, " %" SCNd64 " free blocks, %" SCNd64 " free inodes, %" SCNd64, &p.free_blocks,
			   &p.free_inodes, &p.dirs) != 3)
			continue;
		ck_assert_uint_eq(p.nr, seen);
		seen++;
		compare_group(&image, &geo, &p);
		p = nothing_printed;
	}
	pclose(out);
	ck_assert_uint_eq(seen, geo.groups_count);
}
END_TEST

START_TEST(bitmaps_of_mke2fs_pass_their_gates)
{
	struct e2fs_image image = make_image(recipes[_i].options, recipes[_i].size_bytes);
	struct geometry geo = image_geometry(&image);
	group_t g;

	for (g = 0; g < geo.groups_count; g++)
		check_bitmaps(&image, &geo, g);
}
END_TEST

/* Without a journal and with nothing but "/" and lost+found, all other blocks are overhead. */
START_TEST(overhead_is_what_an_empty_file_system_lacks)
{
	struct e2fs_image image = make_image("-t ext2 -b 1024 -O ^resize_inode", 300 * MIB);
	struct geometry geo = image_geometry(&image);
	struct ext_super s;
	uint64_t root_and_lost_found = 1 + 12;

	image_read(&image, EXT_SUPER_OFFSET, &s, sizeof(s));
	ck_assert_uint_eq(geometry_overhead(&geo) + root_and_lost_found + le32_get(s.free_blocks_count),
			  geo.blocks_count);
}
END_TEST

/* ---- by property ---- */

START_TEST(each_block_lies_in_one_group)
{
	struct geometry geo = make_geometry(1024u << _i, 128, 5);
	struct rand r;
	unsigned n;

	rand_init(&r, test_seed());
	for (n = 0; n < 20000; n++) {
		fsblk_t block = geo.first_data_block +
				rand_below(&r, geo.blocks_count - geo.first_data_block);
		group_t g = group_of_block(&geo, block);

		ck_assert_uint_lt(g, geo.groups_count);
		ck_assert_uint_lt(block_in_group(&geo, block), group_blocks(&geo, g));
		ck_assert_uint_eq(group_first_block(&geo, g) + block_in_group(&geo, block), block);
	}
}
END_TEST

START_TEST(each_inode_has_a_place_of_its_own)
{
	struct geometry geo = make_geometry(1024u << _i, 256, 3);
	inr_t ino;

	for (ino = 1; ino <= geo.inodes_count; ino++) {
		struct inode_place place = inode_location(&geo, ino, 1000);
		uint64_t index = (place.block - 1000) * geo.inodes_per_block +
				 place.offset / geo.inode_size;

		ck_assert_uint_eq(index, inode_in_group(&geo, ino));
		ck_assert_uint_lt(place.block - 1000, geo.inode_table_blocks);
		ck_assert_uint_eq(place.offset % geo.inode_size, 0);
		ck_assert_uint_eq(group_first_inode(&geo, group_of_inode(&geo, ino)) + index, ino);
	}
}
END_TEST

START_TEST(block_runs_do_not_overflow)
{
	struct geometry geo = make_geometry(1024, 128, 2);

	ck_assert(!block_is_valid(&geo, 0));
	ck_assert(!block_is_valid(&geo, 1));	/* the superblock itself */
	ck_assert(block_is_valid(&geo, 2));
	ck_assert(!block_is_valid(&geo, geo.blocks_count));
	ck_assert(block_run_is_valid(&geo, 2, geo.blocks_count - 2));
	ck_assert(!block_run_is_valid(&geo, 2, geo.blocks_count - 1));
	ck_assert(!block_run_is_valid(&geo, 2, UINT64_MAX));
	ck_assert(!block_run_is_valid(&geo, UINT64_MAX, 2));
}
END_TEST

/* In the first, second and last group of 32; the first is where group_desc_location() looks. */
START_TEST(meta_groups_hold_one_descriptor_block_three_times)
{
	struct geometry geo = make_geometry(1024, 128, 100);
	unsigned copies[4] = {0};
	group_t g;
	uint32_t i;

	geo.meta_bg = true;
	geo.reserved_gdt_blocks = 0;
	geo.first_meta_bg = 1;
	for (g = 0; g < geo.groups_count; g++) {
		struct group_head head = group_head(&geo, g);

		ck_assert_uint_le(head.gdt_blocks, 1);
		if (head.gdt_blocks) {
			copies[head.gdt_index]++;
			ck_assert_uint_eq(head.gdt, group_first_block(&geo, g) + head.has_super);
		}
	}
	ck_assert_uint_eq(copies[0], 8);	/* the classic zone: groups 0 1 3 5 7 9 25 27 */
	ck_assert_uint_eq(copies[1], 3);
	ck_assert_uint_eq(copies[2], 3);
	ck_assert_uint_eq(copies[3], 2);	/* cut off before its last group */
	for (i = 0; i < geo.gdt_blocks; i++) {
		fsblk_t block = group_desc_location(&geo, i);

		g = group_of_block(&geo, block);
		ck_assert_uint_eq(group_head(&geo, g).gdt, block);
		ck_assert_uint_eq(group_head(&geo, g).gdt_index, i);
	}
}
END_TEST

START_TEST(limits_of_files_are_those_of_linux)
{
	struct geometry geo;

	geometry_set_block_size(&geo, 1024);
	ck_assert_uint_eq(geo.max_file_blocks, 12 + 256 + 65536 + 16777216);
	ck_assert_uint_eq(geo.max_file_size_bytes, UINT64_C(17247252480));
	geometry_set_block_size(&geo, 2048);
	ck_assert_uint_eq(geo.max_file_size_bytes, UINT64_C(275415851008));
	geometry_set_block_size(&geo, 4096);
	ck_assert_uint_eq(geo.max_file_size_bytes, UINT64_C(2196873666560));
}
END_TEST

TEST_SUITE(layout_geometry)
{
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, groups_lie_where_mke2fs_put_them, 0, array_size(recipes));
	tcase_add_loop_test(tc, bitmaps_of_mke2fs_pass_their_gates, 0, array_size(recipes));
	tcase_add_test(tc, overhead_is_what_an_empty_file_system_lacks);
	tcase_add_loop_test(tc, each_block_lies_in_one_group, 0, 3);
	tcase_add_loop_test(tc, each_inode_has_a_place_of_its_own, 0, 3);
	tcase_add_test(tc, block_runs_do_not_overflow);
	tcase_add_test(tc, meta_groups_hold_one_descriptor_block_three_times);
	tcase_add_test(tc, limits_of_files_are_those_of_linux);
}
