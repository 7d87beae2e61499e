/*
 * fsck/packing.h - the names of one directory, and the blocks that would hold them best.
 *
 * Purpose     From the bytes of the old blocks to those of the new ones, in memory.
 * Ownership   The caller's, from packing_take() to packing_done(); a check that ends in the middle leaves
 *             the memory to the end of the program.
 */
#ifndef FSCK_PACKING_H
#define FSCK_PACKING_H

#include "context.h"

struct packed_name {
	uint32_t major, minor; /* hash */
	uint32_t offset; /* of its record in old */
};

struct packing {
	struct fsck *f;
	inr_t ino, parent;
	bool is_renamed; /* a name that was there twice has another */
	bool is_indexed; /* the new blocks are */
	unsigned hash_version; /* as on disk */
	uint8_t *old;
	size_t nr_old; /* blocks */
	struct packed_name *names;
	size_t nr_names, room_names;
	uint8_t *made;
	size_t nr_made, room_made; /* blocks */
};

/* Takes the names of nr_old blocks at old, which packing_done() frees. False: they are not whole. */
bool packing_take(struct packing *p) must_check;
/* Gives names that are there twice another. False: somebody wants them to stay. */
bool packing_part_duplicates(struct packing *p) must_check;
/* Fills made. False: there are more names than a tree of two levels can hold. */
bool packing_make(struct packing *p) must_check;
void packing_done(struct packing *p);

#endif
