/*
 * lab/report.h - filling a report.
 *
 * Purpose     What experiments use. A row that finds no memory is remembered and told at the end.
 */
#ifndef LAB_REPORT_H
#define LAB_REPORT_H

#include "lab/lab.h"

#define NOTHING __builtin_nan("")

/* The new row, with all values NOTHING; NULL without memory. */
struct lab_row *report_add(struct lab_report *report, const char *group, const char *label,
			   double x) must_check;
bool is_something(double value);
double root(double value);
/*
 * Where a value stands on the report's scale. With is_log: its binary logarithm, straight between
 * powers of two, which is good enough to draw.
 */
double report_scale(const struct lab_report *report, double value);
/* Where bars begin, and where the longest ends. */
void report_range(const struct lab_report *report, double *ret_low, double *ret_high);

#endif
