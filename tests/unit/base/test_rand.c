/*
 * The same seed gives the same numbers, other seeds give others; draws below a bound stay below it
 * and reach all values about equally often; fills are a prefix of each other.
 */
#include "base/rand.h"

#include <string.h>

#include "harness/runner.h"

START_TEST(a_seed_is_a_sequence)
{
	struct rand a, b, c;
	unsigned nr_same = 0;

	rand_init(&a, 42);
	rand_init(&b, 42);
	rand_init(&c, 43);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t v = rand_u64(&a);

		ck_assert_uint_eq(v, rand_u64(&b));
		nr_same += v == rand_u64(&c);
	}
	ck_assert_uint_eq(nr_same, 0);
}
END_TEST

/* xoshiro256** by its definition from state {1, 2, 3, 4}: worked out by hand for two steps. */
START_TEST(the_algorithm_is_what_it_says)
{
	struct rand r = {{1, 2, 3, 4}};

	ck_assert_uint_eq(rand_u64(&r), 11520);	/* rotl(2 * 5, 7) * 9 */
	ck_assert_uint_eq(rand_u64(&r), 0);	/* s1 is 1 ^ 2 ^ 3 = 0 */
}
END_TEST

START_TEST(draws_are_below_and_even)
{
	unsigned seen[7] = {0};
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned i = 0; i < 70000; i++) {
		uint64_t v = rand_below(&r, 7);

		ck_assert_uint_lt(v, 7);
		seen[v]++;
	}
	/* The deviation of a count is about 93; ten of them never happen. */
	for (unsigned i = 0; i < 7; i++)
		ck_assert(seen[i] > 9000 && seen[i] < 11000);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(rand_below(&r, 1), 0);
		ck_assert_uint_lt(rand_below(&r, (1ull << 63) + 1), (1ull << 63) + 1);
	}
}
END_TEST

START_TEST(one_in_n_comes_about_so_often)
{
	unsigned nr_yes = 0;
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned i = 0; i < 100000; i++)
		nr_yes += rand_one_in(&r, 10);
	ck_assert(nr_yes > 9000 && nr_yes < 11000);
	ck_assert(rand_one_in(&r, 1));
}
END_TEST

START_TEST(a_fill_writes_its_length_only)
{
	uint8_t all[64], part[64];
	struct rand r;

	rand_init(&r, 7);
	rand_fill(&r, all, sizeof(all));
	for (size_t len = 0; len <= sizeof(part); len++) {
		memset(part, 0xee, sizeof(part));
		rand_init(&r, 7);
		rand_fill(&r, part, len);
		ck_assert_mem_eq(part, all, len);
		for (size_t i = len; i < sizeof(part); i++)
			ck_assert_uint_eq(part[i], 0xee);
	}
}
END_TEST

TEST_SUITE(base_rand)
{
	tcase_add_test(tc, a_seed_is_a_sequence);
	tcase_add_test(tc, the_algorithm_is_what_it_says);
	tcase_add_test(tc, draws_are_below_and_even);
	tcase_add_test(tc, one_in_n_comes_about_so_often);
	tcase_add_test(tc, a_fill_writes_its_length_only);
}
