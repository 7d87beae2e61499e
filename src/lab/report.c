/* Reports: rows in, values out. */
#include "report.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define ROWS_AT_ONCE 32u

bool is_something(double value)
{
	return value == value;
}

/* Newton's; four digits after the point are more than any column shows. */
double root(double value)
{
	double r = value > 1 ? value : 1;

	if (value <= 0)
		return 0;
	for (int i = 0; i < 200 && r - value / r > r * 1e-12; i++)
		r = (r + value / r) / 2;
	return r;
}

struct lab_row *report_add(struct lab_report *report, const char *group, const char *label, double x)
{
	struct lab_row *row, *rows;

	if (report->nr_rows == report->nr_rows_max) {
		rows = mem_realloc(report->rows, (report->nr_rows_max + ROWS_AT_ONCE) * sizeof(*rows));
		if (!rows)
			return NULL;
		report->rows = rows;
		report->nr_rows_max += ROWS_AT_ONCE;
	}
	row = &report->rows[report->nr_rows++];
	*row = (struct lab_row){.group = group, .label = label, .x = x};
	for (unsigned i = 0; i < LAB_COLUMNS_MAX; i++)
		row->values[i] = NOTHING;
	return row;
}

void lab_report_done(struct lab_report *report)
{
	mem_free(report->rows);
	report->rows = NULL;
	report->nr_rows = report->nr_rows_max = 0;
}

const struct lab_row *lab_report_row(const struct lab_report *report, const char *group,
				     const char *label)
{
	for (size_t i = 0; i < report->nr_rows; i++)
		if (!strcmp(report->rows[i].group, group) && !strcmp(report->rows[i].label, label))
			return &report->rows[i];
	return NULL;
}

double lab_report_value(const struct lab_report *report, const struct lab_row *row, const char *column)
{
	unsigned i = 0;

	while (i < report->nr_columns && strcmp(report->columns[i].name, column) != 0)
		i++;
	must(i < report->nr_columns);
	return row->values[i];
}

double report_scale(const struct lab_report *report, double value)
{
	double exponent = 0;

	if (!is_something(value) || value <= 0)
		return 0;
	if (!report->is_log)
		return value;
	while (value >= 2) {
		value /= 2;
		exponent++;
	}
	while (value < 1) {
		value *= 2;
		exponent--;
	}
	return exponent + value - 1;
}

void report_range(const struct lab_report *r, double *ret_low, double *ret_high)
{
	bool is_first = true;

	*ret_low = *ret_high = 0;
	for (size_t i = 0; i < r->nr_rows; i++) {
		double value = r->rows[i].values[r->plotted], at = report_scale(r, value);

		if (!is_something(value) || value <= 0)
			continue;
		*ret_high = is_first ? at : max(*ret_high, at);
		if (r->is_log)
			*ret_low = is_first ? at - 1 : min(*ret_low, at - 1);
		is_first = false;
	}
}
