/*
 * vfs/attr.h - the attribute rules of POSIX that do not depend on who serves them.
 *
 * Purpose     Pure rules, so that they are tested without a kernel: what a new inode inherits,
 *             what clears set-id bits, which times move, who may delete from a sticky directory.
 * Locking     The caller holds the inodes' locks.
 * Sources     POSIX.1-2017; inode(7); SEMANTICS.
 */
#ifndef VFS_ATTR_H
#define VFS_ATTR_H

#include "vfs/inode.h"
#include "vfs/super.h"

/* Owner, group and mode of what is created in dir: set-group-id directories hand down their group. */
void attr_inherit(const struct inode *dir, mode_t mode, const struct cred *cred, struct new_inode *wish);
/* The mode after a write, truncate or chown by somebody without privilege. */
mode_t attr_without_setid(mode_t mode);
/*
 * Settles a request in place: NOW becomes a time, a size or owner change kills set-id bits, ctime
 * is added. -EPERM for immutable and append-only inodes, -EINVAL, -EISDIR, -EFBIG.
 */
int attr_prepare(struct inode *inode, struct setattr *sa, const struct cred *cred) must_check;
/* Applies the settled values (not the size) to inode->attr. */
void attr_apply(struct inode *inode, const struct setattr *sa);
/* Whether a read at `now` moves atime, by the mount's mode. */
bool attr_atime_is_due(const struct inode *inode, struct timespec now);
/* 0, or -EPERM: sticky, immutable or append-only stands against removing victim from dir. */
int attr_may_delete(const struct inode *dir, const struct inode *victim, const struct cred *cred) must_check;
/* Sets the times named (SETATTR_ATIME | MTIME | CTIME) to now, under attr_lock. */
void attr_touch(struct inode *inode, uint32_t which);

#endif
