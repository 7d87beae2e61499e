/*
 * Inode allocation.
 *
 * A directory directly below the root (or below one with the TOPDIR flag) is the start of
 * something unrelated: it goes to a group with more free inodes and blocks than the average and
 * the fewest directories, beginning at a place that moves round. A directory further down stays
 * near its parent unless that group is crowded. Files go to their directory's group; when it is
 * full, to the next ones at doubling distances, then anywhere.
 */
#include "ialloc.h"

#include <errno.h>

#include "base/bitmap.h"
#include "base/log.h"
#include "error.h"
#include "group.h"

static group_t group_behind(const struct ext *fs, group_t g, uint64_t distance)
{
	return (group_t)((g + distance) % fs->geo.groups_count);
}

/* The least crowded group with at least average space, from a moving start on. */
static bool choose_spread(struct ext *fs, group_t *ret_group)
{
	group_t count = fs->geo.groups_count;
	group_t start = atomic_fetch_add(&fs->next_dir_group, 1) % count;
	uint64_t inodes_average = fs->free_inodes / count;
	uint64_t blocks_average = fs->free_blocks / count;
	uint32_t fewest_dirs = UINT32_MAX;
	bool found = false;

	for (group_t i = 0; i < count; i++) {
		group_t g = group_behind(fs, start, i);
		const struct ext_group *group = &fs->groups[g];

		if (group->free_inodes == 0 || group->free_inodes < inodes_average ||
		    group->free_blocks < blocks_average || group->used_dirs >= fewest_dirs)
			continue;
		fewest_dirs = group->used_dirs;
		*ret_group = g;
		found = true;
		if (fewest_dirs == 0)
			break;
	}
	return found;
}

/* The parent's group or the next one that is not crowded with directories and not short of space. */
static bool choose_near(const struct ext *fs, group_t parent, group_t *ret_group)
{
	group_t count = fs->geo.groups_count;
	uint64_t dirs_max = fs->used_dirs / count + fs->geo.inodes_per_group / 16;
	uint64_t inodes_average = fs->free_inodes / count;
	uint64_t blocks_average = fs->free_blocks / count;
	uint64_t inodes_min = inodes_average > fs->geo.inodes_per_group / 4
				      ? inodes_average - fs->geo.inodes_per_group / 4
				      : 1;
	uint64_t blocks_min = blocks_average > fs->geo.blocks_per_group / 4
				      ? blocks_average - fs->geo.blocks_per_group / 4
				      : 1;

	for (group_t i = 0; i < count; i++) {
		group_t g = group_behind(fs, parent, i);
		const struct ext_group *group = &fs->groups[g];

		if (group->used_dirs <= dirs_max && group->free_inodes >= inodes_min &&
		    group->free_blocks >= blocks_min) {
			*ret_group = g;
			return true;
		}
	}
	return false;
}

static group_t choose_group(struct ext *fs, inr_t parent, bool parent_is_top, bool is_dir)
{
	group_t near = group_of_inode(&fs->geo, parent);
	group_t chosen;

	if (is_dir && (parent_is_top ? choose_spread(fs, &chosen) : choose_near(fs, near, &chosen)))
		return chosen;
	if (fs->groups[near].free_inodes && fs->groups[near].free_blocks)
		return near;
	for (uint64_t step = 1; step < fs->geo.groups_count; step *= 2) {
		group_t g = group_behind(fs, near, parent + step);

		if (fs->groups[g].free_inodes && fs->groups[g].free_blocks)
			return g;
	}
	return near;
}

/* The first bit of a group that new inodes may use. */
static uint32_t first_usable(const struct ext *fs, group_t g)
{
	inr_t first = group_first_inode(&fs->geo, g);

	return fs->geo.first_ino > first ? fs->geo.first_ino - first : 0;
}

/* 0 with *ret_ino 0 when the group has none. */
static int alloc_in_group(struct handle *h, struct ext *fs, group_t g, bool is_dir, inr_t *ret_ino)
{
	struct buffer *bitmap;
	uint64_t bit;
	int err;

	*ret_ino = 0;
	if (fs->groups[g].free_inodes == 0)
		return 0;
	err = group_inode_bitmap(fs, g, &bitmap);
	if (err == -EUCLEAN)
		return 0;
	if (err)
		return err;
	err = meta_begin(h, bitmap);
	if (err)
		goto out_put;
	bit = bitmap_find_clear(buffer_data(bitmap), min(first_usable(fs, g), fs->geo.inodes_per_group),
				fs->geo.inodes_per_group);
	if (bit >= fs->geo.inodes_per_group) {
		buffer_unlock(bitmap);
		goto out_put;
	}
	bitmap_set(buffer_data(bitmap), bit);
	meta_end(h, bitmap);
	*ret_ino = group_first_inode(&fs->geo, g) + (inr_t)bit;
	err = group_account(h, fs, g, &(struct group_change){.free_inodes = -1, .used_dirs = is_dir});
out_put:
	buffer_put(bitmap);
	return err;
}

int ialloc_new(struct handle *h, struct ext *fs, inr_t parent, bool parent_is_top, bool is_dir, inr_t *ret_ino)
{
	group_t start = choose_group(fs, parent, parent_is_top, is_dir);

	for (group_t i = 0; i < fs->geo.groups_count; i++) {
		inr_t ino;
		int err = alloc_in_group(h, fs, group_behind(fs, start, i), is_dir, &ino);

		if (err)
			return err;
		if (ino) {
			*ret_ino = ino;
			trace("ext.ialloc", ino, is_dir);
			return 0;
		}
	}
	return -ENOSPC;
}

int ialloc_free(struct handle *h, struct ext *fs, inr_t ino, bool is_dir)
{
	group_t g = group_of_inode(&fs->geo, ino);
	struct buffer *bitmap;
	bool was_used;
	int err;

	if (!inode_nr_is_user(&fs->geo, ino) || ino == EXT_ROOT_INO)
		return ext_error(fs, ino, 0, "a reserved inode is to be freed");
	err = group_inode_bitmap(fs, g, &bitmap);
	if (err)
		return err;
	err = meta_begin(h, bitmap);
	if (err)
		goto out_put;
	was_used = bitmap_test(buffer_data(bitmap), inode_in_group(&fs->geo, ino));
	bitmap_clear(buffer_data(bitmap), inode_in_group(&fs->geo, ino));
	meta_end(h, bitmap);
	if (!was_used) {
		err = ext_error(fs, ino, buffer_block(bitmap), "a freed inode was free already");
		goto out_put;
	}
	err = group_account(h, fs, g, &(struct group_change){.free_inodes = 1, .used_dirs = is_dir ? -1 : 0});
	trace("ext.ifree", ino, is_dir);
out_put:
	buffer_put(bitmap);
	return err;
}

int ialloc_is_used(struct ext *fs, inr_t ino, bool *ret_used)
{
	struct buffer *bitmap;
	int err;

	if (!inode_nr_is_valid(&fs->geo, ino)) {
		*ret_used = false;
		return 0;
	}
	err = group_inode_bitmap(fs, group_of_inode(&fs->geo, ino), &bitmap);
	if (err)
		return err;
	*ret_used = bitmap_test(buffer_data(bitmap), inode_in_group(&fs->geo, ino));
	buffer_put(bitmap);
	return 0;
}
