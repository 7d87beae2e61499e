/*
 * SIGBUS to -EIO.
 *
 * The copying thread notes where it may fault and where to go then; the handler, on the same thread
 * and in the middle of memcpy, looks whether the address is in that range and jumps. memcpy holds
 * nothing that a jump could leave behind. The jump saves no signal mask, which would cost a system
 * call a copy; the kernel blocks SIGBUS while the handler runs, so who lands unblocks it again.
 *
 * State at file level, against the house's rule: a signal's handler belongs to the process, and
 * what it finds out about its thread can only be thread-local.
 */
#include "guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/lock.h"

static struct mutex users_lock = MUTEX_INIT(RANK_LEAF, "sigbus users");
static unsigned nr_users;		/* [users_lock] */
static struct sigaction previous;	/* [users_lock], and the handler while there are users */

static _Thread_local struct {
	bool is_unblocked;
	/* While a copy runs; volatile, for the handler reads them in its middle. */
	const char *volatile from;
	const char *volatile to;	/* NULL: none runs */
	sigjmp_buf back;
} guard;

/* Not a copy's fault: as if we had never been here. */
static void pass_on(const siginfo_t *info)
{
	sigaction(SIGBUS, &previous, NULL);
	if (info->si_code <= 0)
		raise(SIGBUS);	/* somebody sent it */
	/* Else the instruction faults again on return, and meets the previous handler. */
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const char *at = info->si_addr;

	(void)sig;
	(void)context;
	if (info->si_code > 0 && guard.to && at >= guard.from && at < guard.to)
		siglongjmp(guard.back, 1);
	pass_on(info);
}

void guard_start(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	mutex_lock(&users_lock);
	if (nr_users++ == 0)
		must(sigaction(SIGBUS, &action, &previous) == 0);
	mutex_unlock(&users_lock);
}

void guard_stop(void)
{
	mutex_lock(&users_lock);
	must(nr_users);
	if (--nr_users == 0)
		must(sigaction(SIGBUS, &previous, NULL) == 0);
	mutex_unlock(&users_lock);
}

static void unblock(void)
{
	sigset_t bus;

	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	must(pthread_sigmask(SIG_UNBLOCK, &bus, NULL) == 0);
	guard.is_unblocked = true;
}

static int guarded_copy(void *to, const void *from, size_t len, const void *mapped)
{
	if (len == 0)
		return 0;
	if (!guard.is_unblocked)
		unblock();
	if (sigsetjmp(guard.back, 0)) {
		guard.to = NULL;
		unblock();
		return -EIO;
	}
	guard.from = mapped;
	guard.to = (const char *)mapped + len;
	/* The compiler may not move the copy over these, which it takes for plain memory. */
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(to, from, len);
	atomic_signal_fence(memory_order_seq_cst);
	guard.to = NULL;
	return 0;
}

int guarded_copy_from(void *to, const void *mapped, size_t len)
{
	return guarded_copy(to, mapped, len, mapped);
}

int guarded_copy_to(void *mapped, const void *from, size_t len)
{
	return guarded_copy(mapped, from, len, mapped);
}
