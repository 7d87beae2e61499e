/*
 * Leader and followers: one thread reads, the others are parked or busy.
 *
 *	            request                    about to sleep: a parked thread reads on
 *	 READING ------------> BUSY, READER ------------------------> BUSY
 *	    ^  <------------------   |  done                            | done
 *	    |        done            |                                  v
 *	    +----- woken ------- PARKED <------- there is a reader ---- (asks)
 *	    +---------------- there is none ----------------------------+
 *
 * The thread that processes a request stays the reader: nobody else is woken, and for requests
 * that are answered from memory one thread on one CPU does everything. When it is about to wait
 * (a lock, a page, the disk, the throttle) its blocking hook makes a parked thread the reader.
 *
 *	R1  at most one thread has is_reader, and has_reader says whether one has.
 *	R2  has_reader is false only while no thread is parked: they are all inside requests.
 *	R3  a thread asks for the reading as soon as its request is done, under the same lock.
 *
 * So requests wait unread only while (a) every thread is inside a request that waits, and the
 * first to be done reads on (R2, R3); none of them waits for a later request, since what a request
 * waits for is the disk, the flusher, or a lock whose holder is itself one of these; or (b) the
 * reader computes without waiting for anything. Operations that may compute for long (truncating
 * or evicting a big file) therefore call thread_will_block() first.
 *
 * A kick may come just before a thread enters receive() and be lost, so stopping repeats it until
 * all have left.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"

#define LOCK_BIT 1u
#define PARKED_BIT 2u
#define WAITERS_BIT 4u

#define KICK_INTERVAL_NS (5 * 1000000L)

struct server_thread {
	struct server *server;
	struct thread *os;
	struct fuse_buf buf;
	bitword_t parked;		/* PARKED_BIT while it sleeps for work */
	bool is_reader;			/* [own thread; the waker's while parked] */
	bool is_processing;		/* [own thread] only then the hook means anything */
	pid_t tid;			/* set before the first receive() */
	_Atomic bool is_receiving;	/* perhaps asleep in it, and to be kicked at the end */
};

struct server {
	struct server_config config;

	bitword_t lock;
	bool has_reader;		/* [lock] */
	unsigned nr_parked;		/* [lock] */
	struct server_thread **parked;	/* [lock] a stack: the one parked last is still warm */
	int error;			/* [lock] */
	_Atomic bool is_ending;		/* set under lock */

	_Atomic unsigned nr_running;
	unsigned nr_threads;
	struct server_thread *threads;
};

static void lock(struct server *srv)
{
	bit_lock(&srv->lock, LOCK_BIT, WAITERS_BIT);
}

static void unlock(struct server *srv)
{
	bit_unlock(&srv->lock, LOCK_BIT, WAITERS_BIT);
}

static void wake(struct server_thread *t)
{
	bit_clear_wake(&t->parked, PARKED_BIT, WAITERS_BIT);
}

/* The blocking hook of a serving thread. */
static void hand_on_reading(void *arg)
{
	struct server_thread *t = arg, *next = NULL;
	struct server *srv = t->server;

	if (!t->is_processing || !t->is_reader)
		return;		/* first is_processing: going to sleep as parked calls the hook too */
	lock(srv);
	t->is_reader = false;
	if (srv->nr_parked > 0) {
		next = srv->parked[--srv->nr_parked];
		next->is_reader = true;
	} else {
		srv->has_reader = false;
	}
	unlock(srv);
	if (next)
		wake(next);
}

/* True once this thread is the reader, perhaps after a sleep; false when all is over. */
static bool become_reader(struct server_thread *t)
{
	struct server *srv = t->server;

	lock(srv);
	if (atomic_load(&srv->is_ending)) {
		unlock(srv);
		return false;
	}
	if (!srv->has_reader) {
		srv->has_reader = true;
		t->is_reader = true;
		unlock(srv);
		return true;
	}
	atomic_store(&t->parked, PARKED_BIT);
	srv->parked[srv->nr_parked++] = t;
	unlock(srv);
	bit_wait_clear(&t->parked, PARKED_BIT, WAITERS_BIT);
	return t->is_reader;
}

/* From here on no thread becomes the reader; true for the first who says so. */
static bool begin_end(struct server *srv, int error)
{
	unsigned nr = 0;
	bool is_first;

	lock(srv);
	is_first = !atomic_exchange(&srv->is_ending, true);
	if (is_first) {
		srv->error = error;
		nr = srv->nr_parked;
		srv->nr_parked = 0;
	}
	unlock(srv);
	while (nr > 0)	/* the stack is nobody's now */
		wake(srv->parked[--nr]);
	return is_first;
}

/* One request; false when the thread is to ask again whether it still reads. */
static bool serve_one(struct server_thread *t)
{
	const struct server_config *c = &t->server->config;
	int got;

	atomic_store(&t->is_receiving, true);
	got = atomic_load(&t->server->is_ending) ? -EINTR : c->receive(c->arg, &t->buf);
	atomic_store(&t->is_receiving, false);
	if (got > 0) {
		thread_unblocked_reset();
		t->is_processing = true;
		c->process(c->arg, &t->buf);
		t->is_processing = false;
	} else if (got != -EINTR && got != -EAGAIN) {
		if (begin_end(t->server, got))
			c->on_end(c->arg);
	}
	return t->is_reader && !atomic_load(&t->server->is_ending);
}

static void serve(void *arg)
{
	struct server_thread *t = arg;
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, SERVER_KICK_SIGNAL);
	must(pthread_sigmask(SIG_UNBLOCK, &kick, NULL) == 0);
	t->tid = gettid();
	thread_set_blocking_hook(hand_on_reading, t);
	while (become_reader(t))
		while (serve_one(t))
			;
	thread_set_blocking_hook(NULL, NULL);
	atomic_fetch_sub(&t->server->nr_running, 1);
}

static void kick_until_all_left(struct server *srv)
{
	const struct timespec pause = {.tv_nsec = KICK_INTERVAL_NS};

	while (atomic_load(&srv->nr_running) > 0) {
		for (unsigned i = 0; i < srv->nr_threads; i++)
			if (atomic_load(&srv->threads[i].is_receiving))
				syscall(SYS_tgkill, getpid(), srv->threads[i].tid, SERVER_KICK_SIGNAL);
		nanosleep(&pause, NULL);
	}
}

static void destroy(struct server *srv)
{
	for (unsigned i = 0; i < srv->nr_threads; i++)
		free(srv->threads[i].buf.mem);	/* libfuse allocated it */
	mem_free(srv->threads);
	mem_free(srv->parked);
	mem_free(srv);
}

int server_stop(struct server *srv)
{
	int error;

	begin_end(srv, 0);
	kick_until_all_left(srv);
	for (unsigned i = 0; i < srv->nr_threads; i++)
		thread_join(srv->threads[i].os);
	error = srv->error;
	destroy(srv);
	return error;
}

static bool start_thread(struct server *srv)
{
	struct server_thread *t = &srv->threads[srv->nr_threads];

	t->server = srv;
	atomic_fetch_add(&srv->nr_running, 1);
	t->os = thread_create("fuse", serve, t);
	if (!t->os) {
		atomic_fetch_sub(&srv->nr_running, 1);
		return false;
	}
	srv->nr_threads++;
	return true;
}

int server_start(const struct server_config *config, struct server **ret_server)
{
	struct server *srv = mem_zalloc(sizeof(*srv));

	if (!srv)
		return -ENOMEM;
	srv->config = *config;
	srv->threads = mem_zalloc(config->nr_threads * sizeof(*srv->threads));
	srv->parked = mem_zalloc(config->nr_threads * sizeof(struct server_thread *));
	if (!srv->threads || !srv->parked) {
		destroy(srv);
		return -ENOMEM;
	}
	/* All now and parked, so that the hook, which runs under other people's locks, creates none. */
	for (unsigned i = 0; i < config->nr_threads && start_thread(srv); i++)
		;
	if (srv->nr_threads == 0) {
		destroy(srv);
		return -ENOMEM;
	}
	*ret_server = srv;
	return 0;
}
