/*
 * The dentry table says of a name what it was last told, or that it does not know; it never grows
 * beyond its bound, and forgets a whole directory at once. Random use is compared with an array
 * that forgets nothing: an answer may be "unknown", but never wrong.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"
#include "vfs/dentry.h"

#define NR_DIRS 5
#define NR_NAMES 20

static struct name name_of(char text[16], unsigned n)
{
	int len = snprintf(text, 16, "name%u", n);

	return (struct name){text, (uint32_t)len};
}

static struct dentry_cache *make(uint32_t entries_max)
{
	struct dentry_cache *dc;

	ck_assert_int_eq(dentry_cache_create(entries_max, &dc), 0);
	return dc;
}

START_TEST(N1_an_answer_is_what_was_last_told)
{
	struct dentry_cache *dc = make(30);
	bool was_told[NR_DIRS][NR_NAMES] = {{false}};
	inr_t told[NR_DIRS][NR_NAMES];
	unsigned nr_known = 0;
	struct rand r;

	rand_init(&r, test_seed());
	for (int i = 0; i < 50000; i++) {
		unsigned dir = (unsigned)rand_below(&r, NR_DIRS), n = (unsigned)rand_below(&r, NR_NAMES);
		char text[16];
		struct name name = name_of(text, n);
		inr_t ino = 0;

		switch (rand_below(&r, 20)) {
		case 0:
			dentry_forget_dir(dc, dir + 1);
			memset(was_told[dir], 0, sizeof(was_told[dir]));
			break;
		case 1 ... 2:
			dentry_forget(dc, dir + 1, &name);
			was_told[dir][n] = false;
			break;
		case 3 ... 9:
			told[dir][n] = (inr_t)rand_below(&r, 3);
			was_told[dir][n] = true;
			dentry_set(dc, dir + 1, &name, told[dir][n]);
			break;
		default:
			switch (dentry_find(dc, dir + 1, &name, &ino)) {
			case DENTRY_UNKNOWN:
				break;
			case DENTRY_NEGATIVE:
				ck_assert(was_told[dir][n] && told[dir][n] == 0);
				nr_known++;
				break;
			case DENTRY_POSITIVE:
				ck_assert(was_told[dir][n] && told[dir][n] == ino && ino != 0);
				nr_known++;
			}
		}
	}
	ck_assert_uint_gt(nr_known, 1000);
	dentry_cache_destroy(dc);
}
END_TEST

START_TEST(the_least_recently_used_leave_first)
{
	struct dentry_cache *dc = make(4);
	char text[16];
	inr_t ino;

	for (unsigned n = 0; n < 4; n++) {
		struct name name = name_of(text, n);

		dentry_set(dc, 1, &name, n + 10);
	}
	for (unsigned n = 4; n < 50; n++) {
		struct name used = name_of(text, 0), fresh;

		ck_assert_int_eq(dentry_find(dc, 1, &used, &ino), DENTRY_POSITIVE);
		ck_assert_uint_eq(ino, 10);
		fresh = name_of(text, n);
		dentry_set(dc, 1, &fresh, n);
		if (n >= 7) {
			struct name old = name_of(text, n - 3);

			ck_assert_int_eq(dentry_find(dc, 1, &old, &ino), DENTRY_UNKNOWN);
		}
	}
	dentry_cache_destroy(dc);
}
END_TEST

START_TEST(nothing_stays_allocated)
{
	uint64_t live = mem_live_count();
	struct dentry_cache *dc = make(100);
	char text[16];

	for (unsigned n = 0; n < 90; n++) {
		struct name name = name_of(text, n);

		dentry_set(dc, n % 7 + 1, &name, n);
	}
	for (inr_t dir = 1; dir <= 3; dir++)
		dentry_forget_dir(dc, dir);
	dentry_cache_destroy(dc);
	ck_assert_uint_eq(mem_live_count(), live);
}
END_TEST

START_TEST(without_memory_a_name_is_not_remembered)
{
	struct dentry_cache *dc;
	struct name name = {"f", 1};
	inr_t ino;

	for (uint64_t n = 1; n <= 2; n++) {	/* the entry, its directory's head */
		dc = make(4);
		mem_fail_nth(n, true);
		dentry_set(dc, 1, &name, 5);
		mem_fail_nth(0, false);
		ck_assert_int_eq(dentry_find(dc, 1, &name, &ino), DENTRY_UNKNOWN);
		dentry_set(dc, 1, &name, 5);
		ck_assert_int_eq(dentry_find(dc, 1, &name, &ino), DENTRY_POSITIVE);
		/* What is there already needs none. */
		mem_fail_nth(1, true);
		dentry_set(dc, 1, &name, 0);
		mem_fail_nth(0, false);
		ck_assert_int_eq(dentry_find(dc, 1, &name, &ino), DENTRY_NEGATIVE);
		dentry_cache_destroy(dc);
	}
}
END_TEST

TEST_SUITE(vfs_dentry)
{
	tcase_add_test(tc, N1_an_answer_is_what_was_last_told);
	tcase_add_test(tc, the_least_recently_used_leave_first);
	tcase_add_test(tc, nothing_stays_allocated);
	tcase_add_test(tc, without_memory_a_name_is_not_remembered);
}
