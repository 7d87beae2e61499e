/*
 * unit/drivers/conformance.h - what every driver must pass.
 *
 * Purpose     One suite over all drivers and ways to open them: a row of the table in
 *             test_conformance.c is all that a new driver needs.
 * Ownership   open() makes the disk and whatever stands behind it, which it hands out as state;
 *             close() is called after disk_close(), with that state.
 */
#ifndef UNIT_DRIVERS_CONFORMANCE_H
#define UNIT_DRIVERS_CONFORMANCE_H

#include "block/disk.h"

struct conformance_driver {
	const char *name;
	/* A disk of size_bytes (a multiple of 64 KiB), all zeros. Does not return without one. */
	struct disk *(*open)(uint64_t size_bytes, void **ret_state);
	void (*close)(void *state);		/* NULL: nothing is left */
};

#endif
