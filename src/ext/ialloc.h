/*
 * ext/ialloc.h - inode numbers: directories spread, files near their directory.
 *
 * Purpose     Takes and gives back inode numbers; decides in which group a new inode lives, and so
 *             where its blocks will be.
 * Locking     Bitmap bytes: their buffer lock. No lock of the new inode is needed: nobody knows it.
 * Errors      -ENOSPC no inode left; -EUCLEAN, -EIO.
 * Sources     Orlov's placement of directories, as the BSDs and Linux have it.
 */
#ifndef EXT_IALLOC_H
#define EXT_IALLOC_H

#include "ext.h"

/* A number that is free, now marked used. parent tells where near is. */
int ialloc_new(struct handle *h, struct ext *fs, inr_t parent, bool parent_is_top, bool is_dir,
	       inr_t *ret_ino) must_check;
int ialloc_free(struct handle *h, struct ext *fs, inr_t ino, bool is_dir) must_check;
/* Whether the bitmap says that ino is in use. */
int ialloc_is_used(struct ext *fs, inr_t ino, bool *ret_used) must_check;

#endif
