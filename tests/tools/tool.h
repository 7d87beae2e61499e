/*
 * tools/tool.h - what the small programs of the tests have in common.
 *
 * Purpose     A tool does one thing, says what went wrong in one line and leaves: 0 all is well,
 *             1 what it looked for is not so, 2 it could not do its work.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Says what could not be done, with errno's reason, and leaves with 2. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *fmt, ...)
{
	int err = errno;
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(2);
}

static inline void *alloc_or_die(size_t size)
{
	void *bytes = calloc(1, size ? size : 1);

	if (!bytes)
		die("%zu bytes of memory", size);
	return bytes;
}

static inline double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
