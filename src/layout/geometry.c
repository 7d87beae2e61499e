/* Where everything lies, computed from a checked geometry. FORMAT.md 3. */
#include "layout/geometry.h"

/* Is n a power of base (1, base, base^2 ...)? */
static bool is_power_of(uint32_t n, uint32_t base)
{
	uint64_t power = 1;

	while (power < n)
		power *= base;
	return power == n;
}

bool group_has_super(const struct geometry *geo, group_t g)
{
	if (g == 0)
		return true;
	if (geo->sparse_super2)
		return g == geo->backup_bgs[0] || g == geo->backup_bgs[1];
	if (!geo->sparse_super)
		return true;
	return is_power_of(g, 3) || is_power_of(g, 5) || is_power_of(g, 7);
}

/* Does the group keep its descriptors in the old way, as part of one whole table? */
static bool group_is_classic(const struct geometry *geo, group_t g)
{
	return !geo->meta_bg || g / geo->desc_per_block < geo->first_meta_bg;
}

/* In a meta group the first, the second and the last group hold the one descriptor block. */
static bool group_has_meta_desc(const struct geometry *geo, group_t g)
{
	unsigned nr = g % geo->desc_per_block;

	return nr == 0 || nr == 1 || nr == geo->desc_per_block - 1;
}

struct group_head group_head(const struct geometry *geo, group_t g)
{
	struct group_head head = {.has_super = group_has_super(geo, g)};
	fsblk_t block = group_first_block(geo, g);

	if (head.has_super)
		head.super = block++;
	if (group_is_classic(geo, g)) {
		if (head.has_super) {
			head.gdt_blocks = geo->meta_bg ? geo->first_meta_bg : geo->gdt_blocks;
			head.reserved_gdt_blocks = geo->reserved_gdt_blocks;
		}
	} else if (group_has_meta_desc(geo, g)) {
		head.gdt_blocks = 1;
		head.gdt_index = g / geo->desc_per_block;
	}
	head.gdt = head.gdt_blocks ? block : 0;
	head.blocks = head.has_super + head.gdt_blocks + head.reserved_gdt_blocks;
	return head;
}

fsblk_t group_desc_location(const struct geometry *geo, uint32_t i)
{
	group_t g;

	if (!geo->meta_bg || i < geo->first_meta_bg)
		return geo->first_data_block + 1 + i;
	g = i * geo->desc_per_block;
	return group_first_block(geo, g) + group_has_super(geo, g);
}

struct inode_place inode_location(const struct geometry *geo, inr_t ino, fsblk_t inode_table)
{
	uint32_t index = inode_in_group(geo, ino);

	return (struct inode_place){
		.block = inode_table + index / geo->inodes_per_block,
		.offset = index % geo->inodes_per_block * geo->inode_size,
	};
}

uint64_t geometry_overhead(const struct geometry *geo)
{
	uint64_t blocks = geo->first_data_block;
	group_t g;

	for (g = 0; g < geo->groups_count; g++)
		blocks += group_overhead(geo, g);
	return blocks + (uint64_t)geo->groups_count * (2 + (uint64_t)geo->inode_table_blocks);
}

/* ---- limits of files ---- */

/* Indirect blocks of a file without holes that has nr blocks. */
static uint64_t tree_blocks(uint64_t nr, uint64_t per_block)
{
	uint64_t doubles = per_block * per_block;
	uint64_t indirect = 0;

	if (nr <= EXT_NDIR_BLOCKS)
		return 0;
	nr -= EXT_NDIR_BLOCKS;
	indirect += 1;				/* the single indirect block */
	if (nr <= per_block)
		return indirect;
	nr -= per_block;
	indirect += 1 + div_round_up(min(nr, doubles), per_block);
	if (nr <= doubles)
		return indirect;
	nr -= doubles;
	return indirect + 1 + div_round_up(nr, doubles) + div_round_up(nr, per_block);
}

/*
 * The longest file without holes whose data and indirect blocks together can be counted in the
 * 32 bits of i_blocks. Linux applies it to the size, also of files with holes.
 */
static uint64_t countable_blocks(uint64_t tree_max, uint64_t per_block, unsigned block_bits)
{
	uint64_t units = UINT32_MAX >> (block_bits - SECTOR_SHIFT);
	uint64_t data = units;

	if (tree_max + tree_blocks(tree_max, per_block) <= units)
		return tree_max;
	/*
	 * The indirect blocks are those of a file of all units, a little more than the shorter file
	 * needs: Linux counts so, and a limit must be the same number for both.
	 */
	data -= tree_blocks(units, per_block);
	return data;
}

void geometry_set_block_size(struct geometry *geo, unsigned block_size)
{
	uint64_t per_block = block_size / sizeof(le32_t);

	geo->block_size = block_size;
	geo->block_bits = log2_floor(block_size);
	geo->addr_per_block = (unsigned)per_block;
	geo->addr_bits = geo->block_bits - 2;
	geo->max_file_blocks = EXT_NDIR_BLOCKS + per_block + per_block * per_block +
			       per_block * per_block * per_block;
	geo->max_file_size_bytes = countable_blocks(geo->max_file_blocks, per_block, geo->block_bits)
				   << geo->block_bits;
	geo->max_symlink_bytes = block_size - 1;
}
