/*
 * base/mem.h - memory that is counted, bounded and can be made to fail.
 *
 * Purpose     Every allocation of the house. Plain ones return NULL when there is none; pools
 *             hold objects that come by the thousand and have a hard bound.
 * Ownership   The caller owns what it gets and gives it back with the matching function.
 * Locking     Any thread. A pool has one leaf lock (RANK_LEAF).
 * Errors      NULL. Tests make the n-th allocation fail with mem_fail_nth().
 * Context     pool_get_wait() sleeps until another thread puts; nothing else does.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/types.h"

void *mem_alloc(size_t size_bytes) must_check;
void *mem_zalloc(size_t size_bytes) must_check;
void *mem_realloc(void *p, size_t size_bytes) must_check;
/* alignment: a power of two, at least sizeof(void *). */
void *mem_alloc_aligned(size_t size_bytes, size_t alignment) must_check;
void mem_free(void *p);	/* of all of the above; NULL is harmless */
char *mem_strdup(const char *s) must_check;

/* Tests: the n-th allocation from now (1 is the next) fails, and with `sticky` all after it. 0 turns it off. */
void mem_fail_nth(uint64_t n, bool sticky);
/* Tests: objects allocated and not freed, over all threads. */
uint64_t mem_live_count(void);

/*
 * A pool of objects of one size. Freed objects are kept for reuse up to nr_cached; nr_max bounds
 * what is out at once (0: unbounded).
 */
struct pool;
struct pool *pool_create(const char *name, size_t object_bytes, size_t alignment, uint32_t nr_max,
			 uint32_t nr_cached) must_check;
void pool_destroy(struct pool *pool);		/* all objects must be back; NULL is harmless */
void *pool_get(struct pool *pool) must_check;	/* not zeroed; NULL at the bound or without memory */
void *pool_get_wait(struct pool *pool);		/* never NULL: waits at the bound or without memory */
void pool_put(struct pool *pool, void *object);
uint32_t pool_in_use(const struct pool *pool);

#endif
