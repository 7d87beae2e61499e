/*
 * Counted memory and failure injection; pools.
 *
 * A pool's idle objects are chained through their own first word under one leaf lock. Under
 * AddressSanitizer nothing is kept, so that it sees every use after the put.
 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/lock.h"

#define FAIL_STICKY (1ull << 63)
#define RETRY_MS 10	/* a waiter that found no memory asks again this often */

#ifdef __SANITIZE_ADDRESS__
#define KEEP_IDLE false
#else
#define KEEP_IDLE true
#endif

/* Calls until the failing one, 0 for none, and FAIL_STICKY. Of the process, as malloc is. */
static _Atomic uint64_t fail_countdown;
static _Atomic uint64_t nr_live;

void mem_fail_nth(uint64_t n, bool sticky)
{
	atomic_store(&fail_countdown, n | (n && sticky ? FAIL_STICKY : 0));
}

static bool injects_failure(void)
{
	uint64_t now = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
	uint64_t left, next;

	do {
		if (likely(now == 0))
			return false;
		left = now & ~FAIL_STICKY;
		if (left > 1)
			next = now - 1;
		else
			next = now & FAIL_STICKY ? now : 0;
	} while (!atomic_compare_exchange_weak(&fail_countdown, &now, next));
	return left == 1;
}

static void *count_live(void *p)
{
	if (p)
		atomic_fetch_add_explicit(&nr_live, 1, memory_order_relaxed);
	return p;
}

static void uncount_live(void)
{
	atomic_fetch_sub_explicit(&nr_live, 1, memory_order_relaxed);
}

uint64_t mem_live_count(void)
{
	return atomic_load_explicit(&nr_live, memory_order_relaxed);
}

void *mem_alloc(size_t size_bytes)
{
	return injects_failure() ? NULL : count_live(malloc(size_bytes));
}

void *mem_zalloc(size_t size_bytes)
{
	return injects_failure() ? NULL : count_live(calloc(1, size_bytes));
}

void *mem_realloc(void *p, size_t size_bytes)
{
	if (!p)
		return mem_alloc(size_bytes);
	if (injects_failure())
		return NULL;
	return realloc(p, max(size_bytes, (size_t)1));	/* size 0 would free */
}

static void *aligned(size_t size_bytes, size_t alignment)
{
	void *p;

	must(is_power_of_2(alignment) && alignment >= sizeof(void *));
	return posix_memalign(&p, alignment, size_bytes) ? NULL : p;
}

void *mem_alloc_aligned(size_t size_bytes, size_t alignment)
{
	return injects_failure() ? NULL : count_live(aligned(size_bytes, alignment));
}

void mem_free(void *p)
{
	if (!p)
		return;
	uncount_live();
	free(p);
}

char *mem_strdup(const char *s)
{
	size_t size_bytes = strlen(s) + 1;
	char *copy = mem_alloc(size_bytes);

	return copy ? memcpy(copy, s, size_bytes) : NULL;
}

/* Pools. */

struct idle {
	struct idle *next;
};

struct pool {
	/* Set once at create. */
	const char *name;
	size_t object_bytes, alignment;
	uint32_t nr_max;		/* 0: unbounded */
	uint32_t nr_idle_max;

	struct mutex lock;		/* RANK_LEAF */
	struct idle *idle;		/* [lock] */
	uint32_t nr_idle;		/* [lock] */
	_Atomic uint32_t nr_in_use;	/* [lock to write] */
	uint32_t nr_waiting;		/* [lock] */
	struct cond came_back;		/* an object was put */
};

struct pool *pool_create(const char *name, size_t object_bytes, size_t alignment, uint32_t nr_max,
			 uint32_t nr_cached)
{
	struct pool *pool = mem_zalloc(sizeof(*pool));

	if (!pool)
		return NULL;
	pool->name = name;
	pool->object_bytes = max(object_bytes, sizeof(struct idle));
	pool->alignment = max(alignment, sizeof(void *));
	pool->nr_max = nr_max;
	pool->nr_idle_max = KEEP_IDLE ? nr_cached : 0;
	mutex_init(&pool->lock, RANK_LEAF, name);
	cond_init(&pool->came_back);
	return pool;
}

static uint32_t in_use(const struct pool *pool)
{
	return atomic_load_explicit(&pool->nr_in_use, memory_order_relaxed);
}

static void add_in_use(struct pool *pool, int by)
{
	atomic_store_explicit(&pool->nr_in_use, in_use(pool) + (uint32_t)by, memory_order_relaxed);
}

uint32_t pool_in_use(const struct pool *pool)
{
	return in_use(pool);
}

void pool_destroy(struct pool *pool)
{
	struct idle *next;

	if (!pool)
		return;
	must(in_use(pool) == 0);
	for (struct idle *o = pool->idle; o; o = next) {
		next = o->next;
		free(o);
	}
	cond_done(&pool->came_back);
	mutex_done(&pool->lock);
	mem_free(pool);
}

static void *take_locked(struct pool *pool) needs(pool->lock)
{
	struct idle *o = pool->idle;

	if (pool->nr_max && in_use(pool) >= pool->nr_max)
		return NULL;
	if (o) {
		pool->idle = o->next;
		pool->nr_idle--;
	} else {
		o = aligned(pool->object_bytes, pool->alignment);
	}
	if (o)
		add_in_use(pool, 1);
	return count_live(o);
}

void *pool_get(struct pool *pool)
{
	void *object;

	if (injects_failure())
		return NULL;
	mutex_lock(&pool->lock);
	object = take_locked(pool);
	mutex_unlock(&pool->lock);
	return object;
}

void *pool_get_wait(struct pool *pool)
{
	void *object;

	mutex_lock(&pool->lock);
	while (!(object = take_locked(pool))) {
		pool->nr_waiting++;
		cond_wait_ms(&pool->came_back, &pool->lock, RETRY_MS);
		pool->nr_waiting--;
	}
	mutex_unlock(&pool->lock);
	return object;
}

void pool_put(struct pool *pool, void *object)
{
	struct idle *o = object;
	bool keeps;

	uncount_live();
	mutex_lock(&pool->lock);
	must(in_use(pool) > 0);
	add_in_use(pool, -1);
	keeps = pool->nr_idle < pool->nr_idle_max;
	if (keeps) {
		o->next = pool->idle;
		pool->idle = o;
		pool->nr_idle++;
	}
	if (pool->nr_waiting)
		cond_signal(&pool->came_back);
	mutex_unlock(&pool->lock);
	if (!keeps)
		free(o);
}
