/*
 * The scalar helpers agree with their definitions at the edges of 64 bits, and macro arguments
 * are evaluated once.
 */
#include "base/types.h"

#include <errno.h>

#include "harness/runner.h"

START_TEST(powers_and_logarithms)
{
	ck_assert(!is_power_of_2(0));
	for (unsigned i = 0; i < 64; i++) {
		uint64_t p = 1ull << i;

		ck_assert(is_power_of_2(p));
		ck_assert_uint_eq(log2_floor(p), i);
		ck_assert_uint_eq(log2_floor(p | (p - 1)), i);
		ck_assert(i < 2 || !is_power_of_2(p | 1));
	}
}
END_TEST

START_TEST(rounding_meets_multiples)
{
	for (unsigned n = 0; n < 200; n++) {
		for (unsigned d = 1; d < 20; d++) {
			ck_assert_uint_eq(round_down(n, d) % d, 0);
			ck_assert_uint_eq(round_up(n, d) % d, 0);
			ck_assert(round_down(n, d) <= n && n < round_down(n, d) + d);
			ck_assert(n <= round_up(n, d) && round_up(n, d) < n + d);
			ck_assert_uint_eq(div_round_up(n, d), round_up(n, d) / d);
		}
	}
}
END_TEST

START_TEST(min_and_max_ask_once)
{
	int asked = 0;

	ck_assert_int_eq(min(++asked, 5), 1);
	ck_assert_int_eq(max(5, ++asked), 5);
	ck_assert_int_eq(asked, 2);
}
END_TEST

START_TEST(the_first_error_is_told)
{
	ck_assert_int_eq(first_error(-EIO, -ENOSPC), -EIO);
	ck_assert_int_eq(first_error(0, -ENOSPC), -ENOSPC);
	ck_assert_int_eq(first_error(-EIO, 0), -EIO);
	ck_assert_int_eq(first_error(0, 0), 0);
}
END_TEST

struct outer {
	int before;
	int inner;
};

START_TEST(container_of_finds_the_outer_object)
{
	struct outer o;

	ck_assert_ptr_eq(container_of(&o.inner, struct outer, inner), &o);
	ck_assert_ptr_eq(container_of(&o.before, struct outer, before), &o);
}
END_TEST

TEST_SUITE(base_types)
{
	tcase_add_test(tc, powers_and_logarithms);
	tcase_add_test(tc, rounding_meets_multiples);
	tcase_add_test(tc, min_and_max_ask_once);
	tcase_add_test(tc, the_first_error_is_told);
	tcase_add_test(tc, container_of_finds_the_outer_object);
}
