/*
 * fuse/convert.h - attributes, wishes and errors across the border to libfuse.
 *
 * Purpose     Pure translation, so that it is tested without a kernel.
 * Ownership   Values only.
 * Locking     None.
 * Errors      convert_error() holds the whole list of what may leave the house; anything else is
 *             an inner answer that escaped, which is our bug.
 */
#ifndef FUSE_CONVERT_H
#define FUSE_CONVERT_H

#include <sys/statvfs.h>

#include "vfs/inode.h"
#include "vfs/super.h"

struct fuse_ctx;

/* 0 or negative errno of ours to the positive errno that libfuse wants. */
int convert_error(int err);
void convert_attr(const struct inode *inode, const struct inode_attr *attr, struct stat *ret);
/* The attributes as they are now. */
void convert_inode(struct inode *inode, struct stat *ret);
/* to_set: FUSE_SET_ATTR_*. -EINVAL for a time that is none. */
int convert_setattr(const struct stat *st, int to_set, struct setattr *ret) must_check;
void convert_statfs(const struct statfs_info *info, struct statvfs *ret);
void convert_cred(const struct fuse_ctx *ctx, struct cred *ret);
struct name convert_name(const char *text);

#endif
