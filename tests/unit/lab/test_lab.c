/*
 * The experiments. What must hold: the bars of the project's third issue; theory and measurement
 * agree where the books have a formula; the same seed gives the same report, another seed the same
 * picture; and what is printed can be read by a terminal, by a JSON parser and by a browser.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/runner.h"
#include "lab/lab.h"

#define NR_EXPERIMENTS 9

static struct lab_report report;

static void run(const char *name, uint64_t seed)
{
	const struct lab_experiment *e = lab_find(name);

	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(lab_run(e, seed, &report), 0);
	ck_assert_uint_gt(report.nr_rows, 0);
	ck_assert_uint_lt(report.plotted, report.nr_columns);
}

static double value(const char *group, const char *label, const char *column)
{
	const struct lab_row *row = lab_report_row(&report, group, label);

	ck_assert_msg(row != NULL, "no row %s, %s", group, label);
	return lab_report_value(&report, row, column);
}

static void teardown(void)
{
	lab_report_done(&report);
}

static void check_near(double measured, double theory, double percent)
{
	ck_assert_msg(measured > theory * (1 - percent / 100) &&
			      measured < theory * (1 + percent / 100),
		      "measured %f, theory %f", measured, theory);
}

START_TEST(sweeps_travel_at_most_a_quarter_of_fcfs)
{
	run("schedulers", test_seed());
	ck_assert_double_le(value("random", "scan", "of FCFS"), 25);
	ck_assert_double_le(value("random", "cscan", "of FCFS"), 25);
}
END_TEST

START_TEST(cscan_spreads_waits_less_than_scan)
{
	run("schedulers", test_seed());
	ck_assert_double_lt(value("random", "cscan", "spread"), value("random", "scan", "spread"));
	check_near(value("random", "cscan", "spread"), value("random", "cscan", "by theory"), 10);
	check_near(value("random", "scan", "spread"), value("random", "scan", "by theory"), 10);
}
END_TEST

START_TEST(sstf_starves_where_deadline_does_not)
{
	run("schedulers", test_seed());
	ck_assert_double_ge(value("adversarial", "sstf", "worst wait"),
			    10 * value("adversarial", "deadline", "worst wait"));
	ck_assert_double_gt(value("adversarial", "sstf", "starved"), 0);
	ck_assert_double_eq(value("adversarial", "deadline", "starved"), 0);
}
END_TEST

START_TEST(travel_is_what_theory_says)
{
	run("schedulers", test_seed());
	check_near(value("random", "fcfs", "travel"), value("random", "fcfs", "travel by theory"), 5);
	check_near(value("random", "scan", "travel"), value("random", "scan", "travel by theory"), 10);
	check_near(value("random", "cscan", "travel"), value("random", "cscan", "travel by theory"),
		   10);
}
END_TEST

START_TEST(programmed_io_costs_an_access_a_word_and_dma_ten)
{
	run("pio-dma", 1);
	for (size_t i = 0; i < report.nr_rows; i++)
		ck_assert_double_eq(lab_report_value(&report, &report.rows[i], "register accesses"),
				    lab_report_value(&report, &report.rows[i], "by theory"));
	ck_assert_double_eq(value("1 MiB", "dma-irq", "copied by the CPU"), 0);
	ck_assert_double_eq(value("1 MiB", "pio-irq", "copied by the CPU"), 1 << 20);
	ck_assert_double_eq(value("1 MiB", "dma-irq", "register accesses"), 10);
}
END_TEST

START_TEST(polling_pays_below_the_crossing_only_and_hybrid_never_pays_double)
{
	run("polling", 1);
	for (size_t i = 0; i < report.nr_rows; i += 3) {
		double poll = lab_report_value(&report, &report.rows[i], "CPU an I/O");
		double irq = lab_report_value(&report, &report.rows[i + 1], "CPU an I/O");
		double hybrid = lab_report_value(&report, &report.rows[i + 2], "CPU an I/O");

		ck_assert_int_eq(poll < irq, report.rows[i].x < 7);
		ck_assert_double_lt(hybrid, 2 * (poll < irq ? poll : irq));
		for (size_t m = 0; m < 3; m++)
			check_near(lab_report_value(&report, &report.rows[i + m], "CPU an I/O"),
				   lab_report_value(&report, &report.rows[i + m], "CPU by theory"), 5);
	}
	ck_assert_ptr_nonnull(strstr(report.note, "cost the same CPU"));
}
END_TEST

START_TEST(coalescing_and_batches_share_the_price)
{
	run("coalescing", 1);
	for (size_t i = 0; i < report.nr_rows; i++)
		check_near(lab_report_value(&report, &report.rows[i], "interrupts an I/O"),
			   lab_report_value(&report, &report.rows[i], "by theory"), 15);
	ck_assert_double_lt(value("200 us", "16 at once", "worst latency"), 17.4 + 6.4 + 200 + 20);
	teardown();
	run("doorbells", 1);
	for (size_t i = 0; i < report.nr_rows; i++)
		check_near(lab_report_value(&report, &report.rows[i], "doorbells an I/O"),
			   lab_report_value(&report, &report.rows[i], "by theory"), 1);
}
END_TEST

START_TEST(buffers_hide_what_the_formulas_say)
{
	run("buffering", 1);
	for (size_t i = 0; i < report.nr_rows; i++) {
		double theory = lab_report_value(&report, &report.rows[i], "by theory");

		if (theory == theory)
			check_near(lab_report_value(&report, &report.rows[i], "a block"), theory, 5);
	}
	ck_assert_double_lt(value("C = 180 us, bursty", "circular (8)", "a block"),
			    value("C = 180 us, bursty", "double", "a block") * 0.8);
}
END_TEST

START_TEST(depth_helps_as_far_as_there_are_channels)
{
	run("depth", test_seed());
	check_near(value("ssd", "8", "per second"), value("ssd", "8", "by theory"), 5);
	check_near(value("ssd", "16", "per second"), value("ssd", "16", "by theory"), 5);
	check_near(value("hdd7200", "1", "per second"), value("hdd7200", "1", "by theory"), 5);
	ck_assert_double_lt(value("ssd", "32", "per second"), 1.05 * value("ssd", "16", "per second"));
	ck_assert_double_gt(value("hdd7200", "32", "per second"),
			    2 * value("hdd7200", "1", "per second"));
}
END_TEST

START_TEST(a_plug_makes_one_request_of_256)
{
	run("merging", 1);
	for (size_t i = 0; i < report.nr_rows; i++)
		ck_assert_double_eq(lab_report_value(&report, &report.rows[i], "requests"),
				    lab_report_value(&report, &report.rows[i], "by theory"));
	ck_assert_double_eq(value("ssd", "merging and a plug", "mean request"), 1024);
}
END_TEST

static char *printed(void (*print)(const struct lab_report *, FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	print(&report, f);
	fclose(f);
	return text;
}

START_TEST(the_same_seed_gives_the_same_report)
{
	char *first, *second;

	run(lab_at((size_t)_i)->name, 77);
	first = printed(lab_print_json);
	teardown();
	run(lab_at((size_t)_i)->name, 77);
	second = printed(lab_print_json);
	ck_assert_str_eq(first, second);
	free(first);
	free(second);
}
END_TEST

/* Brackets and quotes in balance; enough to find what printing gets wrong. */
static void check_json(const char *text)
{
	int depth = 0;
	bool is_in_string = false;

	for (; *text; text++) {
		if (*text == '\\' && is_in_string) {
			text++;
			continue;
		}
		if (*text == '"')
			is_in_string = !is_in_string;
		if (is_in_string)
			continue;
		ck_assert(strncmp(text, "nan", 3) != 0 && strncmp(text, "inf", 3) != 0);
		depth += *text == '{' || *text == '[';
		depth -= *text == '}' || *text == ']';
		ck_assert_int_ge(depth, 0);
	}
	ck_assert_int_eq(depth, 0);
	ck_assert(!is_in_string);
}

static unsigned count(const char *text, const char *word)
{
	unsigned nr = 0;

	while ((text = strstr(text, word))) {
		nr++;
		text++;
	}
	return nr;
}

/* A reader in order gets near the device's rate whatever its calls; one who jumps about loses nothing. */
START_TEST(read_ahead_is_worth_what_theory_says)
{
	static const char *const readers[] = {"hdd7200, 4 KiB in order", "ssd, 4 KiB in order", "ssd, 64 KiB in order"};

	run("read-ahead", 1);
	for (size_t i = 0; i < array_size(readers); i++) {
		double on = value(readers[i], "on", "rate"), off = value(readers[i], "off", "rate");

		ck_assert_double_ge(on, 0.75 * value(readers[i], "on", "by theory"));
		ck_assert_double_le(on, 1.02 * value(readers[i], "on", "by theory"));
		ck_assert_double_ge(off, 0.8 * value(readers[i], "off", "by theory"));
		ck_assert_double_le(off, 1.25 * value(readers[i], "off", "by theory"));
		ck_assert_double_gt(on, 1.4 * off);
	}
	ck_assert_double_ge(value("ssd, 4 KiB anywhere", "on", "rate"), 0.95 * value("ssd, 4 KiB anywhere", "off", "rate"));
}
END_TEST

START_TEST(reports_can_be_read)
{
	char *text, *json, *svg;

	run(lab_at((size_t)_i)->name, 1);
	text = printed(lab_print_text);
	json = printed(lab_print_json);
	svg = printed(lab_print_svg);
	ck_assert_ptr_nonnull(strstr(text, report.title));
	ck_assert_ptr_nonnull(strstr(text, "#"));
	ck_assert_ptr_null(strstr(text, "nan"));
	check_json(json);
	ck_assert_uint_eq(count(json, "\"values\""), report.nr_rows);
	ck_assert(strncmp(svg, "<svg ", 5) == 0);
	ck_assert_uint_eq(count(svg, "<text"), count(svg, "</text>"));
	ck_assert_ptr_null(strstr(svg, "nan"));
	ck_assert_uint_ge(count(svg, report.is_line ? "<polyline" : "<rect"),
			  report.is_line ? 3 : report.nr_rows);
	free(text);
	free(json);
	free(svg);
}
END_TEST

START_TEST(experiments_are_found_by_name)
{
	ck_assert_ptr_nonnull(lab_at(NR_EXPERIMENTS - 1));
	ck_assert_ptr_null(lab_at(NR_EXPERIMENTS));
	ck_assert_ptr_null(lab_find("alchemy"));
	for (size_t i = 0; i < NR_EXPERIMENTS; i++)
		ck_assert_ptr_eq(lab_find(lab_at(i)->name), lab_at(i));
}
END_TEST

TEST_SUITE(lab)
{
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, sweeps_travel_at_most_a_quarter_of_fcfs);
	tcase_add_test(tc, cscan_spreads_waits_less_than_scan);
	tcase_add_test(tc, sstf_starves_where_deadline_does_not);
	tcase_add_test(tc, travel_is_what_theory_says);
	tcase_add_test(tc, programmed_io_costs_an_access_a_word_and_dma_ten);
	tcase_add_test(tc, polling_pays_below_the_crossing_only_and_hybrid_never_pays_double);
	tcase_add_test(tc, coalescing_and_batches_share_the_price);
	tcase_add_test(tc, buffers_hide_what_the_formulas_say);
	tcase_add_test(tc, depth_helps_as_far_as_there_are_channels);
	tcase_add_test(tc, a_plug_makes_one_request_of_256);
	tcase_add_test(tc, read_ahead_is_worth_what_theory_says);
	tcase_add_loop_test(tc, the_same_seed_gives_the_same_report, 0, NR_EXPERIMENTS);
	tcase_add_loop_test(tc, reports_can_be_read, 0, NR_EXPERIMENTS);
	tcase_add_test(tc, experiments_are_found_by_name);
}
