/*
 * Runs the registered Check suites, each test in a process of its own.
 *
 * A skipped test leaves with status 0, which Check counts as passed; it counts itself in a page
 * shared with the children, and the closing line takes it off again. One suite is one SRunner, so
 * that the totals of several suites add up here.
 */
#include "harness/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	unsigned nr_skipped;
};

static struct test_suite *suites;
static struct shared *shared;
static uint64_t seed;

void test_suite_register(struct test_suite *suite)
{
	struct test_suite **at = &suites;

	while (*at && strcmp((*at)->name, suite->name) < 0)
		at = &(*at)->next;
	suite->next = *at;
	*at = suite;
}

uint64_t test_seed(void)
{
	return seed;
}

void test_skip(const char *why)
{
	const char *ci = getenv("CI");

	if (ci && strcmp(ci, "true") == 0) {
		fprintf(stderr, "a test that must run in CI cannot: %s\n", why);
		_exit(1);
	}
	fprintf(stderr, "skipped: %s\n", why);
	__atomic_fetch_add(&shared->nr_skipped, 1, __ATOMIC_RELAXED);
	_exit(0);
}

static size_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	char rest[512];
	ssize_t n;

	while ((n = read(fd, rest, sizeof(rest))) > 0) {
		size_t fits = (size_t)n < size - 1 - len ? (size_t)n : size - 1 - len;

		memcpy(text + len, rest, fits);
		len += fits;
	}
	text[len] = '\0';
	return len;
}

int test_run_to_death(void (*fn)(void), char *text, size_t size)
{
	int fds[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		_exit(0);
	}
	close(fds[1]);
	read_all(fds[0], text, size);
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

struct totals {
	int run, failed;
};

static void run_suite(const struct test_suite *ts, enum fork_status fork_status, struct totals *totals)
{
	Suite *suite = suite_create(ts->name);
	TCase *tc = tcase_create(ts->name);
	SRunner *runner;

	tcase_set_timeout(tc, 600);
	ts->fill(tc);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, fork_status);
	srunner_run_all(runner, CK_SILENT);
	totals->run += srunner_ntests_run(runner);
	totals->failed += srunner_ntests_failed(runner);
	if (srunner_ntests_failed(runner)) {
		srunner_print(runner, CK_NORMAL);
		printf("repeat: -s %s -S %llu\n", ts->name, (unsigned long long)seed);
	}
	srunner_free(runner);
}

static int list_suites(void)
{
	for (const struct test_suite *ts = suites; ts; ts = ts->next)
		puts(ts->name);
	return 0;
}

int main(int argc, char **argv)
{
	enum fork_status fork_status = CK_FORK;
	struct totals totals = {0, 0};
	const char *only = NULL;
	struct timespec now;
	int opt, passed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
	while ((opt = getopt(argc, argv, "ls:S:n")) != -1) {
		if (opt == 'l')
			return list_suites();
		else if (opt == 's')
			only = optarg;
		else if (opt == 'S')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			fork_status = CK_NOFORK;
		else
			return 16;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 16;
	for (const struct test_suite *ts = suites; ts; ts = ts->next)
		if (!only || strcmp(only, ts->name) == 0)
			run_suite(ts, fork_status, &totals);
	passed = totals.run - totals.failed - (int)shared->nr_skipped;
	printf("%d passed, %d failed, %u skipped\n", passed, totals.failed, shared->nr_skipped);
	return totals.failed ? 1 : 0;
}
