/*
 * fsck/refs.h - attribute blocks: how many inodes name each, and how many it says.
 *
 * Purpose     Inodes share attribute blocks, and the block counts them. Pass 1 counts again.
 * Ownership   The table owns its entries, and moves them when it grows. An entry an attribute block that passed its
 *             check; who adds leaves out those that say one and that one inode names, which most do.
 * Locking     One thread.
 */
#ifndef FSCK_REFS_H
#define FSCK_REFS_H

#include "base/types.h"

struct xattr_refs;

struct xattr_ref {
	uint32_t block;
	uint32_t claimed; /* as the block says */
	uint32_t counted;
};

struct xattr_refs *refs_create(void) must_check;
void refs_destroy(struct xattr_refs *r); /* NULL is harmless */
/* The entry of a block, or NULL. */
struct xattr_ref *refs_find(const struct xattr_refs *r, fsblk_t block);
/* A new entry that counts one; NULL: no memory. */
struct xattr_ref *refs_add(struct xattr_refs *r, fsblk_t block, uint32_t claimed) must_check;
/* The next entry from *at, which begins with 0; NULL behind the last. In no order. */
struct xattr_ref *refs_next(const struct xattr_refs *r, size_t *at);

#endif
