/*
 * harness/image.h - file systems in memory, made by our mkfs, judged by e2fsck.
 *
 * Purpose     A test gets a fresh image without a path on any disk: a memfd, which other programs
 *             reach as /proc/self/fd/N.
 * Ownership   The descriptor is the caller's.
 * Locking     None.
 */
#ifndef HARNESS_IMAGE_H
#define HARNESS_IMAGE_H

#include "base/types.h"

struct image_recipe {
	uint64_t size_bytes;
	unsigned block_bytes;		/* 1024, 2048, 4096 */
	unsigned inode_bytes;		/* 128, 256 */
	bool is_ext3;
	bool has_dir_index;		/* else the feature is off */
	uint64_t nr_inodes;		/* 0: by size */
	unsigned reserved_percent;
	uint64_t seed;			/* uuid and hash seed */
};

/* A memfd that children inherit. Stops the test on failure. */
int temp_image_make(const struct image_recipe *recipe);
int temp_image_copy(int fd);
/*
 * `e2fsck -fn`: its exit status, and what it said in report (cut to size). Skips the test when
 * there is no e2fsck.
 */
int temp_image_fsck(int fd, char *report, size_t size);

#endif
