/*
 * lab/lab.h - the laboratory: experiments on the simulated disk, as tables.
 *
 * Purpose     What each mechanism of a storage stack is worth, measured on this very stack and set
 *             beside what the books say. `extantctl lab` prints it; tests assert on the numbers.
 * Ownership   The report is the caller's; lab_report_done() frees its rows.
 * Locking     None: an experiment is one thread, in virtual time.
 * Invariants  The same seed gives the same report, to the last digit.
 * Errors      -ENOMEM.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <stdio.h>

#include "base/types.h"

#define LAB_COLUMNS_MAX 10u
#define LAB_SEED_DEFAULT 1u

struct lab_column {
	const char *name;
	const char *unit;		/* "": a plain number */
	unsigned decimals;
};

struct lab_row {
	const char *group;		/* what rows have in common; "" */
	const char *label;
	double x;			/* the group as a number, for plots over it */
	double values[LAB_COLUMNS_MAX];	/* not a number: the books are silent */
};

struct lab_report {
	/* what it is */
	const char *name, *title;
	const char *text;		/* a paragraph */
	const char *group_word, *label_word;
	const struct lab_column *columns;
	unsigned nr_columns;
	unsigned plotted;		/* the column that bars and plots show */
	bool is_log;			/* it spans decades */
	bool is_line;			/* a line a label over x, instead of bars */
	/* what was found */
	struct lab_row *rows;
	size_t nr_rows, nr_rows_max;
	char note[400];			/* a sentence with numbers; "" */
};

struct lab_experiment {
	const char *name, *question;
	int (*run)(uint64_t seed, struct lab_report *report) must_check;
};

const struct lab_experiment *lab_find(const char *name) must_check;	/* NULL: there is none */
const struct lab_experiment *lab_at(size_t index) must_check;		/* NULL behind the last */

int lab_run(const struct lab_experiment *experiment, uint64_t seed,
	    struct lab_report *report) must_check;
void lab_report_done(struct lab_report *report);
/* The row of this group and label; NULL. */
const struct lab_row *lab_report_row(const struct lab_report *report, const char *group,
				     const char *label);
/* The value in the column of this name, which must exist. */
double lab_report_value(const struct lab_report *report, const struct lab_row *row, const char *column);

void lab_print_text(const struct lab_report *report, FILE *to);
void lab_print_json(const struct lab_report *report, FILE *to);
void lab_print_svg(const struct lab_report *report, FILE *to);

#endif
