/*
 * vfs/dentry.h - names that were looked up, and names known not to exist.
 *
 * Purpose     (directory, name) to inode number, or to "there is none". A create right after its
 *             look-up need not search the directory again.
 * Ownership   Entries are values in a bounded table; they hold no inode reference.
 * Locking     One lock (RANK_ICACHE). A directory's entries change only under its inode lock
 *             held exclusively, or shared by a look-up that adds what it just found.
 * Invariants  N1  what the table says of a name is true while the directory's lock is held.
 */
#ifndef VFS_DENTRY_H
#define VFS_DENTRY_H

#include "vfs/inode.h"

struct dentry_cache;

int dentry_cache_create(uint32_t entries_max, struct dentry_cache **ret_dc) must_check;
void dentry_cache_destroy(struct dentry_cache *dc);

enum dentry_answer { DENTRY_UNKNOWN, DENTRY_POSITIVE, DENTRY_NEGATIVE };
enum dentry_answer dentry_find(struct dentry_cache *dc, inr_t dir, const struct name *name, inr_t *ret_ino);
/* ino 0: the name does not exist. Replaces what was known. */
void dentry_set(struct dentry_cache *dc, inr_t dir, const struct name *name, inr_t ino);
void dentry_forget(struct dentry_cache *dc, inr_t dir, const struct name *name);
/* The directory is gone, or its number will be reused. */
void dentry_forget_dir(struct dentry_cache *dc, inr_t dir);

#endif
