/*
 * Lines come whole, to the sink that was set last, at the levels asked for; a flooding call site
 * is cut; the trace ring keeps the newest records of all threads, in order.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "harness/runner.h"

#define RING_SIZE 4096u

/* Written by the sink, which never runs twice at once. */
struct book {
	unsigned nr_lines;
	enum log_level last_level;
	char last[2000];
	bool was_mixed;
};

static struct book book;

static void write_book(void *arg, enum log_level level, const char *line)
{
	struct book *b = arg;

	b->nr_lines++;
	b->last_level = level;
	strncpy(b->last, line, sizeof(b->last) - 1);
}

static void setup(void)
{
	book = (struct book){.nr_lines = 0};
	log_set_sink(write_book, &book);
}

START_TEST(lines_are_formatted_and_carry_their_level)
{
	log_error("block %d of %s", 17, "disk.img");
	ck_assert_str_eq(book.last, "block 17 of disk.img");
	ck_assert_int_eq(book.last_level, LOG_LEVEL_ERROR);
	log_notice("mounted");
	ck_assert_str_eq(book.last, "mounted");
	ck_assert_int_eq(book.last_level, LOG_LEVEL_NOTICE);
}
END_TEST

START_TEST(levels_beyond_the_wanted_are_left_out)
{
	log_debug("detail");
	ck_assert_uint_eq(book.nr_lines, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("detail");
	ck_assert_uint_eq(book.nr_lines, 1);
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("careful");
	log_error("lost");
	ck_assert_uint_eq(book.nr_lines, 2);
	ck_assert_str_eq(book.last, "lost");
}
END_TEST

START_TEST(a_line_too_long_is_cut)
{
	char text[1500];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	ck_assert_uint_gt(strlen(book.last), 1000);
	ck_assert_uint_lt(strlen(book.last), 1100);
}
END_TEST

static void write_to_default(void)
{
	log_set_sink(NULL, NULL);
	log_error("no sink but %s", "stderr");
}

START_TEST(the_default_sink_is_standard_error)
{
	char text[200];

	ck_assert_int_eq(test_run_to_death(write_to_default, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "extant: no sink but stderr\n");
}
END_TEST

START_TEST(a_flood_from_one_place_is_cut)
{
	for (unsigned i = 0; i < 1000; i++)
		log_error_limited("flood %u", i);
	ck_assert_uint_eq(book.nr_lines, 10);
	ck_assert_str_eq(book.last, "flood 9");
}
END_TEST

START_TEST(what_was_cut_is_counted_in_the_next_interval)
{
	struct log_limit limit = {.window_start_ns = 1, .written = 500, .suppressed = 490};

	ck_assert(log_limit_allows(&limit));
	ck_assert_ptr_nonnull(strstr(book.last, "490"));
	ck_assert_uint_eq(limit.suppressed, 0);
}
END_TEST

static atomic_uint next_sink;

/* The letters of a line are equal unless two lines mixed. */
static void check_line(void *arg, enum log_level level maybe_unused, const char *line)
{
	struct book *b = arg;

	b->nr_lines++;
	for (const char *c = line; *c; c++)
		if (*c != line[0])
			b->was_mixed = true;
}

static void log_letters(void *arg)
{
	static const char *const lines[] = {"aaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbb"};

	for (unsigned i = 0; i < 5000; i++) {
		log_error("%s", lines[i % 2]);
		trace("test.letters", i, 0);
		if (arg && i % 100 == 0)
			log_set_sink(check_line, &((struct book *)arg)[atomic_fetch_add(&next_sink, 1) % 2]);
	}
}

START_TEST(threads_and_changing_sinks_lose_no_line)
{
	struct book books[2] = {{0}, {0}};
	struct thread *threads[3];

	log_set_sink(check_line, &books[0]);
	for (unsigned i = 0; i < 3; i++)
		threads[i] = thread_create("log", log_letters, i == 0 ? books : NULL);
	for (unsigned i = 0; i < 3; i++)
		thread_join(threads[i]);
	log_set_sink(NULL, NULL);
	ck_assert_uint_eq(books[0].nr_lines + books[1].nr_lines, 15000);
	ck_assert(books[0].nr_lines > 0 && books[1].nr_lines > 0);
	ck_assert(!books[0].was_mixed && !books[1].was_mixed);
}
END_TEST

/* What trace_dump() prints, to be freed. */
static char *dump(unsigned last)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	trace_dump(f, last);
	fclose(f);
	return text;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

START_TEST(the_trace_shows_the_newest_oldest_first)
{
	char *text;

	for (unsigned i = 0; i < 3 * RING_SIZE; i++)
		trace("test.count", i, i + 1);
	text = dump(2);
	ck_assert_uint_eq(count_lines(text), 2);
	ck_assert_ptr_nonnull(strstr(text, " test.count 12286 12287\n"));
	ck_assert_ptr_nonnull(strstr(text, " test.count 12287 12288\n"));
	ck_assert(strstr(text, " 12286 12287") < strstr(text, " 12287 12288"));
	free(text);
	text = dump(2 * RING_SIZE);
	ck_assert_uint_eq(count_lines(text), RING_SIZE);
	free(text);
}
END_TEST

START_TEST(a_young_trace_shows_what_there_is)
{
	char *text = dump(40);

	ck_assert_str_eq(text, "");
	free(text);
	trace("test.one", 1, 2);
	text = dump(40);
	ck_assert_uint_eq(count_lines(text), 1);
	ck_assert_ptr_nonnull(strstr(text, " test.one 1 2\n"));
	free(text);
}
END_TEST

START_TEST(tracing_and_dumping_at_once_is_no_race)
{
	struct thread *threads[2];
	char *text;

	for (unsigned i = 0; i < 2; i++)
		threads[i] = thread_create("trace", log_letters, NULL);
	for (unsigned i = 0; i < 20; i++) {
		text = dump(RING_SIZE);
		ck_assert_uint_le(count_lines(text), RING_SIZE);
		free(text);
	}
	for (unsigned i = 0; i < 2; i++)
		thread_join(threads[i]);
}
END_TEST

TEST_SUITE(base_log)
{
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, lines_are_formatted_and_carry_their_level);
	tcase_add_test(tc, levels_beyond_the_wanted_are_left_out);
	tcase_add_test(tc, a_line_too_long_is_cut);
	tcase_add_test(tc, the_default_sink_is_standard_error);
	tcase_add_test(tc, a_flood_from_one_place_is_cut);
	tcase_add_test(tc, what_was_cut_is_counted_in_the_next_interval);
	tcase_add_test(tc, threads_and_changing_sinks_lose_no_line);
	tcase_add_test(tc, the_trace_shows_the_newest_oldest_first);
	tcase_add_test(tc, a_young_trace_shows_what_there_is);
	tcase_add_test(tc, tracing_and_dumping_at_once_is_no_race);
}
