/*
 * The tree holds its nodes in order, equals in the order they came, and keeps R1 and R2 after
 * every change; searches agree with a walk over a sorted array. It grows and shrinks by random
 * changes over few keys (many equals) and many, and by every order of seven.
 */
#include "base/rbtree.h"

#include "base/rand.h"
#include "harness/runner.h"

#define NR_ITEMS 300u

struct item {
	unsigned key;
	unsigned arrived;	/* of equals, the smaller came first */
	struct rbnode node;
};

static struct item items[NR_ITEMS];
static struct rbtree tree;
static unsigned nr_arrived;

static const struct item *item_of(const struct rbnode *n)
{
	return container_of(n, const struct item, node);
}

static int compare_nodes(const struct rbnode *a, const struct rbnode *b)
{
	return (int)item_of(a)->key - (int)item_of(b)->key;
}

static int compare_key(const void *key, const struct rbnode *n)
{
	return (int)*(const unsigned *)key - (int)item_of(n)->key;
}

static void setup(void)
{
	rbtree_init(&tree, compare_nodes);
	nr_arrived = 0;
	for (unsigned i = 0; i < NR_ITEMS; i++)
		items[i] = (struct item){.key = 0};
}

static void insert(struct item *item, unsigned key)
{
	item->key = key;
	item->arrived = nr_arrived++;
	rbtree_insert(&tree, &item->node);
}

/* Whether a stands before b in the tree's order. */
static bool stands_before(const struct item *a, const struct item *b)
{
	return a->key < b->key || (a->key == b->key && a->arrived < b->arrived);
}

/* The first linked item not before key, or the last not behind it, by looking at all. */
static const struct item *slow_bound(unsigned key, bool lower)
{
	const struct item *best = NULL;

	for (unsigned i = 0; i < NR_ITEMS; i++) {
		const struct item *item = &items[i];

		if (!rbnode_is_linked(&item->node) || (lower ? item->key < key : item->key > key))
			continue;
		if (!best || stands_before(lower ? item : best, lower ? best : item))
			best = item;
	}
	return best;
}

static void assert_walks(void)
{
	size_t n = 0;
	const struct rbnode *prev = NULL;

	for (const struct rbnode *at = rbtree_first(&tree); at; prev = at, at = rbtree_next(at)) {
		ck_assert(!prev || stands_before(item_of(prev), item_of(at)));
		ck_assert_ptr_eq(rbtree_prev(at), prev);
		n++;
	}
	ck_assert_ptr_eq(rbtree_last(&tree), prev);
	ck_assert_uint_eq(n, tree.nr_nodes);
}

static void assert_bounds(unsigned key)
{
	const struct item *lower = slow_bound(key, true), *upper = slow_bound(key, false);
	const struct rbnode *found = rbtree_find(&tree, &key, compare_key);

	ck_assert_ptr_eq(rbtree_lower_bound(&tree, &key, compare_key), lower ? &lower->node : NULL);
	ck_assert_ptr_eq(rbtree_upper_below(&tree, &key, compare_key), upper ? &upper->node : NULL);
	ck_assert_ptr_eq(found, lower && lower->key == key ? &lower->node : NULL);
}

static void change_randomly(unsigned nr_keys)
{
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned i = 0; i < 6000; i++) {
		/* Fill for a while, then empty for a while. */
		bool prefers_in = i / 1000 % 2 == 0;
		struct item *item = &items[rand_below(&r, NR_ITEMS)];

		if (!rbnode_is_linked(&item->node) && (prefers_in || rand_one_in(&r, 4)))
			insert(item, (unsigned)rand_below(&r, nr_keys));
		else if (rbnode_is_linked(&item->node) && (!prefers_in || rand_one_in(&r, 4)))
			rbtree_remove(&tree, &item->node);
		rbtree_check(&tree);
		if (i % 50 == 0)
			assert_walks();
		assert_bounds((unsigned)rand_below(&r, nr_keys + 1));
	}
}

START_TEST(keeps_order_and_balance_with_many_keys)
{
	change_randomly(100000);
}
END_TEST

START_TEST(keeps_equals_in_order_of_arrival)
{
	change_randomly(5);
}
END_TEST

#define NR_SMALL 7u

/* Fills order with the number-th arrangement of 0..NR_SMALL-1. */
static void arrange(unsigned number, unsigned *order)
{
	unsigned left[NR_SMALL];

	for (unsigned i = 0; i < NR_SMALL; i++)
		left[i] = i;
	for (unsigned n = NR_SMALL; n > 0; n--) {
		unsigned chosen = number % n;

		number /= n;
		*order++ = left[chosen];
		for (unsigned i = chosen; i + 1 < n; i++)
			left[i] = left[i + 1];
	}
}

START_TEST(every_order_of_seven_in_and_out)
{
	unsigned order[NR_SMALL];
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned in = 0; in < 5040; in++) {
		arrange(in, order);
		for (unsigned i = 0; i < NR_SMALL; i++) {
			insert(&items[order[i]], order[i]);
			rbtree_check(&tree);
		}
		arrange((unsigned)rand_below(&r, 5040), order);
		for (unsigned i = 0; i < NR_SMALL; i++) {
			rbtree_remove(&tree, &items[order[i]].node);
			rbtree_check(&tree);
		}
		ck_assert_ptr_null(tree.root);
	}
}
END_TEST

START_TEST(an_empty_tree_answers)
{
	unsigned key = 1;

	ck_assert_ptr_null(rbtree_first(&tree));
	ck_assert_ptr_null(rbtree_last(&tree));
	ck_assert_ptr_null(rbtree_find(&tree, &key, compare_key));
	ck_assert_ptr_null(rbtree_lower_bound(&tree, &key, compare_key));
	ck_assert_ptr_null(rbtree_upper_below(&tree, &key, compare_key));
	rbtree_check(&tree);
}
END_TEST

TEST_SUITE(base_rbtree)
{
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, keeps_order_and_balance_with_many_keys);
	tcase_add_test(tc, keeps_equals_in_order_of_arrival);
	tcase_add_test(tc, every_order_of_seven_in_and_out);
	tcase_add_test(tc, an_empty_tree_answers);
}
