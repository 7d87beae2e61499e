/*
 * What must hold: while requests do not wait, one thread serves them all; when one waits, the
 * others are served all the same; when as many wait as there are threads, the first to be done
 * reads on; and the server ends, whoever is asleep where.
 *
 * Requests are bytes in a pipe. What each does is decided by its letter.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/rand.h"
#include "base/types.h"
#include "fuse/server.h"
#include "harness/runner.h"

struct source {
	int fds[2];
	struct mutex lock;
	struct cond changed;
	unsigned nr_allowed;			/* [lock] how many of the waiting may go on */
	/* Without the lock, so that counting a request is nothing to wait for. */
	_Atomic unsigned nr_done, nr_waiting, nr_ends;
	_Atomic pid_t first_tid;
	_Atomic bool was_other_thread;		/* a request ran on another than the first */
	int end;				/* what receive() says at the end of the pipe */
};

/* libfuse's buffer, allocated at the first use. */
static int receive(void *arg, struct fuse_buf *buf)
{
	struct source *s = arg;
	ssize_t got;

	if (!buf->mem)
		buf->mem = malloc(1);
	got = read(s->fds[0], buf->mem, 1);
	if (got < 0)
		return -errno;
	return got ? 1 : s->end;
}

static void note_thread(struct source *s)
{
	pid_t none = 0;

	if (!atomic_compare_exchange_strong(&s->first_tid, &none, gettid()) && none != gettid())
		atomic_store(&s->was_other_thread, true);
}

static void wait_for_leave(struct source *s)
{
	mutex_lock(&s->lock);
	atomic_fetch_add(&s->nr_waiting, 1);
	while (s->nr_allowed == 0)
		cond_wait(&s->changed, &s->lock);	/* calls the hook */
	s->nr_allowed--;
	mutex_unlock(&s->lock);
}

static void process(void *arg, struct fuse_buf *buf)
{
	const struct timespec moment = {.tv_nsec = 50000};
	struct source *s = arg;
	char what = *(char *)buf->mem;

	note_thread(s);
	if (what == 'w')
		wait_for_leave(s);
	if (what == 's') {
		thread_will_block();
		nanosleep(&moment, NULL);
	}
	atomic_fetch_add(&s->nr_done, 1);
}

static void on_end(void *arg)
{
	struct source *s = arg;

	atomic_fetch_add(&s->nr_ends, 1);
}

static void nothing(int signo)
{
	(void)signo;
}

static struct server *start(struct source *s, unsigned nr_threads)
{
	const struct server_config config = {
		.nr_threads = nr_threads, .receive = receive, .process = process, .on_end = on_end, .arg = s,
	};
	const struct sigaction kick = {.sa_handler = nothing};
	struct server *srv;

	memset(s, 0, sizeof(*s));
	ck_assert_int_eq(pipe(s->fds), 0);
	mutex_init(&s->lock, RANK_MOUNT, "source");
	cond_init(&s->changed);
	sigaction(SERVER_KICK_SIGNAL, &kick, NULL);
	ck_assert_int_eq(server_start(&config, &srv), 0);
	return srv;
}

static void request(struct source *s, const char *what)
{
	ck_assert_int_eq(write(s->fds[1], what, strlen(what)), (ssize_t)strlen(what));
}

static void await(const _Atomic unsigned *value, unsigned wanted)
{
	const struct timespec pause = {.tv_nsec = 100000};

	for (unsigned i = 0; atomic_load(value) != wanted; i++) {
		ck_assert_msg(i < 200000, "waited for %u, there are %u", wanted, atomic_load(value));
		nanosleep(&pause, NULL);
	}
}

static void allow(struct source *s, unsigned nr)
{
	mutex_lock(&s->lock);
	s->nr_allowed += nr;
	cond_broadcast(&s->changed);
	mutex_unlock(&s->lock);
}

START_TEST(requests_that_do_not_wait_stay_on_one_thread)
{
	char many[1000];
	struct source s;
	struct server *srv = start(&s, 8);

	memset(many, 'q', sizeof(many));
	ck_assert_int_eq(write(s.fds[1], many, sizeof(many)), (ssize_t)sizeof(many));
	close(s.fds[1]);
	await(&s.nr_ends, 1);
	ck_assert_int_eq(server_stop(srv), 0);
	ck_assert_uint_eq(s.nr_done, sizeof(many));
	ck_assert(!s.was_other_thread);
	ck_assert_uint_eq(s.nr_ends, 1);
}
END_TEST

START_TEST(one_that_waits_holds_up_nobody)
{
	struct source s;
	struct server *srv = start(&s, 3);

	request(&s, "w");
	await(&s.nr_waiting, 1);
	request(&s, "qqqqq");
	await(&s.nr_done, 5);
	ck_assert(s.was_other_thread);
	request(&s, "w");
	await(&s.nr_waiting, 2);
	request(&s, "qqqqq");
	await(&s.nr_done, 10);
	allow(&s, 2);
	await(&s.nr_done, 12);
	ck_assert_int_eq(server_stop(srv), 0);
}
END_TEST

START_TEST(when_all_wait_the_first_done_reads_on)
{
	struct source s;
	struct server *srv = start(&s, 3);

	request(&s, "wwwqq");
	await(&s.nr_waiting, 3);
	ck_assert_uint_eq(s.nr_done, 0);
	allow(&s, 1);
	await(&s.nr_done, 3);	/* the one, and both that were behind it */
	allow(&s, 2);
	await(&s.nr_done, 5);
	ck_assert_int_eq(server_stop(srv), 0);
}
END_TEST

START_TEST(one_thread_alone_serves_too)
{
	struct source s;
	struct server *srv = start(&s, 1);

	request(&s, "sqsq");
	await(&s.nr_done, 4);
	ck_assert_int_eq(server_stop(srv), 0);
}
END_TEST

START_TEST(stopping_wakes_the_reader_and_waits_for_the_busy)
{
	struct source s;
	struct server *srv = start(&s, 4);

	request(&s, "ss");
	await(&s.nr_done, 2);
	request(&s, "w");
	await(&s.nr_waiting, 1);
	allow(&s, 1);
	ck_assert_int_eq(server_stop(srv), 0);
	ck_assert_uint_eq(s.nr_done, 3);
	ck_assert_uint_eq(s.nr_ends, 0);
}
END_TEST

START_TEST(an_error_is_told_once_and_kept)
{
	struct source s;
	struct server *srv = start(&s, 4);

	s.end = -EIO;
	request(&s, "sss");
	close(s.fds[1]);
	await(&s.nr_ends, 1);
	ck_assert_int_eq(server_stop(srv), -EIO);
	ck_assert_uint_eq(s.nr_done, 3);
}
END_TEST

/* Many starts and stops with requests of all kinds: no wake-up is lost, none is done twice. */
START_TEST(nothing_is_lost_in_a_crowd)
{
	struct rand rand;

	rand_init(&rand, test_seed());
	for (unsigned round = 0; round < 50; round++) {
		unsigned nr_threads = 1 + (unsigned)rand_below(&rand, 6);
		unsigned nr = 1 + (unsigned)rand_below(&rand, 400);
		struct source s;
		struct server *srv = start(&s, nr_threads);

		for (unsigned i = 0; i < nr; i++)
			request(&s, rand_below(&rand, 3) ? "q" : "s");
		await(&s.nr_done, nr);
		ck_assert_int_eq(server_stop(srv), 0);
		ck_assert_uint_eq(s.nr_done, nr);
		close(s.fds[0]);
		close(s.fds[1]);
	}
}
END_TEST

TEST_SUITE(fuse_server)
{
	tcase_add_test(tc, requests_that_do_not_wait_stay_on_one_thread);
	tcase_add_test(tc, one_that_waits_holds_up_nobody);
	tcase_add_test(tc, when_all_wait_the_first_done_reads_on);
	tcase_add_test(tc, one_thread_alone_serves_too);
	tcase_add_test(tc, stopping_wakes_the_reader_and_waits_for_the_busy);
	tcase_add_test(tc, an_error_is_told_once_and_kept);
	tcase_add_test(tc, nothing_is_lost_in_a_crowd);
}
