/*
 * ext/group.h - block groups: descriptors in memory, bitmaps loaded and checked.
 *
 * Purpose     The only reader of descriptor blocks and bitmaps; whoever allocates or frees gets a
 *             bitmap that passed its gate, and tells here what changed.
 * Ownership   fs->groups and fs->gdt, from groups_load() to groups_drop().
 * Locking     Counters: the group lock. Descriptor bytes: the descriptor buffer's lock.
 * Errors      -EUCLEAN for a descriptor or bitmap that is impossible; -EIO, -ENOMEM.
 */
#ifndef EXT_GROUP_H
#define EXT_GROUP_H

#include "ext.h"

/* Reads and checks all descriptors; sums up the totals. why names the first bad one. */
int groups_load(struct ext *fs, char *why, size_t why_size) must_check;
void groups_drop(struct ext *fs);

/* The bitmap of a group: uptodate, checked, referenced, not locked. */
int group_block_bitmap(struct ext *fs, group_t g, struct buffer **ret_buffer) must_check;
int group_inode_bitmap(struct ext *fs, group_t g, struct buffer **ret_buffer) must_check;

/* What an allocation (negative) or a release changes in the group's counters, on disk too. */
struct group_change {
	int32_t free_blocks, free_inodes, used_dirs;
};
int group_account(struct handle *h, struct ext *fs, group_t g, const struct group_change *change) must_check;

/*
 * Whether [first, first + count) is a place for files: inside the file system, and no superblock
 * copy, descriptor, bitmap or inode table is among it.
 */
bool ext_blocks_are_for_files(const struct ext *fs, fsblk_t first, uint64_t count);

#endif
