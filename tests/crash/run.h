/*
 * crash/run.h - what the makers of runs share: one thread's, and several threads'.
 *
 * Purpose     run.c does a list of operations and records it; threads.c does several at once.
 * Ownership   run_new()'s is given to run_destroy() in the end.
 * Locking     One actor a thread.
 */
#ifndef CRASH_RUN_H
#define CRASH_RUN_H

#include "crash/lab.h"

struct mount_config lab_mount_config(const struct lab *lab);
/* What the setup did, for a model. */
void lab_apply_setup(const struct lab *lab, struct model *m);

struct run *run_new(struct lab *lab, const struct op_list *lists, uint32_t nr);
/* False: the operation is none that can be done here, or failed as none should. */
bool run_do_one(struct run *run, struct actor *a, struct mount *mount, uint32_t number, char *why, size_t why_size);
/* It is over: what was recorded is taken out. */
void run_finish(struct lab *lab, struct run *run);

#endif
