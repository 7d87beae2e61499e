/*
 * The controller.
 *
 *	registers: COMMAND --.                        .--> STATUS, IRQ_DONE
 *	                     +--> waiting --> serving -+
 *	rings: SQ doorbell --'     (FIFO, or   (until  '--> completion ring, IRQ_RING
 *	                           nearest)    due_ns)
 *
 * A command waits until one of the profile's channels is free, is served for as long as mechanics.c
 * says, and at its end its data moves: from the media to memory, or the reverse. So memory that a
 * driver gave back too early is missed at that moment, as it is by real hardware.
 *
 * C1  The device's time line is its own: the next command begins when the last ended, also when
 *     the CPU looked later (in virtual time a busy CPU moves the clock past several ends).
 * C2  While data moves the lock is dropped, for the media may sleep. The one command that this
 *     concerns is `moving`; a reset meanwhile only marks it, and STATUS_BUSY stays until it is over.
 * C3  The line is high while IRQ_STATUS & IRQ_MASK is not 0. A lost interrupt (a fault for tests) is
 *     one whose bit is set while the line stays low, until the bits are cleared.
 */
#include "device_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"

#define LEAP_MS 2u		/* shorter waits are slept exactly, and without being woken */

/* ---- rings ---- */

static struct command *free_command(struct device *dev) needs(dev->lock)
{
	for (uint32_t i = 0; i < dev->profile.depth; i++)
		if (dev->commands[i].state == COMMAND_FREE)
			return &dev->commands[i];
	return NULL;
}

static void fill_ring_command(struct device *dev, struct command *cmd, uint64_t at) needs(dev->lock)
{
	struct sim_submission sub = {0};

	cmd->error = ERROR_NONE;
	if (window_load(dev->bus->windows, at, &sub, sizeof(sub)))
		cmd->error = device_fault(dev, at);
	cmd->is_ring = true;
	cmd->is_cancelled = false;
	cmd->opcode = sub.opcode & OPCODE_MASK;
	cmd->is_fua = sub.opcode & OPCODE_FUA;
	cmd->id = sub.id;
	cmd->lba = sub.lba;
	cmd->size_bytes = sub.size_bytes;
	cmd->descriptors = sub.descriptors;
	cmd->nr_descriptors = sub.nr_descriptors;
	if (!cmd->error)
		cmd->error = device_check_command(dev, cmd);
	if (!cmd->error && (cmd->opcode == OPCODE_READ_PIO || cmd->opcode == OPCODE_WRITE_PIO))
		cmd->error = ERROR_OPCODE;
}

/* The doorbell rang, or there is room again. More than the device holds stays in the ring. */
static void fetch_submissions(struct device *dev) needs(dev->lock)
{
	struct command *cmd;

	while (dev->ring_size && dev->sq_head != dev->sq_tail && (cmd = free_command(dev))) {
		fill_ring_command(dev, cmd,
				  bus_latched64(dev->bus, REG_SQ_LOW) +
					  (dev->sq_head & (dev->ring_size - 1)) *
						  sizeof(struct sim_submission));
		dev->sq_head++;
		cmd->due_ns = device_now(dev);
		if (cmd->error)
			device_end_command(dev, cmd);
		else
			device_command_arrives(dev, cmd);
	}
}

static void begin_rings(struct device *dev, uint32_t size) needs(dev->lock)
{
	dev->ring_size = is_power_of_2(size) ? size : 0;
	dev->sq_head = dev->sq_tail = dev->cq_head = dev->cq_tail = 0;
	bus_post(dev->bus, REG_RING_SIZE, dev->ring_size);
}

/* ---- the register's command ---- */

static void begin_command(struct device *dev, uint32_t value) needs(dev->lock)
{
	struct command *cmd = register_command(dev);
	const struct bus *bus = dev->bus;

	if (cmd->state != COMMAND_FREE)
		return;		/* as hardware: a command that comes while it is busy is not heard */
	*cmd = (struct command){
		.opcode = value & OPCODE_MASK,
		.is_fua = value & OPCODE_FUA,
		.lba = bus_latched64(bus, REG_LBA_LOW),
		.size_bytes = bus_latched(bus, REG_COUNT),
		.descriptors = bus_latched64(bus, REG_DMA_LOW),
		.nr_descriptors = bus_latched(bus, REG_DMA_COUNT),
		.due_ns = device_now(dev),
	};
	list_init(&cmd->link);
	/* The buffer is one: registers and rings are not used at once. */
	cmd->error = dev->ring_size ? ERROR_OPCODE : device_check_command(dev, cmd);
	bus_post(dev->bus, REG_STATUS, STATUS_BUSY);
	if (cmd->error) {
		device_end_register_command(dev, cmd);
	} else if (cmd->opcode == OPCODE_WRITE_PIO) {
		cmd->state = COMMAND_TAKES_DATA;
		dev->data_at = 0;
		device_wants_data(dev, cmd);
	} else {
		device_command_arrives(dev, cmd);
	}
}

/* A word went over the data register. */
static void data_went(struct device *dev) needs(dev->lock)
{
	struct command *cmd = register_command(dev);
	bool is_taking = cmd->state == COMMAND_TAKES_DATA;

	dev->data_at += sizeof(uint32_t);
	if (dev->data_at < cmd->size_bytes) {
		device_wants_data(dev, cmd);
		if (dev->data_at % PIO_BLOCK_BYTES == 0)
			device_raise_bits(dev, IRQ_DRQ);
	} else if (is_taking) {
		bus_post(dev->bus, REG_STATUS, STATUS_BUSY);
		device_command_arrives(dev, cmd);
	} else {
		cmd->state = COMMAND_FREE;
		bus_post(dev->bus, REG_STATUS, STATUS_READY);
	}
}

static void data_was_read(void *device)
{
	struct device *dev = device;

	mutex_lock_nested(&dev->lock);	/* behind the driver's: device.h, Locking */
	if (register_command(dev)->state == COMMAND_GIVES_DATA)
		data_went(dev);
	mutex_unlock(&dev->lock);
}

static void data_was_written(struct device *dev, uint32_t value) needs(dev->lock)
{
	if (register_command(dev)->state != COMMAND_TAKES_DATA)
		return;
	memcpy(dev->buffer + dev->data_at, &value, sizeof(value));
	data_went(dev);
}

static void reset(struct device *dev) needs(dev->lock)
{
	for (uint32_t i = 0; i <= dev->profile.depth; i++) {
		struct command *cmd = &dev->commands[i];

		list_del(&cmd->link);
		if (cmd->state == COMMAND_MOVING)
			cmd->is_cancelled = true;	/* C2 */
		else
			cmd->state = COMMAND_FREE;
	}
	dev->nr_serving = dev->moving ? 1 : 0;
	dev->nr_untold = 0;
	begin_rings(dev, 0);
	bus_post(dev->bus, REG_IRQ_MASK, 0);
	device_clear_bits(dev, ~0u);
	bus_post(dev->bus, REG_STATUS, dev->moving ? STATUS_BUSY : STATUS_READY);
}

/* ---- registers ---- */

static void written_locked(struct device *dev, enum sim_reg reg, uint32_t value) needs(dev->lock)
{
	switch (reg) {
	case REG_COMMAND:
		if ((value & OPCODE_MASK) == OPCODE_RESET)
			reset(dev);
		else
			begin_command(dev, value);
		break;
	case REG_DATA:
		data_was_written(dev, value);
		break;
	case REG_IRQ_STATUS:
		device_clear_bits(dev, value);
		break;
	case REG_IRQ_MASK:
		bus_post(dev->bus, reg, value);
		device_update_line(dev);
		break;
	case REG_RING_SIZE:
		begin_rings(dev, value);
		break;
	case REG_SQ_TAIL:
		dev->sq_tail = value;
		fetch_submissions(dev);
		break;
	case REG_CQ_HEAD:
		dev->cq_head = value;
		break;
	case REG_LBA_LOW: case REG_LBA_HIGH: case REG_COUNT:
	case REG_DMA_LOW: case REG_DMA_HIGH: case REG_DMA_COUNT:
	case REG_COALESCE_COUNT: case REG_COALESCE_US:
	case REG_SQ_LOW: case REG_SQ_HIGH: case REG_CQ_LOW: case REG_CQ_HIGH:
		bus_post(dev->bus, reg, value);
		break;
	default:
		break;	/* read-only, or none: a store goes nowhere */
	}
}

static void written(void *device, enum sim_reg reg, uint32_t value)
{
	struct device *dev = device;

	mutex_lock_nested(&dev->lock);	/* behind the driver's: device.h, Locking */
	written_locked(dev, reg, value);
	mutex_unlock(&dev->lock);
}

static const struct bus_device_ops device_ops = {
	.written = written,
	.data_was_read = data_was_read,
};

/* ---- time ---- */

static uint64_t next_locked(struct device *dev) needs(dev->lock)
{
	uint64_t next = device_coalesce_due_ns(dev);

	if (!list_empty(&dev->serving))
		next = min(next, list_first(&dev->serving, struct command, link)->due_ns);
	return next;
}

uint64_t device_next_ns(struct device *dev)
{
	uint64_t next;

	mutex_lock(&dev->lock);
	next = next_locked(dev);
	mutex_unlock(&dev->lock);
	return next;
}

static void finish(struct device *dev, struct command *cmd) needs(dev->lock)
{
	list_del(&cmd->link);
	cmd->state = COMMAND_MOVING;
	dev->moving = cmd;
	mutex_unlock(&dev->lock);
	device_move_data(dev, cmd);
	mutex_lock(&dev->lock);
	dev->moving = NULL;
	dev->nr_serving--;
	if (cmd->is_cancelled) {
		cmd->is_cancelled = false;
		cmd->state = COMMAND_FREE;
		bus_post(dev->bus, REG_STATUS, STATUS_READY);
	} else {
		device_end_command(dev, cmd);
	}
	device_serve_waiting(dev, cmd->due_ns);
	fetch_submissions(dev);
}

static void run_locked(struct device *dev) needs(dev->lock)
{
	while (next_locked(dev) <= device_now(dev)) {
		if (device_coalesce_due_ns(dev) <= next_locked(dev))
			device_tell_untold(dev);
		else
			finish(dev, list_first(&dev->serving, struct command, link));
	}
}

void device_run(struct device *dev)
{
	mutex_lock(&dev->lock);
	run_locked(dev);
	mutex_unlock(&dev->lock);
}

/* ---- the device's thread ---- */

static void sleep_until_due(struct device *dev) needs(dev->lock)
{
	uint64_t next = next_locked(dev), at = device_now(dev);
	struct timespec ts;

	if (next == DEVICE_NEVER) {
		cond_wait(&dev->changed, &dev->lock);
	} else if (next > at + LEAP_MS * NSEC_PER_MSEC) {
		ignore(cond_wait_ms(&dev->changed, &dev->lock, (next - at) / NSEC_PER_MSEC - 1),
		       "the time is looked at again");
	} else if (next > at) {
		ts = (struct timespec){.tv_nsec = (long)(next - at)};
		mutex_unlock(&dev->lock);
		nanosleep(&ts, NULL);
		mutex_lock(&dev->lock);
	}
}

static void thread_main(void *arg)
{
	struct device *dev = arg;

	mutex_lock(&dev->lock);
	while (!dev->is_stopping) {
		run_locked(dev);
		if (!dev->is_stopping)
			sleep_until_due(dev);
	}
	mutex_unlock(&dev->lock);
}

int device_start_thread(struct device *dev)
{
	dev->thread = thread_create("sim-device", thread_main, dev);
	return dev->thread ? 0 : -EAGAIN;
}

/* ---- making ---- */

static void announce(struct device *dev)
{
	uint64_t nr_sectors = dev->size_bytes >> SECTOR_SHIFT;

	bus_post(dev->bus, REG_ID, SIM_ID);
	bus_post(dev->bus, REG_DEPTH, dev->profile.depth);
	bus_post(dev->bus, REG_SIZE_LOW, (uint32_t)nr_sectors);
	bus_post(dev->bus, REG_SIZE_HIGH, (uint32_t)(nr_sectors >> 32));
	bus_post(dev->bus, REG_STATUS, STATUS_READY);
}

int device_create(struct bus *bus, const struct device_config *config, struct device **ret)
{
	struct device *dev = mem_zalloc(sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	dev->bus = bus;
	dev->media = config->media;
	dev->size_bytes = config->size_bytes;
	dev->transfer_bytes_max = config->transfer_bytes_max;
	dev->profile = *config->profile;
	dev->faults = config->faults;
	mutex_init(&dev->lock, RANK_DRIVER, "sim device");
	cond_init(&dev->changed);
	list_init(&dev->waiting);
	list_init(&dev->serving);
	mechanics_init(&dev->mechanics, config->profile, config->size_bytes);
	dev->buffer = mem_alloc(config->transfer_bytes_max);
	dev->commands = mem_zalloc((config->profile->depth + 1) * sizeof(*dev->commands));
	if (!dev->buffer || !dev->commands) {
		device_destroy(dev);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i <= config->profile->depth; i++)
		list_init(&dev->commands[i].link);
	bus->device_ops = &device_ops;
	bus->device = dev;
	announce(dev);
	*ret = dev;
	return 0;
}

void device_destroy(struct device *dev)
{
	if (!dev)
		return;
	mutex_lock(&dev->lock);
	dev->is_stopping = true;
	cond_signal(&dev->changed);
	mutex_unlock(&dev->lock);
	thread_join(dev->thread);
	mem_free(dev->commands);
	mem_free(dev->buffer);
	cond_done(&dev->changed);
	mutex_done(&dev->lock);
	mem_free(dev);
}
