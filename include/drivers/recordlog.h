/*
 * drivers/recordlog.h - what was written to a disk, in which order, and what of it had to survive.
 *
 * Purpose     A recorddisk fills it; the crash laboratory asks it which writes a power cut at a
 *             given moment must, may or cannot have left, and puts them on another disk. It lives in
 *             memory, in a file that tools load later, or in both.
 * Ownership   The creator's; it outlives the recorddisk.
 * Locking     Any thread adds (RANK_DRIVER). Records are looked at when nobody adds any more.
 * Invariants  g1  every submission, completion and mark is an event and has a tick; ticks count up
 *                 from 1 in the order of the events.
 *             g2  a submission's tick is before the disk below saw it, a completion's after that disk
 *                 said yes and before the submitter heard of it: what a submitter may rely on
 *                 follows from the ticks.
 * Units       tick: events.
 * Errors      A log that could not grow, or not be written, has a hole and must not be used:
 *             recordlog_error(). I/O goes on.
 * Sources     DESIGN.md 6, the fault model.
 *
 * The file, all integers little-endian:
 *
 *	struct recordlog_file_header
 *	events, each a struct recordlog_file_event and payload_bytes of payload
 *
 * An event's tick is its ordinal number. A SUBMIT event begins record `number` (0, 1, ...), with the
 * data of a write as payload; a MARK is a record too, its payload is the text without end; a
 * COMPLETE event ends record `number`. Both checksums are CRC-32 (zlib). A file that ends within
 * an event, as after kill -9, is good up to there.
 */
#ifndef DRIVERS_RECORDLOG_H
#define DRIVERS_RECORDLOG_H

#include "base/endian.h"
#include "block/disk.h"

enum record_kind { RECORD_WRITE = 1, RECORD_FLUSH = 2, RECORD_DISCARD = 3, RECORD_MARK = 4 };

#define RECORD_NEVER UINT64_MAX		/* the tick of what did not happen */
#define RECORD_LOST UINT64_MAX		/* the number of a record that was not kept */

struct record {
	enum record_kind kind;
	uint32_t flags;		/* enum bio_flags; BIO_FUA: durable when completed */
	sector_t sector;
	uint32_t size_bytes;
	void *data;		/* of a write: its bytes; of a mark: the text, with end */
	uint64_t submitted;	/* tick */
	uint64_t completed;	/* tick; RECORD_NEVER while it is under way */
	uint64_t epoch;		/* flushes that had succeeded when it was submitted */
	int status;		/* once completed */
};

struct recordlog_config {
	const char *path;	/* a file that must not exist; NULL: none */
	bool keeps_records;	/* in memory */
};

struct recordlog;

int recordlog_create(const struct recordlog_config *config, struct recordlog **ret_log, char *why,
		     size_t why_size) must_check;
/* Loads a file. What an unfinished or damaged event ends is in the log up to there (is_cut). */
int recordlog_load(const char *path, struct recordlog **ret_log, bool *ret_is_cut, char *why,
		   size_t why_size) must_check;
void recordlog_destroy(struct recordlog *log);	/* NULL is harmless */

/* Filling it. */
/* Which disk it is of; once, before the first record. */
void recordlog_begin(struct recordlog *log, uint64_t disk_bytes, uint32_t block_bytes);
/* The number of the new record; its data is copied from the request. */
uint64_t recordlog_submit(struct recordlog *log, const struct request *rq);
void recordlog_complete(struct recordlog *log, uint64_t number, int status);
/* The workload's own words, between its I/O. Returns the tick; RECORD_LOST without memory. */
uint64_t recordlog_mark(struct recordlog *log, const char *text);

/* Asking it. */
int recordlog_error(const struct recordlog *log);	/* 0, or why it has a hole */
uint64_t recordlog_disk_bytes(const struct recordlog *log);
uint64_t recordlog_last_tick(const struct recordlog *log);
uint64_t recordlog_count(const struct recordlog *log);
const struct record *recordlog_get(const struct recordlog *log, uint64_t number);

enum record_fate {
	RECORD_CANNOT_SURVIVE,	/* it was not submitted yet */
	RECORD_MAY_SURVIVE,	/* all, none, or any of its sectors */
	RECORD_MUST_SURVIVE,
};

/* A power cut behind event `tick`: writes that completed before durable_before must be there. */
struct record_cut {
	uint64_t tick, durable_before;
};

struct record_cut recordlog_cut(const struct recordlog *log, uint64_t tick);
enum record_fate record_fate(const struct record *record, const struct record_cut *cut);
/*
 * Does the write or discard to another disk; of a write only `sectors` sectors from `first` on, cut to
 * what it has (a torn write). Flushes and marks do nothing.
 */
int record_apply(const struct record *record, struct disk *disk, uint32_t first, uint32_t sectors) must_check;

#define RECORDLOG_MAGIC "extrecl1"
struct recordlog_file_header {
	/* 0x00 */ char magic[8];
	/* 0x08 */ le64_t disk_bytes;
	/* 0x10 */ le32_t block_bytes;
	/* 0x14 */ le32_t crc;		/* of the 20 bytes before */
};

#define RECORDLOG_EVENT_COMPLETE 16u	/* other kinds of events: enum record_kind */
struct recordlog_file_event {
	/* 0x00 */ le32_t kind;
	/* 0x04 */ le32_t flags;
	/* 0x08 */ le64_t number;
	/* 0x10 */ le64_t sector;
	/* 0x18 */ le32_t size_bytes;
	/* 0x1c */ le32_t error;	/* COMPLETE: 0 or errno, positive */
	/* 0x20 */ le32_t payload_bytes;
	/* 0x24 */ le32_t payload_crc;
	/* 0x28 */ le32_t crc;		/* of the 40 bytes before */
	/* 0x2c */ le32_t pad;
};

#endif
