/*
 * ext/xattr.h - the attribute block of an inode.
 *
 * Purpose     What an inode's end needs: its attribute block is shared among inodes by a count.
 * Errors      -EUCLEAN the block is impossible (told), -EIO.
 * Sources     FORMAT.md, extended attributes.
 */
#ifndef EXT_XATTR_H
#define EXT_XATTR_H

#include "ext.h"

/* Gives up the inode's attribute block: counted down, or freed with its last user. */
int ext_xattr_release(struct handle *h, struct inode *inode) must_check;

#endif
