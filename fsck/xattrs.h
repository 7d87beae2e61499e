/*
 * fsck/xattrs.h - pass 1's check of extended attributes.
 *
 * Purpose     Attributes inside an inode, in a block of its own, and the count of inodes on a block.
 * Leaves      f->refs with a count for each attribute block; f->xattr with their bits.
 */
#ifndef FSCK_XATTRS_H
#define FSCK_XATTRS_H

#include "claims.h"

/* The attributes behind extra_isize, and extra_isize itself. */
void xattrs_check_inode(struct inode_check *c);
/* The attribute block: true if there is one that counts as the inode's. */
bool xattrs_check_block(struct inode_check *c);
/* After all inodes: do blocks say how many name them? */
void xattrs_check_counts(struct fsck *f);

#endif
