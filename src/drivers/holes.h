/*
 * drivers/holes.h - the ranges of a disk that were discarded.
 *
 * Purpose     A copy-on-write disk cannot punch a hole in the disk below; it remembers where one
 *             would be. Ranges are few and long, so they lie in a sorted array.
 * Ownership   A member of its disk.
 * Locking     The caller's.
 * Invariants  h1  ranges do not overlap or touch.
 * Units       Bytes.
 * Errors      -ENOMEM: the range was not added.
 */
#ifndef DRIVERS_HOLES_H
#define DRIVERS_HOLES_H

#include "base/types.h"

struct hole {
	uint64_t start, end;
};

struct holes {
	struct hole *list;
	size_t nr, nr_room;
};

void holes_done(struct holes *h);	/* a zeroed struct is an empty set, and so it is afterwards */
int holes_add(struct holes *h, uint64_t start, uint64_t len) must_check;
/* How many of the len bytes from start on all lie in holes, or all do not. len > 0. */
uint64_t holes_run(const struct holes *h, uint64_t start, uint64_t len, bool *ret_is_hole);

#endif
