/*
 * A thread that takes a rank not greater than one it holds is stopped, with both names; equal
 * ranks pass only when announced, trylocks always, and what was dropped no longer counts.
 */
#include "base/lockrank.h"

#include <signal.h>
#include <string.h>

#include "harness/runner.h"

static int locks[40];	/* only their addresses matter */

static void take(unsigned i, enum lock_rank rank, const char *name)
{
	lockrank_check(rank, name, false);
	lockrank_taken(&locks[i], rank, name);
}

START_TEST(ascending_ranks_pass_in_any_order_of_release)
{
	take(0, RANK_INODE, "inode");
	take(1, RANK_GROUP, "group");
	take(2, RANK_LEAF, "leaf");
	ck_assert(lockrank_holds(&locks[0]) && lockrank_holds(&locks[1]));
	lockrank_dropped(&locks[1], "group");
	ck_assert(!lockrank_holds(&locks[1]));
	ck_assert(lockrank_holds(&locks[0]) && lockrank_holds(&locks[2]));
	lockrank_dropped(&locks[2], "leaf");
	take(1, RANK_TREE, "tree");
	lockrank_dropped(&locks[0], "inode");
	lockrank_dropped(&locks[1], "tree");
	take(0, RANK_MOUNT, "mount");
	lockrank_dropped(&locks[0], "mount");
}
END_TEST

START_TEST(announced_equals_and_trylocks_pass)
{
	take(0, RANK_INODE, "parent");
	lockrank_check(RANK_INODE, "child", true);
	lockrank_taken(&locks[1], RANK_INODE, "child");
	lockrank_taken(&locks[2], RANK_MOUNT, "tried");
	ck_assert(lockrank_holds(&locks[2]));
}
END_TEST

static void descend(void)
{
	take(0, RANK_GROUP, "group 7");
	take(1, RANK_INODE, "inode 12");
}

static void equal_unannounced(void)
{
	take(0, RANK_INODE, "one");
	take(1, RANK_INODE, "two");
}

static void lower_though_announced(void)
{
	take(0, RANK_INODE, "high");
	lockrank_check(RANK_RENAME, "low", true);
}

static void below_one_in_the_middle(void)
{
	take(0, RANK_INODE, "outer");
	take(1, RANK_LEAF, "inner");
	lockrank_taken(&locks[2], RANK_MOUNT, "tried last");
	take(3, RANK_GROUP, "late");
}

static void drop_what_is_not_held(void)
{
	lockrank_dropped(&locks[0], "nobody's");
}

static void assert_dies(void (*fn)(void), const char *first, const char *second)
{
	char text[2000];

	ck_assert_int_eq(test_run_to_death(fn, text, sizeof(text)), SIGABRT);
	ck_assert_msg(strstr(text, first), "%s does not name %s", text, first);
	ck_assert_msg(strstr(text, second), "%s does not name %s", text, second);
}

START_TEST(violations_stop_with_both_names)
{
	assert_dies(descend, "\"inode 12\" (rank 20)", "\"group 7\" (rank 60)");
	assert_dies(equal_unannounced, "\"two\"", "\"one\"");
	assert_dies(lower_though_announced, "\"low\"", "\"high\"");
	assert_dies(below_one_in_the_middle, "\"late\"", "\"inner\"");
	assert_dies(drop_what_is_not_held, "nobody's", "does not hold");
}
END_TEST

TEST_SUITE(base_lockrank)
{
	tcase_add_test(tc, ascending_ranks_pass_in_any_order_of_release);
	tcase_add_test(tc, announced_equals_and_trylocks_pass);
	tcase_add_test(tc, violations_stop_with_both_names);
}
