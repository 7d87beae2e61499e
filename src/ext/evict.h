/*
 * ext/evict.h - inodes at their end: let go, deleted, or found as orphans at mount.
 *
 * Purpose     What happens when nobody refers to an inode any more, now or before a crash.
 * Locking     Nobody else knows the inode. Starts its own handles.
 * Errors      Told to the log where nobody can receive them.
 */
#ifndef EXT_EVICT_H
#define EXT_EVICT_H

#include "ext.h"

/* super_ops */
void ext_evict_inode(struct inode *inode);
/*
 * At a read-write mount: frees and truncates all that is on the list on disk. Counts go to the
 * log. A damaged list is told and cut.
 */
int orphan_cleanup(struct ext *fs) must_check;

#endif
