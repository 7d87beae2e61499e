/*
 * fsck/scan.h - the inode tables, read ahead by threads and handed to pass 1 piece by piece.
 *
 * Purpose     Keeps the disk busy and both cores: while pass 1 looks at a piece, later ones are read,
 *             and the indirect, attribute, symlink and index blocks that they name are asked for.
 * Relies on   f->desc and f->bad_tables, which do not change while a scan lasts.
 * Ownership   scan_begin() starts, scan_end() stops and frees. A piece belongs to the scan, and is good
 *             until the next is taken.
 * Locking     One mutex around which pieces are taken, ready and done with.
 * Invariants  N1  A piece holds what a store_read() at the moment of scan_next() would have given.
 *             N2  Memory is bounded by SLOTS_MAX pieces, whatever the tables' size.
 */
#ifndef FSCK_SCAN_H
#define FSCK_SCAN_H

#include "context.h"

struct scan;

struct scan_piece {
	group_t group;
	uint32_t first; /* of the group's inodes, from 0 */
	uint32_t count; /* inodes */
	const uint8_t *bytes; /* NULL: a hole of the image, all zero */
	int err; /* 0, or negative errno: bytes is NULL */
};

/* NULL: no memory. */
struct scan *scan_begin(struct fsck *f);
/* Pieces of all groups in order. False: there are no more. */
bool scan_next(struct scan *s, struct scan_piece *ret);
/* NULL is harmless. */
void scan_end(struct scan *s);

#endif
