/*
 * Locks of one bit, on futexes.
 *
 * The word holds the lock's bit, the waiters bit and flags of others, and the kernel compares the
 * whole word when somebody goes to sleep:
 *
 *	C1  Who sleeps has seen, in one value of the word, both the bit and `waiters` set, and
 *	    sleeps only while the word is that value.
 *	C2  Clearing the bit clears `waiters` in the same step; if it was set, all sleepers wake.
 *
 * So no wake-up is lost: after C2 the word differs from what any sleeper-to-be has seen, unless
 * others have set both bits again, and then a later C2 is certain. Sleepers of other bits of the
 * word wake too, find their bit still set, and set `waiters` again (C1).
 *
 * After the bit is cleared the object may be gone before the wake call; waking an address nobody
 * sleeps on does nothing, and the kernel never writes to it.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/lock.h"

static void futex_sleep(bitword_t *word, uint32_t expected)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake_all(bitword_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps unless the word is no longer `seen`. Returns the word as it is afterwards. */
static uint32_t sleep_on(bitword_t *word, uint32_t seen, uint32_t waiters)
{
	if (!(seen & waiters)) {
		if (!atomic_compare_exchange_strong_explicit(word, &seen, seen | waiters,
							     memory_order_relaxed, memory_order_relaxed))
			return seen;
		seen |= waiters;
	}
	thread_will_block();
	futex_sleep(word, seen);
	return atomic_load_explicit(word, memory_order_relaxed);
}

void bit_lock(bitword_t *word, uint32_t bit, uint32_t waiters)
{
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

	for (;;) {
		if (seen & bit)
			seen = sleep_on(word, seen, waiters);
		else if (atomic_compare_exchange_weak_explicit(word, &seen, seen | bit, memory_order_acquire,
							       memory_order_relaxed))
			return;
	}
}

bool bit_trylock(bitword_t *word, uint32_t bit)
{
	return !(atomic_fetch_or_explicit(word, bit, memory_order_acquire) & bit);
}

void bit_clear_wake(bitword_t *word, uint32_t bit, uint32_t waiters)
{
	uint32_t before = atomic_fetch_and_explicit(word, ~(bit | waiters), memory_order_release);

	if (before & waiters)
		futex_wake_all(word);
}

void bit_unlock(bitword_t *word, uint32_t bit, uint32_t waiters)
{
	must(atomic_load_explicit(word, memory_order_relaxed) & bit);
	bit_clear_wake(word, bit, waiters);
}

void bit_wait_clear(bitword_t *word, uint32_t bit, uint32_t waiters)
{
	uint32_t seen = atomic_load_explicit(word, memory_order_acquire);

	while (seen & bit) {
		sleep_on(word, seen, waiters);
		seen = atomic_load_explicit(word, memory_order_acquire);
	}
}
