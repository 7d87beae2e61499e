/*
 * drivers/sim/bus.h - what lies between driver and device: registers, windows, interrupt line.
 *
 * Purpose     The driver's loads and stores go over this to the device; the device reaches memory
 *             through the windows and tells by the line. It counts all of it, and takes the CPU's
 *             time for it from the clock when that is virtual.
 * Ownership   simdisk.c makes it (tests of traps do, too), driver and device use it.
 * Locking     Registers need none. The line has a leaf lock. is_in_top_half is the driver's.
 * Invariants  u1  In an interrupt's top half nothing is copied, completed or waited for
 *                 (bus_must_not_interrupt).
 */
#ifndef SIM_BUS_H
#define SIM_BUS_H

#include "base/clock.h"
#include "base/lock.h"
#include "drivers/simdisk.h"
#include "regs.h"
#include "window.h"

/* A strobe: the device sees each access to a register that does something. Filled by device.c. */
struct bus_device_ops {
	void (*written)(void *device, enum sim_reg reg, uint32_t value);
	void (*data_was_read)(void *device);	/* REG_DATA */
};

struct bus {
	/* configuration */
	struct clock *clock;
	struct sim_costs costs;
	const struct bus_device_ops *device_ops;	/* set when the device is attached */
	void *device;
	struct windows *windows;
	/* state */
	volatile reg32_t regs[SIM_NR_REGS];	/* written by the device only */
	struct mutex line_lock;		/* RANK_LEAF */
	struct cond line_changed;
	bool is_line_high;		/* [line_lock] */
	bool is_kicked;			/* [line_lock] the driver's thread has something else to do */
	bool is_in_top_half;		/* [driver's lock] */
	struct sim_stats stats;
};

int bus_init(struct bus *bus, struct clock *clock, const struct sim_costs *costs,
	     uint32_t nr_windows) must_check;
void bus_done(struct bus *bus);

/* The driver's side. */
uint32_t bus_read(struct bus *bus, enum sim_reg reg);
void bus_write(struct bus *bus, enum sim_reg reg, uint32_t value);
void bus_write64(struct bus *bus, enum sim_reg low, uint64_t value);	/* low and the one behind */
void bus_charge(struct bus *bus, uint64_t cpu_ns);	/* the CPU works for so long */
bool bus_line_is_high(struct bus *bus);
/* Waits until the line is high or somebody kicks, at most so long. Real time. */
void bus_wait(struct bus *bus, uint64_t timeout_ms);
void bus_kick(struct bus *bus);
void bus_enter_top_half(struct bus *bus);
void bus_leave_top_half(struct bus *bus);
void bus_must_not_interrupt(const struct bus *bus);	/* u1 */

/* The device's side. */
void bus_set_line(struct bus *bus, bool is_high);
static inline void bus_post(struct bus *bus, enum sim_reg reg, uint32_t value)
{
	reg_store(&bus->regs[reg], value);
}
static inline uint32_t bus_latched(const struct bus *bus, enum sim_reg reg)
{
	return reg_load(&bus->regs[reg]);
}
static inline uint64_t bus_latched64(const struct bus *bus, enum sim_reg low)
{
	return bus_latched(bus, low) | (uint64_t)bus_latched(bus, low + 1) << 32;
}

#endif
