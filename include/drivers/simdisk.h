/*
 * drivers/simdisk.h - a simulated disk controller, and the driver for it.
 *
 * Purpose     A disk that is as slow as a real one, driven the way real ones are: by programmed
 *             I/O, by DMA, by rings; told of the end by polling, by interrupts, or by both. Content
 *             lies on another disk below, or nowhere when only time is of interest.
 * Ownership   The media below stays the caller's, unless owns_media. struct simdisk lives as long as
 *             the disk.
 * Locking     Any thread, as for every disk. simdisk_step() and _run(): one thread at a time.
 * Invariants  In virtual time with one submitting thread, everything - order, times, counts - is
 *             the same on every run.
 * Units       Nanoseconds; cylinders for travel.
 * Errors      -EIO: the device reported an error, touched memory outside its windows, or did not
 *             answer after SIM_TRIES_MAX tries.
 * Sources     drivers/SIM.md.
 */
#ifndef DRIVERS_SIMDISK_H
#define DRIVERS_SIMDISK_H

#include "block/disk.h"

/* How the driver moves data and learns of the end. */
enum sim_mode {
	SIM_PIO_POLL,		/* the CPU moves each word, and asks until there is one to move */
	SIM_PIO_IRQ,		/* the CPU moves each word, when an interrupt says that it can */
	SIM_DMA_IRQ,		/* the device moves the data; one command at a time */
	SIM_RING_IRQ,		/* commands and completions lie in rings in memory; many at a time */
	SIM_RING_POLL,		/* the driver looks into the completion ring until something is there */
	SIM_RING_HYBRID,	/* looks for as long as an interrupt would cost, then waits for one */
	SIM_NR_MODES,
};
#define SIM_MODE_NAMES "pio-poll|pio-irq|dma-irq|ring-irq|ring-poll|ring-hybrid"

/* What a device is like. A disk with nr_cylinders 0 gets as many as its media fills. */
struct sim_profile {
	const char *name;
	/* moving parts; revolution_ns 0: it has none */
	uint64_t revolution_ns;
	uint32_t sectors_per_track;	/* one head: a cylinder is one track */
	uint64_t seek_track_ns;		/* to the next cylinder, settled */
	uint64_t seek_full_ns;		/* from edge to edge */
	/* none: time until the first byte */
	uint64_t read_ns, write_ns;
	uint64_t bytes_per_ms;		/* of the link to the host; shared by all commands */
	/* all */
	uint64_t command_ns;		/* the controller's own work */
	uint64_t flush_ns;
	uint32_t nr_channels;		/* commands that are carried out at once */
	uint32_t depth;			/* commands that rings hold */
	bool picks_nearest;		/* among those it holds, as drives with NCQ do */
};

/* NULL: there is none of this name. */
const struct sim_profile *sim_profile_find(const char *name) must_check;
const struct sim_profile *sim_profile_at(size_t index) must_check;	/* NULL behind the last */
#define SIM_PROFILE_NAMES "hdd5400|hdd7200|ssd|nvme"
const char *sim_mode_name(enum sim_mode mode);

/* What the CPU pays. In virtual time the clock moves by it; in real time it is only counted. */
struct sim_costs {
	uint64_t reg_read_ns;		/* a load across the bus stalls until the answer is here */
	uint64_t reg_write_ns;		/* a store is posted */
	uint64_t ring_look_ns;		/* a completion entry in memory, mostly in the cache */
	uint64_t interrupt_ns;		/* entry, top half's dispatch, exit, caches gone cold */
	uint64_t bottom_half_ns;	/* the scheduler brings a thread onto the CPU */
	uint64_t prepare_ns;		/* a command is made up, its memory mapped */
	uint64_t finish_ns; /* a completed command is told to its owner, its memory unmapped */
	uint64_t copy_ps_per_byte;
};
extern const struct sim_costs sim_costs_default;

/* A device that is not well, for tests: every n-th time; 0 is never. */
struct sim_faults {
	uint32_t lose_interrupt;	/* the line stays low */
	uint32_t unknown_tag;		/* an extra completion for a command that nobody gave */
	uint32_t no_answer;		/* the command is forgotten */
};

enum sim_drive {
	SIM_REAL,	/* real time: the device has a thread, the driver has one */
	SIM_INLINE,	/* virtual: who submits runs the device until nothing is under way */
	SIM_STEPPED,	/* virtual: runs only in simdisk_step() and simdisk_run() */
};

#define SIM_TRIES_MAX 3u

struct sim_config {
	const struct sim_profile *profile;
	enum sim_mode mode;
	enum sim_drive drive;
	uint64_t size_bytes;		/* without media; else the media's */
	bool owns_media;		/* disk_close() closes the media too */
	uint32_t coalesce_count;	/* completions an interrupt; 0 and 1: each */
	uint32_t coalesce_us;		/* no completion waits longer for its interrupt */
	uint64_t timeout_ms;		/* 0: 30 s */
	const struct sim_costs *costs;	/* NULL: sim_costs_default */
	struct sim_faults faults;
};

struct sim_stats {
	/* the driver's side */
	counter_t reg_reads, reg_writes, doorbells;
	counter_t polls;		/* looks that found nothing, or something */
	counter_t interrupts, bottom_halves;
	counter_t copied_bytes;		/* by the CPU */
	counter_t maps;			/* memory windows opened */
	counter_t cpu_ns;		/* by the costs */
	counter_t timeouts;		/* a request's time was over: */
	counter_t lost_interrupts;	/* it was done, but nobody had told */
	counter_t resets;		/* it was not */
	counter_t unknown_tags;		/* completions that belong to nothing */
	/* the device's side */
	counter_t commands, dma_bytes;
	counter_t seeks, travel;	/* cylinders */
	counter_t busy_ns;		/* commands in service, summed over channels */
	counter_t faults;		/* transfers outside the windows */
};

struct simdisk;

/*
 * Over media; NULL: nothing is stored, reads bring zeros. With SIM_REAL config->clock is NULL or
 * real, else it must be virtual. ret_sim may be NULL. On failure `why` holds a sentence.
 */
int simdisk_open(struct disk *media, const struct sim_config *sim_config,
		 const struct disk_config *config, struct disk **ret_disk, struct simdisk **ret_sim,
		 char *why, size_t why_size) must_check;
const struct sim_stats *simdisk_stats(const struct simdisk *sim);

/*
 * SIM_STEPPED: does the next thing, moving the clock to it, unless that lies behind until_ns: then
 * the clock stands at until_ns at least, and false comes back. UINT64_MAX: false when idle.
 */
bool simdisk_step(struct simdisk *sim, uint64_t until_ns);
void simdisk_run(struct simdisk *sim);		/* until nothing is under way */

#endif
