/*
 * mkfs/write.h - carries a plan out.
 *
 * Purpose     Writes what is not zero, and makes zero what must be and may not be.
 * Ownership   Plan and image are the caller's.
 * Locking     None.
 * Invariants  W1  The old superblock goes first and the new one comes last, after a sync: who
 *                 looks at an image whose mkfs was interrupted finds no file system.
 * Errors      0 or negative errno, with a sentence in image->why.
 */
#ifndef MKFS_WRITE_H
#define MKFS_WRITE_H

#include "image.h"
#include "plan.h"

struct write_options {
	bool discard;		/* give the old content back before writing */
	bool is_prezeroed;	/* the user vouches that all reads as zero */
	bool shows_progress;	/* of what takes long, on stdout */
};

int write_filesystem(const struct plan *plan, struct image *img, const struct write_options *opt) must_check;

#endif
