/*
 * The laboratory's door.
 *
 *	crash -1 -2 -3 N -s       sequences of one, of two, N of three, scripts
 *	crash -f -t N             scripts on failing disks; N rounds of threads
 *	crash -o OPS              one workload, given as text
 *	crash -o OPS -x TICK -w STATE   one state of it, as a finding prints it
 *	crash -o OPS -L           what was written for it, and for what
 *	crash -P                  faults are planted, and each must be found
 *	crash -U FILE...          how many states are in those files (made by -H) together
 *
 * Ends with a line of counts; exit status 1 when a promise was broken.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "crash/door.h"
#include "crash/need.h"
#include "crash/rules.h"
#include "crash/workloads.h"

/* ---- workloads ---- */

bool time_is_up(const struct door *d)
{
	return d->seconds && time(NULL) - d->began >= (time_t)d->seconds;
}

/* False: the run is told of, and gone. */
static bool obeys_rules(struct door *d, struct run *run)
{
	char why[300];

	d->lab->counts.rules++;
	if (d->is_searching || rules_hold(d->lab, run, why, sizeof(why)))
		return true;
	d->nr_findings++;
	tell_rule(d, run);
	return false;
}

bool try_workload(void *arg, const struct op_list *ops)
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
		printf("BROKEN: %s\n", why);
		tell_doing(stdout);
		d->nr_findings++;
		return true;
	}
	if (d->fault)
		need(run_plant(run, d->lab, d->fault), d->fault);
	if (d->lists)
		rules_list(d->lab, run, stdout);
	if (!obeys_rules(d, run))
		return d->nr_findings < 10;
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

void open_lab(struct door *d, const char *setup, uint64_t size_bytes)
{
	struct lab_config config = d->config;

	config.setup = setup;
	if (size_bytes > config.size_bytes)
		config.size_bytes = size_bytes;
	d->lab = lab_create(&config);
}

void close_lab(struct door *d)
{
	const struct lab_counts *c = &d->lab->counts;

	d->total.workloads += c->workloads;
	d->total.rules += c->rules;
	d->total.faults += c->faults;
	d->total.states += c->states;
	d->total.distinct += c->distinct;
	d->total.recovered += c->recovered;
	d->total.used += c->used;
	d->total.second += c->second;
	d->total.third += c->third;
	d->total.e2fsck += c->e2fsck;
	lab_destroy(d->lab);
	d->lab = NULL;
}

void for_scripts(struct door *d, void (*try)(struct door *d, const struct script *s, const struct op_list *ops))
{
	const struct script *s;

	for (unsigned i = 0; (s = workload_script(i)) != NULL; i++) {
		struct op_list ops = {0};

		if (d->script && strcmp(d->script, s->name) != 0)
			continue;
		s->write(&ops, d->config.seed);
		open_lab(d, s->setup, s->size_bytes);
		try(d, s, &ops);
		fflush(stdout);
		close_lab(d);
		op_list_done(&ops);
	}
}

static void try_script(struct door *d, const struct script *s, const struct op_list *ops)
{
	try_workload(d, ops);
	if (!d->is_quiet)
		printf("%-20s %8llu states, %llu distinct\n", s->name, (unsigned long long)d->lab->counts.states,
		       (unsigned long long)d->lab->counts.distinct);
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

/* Of this process alone: e2fsck runs in others. */
static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int conclude(const struct door *d)
{
	const struct lab_counts *c = &d->total;
	double seconds = cpu_seconds();

	if (d->hashes)
		need(seen_save(d->config.distinct, d->hashes), "a file for the hashes");
	printf("%llu workloads, %llu states, %llu distinct, %llu recovered, %llu used, %llu second crashes, %llu third, %llu by e2fsck; "
	       "%.0f states a second and core, %.0f distinct; %u findings\n",
	       (unsigned long long)c->workloads, (unsigned long long)c->states, (unsigned long long)c->distinct,
	       (unsigned long long)c->recovered, (unsigned long long)c->used, (unsigned long long)c->second,
	       (unsigned long long)c->third, (unsigned long long)c->e2fsck, (double)c->states / seconds,
	       (double)c->distinct / seconds, d->nr_findings);
	return d->nr_findings != 0;
}

static int count_union(struct door *d, char **files)
{
	for (; *files; files++)
		need(seen_load(d->config.distinct, *files), *files);
	printf("%zu\n", seen_count(d->config.distinct));
	return 0;
}

static void usage(void)
{
	fprintf(stderr, "usage: crash [-1] [-2] [-3 N] [-s | -r SCRIPT] [-o OPS [-i SETUP] [-x TICK -w STATE]] [-b BLOCK] [-Z SIZE]\n"
			"             [-m ordered|writeback|journal] [-C] [-D] [-X] [-S SEED] [-n SAMPLES] [-e E2FSCK_ONE_IN]\n"
			"             [-d SECOND_ONE_IN] [-c THIRD_ONE_IN] [-u INODES] [-p FAULT] [-f [-g STRIDE]] [-t ROUNDS]\n"
			"             [-T SECONDS] [-k PART/PARTS] [-H FILE] [-L] [-q] | -P | -U FILE...\n");
	exit(2);
}

static enum data_mode read_mode(const char *word)
{
	static const char *const words[] = {
		[DATA_ORDERED] = "ordered", [DATA_WRITEBACK] = "writeback", [DATA_JOURNAL] = "journal"};

	for (unsigned i = DATA_ORDERED; i < array_size(words); i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	usage();
	return DATA_ORDERED;
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
	case 'c': d->config.depth3_one_in = (uint32_t)atoi(optarg); break;
	case 'm': d->config.data_mode = read_mode(optarg); break;
	case 'X': d->config.shuffles = true; break;
	case 'D': d->config.has_discard = true; break;
	case 'H': d->hashes = optarg; break;
	case 'L': d->lists = true; break;
	case 'U': d->does_union = true; break;
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
		.config = {.block_bytes = 1024, .size_bytes = 2u << 20, .seed = 1, .samples = 16, .fault_stride = 1, .e2fsck_one_in = 45,
			   .depth2_one_in = 200, .depth3_one_in = 100, .data_mode = DATA_ORDERED},
		.parts = 1,
	};
	const char *setup = workload_setup;
	int option;

	/* Recovery takes and gives back large pieces of memory thousands of times a second. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	tell_on_abort();
	d.config.distinct = seen_create();
	log_set_level(LOG_LEVEL_ERROR);
	d.began = time(NULL);
	while ((option = getopt(argc, argv, "12Pfg:3:CDXLUH:m:c:sr:o:i:x:w:b:Z:S:n:e:d:u:p:t:T:k:q")) != -1)
		read_option(&d, option, &setup);
	if (d.config.block_bytes == 4096 && d.config.size_bytes < 8u << 20)
		d.config.size_bytes = 8u << 20;
	if (d.fault)
		plant_in_config(&d.config, d.fault);
	if (d.does_union)
		return count_union(&d, argv + optind);
	if (d.does_planted) {
		log_set_sink(be_silent, NULL);
		return find_planted(&d);
	}
	if (d.ops)
		do_given(&d, setup);
	if (d.does_faults) {
		log_set_sink(be_silent, NULL);
		for_scripts(&d, try_script_with_faults);
	} else if (d.does_scripts)
		for_scripts(&d, try_script);
	if (d.nr_threaded)
		do_threaded(&d);
	if (d.does_one || d.does_two || d.nr_three)
		do_sequences(&d);
	return conclude(&d);
}
