/*
 * Lines for people: level, limit, sink.
 *
 * The sink is called under one leaf lock, so lines never mix, a sink needs no lock of its own,
 * and after log_set_sink() has returned the former sink is not running any more.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"

#define LINE_BYTES_MAX 1024		/* a longer line is cut */
#define LIMIT_INTERVAL_NS (5 * NSEC_PER_SEC)
#define LIMIT_BURST 10u			/* lines an interval and call site */

static void stderr_sink(void *arg maybe_unused, enum log_level level maybe_unused, const char *line)
{
	fprintf(stderr, "extant: %s\n", line);
}

static struct mutex sink_lock = MUTEX_INIT(RANK_LEAF, "log sink");
static log_sink_fn sink = stderr_sink;	/* [sink_lock] */
static void *sink_arg;			/* [sink_lock] */
static _Atomic int level_max = LOG_LEVEL_NOTICE;

void log_set_sink(log_sink_fn new_sink, void *arg)
{
	mutex_lock(&sink_lock);
	sink = new_sink ? new_sink : stderr_sink;
	sink_arg = arg;
	mutex_unlock(&sink_lock);
}

void log_set_level(enum log_level max)
{
	atomic_store_explicit(&level_max, (int)max, memory_order_relaxed);
}

void log_vwrite(enum log_level level, const char *fmt, va_list args)
{
	char line[LINE_BYTES_MAX];

	if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	mutex_lock(&sink_lock);
	sink(sink_arg, level, line);
	mutex_unlock(&sink_lock);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vwrite(level, fmt, args);
	va_end(args);
}

void log_printed(void (*print)(void *arg, FILE *to), void *arg)
{
	char *text = NULL, *rest, *line;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	print(arg, f);
	fclose(f);
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_notice("%s", line);
	free(text);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/*
 * Callers on several threads may both open a window; then a few lines more or fewer come out,
 * which harms nobody.
 */
bool log_limit_allows(struct log_limit *limit)
{
	uint64_t now = monotonic_ns();
	uint64_t start = __atomic_load_n(&limit->window_start_ns, __ATOMIC_RELAXED);
	uint32_t suppressed;

	if (start == 0 || now - start >= LIMIT_INTERVAL_NS) {
		__atomic_store_n(&limit->window_start_ns, now, __ATOMIC_RELAXED);
		__atomic_store_n(&limit->written, 0, __ATOMIC_RELAXED);
		suppressed = __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED);
		if (suppressed)
			log_warning("%u lines like the next were left out", suppressed);
	}
	if (__atomic_fetch_add(&limit->written, 1, __ATOMIC_RELAXED) < LIMIT_BURST)
		return true;
	__atomic_fetch_add(&limit->suppressed, 1, __ATOMIC_RELAXED);
	return false;
}
