/*
 * Mutexes, reader-writer locks and conditions over pthreads; the blocking hook.
 *
 * Each lock call tries first and announces itself to the hook only when it is going to wait, so
 * that an uncontended lock costs what pthreads cost. The debug build checks ranks before it waits:
 * an order that could deadlock is told also on the runs in which it does not.
 */
#include "base/lock.h"

#include <errno.h>
#include <time.h>

#include "base/assert.h"
#include "lockrank.h"

/* These functions are the locks; clang's analysis sees their callers. */
#define no_tsa TSA(no_thread_safety_analysis)

#ifdef EXTANT_DEBUG
#define MUTEX_TYPE PTHREAD_MUTEX_ERRORCHECK
#define CHECKED true
#else
#define MUTEX_TYPE PTHREAD_MUTEX_ADAPTIVE_NP
#define CHECKED false
#endif

static _Thread_local struct {
	thread_blocking_fn fn;
	void *arg;
	bool was_called;
} hook;

void thread_set_blocking_hook(thread_blocking_fn fn, void *arg)
{
	hook.fn = fn;
	hook.arg = arg;
	hook.was_called = false;
}

void thread_unblocked_reset(void)
{
	hook.was_called = false;
}

void thread_will_block(void)
{
	if (!hook.fn || hook.was_called)
		return;
	hook.was_called = true;
	hook.fn(hook.arg);
}

/* Mutex. */

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name)
{
	pthread_mutexattr_t attr;

	must(pthread_mutexattr_init(&attr) == 0);
	must(pthread_mutexattr_settype(&attr, MUTEX_TYPE) == 0);
	must(pthread_mutex_init(&m->os, &attr) == 0);
	pthread_mutexattr_destroy(&attr);
	m->rank = rank;
	m->name = name;
}

void mutex_done(struct mutex *m)
{
	must(pthread_mutex_destroy(&m->os) == 0);
}

static inline void lock_mutex(struct mutex *m, bool may_equal) no_tsa
{
	if (CHECKED)
		lockrank_check(m->rank, m->name, may_equal);
	if (pthread_mutex_trylock(&m->os) != 0) {
		thread_will_block();
		must(pthread_mutex_lock(&m->os) == 0);
	}
	if (CHECKED)
		lockrank_taken(m, m->rank, m->name);
}

void mutex_lock(struct mutex *m) no_tsa
{
	lock_mutex(m, false);
}

void mutex_lock_nested(struct mutex *m) no_tsa
{
	lock_mutex(m, true);
}

bool mutex_trylock(struct mutex *m) no_tsa
{
	if (pthread_mutex_trylock(&m->os) != 0)
		return false;
	if (CHECKED)
		lockrank_taken(m, m->rank, m->name);
	return true;
}

void mutex_unlock(struct mutex *m) no_tsa
{
	if (CHECKED)
		lockrank_dropped(m, m->name);
	must(pthread_mutex_unlock(&m->os) == 0);
}

void must_hold(const struct mutex *m) no_tsa
{
	if (CHECKED)
		must(lockrank_holds(m));
}

/*
 * Nested locks of one rank are taken in an order that their owner defines, and that may change while
 * the locks live on: a directory's parent is locked first, and a rename makes another its parent.
 * The thread sanitizer remembers the order of yesterday; it still sees every race.
 */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "deadlock:rwlock_write_lock_nested\n"
	       "deadlock:rwlock_read_lock_nested\n";
}
#endif

/* Reader-writer lock. */

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name)
{
	pthread_rwlockattr_t attr;

	must(pthread_rwlockattr_init(&attr) == 0);
	must(pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
	must(pthread_rwlock_init(&l->os, &attr) == 0);
	pthread_rwlockattr_destroy(&attr);
	l->rank = rank;
	l->name = name;
}

void rwlock_done(struct rwlock *l)
{
	must(pthread_rwlock_destroy(&l->os) == 0);
}

static inline void lock_rwlock(struct rwlock *l, bool may_equal, int (*try)(pthread_rwlock_t *),
			       int (*wait)(pthread_rwlock_t *)) no_tsa
{
	if (CHECKED)
		lockrank_check(l->rank, l->name, may_equal);
	if (try(&l->os) != 0) {
		thread_will_block();
		must(wait(&l->os) == 0);
	}
	if (CHECKED)
		lockrank_taken(l, l->rank, l->name);
}

void rwlock_read_lock(struct rwlock *l) no_tsa
{
	lock_rwlock(l, false, pthread_rwlock_tryrdlock, pthread_rwlock_rdlock);
}

void rwlock_read_lock_nested(struct rwlock *l) no_tsa
{
	lock_rwlock(l, true, pthread_rwlock_tryrdlock, pthread_rwlock_rdlock);
}

void rwlock_write_lock(struct rwlock *l) no_tsa
{
	lock_rwlock(l, false, pthread_rwlock_trywrlock, pthread_rwlock_wrlock);
}

void rwlock_write_lock_nested(struct rwlock *l) no_tsa
{
	lock_rwlock(l, true, pthread_rwlock_trywrlock, pthread_rwlock_wrlock);
}

bool rwlock_write_trylock(struct rwlock *l) no_tsa
{
	if (pthread_rwlock_trywrlock(&l->os) != 0)
		return false;
	if (CHECKED)
		lockrank_taken(l, l->rank, l->name);
	return true;
}

static void unlock_rwlock(struct rwlock *l) no_tsa
{
	if (CHECKED)
		lockrank_dropped(l, l->name);
	must(pthread_rwlock_unlock(&l->os) == 0);
}

void rwlock_read_unlock(struct rwlock *l) no_tsa
{
	unlock_rwlock(l);
}

void rwlock_write_unlock(struct rwlock *l) no_tsa
{
	unlock_rwlock(l);
}

/* Condition. */

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&c->os, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

void cond_done(struct cond *c)
{
	must(pthread_cond_destroy(&c->os) == 0);
}

void cond_wait(struct cond *c, struct mutex *m)
{
	must_hold(m);
	thread_will_block();
	must(pthread_cond_wait(&c->os, &m->os) == 0);
}

/* Now plus ms; so far ahead that nobody sees the end when the sum does not fit. */
static struct timespec deadline_after(uint64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)min(ms / 1000, (uint64_t)INT32_MAX);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

bool cond_wait_ms(struct cond *c, struct mutex *m, uint64_t timeout_ms)
{
	struct timespec deadline = deadline_after(timeout_ms);
	int err;

	must_hold(m);
	thread_will_block();
	err = pthread_cond_timedwait(&c->os, &m->os, &deadline);
	must(err == 0 || err == ETIMEDOUT);
	return err == 0;
}

void cond_signal(struct cond *c)
{
	must(pthread_cond_signal(&c->os) == 0);
}

void cond_broadcast(struct cond *c)
{
	must(pthread_cond_broadcast(&c->os) == 0);
}
