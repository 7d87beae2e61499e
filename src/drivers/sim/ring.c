/*
 * Commands in memory: a ring of submissions, a ring of completions, two doorbells.
 *
 *	            tail (driver; the doorbell tells it)
 *	submissions [ . . c c c . . . ]
 *	                head (device)
 *
 *	            tail (device; the phase tells it)
 *	completions [ 2 2 2 1 1 1 1 1 ]      phase 2: second round
 *	              head (driver; the doorbell tells it)
 *
 * Putting a command costs memory only; one doorbell announces all that were put. A completion is there
 * when its phase is that of the round: no register needs to be read. An id is the tag and the
 * slot's generation, so that a completion that comes twice, or for nobody, hits nothing (x2).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "driver.h"

#define TAG_BITS 16

static uint32_t id_of(const struct simdisk *sim, const struct slot *slot)
{
	return slot->generation << TAG_BITS | slot_tag(sim, slot);
}

int ring_create(struct simdisk *sim)
{
	struct windows *ws = sim->bus.windows;
	int err;

	/* Twice the depth: every command may end twice before the ring is full. */
	sim->ring_size = 2u << (log2_floor(sim->depth) + !is_power_of_2(sim->depth));
	sim->submissions = mem_zalloc(sim->ring_size * sizeof(*sim->submissions));
	sim->completions = mem_zalloc(sim->ring_size * sizeof(*sim->completions));
	if (!sim->submissions || !sim->completions)
		return -ENOMEM;
	err = window_map(ws, sim->submissions, (uint32_t)(sim->ring_size * sizeof(*sim->submissions)),
			 WINDOW_DEVICE_READS, &sim->submissions_at);
	if (err)
		return err;
	return window_map(ws, sim->completions, (uint32_t)(sim->ring_size * sizeof(*sim->completions)),
			  WINDOW_DEVICE_WRITES, &sim->completions_at);
}

/* The device is gone; the windows go with the bus. */
void ring_destroy(struct simdisk *sim)
{
	mem_free(sim->submissions);
	mem_free(sim->completions);
}

void ring_setup(struct simdisk *sim)
{
	struct bus *bus = &sim->bus;

	sim->sq_tail = sim->sq_rung = sim->cq_head = 0;
	for (uint32_t i = 0; i < sim->ring_size; i++)
		reg_store(&sim->completions[i].words[COMPLETION_PHASE], 0);
	bus_write64(bus, REG_SQ_LOW, sim->submissions_at);
	bus_write64(bus, REG_CQ_LOW, sim->completions_at);
	bus_write(bus, REG_COALESCE_COUNT, sim->coalesce_count);
	bus_write(bus, REG_COALESCE_US, sim->coalesce_us);
	bus_write(bus, REG_RING_SIZE, sim->ring_size);
}

void ring_put(struct simdisk *sim, struct slot *slot)
{
	const struct request *rq = slot->rq;

	slot->generation = (slot->generation + 1) & ((1u << TAG_BITS) - 1);
	sim->submissions[sim->sq_tail++ & (sim->ring_size - 1)] = (struct sim_submission){
		.opcode = opcode_of(rq, true),
		.id = id_of(sim, slot),
		.lba = rq->sector,
		.size_bytes = rq->size_bytes,
		.nr_descriptors = slot->nr_descriptors,
		.descriptors = sim->descriptors_at +
			       slot_tag(sim, slot) * SIM_VECS_MAX * sizeof(struct sim_descriptor),
	};
}

void ring_doorbell(struct simdisk *sim)
{
	if (sim->sq_rung == sim->sq_tail)
		return;
	sim->sq_rung = sim->sq_tail;
	counter_add(&sim->bus.stats.doorbells, 1);
	bus_write(&sim->bus, REG_SQ_TAIL, sim->sq_tail);
}

static void take_completion(struct simdisk *sim, uint32_t id, enum sim_error error) needs(sim->lock)
{
	uint32_t tag = id & ((1u << TAG_BITS) - 1);
	struct slot *slot = tag < sim->depth ? &sim->slots[tag] : NULL;

	if (slot && slot->rq && id_of(sim, slot) == id) {
		slot_done(sim, slot, error);
		return;
	}
	counter_add(&sim->bus.stats.unknown_tags, 1);
	log_error_limited("%s: a completion for command %#x, which is not under way", sim->name, id);
}

uint32_t ring_reap(struct simdisk *sim)
{
	uint32_t nr = 0;

	for (;;) {
		struct sim_completion *c = &sim->completions[sim->cq_head & (sim->ring_size - 1)];
		uint32_t phase = reg_load(&c->words[COMPLETION_PHASE]);

		counter_add(&sim->bus.stats.polls, 1);
		bus_charge(&sim->bus, sim->bus.costs.ring_look_ns);
		if (phase != completion_phase(sim->cq_head, sim->ring_size))
			break;
		sim->cq_head++;
		nr++;
		take_completion(sim, reg_load(&c->words[COMPLETION_ID]),
				reg_load(&c->words[COMPLETION_ERROR]));
	}
	if (nr)
		bus_write(&sim->bus, REG_CQ_HEAD, sim->cq_head);
	return nr;
}
