/*
 * A list keeps the order in which its verbs put members, forwards and backwards, and a member
 * that left is on no list. Each check walks both ways, so a wrong link of either kind is seen.
 */
#include "base/list.h"

#include "harness/runner.h"

struct item {
	char letter;
	struct list link;
};

static struct item items[8];
static struct list head, other;

static void setup(void)
{
	list_init(&head);
	list_init(&other);
	for (unsigned i = 0; i < array_size(items); i++) {
		items[i].letter = (char)('a' + (int)i);
		list_init(&items[i].link);
	}
}

static void assert_list(const struct list *l, const char *letters)
{
	size_t n = 0;
	struct item *item;

	list_for_each(item, l, link) {
		ck_assert_int_eq(item->letter, letters[n]);
		ck_assert_ptr_eq(item->link.next->prev, &item->link);
		n++;
	}
	ck_assert_int_eq(letters[n], '\0');
	for (const struct list *at = l->prev; at != l; at = at->prev)
		ck_assert_int_eq(list_entry(at, struct item, link)->letter, letters[--n]);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(list_empty(l), letters[0] == '\0');
}

static void fill(struct list *l, unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count; i++)
		list_add_tail(l, &items[i].link);
}

START_TEST(add_puts_first_and_add_tail_last)
{
	assert_list(&head, "");
	list_add(&head, &items[1].link);
	list_add(&head, &items[0].link);
	list_add_tail(&head, &items[2].link);
	assert_list(&head, "abc");
	ck_assert_int_eq(list_first(&head, struct item, link)->letter, 'a');
	ck_assert_int_eq(list_last(&head, struct item, link)->letter, 'c');
}
END_TEST

START_TEST(a_deleted_member_is_on_no_list)
{
	fill(&head, 0, 3);
	list_del(&items[1].link);
	assert_list(&head, "ac");
	ck_assert(list_empty(&items[1].link));
	list_del(&items[1].link);	/* once more is harmless */
	assert_list(&head, "ac");
	list_del(&items[0].link);
	list_del(&items[2].link);
	assert_list(&head, "");
}
END_TEST

START_TEST(moving_takes_from_one_list_to_the_other)
{
	fill(&head, 0, 3);
	fill(&other, 3, 2);
	list_move(&other, &items[1].link);
	assert_list(&head, "ac");
	assert_list(&other, "bde");
	list_move_tail(&other, &items[0].link);
	assert_list(&other, "bdea");
	list_move(&head, &items[2].link);	/* within one list */
	assert_list(&head, "c");
}
END_TEST

START_TEST(splice_appends_all_and_empties_the_source)
{
	list_splice_tail(&head, &other);
	assert_list(&head, "");
	fill(&other, 0, 2);
	list_splice_tail(&head, &other);
	assert_list(&head, "ab");
	assert_list(&other, "");
	fill(&other, 2, 3);
	list_splice_tail(&head, &other);
	assert_list(&head, "abcde");
	assert_list(&other, "");
}
END_TEST

START_TEST(the_safe_walk_allows_removal)
{
	struct item *item, *next;

	fill(&head, 0, 8);
	list_for_each_safe(item, next, &head, link) {
		if ((item->letter - 'a') % 2 == 0) {
			list_del(&item->link);
			item->link.next = item->link.prev = NULL;	/* as if freed */
		}
	}
	assert_list(&head, "bdfh");
}
END_TEST

TEST_SUITE(base_list)
{
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, add_puts_first_and_add_tail_last);
	tcase_add_test(tc, a_deleted_member_is_on_no_list);
	tcase_add_test(tc, moving_takes_from_one_list_to_the_other);
	tcase_add_test(tc, splice_appends_all_and_empties_the_source);
	tcase_add_test(tc, the_safe_walk_allows_removal);
}
