/*
 * drivers/recorddisk.h - passes everything on to another disk, and writes down what changes it.
 *
 * Purpose     The crash laboratory's ear: writes with their data, flushes and discards, as the
 *             lower disk got and ended them (drivers/recordlog.h).
 * Ownership   The lower disk stays the caller's, unless owns_lower. So does the log, which outlives
 *             the disk.
 * Locking     Any thread.
 * Invariants  Requests are recorded as the driver sees them: after merging, with a PREFLUSH as a
 *             flush of its own, and FUA as a flag.
 * Context     As the lower disk; a write is copied once more.
 */
#ifndef DRIVERS_RECORDDISK_H
#define DRIVERS_RECORDDISK_H

#include "drivers/recordlog.h"

int recorddisk_open(struct disk *lower, bool owns_lower, struct recordlog *log,
		    const struct disk_config *config, struct disk **ret_disk) must_check;

#endif
