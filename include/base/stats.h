/*
 * base/stats.h - counters and histograms that cost next to nothing.
 *
 * Purpose     What each room's reader would ask: how many, how long, how spread.
 * Ownership   Members of the instance they describe.
 * Locking     Relaxed atomics; a reader may see counters a moment apart.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdatomic.h>

#include "base/types.h"

typedef _Atomic uint64_t counter_t;

static inline void counter_add(counter_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t counter_get(const counter_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* Values by powers of two, each split in four: relative error below 1/8. */
#define HISTOGRAM_BUCKETS 256
struct histogram {
	counter_t count, sum;
	counter_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
uint64_t histogram_mean(const struct histogram *h);
/* The value that `permille` of a thousand samples do not exceed. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);
uint64_t histogram_max(const struct histogram *h);

#endif
