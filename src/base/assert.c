/*
 * What must() does when it fails: say what, show what happened last, stop.
 *
 * Straight to standard error and through no lock: the thread may hold any.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define TRACE_RECORDS_SHOWN 40

void must_failed(const char *file, int line, const char *cond)
{
	fprintf(stderr, "extant: %s:%d: must hold: %s\n", file, line, cond);
	trace_dump(stderr, TRACE_RECORDS_SHOWN);
	fflush(stderr);
	abort();
}
