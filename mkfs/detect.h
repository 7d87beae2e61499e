/*
 * mkfs/detect.h - what lies in an image already.
 *
 * Purpose     Before mkfs writes over something, somebody should know what it is. Looks for file
 *             systems, partition tables, volumes and containers by their magic numbers.
 * Ownership   Results are values.
 * Locking     None.
 * Units       Bytes from the file system's start.
 */
#ifndef MKFS_DETECT_H
#define MKFS_DETECT_H

#include "image.h"

struct detected {
	const char *what;	/* "an XFS file system"; NULL: nothing known was found */
	uint64_t offset;	/* of the magic number */
	unsigned len;		/* of it; 0: it must stay as it is (a partition table's boot block) */
	char more[128];		/* label and the like, "" if nothing is known */
};

/* Sets *ret in any case that is no I/O error. */
int detect(struct image *img, struct detected *ret) must_check;
/*
 * Overwrites the magic numbers that detect() finds with zeros, so that nobody takes the new file
 * system for the old one. A boot block's partition table stays, as mke2fs leaves it.
 */
int detect_wipe(struct image *img) must_check;

#endif
