/*
 * ext/symlink.h - symlinks: short targets in the inode, long ones in a block.
 *
 * Purpose     Setting a new symlink's target, and reading one.
 * Locking     Setting: nobody else knows the inode. Reading: the inode lock shared.
 * Errors      -ENAMETOOLONG, -ENOSPC, -EUCLEAN, -EIO.
 */
#ifndef EXT_SYMLINK_H
#define EXT_SYMLINK_H

#include "ext.h"

/* The caller writes the inode. */
int symlink_set(struct handle *h, struct inode *inode, const char *target, uint32_t len, bool may_use_reserved) must_check;
ssize_t symlink_read(struct inode *inode, char *to, size_t size) must_check;

#endif
