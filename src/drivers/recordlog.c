/*
 * The log of a disk's writes: filled, asked, applied.
 *
 *	tick:      1    2    3    4    5    6    7    8
 *	event:    w0   w1   c0   f    w2   c2   c1   cf        w submitted, c completed, f flush
 *
 *	cut at 7:  nothing must survive: no flush is complete
 *	cut at 8:  the flush vouches for what completed before tick 4: w0 must, w1 and w2 may
 *
 * Which flush vouches for most is the one, among those complete at the cut, that was submitted
 * last; its submission is the cut's durable_before.
 */
#include "drivers/recordlog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"
#include "recordfile.h"
#include "reqmem.h"

#define ROOM_FIRST 256u

struct recordlog {
	bool keeps_records;
	int fd;			/* -1: no file */
	uint64_t disk_bytes;

	struct mutex lock;
	/* [lock] */
	struct record *records;	/* without keeps_records: none */
	uint64_t nr, nr_room;
	uint64_t tick;		/* of the last event */
	uint64_t epoch;
	int error;
};

/* The first error is the one to tell. */
static void note_error(struct recordlog *log, int err) needs(log->lock)
{
	log->error = first_error(log->error, err);
}

/* Filling. */

static int record_append(struct recordlog *log, const struct record *record) needs(log->lock)
{
	uint64_t nr_room = log->nr_room ? 2 * log->nr_room : ROOM_FIRST;
	struct record *records;

	if (log->nr == log->nr_room) {
		records = mem_realloc(log->records, nr_room * sizeof(*records));
		if (!records)
			return -ENOMEM;
		log->records = records;
		log->nr_room = nr_room;
	}
	log->records[log->nr] = *record;
	return 0;
}

/* A new record, its data given over. Returns its number, or RECORD_LOST. */
static uint64_t add_record(struct recordlog *log, struct record *record, uint32_t payload_bytes)
	needs(log->lock)
{
	uint64_t number = RECORD_LOST;
	int err = log->error;	/* behind a hole nothing is kept: it could only mislead */

	record->submitted = ++log->tick;
	record->completed = RECORD_NEVER;
	record->epoch = log->epoch;
	if (!err && log->fd >= 0)
		err = recordfile_put_record(log->fd, log->nr, record, payload_bytes);
	if (!err && log->keeps_records)
		err = record_append(log, record);
	if (!err)
		number = log->nr++;
	else
		note_error(log, err);
	return number;
}

static uint64_t add_and_give(struct recordlog *log, struct record *record, uint32_t payload_bytes)
{
	uint64_t number;

	mutex_lock(&log->lock);
	number = add_record(log, record, payload_bytes);
	mutex_unlock(&log->lock);
	if (number == RECORD_LOST || !log->keeps_records)
		mem_free(record->data);
	return number;
}

static uint64_t lose(struct recordlog *log)
{
	mutex_lock(&log->lock);
	note_error(log, -ENOMEM);
	mutex_unlock(&log->lock);
	return RECORD_LOST;
}

static enum record_kind kind_of(enum bio_op op)
{
	switch (op) {
	case BIO_FLUSH:
		return RECORD_FLUSH;
	case BIO_DISCARD:
		return RECORD_DISCARD;
	default:
		return RECORD_WRITE;
	}
}

uint64_t recordlog_submit(struct recordlog *log, const struct request *rq)
{
	struct record record = {
		.kind = kind_of(rq->op),
		.flags = rq->flags,
		.sector = rq->sector,
		.size_bytes = rq->size_bytes,
	};

	must(rq->op != BIO_READ);
	if (record.kind != RECORD_WRITE)
		return add_and_give(log, &record, 0);
	record.data = mem_alloc(rq->size_bytes);
	if (!record.data)
		return lose(log);
	request_copy_from(rq, record.data);
	return add_and_give(log, &record, record.size_bytes);
}

static void complete_record(struct recordlog *log, uint64_t number, int status) needs(log->lock)
{
	struct record *record = log->keeps_records ? &log->records[number] : NULL;

	log->tick++;
	if (log->fd >= 0 && !log->error)
		note_error(log, recordfile_put_complete(log->fd, number, status));
	if (!record)
		return;
	record->completed = log->tick;
	record->status = status;
	if (record->kind == RECORD_FLUSH && status == 0)
		log->epoch++;
}

void recordlog_complete(struct recordlog *log, uint64_t number, int status)
{
	if (number == RECORD_LOST)
		return;
	mutex_lock(&log->lock);
	must(number < log->nr);
	complete_record(log, number, status);
	mutex_unlock(&log->lock);
}

uint64_t recordlog_mark(struct recordlog *log, const char *text)
{
	struct record record = {.kind = RECORD_MARK, .data = mem_strdup(text)};

	if (!record.data)
		return lose(log);
	ignore(add_and_give(log, &record, (uint32_t)strlen(text)), "a loss is told by recordlog_error()");
	return record.submitted;
}

void recordlog_begin(struct recordlog *log, uint64_t disk_bytes, uint32_t block_bytes)
{
	mutex_lock(&log->lock);
	must(log->nr == 0);
	log->disk_bytes = disk_bytes;
	if (log->fd >= 0)
		note_error(log, recordfile_put_header(log->fd, disk_bytes, block_bytes));
	mutex_unlock(&log->lock);
}

/* Making and loading. */

static struct recordlog *log_alloc(bool keeps_records)
{
	struct recordlog *log = mem_zalloc(sizeof(*log));

	if (!log)
		return NULL;
	log->keeps_records = keeps_records;
	log->fd = -1;
	mutex_init(&log->lock, RANK_DRIVER, "recordlog");
	return log;
}

static int no_memory(char *why, size_t why_size)
{
	snprintf(why, why_size, "no memory for the record of writes");
	return -ENOMEM;
}

int recordlog_create(const struct recordlog_config *config, struct recordlog **ret_log, char *why,
		     size_t why_size)
{
	struct recordlog *log = log_alloc(config->keeps_records);
	int err;

	if (!log)
		return no_memory(why, why_size);
	if (config->path) {
		err = recordfile_create(config->path, &log->fd, why, why_size);
		if (err) {
			recordlog_destroy(log);
			return err;
		}
	}
	*ret_log = log;
	return 0;
}

/* An event from a file: the same that was added when it was recorded. */
static int replay_event(void *arg, const struct recordfile_event *event)
{
	struct recordlog *log = arg;
	struct record record = event->record;
	int err = 0;

	mutex_lock(&log->lock);
	if (event->is_completion) {
		if (event->number < log->nr && log->records[event->number].completed == RECORD_NEVER)
			complete_record(log, event->number, event->status);
		else
			err = -EUCLEAN;
	} else if (event->number != log->nr) {
		err = -EUCLEAN;
	} else if (add_record(log, &record, 0) == RECORD_LOST) {
		err = log->error;
	}
	mutex_unlock(&log->lock);
	return err;
}

int recordlog_load(const char *path, struct recordlog **ret_log, bool *ret_is_cut, char *why,
		   size_t why_size)
{
	struct recordlog *log = log_alloc(true);
	int err;

	if (!log)
		return no_memory(why, why_size);
	err = recordfile_load(path, &log->disk_bytes, replay_event, log, ret_is_cut, why, why_size);
	if (err) {
		recordlog_destroy(log);
		return err;
	}
	*ret_log = log;
	return 0;
}

void recordlog_destroy(struct recordlog *log)
{
	if (!log)
		return;
	if (log->fd >= 0)
		close(log->fd);
	for (uint64_t i = 0; i < log->nr && log->keeps_records; i++)
		mem_free(log->records[i].data);
	mem_free(log->records);
	mutex_done(&log->lock);
	mem_free(log);
}

/* Asking. */

int recordlog_error(const struct recordlog *log)
{
	return log->error;
}

uint64_t recordlog_disk_bytes(const struct recordlog *log)
{
	return log->disk_bytes;
}

uint64_t recordlog_last_tick(const struct recordlog *log)
{
	return log->tick;
}

uint64_t recordlog_count(const struct recordlog *log)
{
	return log->keeps_records ? log->nr : 0;
}

const struct record *recordlog_get(const struct recordlog *log, uint64_t number)
{
	must(number < recordlog_count(log));
	return &log->records[number];
}

struct record_cut recordlog_cut(const struct recordlog *log, uint64_t tick)
{
	struct record_cut cut = {.tick = tick, .durable_before = 0};

	for (uint64_t i = 0; i < recordlog_count(log); i++) {
		const struct record *r = &log->records[i];

		if (r->kind == RECORD_FLUSH && r->completed <= tick && r->status == 0)
			cut.durable_before = max(cut.durable_before, r->submitted);
	}
	return cut;
}

enum record_fate record_fate(const struct record *record, const struct record_cut *cut)
{
	if (record->submitted > cut->tick)
		return RECORD_CANNOT_SURVIVE;
	if (record->completed > cut->tick || record->status)
		return RECORD_MAY_SURVIVE;
	if (record->completed < cut->durable_before)
		return RECORD_MUST_SURVIVE;
	return record->flags & BIO_FUA ? RECORD_MUST_SURVIVE : RECORD_MAY_SURVIVE;
}

static int apply_discard(const struct record *record, struct disk *disk)
{
	struct bio bio;

	bio_init(&bio, disk, BIO_DISCARD, 0, record->sector, 0);
	bio.size_bytes = record->size_bytes;
	return bio_submit_wait(&bio);
}

int record_apply(const struct record *record, struct disk *disk, uint32_t first, uint32_t sectors)
{
	uint32_t nr = record->size_bytes >> SECTOR_SHIFT;

	if (record->kind == RECORD_DISCARD)
		return apply_discard(record, disk);
	if (record->kind != RECORD_WRITE || first >= nr)
		return 0;
	nr = min(sectors, nr - first);
	if (nr == 0)
		return 0;
	return disk_write(disk, (record->sector + first) << SECTOR_SHIFT,
			  (const char *)record->data + ((size_t)first << SECTOR_SHIFT), nr << SECTOR_SHIFT, 0);
}
