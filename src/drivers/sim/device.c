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
#include "device.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "mechanics.h"

#define LEAP_MS 2u		/* shorter waits are slept exactly, and without being woken */
#define PASSED_OVER_MAX 64u	/* nearest first, but nobody is passed over more often */

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

static uint64_t now(const struct device *dev)
{
	return clock_now_ns(dev->bus->clock);
}

static bool happens(uint32_t every, uint32_t nth)
{
	return every && nth % every == 0;
}

/* ---- interrupts ---- */

static void update_line(struct device *dev) needs(dev->lock)
{
	uint32_t bits = bus_latched(dev->bus, REG_IRQ_STATUS) & bus_latched(dev->bus, REG_IRQ_MASK);

	bus_set_line(dev->bus, bits != 0 && !dev->is_line_stuck);
}

static void raise_bits(struct device *dev, uint32_t bits) needs(dev->lock)
{
	uint32_t old = bus_latched(dev->bus, REG_IRQ_STATUS);

	if ((old & bits) != bits && happens(dev->faults.lose_interrupt, ++dev->nr_raised))
		dev->is_line_stuck = true;
	bus_post(dev->bus, REG_IRQ_STATUS, old | bits);
	update_line(dev);
}

static void clear_bits(struct device *dev, uint32_t bits) needs(dev->lock)
{
	bus_post(dev->bus, REG_IRQ_STATUS, bus_latched(dev->bus, REG_IRQ_STATUS) & ~bits);
	dev->is_line_stuck = false;
	update_line(dev);
}

static uint64_t coalesce_due_ns(const struct device *dev) needs(dev->lock)
{
	if (dev->nr_untold == 0)
		return DEVICE_NEVER;
	return dev->untold_since_ns + bus_latched(dev->bus, REG_COALESCE_US) * 1000ull;
}

static void tell_untold(struct device *dev) needs(dev->lock)
{
	dev->nr_untold = 0;
	raise_bits(dev, IRQ_RING);
}

static void completion_untold(struct device *dev, uint64_t at_ns) needs(dev->lock)
{
	if (dev->nr_untold++ == 0)
		dev->untold_since_ns = at_ns;
	if (dev->nr_untold >= max(bus_latched(dev->bus, REG_COALESCE_COUNT), 1u))
		tell_untold(dev);
}

/* ---- the end of a command ---- */

static enum sim_error fault(struct device *dev, uint64_t address)
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
		fault(dev, at);
	else
		dev->cq_tail++;
}

static void end_ring_command(struct device *dev, struct command *cmd) needs(dev->lock)
{
	post_completion(dev, cmd->id, cmd->error);
	if (happens(dev->faults.unknown_tag, dev->nr_ended))
		post_completion(dev, cmd->id, cmd->error);	/* twice: the second belongs to nobody */
	cmd->state = COMMAND_FREE;
	completion_untold(dev, cmd->due_ns);
}

static void wants_data(struct device *dev, struct command *cmd) needs(dev->lock)
{
	uint32_t word = 0;

	if (cmd->state == COMMAND_GIVES_DATA)
		memcpy(&word, dev->buffer + dev->data_at, sizeof(word));
	bus_post(dev->bus, REG_DATA, word);
	bus_post(dev->bus, REG_STATUS, STATUS_BUSY | STATUS_DRQ);
}

static void end_register_command(struct device *dev, struct command *cmd) needs(dev->lock)
{
	bus_post(dev->bus, REG_ERROR, cmd->error);
	if (cmd->opcode == OPCODE_READ_PIO && !cmd->error) {
		cmd->state = COMMAND_GIVES_DATA;
		dev->data_at = 0;
		wants_data(dev, cmd);
		raise_bits(dev, IRQ_DRQ);
		return;
	}
	cmd->state = COMMAND_FREE;
	bus_post(dev->bus, REG_STATUS, STATUS_READY | (cmd->error ? STATUS_ERR : 0));
	raise_bits(dev, IRQ_DONE);
}

static void end_command(struct device *dev, struct command *cmd) needs(dev->lock)
{
	counter_add(&dev->bus->stats.commands, 1);
	dev->nr_ended++;
	if (happens(dev->faults.no_answer, dev->nr_ended))
		cmd->state = COMMAND_FREE;
	else if (cmd->is_ring)
		end_ring_command(dev, cmd);
	else
		end_register_command(dev, cmd);
}

/* ---- data: without the lock, one command at a time ---- */

static bool is_read(enum sim_opcode opcode)
{
	return opcode == OPCODE_READ_PIO || opcode == OPCODE_READ_DMA;
}

static bool is_write(enum sim_opcode opcode)
{
	return opcode == OPCODE_WRITE_PIO || opcode == OPCODE_WRITE_DMA;
}

/* Between buffer and memory, piece by piece. */
static void move_by_dma(struct device *dev, struct command *cmd)
{
	struct windows *ws = dev->bus->windows;
	uint32_t done = 0;

	for (uint32_t i = 0; i < cmd->nr_descriptors && done < cmd->size_bytes; i++) {
		uint64_t at = cmd->descriptors + i * sizeof(struct sim_descriptor);
		struct sim_descriptor d;
		int err = window_load(ws, at, &d, sizeof(d));

		if (err) {
			cmd->error = fault(dev, at);
			return;
		}
		d.len_bytes = min(d.len_bytes, cmd->size_bytes - done);
		err = is_read(cmd->opcode) ? window_store(ws, d.address, dev->buffer + done, d.len_bytes)
					   : window_load(ws, d.address, dev->buffer + done, d.len_bytes);
		if (err) {
			cmd->error = fault(dev, d.address);
			return;
		}
		done += d.len_bytes;
		counter_add(&dev->bus->stats.dma_bytes, d.len_bytes);
	}
	if (done < cmd->size_bytes)
		cmd->error = fault(dev, 0);	/* too few descriptors: the rest has no place */
}

static int discard_media(struct device *dev, const struct command *cmd)
{
	struct bio bio;

	bio_init(&bio, dev->media, BIO_DISCARD, 0, cmd->lba, 0);
	bio.size_bytes = cmd->size_bytes;
	return bio_submit_wait(&bio);
}

static int use_media(struct device *dev, const struct command *cmd)
{
	uint64_t offset = cmd->lba << SECTOR_SHIFT;

	if (!dev->media) {
		if (is_read(cmd->opcode))
			memset(dev->buffer, 0, cmd->size_bytes);
		return 0;
	}
	if (is_read(cmd->opcode))
		return disk_read(dev->media, offset, dev->buffer, cmd->size_bytes);
	if (is_write(cmd->opcode))
		return disk_write(dev->media, offset, dev->buffer, cmd->size_bytes, cmd->is_fua ? BIO_FUA : 0);
	return cmd->opcode == OPCODE_FLUSH ? disk_flush(dev->media) : discard_media(dev, cmd);
}

static void move_data(struct device *dev, struct command *cmd)
{
	bool is_dma = cmd->opcode == OPCODE_READ_DMA || cmd->opcode == OPCODE_WRITE_DMA;

	if (is_dma && is_write(cmd->opcode))
		move_by_dma(dev, cmd);
	if (!cmd->error && use_media(dev, cmd))
		cmd->error = ERROR_MEDIA;
	if (is_dma && is_read(cmd->opcode) && !cmd->error)
		move_by_dma(dev, cmd);
}

/* ---- service ---- */

static enum bio_op op_of(enum sim_opcode opcode)
{
	if (is_read(opcode))
		return BIO_READ;
	if (is_write(opcode))
		return BIO_WRITE;
	return opcode == OPCODE_FLUSH ? BIO_FLUSH : BIO_DISCARD;
}

/* Which of those that wait goes next. */
static struct command *choose(struct device *dev, uint64_t at_ns) needs(dev->lock)
{
	struct command *oldest = list_first(&dev->waiting, struct command, link), *best = oldest, *cmd;
	uint64_t best_ns = UINT64_MAX;

	if (!dev->profile.picks_nearest || oldest->nr_passed_over >= PASSED_OVER_MAX)
		return oldest;
	list_for_each(cmd, &dev->waiting, link) {
		struct service s = mechanics_plan(&dev->mechanics, at_ns, op_of(cmd->opcode), cmd->lba,
						  cmd->size_bytes);

		if (s.seek_ns + s.rotation_ns < best_ns) {
			best = cmd;
			best_ns = s.seek_ns + s.rotation_ns;
		}
	}
	if (best != oldest)
		oldest->nr_passed_over++;
	return best;
}

/* When the link has brought so many bytes, that are there from ready_ns on. */
static uint64_t over_the_link(struct device *dev, uint64_t ready_ns, uint32_t size_bytes) needs(dev->lock)
{
	uint64_t start_ns = max(ready_ns, dev->link_free_ns);

	dev->link_free_ns = start_ns + size_bytes * NSEC_PER_MSEC / dev->profile.bytes_per_ms;
	return dev->link_free_ns;
}

static void serve(struct device *dev, struct command *cmd, uint64_t free_ns) needs(dev->lock)
{
	uint64_t start_ns = max(free_ns, cmd->arrival_ns);
	enum bio_op op = op_of(cmd->opcode);
	struct service s = mechanics_plan(&dev->mechanics, start_ns, op, cmd->lba, cmd->size_bytes);
	struct list *before = dev->serving.prev;

	mechanics_apply(&dev->mechanics, &s, op, cmd->lba + (cmd->size_bytes >> SECTOR_SHIFT));
	counter_add(&dev->bus->stats.seeks, s.travel != 0);
	counter_add(&dev->bus->stats.travel, s.travel);
	cmd->due_ns = start_ns + service_ns(&s);
	if (!mechanics_has_arm(&dev->mechanics) && (op == BIO_READ || op == BIO_WRITE))
		cmd->due_ns = over_the_link(dev, cmd->due_ns, cmd->size_bytes);
	counter_add(&dev->bus->stats.busy_ns, cmd->due_ns - start_ns);
	cmd->state = COMMAND_SERVED;
	while (before != &dev->serving && list_entry(before, struct command, link)->due_ns > cmd->due_ns)
		before = before->prev;
	list_move(before, &cmd->link);
	dev->nr_serving++;
}

/* A channel is free since free_ns (C1). */
static void serve_waiting(struct device *dev, uint64_t free_ns) needs(dev->lock)
{
	while (!list_empty(&dev->waiting) && dev->nr_serving < dev->profile.nr_channels)
		serve(dev, choose(dev, free_ns), free_ns);
}

static enum sim_error check_command(const struct device *dev, const struct command *cmd)
{
	uint64_t nr_sectors = dev->size_bytes >> SECTOR_SHIFT;

	if (cmd->opcode < OPCODE_READ_PIO || cmd->opcode > OPCODE_DISCARD)
		return ERROR_OPCODE;
	if (cmd->opcode == OPCODE_FLUSH)
		return ERROR_NONE;
	if (cmd->size_bytes == 0 || cmd->size_bytes % SECTOR_SIZE || cmd->lba > nr_sectors ||
	    cmd->size_bytes >> SECTOR_SHIFT > nr_sectors - cmd->lba)
		return ERROR_RANGE;
	if (cmd->opcode != OPCODE_DISCARD && cmd->size_bytes > dev->transfer_bytes_max)
		return ERROR_RANGE;
	return ERROR_NONE;
}

static void command_arrives(struct device *dev, struct command *cmd) needs(dev->lock)
{
	cmd->arrival_ns = now(dev);
	cmd->due_ns = cmd->arrival_ns;
	cmd->nr_passed_over = 0;
	cmd->state = COMMAND_WAITS;
	list_add_tail(&dev->waiting, &cmd->link);
	serve_waiting(dev, cmd->arrival_ns);
	cond_signal(&dev->changed);
}

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
		cmd->error = fault(dev, at);
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
		cmd->error = check_command(dev, cmd);
	if (!cmd->error && (cmd->opcode == OPCODE_READ_PIO || cmd->opcode == OPCODE_WRITE_PIO))
		cmd->error = ERROR_OPCODE;
}

/* The doorbell rang, or there is room again. More than the device holds stays in the ring. */
static void fetch_submissions(struct device *dev) needs(dev->lock)
{
	struct command *cmd;

	while (dev->ring_size && dev->sq_head != dev->sq_tail && (cmd = free_command(dev))) {
		fill_ring_command(dev, cmd, bus_latched64(dev->bus, REG_SQ_LOW) +
				  (dev->sq_head & (dev->ring_size - 1)) * sizeof(struct sim_submission));
		dev->sq_head++;
		cmd->due_ns = now(dev);
		if (cmd->error)
			end_command(dev, cmd);
		else
			command_arrives(dev, cmd);
	}
}

static void begin_rings(struct device *dev, uint32_t size) needs(dev->lock)
{
	dev->ring_size = is_power_of_2(size) ? size : 0;
	dev->sq_head = dev->sq_tail = dev->cq_head = dev->cq_tail = 0;
	bus_post(dev->bus, REG_RING_SIZE, dev->ring_size);
}

/* ---- the register's command ---- */

static struct command *register_command(struct device *dev)
{
	return &dev->commands[dev->profile.depth];
}

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
		.due_ns = now(dev),
	};
	list_init(&cmd->link);
	/* The buffer is one: registers and rings are not used at once. */
	cmd->error = dev->ring_size ? ERROR_OPCODE : check_command(dev, cmd);
	bus_post(dev->bus, REG_STATUS, STATUS_BUSY);
	if (cmd->error) {
		end_register_command(dev, cmd);
	} else if (cmd->opcode == OPCODE_WRITE_PIO) {
		cmd->state = COMMAND_TAKES_DATA;
		dev->data_at = 0;
		wants_data(dev, cmd);
	} else {
		command_arrives(dev, cmd);
	}
}

/* A word went over the data register. */
static void data_went(struct device *dev) needs(dev->lock)
{
	struct command *cmd = register_command(dev);
	bool is_taking = cmd->state == COMMAND_TAKES_DATA;

	dev->data_at += sizeof(uint32_t);
	if (dev->data_at < cmd->size_bytes) {
		wants_data(dev, cmd);
		if (dev->data_at % PIO_BLOCK_BYTES == 0)
			raise_bits(dev, IRQ_DRQ);
	} else if (is_taking) {
		bus_post(dev->bus, REG_STATUS, STATUS_BUSY);
		command_arrives(dev, cmd);
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
	clear_bits(dev, ~0u);
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
		clear_bits(dev, value);
		break;
	case REG_IRQ_MASK:
		bus_post(dev->bus, reg, value);
		update_line(dev);
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
	uint64_t next = coalesce_due_ns(dev);

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
	move_data(dev, cmd);
	mutex_lock(&dev->lock);
	dev->moving = NULL;
	dev->nr_serving--;
	if (cmd->is_cancelled) {
		cmd->is_cancelled = false;
		cmd->state = COMMAND_FREE;
		bus_post(dev->bus, REG_STATUS, STATUS_READY);
	} else {
		end_command(dev, cmd);
	}
	serve_waiting(dev, cmd->due_ns);
	fetch_submissions(dev);
}

static void run_locked(struct device *dev) needs(dev->lock)
{
	while (next_locked(dev) <= now(dev)) {
		if (coalesce_due_ns(dev) <= next_locked(dev))
			tell_untold(dev);
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
	uint64_t next = next_locked(dev), at = now(dev);
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
