/*
 * drivers/filedisk.h - a disk in a file or block device, by preadv, pwritev and fdatasync.
 *
 * Purpose     The plain driver: blocking system calls, made by the queue's workers or by the
 *             thread that waits for the I/O.
 * Ownership   disk_close() closes the file.
 * Errors      -errno of open; -EBUSY when somebody else has the image (named in why).
 * Sources     preadv(2), fdatasync(2).
 */
#ifndef DRIVERS_FILEDISK_H
#define DRIVERS_FILEDISK_H

#include "block/disk.h"

struct filedisk_config {
	bool is_read_only;
	bool takes_lock;	/* filelock: exclusive, or shared when read-only */
	/*
	 * O_DIRECT: past the host's page cache. block_bytes is then what the host asks for; memory
	 * that it cannot take is replaced for the time of the call. -EINVAL where there is none.
	 */
	bool is_direct;
};

/* On failure `why` holds a sentence that names the file. */
int filedisk_open(const char *path, const struct filedisk_config *file_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size) must_check;
/* The same over an open descriptor (a memfd in tests), which it takes over, on failure too. */
int filedisk_open_fd(int fd, const struct filedisk_config *file_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size) must_check;

#endif
