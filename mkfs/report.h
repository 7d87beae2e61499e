/*
 * mkfs/report.h - the plan in words.
 *
 * Purpose     What will be made, on stdout, before it is made.
 * Ownership   Plain values.
 * Locking     None.
 */
#ifndef MKFS_REPORT_H
#define MKFS_REPORT_H

#include <stdio.h>

#include "plan.h"

void report_plan(FILE *to, const char *path, const struct plan *plan, bool verbose);

#endif
