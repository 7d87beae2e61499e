/*
 * fsck/report.h - the lines around the problems: what is checked, and what there is.
 */
#ifndef FSCK_REPORT_H
#define FSCK_REPORT_H

#include "context.h"

void report_start(struct fsck *f);
/* The one line of a clean file system. */
void report_clean(const struct fsck *f);
void report_pass_time(struct fsck *f);
void report_totals(struct fsck *f);

#endif
