/*
 * drivers/ramdisk.h - a disk in memory.
 *
 * Purpose     Tests and laboratories: nothing on the host is touched, and nothing stays. Memory
 *             is taken for what is written, so a disk of a TiB costs nothing until then; what was
 *             never written, or was discarded, reads as zeros.
 * Ownership   disk_close() frees the content. The handle lives as long as the disk.
 * Locking     Any thread asks for the use; the rest goes through the disk.
 * Errors      A write that finds no memory fails with -EIO, as a worn-out disk's would.
 * Context     Never sleeps for a device: a bio has ended when bio_submit() returns, unless another
 *             thread's was being carried out.
 */
#ifndef DRIVERS_RAMDISK_H
#define DRIVERS_RAMDISK_H

#include "block/disk.h"

struct ramdisk;

struct ramdisk_config {
	uint64_t size_bytes;	/* whole blocks */
	uint32_t block_bytes;	/* 0: 512 */
	bool is_read_only;
};

/* -EINVAL: the size is not one of whole blocks. ret_ram may be NULL. */
int ramdisk_open(const struct ramdisk_config *ram_config, const struct disk_config *config,
		 struct ramdisk **ret_ram, struct disk **ret_disk) must_check;
/* Memory that the content takes. */
uint64_t ramdisk_used_bytes(const struct ramdisk *ram);

#endif
