/*
 * base/log.h - what is told to people, and the trace ring that is kept for the day of need.
 *
 * Purpose     One line a fault, with the names a user knows; and an always-on ring of small
 *             fixed records that must(), a signal or a failing test prints.
 * Ownership   The sink (a file, syslog) is the caller's. The ring is static memory.
 * Locking     Any thread. The ring is lock-free; a record being overwritten may print torn.
 * Context     Does not sleep but for the sink's own write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdio.h>

#include "base/types.h"

enum log_level {
	LOG_LEVEL_ERROR,	/* something is lost or refused */
	LOG_LEVEL_WARNING,	/* going on, but somebody should know */
	LOG_LEVEL_NOTICE,	/* mount, recovery, unmount */
	LOG_LEVEL_DEBUG,
};

/* Receives finished lines, without the newline. */
typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line);

/* Default sink: standard error, as "extant: LINE". sink NULL brings it back. */
void log_set_sink(log_sink_fn sink, void *arg);
void log_set_level(enum log_level max);
void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);
void log_vwrite(enum log_level level, const char *fmt, va_list args);
/* What print writes, as notices, a line each. */
void log_printed(void (*print)(void *arg, FILE *to), void *arg);

/* A call site that may fault a thousand times a second: at most burst lines every interval. */
struct log_limit {
	uint64_t window_start_ns;
	uint32_t written, suppressed;
};
bool log_limit_allows(struct log_limit *limit);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_error_limited(...)                                  \
	do {                                                    \
		static struct log_limit limit_;                 \
		if (log_limit_allows(&limit_))                  \
			log_error(__VA_ARGS__);                 \
	} while (0)

/* event is a string literal "room.event"; a and b are its two numbers. A few nanoseconds. */
void trace(const char *event, uint64_t a, uint64_t b);
void trace_dump(FILE *to, unsigned last);

#endif
