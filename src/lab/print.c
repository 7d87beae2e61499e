/* A report for a terminal, and for programs. */
#include <string.h>

#include "report.h"

#define BAR_WIDTH 40
#define TEXT_WIDTH 100

static bool is_new_group(const struct lab_report *r, size_t i)
{
	return i == 0 || strcmp(r->rows[i].group, r->rows[i - 1].group) != 0;
}

static void print_wrapped(const char *text, FILE *to)
{
	size_t at = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (at && at + 1 + len > TEXT_WIDTH) {
			fputc('\n', to);
			at = 0;
		}
		at += (size_t)fprintf(to, "%s%.*s", at ? " " : "", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

/* What a cell says, and how wide its column is. */
static void cell(const struct lab_report *r, size_t row, unsigned column, char *buf, size_t size)
{
	double value = r->rows[row].values[column];

	if (is_something(value))
		snprintf(buf, size, "%.*f", (int)r->columns[column].decimals, value);
	else
		snprintf(buf, size, "-");
}

static void heading(const struct lab_column *c, char *buf, size_t size)
{
	snprintf(buf, size, *c->unit ? "%s, %s" : "%s", c->name, c->unit);
}

static int column_width(const struct lab_report *r, unsigned column)
{
	char buf[64];
	size_t width;

	heading(&r->columns[column], buf, sizeof(buf));
	width = strlen(buf);
	for (size_t i = 0; i < r->nr_rows; i++) {
		cell(r, i, column, buf, sizeof(buf));
		width = max(width, strlen(buf));
	}
	return (int)width;
}

static int word_width(const struct lab_report *r, bool is_group)
{
	size_t width = strlen(is_group ? r->group_word : r->label_word);

	for (size_t i = 0; i < r->nr_rows; i++)
		width = max(width, strlen(is_group ? r->rows[i].group : r->rows[i].label));
	return (int)width;
}

static void print_table(const struct lab_report *r, FILE *to)
{
	int group_width = word_width(r, true), label_width = word_width(r, false);
	char buf[64];

	fprintf(to, "%-*s  %-*s", group_width, r->group_word, label_width, r->label_word);
	for (unsigned c = 0; c < r->nr_columns; c++) {
		heading(&r->columns[c], buf, sizeof(buf));
		fprintf(to, "  %*s", column_width(r, c), buf);
	}
	fputc('\n', to);
	for (size_t i = 0; i < r->nr_rows; i++) {
		fprintf(to, "%-*s  %-*s", group_width, is_new_group(r, i) ? r->rows[i].group : "",
			label_width, r->rows[i].label);
		for (unsigned c = 0; c < r->nr_columns; c++) {
			cell(r, i, c, buf, sizeof(buf));
			fprintf(to, "  %*s", column_width(r, c), buf);
		}
		fputc('\n', to);
	}
}

static void print_bars(const struct lab_report *r, FILE *to)
{
	int group_width = word_width(r, true), label_width = word_width(r, false);
	double low, high;
	char buf[64];

	report_range(r, &low, &high);
	heading(&r->columns[r->plotted], buf, sizeof(buf));
	fprintf(to, "\n%s%s:\n", buf, r->is_log ? " (each doubling as long as the last)" : "");
	for (size_t i = 0; i < r->nr_rows; i++) {
		double at = report_scale(r, r->rows[i].values[r->plotted]);
		int len = high > low && at > low ? (int)((at - low) / (high - low) * BAR_WIDTH + 0.5)
						 : 0;

		cell(r, i, r->plotted, buf, sizeof(buf));
		fprintf(to, "%-*s  %-*s  ", group_width, is_new_group(r, i) ? r->rows[i].group : "",
			label_width, r->rows[i].label);
		while (len--)
			fputc('#', to);
		fprintf(to, " %s\n", buf);
	}
}

void lab_print_text(const struct lab_report *r, FILE *to)
{
	fprintf(to, "== %s: %s ==\n\n", r->name, r->title);
	print_wrapped(r->text, to);
	fputc('\n', to);
	print_table(r, to);
	print_bars(r, to);
	if (*r->note) {
		fputc('\n', to);
		print_wrapped(r->note, to);
	}
}

static void print_json_string(const char *text, FILE *to)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void print_json_pair(const char *key, const char *value, FILE *to)
{
	fprintf(to, "\"%s\": ", key);
	print_json_string(value, to);
	fputs(", ", to);
}

static void print_json_row(const struct lab_report *r, const struct lab_row *row, FILE *to)
{
	fputs("{", to);
	print_json_pair("group", row->group, to);
	print_json_pair("label", row->label, to);
	fputs("\"values\": [", to);
	for (unsigned c = 0; c < r->nr_columns; c++) {
		if (is_something(row->values[c]))
			fprintf(to, "%s%.6g", c ? ", " : "", row->values[c]);
		else
			fprintf(to, "%snull", c ? ", " : "");
	}
	fputs("]}", to);
}

void lab_print_json(const struct lab_report *r, FILE *to)
{
	fputs("{", to);
	print_json_pair("name", r->name, to);
	print_json_pair("title", r->title, to);
	print_json_pair("text", r->text, to);
	print_json_pair("note", r->note, to);
	fputs("\"columns\": [", to);
	for (unsigned c = 0; c < r->nr_columns; c++) {
		fputs(c ? ", {" : "{", to);
		print_json_pair("name", r->columns[c].name, to);
		fputs("\"unit\": ", to);
		print_json_string(r->columns[c].unit, to);
		fputs("}", to);
	}
	fputs("],\n \"rows\": [\n", to);
	for (size_t i = 0; i < r->nr_rows; i++) {
		fputs("  ", to);
		print_json_row(r, &r->rows[i], to);
		fputs(i + 1 < r->nr_rows ? ",\n" : "\n", to);
	}
	fputs(" ]}", to);
}
