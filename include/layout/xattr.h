/*
 * layout/xattr.h - extended attributes in one area.
 *
 * Purpose     Attributes lie in a block of their own or behind extra_isize in a large inode. Both are
 *             the same thing at different places: entries grow from the front, values from the back.
 *
 *                 | header | entry entry entry 0000 |   free   | value value value |
 *                          ^ entries_offset                              area->size ^
 * Ownership   An area points into the caller's bytes.
 * Locking     The caller's.
 * Invariants  X1  Entries follow each other from entries_offset, aligned to 4, and end with 4 zero bytes.
 *             X2  Each value lies between the end of the entries and the end of the area, aligned to 4,
 *                 and no two overlap.
 *             X3  In a block, entries are sorted by (index, length of name, name) and carry hashes.
 * Units       Bytes.
 * Errors      -EUCLEAN impossible, -ENODATA no such attribute or no area, -ENOSPC, on error nothing changed.
 * Context     Functions other than xattr_check() and those that make an area need one that passed it.
 * Sources     FORMAT.md 9.
 */
#ifndef LAYOUT_XATTR_H
#define LAYOUT_XATTR_H

#include "layout/geometry.h"

enum xattr_place {
	XATTR_IN_INODE,
	XATTR_IN_BLOCK,
};

struct xattr_area {
	enum xattr_place place;
	uint8_t *base;			/* value offsets count from here */
	unsigned entries_offset;	/* of the first entry, from base */
	unsigned size;			/* of the area, from base */
};

struct xattr_entry {
	unsigned offset;	/* of the entry, from area->base */
	uint8_t name_index;	/* EXT_XATTR_INDEX_* */
	uint8_t name_len;
	const char *name;	/* not terminated */
	const void *value;	/* aligned to 4 */
	uint32_t value_size;
};

/* ---- areas ---- */

/* The area of a block of block_size bytes. Looks at nothing. */
struct xattr_area xattr_area_in_block(const struct geometry *geo, void *block);

/*
 * The area behind extra_isize in the inode at bytes, whose extra_isize passed inode_check().
 * -ENODATA: this inode has none (no magic), or no room for one.
 */
must_check int xattr_area_in_inode(const struct geometry *geo, void *bytes, struct xattr_area *ret);

/* Makes an empty area: a block with refcount 1, or the room behind extra_isize (-ENOSPC: too small). */
void xattr_block_init(const struct geometry *geo, void *block, struct xattr_area *ret);
must_check int xattr_inode_init(const struct geometry *geo, void *bytes, struct xattr_area *ret);

/* The gate: header (of a block), X1 and X2. */
must_check int xattr_check(const struct xattr_area *area, char *why, size_t why_size);

/* ---- reading ---- */

/*
 * The entry at *offset, and *offset moved behind it; start with area->entries_offset.
 * Returns true with *ret set, false at the end.
 */
bool xattr_next(const struct xattr_area *area, unsigned *offset, struct xattr_entry *ret);

/* 0 or -ENODATA. */
must_check int xattr_find(const struct xattr_area *area, uint8_t name_index, const char *name,
			  unsigned name_len, struct xattr_entry *ret);

bool xattr_is_empty(const struct xattr_area *area);

/* Bytes between the terminator of the entries and the lowest value. */
unsigned xattr_free_bytes(const struct xattr_area *area);

/* Bytes that an attribute takes of an area. */
unsigned xattr_bytes_needed(unsigned name_len, uint32_t value_size);

/* ---- changing; a block's hashes are kept up ---- */

/*
 * Adds or replaces. name_len 0..255 (ACLs have no name but their index), name_index not 0. -ENOSPC leaves
 * the area as it was, the old value included. value must not point into the area.
 */
must_check int xattr_set(const struct xattr_area *area, uint8_t name_index, const char *name,
			 unsigned name_len, const void *value, uint32_t value_size);

/* 0 or -ENODATA. */
must_check int xattr_remove(const struct xattr_area *area, uint8_t name_index, const char *name,
			    unsigned name_len);

/* ---- hashes and sharing of blocks ---- */

/* The hash of one entry, over name and value. */
uint32_t xattr_entry_hash(const char *name, unsigned name_len, const void *value, uint32_t value_size);

/* The hash of a block from its entries' hashes; 0 if one of them is 0. */
uint32_t xattr_block_hash(const struct xattr_area *area);

/* True if two blocks hold the same attributes, whatever their refcounts: one may stand for the other. */
bool xattr_block_equal(const struct geometry *geo, const void *a, const void *b);

#endif
