/*
 * drivers/cowdisk.h - copy on write: another disk that may be written, and is not.
 *
 * Purpose     Reads come from the lower disk, writes go beside it, into memory or a scratch file,
 *             and are found there again. For `-o cow`, for replaying a journal under a read-only
 *             mount, and for the crash laboratory, which tries a thousand states of one image.
 * Ownership   The lower disk stays the caller's, unless owns_lower. Several may lie on one lower
 *             disk, as long as nobody writes to that one directly. The handle lives as long as
 *             the disk.
 * Locking     Any thread. One lock (RANK_DRIVER), not held over the lower disk's I/O.
 * Invariants  cow1  the lower disk sees nothing but reads.
 *             cow2  a sector reads as last written here; else as zeros when it was discarded here;
 *                   else as the lower disk has it.
 * Errors      A failed write of the scratch file, or no memory for what is written: -EIO.
 * Context     Creating one is a few allocations, whatever the size; memory goes with what was
 *             written (with a scratch file, with where: about .3 % of it). Nothing outlives
 *             disk_close(), so a flush has nothing to do.
 */
#ifndef DRIVERS_COWDISK_H
#define DRIVERS_COWDISK_H

#include "block/disk.h"

struct cowdisk;

struct cowdisk_config {
	/*
	 * The scratch file, or NULL for memory. It must not exist, and its name is gone as soon as it is
	 * open: it can be of no use to anybody afterwards, and the host frees it after a crash too.
	 */
	const char *path;
	bool owns_lower;	/* disk_close() closes the lower disk too */
};

/* On failure `why` says what; the lower disk is the caller's. ret_cow may be NULL. */
int cowdisk_open(struct disk *lower, const struct cowdisk_config *cow_config,
		 const struct disk_config *config, struct cowdisk **ret_cow, struct disk **ret_disk,
		 char *why, size_t why_size) must_check;
/* Forgets all that was written or discarded. Nothing may be under way (disk_drain). */
void cowdisk_reset(struct cowdisk *cow);
/* Memory that holds what was written; 0 with a scratch file. */
uint64_t cowdisk_used_bytes(const struct cowdisk *cow);

#endif
