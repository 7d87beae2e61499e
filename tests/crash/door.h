/*
 * crash/door.h - what the command line asked for, and what came of it.
 *
 * Purpose     main.c reads the words and does sequences and scripts; tell.c makes findings small
 *             and tells them; tasks.c has the searches of another kind: failing disks, threads,
 *             planted faults.
 * Ownership   main() owns the door.
 * Locking     One thread.
 */
#ifndef CRASH_DOOR_H
#define CRASH_DOOR_H

#include <time.h>

#include "crash/lab.h"
#include "crash/workloads.h"

struct door {
	struct lab_config config;
	struct lab *lab;
	const char *ops, *state, *script, *fault, *hashes;
	uint64_t tick;
	bool does_one, does_two, does_scripts, does_planted, does_faults, does_union, lists, is_quiet;
	bool is_searching;		/* a finding is what is wanted: it is counted, not told */
	uint32_t nr_threaded;		/* rounds of threads */
	uint32_t nr_three, part, parts, number;
	unsigned seconds;
	time_t began;
	unsigned nr_findings;
	struct lab_counts total;
};

/* ---- tell.c ---- */

/* What must() leaves behind when it ends the process: which workload it was. */
void tell_on_abort(void);
void note_doing(const char *fmt, ...) printf_like(1, 2);
void tell_doing(FILE *to);
void note_workload(const struct op_list *ops);
/* Makes the finding of the last exploration small, prints it, and destroys the run. */
void tell(struct door *d, struct run *run);
/* The same for a rule that the run breaks. */
void tell_rule(struct door *d, struct run *run);

/* ---- main.c ---- */

bool time_is_up(const struct door *d);
void open_lab(struct door *d, const char *setup, uint64_t size_bytes);
void close_lab(struct door *d);
/* Each script in a laboratory of its own, or the one that was asked for. */
void for_scripts(struct door *d, void (*try)(struct door *d, const struct script *s, const struct op_list *ops));
/* A workload_fn: false ends the list. */
bool try_workload(void *arg, const struct op_list *ops);

/* ---- tasks.c ---- */

/* A script with each request failing in turn. */
void try_script_with_faults(struct door *d, const struct script *s, const struct op_list *ops);
void do_threaded(struct door *d);
/* What the fault wants of the laboratory itself. */
void plant_in_config(struct lab_config *config, const char *fault);
/* Each planted fault is a test: 0 when all of them are found. */
int find_planted(struct door *d);

#endif
