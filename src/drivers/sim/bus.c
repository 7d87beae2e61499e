/* Between driver and device: registers, windows, the interrupt line, and the bill for them. */
#include "bus.h"

#include <errno.h>

#include "base/assert.h"

const struct sim_costs sim_costs_default = {
	.reg_read_ns = 250,
	.reg_write_ns = 100,
	.ring_look_ns = 30,
	.interrupt_ns = 2000,
	.bottom_half_ns = 4000,
	.prepare_ns = 600,
	.finish_ns = 400,
	.copy_ps_per_byte = 100,
};

int bus_init(struct bus *bus, struct clock *clock, const struct sim_costs *costs, uint32_t nr_windows)
{
	bus->clock = clock;
	bus->costs = *costs;
	bus->windows = windows_create(nr_windows);
	if (!bus->windows)
		return -ENOMEM;
	mutex_init(&bus->line_lock, RANK_LEAF, "sim interrupt line");
	cond_init(&bus->line_changed);
	return 0;
}

void bus_done(struct bus *bus)
{
	windows_destroy(bus->windows);
	cond_done(&bus->line_changed);
	mutex_done(&bus->line_lock);
}

void bus_charge(struct bus *bus, uint64_t cpu_ns)
{
	counter_add(&bus->stats.cpu_ns, cpu_ns);
	if (clock_is_virtual(bus->clock))
		clock_advance(bus->clock, cpu_ns);
}

uint32_t bus_read(struct bus *bus, enum sim_reg reg)
{
	uint32_t value = reg_load(&bus->regs[reg]);

	if (reg == REG_DATA)
		bus_must_not_interrupt(bus);
	counter_add(&bus->stats.reg_reads, 1);
	bus_charge(bus, bus->costs.reg_read_ns);
	if (reg == REG_DATA)
		bus->device_ops->data_was_read(bus->device);
	return value;
}

void bus_write(struct bus *bus, enum sim_reg reg, uint32_t value)
{
	if (reg == REG_DATA)
		bus_must_not_interrupt(bus);
	counter_add(&bus->stats.reg_writes, 1);
	bus_charge(bus, bus->costs.reg_write_ns);
	bus->device_ops->written(bus->device, reg, value);
}

void bus_write64(struct bus *bus, enum sim_reg low, uint64_t value)
{
	bus_write(bus, low, (uint32_t)value);
	bus_write(bus, low + 1, (uint32_t)(value >> 32));
}

bool bus_line_is_high(struct bus *bus)
{
	bool is_high;

	mutex_lock(&bus->line_lock);
	is_high = bus->is_line_high;
	mutex_unlock(&bus->line_lock);
	return is_high;
}

void bus_set_line(struct bus *bus, bool is_high)
{
	mutex_lock(&bus->line_lock);
	bus->is_line_high = is_high;
	if (is_high)
		cond_broadcast(&bus->line_changed);
	mutex_unlock(&bus->line_lock);
}

void bus_wait(struct bus *bus, uint64_t timeout_ms)
{
	mutex_lock(&bus->line_lock);
	while (!bus->is_line_high && !bus->is_kicked)
		if (!cond_wait_ms(&bus->line_changed, &bus->line_lock, timeout_ms))
			break;
	bus->is_kicked = false;
	mutex_unlock(&bus->line_lock);
}

void bus_kick(struct bus *bus)
{
	mutex_lock(&bus->line_lock);
	bus->is_kicked = true;
	cond_broadcast(&bus->line_changed);
	mutex_unlock(&bus->line_lock);
}

void bus_enter_top_half(struct bus *bus)
{
	must(!bus->is_in_top_half);
	bus->is_in_top_half = true;
	counter_add(&bus->stats.interrupts, 1);
	bus_charge(bus, bus->costs.interrupt_ns);
}

void bus_leave_top_half(struct bus *bus)
{
	must(bus->is_in_top_half);
	bus->is_in_top_half = false;
}

void bus_must_not_interrupt(const struct bus *bus)
{
	must(!bus->is_in_top_half);	/* u1: work belongs into the bottom half */
}
