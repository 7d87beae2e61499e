/*
 * crash/workloads.h - what is done before the power goes.
 *
 * Purpose     Enumerates short sequences over a small name space, each with each way to make it
 *             durable; and the scripts that real programs are made of.
 * Ownership   Lists passed to the callback are the enumerator's.
 * Locking     None.
 */
#ifndef CRASH_WORKLOADS_H
#define CRASH_WORKLOADS_H

#include "crash/op.h"

/* What is there before the sequences: directories A and B, files foo and A/foo. */
extern const char workload_setup[];

/* Returns false to stop. */
typedef bool (*workload_fn)(void *arg, const struct op_list *ops);

/* All sequences of one or two operations, each followed by each point of persistence. */
bool workloads_of_one(workload_fn fn, void *arg);
bool workloads_of_two(workload_fn fn, void *arg);
/* `nr` sequences of three, chosen by seed. */
bool workloads_of_three(uint64_t seed, uint32_t nr, workload_fn fn, void *arg);

/* What one of several does at the same time in a directory of his own; not all of it need be possible. */
void workload_of_actor(struct op_list *ops, uint64_t seed);

/* A script by number; NULL behind the last. */
struct script {
	const char *name;
	void (*write)(struct op_list *ops, uint64_t seed);
	uint64_t size_bytes;	/* of the image; 0: as for sequences */
	const char *setup;
};
const struct script *workload_script(unsigned i);

/* A fault that the laboratory must find, and the script or the operations that bring it to light. */
struct planted {
	const char *name, *script, *ops;
	bool has_no_checksum;		/* for checksums would hide it */
	const char *rule;		/* that the run breaks; NULL: none, it shows in the states alone */
};
const struct planted *workload_planted(unsigned i);

#endif
