/*
 * lab/load.h - one measured run of I/O on a simulated disk without content.
 *
 * Purpose     Keeps so many bios under way, or sends them at times, and measures what they met.
 * Units       Times in microseconds as doubles, once they are results.
 */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include "base/rand.h"
#include "block/elevator.h"
#include "drivers/simdisk.h"

struct load_io {
	enum bio_op op;
	sector_t sector;
	uint32_t size_bytes;
};

struct load {
	struct sim_config sim;			/* SIM_STEPPED is set */
	const struct elevator_ops *elevator;	/* NULL: fifo_elevator */
	uint32_t nr_ios;
	/* Closed: a new bio when one ended; this many at once, handed in by batches under a plug. */
	uint32_t nr_outstanding;
	uint32_t batch;				/* 0: one by one, without a plug */
	/* Open: a bio every gap_ns on average, whatever became of those before; 0: closed. */
	uint64_t gap_ns;
	/* The i-th I/O. */
	void (*next)(void *arg, struct rand *r, uint32_t i, struct load_io *io);
	void *arg;
	uint64_t seed;
};

struct load_result {
	double mean_us, worst_us,
		spread_us; /* from handing in to the end; spread: standard deviation */
	uint32_t nr_starved;			/* waited for more than ten times the mean */
	uint64_t elapsed_ns;
	/* counts of this run */
	uint64_t reg_accesses, doorbells, interrupts, polls, copied_bytes, dma_bytes, cpu_ns, seeks,
		 travel, requests, merges;
};

int load_run(const struct load *load, struct load_result *ret) must_check;

/* Ready-made: 4 KiB reads anywhere on *(uint64_t *)arg bytes. */
void load_random_reads(void *arg, struct rand *r, uint32_t i, struct load_io *io);

#endif
