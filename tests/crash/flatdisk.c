/* An image in one piece of memory, with undo and a running hash. */
#include "crash/flatdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/lock.h"
#include "crash/need.h"

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ (x >> 32);
}

static uint64_t sum_sector(uint32_t sector, const uint8_t *bytes)
{
	uint64_t lane[4] = {sector + 1, 2, 3, 4};

	for (unsigned i = 0; i < SECTOR_SIZE; i += 32) {
		uint64_t words[4];

		memcpy(words, bytes + i, sizeof(words));
		for (unsigned k = 0; k < 4; k++)
			lane[k] = (lane[k] ^ words[k]) * 0x9e3779b97f4a7c15ull + (lane[k] >> 29);
	}
	return mix(lane[0] ^ mix(lane[1] ^ mix(lane[2] ^ mix(lane[3] + sector))));
}

static void set_sum(struct flat *f, uint32_t sector, uint64_t sum)
{
	f->hash ^= f->sums[sector] ^ sum;
	if (!f->is_log[sector])
		f->hash_home ^= f->sums[sector] ^ sum;
	f->sums[sector] = sum;
}

static void write_sector(struct flat *f, uint32_t sector, const uint8_t *bytes)
{
	uint8_t *at = f->bytes + (size_t)sector * SECTOR_SIZE;
	struct flat_undo *u;

	if (memcmp(at, bytes, SECTOR_SIZE) == 0)
		return;
	if (f->nr_undo == f->undo_max) {
		f->undo_max = f->undo_max ? f->undo_max * 2 : 4096;
		f->undo = need_memory(realloc(f->undo, f->undo_max * sizeof(*f->undo)));
	}
	u = &f->undo[f->nr_undo++];
	u->sector = sector;
	memcpy(u->old, at, SECTOR_SIZE);
	memcpy(at, bytes, SECTOR_SIZE);
	set_sum(f, sector, sum_sector(sector, at));
}

void flat_write(struct flat *f, uint32_t sector, uint32_t count, const uint8_t *bytes)
{
	must(((uint64_t)sector + count) * SECTOR_SIZE <= f->size_bytes);
	for (uint32_t i = 0; i < count; i++)
		write_sector(f, sector + i, bytes + (size_t)i * SECTOR_SIZE);
}

size_t flat_mark(const struct flat *f)
{
	return f->nr_undo;
}

void flat_rewind(struct flat *f, size_t mark)
{
	while (f->nr_undo > mark) {
		const struct flat_undo *u = &f->undo[--f->nr_undo];
		uint8_t *at = f->bytes + (size_t)u->sector * SECTOR_SIZE;

		memcpy(at, u->old, SECTOR_SIZE);
		set_sum(f, u->sector, sum_sector(u->sector, at));
	}
}

void flat_keep(struct flat *f)
{
	f->nr_undo = 0;
}

void flat_trace(struct flat *f, bool on)
{
	f->is_tracing = on;
	if (on)
		f->nr_events = f->trace_bytes = 0;
}

static struct flat_event *new_event(struct flat *f)
{
	if (f->nr_events == f->events_max) {
		f->events_max = f->events_max ? f->events_max * 2 : 256;
		f->events = need_memory(realloc(f->events, f->events_max * sizeof(*f->events)));
	}
	f->events[f->nr_events] = (struct flat_event){0};
	return &f->events[f->nr_events++];
}

static void trace_write(struct flat *f, const struct request *rq, uint64_t start)
{
	struct flat_event *e = new_event(f);

	while (f->trace_bytes + rq->size_bytes > f->trace_max) {
		f->trace_max = f->trace_max ? f->trace_max * 2 : 1u << 20;
		f->trace_data = need_memory(realloc(f->trace_data, f->trace_max));
	}
	e->is_fua = rq->flags & BIO_FUA;
	e->sector = (uint32_t)rq->sector;
	e->count = rq->size_bytes / SECTOR_SIZE;
	e->data_at = f->trace_bytes;
	memcpy(f->trace_data + f->trace_bytes, f->bytes + start, rq->size_bytes);
	f->trace_bytes += rq->size_bytes;
}

/* ---- the driver ---- */

#define IOV_AT_ONCE 256u

static void transfer(struct flat *f, const struct request *rq, uint64_t start)
{
	struct iovec iov[IOV_AT_ONCE];

	for (uint64_t done = 0; done < rq->size_bytes;) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			uint64_t at = start + done;

			if (rq->op == BIO_READ)
				memcpy(iov[i].iov_base, f->bytes + at, iov[i].iov_len);
			else
				flat_write(f, (uint32_t)(at / SECTOR_SIZE), (uint32_t)(iov[i].iov_len / SECTOR_SIZE),
					   iov[i].iov_base);
			done += iov[i].iov_len;
		}
	}
}

/* What a discarded sector holds is anybody's guess: it is made to be known. */
static void discard(struct flat *f, const struct request *rq)
{
	uint8_t gone[SECTOR_SIZE];

	memset(gone, FLAT_DISCARDED, sizeof(gone));
	for (uint32_t i = 0; i < rq->size_bytes / SECTOR_SIZE; i++)
		flat_write(f, (uint32_t)rq->sector + i, 1, gone);
}

static void carry_out(struct flat *f, struct request *rq)
{
	uint64_t start = rq->sector * SECTOR_SIZE;

	if (rq->op == BIO_READ || rq->op == BIO_WRITE)
		transfer(f, rq, start);
	if (rq->op == BIO_DISCARD)
		discard(f, rq);
	if (f->is_tracing && (rq->op == BIO_WRITE || rq->op == BIO_DISCARD))
		trace_write(f, rq, start);
	if (f->is_tracing && rq->op == BIO_FLUSH)
		new_event(f)->is_flush = true;
	disk_complete(rq, 0);
}

/* ---- late completions ---- */

/* Whose requests wait for this thread to wait. */
static _Thread_local struct flat *shuffled;

void flat_shuffle(struct flat *f, struct recordlog *log, uint64_t seed)
{
	need(f->nr_late == 0, "a disk that is at rest");
	f->log = log;
	shuffled = log ? f : NULL;
	rand_init(&f->rand, seed);
	if (log)
		recordlog_begin(log, f->size_bytes, SECTOR_SIZE);
}

static void end_one(struct flat *f)
{
	uint32_t i = (uint32_t)rand_below(&f->rand, f->nr_late);
	struct flat_late late = f->late[i];

	f->late[i] = f->late[--f->nr_late];
	recordlog_complete(f->log, late.number, 0);
	carry_out(f, late.rq);
}

/* Who would sleep lets the disk go on first. His lock is free meanwhile, as it is while he sleeps. */
static bool ended_one_without(struct mutex *m)
{
	if (!shuffled || shuffled->nr_late == 0)
		return false;
	mutex_unlock(m);
	end_one(shuffled);
	mutex_lock(m);
	return true;
}

/* The linker puts these in front of the house's own (Makefile: CRASH_WAITS). */
void __real_cond_wait(struct cond *c, struct mutex *m);
bool __real_cond_wait_ms(struct cond *c, struct mutex *m, uint64_t timeout_ms);
void __real_bit_wait_clear(bitword_t *word, uint32_t bit, uint32_t waiters);
void __wrap_cond_wait(struct cond *c, struct mutex *m);
bool __wrap_cond_wait_ms(struct cond *c, struct mutex *m, uint64_t timeout_ms);
void __wrap_bit_wait_clear(bitword_t *word, uint32_t bit, uint32_t waiters);

void __wrap_cond_wait(struct cond *c, struct mutex *m)
{
	if (!ended_one_without(m))
		__real_cond_wait(c, m);
}

bool __wrap_cond_wait_ms(struct cond *c, struct mutex *m, uint64_t timeout_ms)
{
	return ended_one_without(m) || __real_cond_wait_ms(c, m, timeout_ms);
}

void __wrap_bit_wait_clear(bitword_t *word, uint32_t bit, uint32_t waiters)
{
	while (shuffled && shuffled->nr_late && atomic_load(word) & bit)
		end_one(shuffled);
	__real_bit_wait_clear(word, bit, waiters);
}

static void flat_start(void *driver, struct request *rq)
{
	struct flat *f = driver;

	if (!f->log || rq->op == BIO_READ) {
		carry_out(f, rq);
		return;
	}
	while (f->nr_late == FLAT_LATE_MAX)
		end_one(f);
	f->late[f->nr_late++] = (struct flat_late){rq, recordlog_submit(f->log, rq)};
}

static void flat_close(void *driver)
{
	(void)driver;
}

static const struct disk_ops flat_ops = {
	.name = "flat",
	.start = flat_start,
	.close = flat_close,
};

struct flat *flat_create(uint64_t size_bytes)
{
	struct disk_config config = {.name = "crash state", .is_inline = true};
	struct disk_limits limits = {
		.size_bytes = size_bytes,
		.block_bytes = SECTOR_SIZE,
		.request_bytes_max = 1u << 20,
		.vecs_max = UINT32_MAX,
		.depth = FLAT_LATE_MAX,
		.has_fua = true,
		.has_discard = true,
	};
	struct flat *f = need_memory(calloc(1, sizeof(*f)));

	f->size_bytes = size_bytes;
	f->bytes = need_memory(calloc(1, size_bytes));
	f->is_log = need_memory(calloc(size_bytes / SECTOR_SIZE, 1));
	f->sums = need_memory(calloc(size_bytes / SECTOR_SIZE, sizeof(f->sums[0])));
	if (disk_open_with(&flat_ops, f, &limits, &config, &f->disk))
		need(false, "a disk in memory");
	return f;
}

void flat_destroy(struct flat *f)
{
	disk_close(f->disk);
	free(f->bytes);
	free(f->is_log);
	free(f->sums);
	free(f->undo);
	free(f->events);
	free(f->trace_data);
	free(f);
}

void flat_set_log(struct flat *f, uint32_t first, uint32_t count)
{
	memset(f->is_log + first, 1, count);
}

void flat_load(struct flat *f, const uint8_t *bytes)
{
	f->nr_undo = 0;
	f->hash = f->hash_home = 0;
	memcpy(f->bytes, bytes, f->size_bytes);
	memset(f->sums, 0, f->size_bytes / SECTOR_SIZE * sizeof(f->sums[0]));
	for (uint32_t s = 0; s < f->size_bytes / SECTOR_SIZE; s++)
		set_sum(f, s, sum_sector(s, f->bytes + (size_t)s * SECTOR_SIZE));
}
