/*
 * Counters lose nothing between threads. A histogram's answers lie within an eighth of the sorted
 * samples', at every size of value.
 */
#include "base/stats.h"

#include <stdlib.h>

#include "base/lock.h"
#include "base/rand.h"
#include "harness/runner.h"

#define NR_THREADS 4
#define NR_ADDS 20000
#define NR_SAMPLES 2000u

static counter_t counter;
static struct histogram shared;

static void add_many(void *arg maybe_unused)
{
	for (unsigned i = 0; i < NR_ADDS; i++) {
		counter_add(&counter, 2);
		histogram_add(&shared, i);
	}
}

START_TEST(threads_lose_no_count)
{
	struct thread *threads[NR_THREADS];

	histogram_init(&shared);
	for (unsigned i = 0; i < NR_THREADS; i++)
		threads[i] = thread_create("count", add_many, NULL);
	for (unsigned i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(counter_get(&counter), 2 * NR_THREADS * NR_ADDS);
	ck_assert_uint_eq(counter_get(&shared.count), NR_THREADS * NR_ADDS);
	ck_assert_uint_eq(histogram_mean(&shared), (NR_ADDS - 1) / 2);
}
END_TEST

START_TEST(an_empty_histogram_answers_zero)
{
	struct histogram h;

	histogram_init(&h);
	ck_assert_uint_eq(histogram_mean(&h), 0);
	ck_assert_uint_eq(histogram_quantile(&h, 500), 0);
	ck_assert_uint_eq(histogram_max(&h), 0);
}
END_TEST

static void assert_near(uint64_t answer, uint64_t exact)
{
	uint64_t off = answer > exact ? answer - exact : exact - answer;

	ck_assert_msg(off <= exact / 8, "%llu is not near %llu", (unsigned long long)answer,
		      (unsigned long long)exact);
}

START_TEST(any_value_is_known_to_an_eighth)
{
	struct histogram h;

	for (unsigned shift = 0; shift < 64; shift++) {
		for (uint64_t v = (1ull << shift) - 1; v != (1ull << shift) + 2; v++) {
			histogram_init(&h);
			histogram_add(&h, v);
			assert_near(histogram_max(&h), v);
			assert_near(histogram_quantile(&h, 1), v);
		}
	}
	histogram_init(&h);
	histogram_add(&h, UINT64_MAX);
	assert_near(histogram_max(&h), UINT64_MAX);
}
END_TEST

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(quantiles_agree_with_sorting)
{
	static uint64_t samples[NR_SAMPLES];
	struct histogram h;
	struct rand r;
	uint64_t sum = 0;

	rand_init(&r, test_seed());
	histogram_init(&h);
	for (unsigned i = 0; i < NR_SAMPLES; i++) {
		samples[i] = rand_u64(&r) >> (20 + rand_below(&r, 40));
		sum += samples[i];
		histogram_add(&h, samples[i]);
	}
	qsort(samples, NR_SAMPLES, sizeof(samples[0]), compare);
	for (unsigned permille = 1; permille <= 1000; permille++)
		assert_near(histogram_quantile(&h, permille),
			    samples[div_round_up(NR_SAMPLES * permille, 1000) - 1]);
	ck_assert_uint_eq(histogram_mean(&h), sum / NR_SAMPLES);
}
END_TEST

TEST_SUITE(base_stats)
{
	tcase_add_test(tc, threads_lose_no_count);
	tcase_add_test(tc, an_empty_histogram_answers_zero);
	tcase_add_test(tc, any_value_is_known_to_an_eighth);
	tcase_add_test(tc, quantiles_agree_with_sorting);
}
