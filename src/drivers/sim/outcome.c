/* How a command ends: data wanted, a status, a completion in the ring, an interrupt. */
#include <string.h>

#include "device_private.h"

static bool happens(uint32_t every, uint32_t nth)
{
	return every && nth % every == 0;
}

/* ---- interrupts ---- */

void device_update_line(struct device *dev)
{
	uint32_t bits = bus_latched(dev->bus, REG_IRQ_STATUS) & bus_latched(dev->bus, REG_IRQ_MASK);

	bus_set_line(dev->bus, bits != 0 && !dev->is_line_stuck);
}

void device_raise_bits(struct device *dev, uint32_t bits)
{
	uint32_t old = bus_latched(dev->bus, REG_IRQ_STATUS);

	if ((old & bits) != bits && happens(dev->faults.lose_interrupt, ++dev->nr_raised))
		dev->is_line_stuck = true;
	bus_post(dev->bus, REG_IRQ_STATUS, old | bits);
	device_update_line(dev);
}

void device_clear_bits(struct device *dev, uint32_t bits)
{
	bus_post(dev->bus, REG_IRQ_STATUS, bus_latched(dev->bus, REG_IRQ_STATUS) & ~bits);
	dev->is_line_stuck = false;
	device_update_line(dev);
}

uint64_t device_coalesce_due_ns(const struct device *dev)
{
	if (dev->nr_untold == 0)
		return DEVICE_NEVER;
	return dev->untold_since_ns + bus_latched(dev->bus, REG_COALESCE_US) * 1000ull;
}

void device_tell_untold(struct device *dev)
{
	dev->nr_untold = 0;
	device_raise_bits(dev, IRQ_RING);
}

static void completion_untold(struct device *dev, uint64_t at_ns) needs(dev->lock)
{
	if (dev->nr_untold++ == 0)
		dev->untold_since_ns = at_ns;
	if (dev->nr_untold >= max(bus_latched(dev->bus, REG_COALESCE_COUNT), 1u))
		device_tell_untold(dev);
}

/* ---- the end of a command ---- */

enum sim_error device_fault(struct device *dev, uint64_t address)
{
	counter_add(&dev->bus->stats.faults, 1);
	bus_post(dev->bus, REG_FAULT_LOW, (uint32_t)address);
	bus_post(dev->bus, REG_FAULT_HIGH, (uint32_t)(address >> 32));
	return ERROR_WINDOW;
}

static void post_completion(struct device *dev, uint32_t id, enum sim_error error) needs(dev->lock)
{
	uint32_t index = dev->cq_tail;
	uint64_t at = bus_latched64(dev->bus, REG_CQ_LOW) +
		      (index & (dev->ring_size - 1)) * sizeof(struct sim_completion);
	uint32_t words[COMPLETION_WORDS] = {
		[COMPLETION_ID] = id,
		[COMPLETION_ERROR] = error,
		[COMPLETION_PHASE] = completion_phase(index, dev->ring_size),
	};

	/* A driver that does not read its ring loses completions, and finds out by its time-out. */
	if (index - dev->cq_head == dev->ring_size)
		return;
	if (window_post(dev->bus->windows, at, words))
		device_fault(dev, at);
	else
		dev->cq_tail++;
}

static void end_ring_command(struct device *dev, struct command *cmd) needs(dev->lock)
{
	post_completion(dev, cmd->id, cmd->error);
	if (happens(dev->faults.unknown_tag, dev->nr_ended))
		post_completion(dev, cmd->id, cmd->error); /* twice: the second belongs to nobody */
	cmd->state = COMMAND_FREE;
	completion_untold(dev, cmd->due_ns);
}

void device_wants_data(struct device *dev, struct command *cmd)
{
	uint32_t word = 0;

	if (cmd->state == COMMAND_GIVES_DATA)
		memcpy(&word, dev->buffer + dev->data_at, sizeof(word));
	bus_post(dev->bus, REG_DATA, word);
	bus_post(dev->bus, REG_STATUS, STATUS_BUSY | STATUS_DRQ);
}

void device_end_register_command(struct device *dev, struct command *cmd)
{
	bus_post(dev->bus, REG_ERROR, cmd->error);
	if (cmd->opcode == OPCODE_READ_PIO && !cmd->error) {
		cmd->state = COMMAND_GIVES_DATA;
		dev->data_at = 0;
		device_wants_data(dev, cmd);
		device_raise_bits(dev, IRQ_DRQ);
		return;
	}
	cmd->state = COMMAND_FREE;
	bus_post(dev->bus, REG_STATUS, STATUS_READY | (cmd->error ? STATUS_ERR : 0));
	device_raise_bits(dev, IRQ_DONE);
}

void device_end_command(struct device *dev, struct command *cmd)
{
	counter_add(&dev->bus->stats.commands, 1);
	dev->nr_ended++;
	if (happens(dev->faults.no_answer, dev->nr_ended))
		cmd->state = COMMAND_FREE;
	else if (cmd->is_ring)
		end_ring_command(dev, cmd);
	else
		device_end_register_command(dev, cmd);
}
