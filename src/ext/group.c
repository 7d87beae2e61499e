/*
 * Block groups.
 *
 * A descriptor is read once, at mount: its three places never change, and its counters live in
 * struct ext_group from then on, written through to the descriptor's buffer with each change. A
 * bitmap is checked once after it was read; PAGE_CHECKED on its buffer remembers that, so one that
 * was reclaimed and read again is checked again. A group whose bitmap failed is left alone for the
 * rest of the mount.
 */
#include "group.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "error.h"
#include "layout/group.h"

static struct ext_group_desc *group_desc(struct ext *fs, group_t g)
{
	uint8_t *block = buffer_data(fs->gdt[group_desc_block(&fs->geo, g)]);

	return (struct ext_group_desc *)(block + group_desc_offset(&fs->geo, g));
}

static int load_descriptor_blocks(struct ext *fs, char *why, size_t why_size)
{
	if (!fs->geo.meta_bg)
		buffer_read_ahead(&fs->buffers, group_desc_location(&fs->geo, 0), fs->geo.gdt_blocks);
	for (uint32_t i = 0; i < fs->geo.gdt_blocks; i++) {
		fsblk_t block = group_desc_location(&fs->geo, i);
		int err = buffer_read(&fs->buffers, block, &fs->gdt[i]);

		if (err) {
			snprintf(why, why_size, "cannot read the group descriptors in block %llu",
				 (unsigned long long)block);
			return err;
		}
	}
	return 0;
}

static int load_group(struct ext *fs, group_t g, char *why, size_t why_size)
{
	const struct ext_group_desc *desc = group_desc(fs, g);
	struct ext_group *group = &fs->groups[g];
	char clause[160];
	int err = group_desc_check(&fs->geo, g, desc, clause, sizeof(clause));

	if (err) {
		snprintf(why, why_size, "descriptor of group %u: %s", g, clause);
		return err;
	}
	group->block_bitmap = le32_get(desc->block_bitmap);
	group->inode_bitmap = le32_get(desc->inode_bitmap);
	group->inode_table = le32_get(desc->inode_table);
	group->head_blocks = group_overhead(&fs->geo, g);
	group->free_blocks = le16_get(desc->free_blocks_count);
	group->free_inodes = le16_get(desc->free_inodes_count);
	group->used_dirs = le16_get(desc->used_dirs_count);
	fs->free_blocks += group->free_blocks;
	fs->free_inodes += group->free_inodes;
	fs->used_dirs += group->used_dirs;
	return 0;
}

int groups_load(struct ext *fs, char *why, size_t why_size)
{
	int err;

	for (unsigned i = 0; i < EXT_GROUP_LOCKS; i++)
		mutex_init(&fs->group_locks[i], RANK_GROUP, "group");
	fs->gdt = mem_zalloc(fs->geo.gdt_blocks * sizeof(*fs->gdt));
	fs->groups = mem_zalloc(fs->geo.groups_count * sizeof(*fs->groups));
	if (!fs->gdt || !fs->groups) {
		snprintf(why, why_size, "out of memory for %u block groups", fs->geo.groups_count);
		return -ENOMEM;
	}
	err = load_descriptor_blocks(fs, why, why_size);
	for (group_t g = 0; !err && g < fs->geo.groups_count; g++)
		err = load_group(fs, g, why, why_size);
	return err;
}

void groups_drop(struct ext *fs)
{
	if (fs->gdt)
		for (uint32_t i = 0; i < fs->geo.gdt_blocks; i++)
			buffer_put(fs->gdt[i]);
	mem_free(fs->gdt);
	mem_free(fs->groups);
	fs->gdt = NULL;
	fs->groups = NULL;
	for (unsigned i = 0; i < EXT_GROUP_LOCKS; i++)
		mutex_done(&fs->group_locks[i]);
}

enum bitmap_kind { BLOCK_BITMAP, INODE_BITMAP };

/* The gate, once for each time the bitmap is read from disk. */
static int check_bitmap(struct ext *fs, group_t g, enum bitmap_kind kind, struct buffer *b)
{
	char clause[160] = "";
	int err = 0;

	buffer_lock(b);
	if (!page_test(&b->page, PAGE_CHECKED)) {
		if (kind == BLOCK_BITMAP)
			err = block_bitmap_check(&fs->geo, g, group_desc(fs, g), buffer_data(b), clause,
						 sizeof(clause));
		else
			err = inode_bitmap_check(&fs->geo, g, buffer_data(b), clause, sizeof(clause));
		if (!err)
			page_set(&b->page, PAGE_CHECKED);
	}
	buffer_unlock(b);
	if (err)
		return ext_error(fs, 0, buffer_block(b), "%s bitmap of group %u: %s",
				 kind == BLOCK_BITMAP ? "block" : "inode", g, clause);
	return 0;
}

static int load_bitmap(struct ext *fs, group_t g, enum bitmap_kind kind, struct buffer **ret_buffer)
{
	struct ext_group *group = &fs->groups[g];
	uint32_t bad = kind == BLOCK_BITMAP ? GROUP_BLOCKS_BAD : GROUP_INODES_BAD;
	struct buffer *b;
	int err;

	if (group->flags & bad)
		return -EUCLEAN;
	err = buffer_read(&fs->buffers, kind == BLOCK_BITMAP ? group->block_bitmap : group->inode_bitmap, &b);
	if (err)
		return err;
	if (!page_test(&b->page, PAGE_CHECKED)) {
		err = check_bitmap(fs, g, kind, b);
		if (err) {
			atomic_fetch_or(&group->flags, bad);
			buffer_put(b);
			return err;
		}
	}
	*ret_buffer = b;
	return 0;
}

int group_block_bitmap(struct ext *fs, group_t g, struct buffer **ret_buffer)
{
	return load_bitmap(fs, g, BLOCK_BITMAP, ret_buffer);
}

int group_inode_bitmap(struct ext *fs, group_t g, struct buffer **ret_buffer)
{
	return load_bitmap(fs, g, INODE_BITMAP, ret_buffer);
}

/* A counter that a damaged image made too small or too large stays within its bounds. */
static uint32_t count_by(uint32_t count, int32_t change, uint32_t limit)
{
	int64_t next = (int64_t)count + change;

	return next < 0 ? 0 : next > (int64_t)limit ? limit : (uint32_t)next;
}

int group_account(struct handle *h, struct ext *fs, group_t g, const struct group_change *change)
{
	struct buffer *b = fs->gdt[group_desc_block(&fs->geo, g)];
	struct ext_group_desc *desc = group_desc(fs, g);
	struct ext_group *group = &fs->groups[g];
	int err = meta_begin(h, b);

	if (err)
		return err;
	mutex_lock(group_lock(fs, g));
	group->free_blocks = count_by(group->free_blocks, change->free_blocks, group_blocks(&fs->geo, g));
	group->free_inodes = count_by(group->free_inodes, change->free_inodes, fs->geo.inodes_per_group);
	group->used_dirs = count_by(group->used_dirs, change->used_dirs, fs->geo.inodes_per_group);
	desc->free_blocks_count = le16_make((uint16_t)group->free_blocks);
	desc->free_inodes_count = le16_make((uint16_t)group->free_inodes);
	desc->used_dirs_count = le16_make((uint16_t)group->used_dirs);
	mutex_unlock(group_lock(fs, g));
	meta_end(h, b);

	fs->free_blocks += (uint64_t)(int64_t)change->free_blocks;
	fs->free_inodes += (uint64_t)(int64_t)change->free_inodes;
	fs->used_dirs += (uint64_t)(int64_t)change->used_dirs;
	return 0;
}

static bool runs_meet(fsblk_t a, uint64_t a_count, fsblk_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

bool ext_blocks_are_for_files(const struct ext *fs, fsblk_t first, uint64_t count)
{
	if (!block_run_is_valid(&fs->geo, first, count))
		return false;
	for (group_t g = group_of_block(&fs->geo, first); g <= group_of_block(&fs->geo, first + count - 1); g++) {
		const struct ext_group *group = &fs->groups[g];

		if (runs_meet(first, count, group_first_block(&fs->geo, g), group->head_blocks) ||
		    runs_meet(first, count, group->block_bitmap, 1) ||
		    runs_meet(first, count, group->inode_bitmap, 1) ||
		    runs_meet(first, count, group->inode_table, fs->geo.inode_table_blocks))
			return false;
	}
	return true;
}
