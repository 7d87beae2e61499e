/*
 * Queued work runs, once a queueing (W1) and never twice at once (W2); delayed work runs when its
 * date has come on the queue's clock and not before; inline queues run it in an order that the
 * seed alone decides; cancelled and dropped work does not run. Threads and inline mode alike.
 */
#include "base/work.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"

#define NR_JOBS 8u

struct job {
	struct work work;
	unsigned number;
	atomic_uint nr_runs;
	atomic_bool is_running;
	unsigned again;			/* queues itself that often */
	uint64_t again_delay_ms;	/* with a delay; 0: without */
};

static struct job jobs[NR_JOBS];
static struct clock *clock_virtual;
static struct workqueue *queue;
static char order[100];		/* letters of the jobs that ran, inline */

static void run_job(struct work *w)
{
	struct job *job = container_of(w, struct job, work);
	size_t len;

	must(!atomic_exchange(&job->is_running, true));		/* W2 */
	atomic_fetch_add(&job->nr_runs, 1);
	if (workqueue_is_inline(queue)) {
		len = strlen(order);
		order[len] = (char)('a' + (int)job->number);
	}
	if (job->again > 0) {
		job->again--;
		if (job->again_delay_ms)
			work_queue_delayed(queue, w, job->again_delay_ms);
		else
			work_queue(queue, w);
	}
	atomic_store(&job->is_running, false);
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static unsigned runs(unsigned i)
{
	return atomic_load(&jobs[i].nr_runs);
}

static void wait_for_runs(unsigned i, unsigned count)
{
	while (runs(i) < count)
		sleep_ms(1);
}

static void make_queue(unsigned nr_threads, struct clock *clock)
{
	queue = workqueue_create("test", nr_threads, clock, test_seed());
	ck_assert_ptr_nonnull(queue);
}

static void setup(void)
{
	for (unsigned i = 0; i < NR_JOBS; i++) {
		memset(&jobs[i], 0, sizeof(jobs[i]));
		work_init(&jobs[i].work, run_job);
		jobs[i].number = i;
	}
	memset(order, 0, sizeof(order));
	clock_virtual = clock_create_virtual((struct timespec){0, 0});
}

static void teardown(void)
{
	workqueue_destroy(queue);
	clock_destroy(clock_virtual);
	ck_assert_uint_eq(mem_live_count(), 0);
}

/* Inline. */

START_TEST(inline_work_runs_when_asked_and_once)
{
	make_queue(0, clock_virtual);
	ck_assert(workqueue_is_inline(queue));
	for (unsigned i = 0; i < 5; i++) {
		work_queue(queue, &jobs[i].work);
		work_queue(queue, &jobs[i].work);	/* W1 */
	}
	ck_assert_str_eq(order, "");
	ck_assert_uint_eq(work_run_pending(queue), 5);
	for (unsigned i = 0; i < NR_JOBS; i++)
		ck_assert_uint_eq(runs(i), i < 5);
	ck_assert_uint_eq(work_run_pending(queue), 0);
	work_queue(queue, &jobs[0].work);
	ck_assert_uint_eq(work_run_pending(queue), 1);
	ck_assert_uint_eq(runs(0), 2);
}
END_TEST

static void order_of_seed(uint64_t seed, char *ret_order)
{
	queue = workqueue_create("test", 0, clock_virtual, seed);
	memset(order, 0, sizeof(order));
	for (unsigned i = 0; i < NR_JOBS; i++)
		work_queue(queue, &jobs[i].work);
	work_run_pending(queue);
	strcpy(ret_order, order);
	workqueue_destroy(queue);
	queue = NULL;
}

START_TEST(the_seed_decides_the_order)
{
	char first[sizeof(order)], again[sizeof(order)];
	bool differs = false;

	for (uint64_t seed = 0; seed < 20; seed++) {
		order_of_seed(seed, first);
		order_of_seed(seed, again);
		ck_assert_str_eq(first, again);
		ck_assert_uint_eq(strlen(first), NR_JOBS);
		differs |= strcmp(first, "abcdefgh") != 0;
	}
	ck_assert(differs);
}
END_TEST

START_TEST(work_may_queue_itself)
{
	make_queue(0, clock_virtual);
	jobs[0].again = 3;
	work_queue(queue, &jobs[0].work);
	ck_assert_uint_eq(work_run_pending(queue), 4);
	ck_assert_str_eq(order, "aaaa");
}
END_TEST

START_TEST(delayed_work_waits_for_its_date)
{
	make_queue(0, clock_virtual);
	work_queue_delayed(queue, &jobs[0].work, 30);
	work_queue_delayed(queue, &jobs[1].work, 10);
	work_queue_delayed(queue, &jobs[2].work, 20);
	ck_assert_uint_eq(work_run_pending(queue), 0);
	clock_advance(clock_virtual, 10 * NSEC_PER_MSEC - 1);
	ck_assert_uint_eq(work_run_pending(queue), 0);
	clock_advance(clock_virtual, 1);
	ck_assert_uint_eq(work_run_pending(queue), 1);
	ck_assert_str_eq(order, "b");
	clock_advance(clock_virtual, 10 * NSEC_PER_MSEC);
	work_run_pending(queue);
	ck_assert_str_eq(order, "bc");
	clock_advance(clock_virtual, 10 * NSEC_PER_MSEC);
	work_run_pending(queue);
	ck_assert_str_eq(order, "bca");
}
END_TEST

START_TEST(a_date_moves_only_to_sooner)
{
	make_queue(0, clock_virtual);
	work_queue_delayed(queue, &jobs[0].work, 20);
	work_queue_delayed(queue, &jobs[0].work, 50);
	work_queue_delayed(queue, &jobs[1].work, 50);
	work_queue_delayed(queue, &jobs[1].work, 20);
	work_queue_delayed(queue, &jobs[2].work, 50);
	work_queue(queue, &jobs[2].work);		/* now is sooner still */
	work_queue(queue, &jobs[3].work);
	work_queue_delayed(queue, &jobs[3].work, 5);	/* queued already */
	work_queue_delayed(queue, &jobs[4].work, UINT64_MAX);
	ck_assert_uint_eq(work_run_pending(queue), 2);
	clock_advance(clock_virtual, 20 * NSEC_PER_MSEC);
	ck_assert_uint_eq(work_run_pending(queue), 2);
	clock_advance(clock_virtual, NSEC_PER_SEC);
	ck_assert_uint_eq(work_run_pending(queue), 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(runs(i), 1);
}
END_TEST

START_TEST(a_timer_that_rearms_itself_keeps_its_pace)
{
	make_queue(0, clock_virtual);
	jobs[0].again = 1000;
	jobs[0].again_delay_ms = 5;
	work_queue_delayed(queue, &jobs[0].work, 5);
	for (unsigned ms = 1; ms <= 50; ms++) {
		clock_advance(clock_virtual, NSEC_PER_MSEC);
		work_run_pending(queue);
		ck_assert_uint_eq(runs(0), ms / 5);
	}
}
END_TEST

START_TEST(cancelled_work_does_not_run)
{
	make_queue(0, clock_virtual);
	work_queue(queue, &jobs[0].work);
	work_queue(queue, &jobs[1].work);
	work_queue_delayed(queue, &jobs[2].work, 1);
	work_cancel_sync(queue, &jobs[0].work);
	work_cancel_sync(queue, &jobs[2].work);
	work_cancel_sync(queue, &jobs[3].work);		/* never queued */
	clock_advance(clock_virtual, NSEC_PER_SEC);
	ck_assert_uint_eq(work_run_pending(queue), 1);
	ck_assert_str_eq(order, "b");
	work_queue(queue, &jobs[0].work);		/* and may be queued again */
	ck_assert_uint_eq(work_run_pending(queue), 1);
}
END_TEST

/* As a thread would that waits for two others: queues them and runs until they are done. */
static void queue_two_and_wait(struct work *w)
{
	work_queue(queue, &jobs[1].work);
	work_queue(queue, &jobs[2].work);
	work_queue(queue, w);		/* itself: only after it has returned (W2) */
	ck_assert_uint_eq(work_run_pending(queue), 2);
	ck_assert_uint_eq(runs(1) + runs(2), 2);
	w->fn = run_job;
}

START_TEST(work_may_run_others_while_it_waits)
{
	make_queue(0, clock_virtual);
	work_init(&jobs[0].work, queue_two_and_wait);
	work_queue(queue, &jobs[0].work);
	ck_assert_uint_eq(work_run_pending(queue), 4);
	ck_assert_uint_eq(strlen(order), 3);
	ck_assert_int_eq(order[2], 'a');
}
END_TEST

START_TEST(inline_end_runs_the_queued_and_drops_the_delayed)
{
	make_queue(0, clock_virtual);
	work_queue(queue, &jobs[0].work);
	work_queue_delayed(queue, &jobs[1].work, 1);
	jobs[0].again = 1;
	clock_advance(clock_virtual, NSEC_PER_SEC);
	workqueue_destroy(queue);
	ck_assert_uint_eq(runs(0), 2);
	ck_assert_uint_eq(runs(1), 0);
	ck_assert(list_empty(&jobs[1].work.link));
	queue = NULL;
}
END_TEST

static void cancel_itself(struct work *w)
{
	work_cancel_sync(queue, w);
}

static void run_suicide(void)
{
	work_init(&jobs[0].work, cancel_itself);
	work_queue(queue, &jobs[0].work);
	work_run_pending(queue);
}

START_TEST(waiting_for_oneself_is_our_bug)
{
	char text[2000];

	make_queue(0, clock_virtual);
	ck_assert_int_eq(test_run_to_death(run_suicide, text, sizeof(text)), SIGABRT);
}
END_TEST

/* Threads. */

static void queue_from_a_thread(void *arg)
{
	struct rand r;

	rand_init(&r, test_seed() + *(unsigned *)arg);
	for (unsigned i = 0; i < 3000; i++) {
		struct work *w = &jobs[rand_below(&r, NR_JOBS)].work;

		switch (rand_below(&r, 10)) {
		case 0:
			work_cancel_sync(queue, w);
			break;
		case 1:
			work_queue_delayed(queue, w, rand_below(&r, 3));
			break;
		case 2:
			clock_advance(clock_virtual, NSEC_PER_MSEC);
			break;
		default:
			work_queue(queue, w);
		}
	}
}

static void storm(struct clock *clock)
{
	unsigned numbers[3], before[NR_JOBS];
	struct thread *threads[3];

	make_queue(3, clock);
	for (unsigned i = 0; i < 3; i++) {
		numbers[i] = i;
		threads[i] = thread_create("queuer", queue_from_a_thread, &numbers[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		thread_join(threads[i]);
	for (unsigned i = 0; i < NR_JOBS; i++) {
		work_cancel_sync(queue, &jobs[i].work);
		before[i] = runs(i);
		work_queue(queue, &jobs[i].work);
	}
	work_run_pending(queue);
	for (unsigned i = 0; i < NR_JOBS; i++)
		ck_assert_uint_eq(runs(i), before[i] + 1);
}

START_TEST(a_storm_of_queueing_and_cancelling_keeps_W1_and_W2)
{
	storm(clock_virtual);
}
END_TEST

START_TEST(a_storm_on_the_real_clock_too)
{
	struct clock *real = clock_create_real();

	storm(real);
	workqueue_destroy(queue);
	queue = NULL;
	clock_destroy(real);
}
END_TEST

START_TEST(threads_run_self_queueing_work_to_its_end)
{
	make_queue(2, clock_virtual);
	ck_assert(!workqueue_is_inline(queue));
	for (unsigned i = 0; i < NR_JOBS; i++) {
		jobs[i].again = 100;
		work_queue(queue, &jobs[i].work);
	}
	work_run_pending(queue);
	for (unsigned i = 0; i < NR_JOBS; i++)
		ck_assert_uint_eq(runs(i), 101);
}
END_TEST

START_TEST(threads_hear_of_a_virtual_date)
{
	make_queue(2, clock_virtual);
	work_queue_delayed(queue, &jobs[0].work, 1000);
	work_queue_delayed(queue, &jobs[1].work, 2000);
	sleep_ms(20);
	ck_assert_uint_eq(runs(0), 0);
	clock_advance(clock_virtual, NSEC_PER_SEC);
	wait_for_runs(0, 1);		/* nobody but the clock wakes the threads */
	ck_assert_uint_eq(runs(1), 0);
}
END_TEST

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(threads_keep_real_dates)
{
	struct clock *real = clock_create_real();
	uint64_t start = now_ms();

	make_queue(1, real);
	work_queue_delayed(queue, &jobs[1].work, 3600 * 1000);
	work_queue_delayed(queue, &jobs[0].work, 40);
	wait_for_runs(0, 1);
	ck_assert_uint_ge(now_ms() - start, 40);
	workqueue_destroy(queue);
	queue = NULL;
	ck_assert_uint_eq(runs(1), 0);
	clock_destroy(real);
}
END_TEST

static atomic_bool may_go_on;

static void wait_for_leave(struct work *w maybe_unused)
{
	while (!atomic_load(&may_go_on))
		sleep_ms(1);
}

START_TEST(a_date_is_kept_though_the_thread_that_waited_for_it_got_work)
{
	struct clock *real = clock_create_real();
	struct work busy;

	make_queue(2, real);
	for (unsigned round = 0; round < 5; round++) {
		work_init(&busy, wait_for_leave);
		atomic_store(&may_go_on, false);
		sleep_ms(2);		/* both threads wait without a date */
		work_queue_delayed(queue, &jobs[0].work, 20);
		sleep_ms(2);		/* one of them waits for it now */
		work_queue(queue, &busy);
		wait_for_runs(0, round + 1);	/* hangs when the other sleeps on */
		atomic_store(&may_go_on, true);
		work_cancel_sync(queue, &busy);
	}
	workqueue_destroy(queue);
	queue = NULL;
	clock_destroy(real);
}
END_TEST

static atomic_bool has_begun, has_ended;

static void run_slowly(struct work *w maybe_unused)
{
	atomic_store(&has_begun, true);
	sleep_ms(30);
	atomic_store(&has_ended, true);
}

START_TEST(cancelling_waits_for_the_running)
{
	struct work slow;

	make_queue(1, clock_virtual);
	work_init(&slow, run_slowly);
	work_queue(queue, &slow);
	while (!atomic_load(&has_begun))
		sleep_ms(1);
	work_queue(queue, &slow);	/* once more, which the cancelling takes back */
	work_cancel_sync(queue, &slow);
	ck_assert(atomic_load(&has_ended));
	atomic_store(&has_ended, false);
	work_run_pending(queue);
	ck_assert(!atomic_load(&has_ended));
}
END_TEST

struct slow {
	struct work work;
	unsigned ms;
	atomic_bool has_begun, has_ended;
};

static struct slow slow[2] = {{.ms = 60}, {.ms = 120}};

static void take_its_time(struct work *w)
{
	struct slow *s = container_of(w, struct slow, work);

	atomic_store(&s->has_begun, true);
	sleep_ms(s->ms);
	atomic_store(&s->has_ended, true);
}

static void cancel_slow(void *arg)
{
	struct slow *s = arg;

	work_cancel_sync(queue, &s->work);
	must(atomic_load(&s->has_ended));
}

/* The one that waits for the later work waits first, so it is the first to be woken. */
START_TEST(each_waiter_hears_of_its_own_work)
{
	struct thread *cancellers[2];

	make_queue(2, clock_virtual);
	for (unsigned i = 0; i < 2; i++) {
		work_init(&slow[i].work, take_its_time);
		work_queue(queue, &slow[i].work);
	}
	while (!atomic_load(&slow[0].has_begun) || !atomic_load(&slow[1].has_begun))
		sleep_ms(1);
	cancellers[1] = thread_create("cancel", cancel_slow, &slow[1]);
	sleep_ms(20);
	cancellers[0] = thread_create("cancel", cancel_slow, &slow[0]);
	for (unsigned i = 0; i < 2; i++)
		thread_join(cancellers[i]);
}
END_TEST

START_TEST(threads_end_runs_the_queued_and_drops_the_delayed)
{
	make_queue(2, clock_virtual);
	for (unsigned i = 0; i < NR_JOBS - 1; i++) {
		jobs[i].again = 10;
		work_queue(queue, &jobs[i].work);
	}
	work_queue_delayed(queue, &jobs[NR_JOBS - 1].work, 1);
	workqueue_destroy(queue);
	queue = NULL;
	for (unsigned i = 0; i < NR_JOBS; i++)
		ck_assert_uint_eq(runs(i), i < NR_JOBS - 1 ? 11 : 0);
}
END_TEST

START_TEST(without_memory_there_is_no_queue_and_no_leak)
{
	for (unsigned n = 1; n <= 4; n++) {
		mem_fail_nth(n, false);
		queue = workqueue_create("test", 3, clock_virtual, 0);
		mem_fail_nth(0, false);
		ck_assert_ptr_null(queue);
		ck_assert_uint_eq(mem_live_count(), 1);	/* the clock */
	}
}
END_TEST

TEST_SUITE(base_work)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, inline_work_runs_when_asked_and_once);
	tcase_add_test(tc, the_seed_decides_the_order);
	tcase_add_test(tc, work_may_queue_itself);
	tcase_add_test(tc, delayed_work_waits_for_its_date);
	tcase_add_test(tc, a_date_moves_only_to_sooner);
	tcase_add_test(tc, a_timer_that_rearms_itself_keeps_its_pace);
	tcase_add_test(tc, cancelled_work_does_not_run);
	tcase_add_test(tc, work_may_run_others_while_it_waits);
	tcase_add_test(tc, inline_end_runs_the_queued_and_drops_the_delayed);
	tcase_add_test(tc, waiting_for_oneself_is_our_bug);
	tcase_add_test(tc, a_storm_of_queueing_and_cancelling_keeps_W1_and_W2);
	tcase_add_test(tc, a_storm_on_the_real_clock_too);
	tcase_add_test(tc, threads_run_self_queueing_work_to_its_end);
	tcase_add_test(tc, threads_hear_of_a_virtual_date);
	tcase_add_test(tc, threads_keep_real_dates);
	tcase_add_test(tc, a_date_is_kept_though_the_thread_that_waited_for_it_got_work);
	tcase_add_test(tc, cancelling_waits_for_the_running);
	tcase_add_test(tc, each_waiter_hears_of_its_own_work);
	tcase_add_test(tc, threads_end_runs_the_queued_and_drops_the_delayed);
	tcase_add_test(tc, without_memory_there_is_no_queue_and_no_leak);
}
