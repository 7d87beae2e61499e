/*
 * base/assert.h - must(): our own bugs stop the program, in release builds too.
 *
 * Purpose     A daemon that goes on with broken state destroys data; one that stops is a power
 *             cut, which the journal is for. Never for what came from disk, kernel or user.
 * Locking     None.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "base/types.h"

void must_failed(const char *file, int line, const char *cond) no_return;

#define must(cond)                                                       \
	do {                                                             \
		if (unlikely(!(cond)))                                   \
			must_failed(__FILE__, __LINE__, #cond);          \
	} while (0)

/* Too dear for a release build: checked under EXTANT_DEBUG only, compiled always. */
#ifdef EXTANT_DEBUG
#define must_debug(cond) must(cond)
#else
#define must_debug(cond)               \
	do {                           \
		if (0)                 \
			must(cond);    \
	} while (0)
#endif

#endif
