/*
 * drivers/partdisk.h - a part of another disk: from an offset, or a partition of its table.
 *
 * Purpose     Images of whole disks hold file systems in partitions. `-o offset=` and `-o part=`.
 *             Also tells which partitions there are.
 * Ownership   The lower disk stays the caller's, unless owns_lower. Several parts of one disk
 *             may be open at once.
 * Locking     Any thread.
 * Invariants  p1  no I/O of the upper disk reaches a byte outside the part.
 *             p2  a partition table that fails its checks is not used: of a GPT the backup is
 *                 tried, else the choice is refused.
 * Errors      -ENXIO: the partition is missing or not named; `why` lists those there are.
 *             -EUCLEAN: the table is damaged. -EINVAL: the range is beyond the end or misaligned.
 *             -EIO of the lower disk.
 * Sources     UEFI specification, section 5 (GPT, protective MBR); for MBR and extended partitions
 *             the practice of fdisk: a chain of boot records, logical partitions from 5 on.
 */
#ifndef DRIVERS_PARTDISK_H
#define DRIVERS_PARTDISK_H

#include "block/disk.h"

#define PARTITIONS_MAX 128u	/* more in a table are not looked at: GPTs have room for that many */
#define PARTITION_NAME_BYTES_MAX 109u	/* 36 UTF-16 units as UTF-8, and the end */

enum partition_scheme { PARTITIONS_NONE, PARTITIONS_MBR, PARTITIONS_GPT };

struct partition {
	uint32_t number;	/* from 1, as fdisk counts */
	uint64_t offset_bytes, size_bytes;
	uint8_t mbr_type;	/* MBR only */
	uint8_t type_guid[16];	/* GPT only, as on disk */
	char uuid[37];		/* PARTUUID: GPT 36 characters, MBR "xxxxxxxx-nn"; lower case */
	char name[PARTITION_NAME_BYTES_MAX];	/* GPT only, UTF-8; else empty */
};

struct partition_table {
	enum partition_scheme scheme;
	uint32_t lba_bytes;	/* what the table counts in: 512 or 4096 */
	bool is_backup;		/* GPT: the first header or its entries were damaged */
	uint32_t nr;
	struct partition list[PARTITIONS_MAX];
};

/* 0 with scheme NONE when the disk begins with no table. */
int partition_table_read(struct disk *disk, struct partition_table *ret_table, char *why,
			 size_t why_size) must_check;
/*
 * "1 (EFI System, 512 MiB), 2 (Linux, 20 GiB, name root)": as many as fit. Returns text.
 */
const char *partition_table_describe(const struct partition_table *table, char *text, size_t size);
/*
 * By number, by PARTUUID, or by name (GPT); also written "name:NAME", "uuid:PARTUUID" where a name
 * looks like a number. NULL: there is none, or two have this name.
 */
const struct partition *partition_find(const struct partition_table *table, const char *choice);

struct partdisk_config {
	/* What partition_find() takes. NULL: the range below. */
	const char *part;
	uint64_t offset_bytes;
	uint64_t size_bytes;	/* 0: up to the end */
	bool owns_lower;	/* disk_close() closes the lower disk too */
};

/* On failure `why` says what; the lower disk is the caller's. */
int partdisk_open(struct disk *lower, const struct partdisk_config *part_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size) must_check;

#endif
