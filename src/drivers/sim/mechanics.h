/*
 * drivers/sim/mechanics.h - how long a device takes.
 *
 * Purpose     From a command and the state of arm and platter to a time. Pure arithmetic in whole
 *             nanoseconds, so that it is the same everywhere.
 * Ownership   A value, part of the device.
 * Locking     The device's.
 * Sources     Ruemmler and Wilkes, "An introduction to disk drive modeling", 1994: seek curve, skew.
 */
#ifndef SIM_MECHANICS_H
#define SIM_MECHANICS_H

#include "drivers/simdisk.h"

struct mechanics {
	struct sim_profile profile;
	uint64_t nr_cylinders;
	uint64_t cylinder;		/* where the arm stands */
	sector_t next_sector;		/* behind the last one served: what the drive has read on */
	bool was_read;
};

/* What serving a command takes. */
struct service {
	uint64_t seek_ns, rotation_ns, transfer_ns;
	uint64_t travel;		/* cylinders */
	uint64_t cylinder;		/* where the arm is then */
};

void mechanics_init(struct mechanics *m, const struct sim_profile *profile, uint64_t size_bytes);
bool mechanics_has_arm(const struct mechanics *m);
uint64_t mechanics_cylinder(const struct mechanics *m, sector_t sector);
uint64_t mechanics_seek_ns(const struct mechanics *m, uint64_t cylinders);
/* Pure: if it began at start_ns. size_bytes > 0. */
struct service mechanics_plan(const struct mechanics *m, uint64_t start_ns, enum bio_op op,
			      sector_t sector, uint32_t size_bytes);
/* It is done: the arm and the platter are where that left them. */
void mechanics_apply(struct mechanics *m, const struct service *s, enum bio_op op, sector_t end);

static inline uint64_t service_ns(const struct service *s)
{
	return s->seek_ns + s->rotation_ns + s->transfer_ns;
}

#endif
