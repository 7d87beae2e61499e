/*
 * src/vfs/vfs.h - what the files of this room share, and nobody else sees.
 *
 * Purpose     The inode table's teardown; what follows a change or an access.
 * Ownership   Nothing is owned.
 * Locking     Said at each function.
 */
#ifndef SRC_VFS_VFS_H
#define SRC_VFS_VFS_H

#include <string.h>

#include "vfs/inode.h"
#include "vfs/super.h"

/* Evicts every inode whoever holds it: only when no thread uses the mount any more. */
void inode_drop_all(struct super *sb);

/* Moves atime to now. Takes the lock exclusively; a failure costs only the time stamp. */
void inode_accessed(struct inode *inode);
/*
 * What -o sync and the sync flags of an inode ask for after a change of it: its fsync. No lock is
 * held.
 */
int inode_sync_if_asked(struct inode *inode, uint32_t flags) must_check;

/* Whether the fs is mounted (or became) read-only: changes are refused with -EROFS. */
static inline bool super_is_read_only(const struct super *sb)
{
	return atomic_load_explicit(&sb->is_read_only, memory_order_relaxed);
}

/* Names. */

static inline bool name_is_dot(const struct name *name)
{
	return name->len_bytes == 1 && name->text[0] == '.';
}

static inline bool name_is_dotdot(const struct name *name)
{
	return name->len_bytes == 2 && memcmp(name->text, "..", 2) == 0;
}

static inline bool name_is_special(const struct name *name)
{
	return name_is_dot(name) || name_is_dotdot(name);
}

/* 0, -ENOTDIR, -ENOENT (empty) or -ENAMETOOLONG. */
int name_check(const struct inode *dir, const struct name *name) must_check;
/* The same before a change: -EROFS too. */
int name_check_change(const struct inode *dir, const struct name *name) must_check;
/*
 * What name means in dir, a directory that is locked; any mode will do. -ENOENT, also for a
 * removed directory. The inode comes referenced; -EUCLEAN when the entry leads to none.
 */
int name_find(struct inode *dir, const struct name *name, struct inode **ret_inode) must_check;
/* 0 when the name is free in dir, which is locked and may take new entries; else why not. */
int name_check_free(struct inode *dir, const struct name *name) must_check;
/*
 * Whether child, if it is a directory, says that dir is its parent; both are locked. On a damaged
 * disk a name may lead anywhere. -EUCLEAN.
 */
int name_check_child(const struct inode *dir, struct inode *child) must_check;

#endif
