/* Failing disks, threads, planted faults. */
#include <stdlib.h>
#include <string.h>

#include "crash/door.h"
#include "crash/need.h"
#include "crash/rules.h"
#include "crash/workloads.h"

/* ---- failing disks ---- */

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
		note_doing("crash: it stopped in %s with kind %u, request %llu, sticky %u\n",
			 s->name, f.op, (unsigned long long)f.nth, f.is_sticky);
		run = lab_run_faulty(d->lab, ops, &f);
		if (!run)
			return;
		d->lab->counts.faults++;
		if (!rules_hold(d->lab, run, d->lab->finding.what, sizeof(d->lab->finding.what)) || !lab_explore(d->lab, run))
			tell_fault(d, s, &f, run);
		run_destroy(run);
	}
}

void try_script_with_faults(struct door *d, const struct script *s, const struct op_list *ops)
{
	static const enum bio_op kinds[] = {BIO_WRITE, BIO_FLUSH, BIO_READ};

	for (unsigned k = 0; k < 6; k++)
		try_faults(d, s, ops, (struct lab_fault){.op = kinds[k / 2], .is_sticky = k % 2});
	if (!d->is_quiet)
		printf("%-20s %6llu faults, %8llu states\n", s->name, (unsigned long long)d->lab->counts.faults,
		       (unsigned long long)d->lab->counts.states);
}

#define ACTORS 4u

/* ---- threads ---- */

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

static bool keeps_promises(struct lab *lab, struct run *run)
{
	lab->finding.is_one = false;
	return rules_hold(lab, run, lab->finding.what, sizeof(lab->finding.what)) && lab_explore(lab, run);
}

static void try_threaded(struct door *d, uint64_t seed)
{
	struct op_list lists[ACTORS] = {0};
	struct run *run;
	char why[400];

	for (uint32_t i = 0; i < ACTORS; i++)
		workload_of_actor(&lists[i], seed * ACTORS + i);
	note_doing("crash: it stopped with threads: -t 1 -S %llu\n", (unsigned long long)seed);
	run = lab_run_threads(d->lab, lists, ACTORS, why, sizeof(why));
	if (!run || !keeps_promises(d->lab, run)) {
		printf("BROKEN: %s\n  repeat (threads race: perhaps only the second time): crash -t 1 -S %llu\n",
		       run ? d->lab->finding.what : why, (unsigned long long)seed);
		d->nr_findings++;
		if (run && d->lab->finding.is_one)
			tell_actors(run, &d->lab->finding.state);
	}
	run_destroy(run);
	for (uint32_t i = 0; i < ACTORS; i++)
		op_list_done(&lists[i]);
}

void do_threaded(struct door *d)
{
	open_lab(d, "mkdir w0; mkdir w1; mkdir w2; mkdir w3", 4u << 20);
	for (uint32_t n = 0; n < d->nr_threaded && d->nr_findings < 10 && !time_is_up(d); n++)
		try_threaded(d, d->config.seed + n);
	close_lab(d);
}

/* ---- planted faults ---- */

/* Does the run as a file system with the fault would have, and looks at it twice: by its states, and by the rules. */
struct planting {
	struct door door;
	const struct planted *planted;
	char rule[300];			/* what the rules said */
};

void plant_in_config(struct lab_config *config, const char *fault)
{
	config->has_discard |= strcmp(fault, "early-discard") == 0;
	config->splits_rename = strcmp(fault, "split-rename") == 0;
	config->ignores_revokes = strcmp(fault, "replay-without-revoke") == 0;
}

static void look_at_planted(struct planting *p, const struct op_list *ops)
{
	struct door *d = &p->door;
	struct run *run = lab_run(d->lab, ops, p->rule, sizeof(p->rule));

	need(run != NULL, p->rule);
	need(run_plant(run, d->lab, d->fault), d->fault);
	p->rule[0] = 0;
	if (rules_hold(d->lab, run, p->rule, sizeof(p->rule)))
		p->rule[0] = 0;
	d->nr_findings += !lab_explore(d->lab, run);
	run_destroy(run);
}

static void plant(struct planting *p)
{
	const char *setup = workload_setup;
	struct op_list ops = {0};
	const struct script *s = NULL;

	for (unsigned i = 0; p->planted->script && (s = workload_script(i)) != NULL && strcmp(s->name, p->planted->script) != 0;)
		i++;
	if (s) {
		s->write(&ops, p->door.config.seed);
		setup = s->setup;
	} else {
		need(op_list_parse(&ops, p->planted->ops), p->planted->ops);
	}
	p->door.config.has_no_checksum = p->planted->has_no_checksum;
	plant_in_config(&p->door.config, p->planted->name);
	open_lab(&p->door, setup, s ? s->size_bytes : 0);
	look_at_planted(p, &ops);
	if (p->door.nr_findings && !p->door.is_quiet)
		printf("%-24s found: %.120s\n", p->planted->name, p->door.lab->finding.what);
	if (p->rule[0] && !p->door.is_quiet)
		printf("%-24s by its rule: %.120s\n", p->planted->name, p->rule);
	close_lab(&p->door);
	op_list_done(&ops);
}

int find_planted(struct door *d)
{
	const struct planted *planted;
	unsigned nr_found = 0, nr_missed = 0;

	for (unsigned i = 0; (planted = workload_planted(i)) != NULL; i++) {
		struct planting p = {.door = *d, .planted = planted};
		bool by_rule;

		p.door.fault = planted->name;
		p.door.nr_findings = 0;
		plant(&p);
		nr_found += p.door.nr_findings != 0;
		nr_missed += p.door.nr_findings == 0;
		if (!p.door.nr_findings)
			printf("MISSED: the planted fault %s was not found; repeat: crash -P\n", planted->name);
		by_rule = planted->rule ? strncmp(p.rule, planted->rule, strlen(planted->rule)) == 0 : !p.rule[0];
		nr_found += by_rule;
		nr_missed += !by_rule;
		if (!by_rule)
			printf("MISSED: the planted fault %s should break %s and breaks %s\n", planted->name,
			       planted->rule ? planted->rule : "no rule", p.rule[0] ? p.rule : "none");
	}
	printf("%u passed, %u failed, 0 skipped\n", nr_found, nr_missed);
	return nr_missed != 0;
}
