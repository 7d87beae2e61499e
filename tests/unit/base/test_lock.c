/*
 * Mutexes exclude, readers share and do not starve a writer, conditions wake and time out; the
 * blocking hook is called before a sleep and not otherwise. tsan runs these too.
 */
#include "base/lock.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "harness/runner.h"

#define NR_THREADS 4
#define NR_ROUNDS 20000

static struct mutex mutex;
static struct rwlock rwlock;
static struct cond cond;
static uint64_t plain_a, plain_b;	/* guarded by the lock under test */
static atomic_bool was_wrong;

static void setup(void)
{
	mutex_init(&mutex, RANK_QUEUE, "test mutex");
	rwlock_init(&rwlock, RANK_INODE, "test rwlock");
	cond_init(&cond);
}

static void teardown(void)
{
	cond_done(&cond);
	rwlock_done(&rwlock);
	mutex_done(&mutex);
}

static void run_threads(void (*fn)(void *), unsigned count)
{
	struct thread *threads[NR_THREADS];

	for (unsigned i = 0; i < count; i++) {
		threads[i] = thread_create("a name longer than the kernel keeps", fn, NULL);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (unsigned i = 0; i < count; i++)
		thread_join(threads[i]);
	thread_join(NULL);
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void count_under_mutex(void *arg maybe_unused)
{
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		if (i % 3 != 0 || !mutex_trylock(&mutex))
			mutex_lock(&mutex);
		must_hold(&mutex);
		plain_a++;
		mutex_unlock(&mutex);
	}
}

START_TEST(a_mutex_excludes)
{
	run_threads(count_under_mutex, NR_THREADS);
	ck_assert_uint_eq(plain_a, NR_THREADS * NR_ROUNDS);
}
END_TEST

static void try_and_fail(void *arg maybe_unused)
{
	if (mutex_trylock(&mutex) || rwlock_write_trylock(&rwlock))
		atomic_store(&was_wrong, true);
}

START_TEST(trying_a_held_lock_fails_at_once)
{
	rwlock_read_lock(&rwlock);
	mutex_lock(&mutex);
	run_threads(try_and_fail, 1);
	mutex_unlock(&mutex);
	rwlock_read_unlock(&rwlock);
	ck_assert(!atomic_load(&was_wrong));
	ck_assert(rwlock_write_trylock(&rwlock));
	ck_assert(mutex_trylock(&mutex));
	mutex_unlock(&mutex);
	rwlock_write_unlock(&rwlock);
}
END_TEST

/* Writers keep the two equal; readers must never see them differ. */
static void read_and_write(void *arg maybe_unused)
{
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		if (i % 8 == 0) {
			rwlock_write_lock(&rwlock);
			plain_a++;
			plain_b++;
			rwlock_write_unlock(&rwlock);
		} else {
			rwlock_read_lock(&rwlock);
			if (plain_a != plain_b)
				atomic_store(&was_wrong, true);
			rwlock_read_unlock(&rwlock);
		}
	}
}

START_TEST(readers_see_what_writers_finished)
{
	run_threads(read_and_write, NR_THREADS);
	ck_assert(!atomic_load(&was_wrong));
	ck_assert_uint_eq(plain_a, NR_THREADS * NR_ROUNDS / 8);
}
END_TEST

static atomic_bool writer_is_done;
static atomic_uint nr_readers_inside;

/* Hands the read lock over so that it is never free of readers, for at most some seconds. */
static void read_without_gap(void *arg maybe_unused)
{
	for (unsigned i = 0; i < 3000 && !atomic_load(&writer_is_done); i++) {
		rwlock_read_lock(&rwlock);
		atomic_fetch_add(&nr_readers_inside, 1);
		for (unsigned tries = 0; tries < 50 && atomic_load(&nr_readers_inside) < 2; tries++)
			sleep_ms(0);
		sleep_ms(1);
		atomic_fetch_sub(&nr_readers_inside, 1);
		rwlock_read_unlock(&rwlock);
	}
	if (!atomic_load(&writer_is_done))
		atomic_store(&was_wrong, true);
}

START_TEST(a_stream_of_readers_lets_a_writer_in)
{
	struct thread *readers[3];

	for (unsigned i = 0; i < 3; i++)
		readers[i] = thread_create("reader", read_without_gap, NULL);
	while (atomic_load(&nr_readers_inside) == 0)
		sleep_ms(1);
	rwlock_write_lock(&rwlock);
	atomic_store(&writer_is_done, true);
	rwlock_write_unlock(&rwlock);
	for (unsigned i = 0; i < 3; i++)
		thread_join(readers[i]);
	ck_assert(!atomic_load(&was_wrong));
}
END_TEST

static void pass_turns(void *arg)
{
	uint64_t mine = arg ? 1 : 0;

	mutex_lock(&mutex);
	for (unsigned i = 0; i < 2000; i++) {
		while (plain_a % 2 != mine)
			cond_wait(&cond, &mutex);
		plain_a++;
		cond_broadcast(&cond);
	}
	mutex_unlock(&mutex);
}

START_TEST(conditions_pass_turns)
{
	struct thread *even = thread_create("even", pass_turns, NULL);
	struct thread *odd = thread_create("odd", pass_turns, &mutex);

	thread_join(even);
	thread_join(odd);
	ck_assert_uint_eq(plain_a, 4000);
}
END_TEST

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(a_timed_wait_ends_by_time)
{
	uint64_t start = now_ms();
	bool was_woken = true;

	mutex_lock(&mutex);
	while (was_woken)	/* a wake without cause is allowed */
		was_woken = cond_wait_ms(&cond, &mutex, 1020);
	mutex_unlock(&mutex);
	ck_assert_uint_ge(now_ms() - start, 1020);
}
END_TEST

static void wake_later(void *arg maybe_unused)
{
	sleep_ms(20);
	mutex_lock(&mutex);
	plain_a = 1;
	cond_signal(&cond);
	mutex_unlock(&mutex);
}

START_TEST(a_timed_wait_ends_by_a_signal)
{
	struct thread *waker = thread_create("waker", wake_later, NULL);
	bool was_woken = true;

	mutex_lock(&mutex);
	while (plain_a == 0 && was_woken)
		was_woken = cond_wait_ms(&cond, &mutex, UINT64_MAX);
	mutex_unlock(&mutex);
	thread_join(waker);
	ck_assert(was_woken);
	ck_assert_uint_eq(plain_a, 1);
}
END_TEST

static void count_call(void *arg)
{
	(*(unsigned *)arg)++;
}

static void hold_for_a_while(void *arg)
{
	rwlock_write_lock(&rwlock);
	mutex_lock(&mutex);
	atomic_store((atomic_bool *)arg, true);
	sleep_ms(50);
	mutex_unlock(&mutex);
	sleep_ms(50);
	rwlock_write_unlock(&rwlock);
}

START_TEST(the_hook_hears_of_each_first_block)
{
	unsigned nr_calls = 0;
	atomic_bool is_held = false;
	struct thread *holder;

	thread_set_blocking_hook(count_call, &nr_calls);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	rwlock_read_lock(&rwlock);
	rwlock_read_unlock(&rwlock);
	ck_assert_uint_eq(nr_calls, 0);

	holder = thread_create("holder", hold_for_a_while, &is_held);
	while (!atomic_load(&is_held))
		sleep_ms(1);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	ck_assert_uint_eq(nr_calls, 1);
	thread_will_block();	/* told already */
	ck_assert_uint_eq(nr_calls, 1);
	thread_unblocked_reset();
	rwlock_read_lock(&rwlock);
	rwlock_read_unlock(&rwlock);
	ck_assert_uint_eq(nr_calls, 2);
	thread_join(holder);

	thread_set_blocking_hook(count_call, &nr_calls);
	mutex_lock(&mutex);
	cond_wait_ms(&cond, &mutex, 1);
	mutex_unlock(&mutex);
	ck_assert_uint_eq(nr_calls, 3);
	thread_set_blocking_hook(NULL, NULL);
	thread_will_block();
	ck_assert_uint_eq(nr_calls, 3);
}
END_TEST

static void look_at_signals(void *arg maybe_unused)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGUSR1))
		atomic_store(&was_wrong, true);
}

START_TEST(threads_leave_signals_to_the_main_thread)
{
	sigset_t blocked;

	run_threads(look_at_signals, 1);
	ck_assert(!atomic_load(&was_wrong));
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	ck_assert(!sigismember(&blocked, SIGTERM));
}
END_TEST

#ifdef EXTANT_DEBUG
static void take_in_wrong_order(void)
{
	mutex_lock(&mutex);
	rwlock_read_lock(&rwlock);
}

START_TEST(debug_build_stops_at_a_wrong_order)
{
	char text[2000];

	ck_assert_int_eq(test_run_to_death(take_in_wrong_order, text, sizeof(text)), SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "\"test rwlock\" (rank 20) while holding \"test mutex\" (rank 90)"));
}
END_TEST

static void claim_to_hold(void)
{
	must_hold(&mutex);
}

START_TEST(debug_build_stops_when_a_needed_lock_is_not_held)
{
	char text[2000];

	ck_assert_int_eq(test_run_to_death(claim_to_hold, text, sizeof(text)), SIGABRT);
}
END_TEST
#endif

TEST_SUITE(base_lock)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_mutex_excludes);
	tcase_add_test(tc, trying_a_held_lock_fails_at_once);
	tcase_add_test(tc, readers_see_what_writers_finished);
	tcase_add_test(tc, a_stream_of_readers_lets_a_writer_in);
	tcase_add_test(tc, conditions_pass_turns);
	tcase_add_test(tc, a_timed_wait_ends_by_time);
	tcase_add_test(tc, a_timed_wait_ends_by_a_signal);
	tcase_add_test(tc, the_hook_hears_of_each_first_block);
	tcase_add_test(tc, threads_leave_signals_to_the_main_thread);
#ifdef EXTANT_DEBUG
	tcase_add_test(tc, debug_build_stops_at_a_wrong_order);
	tcase_add_test(tc, debug_build_stops_when_a_needed_lock_is_not_held);
#endif
}
