/*
 * base/lock.h - the only door to threads, mutexes, reader-writer locks, conditions, bit locks.
 *
 * Purpose     A lock has a rank and a name. The debug build stops with both names when a thread
 *             takes a rank that is not greater than one it holds (src/LOCKING.md lists them).
 * Ownership   Locks live inside the objects they guard; init and done by the object's owner.
 * Locking     Rank order, outermost (smallest) first. Equal ranks may nest only through the
 *             _nested calls, whose caller states the order in a comment.
 * Context     lock calls sleep. A thread that is about to sleep for long - a contended lock, a
 *             condition, a bit - first calls its blocking hook (below).
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/types.h"

enum lock_rank {
	RANK_MOUNT = 5,		/* mount, unmount, remount */
	RANK_RENAME = 10,	/* the tree's shape */
	RANK_INODE = 20,	/* a directory's names, a file's size */
	RANK_HANDLE = 30,	/* log space */
	RANK_PAGE = 40,		/* a page's content; a bit lock, not tracked */
	RANK_TREE = 50,		/* an inode's indirect tree */
	RANK_BUFFER = 55,	/* a metadata block; a bit lock, not tracked */
	RANK_ORPHAN = 57,	/* the on-disk orphan list */
	RANK_GROUP = 60,	/* one group's counters and bitmaps */
	RANK_RESERVE = 65,	/* the reservation windows */
	RANK_SUPER = 68,	/* totals of the mount */
	RANK_JOURNAL = 70,
	RANK_JOURNAL_LIST = 75,
	RANK_ICACHE = 78,	/* inode and dentry tables */
	RANK_MAPPING = 80,	/* a mapping's index tree and tags */
	RANK_LRU = 85,		/* reclaim lists, dirty accounts */
	RANK_QUEUE = 90,
	RANK_ELEVATOR = 92,
	RANK_DRIVER = 95,
	RANK_CLOCK = 96,	/* who hears of a virtual clock's moves */
	RANK_WORK = 97,
	RANK_LEAF = 99,		/* statistics, log, pools: never calls out */
};

/* clang's lock analysis (make tsa); gcc sees nothing. */
#ifdef __clang__
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif
#define needs(...) TSA(exclusive_locks_required(__VA_ARGS__))
#define needs_shared(...) TSA(shared_locks_required(__VA_ARGS__))
#define takes(...) TSA(acquire_capability(__VA_ARGS__))
#define takes_shared(...) TSA(acquire_shared_capability(__VA_ARGS__))
#define drops(...) TSA(release_capability(__VA_ARGS__))
#define drops_shared(...) TSA(release_shared_capability(__VA_ARGS__))

struct TSA(capability("mutex")) mutex {
	pthread_mutex_t os;
	const char *name;
	enum lock_rank rank;
};

/* For the few locks that no object owns. */
#define MUTEX_INIT(lock_rank, lock_name) \
	{.os = PTHREAD_MUTEX_INITIALIZER, .name = (lock_name), .rank = (lock_rank)}

struct TSA(capability("rwlock")) rwlock {
	pthread_rwlock_t os;
	const char *name;
	enum lock_rank rank;
};

struct cond {
	pthread_cond_t os;	/* on CLOCK_MONOTONIC */
};

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m) takes(*m);
void mutex_lock_nested(struct mutex *m) takes(*m);	/* an equal rank may be held */
bool mutex_trylock(struct mutex *m) TSA(try_acquire_capability(true, *m));
void mutex_unlock(struct mutex *m) drops(*m);
void must_hold(const struct mutex *m) TSA(assert_capability(*m));	/* debug build only */

/* Writers are preferred, so a stream of readers cannot starve one. Not recursive in either mode. */
void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name);
void rwlock_done(struct rwlock *l);
void rwlock_read_lock(struct rwlock *l) takes_shared(*l);
void rwlock_read_lock_nested(struct rwlock *l) takes_shared(*l);
void rwlock_read_unlock(struct rwlock *l) drops_shared(*l);
void rwlock_write_lock(struct rwlock *l) takes(*l);
void rwlock_write_lock_nested(struct rwlock *l) takes(*l);
bool rwlock_write_trylock(struct rwlock *l) TSA(try_acquire_capability(true, *l));
void rwlock_write_unlock(struct rwlock *l) drops(*l);

void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m) needs(*m);
/* False when timeout_ms passed first (real time; virtual time is the clock's business). */
bool cond_wait_ms(struct cond *c, struct mutex *m, uint64_t timeout_ms) needs(*m);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/*
 * Bit locks: many small objects, each with a flags word, released perhaps by a completion on
 * another thread, so no owner is tracked. `waiters` is the bit of the same word that says
 * somebody sleeps; all bits of a word may share one. Acquire and release order as a mutex has it.
 */
typedef _Atomic uint32_t bitword_t;
void bit_lock(bitword_t *word, uint32_t bit, uint32_t waiters);
bool bit_trylock(bitword_t *word, uint32_t bit);
void bit_unlock(bitword_t *word, uint32_t bit, uint32_t waiters);
/* Sleeps until bit is clear; does not take it. */
void bit_wait_clear(bitword_t *word, uint32_t bit, uint32_t waiters);
/* Clears bit and wakes who waited for that. */
void bit_clear_wake(bitword_t *word, uint32_t bit, uint32_t waiters);

/*
 * The blocking hook: a front end with few threads wants to know when one of them is about to
 * sleep, so that it can let another read requests. The hook is the calling thread's; it must not
 * take ranked locks. `blocking` calls it (once until the thread says thread_unblocked_reset()).
 */
typedef void (*thread_blocking_fn)(void *arg);
void thread_set_blocking_hook(thread_blocking_fn fn, void *arg);	/* NULL: none */
void thread_unblocked_reset(void);	/* the next block is told again; so does setting a hook */
void thread_will_block(void);	/* called by the slow paths here and by whoever does long system calls */

struct thread;
struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg) must_check; /* NULL: none to be had */
void thread_join(struct thread *t);	/* frees it; NULL is harmless */

#endif
