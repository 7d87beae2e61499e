/*
 * harness/runner.h - Check suites that register themselves, one closing line.
 *
 * Purpose     A test file says TEST_SUITE(name) { tcase_add_test(...)... } and is found by the
 *             runner without a central list. The runner forks per test, prints nothing for what
 *             passes, and closes with "N passed, N failed, N skipped".
 * Ownership   The runner owns the suites.
 * Locking     None: registration happens before main().
 *
 * Use:
 *	START_TEST(list_add_puts_first) { ck_assert_int_eq(...); } END_TEST
 *	TEST_SUITE(base_list)
 *	{
 *		tcase_add_test(tc, list_add_puts_first);
 *	}
 *
 * Options of every test binary: [-l] list suites, [-s SUITE] run one, [-S SEED] the seed that
 * test_seed() returns (else from the clock), [-n] do not fork (for a debugger).
 * A seed that was used is printed when a test failed.
 */
#ifndef HARNESS_RUNNER_H
#define HARNESS_RUNNER_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

struct test_suite {
	const char *name;
	void (*fill)(TCase *tc);
	struct test_suite *next;
};

void test_suite_register(struct test_suite *suite);

/* The seed of this run, the same in every test of it. */
uint64_t test_seed(void);

/* Says why this test cannot run here; counted as skipped, and as failed when CI=true. Does not return. */
void test_skip(const char *why) __attribute__((noreturn));

/*
 * Runs fn in a process of its own and returns the signal that ended it, 0 when it came back. What
 * it wrote to standard error stands in text, cut to size. For must() and other sudden ends.
 */
int test_run_to_death(void (*fn)(void), char *text, size_t size);

#define TEST_SUITE(suite_name)                                                           \
	static void suite_name##_fill(TCase *tc);                                        \
	static struct test_suite suite_name##_suite = {#suite_name, suite_name##_fill, NULL}; \
	__attribute__((constructor)) static void suite_name##_register(void)             \
	{                                                                                \
		test_suite_register(&suite_name##_suite);                                \
	}                                                                                \
	static void suite_name##_fill(TCase *tc)

#endif
