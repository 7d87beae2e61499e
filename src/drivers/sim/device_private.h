/*
 * drivers/sim/device_private.h - the device's inside.
 *
 * Purpose     What its files share: device.c (registers, rings, time) on top, then service.c (which
 *             command, how long), moving.c (data) and outcome.c (ends, interrupts).
 * Locking     dev->lock, but where a function says otherwise.
 */
#ifndef SIM_DEVICE_PRIVATE_H
#define SIM_DEVICE_PRIVATE_H

#include "base/list.h"
#include "device.h"
#include "mechanics.h"

enum command_state { COMMAND_FREE, COMMAND_TAKES_DATA, COMMAND_WAITS, COMMAND_SERVED, COMMAND_MOVING,
		     COMMAND_GIVES_DATA };

struct command {
	enum command_state state;
	struct list link;		/* waiting, or serving in the order of due_ns */
	enum sim_opcode opcode;
	bool is_fua, is_ring, is_cancelled;
	uint32_t id;			/* ring */
	uint64_t lba, descriptors;
	uint32_t size_bytes, nr_descriptors;
	uint64_t arrival_ns, due_ns;
	uint32_t nr_passed_over;
	enum sim_error error;
};

struct device {
	/* configuration */
	struct bus *bus;
	struct disk *media;
	uint64_t size_bytes;
	uint32_t transfer_bytes_max;
	struct sim_profile profile;
	struct sim_faults faults;

	struct mutex lock;
	/* commands [lock] */
	struct command *commands;	/* depth for the rings, and one for the registers */
	struct list waiting, serving;
	uint32_t nr_serving;
	struct command *moving;
	struct mechanics mechanics;
	uint64_t link_free_ns;
	/* the register's command [lock] */
	uint32_t data_at;
	/* the data of the command that moves, or goes over the data register [moving, or lock] */
	char *buffer;
	/* rings [lock] */
	uint32_t ring_size, sq_head, sq_tail, cq_tail, cq_head;
	/* interrupts [lock] */
	uint32_t nr_untold;		/* completions since the last interrupt */
	uint64_t untold_since_ns;
	bool is_line_stuck;		/* C3 */
	uint32_t nr_raised, nr_ended;	/* for the faults */
	/* the thread */
	struct thread *thread;
	struct cond changed;
	bool is_stopping;		/* [lock] */
};

static inline uint64_t device_now(const struct device *dev)
{
	return clock_now_ns(dev->bus->clock);
}

static inline struct command *register_command(struct device *dev)
{
	return &dev->commands[dev->profile.depth];
}

static inline bool is_read(enum sim_opcode opcode)
{
	return opcode == OPCODE_READ_PIO || opcode == OPCODE_READ_DMA;
}

static inline bool is_write(enum sim_opcode opcode)
{
	return opcode == OPCODE_WRITE_PIO || opcode == OPCODE_WRITE_DMA;
}

/* outcome.c */
void device_update_line(struct device *dev) needs(dev->lock);
void device_raise_bits(struct device *dev, uint32_t bits) needs(dev->lock);
void device_clear_bits(struct device *dev, uint32_t bits) needs(dev->lock);
/* When the completions that nobody was told of must be told; DEVICE_NEVER. */
uint64_t device_coalesce_due_ns(const struct device *dev) needs(dev->lock);
void device_tell_untold(struct device *dev) needs(dev->lock);
/* Counts a transfer outside the windows and keeps its address. Any lock, or none. */
enum sim_error device_fault(struct device *dev, uint64_t address);
/* REG_DATA is to be read or written. */
void device_wants_data(struct device *dev, struct command *cmd) needs(dev->lock);
void device_end_register_command(struct device *dev, struct command *cmd) needs(dev->lock);
void device_end_command(struct device *dev, struct command *cmd) needs(dev->lock);

/* moving.c: without the lock, one command at a time (C2) */
void device_move_data(struct device *dev, struct command *cmd);

/* service.c */
enum sim_error device_check_command(const struct device *dev, const struct command *cmd);
void device_command_arrives(struct device *dev, struct command *cmd) needs(dev->lock);
/* A channel is free since free_ns (C1): who waits is served. */
void device_serve_waiting(struct device *dev, uint64_t free_ns) needs(dev->lock);

#endif
