/*
 * A report as a picture: bars a row, or a line a label over the groups.
 *
 * Groups stand at even distances, also when their numbers span decades: the labels say which they are.
 */
#include <string.h>

#include "report.h"

#define WIDTH 860
#define LEFT 230		/* of the words before bars */
#define BAR_SPACE 500
#define BAR_STEP 22
#define TOP 60
#define PLOT_HEIGHT 340
#define PLOT_LEFT 80
#define PLOT_WIDTH 560

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#3f8f5b", "#8a5aa8", "#b58900", "#555555"};

static const char *colour(size_t i)
{
	return colours[i % array_size(colours)];
}

static void print_escaped(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else
			fputc(*text, to);
	}
}

static void print_words(double x, double y, const char *anchor, const char *text, FILE *to)
{
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	print_escaped(text, to);
	fputs("</text>\n", to);
}

static void begin(const struct lab_report *r, int height, FILE *to)
{
	const struct lab_column *c = &r->columns[r->plotted];
	char axis[100];

	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		    "font-family=\"sans-serif\" font-size=\"13\">\n", WIDTH, height);
	fprintf(to, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", WIDTH, height);
	fputs("<g font-size=\"16\">", to);
	print_words(20, 26, "start", r->title, to);
	fputs("</g>\n", to);
	snprintf(axis, sizeof(axis), *c->unit ? "%s, %s%s" : "%s%s%s", c->name, c->unit,
		 r->is_log ? " (logarithmic)" : "");
	print_words(20, 46, "start", axis, to);
}

/* Which of the distinct labels this row's is, in the order in which they come first. */
static size_t label_index(const struct lab_report *r, size_t row)
{
	size_t index = 0;

	for (size_t i = 0; i < r->nr_rows; i++) {
		bool is_first = true;

		if (!strcmp(r->rows[i].label, r->rows[row].label))
			return index;
		for (size_t j = 0; j < i; j++)
			is_first &= strcmp(r->rows[j].label, r->rows[i].label) != 0;
		index += is_first;
	}
	return index;
}

static size_t group_index(const struct lab_report *r, size_t row)
{
	size_t index = 0;

	for (size_t i = 1; i <= row; i++)
		index += strcmp(r->rows[i].group, r->rows[i - 1].group) != 0;
	return index;
}

static double share(const struct lab_report *r, size_t row)
{
	double low, high, at = report_scale(r, r->rows[row].values[r->plotted]);

	report_range(r, &low, &high);
	return high > low && at > low ? (at - low) / (high - low) : 0;
}

static void print_value(const struct lab_report *r, size_t row, double x, double y, const char *anchor,
			FILE *to)
{
	char text[40];

	if (!is_something(r->rows[row].values[r->plotted]))
		return;
	snprintf(text, sizeof(text), "%.*f", (int)r->columns[r->plotted].decimals,
		 r->rows[row].values[r->plotted]);
	print_words(x, y, anchor, text, to);
}

static void print_bars(const struct lab_report *r, FILE *to)
{
	for (size_t i = 0; i < r->nr_rows; i++) {
		double y = TOP + (double)i * BAR_STEP + 8 * (double)group_index(r, i);
		double len = share(r, i) * BAR_SPACE;

		if (i == 0 || group_index(r, i) != group_index(r, i - 1))
			print_words(20, y + 14, "start", r->rows[i].group, to);
		print_words(LEFT - 8, y + 14, "end", r->rows[i].label, to);
		fprintf(to, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
			LEFT, y + 2, len, BAR_STEP - 6, colour(label_index(r, i)));
		print_value(r, i, LEFT + len + 6, y + 14, "start", to);
	}
}

static double group_x(const struct lab_report *r, size_t row)
{
	size_t last = group_index(r, r->nr_rows - 1);

	return PLOT_LEFT + (last ? (double)group_index(r, row) * PLOT_WIDTH / (double)last : 0);
}

static double value_y(const struct lab_report *r, size_t row)
{
	return TOP + PLOT_HEIGHT * (1 - share(r, row));
}

static void print_line_of(const struct lab_report *r, size_t first, FILE *to)
{
	size_t last = first;

	fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
		colour(label_index(r, first)));
	for (size_t i = first; i < r->nr_rows; i++) {
		if (strcmp(r->rows[i].label, r->rows[first].label) != 0)
			continue;
		fprintf(to, "%.1f,%.1f ", group_x(r, i), value_y(r, i));
		last = i;
	}
	fputs("\"/>\n", to);
	fprintf(to, "<g fill=\"%s\">", colour(label_index(r, first)));
	print_words(PLOT_LEFT + PLOT_WIDTH + 10,
		    value_y(r, last) + 4 + 14 * (double)label_index(r, first) - 14, "start",
		    r->rows[first].label, to);
	fputs("</g>\n", to);
}

static void print_lines(const struct lab_report *r, FILE *to)
{
	fprintf(to, "<path d=\"M%d %d V%d H%d\" fill=\"none\" stroke=\"black\"/>\n", PLOT_LEFT, TOP,
		TOP + PLOT_HEIGHT, PLOT_LEFT + PLOT_WIDTH);
	for (size_t i = 0; i < r->nr_rows; i++) {
		if (i == 0 || group_index(r, i) != group_index(r, i - 1))
			print_words(group_x(r, i), TOP + PLOT_HEIGHT + 18, "middle", r->rows[i].group,
				    to);
		print_value(r, i, group_x(r, i), value_y(r, i) - 6, "middle", to);
		if (group_index(r, i) == 0)
			print_line_of(r, i, to);
	}
	print_words(PLOT_LEFT + PLOT_WIDTH / 2.0, TOP + PLOT_HEIGHT + 40, "middle", r->group_word, to);
}

void lab_print_svg(const struct lab_report *r, FILE *to)
{
	size_t nr_groups = r->nr_rows ? group_index(r, r->nr_rows - 1) + 1 : 0;

	if (r->is_line) {
		begin(r, TOP + PLOT_HEIGHT + 60, to);
		print_lines(r, to);
	} else {
		begin(r, TOP + (int)(r->nr_rows * BAR_STEP + nr_groups * 8) + 20, to);
		print_bars(r, to);
	}
	fputs("</svg>\n", to);
}
