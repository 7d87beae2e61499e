/*
 * The trace ring: the last few thousand events of all threads.
 *
 * A writer draws a number from one counter and fills the record at that number modulo the
 * ring's size. Nobody waits for anybody:
 *
 *	      next
 *	       v
 *	[ 4094 | 4095 | 0 | 1 | 2 | ... ]	oldest is at next, newest at next - 1
 *
 * Two writers that are a whole ring apart may mix their fields, and a reader may see a record
 * half old, half new. Each field is an atomic of its own, so the answer is stale, never torn within
 * a field, and the event is always a string literal. It stands apart from log.c because
 * must() and so every lock rests on it, while the log's sink rests on a lock.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <time.h>

#include "base/log.h"

#define NR_RECORDS 4096u	/* a power of two */

struct record {
	const char *_Atomic event;
	_Atomic uint64_t time_ms, a, b;
};

static struct record ring[NR_RECORDS];
static _Atomic uint64_t nr_written;

/* The kernel's coarse clock: a few ms fine; the order of records tells the rest. */
static uint64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void trace(const char *event, uint64_t a, uint64_t b)
{
	uint64_t n = atomic_fetch_add_explicit(&nr_written, 1, memory_order_relaxed);
	struct record *r = &ring[n % NR_RECORDS];

	atomic_store_explicit(&r->event, event, memory_order_relaxed);
	atomic_store_explicit(&r->time_ms, coarse_ms(), memory_order_relaxed);
	atomic_store_explicit(&r->a, a, memory_order_relaxed);
	atomic_store_explicit(&r->b, b, memory_order_relaxed);
}

void trace_dump(FILE *to, unsigned last)
{
	uint64_t end = atomic_load_explicit(&nr_written, memory_order_relaxed);
	uint64_t kept = min(end, (uint64_t)NR_RECORDS);
	uint64_t count = min(kept, (uint64_t)last);

	for (uint64_t n = end - count; n != end; n++) {
		const struct record *r = &ring[n % NR_RECORDS];
		const char *event = atomic_load_explicit(&r->event, memory_order_relaxed);
		uint64_t ms = atomic_load_explicit(&r->time_ms, memory_order_relaxed);

		if (!event)
			continue;	/* its writer drew a number and has not written yet */
		fprintf(to, "trace %" PRIu64 ".%03u %s %" PRIu64 " %" PRIu64 "\n", ms / 1000,
			(unsigned)(ms % 1000), event,
			(uint64_t)atomic_load_explicit(&r->a, memory_order_relaxed),
			(uint64_t)atomic_load_explicit(&r->b, memory_order_relaxed));
	}
}
