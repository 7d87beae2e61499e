/*
 * The tree is a map from index to item with tags: after any sequence of changes every question is
 * answered as a flat table of the same items answers it. It tries sparse and dense indexes, the
 * largest index, and every allocation failing in turn.
 */
#include "base/radix.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"

#define NR_ROWS 400u

struct row {
	uint64_t index;
	bool is_in, tags[RADIX_NR_TAGS];
};

/* Sorted by index. A row's own address is its item. */
static struct row rows[NR_ROWS];
static struct radix tree;
static struct rand rnd;

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct row *)a)->index, y = ((const struct row *)b)->index;

	return x < y ? -1 : x > y;
}

/* Clusters at several scales, and both ends of the index. */
static uint64_t draw_index(void)
{
	static const uint64_t centres[] = {0, 60, 4090, 1u << 18, 1ull << 30, 1ull << 63, UINT64_MAX};
	uint64_t base = centres[rand_below(&rnd, array_size(centres))];
	uint64_t offset = rand_below(&rnd, rand_one_in(&rnd, 2) ? 100 : 10000);

	return base > UINT64_MAX / 2 ? base - offset : base + offset;
}

/* Distinct indexes; the first and the last are always among them. */
static void setup(void)
{
	rand_init(&rnd, test_seed());
	radix_init(&tree);
	for (unsigned i = 0; i < NR_ROWS; i++)
		rows[i] = (struct row){.index = draw_index()};
	rows[0].index = 0;
	qsort(rows, NR_ROWS, sizeof(rows[0]), compare);
	for (unsigned i = 1; i < NR_ROWS; i++)
		if (rows[i].index <= rows[i - 1].index)
			rows[i].index = rows[i - 1].index + 1;
	/* Spreading may have run over the end; the few that did lie downwards from it. */
	for (unsigned i = NR_ROWS; i-- > 0 && (i == NR_ROWS - 1 || rows[i].index >= rows[i + 1].index);)
		rows[i].index = UINT64_MAX - (NR_ROWS - 1 - i);
}

static void assert_gather(uint64_t from, uint64_t last, unsigned tag, size_t max)
{
	void *items[NR_ROWS];
	uint64_t indexes[NR_ROWS];
	size_t n = 0;
	size_t count;

	if (tag < RADIX_NR_TAGS)
		count = radix_gather_tag(&tree, from, last, tag, items, indexes, max);
	else
		count = radix_gather(&tree, from, last, items, indexes, max);
	for (unsigned i = 0; i < NR_ROWS && n < max; i++) {
		const struct row *row = &rows[i];

		if (!row->is_in || row->index < from || row->index > last ||
		    (tag < RADIX_NR_TAGS && !row->tags[tag]))
			continue;
		ck_assert_uint_lt(n, count);
		ck_assert_ptr_eq(items[n], row);
		ck_assert_uint_eq(indexes[n], row->index);
		n++;
	}
	ck_assert_uint_eq(n, count);
}

static void assert_agrees(void)
{
	bool any[RADIX_NR_TAGS] = {false};
	uint64_t nr_in = 0;

	for (unsigned i = 0; i < NR_ROWS; i++) {
		ck_assert_ptr_eq(radix_find(&tree, rows[i].index), rows[i].is_in ? &rows[i] : NULL);
		nr_in += rows[i].is_in;
		for (unsigned tag = 0; tag < RADIX_NR_TAGS; tag++) {
			ck_assert_int_eq(radix_tag_get(&tree, rows[i].index, tag), rows[i].tags[tag]);
			any[tag] |= rows[i].tags[tag];
		}
	}
	ck_assert_uint_eq(tree.nr_items, nr_in);
	for (unsigned tag = 0; tag < RADIX_NR_TAGS; tag++)
		ck_assert_int_eq(radix_tagged(&tree, tag), any[tag]);
	for (unsigned tag = 0; tag <= RADIX_NR_TAGS; tag++) {
		assert_gather(0, UINT64_MAX, tag, NR_ROWS);
		assert_gather(draw_index(), draw_index(), tag, NR_ROWS);
		assert_gather(rows[rand_below(&rnd, NR_ROWS)].index, rows[rand_below(&rnd, NR_ROWS)].index,
			      tag, 1 + rand_below(&rnd, 9));
	}
}

/* Of one of nr_used rows, spread over all. */
static void change_one(unsigned nr_used)
{
	struct row *row = &rows[rand_below(&rnd, nr_used) * NR_ROWS / nr_used];
	unsigned tag = (unsigned)rand_below(&rnd, RADIX_NR_TAGS);

	switch (rand_below(&rnd, 4)) {
	case 0:
		ck_assert_int_eq(radix_insert(&tree, row->index, row), row->is_in ? -EEXIST : 0);
		row->is_in = true;
		break;
	case 1:
		ck_assert_ptr_eq(radix_remove(&tree, row->index), row->is_in ? row : NULL);
		*row = (struct row){.index = row->index};
		break;
	case 2:
		if (row->is_in)
			radix_tag_set(&tree, row->index, tag);
		row->tags[tag] = row->is_in;
		break;
	default:
		radix_tag_clear(&tree, row->index, tag);
		row->tags[tag] = false;
		break;
	}
}

static void forget_all(void)
{
	radix_done(&tree);
	for (unsigned i = 0; i < NR_ROWS; i++)
		rows[i] = (struct row){.index = rows[i].index};
}

START_TEST(answers_as_a_flat_table_does)
{
	static const unsigned nr_used[] = {3, 20, NR_ROWS};	/* few: it grows and shrinks often */

	for (unsigned i = 0; i < 20000; i++) {
		change_one(nr_used[i / 500 % array_size(nr_used)]);
		if (i % 50 == 0)
			assert_agrees();
		if (i % 500 == 499)
			forget_all();
	}
	radix_done(&tree);
	ck_assert_uint_eq(mem_live_count(), 0);
}
END_TEST

START_TEST(emptied_it_keeps_no_memory)
{
	for (unsigned i = 0; i < NR_ROWS; i++) {
		ck_assert_int_eq(radix_insert(&tree, rows[i].index, &rows[i]), 0);
		radix_tag_set(&tree, rows[i].index, i % RADIX_NR_TAGS);
	}
	for (unsigned i = 0; i < NR_ROWS; i++)
		ck_assert_ptr_eq(radix_remove(&tree, rows[i].index), &rows[i]);
	ck_assert_uint_eq(mem_live_count(), 0);
	ck_assert_uint_eq(tree.height, 0);
}
END_TEST

START_TEST(it_gets_lower_when_large_indexes_leave)
{
	ck_assert_int_eq(radix_insert(&tree, 3, &rows[0]), 0);
	ck_assert_uint_eq(tree.height, 1);
	radix_tag_set(&tree, 3, 1);
	ck_assert_int_eq(radix_insert(&tree, UINT64_MAX, &rows[1]), 0);
	ck_assert_uint_eq(tree.height, 11);
	ck_assert(radix_tagged(&tree, 1) && !radix_tagged(&tree, 0));
	ck_assert_ptr_eq(radix_remove(&tree, UINT64_MAX), &rows[1]);
	ck_assert_uint_eq(tree.height, 1);
	ck_assert_ptr_eq(radix_find(&tree, 3), &rows[0]);
	ck_assert(radix_tag_get(&tree, 3, 1) && radix_tagged(&tree, 1));
	ck_assert_uint_eq(mem_live_count(), 1);
	radix_done(&tree);
}
END_TEST

/* One more allocation is allowed each time, until the insertion succeeds. */
static void insert_failing(uint64_t index)
{
	uint64_t live = mem_live_count();
	unsigned height = tree.height;
	int err;

	for (unsigned n = 1;; n++) {
		mem_fail_nth(n, true);
		err = radix_insert(&tree, index, &rows[0]);
		mem_fail_nth(0, false);
		if (!err)
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_ptr_null(radix_find(&tree, index));
		ck_assert_uint_eq(mem_live_count(), live);
		ck_assert_uint_eq(tree.height, height);
	}
}

START_TEST(an_insertion_without_memory_changes_nothing)
{
	insert_failing(5000);
	insert_failing(1ull << 40);
	insert_failing(70);
	insert_failing(UINT64_MAX);
	radix_done(&tree);
	insert_failing(UINT64_MAX - 1);
	radix_done(&tree);
	ck_assert_uint_eq(mem_live_count(), 0);
}
END_TEST

START_TEST(an_empty_tree_answers)
{
	void *items[1];

	ck_assert_ptr_null(radix_find(&tree, 0));
	ck_assert_ptr_null(radix_remove(&tree, 7));
	ck_assert_uint_eq(radix_gather(&tree, 0, UINT64_MAX, items, NULL, 1), 0);
	ck_assert(!radix_tagged(&tree, 0) && !radix_tag_get(&tree, 0, 0));
	radix_tag_clear(&tree, 9, 2);
	ck_assert_int_eq(radix_insert(&tree, 4, &rows[0]), 0);
	ck_assert_uint_eq(radix_gather(&tree, 0, 3, items, NULL, 1), 0);
	ck_assert_uint_eq(radix_gather(&tree, 0, 4, items, NULL, 0), 0);
	ck_assert_uint_eq(radix_gather(&tree, 64, UINT64_MAX, items, NULL, 1), 0);
	radix_done(&tree);
}
END_TEST

TEST_SUITE(base_radix)
{
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, answers_as_a_flat_table_does);
	tcase_add_test(tc, emptied_it_keeps_no_memory);
	tcase_add_test(tc, it_gets_lower_when_large_indexes_leave);
	tcase_add_test(tc, an_insertion_without_memory_changes_nothing);
	tcase_add_test(tc, an_empty_tree_answers);
}
