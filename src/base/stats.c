/*
 * Histograms.
 *
 * Values 0 to 3 have a bucket each; from 4 on, each power of two has four:
 *
 *	value   0 1 2 3 | 4 5 6 7 | 8-9 10-11 12-13 14-15 | 16-19 ...
 *	bucket  0 1 2 3 | 4 5 6 7 | 8   9     10    11    | 12
 *
 * A bucket stands for its middle, at most an eighth away from any value in it.
 */
#include "base/stats.h"

#include "base/assert.h"

static unsigned bucket_of(uint64_t value)
{
	unsigned power;

	if (value < 4)
		return (unsigned)value;
	power = log2_floor(value);
	return (power - 1) * 4 + (unsigned)(value >> (power - 2) & 3);
}

static uint64_t middle_of(unsigned bucket)
{
	unsigned shift;

	if (bucket < 8)
		return bucket;
	shift = bucket / 4 - 1;	/* a bucket is 2^shift values wide */
	return ((4ull + bucket % 4) << shift) + (1ull << shift) / 2;
}

void histogram_init(struct histogram *h)
{
	atomic_init(&h->count, 0);
	atomic_init(&h->sum, 0);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		atomic_init(&h->buckets[i], 0);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	counter_add(&h->count, 1);
	counter_add(&h->sum, value);
	counter_add(&h->buckets[bucket_of(value)], 1);
}

uint64_t histogram_mean(const struct histogram *h)
{
	uint64_t count = counter_get(&h->count);

	return count ? counter_get(&h->sum) / count : 0;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t total = 0;
	uint64_t wanted, seen = 0;
	unsigned i;

	must(permille <= 1000);
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += counter_get(&h->buckets[i]);
	if (total == 0)
		return 0;
	wanted = max((uint64_t)1, div_round_up(total * permille, 1000));
	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += counter_get(&h->buckets[i]);
		if (seen >= wanted)
			break;
	}
	return middle_of(i);
}

uint64_t histogram_max(const struct histogram *h)
{
	return histogram_quantile(h, 1000);
}
