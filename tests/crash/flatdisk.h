/*
 * crash/flatdisk.h - an image in one piece of memory that can be put back as it was.
 *
 * Purpose     The laboratory makes thousands of states of one small image a second. This disk
 *             remembers what each write replaced, so going back costs what was changed, and it
 *             keeps a hash of its content that costs the same.
 * Ownership   flat_create() makes it, flat_destroy() ends it; flat->disk is lent.
 * Locking     One thread. The disk is inline.
 * Units       Sectors of 512 bytes.
 */
#ifndef CRASH_FLATDISK_H
#define CRASH_FLATDISK_H

#include "base/rand.h"
#include "block/disk.h"
#include "drivers/recordlog.h"

struct flat_undo {
	uint32_t sector;
	uint8_t old[SECTOR_SIZE];
};

/* What a mount did to the disk, for a second crash inside it. */
struct flat_event {
	bool is_flush;		/* what comes before is durable */
	bool is_fua;
	uint32_t sector, count;	/* of a write */
	size_t data_at;		/* in trace_data */
};

/* What a discarded sector holds. */
#define FLAT_DISCARDED 0xd1

/* Requests that were begun and are not over. */
#define FLAT_LATE_MAX 24u

struct flat {
	struct disk *disk;
	uint8_t *bytes;
	uint64_t size_bytes;
	uint64_t hash;		/* of the whole content */
	uint64_t hash_home;	/* of what lies outside the log */
	uint8_t *is_log;	/* a byte a sector */
	uint64_t *sums;		/* a hash a sector, as it counts in `hash` */

	struct flat_undo *undo;
	size_t nr_undo, undo_max;

	/* Completions in an order of its own: flat_shuffle(). */
	struct recordlog *log;
	struct rand rand;
	struct flat_late {
		struct request *rq;
		uint64_t number;	/* in the log */
	} late[FLAT_LATE_MAX];
	uint32_t nr_late;

	bool is_tracing;
	struct flat_event *events;
	size_t nr_events, events_max;
	uint8_t *trace_data;
	size_t trace_bytes, trace_max;
};

struct flat *flat_create(uint64_t size_bytes);
void flat_destroy(struct flat *f);
/* The whole content anew; what was to be undone is forgotten. */
void flat_load(struct flat *f, const uint8_t *bytes);
/* Sectors that hold the log: hash_home leaves them out. Before flat_load(). */
void flat_set_log(struct flat *f, uint32_t first, uint32_t count);
void flat_write(struct flat *f, uint32_t sector, uint32_t count, const uint8_t *bytes);
/* Where flat_rewind() comes back to. */
size_t flat_mark(const struct flat *f);
void flat_rewind(struct flat *f, size_t mark);
/* The changes so far stay. */
void flat_keep(struct flat *f);
void flat_trace(struct flat *f, bool on);
/*
 * From now on writes, discards and flushes end when somebody has to wait, and one of them by chance,
 * as a disk with a queue of its own does; recorded in the log. NULL: as they come again.
 */
void flat_shuffle(struct flat *f, struct recordlog *log, uint64_t seed);

#endif
