/*
 * base/radix.h - a tree from a 64-bit index to a pointer, with tags that can be searched.
 *
 * Purpose     The page cache's index: find page i of a file, and the next dirty page from i on,
 *             without looking at the clean ones.
 * Ownership   The tree owns its inner nodes, never the items.
 * Locking     The caller's.
 * Invariants  A tag is set on an inner node exactly when an item below has it.
 * Errors      -ENOMEM, -EEXIST.
 */
#ifndef BASE_RADIX_H
#define BASE_RADIX_H

#include "base/types.h"

#define RADIX_NR_TAGS 3

struct radix_node;
struct radix {
	struct radix_node *root;
	unsigned height;
	uint64_t nr_items;
};

void radix_init(struct radix *r);
void radix_done(struct radix *r);	/* frees the inner nodes; items are simply forgotten */
int radix_insert(struct radix *r, uint64_t index, void *item) must_check;
void *radix_find(const struct radix *r, uint64_t index);
void *radix_remove(struct radix *r, uint64_t index);	/* what was there, or NULL; shrinks the tree */
/*
 * Up to max items with index in [from, last], ascending; their indexes go to ret_index when it is
 * not NULL. Returns how many.
 */
size_t radix_gather(const struct radix *r, uint64_t from, uint64_t last, void **ret_items,
		    uint64_t *ret_index, size_t max);
size_t radix_gather_tag(const struct radix *r, uint64_t from, uint64_t last, unsigned tag,
			void **ret_items, uint64_t *ret_index, size_t max);
void radix_tag_set(struct radix *r, uint64_t index, unsigned tag);	/* the item must be there */
void radix_tag_clear(struct radix *r, uint64_t index, unsigned tag);
bool radix_tag_get(const struct radix *r, uint64_t index, unsigned tag);
bool radix_tagged(const struct radix *r, unsigned tag);			/* any item */

#endif
