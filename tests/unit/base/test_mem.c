/*
 * Memory is counted exactly, the n-th allocation fails when told to, and a pool never hands out
 * more than its bound, makes its waiters wait, and wakes them.
 */
#include "base/mem.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/lock.h"
#include "harness/runner.h"

START_TEST(each_way_of_allocating_counts_once)
{
	void *p[5];

	p[0] = mem_alloc(10);
	p[1] = mem_zalloc(100);
	p[2] = mem_alloc_aligned(5000, 4096);
	p[3] = mem_strdup("text");
	p[4] = mem_realloc(NULL, 8);
	ck_assert_uint_eq(mem_live_count(), 5);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(((uint8_t *)p[1])[i], 0);
	ck_assert_uint_eq((uintptr_t)p[2] % 4096, 0);
	ck_assert_str_eq(p[3], "text");
	p[0] = mem_realloc(p[0], 10000);
	p[4] = mem_realloc(p[4], 0);	/* still an allocation */
	ck_assert_uint_eq(mem_live_count(), 5);
	for (unsigned i = 0; i < 5; i++)
		mem_free(p[i]);
	mem_free(NULL);
	ck_assert_uint_eq(mem_live_count(), 0);
}
END_TEST

/* Allocates in each way; the bits tell which failed. */
static unsigned allocate_in_turn(void)
{
	struct pool *pool = NULL;
	unsigned failed = 0;
	void *p[6];

	p[0] = mem_alloc(1);
	p[1] = mem_zalloc(1);
	p[2] = mem_alloc_aligned(64, 64);
	p[3] = mem_strdup("x");
	pool = pool_create("test", 16, 8, 0, 0);
	p[4] = pool;
	p[5] = pool ? pool_get(pool) : NULL;
	for (unsigned i = 0; i < 6; i++)
		failed |= (unsigned)!p[i] << i;
	for (unsigned i = 0; i < 4; i++)
		mem_free(p[i]);
	if (p[5])
		pool_put(pool, p[5]);
	pool_destroy(pool);
	ck_assert_uint_eq(mem_live_count(), 0);
	return failed;
}

START_TEST(the_nth_allocation_fails_and_no_other)
{
	for (unsigned n = 1; n <= 6; n++) {
		mem_fail_nth(n, false);
		/* Without a pool there is no object of it. */
		ck_assert_uint_eq(allocate_in_turn(), n == 5 ? 0x30 : 1u << (n - 1));
		mem_fail_nth(0, false);
	}
	ck_assert_uint_eq(allocate_in_turn(), 0);
}
END_TEST

START_TEST(a_sticky_failure_stays_until_it_is_turned_off)
{
	mem_fail_nth(3, true);
	ck_assert_uint_eq(allocate_in_turn(), 0x3c);
	ck_assert_uint_eq(allocate_in_turn(), 0x3f);
	mem_fail_nth(0, true);
	ck_assert_uint_eq(allocate_in_turn(), 0);
}
END_TEST

START_TEST(a_failed_realloc_keeps_the_old)
{
	char *p = mem_strdup("kept");

	mem_fail_nth(1, false);
	ck_assert_ptr_null(mem_realloc(p, 1 << 20));
	ck_assert_str_eq(p, "kept");
	mem_free(p);
}
END_TEST

START_TEST(a_pool_stops_at_its_bound)
{
	struct pool *pool = pool_create("test", 100, 64, 3, 2);
	void *o[3];

	for (unsigned i = 0; i < 3; i++) {
		o[i] = pool_get(pool);
		ck_assert_ptr_nonnull(o[i]);
		ck_assert_uint_eq((uintptr_t)o[i] % 64, 0);
		memset(o[i], (int)i, 100);
	}
	ck_assert_ptr_null(pool_get(pool));
	ck_assert_uint_eq(pool_in_use(pool), 3);
	ck_assert_uint_eq(mem_live_count(), 4);	/* and the pool itself */
	pool_put(pool, o[1]);
	ck_assert_uint_eq(pool_in_use(pool), 2);
	o[1] = pool_get(pool);
	ck_assert_ptr_nonnull(o[1]);
	for (unsigned i = 0; i < 3; i++)
		pool_put(pool, o[i]);
	ck_assert_uint_eq(mem_live_count(), 1);
	pool_destroy(pool);
	pool_destroy(NULL);
	ck_assert_uint_eq(mem_live_count(), 0);
}
END_TEST

START_TEST(without_a_bound_a_pool_goes_on)
{
	struct pool *pool = pool_create("test", 1, 1, 0, 10);
	void *o[200];

	for (unsigned i = 0; i < 200; i++) {
		o[i] = pool_get(pool);
		ck_assert_ptr_nonnull(o[i]);
	}
	for (unsigned i = 0; i < 200; i++)
		pool_put(pool, o[i]);
	pool_destroy(pool);
}
END_TEST

static void destroy_with_one_out(void)
{
	struct pool *pool = pool_create("test", 16, 8, 0, 0);
	void *object maybe_unused = pool_get(pool);

	pool_destroy(pool);
}

START_TEST(a_pool_with_objects_out_is_not_destroyed)
{
	char text[2000];

	ck_assert_int_eq(test_run_to_death(destroy_with_one_out, text, sizeof(text)), SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "in_use"));
}
END_TEST

#define NR_THREADS 6
#define NR_ROUNDS 4000
#define BOUND 3u

static struct pool *shared_pool;
static atomic_uint nr_out, nr_out_max;

struct object {
	unsigned owner;
	unsigned filler[15];
};

/* Holds an object for itself alone for a moment, many times. */
static void use_pool(void *arg)
{
	unsigned me = *(unsigned *)arg;

	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		struct object *o = pool_get_wait(shared_pool);
		unsigned out = atomic_fetch_add(&nr_out, 1) + 1;
		unsigned seen = atomic_load(&nr_out_max);

		while (out > seen && !atomic_compare_exchange_weak(&nr_out_max, &seen, out))
			;
		o->owner = me;
		if (i % 64 == 0)
			nanosleep(&(struct timespec){0, 1000}, NULL);
		must(o->owner == me);
		atomic_fetch_sub(&nr_out, 1);
		pool_put(shared_pool, o);
	}
}

START_TEST(waiters_share_the_bound_and_all_get_done)
{
	struct thread *threads[NR_THREADS];
	unsigned numbers[NR_THREADS];

	shared_pool = pool_create("test", sizeof(struct object), 8, BOUND, 2);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		numbers[i] = i;
		threads[i] = thread_create("pool", use_pool, &numbers[i]);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	ck_assert_uint_le(atomic_load(&nr_out_max), BOUND);
	ck_assert_uint_eq(pool_in_use(shared_pool), 0);
	pool_destroy(shared_pool);
	ck_assert_uint_eq(mem_live_count(), 0);
}
END_TEST

TEST_SUITE(base_mem)
{
	tcase_add_test(tc, each_way_of_allocating_counts_once);
	tcase_add_test(tc, the_nth_allocation_fails_and_no_other);
	tcase_add_test(tc, a_sticky_failure_stays_until_it_is_turned_off);
	tcase_add_test(tc, a_failed_realloc_keeps_the_old);
	tcase_add_test(tc, a_pool_stops_at_its_bound);
	tcase_add_test(tc, without_a_bound_a_pool_goes_on);
	tcase_add_test(tc, a_pool_with_objects_out_is_not_destroyed);
	tcase_add_test(tc, waiters_share_the_bound_and_all_get_done);
}
