/*
 * layout/group.h - the gates for group descriptors and bitmaps.
 *
 * Purpose     A descriptor names three places that everything else of its group is found by; a
 *             bitmap says what may be given away. Both are checked here before use.
 * Ownership   Bytes belong to the caller.
 * Locking     None.
 * Errors      -EUCLEAN with a clause in why.
 * Sources     FORMAT.md 3 and 4.
 */
#ifndef LAYOUT_GROUP_H
#define LAYOUT_GROUP_H

#include "layout/geometry.h"

/*
 * Is the descriptor of group g possible: bitmaps and table inside the group (inside the file system
 * with flex_bg), behind superblock and descriptors, not over each other, counts not above the sizes.
 */
must_check int group_desc_check(const struct geometry *geo, group_t g,
				const struct ext_group_desc *desc, char *why, size_t why_size);

/*
 * Does the block bitmap of group g, whose descriptor passed, mark the group's own superblock copy,
 * descriptors, bitmaps and table as used, and the bits behind its last block?
 * bitmap has block_size bytes.
 */
must_check int block_bitmap_check(const struct geometry *geo, group_t g,
				  const struct ext_group_desc *desc, const void *bitmap,
				  char *why, size_t why_size);

/* Does the inode bitmap of group g mark the reserved inodes (group 0) and the bits behind its last inode? */
must_check int inode_bitmap_check(const struct geometry *geo, group_t g, const void *bitmap,
				  char *why, size_t why_size);

/* Are all bits from used on set, up to block_size * 8? The padding part of both checks. */
bool bitmap_padding_is_set(const void *bitmap, uint32_t used, unsigned block_size);

/*
 * Makes the bitmaps of a fresh group: head, own bitmaps and table where they lie in this group,
 * reserved inodes (group 0), padding. Writes block_size bytes; returns the number of free bits.
 */
uint32_t block_bitmap_init(const struct geometry *geo, group_t g, const struct ext_group_desc *desc,
			   void *bitmap);
uint32_t inode_bitmap_init(const struct geometry *geo, group_t g, void *bitmap);

#endif
