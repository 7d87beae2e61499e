/*
 * Threads.
 *
 * They take no signals: those are for the main thread, which knows what to do with them.
 */
#include <signal.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"

#define NAME_BYTES_MAX 16	/* what the kernel keeps, with the end */

struct thread {
	pthread_t os;
	void (*fn)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->fn(t->arg);
	return NULL;
}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
	struct thread *t = mem_alloc(sizeof(*t));
	char short_name[NAME_BYTES_MAX];
	sigset_t all, before;
	int err;

	if (!t)
		return NULL;
	t->fn = fn;
	t->arg = arg;
	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	err = pthread_create(&t->os, NULL, thread_main, t);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (err) {
		mem_free(t);
		return NULL;
	}
	snprintf(short_name, sizeof(short_name), "%s", name);
	ignore(pthread_setname_np(t->os, short_name), "the name is for ps only");
	return t;
}

void thread_join(struct thread *t)
{
	if (!t)
		return;
	must(pthread_join(t->os, NULL) == 0);
	mem_free(t);
}
