/*
 * layout/geometry.h - where everything of a file system lies.
 *
 * Purpose     A host-endian value, filled once by super_check(), from which the place and size
 *             of every superblock copy, descriptor, bitmap, table and inode follows.
 * Ownership   A plain value; copy it freely. Never changes after super_check().
 * Locking     None.
 * Invariants  G1  first_data_block < blocks_count <= 2^32 - 1; no sum below overflows 64 bits.
 *             G2  groups_count = ceil((blocks_count - first_data_block) / blocks_per_group) and
 *                 inodes_count = groups_count * inodes_per_group.
 *             G3  every group, the last one too, holds its own metadata.
 *             G4  blocks_per_group and inodes_per_group are <= 8 * block_size.
 * Units       As named. group_t counts from 0, inr_t from 1.
 * Sources     FORMAT.md 3.
 */
#ifndef LAYOUT_GEOMETRY_H
#define LAYOUT_GEOMETRY_H

#include "layout/format.h"

struct geometry {
	unsigned block_size;		/* bytes: 1024, 2048 or 4096 */
	unsigned block_bits;		/* log2 of block_size */
	fsblk_t blocks_count;
	fsblk_t first_data_block;	/* 1 at 1 KiB blocks, else 0 */
	uint32_t blocks_per_group;
	uint32_t inodes_per_group;
	uint32_t inodes_count;
	group_t groups_count;

	unsigned inode_size;		/* bytes: 128 up to block_size */
	inr_t first_ino;		/* the first that is not reserved */
	unsigned inodes_per_block;
	uint32_t inode_table_blocks;	/* per group */

	unsigned desc_size;		/* bytes: 32 */
	unsigned desc_per_block;
	uint32_t gdt_blocks;		/* blocks of one whole descriptor table */
	uint32_t reserved_gdt_blocks;	/* kept behind each copy of the table */
	uint32_t first_meta_bg;		/* meta groups from here on use meta_bg; gdt_blocks when none does */
	group_t backup_bgs[2];		/* sparse_super2 only */

	unsigned addr_per_block;	/* block numbers in an indirect block */
	unsigned addr_bits;		/* log2 of it */
	lblk_t max_file_blocks;		/* what the block tree reaches */
	uint64_t max_file_size_bytes;	/* the lesser of the tree and 2^32 units of 512 bytes in i_blocks */
	unsigned max_symlink_bytes;	/* of a target, without terminator */

	uint32_t rev_level;
	uint32_t feature_compat;
	uint32_t feature_incompat;
	uint32_t feature_ro_compat;
	bool sparse_super;
	bool sparse_super2;
	bool meta_bg;
	bool flex_bg;
	bool has_filetype;
	bool has_journal;
	bool has_resize_inode;
	bool has_dir_index;
	bool has_ext_attr;
	bool has_large_file;
	bool has_huge_file;
};

/* ---- groups; g must be < groups_count, block within the file system ---- */

static inline fsblk_t group_first_block(const struct geometry *geo, group_t g)
{
	return geo->first_data_block + (fsblk_t)g * geo->blocks_per_group;
}

/* Blocks in the group: blocks_per_group, or fewer in the last one. */
static inline uint32_t group_blocks(const struct geometry *geo, group_t g)
{
	fsblk_t left = geo->blocks_count - group_first_block(geo, g);

	return left < geo->blocks_per_group ? (uint32_t)left : geo->blocks_per_group;
}

/* One of the blocks a file or table may use: inside the file system and behind the superblock. */
static inline bool block_is_valid(const struct geometry *geo, fsblk_t block)
{
	return block > geo->first_data_block && block < geo->blocks_count;
}

/* The same for a run; count >= 1. Does not overflow for any input. */
static inline bool block_run_is_valid(const struct geometry *geo, fsblk_t first, uint64_t count)
{
	return block_is_valid(geo, first) && count <= geo->blocks_count - first;
}

static inline group_t group_of_block(const struct geometry *geo, fsblk_t block)
{
	return (group_t)((block - geo->first_data_block) / geo->blocks_per_group);
}

static inline grpblk_t block_in_group(const struct geometry *geo, fsblk_t block)
{
	return (grpblk_t)((block - geo->first_data_block) % geo->blocks_per_group);
}

/* Does the group begin with a copy of the superblock? Group 0 always does. */
bool group_has_super(const struct geometry *geo, group_t g);

/* What lies at the start of a group, in this order, before bitmaps and table come. */
struct group_head {
	bool has_super;
	fsblk_t super;			/* block with the superblock copy, if has_super */
	fsblk_t gdt;			/* first block of descriptors, if gdt_blocks */
	uint32_t gdt_blocks;		/* descriptor blocks here: all, one (meta_bg) or none */
	uint32_t gdt_index;		/* which descriptor block the first of them is */
	uint32_t reserved_gdt_blocks;	/* behind the descriptors */
	uint32_t blocks;		/* all of these together, from the group's first block */
};
struct group_head group_head(const struct geometry *geo, group_t g);

/* Blocks of superblock copy, descriptors and reserved descriptors at the start of the group. */
static inline uint32_t group_overhead(const struct geometry *geo, group_t g)
{
	return group_head(geo, g).blocks;
}

/* ---- descriptors ---- */

/* The primary place of descriptor block i (< gdt_blocks). */
fsblk_t group_desc_location(const struct geometry *geo, uint32_t i);

/* Descriptor block that holds group g, and the byte in it. */
static inline uint32_t group_desc_block(const struct geometry *geo, group_t g)
{
	return g / geo->desc_per_block;
}

static inline unsigned group_desc_offset(const struct geometry *geo, group_t g)
{
	return g % geo->desc_per_block * geo->desc_size;
}

/* ---- inodes ---- */

static inline bool inode_nr_is_valid(const struct geometry *geo, inr_t ino)
{
	return ino >= 1 && ino <= geo->inodes_count;
}

/* A number that a directory may name: the root or one that is not reserved. */
static inline bool inode_nr_is_user(const struct geometry *geo, inr_t ino)
{
	return ino == EXT_ROOT_INO || (ino >= geo->first_ino && ino <= geo->inodes_count);
}

static inline group_t group_of_inode(const struct geometry *geo, inr_t ino)
{
	return (ino - 1) / geo->inodes_per_group;
}

/* The bit of the group's inode bitmap. */
static inline uint32_t inode_in_group(const struct geometry *geo, inr_t ino)
{
	return (ino - 1) % geo->inodes_per_group;
}

static inline inr_t group_first_inode(const struct geometry *geo, group_t g)
{
	return g * geo->inodes_per_group + 1;
}

struct inode_place {
	fsblk_t block;
	unsigned offset;	/* bytes into the block */
};

/* Where inode ino (valid) lies, given the first block of its group's inode table. */
struct inode_place inode_location(const struct geometry *geo, inr_t ino, fsblk_t inode_table);

/* ---- totals ---- */

/*
 * Blocks that no file can ever have, as statfs subtracts them: everything before the first group,
 * superblocks, descriptors with their reserve, bitmaps and inode tables. The journal's blocks are
 * not in it (Linux counts them too: the caller knows the journal's length). Walks all groups.
 */
uint64_t geometry_overhead(const struct geometry *geo);

/* Descriptor blocks for a number of groups at this block size. */
static inline uint32_t geometry_gdt_blocks(const struct geometry *geo, group_t groups)
{
	return groups / geo->desc_per_block + (groups % geo->desc_per_block != 0);
}

/*
 * Fills what follows from the block size: block_bits, addr_per_block, addr_bits and the limits of
 * files and symlinks. For super_check() and for tests; block_size must be 1024, 2048 or 4096.
 */
void geometry_set_block_size(struct geometry *geo, unsigned block_size);

#endif
