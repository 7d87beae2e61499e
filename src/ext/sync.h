/*
 * ext/sync.h - what must be on the disk before somebody is told so.
 *
 * Purpose     fsync and the pieces that it shares with sync and unmount.
 * Locking     No inode lock held.
 * Errors      -EIO, and what write-back of this file recorded.
 */
#ifndef EXT_SYNC_H
#define EXT_SYNC_H

#include "ext.h"

int ext_fsync(struct inode *inode, bool datasync) must_check;
/* super_ops.sync: everything, and the totals in the superblock. */
int ext_sync(struct super *sb, bool wait) must_check;
/* After an operation on names in dir: durable at once where the mount or the directory says so. */
int ext_finish_names(struct inode *dir, int err) must_check;

#endif
