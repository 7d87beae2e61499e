/*
 * drivers/sim/device.h - the controller: it takes commands from registers and rings.
 *
 * Purpose     Everything that is hardware: command states, data register, rings, DMA through
 *             windows, interrupt status, mask and coalescing, and the time that it all takes.
 * Ownership   The media below stays the creator's.
 * Locking     One lock (RANK_DRIVER), taken behind the driver's own by the strobes. It is dropped
 *             while data moves. device_run() by one thread at a time.
 * Invariants  v1  A command that was taken ends once: by a completion, or by a reset.
 *             v2  Memory is touched only while a command that names it is under way, through an open
 *                 window; else the command ends with ERROR_WINDOW and the fault is counted.
 *             v3  After a reset no data of a former command moves.
 * Context     device_run() may sleep for the media.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "bus.h"
#include "drivers/simdisk.h"

#define DEVICE_NEVER UINT64_MAX

struct device;

struct device_config {
	const struct sim_profile *profile;
	struct disk *media;		/* NULL: nothing is stored */
	uint64_t size_bytes;
	uint32_t transfer_bytes_max;	/* of one command */
	struct sim_faults faults;
};

/* It is then on the bus. */
int device_create(struct bus *bus, const struct device_config *config, struct device **ret) must_check;
void device_destroy(struct device *dev);	/* NULL is harmless */
/* Does what is due on the bus's clock. */
void device_run(struct device *dev);
/* When something will be due; DEVICE_NEVER. */
uint64_t device_next_ns(struct device *dev);
/* A thread of the device's that runs it in real time until it is destroyed. */
int device_start_thread(struct device *dev) must_check;

#endif
