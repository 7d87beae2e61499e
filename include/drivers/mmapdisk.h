/*
 * drivers/mmapdisk.h - a disk in a file or block device that is mapped into memory.
 *
 * Purpose     Reads and writes are copies: no system call for what the host has in its page cache.
 *             And direct access: whoever serves file data may copy between its caller and the
 *             mapping, without a page of it in our cache (`-o dax`, disk_map() in block/disk.h).
 * Ownership   disk_close() unmaps and closes the file. What disk_map() returned lives as long as the
 *             disk.
 * Locking     Any thread.
 * Invariants  m1  a page that cannot be had - the file became shorter, the host is full, its device
 *                 failed - is -EIO, never a signal. Where the file now ends within a page, the rest of
 *                 that page reads as zeros and writes to it are lost: mappings are like that.
 * Errors      As filedisk's. -EIO, and -ENODEV for files that cannot be mapped.
 * Context     Touching a page may wait for the device, as a read does.
 * Sources     mmap(2), msync(2).
 */
#ifndef DRIVERS_MMAPDISK_H
#define DRIVERS_MMAPDISK_H

#include "block/disk.h"

struct mmapdisk_config {
	bool is_read_only;
	bool takes_lock;	/* filelock: exclusive, or shared when read-only */
};

/* On failure `why` holds a sentence that names the file. */
int mmapdisk_open(const char *path, const struct mmapdisk_config *mmap_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size) must_check;
/* The same over an open descriptor (a memfd in tests), which it takes over, on failure too. */
int mmapdisk_open_fd(int fd, const struct mmapdisk_config *mmap_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size) must_check;

#endif
