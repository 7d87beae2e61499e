/*
 * The driver as a disk: requests in, interrupts and polls, time-outs, completions out.
 *
 * Whoever serves - the driver's thread in real time, the caller in virtual time - does one round
 * after another: the top half when the line is high, the bottom half when the top half left it
 * something, a look when the mode polls, and what is past its time. Requests that ended are gathered
 * under the lock and completed without it, because that brings the next ones in.
 *
 * Polling in virtual time: nothing can be seen before the device's next event, so the looks until
 * then are charged and counted together, not made one by one.
 *
 * When a request's time is over, the driver first looks whether it is done and only the interrupt was
 * lost. If not, it resets the device and gives everything that was under way once more, at most
 * SIM_TRIES_MAX times. Giving a command twice is harmless: both times it moves the same data.
 */
#include "drivers/simdisk.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "driver.h"

#define TIMEOUT_MS_DEFAULT 30000u	/* media below may flush for as long as a busy host takes */
#define IDLE_WAIT_MS 1000u	/* of the driver's thread; it is kicked for work */

static const char *const mode_names[SIM_NR_MODES] = {
	"pio-poll", "pio-irq", "dma-irq", "ring-irq", "ring-poll", "ring-hybrid",
};

const char *sim_mode_name(enum sim_mode mode)
{
	return mode_names[mode];
}

static bool mode_has_interrupts(const struct simdisk *sim)
{
	return sim->mode != SIM_PIO_POLL && sim->mode != SIM_RING_POLL;
}

static bool is_polling(const struct simdisk *sim)
{
	return sim->nr_in_flight && (!mode_has_interrupts(sim) || sim->is_spinning);
}

/* ---- commands ---- */

static void give_command(struct simdisk *sim, struct slot *slot) needs(sim->lock)
{
	slot->tries++;
	slot->deadline_ns = sim_now(sim) + sim->timeout_ns;
	list_move_tail(&sim->in_flight, &slot->link);
	if (sim_uses_rings(sim))
		ring_put(sim, slot);
	else
		taskfile_start(sim, slot);
}

static void sim_start(void *driver, struct request *rq)
{
	struct simdisk *sim = driver;
	struct slot *slot = &sim->slots[rq->tag];

	mutex_lock(&sim->lock);
	must(!slot->rq);
	slot->rq = rq;
	slot->tries = 0;
	sim->nr_in_flight++;
	bus_charge(&sim->bus, sim->bus.costs.prepare_ns);
	if (sim->mode >= SIM_DMA_IRQ)
		slot_map(sim, slot);
	give_command(sim, slot);
	mutex_unlock(&sim->lock);
}

/* ---- hybrid: spin for as long as an interrupt would cost, then wait for one ---- */

static void begin_spin(struct simdisk *sim) needs(sim->lock)
{
	if (sim->mode != SIM_RING_HYBRID)
		return;
	sim->is_spinning = true;
	sim->spin_until_ns = sim_now(sim) + sim->bus.costs.interrupt_ns + sim->bus.costs.bottom_half_ns;
}

/* What comes before the bit is cleared is seen by the look; what comes behind raises the line. */
static bool end_spin(struct simdisk *sim) needs(sim->lock)
{
	sim->is_spinning = false;
	bus_write(&sim->bus, REG_IRQ_STATUS, IRQ_RING);
	if (sim->is_masked)
		bus_write(&sim->bus, REG_IRQ_MASK, IRQ_RING);
	sim->is_masked = false;
	return ring_reap(sim) != 0;
}

/* ---- halves ---- */

/* x3 */
static void top_half(struct simdisk *sim) needs(sim->lock)
{
	struct bus *bus = &sim->bus;
	uint32_t bits;

	bus_enter_top_half(bus);
	bits = bus_read(bus, REG_IRQ_STATUS);
	bus_write(bus, REG_IRQ_STATUS, bits);
	sim->told_bits |= bits;
	if (sim->mode == SIM_RING_HYBRID) {
		bus_write(bus, REG_IRQ_MASK, 0);
		sim->is_masked = true;
	}
	bus_leave_top_half(bus);
}

static void bottom_half(struct simdisk *sim) needs(sim->lock)
{
	sim->told_bits = 0;
	counter_add(&sim->bus.stats.bottom_halves, 1);
	bus_charge(&sim->bus, sim->bus.costs.bottom_half_ns);
	if (sim_uses_rings(sim))
		ring_reap(sim);
	else
		taskfile_step(sim);
	begin_spin(sim);
}

/* True when something was found, or the driver goes over to interrupts. */
static bool poll_once(struct simdisk *sim) needs(sim->lock)
{
	if (!sim_uses_rings(sim)) {
		counter_add(&sim->bus.stats.polls, 1);
		return taskfile_step(sim);
	}
	if (ring_reap(sim)) {
		begin_spin(sim);
		return true;
	}
	if (sim->is_spinning && sim_now(sim) >= sim->spin_until_ns) {
		end_spin(sim);
		return true;
	}
	return false;
}

/* ---- time-outs ---- */

static void setup_device(struct simdisk *sim) needs(sim->lock)
{
	sim->told_bits = 0;
	sim->is_spinning = sim->is_masked = false;
	if (sim_uses_rings(sim))
		ring_setup(sim);
	if (mode_has_interrupts(sim))
		bus_write(&sim->bus, REG_IRQ_MASK, IRQ_DONE | IRQ_DRQ | IRQ_RING);
}

static void reset_device(struct simdisk *sim) needs(sim->lock)
{
	const struct timespec pause = {.tv_nsec = (long)NSEC_PER_MSEC};

	counter_add(&sim->bus.stats.resets, 1);
	bus_write(&sim->bus, REG_COMMAND, OPCODE_RESET);
	/* In real time data may still be moving; in virtual time nothing runs beside us. */
	while (bus_read(&sim->bus, REG_STATUS) & STATUS_BUSY)
		nanosleep(&pause, NULL);
	setup_device(sim);
}

static void give_all_again(struct simdisk *sim) needs(sim->lock)
{
	struct list again = LIST_INIT(again);

	list_splice_tail(&again, &sim->in_flight);
	while (!list_empty(&again)) {
		struct slot *slot = list_first(&again, struct slot, link);

		if (slot->tries < SIM_TRIES_MAX)
			give_command(sim, slot);
		else
			slot_failed(sim, slot);
	}
	if (sim_uses_rings(sim))
		ring_doorbell(sim);
}

static bool is_timed_out(const struct simdisk *sim) needs(sim->lock)
{
	return sim->nr_in_flight &&
	       list_first(&sim->in_flight, struct slot, link)->deadline_ns <= sim_now(sim);
}

static void recover(struct simdisk *sim) needs(sim->lock)
{
	bool was_there;

	counter_add(&sim->bus.stats.timeouts, 1);
	/* The bits first: what completes behind this raises the line again. */
	bus_write(&sim->bus, REG_IRQ_STATUS, IRQ_DONE | IRQ_DRQ | IRQ_RING);
	was_there = sim_uses_rings(sim) ? ring_reap(sim) != 0 : taskfile_step(sim);
	if (was_there)
		counter_add(&sim->bus.stats.lost_interrupts, 1);
	if (!is_timed_out(sim))
		return;
	reset_device(sim);
	give_all_again(sim);
	begin_spin(sim);
}

/* ---- serving ---- */

static void complete_done(struct simdisk *sim)
{
	for (uint32_t i = 0; i < sim->nr_done; i++)
		disk_complete(sim->done[i].rq, sim->done[i].status);
}

/* One round; false when there was nothing to do. One thread at a time. */
static bool serve_once(struct simdisk *sim)
{
	bool did_something = false;

	mutex_lock(&sim->lock);
	sim->nr_done = 0;
	if (bus_line_is_high(&sim->bus)) {
		top_half(sim);
		did_something = true;
	}
	if (sim->told_bits) {
		bottom_half(sim);
		did_something = true;
	} else if (is_polling(sim)) {
		did_something |= poll_once(sim);
	}
	if (is_timed_out(sim)) {
		recover(sim);
		did_something = true;
	}
	mutex_unlock(&sim->lock);
	complete_done(sim);
	return did_something;
}

static uint64_t driver_next_ns(struct simdisk *sim)
{
	uint64_t next = DEVICE_NEVER;

	mutex_lock(&sim->lock);
	if (sim->nr_in_flight)
		next = list_first(&sim->in_flight, struct slot, link)->deadline_ns;
	if (is_polling(sim) && sim->is_spinning)
		next = min(next, sim->spin_until_ns);
	mutex_unlock(&sim->lock);
	return next;
}

/* ---- virtual time ---- */

static void poll_until(struct simdisk *sim, uint64_t ns)
{
	bool has_rings = sim_uses_rings(sim);
	uint64_t cost_ns = has_rings ? sim->bus.costs.ring_look_ns : sim->bus.costs.reg_read_ns;
	uint64_t nr = div_round_up(ns, max(cost_ns, 1ull));

	counter_add(&sim->bus.stats.polls, nr);
	if (!has_rings)
		counter_add(&sim->bus.stats.reg_reads, nr);
	bus_charge(&sim->bus, max(nr * cost_ns, ns));
}

static void pass_time(struct simdisk *sim, uint64_t until_ns)
{
	uint64_t at_ns = sim_now(sim);

	if (until_ns <= at_ns)
		return;
	if (is_polling(sim))
		poll_until(sim, until_ns - at_ns);
	else
		clock_advance(sim->clock, until_ns - at_ns);
}

bool simdisk_step(struct simdisk *sim, uint64_t until_ns)
{
	uint64_t next;

	must(sim->drive != SIM_REAL);
	device_run(sim->device);
	if (sim_now(sim) < until_ns && serve_once(sim))
		return true;
	next = min(device_next_ns(sim->device), driver_next_ns(sim));
	if (next >= until_ns) {
		if (until_ns != UINT64_MAX)
			pass_time(sim, until_ns);
		return false;
	}
	pass_time(sim, next);
	return true;
}

void simdisk_run(struct simdisk *sim)
{
	while (simdisk_step(sim, UINT64_MAX))
		;
}

static void sim_commit(void *driver)
{
	struct simdisk *sim = driver;

	mutex_lock(&sim->lock);
	if (sim_uses_rings(sim))
		ring_doorbell(sim);
	begin_spin(sim);
	mutex_unlock(&sim->lock);
	if (sim->drive == SIM_INLINE)
		simdisk_run(sim);
	else if (sim->drive == SIM_REAL)
		bus_kick(&sim->bus);	/* it may have to poll, or to watch the time */
}

/* ---- real time ---- */

static uint64_t wait_ms(struct simdisk *sim)
{
	uint64_t next = driver_next_ns(sim), at_ns = sim_now(sim);

	if (next <= at_ns)
		return 1;
	return min((next - at_ns) / NSEC_PER_MSEC + 1, IDLE_WAIT_MS);
}

static bool must_look_again(struct simdisk *sim)
{
	bool is;

	mutex_lock(&sim->lock);
	is = is_polling(sim);
	mutex_unlock(&sim->lock);
	return is;
}

static void driver_main(void *arg)
{
	struct simdisk *sim = arg;

	while (!atomic_load(&sim->is_stopping)) {
		if (serve_once(sim))
			continue;
		if (must_look_again(sim))
			sched_yield();
		else
			bus_wait(&sim->bus, wait_ms(sim));
	}
}

/* ---- opening and closing ---- */

static void sim_close(void *driver)
{
	struct simdisk *sim = driver;

	atomic_store(&sim->is_stopping, true);
	if (sim->thread)
		bus_kick(&sim->bus);
	thread_join(sim->thread);
	device_destroy(sim->device);
	ring_destroy(sim);
	mem_free(sim->descriptors);
	mem_free(sim->done);
	mem_free(sim->slots);
	mem_free(sim->name);
	if (sim->bus.windows)
		bus_done(&sim->bus);
	if (sim->owns_clock)
		clock_destroy(sim->clock);
	if (sim->owns_media)
		disk_close(sim->media);
	mutex_done(&sim->lock);
	mem_free(sim);
}

static const struct disk_ops sim_ops = {
	.name = "sim",
	.start = sim_start,
	.commit = sim_commit,
	.close = sim_close,
};

static struct disk_limits limits_of(const struct simdisk *sim, uint64_t size_bytes)
{
	const struct disk_limits *below = sim->media ? disk_limits(sim->media) : NULL;

	return (struct disk_limits){
		.size_bytes = size_bytes,
		.block_bytes = below ? below->block_bytes : SECTOR_SIZE,
		.request_bytes_max = SIM_REQUEST_BYTES_MAX,
		.vecs_max = SIM_VECS_MAX,
		.depth = sim->depth,
		.is_read_only = below && below->is_read_only,
		.has_fua = true,
		.has_discard = !below || below->has_discard,
	};
}

static int init_clock(struct simdisk *sim, struct clock *clock)
{
	sim->clock = clock;
	if (clock)
		return clock_is_virtual(clock) == (sim->drive != SIM_REAL) ? 0 : -EINVAL;
	if (sim->drive != SIM_REAL)
		return -EINVAL;
	sim->owns_clock = true;
	sim->clock = clock_create_real();
	return sim->clock ? 0 : -ENOMEM;
}

static int init_memory(struct simdisk *sim)
{
	size_t nr = (size_t)sim->depth * SIM_VECS_MAX;

	sim->slots = mem_zalloc(sim->depth * sizeof(*sim->slots));
	sim->done = mem_zalloc(sim->depth * sizeof(*sim->done));
	sim->descriptors = mem_zalloc(nr * sizeof(*sim->descriptors));
	if (!sim->slots || !sim->done || !sim->descriptors)
		return -ENOMEM;
	for (uint32_t i = 0; i < sim->depth; i++)
		list_init(&sim->slots[i].link);
	return window_map(sim->bus.windows, sim->descriptors,
			  (uint32_t)(nr * sizeof(*sim->descriptors)), WINDOW_DEVICE_READS,
			  &sim->descriptors_at);
}

static int init_hardware(struct simdisk *sim, const struct sim_config *config, uint64_t size_bytes)
{
	const struct device_config device_config = {
		.profile = config->profile,
		.media = sim->media,
		.size_bytes = size_bytes,
		.transfer_bytes_max = SIM_REQUEST_BYTES_MAX,
		.faults = config->faults,
	};
	/* One for each piece of memory, the descriptors, and the two rings. */
	int err = bus_init(&sim->bus, sim->clock, config->costs ? config->costs : &sim_costs_default,
			   sim->depth * SIM_VECS_MAX + 3);

	if (!err)
		err = device_create(&sim->bus, &device_config, &sim->device);
	if (!err)
		err = init_memory(sim);
	if (!err && sim_uses_rings(sim))
		err = ring_create(sim);
	return err;
}

static int start_threads(struct simdisk *sim)
{
	int err = device_start_thread(sim->device);

	if (err)
		return err;
	sim->thread = thread_create("sim-driver", driver_main, sim);
	return sim->thread ? 0 : -EAGAIN;
}

static int init(struct simdisk *sim, const struct sim_config *sim_config,
		const struct disk_config *config, uint64_t size_bytes)
{
	int err = init_clock(sim, config->clock);

	if (!err)
		err = init_hardware(sim, sim_config, size_bytes);
	if (err)
		return err;
	sim->name = mem_strdup(config->name ? config->name : sim_ops.name);
	if (!sim->name)
		return -ENOMEM;
	mutex_lock(&sim->lock);
	setup_device(sim);
	mutex_unlock(&sim->lock);
	return sim->drive == SIM_REAL ? start_threads(sim) : 0;
}

static struct simdisk *create(const struct sim_config *config)
{
	struct simdisk *sim = mem_zalloc(sizeof(*sim));

	if (!sim)
		return NULL;
	sim->mode = config->mode;
	sim->drive = config->drive;
	sim->owns_media = config->owns_media;
	sim->timeout_ns =
		(config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT) * NSEC_PER_MSEC;
	sim->coalesce_count = max(config->coalesce_count, 1u);
	sim->coalesce_us = config->coalesce_us;
	sim->depth = sim_uses_rings(sim) ? config->profile->depth : 1;
	mutex_init(&sim->lock, RANK_DRIVER, "sim driver");
	list_init(&sim->in_flight);
	return sim;
}

int simdisk_open(struct disk *media, const struct sim_config *sim_config,
		 const struct disk_config *config, struct disk **ret_disk, struct simdisk **ret_sim,
		 char *why, size_t why_size)
{
	uint64_t size_bytes = media ? disk_limits(media)->size_bytes : sim_config->size_bytes;
	struct simdisk *sim = create(sim_config);
	struct disk_limits limits;
	int err = -ENOMEM;

	if (sim) {
		sim->media = media;
		err = init(sim, sim_config, config, size_bytes);
	}
	if (!err) {
		limits = limits_of(sim, size_bytes);
		err = disk_open_with(&sim_ops, sim, &limits, config, ret_disk);
	}
	if (err) {
		snprintf(why, why_size, "cannot make the simulated disk: %s",
			 err == -EINVAL ? "its clock and its way to run do not fit"
					: "not enough memory or threads");
		if (sim) {
			sim->owns_media = false;
			sim_close(sim);
		}
		return err;
	}
	if (ret_sim)
		*ret_sim = sim;
	return 0;
}

const struct sim_stats *simdisk_stats(const struct simdisk *sim)
{
	return &sim->bus.stats;
}
