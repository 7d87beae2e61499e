/*
 * Every search and fill agrees with one that goes bit by bit, for any alignment, any edges, and
 * maps from empty to full; none touches a byte outside of the range (guard bytes; asan sees reads).
 */
#include "base/bitmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "harness/runner.h"

#define NR_BITS_MAX 700u
#define NR_ROUNDS 3000

static uint64_t slow_find(const uint8_t *map, uint64_t from, uint64_t end, bool value)
{
	while (from < end && bitmap_test(map, from) != value)
		from++;
	return from < end ? from : end;
}

static uint64_t slow_find_run(const uint8_t *map, uint64_t from, uint64_t end, uint64_t count)
{
	for (; from < end && end - from >= count; from++)
		if (slow_find(map, from, from + count, true) == from + count)
			return from;
	return end;
}

static uint64_t slow_count(const uint8_t *map, uint64_t from, uint64_t end)
{
	uint64_t n = 0;

	for (; from < end; from++)
		n += bitmap_test(map, from);
	return n;
}

/* Stretches of ones and zeros whose mean length is drawn too, so that words come full and mixed. */
static void fill_randomly(struct rand *r, uint8_t *map, uint64_t nr_bits)
{
	uint32_t mean = 1 + (uint32_t)rand_below(r, 100);
	bool value = rand_one_in(r, 2);

	for (uint64_t i = 0; i < nr_bits; i++) {
		if (rand_one_in(r, mean))
			value = !value;
		if (value)
			bitmap_set(map, i);
		else
			bitmap_clear(map, i);
	}
}

START_TEST(bit_n_is_bit_n_mod_8_of_byte_n_div_8)
{
	uint8_t map[3] = {0, 0, 0};

	bitmap_set(map, 0);
	bitmap_set(map, 9);
	bitmap_set(map, 23);
	ck_assert_mem_eq(map, ((uint8_t[]){0x01, 0x02, 0x80}), 3);
	ck_assert(bitmap_test(map, 9) && !bitmap_test(map, 8));
	bitmap_clear(map, 9);
	ck_assert_mem_eq(map, ((uint8_t[]){0x01, 0x00, 0x80}), 3);
}
END_TEST

START_TEST(searches_agree_with_bit_by_bit)
{
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		uint64_t nr_bits = 1 + rand_below(&r, NR_BITS_MAX);
		uint64_t skew = rand_below(&r, 8);	/* alignment of the map */
		uint64_t end = 1 + rand_below(&r, nr_bits);
		uint64_t from = rand_below(&r, end + 1);
		uint64_t count = 1 + rand_below(&r, rand_one_in(&r, 2) ? 8 : 200);
		uint8_t *memory = malloc(skew + (nr_bits + 7) / 8);
		uint8_t *map = memory + skew;

		memset(map, 0, (nr_bits + 7) / 8);
		fill_randomly(&r, map, nr_bits);
		ck_assert_uint_eq(bitmap_find_set(map, from, end), slow_find(map, from, end, true));
		ck_assert_uint_eq(bitmap_find_clear(map, from, end), slow_find(map, from, end, false));
		ck_assert_uint_eq(bitmap_run_set(map, from, end), slow_find(map, from, end, false) - from);
		ck_assert_uint_eq(bitmap_run_clear(map, from, end), slow_find(map, from, end, true) - from);
		ck_assert_uint_eq(bitmap_count_set(map, from, end), slow_count(map, from, end));
		ck_assert_uint_eq(bitmap_find_clear_run(map, from, end, count),
				  slow_find_run(map, from, end, count));
		free(memory);
	}
}
END_TEST

START_TEST(an_empty_range_finds_nothing)
{
	uint8_t map[1] = {0x55};

	ck_assert_uint_eq(bitmap_find_set(map, 3, 3), 3);
	ck_assert_uint_eq(bitmap_find_clear(map, 5, 2), 2);
	ck_assert_uint_eq(bitmap_run_set(map, 2, 2), 0);
	ck_assert_uint_eq(bitmap_run_clear(map, 5, 2), 0);
	ck_assert_uint_eq(bitmap_count_set(map, 4, 4), 0);
	ck_assert_uint_eq(bitmap_find_clear_run(map, 3, 3, 1), 3);
}
END_TEST

START_TEST(fills_change_their_range_only)
{
	uint8_t map[40], expected[40];
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		uint64_t from = rand_below(&r, 8 * sizeof(map));
		uint64_t count = rand_below(&r, 8 * sizeof(map) - from + 1);
		bool sets = rand_one_in(&r, 2);

		rand_fill(&r, map, sizeof(map));
		memcpy(expected, map, sizeof(map));
		for (uint64_t i = from; i < from + count; i++)
			(sets ? bitmap_set : bitmap_clear)(expected, i);
		(sets ? bitmap_set_range : bitmap_clear_range)(map, from, count);
		ck_assert_mem_eq(map, expected, sizeof(map));
	}
}
END_TEST

START_TEST(a_fill_to_the_last_bit_stays_inside)
{
	uint8_t *map = calloc(1, 8);	/* asan sees a byte beyond */

	bitmap_set_range(map, 60, 4);
	ck_assert_uint_eq(map[7], 0xf0);
	bitmap_set_range(map, 64, 0);
	bitmap_clear_range(map, 0, 64);
	ck_assert_uint_eq(bitmap_count_set(map, 0, 64), 0);
	free(map);
}
END_TEST

TEST_SUITE(base_bitmap)
{
	tcase_add_test(tc, bit_n_is_bit_n_mod_8_of_byte_n_div_8);
	tcase_add_test(tc, searches_agree_with_bit_by_bit);
	tcase_add_test(tc, an_empty_range_finds_nothing);
	tcase_add_test(tc, fills_change_their_range_only);
	tcase_add_test(tc, a_fill_to_the_last_bit_stays_inside);
}
