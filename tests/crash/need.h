/*
 * crash/need.h - what the laboratory cannot go on without.
 *
 * Purpose     Out of memory or a broken set-up ends the program with a sentence: a laboratory
 *             that guesses on is worth nothing.
 * Ownership   None.
 * Locking     None.
 */
#ifndef CRASH_NEED_H
#define CRASH_NEED_H

#include <stdbool.h>

void need(bool is_there, const char *what);
void *need_memory(void *p);

#endif
