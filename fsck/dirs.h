/*
 * fsck/dirs.h - blocks and entries added to directories by repairs.
 *
 * Purpose     Gives a directory a block at a place, with the indirect blocks on the way to it; looks for
 *             names and adds them. Only after pass 1.
 */
#ifndef FSCK_DIRS_H
#define FSCK_DIRS_H

#include "context.h"

/*
 * Puts a new block with these bytes at lblk of directory ino, and counts it there. Returns the block,
 * 0 when none is free.
 */
fsblk_t dirs_add_block(struct fsck *f, inr_t ino, lblk_t lblk, const void *bytes);

/* The block at lblk; 0: a hole. */
fsblk_t dirs_block_at(struct fsck *f, const struct ext_inode *inode, lblk_t lblk);

/* The inode that a directory names so; 0: none. */
inr_t dirs_lookup(struct fsck *f, inr_t dir, const char *name);

/* Calls fn for each name of a directory. */
typedef void (*dirs_name_fn)(struct fsck *f, const char *name, unsigned name_len);
void dirs_for_each(struct fsck *f, inr_t dir, dirs_name_fn fn);

/*
 * Adds an entry, in a new block if need be. A directory with an index loses it, as its leaves are not
 * looked for. 0, -ENOSPC, -EIO.
 */
int dirs_add_entry(struct fsck *f, inr_t dir, const char *name, inr_t ino,
		   uint8_t file_type) must_check;

/* Points the entry of that name to another inode. 0 or -ENOENT. */
int dirs_set_entry(struct fsck *f, inr_t dir, const char *name, inr_t ino) must_check;

/* Removes the entry that names this inode, but not '.' and '..'. */
void dirs_drop_child(struct fsck *f, inr_t dir, inr_t child);

#endif
