/*
 * base/lockrank.h - which ranked locks this thread holds.
 *
 * Purpose     Lock order as a rule that a running program checks: a thread takes ranks in
 *             ascending order only, so no two threads can wait for each other. Always built, so
 *             that it is always tested; lock.c calls it in the debug build only.
 * Ownership   One list a thread, in thread-local memory.
 * Locking     None: nobody sees another thread's list.
 * Errors      A violation is our own bug: it prints both locks and stops.
 */
#ifndef BASE_LOCKRANK_H
#define BASE_LOCKRANK_H

#include "base/lock.h"

/* Before waiting for a lock. may_equal: a lock of this very rank may be held. */
void lockrank_check(enum lock_rank rank, const char *name, bool may_equal);
/* Once it is taken; also after a trylock, which needs no check as it never waits. */
void lockrank_taken(const void *lock, enum lock_rank rank, const char *name);
void lockrank_dropped(const void *lock, const char *name);
bool lockrank_holds(const void *lock);

#endif
