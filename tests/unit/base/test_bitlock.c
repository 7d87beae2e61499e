/*
 * A bit lock excludes and orders memory like a mutex, no wake-up is lost however many threads and
 * bits share one word, other flags of the word stay as they are, and the waker may be a thread
 * that did not lock. A lost wake-up shows as a hang, which the runner's time limit ends.
 */
#include "base/lock.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/rand.h"
#include "harness/runner.h"

#define LOCK_A 0x01u
#define LOCK_B 0x02u
#define BUSY 0x04u
#define WAITERS 0x08u
#define FLAG 0x100u

#define NR_THREADS 8
#define NR_ROUNDS 5000

static bitword_t word;
static uint64_t plain_a, plain_b;	/* under LOCK_A, LOCK_B */
static atomic_bool stop;

static void run_threads(void (*fn)(void *), unsigned count)
{
	struct thread *threads[NR_THREADS];
	unsigned numbers[NR_THREADS];

	for (unsigned i = 0; i < count; i++) {
		numbers[i] = i;
		threads[i] = thread_create("bits", fn, &numbers[i]);
	}
	for (unsigned i = 0; i < count; i++)
		thread_join(threads[i]);
}

/* Long enough for others to fall asleep, now and then. */
static void dawdle(struct rand *r)
{
	if (rand_one_in(r, 50))
		nanosleep(&(struct timespec){0, (long)rand_below(r, 50000)}, NULL);
}

static void count_under_bits(void *arg)
{
	struct rand r;

	rand_init(&r, test_seed() + *(unsigned *)arg);
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		bool is_a = rand_one_in(&r, 2);
		uint32_t bit = is_a ? LOCK_A : LOCK_B;

		if (!rand_one_in(&r, 4) || !bit_trylock(&word, bit))
			bit_lock(&word, bit, WAITERS);
		(*(is_a ? &plain_a : &plain_b))++;
		dawdle(&r);
		atomic_fetch_xor(&word, FLAG << *(unsigned *)arg);	/* others' flags change meanwhile */
		bit_unlock(&word, bit, WAITERS);
	}
}

START_TEST(two_bits_of_a_word_exclude_and_lose_no_wake_up)
{
	run_threads(count_under_bits, NR_THREADS);
	ck_assert_uint_eq(plain_a + plain_b, NR_THREADS * NR_ROUNDS);
	ck_assert_uint_gt(plain_a, 0);
	ck_assert_uint_eq(atomic_load(&word) & (LOCK_A | LOCK_B | WAITERS), 0);
	ck_assert_uint_eq(atomic_load(&word), 0);	/* each flag was turned an even number of times */
}
END_TEST

START_TEST(trylock_takes_once)
{
	atomic_store(&word, FLAG);
	ck_assert(bit_trylock(&word, LOCK_A));
	ck_assert(!bit_trylock(&word, LOCK_A));
	ck_assert(bit_trylock(&word, LOCK_B));
	bit_unlock(&word, LOCK_A, WAITERS);
	ck_assert(bit_trylock(&word, LOCK_A));
	ck_assert_uint_eq(atomic_load(&word), FLAG | LOCK_A | LOCK_B);
}
END_TEST

/* A page's life: the submitter locks, this completion unlocks. */
static void complete_until_stopped(void *arg maybe_unused)
{
	while (!atomic_load(&stop)) {
		if (atomic_load(&word) & BUSY)
			bit_clear_wake(&word, BUSY, WAITERS);
	}
}

static void start_and_wait(void *arg maybe_unused)
{
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		bit_lock(&word, LOCK_A, WAITERS);
		plain_a++;
		atomic_fetch_or(&word, BUSY);
		bit_wait_clear(&word, BUSY, WAITERS);
		bit_unlock(&word, LOCK_A, WAITERS);
		bit_wait_clear(&word, BUSY, WAITERS);	/* perhaps another's */
	}
}

START_TEST(waiters_for_a_bit_wake_when_another_thread_clears_it)
{
	struct thread *completion = thread_create("complete", complete_until_stopped, NULL);

	run_threads(start_and_wait, 4);
	atomic_store(&stop, true);
	thread_join(completion);
	ck_assert_uint_eq(plain_a, 4 * NR_ROUNDS);
}
END_TEST

static void fill_then_clear(void *arg maybe_unused)
{
	nanosleep(&(struct timespec){0, 30000000}, NULL);
	plain_a = 42;
	bit_clear_wake(&word, BUSY, WAITERS);
}

static void count_call(void *arg)
{
	(*(unsigned *)arg)++;
}

START_TEST(a_waiter_sees_what_was_written_before_and_tells_its_hook)
{
	unsigned nr_calls = 0;
	struct thread *t;

	thread_set_blocking_hook(count_call, &nr_calls);
	bit_wait_clear(&word, BUSY, WAITERS);
	bit_lock(&word, LOCK_A, WAITERS);
	ck_assert_uint_eq(nr_calls, 0);
	atomic_fetch_or(&word, BUSY);
	t = thread_create("fill", fill_then_clear, NULL);
	bit_wait_clear(&word, BUSY, WAITERS);
	ck_assert_uint_eq(plain_a, 42);
	ck_assert_uint_eq(nr_calls, 1);
	thread_join(t);
}
END_TEST

static void unlock_what_is_free(void)
{
	bit_unlock(&word, LOCK_A, WAITERS);
}

START_TEST(unlocking_a_free_bit_is_our_bug)
{
	char text[1000];

	ck_assert_int_eq(test_run_to_death(unlock_what_is_free, text, sizeof(text)), SIGABRT);
	bit_clear_wake(&word, LOCK_A, WAITERS);	/* clearing a clear flag is not */
}
END_TEST

TEST_SUITE(base_bitlock)
{
	tcase_add_test(tc, two_bits_of_a_word_exclude_and_lose_no_wake_up);
	tcase_add_test(tc, trylock_takes_once);
	tcase_add_test(tc, waiters_for_a_bit_wake_when_another_thread_clears_it);
	tcase_add_test(tc, a_waiter_sees_what_was_written_before_and_tells_its_hook);
	tcase_add_test(tc, unlocking_a_free_bit_is_our_bug);
}
