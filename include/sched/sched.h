/*
 * sched/sched.h - the schedulers, by name.
 *
 * Purpose     In what order a disk that seeks is to serve what waits: five answers behind
 *             elevator_ops, for `-o sched=`, for disk_set_elevator() and for the laboratory.
 * Ownership   The tables are constants; each queue has its own state of one.
 * Locking     As in block/elevator.h: every call comes under the queue's lock.
 * Sources     SCHED.md.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "block/elevator.h"

/* noop is the block layer's own fifo_elevator: first come, first served. */
extern const struct elevator_ops sstf_elevator;		/* nearest first; starves */
extern const struct elevator_ops scan_elevator;		/* sweeps both ways */
extern const struct elevator_ops cscan_elevator;	/* sweeps upwards only */
extern const struct elevator_ops deadline_elevator;	/* sweeps, but nobody waits too long */

#define SCHED_NAMES "noop|sstf|scan|cscan|deadline"

/* NULL: there is none of this name. */
const struct elevator_ops *sched_find(const char *name) must_check;
/* Each in turn, in the order of SCHED_NAMES; NULL behind the last. */
const struct elevator_ops *sched_at(size_t index) must_check;

#endif
