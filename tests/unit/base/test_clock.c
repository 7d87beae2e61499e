/*
 * A real clock goes forward and agrees with the system's; a virtual one moves only when told, and
 * its wall carries seconds correctly.
 */
#include "base/clock.h"

#include <stdlib.h>

#include "harness/runner.h"

START_TEST(real_time_agrees_with_the_system)
{
	struct clock *c = clock_create_real();
	uint64_t before = clock_now_ns(c);
	struct timespec wall = clock_wall(c);
	struct timespec now;

	ck_assert(!clock_is_virtual(c));
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_uint_le(before, (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec);
	ck_assert_uint_ge(clock_now_ns(c), before);
	clock_gettime(CLOCK_REALTIME, &now);
	ck_assert_int_le(llabs((long long)now.tv_sec - wall.tv_sec), 2);
	clock_destroy(c);
}
END_TEST

START_TEST(virtual_time_moves_when_told)
{
	struct clock *c = clock_create_virtual((struct timespec){100, 999999999});

	ck_assert(clock_is_virtual(c));
	ck_assert_uint_eq(clock_now_ns(c), 0);
	ck_assert_int_eq(clock_wall(c).tv_sec, 100);
	ck_assert_int_eq(clock_wall(c).tv_nsec, 999999999);
	clock_advance(c, 1);
	ck_assert_uint_eq(clock_now_ns(c), 1);
	ck_assert_int_eq(clock_wall(c).tv_sec, 101);
	ck_assert_int_eq(clock_wall(c).tv_nsec, 0);
	clock_advance(c, 5 * NSEC_PER_SEC + 7);
	ck_assert_int_eq(clock_wall(c).tv_sec, 106);
	ck_assert_int_eq(clock_wall(c).tv_nsec, 7);
	clock_destroy(c);
}
END_TEST

START_TEST(walls_before_1970_carry_too)
{
	struct clock *c = clock_create_virtual((struct timespec){-2, 500000000});

	clock_advance(c, NSEC_PER_SEC / 2);
	ck_assert_int_eq(clock_wall(c).tv_sec, -1);
	ck_assert_int_eq(clock_wall(c).tv_nsec, 0);
	clock_destroy(c);
}
END_TEST

TEST_SUITE(base_clock)
{
	tcase_add_test(tc, real_time_agrees_with_the_system);
	tcase_add_test(tc, virtual_time_moves_when_told);
	tcase_add_test(tc, walls_before_1970_carry_too);
}
