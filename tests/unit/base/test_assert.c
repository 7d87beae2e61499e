/*
 * must() says file, line and condition, shows what happened last and stops the process; a
 * condition that holds does nothing. must_debug() never evaluates its condition in a release build.
 */
#include "base/assert.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "harness/runner.h"

static void break_a_promise(void)
{
	int apples = 1;

	trace("test.before", 11, 22);
	must(apples == 2);
}

START_TEST(failing_tells_where_what_and_the_trace_and_aborts)
{
	char text[4096];

	ck_assert_int_eq(test_run_to_death(break_a_promise, text, sizeof(text)), SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "test_assert.c:"));
	ck_assert_ptr_nonnull(strstr(text, "apples == 2"));
	ck_assert_ptr_nonnull(strstr(text, "test.before 11 22"));
}
END_TEST

static void keep_a_promise(void)
{
	must(1 + 1 == 2);
}

START_TEST(holding_is_silent)
{
	char text[256];

	ck_assert_int_eq(test_run_to_death(keep_a_promise, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(debug_condition_runs_in_debug_builds_only)
{
	int nr_asked = 0;

	must_debug(++nr_asked);
#ifdef EXTANT_DEBUG
	ck_assert_int_eq(nr_asked, 1);
#else
	ck_assert_int_eq(nr_asked, 0);
#endif
}
END_TEST

TEST_SUITE(base_assert)
{
	tcase_add_test(tc, failing_tells_where_what_and_the_trace_and_aborts);
	tcase_add_test(tc, holding_is_silent);
	tcase_add_test(tc, debug_condition_runs_in_debug_builds_only);
}
