/*
 * fsck/refs.h - attribute blocks: how many inodes name each, and how many it says.
 *
 * Purpose     Inodes share attribute blocks, and the block counts them. Pass 1 counts again.
 * Ownership   The table owns its entries. One entry an attribute block that passed its check.
 * Locking     One thread.
 */
#ifndef FSCK_REFS_H
#define FSCK_REFS_H

#include "base/types.h"

struct xattr_refs;

struct xattr_ref {
	fsblk_t block;
	uint32_t claimed; /* as the block says */
	uint32_t counted;
};

struct xattr_refs *refs_create(void) must_check;
void refs_destroy(struct xattr_refs *r); /* NULL is harmless */
/* The entry of a block, or NULL. */
struct xattr_ref *refs_find(const struct xattr_refs *r, fsblk_t block);
/* A new entry that counts one; NULL: no memory. */
struct xattr_ref *refs_add(struct xattr_refs *r, fsblk_t block, uint32_t claimed) must_check;
/* The n-th entry in the order they were added; NULL behind the last. */
struct xattr_ref *refs_nth(const struct xattr_refs *r, size_t n);

#endif
