/*
 * The gate for superblocks lets through what is possible and refuses what is not, each rule with its
 * error and reason; whatever the bytes, it ends without harm, and what it lets through keeps G1 to G4
 * of geometry.h and lies inside the disk.
 */
#include "layout/super.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

#define DISK_BYTES (UINT64_C(64) << 20)

/* G1 to G4, and that the outermost groups' metadata is inside. */
static void assert_invariants(const struct geometry *geo, uint64_t disk_bytes)
{
	uint64_t data = geo->blocks_count - geo->first_data_block;
	uint64_t bits = geo->block_size * 8;
	group_t last = geo->groups_count - 1;

	ck_assert_uint_eq(geo->block_size, 1u << geo->block_bits);
	ck_assert_uint_le(geo->block_size, EXT_BLOCK_SIZE_MAX);
	ck_assert_uint_lt(geo->first_data_block, geo->blocks_count);		/* G1 */
	ck_assert_uint_le(geo->blocks_count, disk_bytes >> geo->block_bits);
	ck_assert_uint_eq(geo->groups_count, (data + geo->blocks_per_group - 1) / geo->blocks_per_group);
	ck_assert_uint_eq(geo->inodes_count,					/* G2 */
			  (uint64_t)geo->groups_count * geo->inodes_per_group);
	ck_assert_uint_le(group_overhead(geo, last) + 2 + geo->inode_table_blocks,
			  group_blocks(geo, last));				/* G3 */
	ck_assert_uint_le(geo->blocks_per_group, bits);				/* G4 */
	ck_assert_uint_le(geo->inodes_per_group, bits);
	ck_assert_uint_le((uint64_t)geo->inodes_count * geo->inode_size, disk_bytes);
	ck_assert_uint_lt(group_desc_location(geo, geo->gdt_blocks - 1), geo->blocks_count);
	ck_assert_uint_eq(group_of_block(geo, geo->blocks_count - 1), last);
	ck_assert_uint_eq(group_of_inode(geo, geo->inodes_count), last);
}

START_TEST(possible_superblocks_pass)
{
	unsigned block_size, inode_size;

	for (block_size = 1024; block_size <= 4096; block_size *= 2)
		for (inode_size = 128; inode_size <= block_size; inode_size *= 2) {
			struct geometry geo = make_geometry(block_size, inode_size, 3);

			assert_invariants(&geo, UINT64_MAX);
			ck_assert_uint_eq(geo.inode_size, inode_size);
			ck_assert_uint_eq(geo.groups_count, 3);
			ck_assert(geo.has_filetype && geo.sparse_super && !geo.meta_bg);
		}
}
END_TEST

START_TEST(revision_0_has_small_inodes_whatever_the_later_fields_say)
{
	struct ext_super s;
	struct geometry geo;
	char why[WHY_SIZE];

	make_super(&s, 1024, 256, 1);
	s.rev_level = le32_make(0);
	s.first_ino = le32_make(77);
	ck_assert_int_eq(super_check(&s, DISK_BYTES, &geo, why, sizeof(why)), 0);
	ck_assert_uint_eq(geo.inode_size, 128);
	ck_assert_uint_eq(geo.first_ino, 11);
}
END_TEST

/* One field of 2 or 4 bytes set to an impossible value, and what must be said. */
struct damage {
	size_t offset;
	unsigned width;
	uint32_t value;
	int err;
	const char *word;
};

#define FIELD16(field) offsetof(struct ext_super, field), 2
#define FIELD32(field) offsetof(struct ext_super, field), 4

static const struct damage damages[] = {
	{FIELD16(magic), 0xef52, -EINVAL, "magic"},
	{FIELD16(magic), 0, -EINVAL, "magic"},
	{FIELD32(rev_level), 2, -EOPNOTSUPP, "revision"},
	{FIELD32(feature_incompat), 0x42, -EOPNOTSUPP, "extent"},
	{FIELD32(log_block_size), 3, -EOPNOTSUPP, "block size 8192"},
	{FIELD32(log_block_size), 6, -EOPNOTSUPP, "block size 65536"},
	{FIELD32(log_block_size), 7, -EUCLEAN, "block size"},
	{FIELD32(log_block_size), 0xffffffff, -EUCLEAN, "block size"},
	{FIELD32(log_cluster_size), 1, -EUCLEAN, "fragment"},
	{FIELD32(first_data_block), 0, -EUCLEAN, "first data block"},
	{FIELD32(first_data_block), 2, -EUCLEAN, "first data block"},
	{FIELD32(blocks_count), 0, -EUCLEAN, "blocks"},
	{FIELD32(blocks_count), 1, -EUCLEAN, "blocks"},
	{FIELD32(blocks_count), 2, -EUCLEAN, ""},
	{FIELD32(blocks_count), 65537, -EUCLEAN, "on a disk of 65536"},
	{FIELD32(blocks_count), 0xffffffff, -EUCLEAN, "on a disk"},
	{FIELD32(r_blocks_count), 0xffffffff, -EUCLEAN, "reserved blocks"},
	{FIELD32(blocks_per_group), 0, -EUCLEAN, "blocks per group"},
	{FIELD32(blocks_per_group), 8193, -EUCLEAN, "blocks per group"},
	{FIELD32(clusters_per_group), 8191, -EUCLEAN, "fragments per group"},
	{FIELD32(inodes_per_group), 0, -EUCLEAN, "inodes per group"},
	{FIELD32(inodes_per_group), 8193, -EUCLEAN, "inodes per group"},
	{FIELD32(inodes_per_group), 2040, -EUCLEAN, "inodes in 3 groups"},
	{FIELD32(inodes_count), 0, -EUCLEAN, "inodes in 3 groups"},
	{FIELD32(inodes_count), 6143, -EUCLEAN, "inodes in 3 groups"},
	{FIELD16(inode_size), 0, -EUCLEAN, "inode size"},
	{FIELD16(inode_size), 64, -EUCLEAN, "inode size"},
	{FIELD16(inode_size), 192, -EUCLEAN, "inode size"},
	{FIELD16(inode_size), 2048, -EUCLEAN, "inode size"},
	{FIELD32(first_ino), 10, -EUCLEAN, "first inode"},
	{FIELD32(first_ino), 6145, -EUCLEAN, "first inode"},
	{FIELD16(reserved_gdt_blocks), 257, -EUCLEAN, "reserved descriptor blocks"},
};

static void damage_super(struct ext_super *s, const struct damage *d)
{
	le16_t half = le16_make((uint16_t)d->value);
	le32_t word = le32_make(d->value);

	if (d->width == 2)
		memcpy((uint8_t *)s + d->offset, &half, 2);
	else
		memcpy((uint8_t *)s + d->offset, &word, 4);
}

START_TEST(each_impossible_field_is_refused_with_its_reason)
{
	const struct damage *d = &damages[_i];
	struct ext_super s;
	struct geometry geo = {.block_size = 77};
	char why[WHY_SIZE];

	make_super(&s, 1024, 128, 3);
	damage_super(&s, d);
	ck_assert_msg(super_check(&s, DISK_BYTES, &geo, why, sizeof(why)) == d->err,
		      "field at 0x%zx = %u: %s", d->offset, d->value, why);
	ck_assert_msg(strstr(why, d->word) != NULL, "%s is not in: %s", d->word, why);
	ck_assert_uint_eq(geo.block_size, 77);	/* set on success only */
}
END_TEST

START_TEST(a_group_too_small_for_its_metadata_is_refused)
{
	struct ext_super s;
	struct geometry geo;
	char why[WHY_SIZE];
	uint32_t need;

	/* Group 1 is the last and has a superblock copy, a descriptor block, 3 reserved ones. */
	make_super(&s, 1024, 128, 2);
	need = 1 + 1 + 3 + 2 + 2048 * 128 / 1024;
	s.blocks_count = le32_make(1 + 8192 + need);
	ck_assert_int_eq(super_check(&s, DISK_BYTES, &geo, why, sizeof(why)), 0);
	s.blocks_count = le32_make(1 + 8192 + need - 1);
	ck_assert_int_eq(super_check(&s, DISK_BYTES, &geo, why, sizeof(why)), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(why, "group 1"));
}
END_TEST

START_TEST(meta_bg_fields_are_checked)
{
	struct ext_super s;
	struct geometry geo;
	char why[WHY_SIZE];

	make_super(&s, 1024, 128, 70);
	s.feature_incompat = le32_make(EXT_INCOMPAT_META_BG);
	ck_assert_int_eq(super_check(&s, UINT64_MAX, &geo, why, sizeof(why)), -EUCLEAN);
	s.reserved_gdt_blocks = le16_make(0);
	s.first_meta_bg = le32_make(3);
	ck_assert_int_eq(super_check(&s, UINT64_MAX, &geo, why, sizeof(why)), 0);
	s.first_meta_bg = le32_make(4);
	ck_assert_int_eq(super_check(&s, UINT64_MAX, &geo, why, sizeof(why)), -EUCLEAN);
}
END_TEST

/* The three errors of super.h or a geometry that keeps its promises: nothing else may come out. */
static void assert_harmless(const struct ext_super *s)
{
	struct geometry geo;
	char why[WHY_SIZE] = "";
	int err = super_check(s, DISK_BYTES, &geo, why, sizeof(why));

	if (err == 0) {
		assert_invariants(&geo, DISK_BYTES);
		geometry_overhead(&geo);
		return;
	}
	ck_assert(err == -EINVAL || err == -EOPNOTSUPP || err == -EUCLEAN);
	ck_assert_str_ne(why, "");
}

START_TEST(no_changed_byte_does_harm)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct ext_super s;
	size_t at, i;

	make_super(&s, 1024 << _i, 128, 3 - (unsigned)_i);
	for (at = 0; at < sizeof(s); at++) {
		uint8_t *byte = (uint8_t *)&s + at;
		uint8_t was = *byte;

		for (i = 0; i < array_size(values) + 8; i++) {
			*byte = i < 8 ? was ^ (uint8_t)(1u << i) : values[i - 8];
			assert_harmless(&s);
		}
		*byte = was;
	}
}
END_TEST

/* Several fields at once, with values near the limits, reach sums that one byte does not. */
START_TEST(no_changed_fields_do_harm)
{
	static const uint32_t values[] = {0, 1, 2, 8, 127, 128, 255, 256, 1024, 4096, 8191, 8192, 8193,
					  32768, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff};
	struct ext_super s;
	struct rand r;
	unsigned round, n;

	rand_init(&r, test_seed());
	for (round = 0; round < 200000; round++) {
		make_super(&s, 1024u << rand_below(&r, 3), 128u << rand_below(&r, 3),
			   1 + (group_t)rand_below(&r, 3));
		for (n = 1 + (unsigned)rand_below(&r, 4); n; n--) {
			le32_t *words = (le32_t *)&s;
			size_t w = rand_one_in(&r, 8) ? rand_below(&r, 256) : rand_below(&r, 27);

			if (w == offsetof(struct ext_super, magic) / 4)
				continue;
			words[w] = le32_make(rand_one_in(&r, 3) ? (uint32_t)rand_u64(&r)
								: values[rand_below(&r, array_size(values))]);
		}
		assert_harmless(&s);
	}
}
END_TEST

START_TEST(backups_are_walked_and_found)
{
	static const group_t sparse[] = {0, 1, 3, 5, 7, 9, 25, 27, 49};
	struct geometry geo = make_geometry(1024, 128, 50);
	group_t g = 0;
	size_t i;

	for (i = 0; i < array_size(sparse); i++, g = super_next_group(&geo, g))
		ck_assert_uint_eq(g, sparse[i]);
	ck_assert_uint_eq(g, geo.groups_count);
	ck_assert_uint_eq(super_location(&geo, 0), 1024);
	ck_assert_uint_eq(super_location(&geo, 1), 8193 * 1024);
	ck_assert_uint_eq(super_backup_guess(1024), 8193);
	ck_assert_uint_eq(super_backup_guess(2048), 16384);
	ck_assert_uint_eq(super_backup_guess(4096), 32768);
	geo = make_geometry(4096, 128, 2);
	ck_assert_uint_eq(super_location(&geo, 0), 1024);
	ck_assert_uint_eq(super_location(&geo, 1), UINT64_C(32768) * 4096);
}
END_TEST

START_TEST(a_backup_equals_its_primary_but_for_volatile_features)
{
	struct geometry a = make_geometry(1024, 128, 3), b = a;

	b.feature_incompat |= EXT_INCOMPAT_RECOVER;
	b.feature_compat &= ~EXT_COMPAT_EXT_ATTR;
	ck_assert(geometry_equal(&a, &b));
	b.feature_compat ^= EXT_COMPAT_HAS_JOURNAL;
	ck_assert(!geometry_equal(&a, &b));
	b = make_geometry(1024, 128, 4);
	ck_assert(!geometry_equal(&a, &b));
}
END_TEST

TEST_SUITE(layout_super)
{
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, possible_superblocks_pass);
	tcase_add_test(tc, revision_0_has_small_inodes_whatever_the_later_fields_say);
	tcase_add_loop_test(tc, each_impossible_field_is_refused_with_its_reason, 0,
			    array_size(damages));
	tcase_add_test(tc, a_group_too_small_for_its_metadata_is_refused);
	tcase_add_test(tc, meta_bg_fields_are_checked);
	tcase_add_loop_test(tc, no_changed_byte_does_harm, 0, 3);
	tcase_add_test(tc, no_changed_fields_do_harm);
	tcase_add_test(tc, backups_are_walked_and_found);
	tcase_add_test(tc, a_backup_equals_its_primary_but_for_volatile_features);
}
