/*
 * unit/block/fakedisk.h - a disk in memory that remembers what was done to it.
 *
 * Purpose     A driver for tests: it keeps what is written in a volatile cache, knows which
 *             sectors a flush made durable, logs each request, checks that the queue keeps its
 *             side of disk_ops, and can be stuck or fail.
 * Ownership   The test's; it outlives the disk, so that it can be looked at afterwards.
 * Locking     One lock (RANK_DRIVER). Any thread.
 */
#ifndef UNIT_BLOCK_FAKEDISK_H
#define UNIT_BLOCK_FAKEDISK_H

#include "base/lock.h"
#include "base/rand.h"
#include "block/disk.h"

enum fake_style {
	FAKE_EXECUTE,		/* blocking */
	FAKE_THREADS,		/* start(); two threads complete in random order */
	FAKE_AT_ONCE,		/* start() completes before it returns */
	FAKE_NR_STYLES,
};

struct fake_config {
	enum fake_style style;
	struct disk_limits limits;
	uint64_t seed;
	bool is_stuck;		/* requests begin, and end only after fake_unstick() */
	uint32_t delay_us;	/* at most, random */
};

struct fake_event {
	enum bio_op op;
	uint32_t flags;
	sector_t sector;
	uint32_t size_bytes;
};

struct fake;

/* 1 MiB, 512-byte blocks, 64 KiB and 32 pieces a request, depth 8, no FUA. */
struct fake_config fake_defaults(enum fake_style style, uint64_t seed);
struct fake *fake_open(const struct fake_config *fake_config, const struct disk_config *config,
		       struct disk **ret_disk);
void fake_destroy(struct fake *fake);		/* after disk_close() */

void fake_stick(struct fake *fake);
void fake_unstick(struct fake *fake);
/* The nth request of this kind from now (1 is the next) fails with err. */
void fake_fail(struct fake *fake, enum bio_op op, uint32_t nth, int err);
/* What was begun, in that order; a copy of the first max. */
size_t fake_events(struct fake *fake, struct fake_event *ret_events, size_t max);
void fake_forget_events(struct fake *fake);
size_t fake_nr_begun(struct fake *fake);
bool fake_is_closed(const struct fake *fake);
/* Content now, and content that a power cut would leave. */
void fake_content(struct fake *fake, uint64_t offset_bytes, void *to, size_t len);
void fake_durable(struct fake *fake, uint64_t offset_bytes, void *to, size_t len);

#endif
