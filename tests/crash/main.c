/*
 * The laboratory's door.
 *
 *	crash -1 -2 -3 N -s       sequences of one, of two, N of three, scripts
 *	crash -o OPS              one workload, given as text
 *	crash -o OPS -x TICK -w STATE   one state of it, as a finding prints it
 *	crash -P                  faults are planted, and each must be found
 *
 * Ends with a line of counts; exit status 1 when a promise was broken.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "crash/lab.h"
#include "crash/need.h"
#include "crash/workloads.h"

struct door {
	struct lab_config config;
	struct lab *lab;
	const char *ops, *state, *script, *fault;
	uint64_t tick;
	bool does_one, does_two, does_scripts, does_planted, does_faults, is_quiet;
	bool is_searching;		/* a finding is what is wanted: it is counted, not told */
	uint32_t nr_threaded;		/* rounds of threads */
	uint32_t nr_three, part, parts, number;
	unsigned seconds;
	time_t began;
	unsigned nr_findings;
	struct lab_counts total;
};

static char last_words[4096];

/* must() ends the process: what it was about is said all the same. */
static void on_abort(int sig)
{
	ssize_t n = write(2, last_words, strlen(last_words));

	(void)n;
	(void)sig;
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

static void note_workload(const struct op_list *ops)
{
	size_t at = (size_t)snprintf(last_words, sizeof(last_words) - 2, "crash: it stopped in: -o '");

	print_ops(ops, last_words + at, sizeof(last_words) - at - 3);
	strcat(last_words, "'\n");
}

/* ---- a finding ---- */

/* The list without operation i. */
static void without(const struct op_list *from, uint32_t i, struct op_list *to)
{
	*to = (struct op_list){0};
	for (uint32_t k = 0; k < from->nr; k++)
		if (k != i)
			op_list_add(to, &from->ops[k]);
}

static struct run *still_breaks(struct door *d, const struct op_list *ops)
{
	char why[300];
	struct run *run = lab_run(d->lab, ops, why, sizeof(why));

	if (!run)
		return NULL;
	if (d->fault)
		need(run_plant(run, d->lab, d->fault), d->fault);
	if (!lab_explore(d->lab, run))
		return run;
	run_destroy(run);
	return NULL;
}

static struct run *minimise_ops(struct door *d, struct run *run)
{
	for (uint32_t i = run->actors[0].ops.nr; i-- > 0 && run->actors[0].ops.nr <= 60;) {
		struct op_list fewer;
		struct run *smaller;

		without(&run->actors[0].ops, i, &fewer);
		smaller = still_breaks(d, &fewer);
		op_list_done(&fewer);
		if (smaller) {
			run_destroy(run);
			run = smaller;
		}
	}
	return run;
}

static void tell(struct door *d, struct run *run)
{
	static char text[1u << 16];
	struct run *again;

	run = minimise_ops(d, run);
	/* The finding is of the last exploration, which may have been one that found nothing. */
	again = still_breaks(d, &run->actors[0].ops);
	if (again) {
		run_destroy(run);
		run = again;
		lab_minimise_state(d->lab, run);
	}
	print_ops(&run->actors[0].ops, text, sizeof(text));
	printf("BROKEN: %s\n  after: %s\n  repeat: crash -b %u -Z %llu -S %llu%s%s -i '%s' -o '%s' -x %llu -w ", d->lab->finding.what, text,
	       d->lab->config.block_bytes, (unsigned long long)d->lab->config.size_bytes,
	       (unsigned long long)d->lab->config.seed, d->fault ? " -p " : "", d->fault ? d->fault : "",
	       d->lab->config.setup, text, (unsigned long long)d->lab->finding.state.tick);
	state_print(&d->lab->finding.state, run, stdout);
	printf("\n");
	fflush(stdout);
	run_destroy(run);
}

/* ---- workloads ---- */

static bool time_is_up(const struct door *d)
{
	return d->seconds && time(NULL) - d->began >= (time_t)d->seconds;
}

static bool try_workload(void *arg, const struct op_list *ops)
{
	struct door *d = arg;
	char why[300];
	struct run *run;

	if (d->number++ % d->parts != d->part)
		return true;
	note_workload(ops);
	run = lab_run(d->lab, ops, why, sizeof(why));
	if (!run) {
		if (strstr(why, "is not possible"))
			return !time_is_up(d);
		printf("BROKEN: %s\n  %s", why, last_words);
		d->nr_findings++;
		return true;
	}
	if (d->fault)
		need(run_plant(run, d->lab, d->fault), d->fault);
	if (!lab_explore(d->lab, run)) {
		d->nr_findings++;
		if (d->is_searching)
			run_destroy(run);
		else
			tell(d, run);
		return d->nr_findings < 10;
	}
	run_destroy(run);
	return !time_is_up(d);
}

static void open_lab(struct door *d, const char *setup, uint64_t size_bytes)
{
	struct lab_config config = d->config;

	config.setup = setup;
	if (size_bytes > config.size_bytes)
		config.size_bytes = size_bytes;
	d->lab = lab_create(&config);
}

static void close_lab(struct door *d)
{
	const struct lab_counts *c = &d->lab->counts;

	d->total.workloads += c->workloads;
	d->total.faults += c->faults;
	d->total.states += c->states;
	d->total.distinct += c->distinct;
	d->total.recovered += c->recovered;
	d->total.used += c->used;
	d->total.second += c->second;
	d->total.e2fsck += c->e2fsck;
	d->total.judge_ns += c->judge_ns;
	d->total.e2fsck_ns += c->e2fsck_ns;
	lab_destroy(d->lab);
	d->lab = NULL;
}

static void do_scripts(struct door *d)
{
	const struct script *s;

	for (unsigned i = 0; (s = workload_script(i)) != NULL; i++) {
		struct op_list ops = {0};

		if (d->script && strcmp(d->script, s->name) != 0)
			continue;
		s->write(&ops, d->config.seed);
		open_lab(d, s->setup, s->size_bytes);
		try_workload(d, &ops);
		if (!d->is_quiet)
			printf("%-20s %8llu states, %llu distinct\n", s->name, (unsigned long long)d->lab->counts.states,
			       (unsigned long long)d->lab->counts.distinct);
		fflush(stdout);
		close_lab(d);
		op_list_done(&ops);
	}
}

static void do_given(struct door *d, const char *setup)
{
	struct op_list ops = {0};
	struct state state = {0};
	struct run *run;
	char why[300];

	need(op_list_parse(&ops, d->ops), "operations that can be read");
	open_lab(d, setup, 0);
	if (!d->state) {
		try_workload(d, &ops);
	} else {
		run = lab_run(d->lab, &ops, why, sizeof(why));
		need(run != NULL, why);
		if (d->fault)
			need(run_plant(run, d->lab, d->fault), d->fault);
		need(state_read(&state, run, d->tick, d->state), "a state that can be read");
		if (!lab_judge_one(d->lab, run, &state)) {
			printf("BROKEN: %s\n", d->lab->finding.what);
			d->nr_findings++;
		}
		state_done(&state);
		run_destroy(run);
	}
	close_lab(d);
	op_list_done(&ops);
}

static void tell_fault(struct door *d, const struct script *s, const struct lab_fault *f, struct run *run)
{
	static const char *const names[] = {"read", "write", "flush", "discard"};

	printf("BROKEN: %s\n  %s: the %s %llu of the disk fails%s; repeat: crash -f -r %s -S %llu\n", d->lab->finding.what, s->name,
	       names[f->op], (unsigned long long)f->nth, f->is_sticky ? ", and all behind it" : "", s->name,
	       (unsigned long long)d->config.seed);
	printf("  event %llu, ", (unsigned long long)d->lab->finding.state.tick);
	state_print(&d->lab->finding.state, run, stdout);
	printf("\n");
	d->nr_findings++;
}

/* Every request of a kind fails once, each in a run of its own, until there are no more. */
static void try_faults(struct door *d, const struct script *s, const struct op_list *ops, struct lab_fault f)
{
	struct run *run;

	for (f.nth = 1; d->nr_findings < 10 && !time_is_up(d); f.nth += d->config.fault_stride) {
		snprintf(last_words, sizeof(last_words), "crash: it stopped in %s with kind %u, request %llu, sticky %u\n",
			 s->name, f.op, (unsigned long long)f.nth, f.is_sticky);
		run = lab_run_faulty(d->lab, ops, &f);
		if (!run)
			return;
		d->lab->counts.faults++;
		if (!lab_explore(d->lab, run))
			tell_fault(d, s, &f, run);
		run_destroy(run);
	}
}

static void do_faults(struct door *d)
{
	static const enum bio_op kinds[] = {BIO_WRITE, BIO_FLUSH, BIO_READ};
	const struct script *s;

	for (unsigned i = 0; (s = workload_script(i)) != NULL; i++) {
		struct op_list ops = {0};

		if (d->script && strcmp(d->script, s->name) != 0)
			continue;
		s->write(&ops, d->config.seed);
		open_lab(d, s->setup, s->size_bytes);
		for (unsigned k = 0; k < 6; k++)
			try_faults(d, s, &ops, (struct lab_fault){.op = kinds[k / 2], .is_sticky = k % 2});
		if (!d->is_quiet)
			printf("%-20s %6llu faults, %8llu states\n", s->name, (unsigned long long)d->lab->counts.faults,
			       (unsigned long long)d->lab->counts.states);
		fflush(stdout);
		close_lab(d);
		op_list_done(&ops);
	}
}

#define ACTORS 4u

static void tell_actors(const struct run *run, const struct state *state)
{
	printf("  the power went at event %llu\n", (unsigned long long)state->tick);
	for (uint32_t i = 0; i < run->nr_actors; i++) {
		const struct actor *a = &run->actors[i];

		printf("  %s (operations %u to %u may be the last):\n", a->top, a->expect.least, a->expect.begun);
		for (uint32_t k = 1; k <= a->expect.begun; k++) {
			char text[300];

			op_print(&a->ops.ops[k - 1], text, sizeof(text));
			printf("    %3u  %-40s %llu to %lld\n", k, text, (unsigned long long)a->marks[k].begun,
			       (long long)a->marks[k].returned);
		}
	}
}

static void try_threaded(struct door *d, uint64_t seed)
{
	struct op_list lists[ACTORS] = {0};
	struct run *run;
	char why[400];

	for (uint32_t i = 0; i < ACTORS; i++)
		workload_of_actor(&lists[i], seed * ACTORS + i);
	snprintf(last_words, sizeof(last_words), "crash: it stopped with threads: -t 1 -S %llu\n", (unsigned long long)seed);
	run = lab_run_threads(d->lab, lists, ACTORS, why, sizeof(why));
	if (!run || !lab_explore(d->lab, run)) {
		printf("BROKEN: %s\n  repeat (threads race: perhaps only the second time): crash -t 1 -S %llu\n",
		       run ? d->lab->finding.what : why, (unsigned long long)seed);
		d->nr_findings++;
		if (run)
			tell_actors(run, &d->lab->finding.state);
	}
	run_destroy(run);
	for (uint32_t i = 0; i < ACTORS; i++)
		op_list_done(&lists[i]);
}

static void do_threaded(struct door *d)
{
	open_lab(d, "mkdir w0; mkdir w1; mkdir w2; mkdir w3", 4u << 20);
	for (uint32_t n = 0; n < d->nr_threaded && d->nr_findings < 10 && !time_is_up(d); n++)
		try_threaded(d, d->config.seed + n);
	close_lab(d);
}

static void do_sequences(struct door *d)
{
	bool goes_on = true;

	open_lab(d, workload_setup, 0);
	if (d->does_one)
		goes_on = workloads_of_one(try_workload, d);
	if (goes_on && d->nr_three)
		goes_on = workloads_of_three(d->config.seed, d->nr_three, try_workload, d);
	if (goes_on && d->does_two)
		workloads_of_two(try_workload, d);
	close_lab(d);
}

/* ---- planted faults ---- */

/* True when the laboratory finds it. */
static bool finds_planted(const struct door *outer, const struct planted *p)
{
	struct door d = {.config = outer->config, .parts = 1, .fault = p->name, .is_quiet = true, .is_searching = true};
	const char *setup = workload_setup;
	struct op_list ops = {0};
	const struct script *s = NULL;

	for (unsigned i = 0; p->script && (s = workload_script(i)) != NULL && strcmp(s->name, p->script) != 0;)
		i++;
	if (s) {
		s->write(&ops, d.config.seed);
		setup = s->setup;
	} else {
		need(op_list_parse(&ops, p->ops), p->ops);
	}
	d.config.has_no_checksum = p->has_no_checksum;
	d.config.splits_rename = strcmp(p->name, "split-rename") == 0;
	d.config.ignores_revokes = strcmp(p->name, "replay-without-revoke") == 0;
	open_lab(&d, setup, s ? s->size_bytes : 0);
	try_workload(&d, &ops);
	if (d.nr_findings && !outer->is_quiet)
		printf("%-24s found: %.120s\n", p->name, d.lab->finding.what);
	close_lab(&d);
	op_list_done(&ops);
	return d.nr_findings != 0;
}

static int find_planted(const struct door *d)
{
	const struct planted *p;
	unsigned nr_found = 0, nr_missed = 0;

	for (unsigned i = 0; (p = workload_planted(i)) != NULL; i++) {
		if (finds_planted(d, p)) {
			nr_found++;
			continue;
		}
		nr_missed++;
		printf("MISSED: the planted fault %s was not found; repeat: crash -P\n", p->name);
	}
	printf("%u passed, %u failed, 0 skipped\n", nr_found, nr_missed);
	return nr_missed != 0;
}

static int conclude(const struct door *d)
{
	const struct lab_counts *c = &d->total;
	double seconds = (double)c->judge_ns / 1e9;

	printf("%llu workloads, %llu states, %llu distinct, %llu recovered, %llu used, %llu second crashes, %llu by e2fsck; "
	       "%.0f states a second in process, %.1f ms for e2fsck; %u findings\n",
	       (unsigned long long)c->workloads, (unsigned long long)c->states, (unsigned long long)c->distinct,
	       (unsigned long long)c->recovered, (unsigned long long)c->used, (unsigned long long)c->second,
	       (unsigned long long)c->e2fsck, seconds > 0 ? (double)c->states / seconds : 0.0,
	       c->e2fsck ? (double)c->e2fsck_ns / 1e6 / (double)c->e2fsck : 0.0, d->nr_findings);
	return d->nr_findings != 0;
}

static void usage(void)
{
	fprintf(stderr, "usage: crash [-1] [-2] [-3 N] [-s | -r SCRIPT] [-o OPS [-i SETUP] [-x TICK -w STATE]] [-b BLOCK] [-Z SIZE]\n"
			"             [-S SEED] [-n SAMPLES] [-e E2FSCK_ONE_IN] [-d SECOND_ONE_IN] [-u INODES] [-p FAULT]\n"
			"             [-T SECONDS] [-k PART/PARTS] [-C] [-q] | -P\n");
	exit(2);
}

static void read_option(struct door *d, int option, const char **setup)
{
	switch (option) {
	case '1': d->does_one = true; break;
	case '2': d->does_two = true; break;
	case '3': d->nr_three = (uint32_t)atoi(optarg); break;
	case 's': d->does_scripts = true; break;
	case 'r': d->does_scripts = true; d->script = optarg; break;
	case 'o': d->ops = optarg; break;
	case 'i': *setup = optarg; break;
	case 'x': d->tick = strtoull(optarg, NULL, 10); break;
	case 'w': d->state = optarg; break;
	case 'b': d->config.block_bytes = (uint32_t)atoi(optarg); break;
	case 'Z': d->config.size_bytes = strtoull(optarg, NULL, 10); break;
	case 'S': d->config.seed = strtoull(optarg, NULL, 10); break;
	case 'n': d->config.samples = (uint32_t)atoi(optarg); break;
	case 'e': d->config.e2fsck_one_in = (uint32_t)atoi(optarg); break;
	case 'd': d->config.depth2_one_in = (uint32_t)atoi(optarg); break;
	case 'u': d->config.unused_inodes_max = (uint32_t)atoi(optarg); break;
	case 'p': d->fault = optarg; break;
	case 'T': d->seconds = (unsigned)atoi(optarg); break;
	case 't': d->nr_threaded = (uint32_t)atoi(optarg); break;
	case 'f': d->does_faults = true; break;
	case 'g': d->config.fault_stride = (uint32_t)atoi(optarg); break;
	case 'P': d->does_planted = true; break;
	case 'C': d->config.has_no_checksum = true; break;
	case 'q': d->is_quiet = true; break;
	case 'k':
		if (sscanf(optarg, "%u/%u", &d->part, &d->parts) != 2 || !d->parts)
			usage();
		break;
	default: usage();
	}
}

/* What fails is told to the log too, thousands of times. */
static void be_silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int main(int argc, char **argv)
{
	struct door d = {
		.config = {.block_bytes = 1024, .size_bytes = 2u << 20, .seed = 1, .samples = 16, .fault_stride = 1, .e2fsck_one_in = 50,
			   .depth2_one_in = 200},
		.parts = 1,
	};
	const char *setup = workload_setup;
	int option;

	/* Recovery takes and gives back large pieces of memory thousands of times a second. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	signal(SIGABRT, on_abort);
	log_set_level(LOG_LEVEL_ERROR);
	d.began = time(NULL);
	while ((option = getopt(argc, argv, "12Pfg:3:Csr:o:i:x:w:b:Z:S:n:e:d:u:p:t:T:k:q")) != -1)
		read_option(&d, option, &setup);
	if (d.config.block_bytes == 4096 && d.config.size_bytes < 8u << 20)
		d.config.size_bytes = 8u << 20;
	if (d.does_planted)
		return find_planted(&d);
	if (d.ops)
		do_given(&d, setup);
	if (d.does_faults) {
		log_set_sink(be_silent, NULL);
		do_faults(&d);
	} else if (d.does_scripts)
		do_scripts(&d);
	if (d.nr_threaded)
		do_threaded(&d);
	if (d.does_one || d.does_two || d.nr_three)
		do_sequences(&d);
	return conclude(&d);
}
