/*
 * crash/lab.h - a workload recorded, and the states that a crash of it can leave, judged.
 *
 * Purpose     lab_run() does a workload on a fresh image and keeps each write with what surrounds
 *             it; lab_explore() makes states of it and judges them; lab_judge_one() repeats one.
 * Ownership   The laboratory owns its images and mounts; a run is the caller's to destroy.
 * Locking     One thread a laboratory.
 * Sources     CRASH.md: the fault model and what is promised.
 */
#ifndef CRASH_LAB_H
#define CRASH_LAB_H

#include <stdio.h>

#include "base/rand.h"
#include "crash/flatdisk.h"
#include "crash/model.h"
#include "crash/mount.h"
#include "crash/op.h"
#include "crash/reader.h"

struct lab_config {
	uint32_t block_bytes;
	uint64_t size_bytes;
	uint64_t seed;
	uint32_t unused_inodes_max;	/* of the recorded mount */
	uint32_t samples;		/* random subsets at each place where there are too many */
	uint32_t e2fsck_one_in;		/* of the distinct states; 0: never */
	uint32_t fault_stride;		/* of the requests that fail, one in so many is tried */
	uint32_t depth2_one_in;		/* second crashes inside the recovery of one state in so many; 0: never */
	uint32_t depth3_one_in;		/* the same, inside the recovery from the second crash */
	enum data_mode data_mode;
	bool has_no_checksum;		/* the log is written without, and each commit with two flushes */
	bool has_discard;		/* -o discard */
	bool shuffles;			/* requests end in an order drawn from the seed */
	bool splits_rename, ignores_revokes;	/* planted faults */
	struct seen *distinct;		/* contents that were judged, over all laboratories */
	const char *setup;		/* operations before the run */
};

struct lab_counts {
	uint64_t faults;
	uint64_t workloads, states, distinct, recovered, used, second, e2fsck;
	uint64_t rules, third;
};

/* A write of the run and when it was safe. */
struct run_write {
	uint32_t sector, count;
	const uint8_t *bytes;
	uint64_t submitted, completed;
	bool is_fua, is_meta, is_discard;
};

struct run_mark {
	uint64_t begun, returned;	/* ticks; UINT64_MAX: never */
	int err;
};

/* One who did operations, alone in the image or in a directory of his own. */
struct actor {
	struct op_list ops;		/* operation number i is ops[i - 1] */
	struct model *model;
	char top[OP_PATH_MAX];		/* his directory; "": the root */
	struct run_mark *marks;		/* by operation */
	uint32_t *promises;		/* by operation: the snapshot that it makes sure of once it returned */
	uint32_t *promised_nodes;	/* by operation: whose data; UINT32_MAX: everybody's */
	uint32_t *data_since;		/* by node, of the expectation */
	bool *was_told;			/* by node: an fsync failed; what was lost then stays lost */
	struct expectation expect;	/* at the cut that is being judged */
};

/* A workload that was done and recorded. */
struct run {
	struct actor *actors;
	uint32_t nr_actors;
	uint8_t *image;			/* before the first operation */
	struct run_write *writes;
	uint32_t nr_writes;
	struct run_flush {
		uint64_t submitted, completed;
	} *flushes;
	uint32_t nr_flushes;
	uint64_t last_tick;
	struct recordlog *log;
	bool splits_rename;		/* a planted fault */
	bool may_fail;			/* the disk does */
	uint8_t *discarded;		/* bytes of sectors that were discarded */
};

/* One state: what of the writes before the cut survived. */
struct state {
	uint64_t tick;
	uint32_t first, nr;		/* writes that matter: run->writes[first .. first + nr) */
	uint8_t **survived;		/* by write: a bitmap of sectors */
};

struct finding {
	bool is_one;
	char what[600];
	struct state state;
};

struct lab {
	struct lab_config config;
	struct flat *flat;		/* the state under judgement */
	struct flat *live;		/* the disk of the recorded run */
	uint8_t *fresh;			/* the image after setup */
	uint32_t *log_blocks, nr_log_blocks;	/* where the log's blocks lie, in its order */
	uint32_t *log_index;		/* by block: its place in the log, from 1; 0: outside */
	uint32_t room;			/* blocks that are free or the root directory's when all else is removed */
	uint8_t *scratch;		/* another image */
	struct reader reader;
	struct ground ground;		/* of recoveries */
	struct op_list setup;
	uint32_t run_number;
	struct seen *seen;		/* contents with what was expected of them */
	struct lab_counts counts;
	struct rand rand;
	struct finding finding;		/* of the last lab_explore() */
	char doing[200];		/* for the day it stops in the middle */
};

struct lab *lab_create(const struct lab_config *config);
void lab_destroy(struct lab *lab);

/* Does the operations and records. The list is copied. NULL: one of them failed otherwise than the model says. */
struct run *lab_run(struct lab *lab, const struct op_list *ops, char *why, size_t why_size);
/*
 * The same on a disk of which the nth request of a kind fails, and with is_sticky all behind it.
 * Operations may fail; NULL when the fault never came.
 */
struct lab_fault {
	enum bio_op op;
	uint64_t nth;
	bool is_sticky;
};
struct run *lab_run_faulty(struct lab *lab, const struct op_list *ops, const struct lab_fault *fault);
/*
 * `nr` threads, each with its own list in a directory of its own that the setup made (w0, w1, ...),
 * in real time, on a disk that takes its time. What is not possible when its turn comes is left out.
 */
struct run *lab_run_threads(struct lab *lab, const struct op_list *lists, uint32_t nr, char *why, size_t why_size);
void run_destroy(struct run *run);

/* Plants a fault into what was recorded: what a file system with that mistake would have done. False: no such. */
bool run_plant(struct run *run, const struct lab *lab, const char *fault);
/* The fault in the recovery of the state on lab->flat. */
void plant_at_recovery(struct lab *lab);

/* True: no state was found that breaks a promise; else lab->finding. */
bool lab_explore(struct lab *lab, struct run *run);
/* The state as text, and back. */
void state_print(const struct state *state, const struct run *run, FILE *to);
bool state_read(struct state *state, const struct run *run, uint64_t tick, const char *text);
void state_done(struct state *state);
/* True if it keeps the promises, else lab->finding.what. */
bool lab_judge_one(struct lab *lab, struct run *run, const struct state *state);
/* Makes the finding's state as whole as it can be while it breaks a promise. */
void lab_minimise_state(struct lab *lab, struct run *run);

/* ---- judge.c: the state is on lab->flat ---- */

struct lab_judging {
	struct run *run;		/* with what its actors expect */
	unsigned depth;			/* 0: the first crash; 1, 2: one inside a recovery */
};
bool lab_judge(struct lab *lab, const struct lab_judging *j);

/* ---- e2fsck.c ---- */

/* The exit status of `e2fsck FLAGS` on the bytes, which it may change; -1: there is none. */
int e2fsck_run(const char *flags, uint8_t *bytes, uint64_t size_bytes, char *report, size_t report_size);

/* A set of hashes. */
struct seen *seen_create(void);
void seen_destroy(struct seen *s);
size_t seen_count(const struct seen *s);
/* All of them into a file, and those of a file added; false: it cannot be written or read. */
bool seen_save(const struct seen *s, const char *path);
bool seen_load(struct seen *s, const char *path);
bool seen_add(struct seen *s, uint64_t hash);	/* false: it was there */

#endif
