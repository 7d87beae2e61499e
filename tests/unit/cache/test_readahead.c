/*
 * The planner sees who reads in an order, and leaves those alone who do not. A model cache that
 * keeps everything carries out its plans, so each reader's misses and what was read in vain can be
 * counted exactly: a sequential reader misses once, whatever the length of its requests, also when
 * they overtake each other; so does each of several in one file; backward and strided readers after
 * a few requests; windows grow by doubling up to the limit and stop at the end of the file; random
 * readers cost next to nothing; who turns away early is read ahead for less; a window whose pages
 * went before they were used is halved.
 */
#include "unit/cache/fixture.h"

#include <stdlib.h>

#define FILE_PAGES 65536u
#define WINDOW_MAX 2048u

static struct {
	struct readahead_state ra;
	uint8_t is_cached[FILE_PAGES], is_marked[FILE_PAGES], is_used[FILE_PAGES];
	uint64_t nr_read, nr_used, nr_misses;	/* pages, pages, requests */
	uint64_t end;
	uint32_t pages_max, pages_now;
	struct ra_plan last;
	uint32_t nr_plans;
} t;

static void begin(void)
{
	memset(&t, 0, sizeof(t));
	readahead_init(&t.ra);
	t.end = FILE_PAGES;
	t.pages_max = t.pages_now = WINDOW_MAX;
}

static void end(void)
{
	readahead_done(&t.ra);
}

static void fetch(uint64_t page)
{
	ck_assert_uint_lt(page, t.end);
	t.nr_read += !t.is_cached[page];
	t.is_cached[page] = 1;
}

static void carry_out(const struct ra_plan *plan)
{
	uint64_t total = 0;

	if (plan->nr == 0)
		return;
	t.last = *plan;
	t.nr_plans++;
	for (uint32_t i = 0; i < plan->nr_pieces; i++)
		for (uint32_t k = 0; k < plan->nr; k++, total++)
			fetch(plan->first + (uint64_t)plan->stride * i + k);
	ck_assert_uint_le(total, t.pages_now);
	ck_assert_uint_lt(plan->mark, t.end);
	ck_assert_uint_eq(t.is_cached[plan->mark], 1);
	t.is_marked[plan->mark] = 1;
}

/* One request, as filemap.c makes it. */
static void ask(uint64_t first, uint32_t nr)
{
	struct ra_request rq = {
		.first = first,
		.nr = nr,
		.absent = RA_NONE,
		.prev_end = t.ra.prev_end,
		.end = t.end,
		.starts_file = true,
		.pages_max = t.pages_max,
		.pages_now = t.pages_now,
	};
	struct ra_plan plan;

	for (uint32_t i = nr; i-- > 0;) {
		if (!t.is_cached[first + i])
			rq.absent = first + i;
		rq.has_mark |= t.is_marked[first + i];
		t.is_marked[first + i] = 0;
		t.nr_used += !t.is_used[first + i];
		t.is_used[first + i] = 1;
	}
	t.nr_misses += rq.absent != RA_NONE;
	for (uint32_t i = 0; i < nr; i++)
		fetch(first + i);
	t.ra.prev_end = first + nr;
	if (rq.absent == RA_NONE && !rq.has_mark)
		return;
	readahead_plan(&t.ra, &rq, &plan);
	carry_out(&plan);
}

static uint64_t wasted(void)
{
	return t.nr_read - t.nr_used;
}

/* Sequential. */

static const uint32_t lengths[] = {1, 2, 3, 7, 16, 32, 100, 256};

static void read_in_order(int kind)
{
	uint32_t nr = lengths[kind];

	begin();
	for (uint64_t at = 0; at + nr <= FILE_PAGES; at += nr)
		ask(at, nr);
	ck_assert_uint_eq(t.nr_misses, 1);
	ck_assert_uint_le(wasted(), nr);	/* what is left at the end of the file */
	ck_assert_uint_eq(t.last.first + t.last.nr, FILE_PAGES);
	end();
}

START_TEST(sequential_reader_misses_once)
{
	for (int kind = 0; kind < (int)array_size(lengths); kind++)
		read_in_order(kind);
}
END_TEST

static void read_from_the_middle(int kind)
{
	uint32_t nr = lengths[kind];

	begin();
	for (uint64_t at = 1000; at + nr <= FILE_PAGES; at += nr)
		ask(at, nr);
	ck_assert_uint_eq(t.nr_misses, 2);
	end();
}

START_TEST(sequential_reader_in_mid_file_misses_twice)
{
	for (int kind = 0; kind < (int)array_size(lengths); kind++)
		read_from_the_middle(kind);
}
END_TEST

/* Requests that begin and end inside of pages share the page between them. */
START_TEST(requests_that_share_a_page_are_sequential)
{
	uint64_t pos = 5000 * 4096ull + 17;

	begin();
	for (int i = 0; i < 2000; i++, pos += 10000)
		ask(pos / 4096, (uint32_t)((pos + 9999) / 4096 - pos / 4096 + 1));
	ck_assert_uint_eq(t.nr_misses, 2);
	end();
}
END_TEST

START_TEST(windows_double_up_to_the_limit_and_end_with_the_file)
{
	uint32_t before = 0;

	begin();
	t.end = 9000;
	for (uint64_t at = 0; at < t.end; at++) {
		ask(at, 1);
		if (t.last.nr != before && t.last.first + t.last.nr < t.end)
			ck_assert_uint_eq(t.last.nr, before ? min(2 * before, WINDOW_MAX) : 4);
		before = t.last.nr;
		/* The next window is under way before the reader enters it, a whole window before. */
		if (at > 0 && t.last.first + t.last.nr < t.end)
			ck_assert_uint_gt(t.last.first + t.last.nr, at + 1);
	}
	ck_assert_uint_eq(t.nr_misses, 1);
	ck_assert_uint_eq(wasted(), 0);
	end();
}
END_TEST

/* As when several threads serve one reader: requests are handed on in a shuffled order. */
static void read_shuffled(int kind)
{
	enum { TOGETHER = 4, NR = 32 };
	struct rand rand;

	begin();
	rand_init(&rand, test_seed() + (uint64_t)kind);
	for (uint64_t at = 2048; at + TOGETHER * NR <= FILE_PAGES; at += TOGETHER * NR) {
		unsigned order[TOGETHER] = {0, 1, 2, 3};

		for (unsigned i = TOGETHER - 1; i > 0; i--) {
			unsigned k = (unsigned)rand_below(&rand, i + 1), moved = order[i];

			order[i] = order[k];
			order[k] = moved;
		}
		for (unsigned i = 0; i < TOGETHER; i++)
			ask(at + order[i] * NR, NR);
	}
	ck_assert_uint_le(t.nr_misses, 2 * TOGETHER);
	/* Four that came in falling order look like a backward reader. */
	ck_assert_uint_le(wasted(), 3 * 2 * TOGETHER * NR);
	end();
}

START_TEST(requests_that_overtake_each_other_are_sequential)
{
	for (int kind = 0; kind < 20; kind++)
		read_shuffled(kind);
}
END_TEST

START_TEST(interleaved_readers_of_one_file_are_told_apart)
{
	begin();
	for (uint64_t i = 0; i < 8000; i++) {
		ask(i, 1);
		ask(20000 + 2 * i, 2);
		ask(40000 + i, 1);
	}
	ck_assert_uint_le(t.nr_misses, 1 + 2 + 2);
	end();
}
END_TEST

START_TEST(second_reader_of_cached_pages_goes_on_where_they_end)
{
	begin();
	for (uint64_t at = 0; at < 4000; at++)
		ask(at, 1);
	/* Another one, with a state of its own, through what the first has left. */
	readahead_done(&t.ra);
	readahead_init(&t.ra);
	t.nr_misses = 0;
	for (uint64_t at = 0; at < 30000; at++)
		ask(at, 1);
	ck_assert_uint_le(t.nr_misses, 1);
	end();
}
END_TEST

/* Backward and strided. */

static void read_backward(int kind)
{
	uint32_t nr = lengths[kind];

	begin();
	for (uint64_t at = 60000; at >= nr; at -= nr)
		ask(at - nr, nr);
	ck_assert_uint_eq(t.nr_misses, nr < 16 ? 3 : 4);
	ck_assert_uint_le(wasted(), nr);
	ck_assert_uint_eq(t.last.first, 0);
	end();
}

START_TEST(backward_reader_misses_three_times_or_four)
{
	for (int kind = 0; kind < (int)array_size(lengths); kind++)
		read_backward(kind);
}
END_TEST

static const struct {
	uint32_t nr;
	int64_t stride;
} strides[] = {{1, 2}, {1, 16}, {4, 100}, {32, 64}, {1, -16}, {8, -24}};

static void read_in_strides(int kind)
{
	uint32_t nr = strides[kind].nr;
	int64_t stride = strides[kind].stride;
	uint64_t at = stride > 0 ? 300 : FILE_PAGES - 300;

	begin();
	for (int i = 0; i < 400; i++, at += (uint64_t)stride)
		ask(at, nr);
	ck_assert_uint_eq(t.nr_misses, 3);
	ck_assert_uint_le(wasted(), 3 * 64 * nr);
	end();
}

START_TEST(strided_reader_misses_three_times_and_wastes_little)
{
	for (int kind = 0; kind < (int)array_size(strides); kind++)
		read_in_strides(kind);
}
END_TEST

START_TEST(two_strided_readers_at_once)
{
	begin();
	for (uint64_t i = 0; i < 300; i++) {
		ask(100 + 40 * i, 2);
		ask(30000 + 70 * i, 2);
	}
	ck_assert_uint_le(t.nr_misses, 8);
	end();
}
END_TEST

START_TEST(strided_reader_stays_within_the_file)
{
	begin();
	t.end = 1003;
	for (uint64_t at = 3; at < t.end; at += 50)
		ask(at, 2);
	ck_assert_uint_eq(t.nr_misses, 3);
	ck_assert_uint_eq(wasted(), 0);
	end();
}
END_TEST

/* Random. */

static void read_at_random(int kind)
{
	static const uint32_t nr_asked[] = {1, 1, 1, 4}, among[] = {65536, 16384, 65536, 65536};
	struct rand rand;
	uint64_t nr_demanded = 0;

	begin();
	rand_init(&rand, test_seed() + (uint64_t)kind);
	for (int i = 0; i < 8000; i++) {
		uint64_t at = rand_below(&rand, among[kind] - nr_asked[kind]);

		nr_demanded += !t.is_cached[at];
		ask(at, nr_asked[kind]);
	}
	ck_assert_uint_ge(nr_demanded, 4000);
	ck_assert_uint_le(wasted() * 20, t.nr_used);
	end();
}

START_TEST(random_readers_cost_less_than_a_twentieth)
{
	for (int kind = 0; kind < 4; kind++)
		read_at_random(kind);
}
END_TEST

/* Two requests in order, then elsewhere: such a reader must not cost a window each time. */
START_TEST(who_turns_away_is_read_ahead_for_less)
{
	uint64_t early, late, places[400];
	struct rand rand;

	begin();
	rand_init(&rand, test_seed());
	for (uint64_t i = 0; i < 400; i++) {
		uint64_t k = rand_below(&rand, i + 1);

		places[i] = places[k];
		places[k] = i * 150 + rand_below(&rand, 140);
	}
	for (int i = 0; i < 40; i++) {
		ask(places[i], 1);
		ask(places[i] + 1, 1);
	}
	early = wasted();
	for (int i = 40; i < 400; i++) {
		ask(places[i], 1);
		ask(places[i] + 1, 1);
	}
	late = wasted() - early;
	ck_assert_uint_le(early, 120);
	ck_assert_uint_eq(late, 0);
	/* And is trusted again when it reads on. */
	for (uint64_t at = 61000; at < 64000; at++)
		ask(at, 1);
	t.nr_misses = 0;
	for (uint64_t at = 64000; at < 65000; at++)
		ask(at, 1);
	ck_assert_uint_eq(t.nr_misses, 0);
	end();
}
END_TEST

/* Waste and want. */

START_TEST(window_that_went_before_it_was_used_is_halved)
{
	uint32_t before;

	begin();
	for (uint64_t at = 0; at < 10000; at++)
		ask(at, 1);
	before = t.last.nr;
	ck_assert_uint_eq(before, WINDOW_MAX);
	for (uint64_t i = 10000; i < t.end; i++)
		t.is_cached[i] = t.is_marked[i] = 0;
	ask(10000, 1);
	ck_assert_uint_eq(t.last.nr, before / 2);
	ck_assert_uint_eq(t.last.first, 10001);
	for (uint64_t i = 10001; i < t.end; i++)
		t.is_cached[i] = t.is_marked[i] = 0;
	ask(10001, 1);
	ck_assert_uint_eq(t.last.nr, before / 4);
	end();
}
END_TEST

START_TEST(without_room_the_window_waits_and_comes_back)
{
	uint64_t at = 0;

	begin();
	for (; at < 10000; at++)
		ask(at, 1);
	t.pages_now = 0;
	for (; at < 20000; at++)
		ask(at, 1);
	ck_assert_uint_ge(t.nr_misses, 4000);
	t.pages_now = WINDOW_MAX;
	t.nr_misses = 0;
	for (; at < 40000; at++)
		ask(at, 1);
	ck_assert_uint_le(t.nr_misses, 2);
	ck_assert_uint_eq(t.last.nr, WINDOW_MAX);
	end();
}
END_TEST

/* Whatever comes, plans stay within the file and the limits (carry_out checks), and end. */
START_TEST(any_requests_make_plans_within_bounds)
{
	struct rand rand;

	begin();
	rand_init(&rand, test_seed() + 77);
	t.end = 1000;
	for (int i = 0; i < 30000; i++) {
		uint32_t nr = 1 + (uint32_t)rand_below(&rand, 20);
		uint64_t at = rand_below(&rand, t.end - nr);

		if (rand_one_in(&rand, 2))
			at = min(t.ra.prev_end, t.end - nr);
		if (rand_one_in(&rand, 50))
			memset(t.is_cached, 0, sizeof(t.is_cached));
		t.pages_now = (uint32_t)rand_below(&rand, t.pages_max);
		ask(at, nr);
	}
	end();
}
END_TEST

TEST_SUITE(cache_readahead)
{
	tcase_add_test(tc, sequential_reader_misses_once);
	tcase_add_test(tc, sequential_reader_in_mid_file_misses_twice);
	tcase_add_test(tc, requests_that_share_a_page_are_sequential);
	tcase_add_test(tc, windows_double_up_to_the_limit_and_end_with_the_file);
	tcase_add_test(tc, requests_that_overtake_each_other_are_sequential);
	tcase_add_test(tc, interleaved_readers_of_one_file_are_told_apart);
	tcase_add_test(tc, second_reader_of_cached_pages_goes_on_where_they_end);
	tcase_add_test(tc, backward_reader_misses_three_times_or_four);
	tcase_add_test(tc, strided_reader_misses_three_times_and_wastes_little);
	tcase_add_test(tc, two_strided_readers_at_once);
	tcase_add_test(tc, strided_reader_stays_within_the_file);
	tcase_add_test(tc, random_readers_cost_less_than_a_twentieth);
	tcase_add_test(tc, who_turns_away_is_read_ahead_for_less);
	tcase_add_test(tc, window_that_went_before_it_was_used_is_halved);
	tcase_add_test(tc, without_room_the_window_waits_and_comes_back);
	tcase_add_test(tc, any_requests_make_plans_within_bounds);
}
