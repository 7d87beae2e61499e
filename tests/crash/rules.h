/*
 * crash/rules.h - what each recorded write is for, and the journal's rules asserted on them.
 *
 * Purpose     The states show what a mistake does; the rules show the mistake itself, in runs where
 *             no state happens to suffer from it. Read from the blocks alone, as a recovery would.
 * Ownership   Borrows the run and the laboratory.
 * Locking     One thread.
 * Sources     JOURNAL.md section 1; the numbers R1.. are in CRASH.md.
 */
#ifndef CRASH_RULES_H
#define CRASH_RULES_H

#include <stdio.h>

#include "crash/lab.h"

/* True: R1 to R8 hold in the run; else why, which begins with the rule's name. */
bool rules_hold(const struct lab *lab, const struct run *run, char *why, size_t why_size);
/* The writes and flushes of a run, one a line, by tick: what each is, and of which transaction. */
void rules_list(const struct lab *lab, const struct run *run, FILE *to);

#endif
