/*
 * Lock ranks, checked per thread.
 */
#include "lockrank.h"

#include <stdio.h>

#include "base/assert.h"

#define NR_HELD_MAX 32u		/* no path holds half as many */

struct held {
	const void *lock;
	const char *name;
	enum lock_rank rank;
};

static _Thread_local struct {
	struct held locks[NR_HELD_MAX];
	unsigned count;
} held;

void lockrank_check(enum lock_rank rank, const char *name, bool may_equal)
{
	for (unsigned i = 0; i < held.count; i++) {
		const struct held *h = &held.locks[i];

		if (h->rank < rank || (may_equal && h->rank == rank))
			continue;
		fprintf(stderr, "extant: lock order: takes \"%s\" (rank %d) while holding \"%s\" (rank %d)\n",
			name, (int)rank, h->name, (int)h->rank);
		must(!"locks are taken in ascending rank");
	}
}

void lockrank_taken(const void *lock, enum lock_rank rank, const char *name)
{
	must(held.count < NR_HELD_MAX);
	held.locks[held.count++] = (struct held){.lock = lock, .name = name, .rank = rank};
}

void lockrank_dropped(const void *lock, const char *name)
{
	unsigned i = held.count;

	while (i > 0 && held.locks[i - 1].lock != lock)
		i--;
	if (i == 0) {
		fprintf(stderr, "extant: lock order: drops \"%s\", which this thread does not hold\n", name);
		must(!"a lock is dropped by its holder");
	}
	held.count--;
	for (; i <= held.count; i++)
		held.locks[i - 1] = held.locks[i];
}

bool lockrank_holds(const void *lock)
{
	for (unsigned i = 0; i < held.count; i++)
		if (held.locks[i].lock == lock)
			return true;
	return false;
}
