/*
 * mkfs/image.h - the file or device that gets the file system.
 *
 * Purpose     Opens it alone and locked, says how big it is, and writes bytes at offsets of the
 *             file system. Knows when a range is zero already, so that a sparse file stays sparse.
 * Ownership   struct image is the caller's; image_close() gives back what image_open() took.
 * Locking     One thread. Against other programs: an exclusive lock on the file (base/filelock.h).
 * Invariants  M1  Nothing is created or changed before image_create() or a write.
 *             M2  is_zero is true only when every byte of the file system's range reads as zero
 *                 but for what was written through this struct.
 * Units       Offsets and sizes in bytes, counted from the file system's start (base_bytes).
 * Errors      0 or negative errno, with a sentence for the user in image->why.
 */
#ifndef MKFS_IMAGE_H
#define MKFS_IMAGE_H

#include "base/types.h"

struct image {
	/* fixed by image_open() */
	const char *path;
	uint64_t base_bytes;		/* -E offset= */
	bool is_device;
	unsigned sector_bytes;		/* logical sector of a device, else 0 */
	uint64_t io_min_bytes;		/* what the device likes; 0 unknown */
	uint64_t io_opt_bytes;
	/* changing */
	int fd;				/* -1: the file does not exist yet */
	int claim_fd;			/* keeps the kernel from mounting the device meanwhile; or -1 */
	bool was_created;		/* by us, so that a failure may take it away again */
	bool is_zero;			/* M2 */
	uint64_t size_bytes;		/* behind base_bytes; 0 if there is nothing */
	char why[256];
};

/*
 * Opens an existing file for reading, or leaves fd at -1 when there is none (which is no error).
 * -ENODEV: neither a regular file nor a block device.
 */
int image_open(struct image *img, const char *path, uint64_t base_bytes) must_check;
/* Opens for writing and takes the lock. -EBUSY: a mount or another program has it; why names it. */
int image_lock(struct image *img) must_check;
/* Creates the file, which must not exist, and locks it. */
int image_create(struct image *img) must_check;
/* Makes a regular file at least so big that size_bytes fit behind the base. */
int image_extend(struct image *img, uint64_t size_bytes) must_check;

/* Fills buf; what lies behind the end reads as zero. */
int image_read(struct image *img, uint64_t offset, void *buf, size_t len) must_check;
int image_write(struct image *img, uint64_t offset, const void *buf, size_t len) must_check;
/* Makes a range read as zero, by the cheapest means that the file or device has. */
int image_zero(struct image *img, uint64_t offset, uint64_t len) must_check;
/*
 * Gives the whole range back to whoever stores it. A regular file is all zero then (is_zero); a
 * device promises nothing. Not being able to is no error.
 */
void image_discard(struct image *img, uint64_t len);
int image_sync(struct image *img) must_check;
/* Closes; with discard_created a file that image_create() made is removed again. */
int image_close(struct image *img, bool discard_created) must_check;

#endif
