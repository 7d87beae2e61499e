/*
 * drivers/sim/driver.h - the driver's side: requests under way, and the two ways to command.
 *
 * Purpose     What simdisk.c (the disk), taskfile.c (commands in registers) and ring.c (commands in
 *             memory) share.
 * Ownership   simdisk.c makes and destroys it. A slot belongs to the request with its tag.
 * Locking     sim->lock (RANK_DRIVER), held by every function here; never over disk_complete().
 * Invariants  x1  Memory of a request is mapped from its start to its end, and no longer.
 *             x2  A request is completed once: by the completion that carries its slot's generation.
 *             x3  The top half reads and clears the interrupt's status, and does nothing else.
 */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include "bus.h"
#include "device.h"

#define SIM_REQUEST_BYTES_MAX (1u << 20)
#define SIM_VECS_MAX 256u

struct slot {
	struct request *rq;		/* NULL: nothing is under way here */
	uint32_t generation;		/* of 16 bits, part of a ring command's id */
	uint32_t nr_descriptors;	/* windows open for its memory */
	uint32_t tries;
	uint64_t deadline_ns;
	struct list link;		/* in_flight */
};

struct done {
	struct request *rq;
	int status;
};

struct simdisk {
	/* configuration */
	enum sim_mode mode;
	enum sim_drive drive;
	uint64_t timeout_ns;
	uint32_t coalesce_count, coalesce_us;
	uint32_t depth;
	struct disk *media;
	bool owns_media;
	struct clock *clock;
	bool owns_clock;
	char *name;
	struct bus bus;
	struct device *device;

	struct mutex lock;
	/* requests [lock] */
	struct slot *slots;			/* by tag */
	struct list in_flight;			/* oldest first */
	uint32_t nr_in_flight;
	struct done *done;			/* to be completed without the lock [who serves] */
	uint32_t nr_done;
	/* memory that the device reads [mapped while the disk is open] */
	struct sim_descriptor *descriptors;	/* SIM_VECS_MAX a slot */
	bus_addr_t descriptors_at;
	/* registers [lock] */
	uint32_t moved_bytes;			/* of the one request */
	/* rings [lock] */
	struct sim_submission *submissions;
	struct sim_completion *completions;
	bus_addr_t submissions_at, completions_at;
	uint32_t ring_size, sq_tail, sq_rung, cq_head;
	/* interrupts [lock] */
	uint32_t told_bits;			/* the top half saw, the bottom half is to do */
	bool is_masked, is_spinning;		/* hybrid */
	uint64_t spin_until_ns;
	/* the driver's thread */
	struct thread *thread;
	_Atomic bool is_stopping;
};

static inline bool sim_uses_rings(const struct simdisk *sim)
{
	return sim->mode >= SIM_RING_IRQ;
}

static inline uint64_t sim_now(const struct simdisk *sim)
{
	return clock_now_ns(sim->clock);
}

/* slot.c: memory and end of a request */
void slot_map(struct simdisk *sim, struct slot *slot) needs(sim->lock);
void slot_unmap(struct simdisk *sim, struct slot *slot) needs(sim->lock);
/* The device ended it so. Completed when the lock is dropped. */
void slot_done(struct simdisk *sim, struct slot *slot, enum sim_error error) needs(sim->lock);
void slot_failed(struct simdisk *sim, struct slot *slot) needs(sim->lock);
uint32_t slot_tag(const struct simdisk *sim, const struct slot *slot);
uint32_t opcode_of(const struct request *rq, bool is_dma);

/* taskfile.c: one command at a time */
void taskfile_start(struct simdisk *sim, struct slot *slot) needs(sim->lock);
/* Looks at the status and does what it asks for. False: the device is busy. */
bool taskfile_step(struct simdisk *sim) needs(sim->lock);

/* ring.c */
int ring_create(struct simdisk *sim) must_check;
void ring_destroy(struct simdisk *sim);
void ring_setup(struct simdisk *sim) needs(sim->lock);		/* the device begins with empty rings */
void ring_put(struct simdisk *sim, struct slot *slot) needs(sim->lock);
void ring_doorbell(struct simdisk *sim) needs(sim->lock);	/* once for all that was put */
uint32_t ring_reap(struct simdisk *sim) needs(sim->lock);	/* how many completions were there */

#endif
