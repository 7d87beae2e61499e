/*
 * The gate for superblocks: each function judges a group of fields and fills its part of the geometry,
 * and relies on what those before it have established. FORMAT.md 1.3 lists the same rules.
 */
#include "layout/super.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout/feature.h"
#include "refuse.h"

/* A block size of 64 KiB is the largest that the format knows. */
#define LOG_BLOCK_SIZE_FORMAT_MAX 6u

static int check_block_size(const struct ext_super *s, struct geometry *geo, struct why why)
{
	uint32_t log = le32_get(s->log_block_size);

	if (log > LOG_BLOCK_SIZE_FORMAT_MAX)
		return refuse(why, "impossible block size (log_block_size %u)", log);
	if (log > EXT_BLOCK_BITS_MAX - EXT_BLOCK_BITS_MIN) {
		snprintf(why.text, why.size, "unsupported block size %u (at most %u)",
			 EXT_BLOCK_SIZE_MIN << log, EXT_BLOCK_SIZE_MAX);
		return -EOPNOTSUPP;
	}
	if (le32_get(s->log_cluster_size) != log)
		return refuse(why, "fragment size differs from block size (log %u and %u)",
			      le32_get(s->log_cluster_size), log);
	geometry_set_block_size(geo, EXT_BLOCK_SIZE_MIN << log);
	return 0;
}

static void take_features(const struct ext_super *s, struct geometry *geo)
{
	geo->rev_level = le32_get(s->rev_level);
	geo->feature_compat = le32_get(s->feature_compat);
	geo->feature_incompat = le32_get(s->feature_incompat);
	geo->feature_ro_compat = le32_get(s->feature_ro_compat);
	geo->has_journal = super_has_compat(s, EXT_COMPAT_HAS_JOURNAL);
	geo->has_ext_attr = super_has_compat(s, EXT_COMPAT_EXT_ATTR);
	geo->has_resize_inode = super_has_compat(s, EXT_COMPAT_RESIZE_INODE);
	geo->has_dir_index = super_has_compat(s, EXT_COMPAT_DIR_INDEX);
	geo->sparse_super2 = super_has_compat(s, EXT_COMPAT_SPARSE_SUPER2);
	geo->has_filetype = super_has_incompat(s, EXT_INCOMPAT_FILETYPE);
	geo->meta_bg = super_has_incompat(s, EXT_INCOMPAT_META_BG);
	geo->flex_bg = super_has_incompat(s, EXT_INCOMPAT_FLEX_BG);
	geo->sparse_super = super_has_ro_compat(s, EXT_RO_COMPAT_SPARSE_SUPER);
	geo->has_large_file = super_has_ro_compat(s, EXT_RO_COMPAT_LARGE_FILE);
	geo->has_huge_file = super_has_ro_compat(s, EXT_RO_COMPAT_HUGE_FILE);
}

static int check_blocks(const struct ext_super *s, uint64_t disk_size_bytes, struct geometry *geo,
			struct why why)
{
	uint32_t first = geo->block_size == EXT_BLOCK_SIZE_MIN ? 1 : 0;

	geo->blocks_count = le32_get(s->blocks_count);
	geo->first_data_block = le32_get(s->first_data_block);
	if (geo->first_data_block != first)
		return refuse(why, "first data block is %" PRIu64 ", with blocks of %u bytes it is %u",
			      geo->first_data_block, geo->block_size, first);
	if (geo->blocks_count <= geo->first_data_block + 1)
		return refuse(why, "impossible number of blocks %" PRIu64, geo->blocks_count);
	if (geo->blocks_count > disk_size_bytes >> geo->block_bits)
		return refuse(why, "file system of %" PRIu64 " blocks on a disk of %" PRIu64,
			      geo->blocks_count, disk_size_bytes >> geo->block_bits);
	if (le32_get(s->r_blocks_count) > geo->blocks_count)
		return refuse(why, "%u reserved blocks of %" PRIu64, le32_get(s->r_blocks_count),
			      geo->blocks_count);
	return 0;
}

static int check_inode_size(const struct ext_super *s, struct geometry *geo, struct why why)
{
	geo->inode_size = EXT_GOOD_OLD_INODE_SIZE;
	geo->first_ino = EXT_GOOD_OLD_FIRST_INO;
	if (geo->rev_level != EXT_GOOD_OLD_REV) {
		geo->inode_size = le16_get(s->inode_size);
		geo->first_ino = le32_get(s->first_ino);
	}
	if (!is_power_of_2(geo->inode_size) || geo->inode_size < EXT_GOOD_OLD_INODE_SIZE ||
	    geo->inode_size > geo->block_size)
		return refuse(why, "impossible inode size %u", geo->inode_size);
	if (geo->first_ino < EXT_GOOD_OLD_FIRST_INO)
		return refuse(why, "impossible first inode %u", geo->first_ino);
	geo->inodes_per_block = geo->block_size / geo->inode_size;
	return 0;
}

static int check_group_sizes(const struct ext_super *s, struct geometry *geo, struct why why)
{
	uint32_t bits = geo->block_size * 8;

	geo->blocks_per_group = le32_get(s->blocks_per_group);
	geo->inodes_per_group = le32_get(s->inodes_per_group);
	if (geo->blocks_per_group == 0 || geo->blocks_per_group > bits)
		return refuse(why, "impossible %u blocks per group", geo->blocks_per_group);
	if (le32_get(s->clusters_per_group) != geo->blocks_per_group)
		return refuse(why, "%u fragments per group of %u blocks",
			      le32_get(s->clusters_per_group), geo->blocks_per_group);
	if (geo->inodes_per_group == 0 || geo->inodes_per_group > bits)
		return refuse(why, "impossible %u inodes per group", geo->inodes_per_group);
	geo->inode_table_blocks = div_round_up(geo->inodes_per_group, geo->inodes_per_block);
	return 0;
}

static int check_counts(const struct ext_super *s, struct geometry *geo, struct why why)
{
	fsblk_t blocks = geo->blocks_count - geo->first_data_block;

	geo->groups_count = (group_t)div_round_up(blocks, geo->blocks_per_group);
	geo->inodes_count = le32_get(s->inodes_count);
	if ((uint64_t)geo->groups_count * geo->inodes_per_group != geo->inodes_count)
		return refuse(why, "%u inodes in %u groups of %u", geo->inodes_count, geo->groups_count,
			      geo->inodes_per_group);
	if (geo->first_ino > geo->inodes_count)
		return refuse(why, "first inode %u of %u", geo->first_ino, geo->inodes_count);
	return 0;
}

static int check_descriptors(const struct ext_super *s, struct geometry *geo, struct why why)
{
	geo->desc_size = EXT_GROUP_DESC_SIZE;
	geo->desc_per_block = geo->block_size / geo->desc_size;
	geo->gdt_blocks = geometry_gdt_blocks(geo, geo->groups_count);
	geo->reserved_gdt_blocks = le16_get(s->reserved_gdt_blocks);
	geo->first_meta_bg = geo->meta_bg ? le32_get(s->first_meta_bg) : geo->gdt_blocks;
	if (geo->sparse_super2) {
		geo->backup_bgs[0] = le32_get(s->backup_bgs[0]);
		geo->backup_bgs[1] = le32_get(s->backup_bgs[1]);
	}

	/* One double indirect tree, of one block, holds them all: that is the resize inode. */
	if (geo->reserved_gdt_blocks > geo->addr_per_block)
		return refuse(why, "impossible %u reserved descriptor blocks", geo->reserved_gdt_blocks);
	if (geo->meta_bg && geo->reserved_gdt_blocks)
		return refuse(why, "%u reserved descriptor blocks together with meta_bg",
			      geo->reserved_gdt_blocks);
	if (geo->first_meta_bg > geo->gdt_blocks)
		return refuse(why, "first meta group %u of %u", geo->first_meta_bg, geo->gdt_blocks);
	return 0;
}

static int check_group_room(const struct geometry *geo, group_t g, struct why why)
{
	uint64_t need = (uint64_t)group_overhead(geo, g) + 2 + geo->inode_table_blocks;

	if (need > group_blocks(geo, g))
		return refuse(why, "group %u has %u blocks and needs %" PRIu64 " for its own metadata", g,
			      group_blocks(geo, g), need);
	return 0;
}

/* No group has more in front than group 0, and none is shorter than the last: two stand for all (G3). */
static int check_room(const struct geometry *geo, struct why why)
{
	int err = check_group_room(geo, 0, why);

	if (!err && !geo->flex_bg)
		err = check_group_room(geo, geo->groups_count - 1, why);
	return err;
}

static int check_all(const struct ext_super *s, uint64_t disk_size_bytes, struct geometry *geo,
		     struct why why)
{
	int err;

	take_features(s, geo);
	err = check_block_size(s, geo, why);
	if (!err)
		err = check_blocks(s, disk_size_bytes, geo, why);
	if (!err)
		err = check_inode_size(s, geo, why);
	if (!err)
		err = check_group_sizes(s, geo, why);
	if (!err)
		err = check_counts(s, geo, why);
	if (!err)
		err = check_descriptors(s, geo, why);
	if (!err)
		err = check_room(geo, why);
	return err;
}

int super_check(const struct ext_super *super, uint64_t disk_size_bytes, struct geometry *ret,
		char *why, size_t why_size)
{
	struct geometry geo;
	int err;

	memset(&geo, 0, sizeof(geo));
	if (!super_has_magic(super)) {
		snprintf(why, why_size, "no ext2 or ext3 file system (magic 0x%04x)",
			 le16_get(super->magic));
		return -EINVAL;
	}
	if (feature_check(super, why, why_size) == FEATURE_REFUSE)
		return -EOPNOTSUPP;
	if (why_size)
		why[0] = '\0';		/* what allows reading only is no complaint here */

	err = check_all(super, disk_size_bytes, &geo, (struct why){why, why_size});
	if (!err)
		*ret = geo;
	return err;
}

uint64_t super_location(const struct geometry *geo, group_t g)
{
	if (g == 0)
		return EXT_SUPER_OFFSET;
	return group_first_block(geo, g) << geo->block_bits;
}

group_t super_next_group(const struct geometry *geo, group_t g)
{
	do
		g++;
	while (g < geo->groups_count && !group_has_super(geo, g));
	return g;
}

fsblk_t super_backup_guess(unsigned block_size)
{
	return (fsblk_t)block_size * 8 + (block_size == EXT_BLOCK_SIZE_MIN ? 1 : 0);
}

/*
 * Bits that a running system changes on the primary alone: needs_recovery by every mount, the two
 * others with the first xattr or the first large file.
 */
#define VOLATILE_COMPAT		EXT_COMPAT_EXT_ATTR
#define VOLATILE_INCOMPAT	EXT_INCOMPAT_RECOVER
#define VOLATILE_RO_COMPAT	EXT_RO_COMPAT_LARGE_FILE

bool geometry_equal(const struct geometry *a, const struct geometry *b)
{
	return a->block_size == b->block_size && a->blocks_count == b->blocks_count &&
	       a->blocks_per_group == b->blocks_per_group &&
	       a->inodes_per_group == b->inodes_per_group && a->inode_size == b->inode_size &&
	       a->first_ino == b->first_ino && a->reserved_gdt_blocks == b->reserved_gdt_blocks &&
	       a->first_meta_bg == b->first_meta_bg && a->backup_bgs[0] == b->backup_bgs[0] &&
	       a->backup_bgs[1] == b->backup_bgs[1] && a->rev_level == b->rev_level &&
	       !((a->feature_compat ^ b->feature_compat) & ~VOLATILE_COMPAT) &&
	       !((a->feature_incompat ^ b->feature_incompat) & ~VOLATILE_INCOMPAT) &&
	       !((a->feature_ro_compat ^ b->feature_ro_compat) & ~VOLATILE_RO_COMPAT);
}
