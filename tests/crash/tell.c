/* A finding, made small and told with the command that repeats it. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/door.h"
#include "crash/need.h"
#include "crash/rules.h"

static char last_words[4096];

static void on_abort(int sig)
{
	ssize_t n = write(2, last_words, strlen(last_words));

	(void)n;
	(void)sig;
}

void tell_on_abort(void)
{
	signal(SIGABRT, on_abort);
}

void tell_doing(FILE *to)
{
	fputs(last_words, to);
}

void note_doing(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_words, sizeof(last_words), fmt, args);
	va_end(args);
}

static void print_ops(const struct op_list *ops, char *to, size_t size)
{
	size_t at = 0;

	to[0] = 0;
	for (uint32_t i = 0; i < ops->nr && at < size; i++) {
		char text[300];

		op_print(&ops->ops[i], text, sizeof(text));
		at += (size_t)snprintf(to + at, size - at, "%s%s", i ? "; " : "", text);
	}
}

void note_workload(const struct op_list *ops)
{
	size_t at = (size_t)snprintf(last_words, sizeof(last_words) - 2, "crash: it stopped in: -o '");

	print_ops(ops, last_words + at, sizeof(last_words) - at - 3);
	strcat(last_words, "'\n");
}

/* The list without operation i. */
static void without(const struct op_list *from, uint32_t i, struct op_list *to)
{
	*to = (struct op_list){0};
	for (uint32_t k = 0; k < from->nr; k++)
		if (k != i)
			op_list_add(to, &from->ops[k]);
}

/* What a run is made smaller by: true while it still breaks what it broke. */
typedef bool (*breaks_fn)(struct door *d, struct run *run);

static bool breaks_promise(struct door *d, struct run *run)
{
	return !lab_explore(d->lab, run);
}

static bool breaks_rule(struct door *d, struct run *run)
{
	return !rules_hold(d->lab, run, d->lab->finding.what, sizeof(d->lab->finding.what));
}

static struct run *still_breaks(struct door *d, const struct op_list *ops, breaks_fn breaks)
{
	char why[300];
	struct run *run = lab_run(d->lab, ops, why, sizeof(why));

	if (!run)
		return NULL;
	if (d->fault)
		need(run_plant(run, d->lab, d->fault), d->fault);
	if (breaks(d, run))
		return run;
	run_destroy(run);
	return NULL;
}

static struct run *minimise_ops(struct door *d, struct run *run, breaks_fn breaks)
{
	for (uint32_t i = run->actors[0].ops.nr; i-- > 0 && run->actors[0].ops.nr <= 60;) {
		struct op_list fewer;
		struct run *smaller;

		without(&run->actors[0].ops, i, &fewer);
		smaller = still_breaks(d, &fewer, breaks);
		op_list_done(&fewer);
		if (smaller) {
			run_destroy(run);
			run = smaller;
		}
	}
	return run;
}

static void print_options(const struct door *d)
{
	static const char *const modes[] = {[DATA_ORDERED] = "", [DATA_WRITEBACK] = " -m writeback", [DATA_JOURNAL] = " -m journal"};
	const struct lab_config *c = &d->lab->config;

	printf("crash -b %u -Z %llu -S %llu -u %u%s%s%s%s%s%s -i '%s' ", c->block_bytes, (unsigned long long)c->size_bytes,
	       (unsigned long long)c->seed, c->unused_inodes_max, c->has_no_checksum ? " -C" : "", c->shuffles ? " -X" : "",
	       c->has_discard ? " -D" : "", modes[c->data_mode], d->fault ? " -p " : "",
	       d->fault ? d->fault : "", c->setup);
}

void tell(struct door *d, struct run *run)
{
	static char text[1u << 16];
	struct run *again;

	run = minimise_ops(d, run, breaks_promise);
	/* The finding is of the last exploration, which may have been one that found nothing. */
	again = still_breaks(d, &run->actors[0].ops, breaks_promise);
	if (again) {
		run_destroy(run);
		run = again;
		lab_minimise_state(d->lab, run);
	}
	print_ops(&run->actors[0].ops, text, sizeof(text));
	printf("BROKEN: %s\n  after: %s\n  repeat: ", d->lab->finding.what, text);
	print_options(d);
	printf("-o '%s' -x %llu -w ", text, (unsigned long long)d->lab->finding.state.tick);
	state_print(&d->lab->finding.state, run, stdout);
	printf("\n");
	fflush(stdout);
	run_destroy(run);
}

void tell_rule(struct door *d, struct run *run)
{
	static char text[1u << 16];

	run = minimise_ops(d, run, breaks_rule);
	need(breaks_rule(d, run), "a rule that is broken twice");
	print_ops(&run->actors[0].ops, text, sizeof(text));
	printf("BROKEN: %s\n  after: %s\n  the writes, one a line: ", d->lab->finding.what, text);
	print_options(d);
	printf("-L -o '%s'\n", text);
	fflush(stdout);
	run_destroy(run);
}
