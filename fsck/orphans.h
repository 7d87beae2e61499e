/*
 * fsck/orphans.h - the list of orphans: files that were deleted or truncated while in use.
 *
 * Purpose     Finishes what the list says, in inodes and on-disk bitmaps, so that a file system that is
 *             clean apart from it needs no full check.
 * Relies on   Descriptors (super.h). Before pass 1.
 * Leaves      An empty list. A list that makes no sense marks the file system as having errors.
 */
#ifndef FSCK_ORPHANS_H
#define FSCK_ORPHANS_H

#include "context.h"

void orphans_release(struct fsck *f);

#endif
