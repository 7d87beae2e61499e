/*
 * What must hold: the kernel's count keeps an inode in memory and nothing else does; the root has
 * one id and no count; what was removed goes when the last giving is taken back; and any order of
 * givings and takings from several threads comes out even.
 */
#include <errno.h>

#include "base/lock.h"
#include "base/rand.h"
#include "fuse/convert.h"
#include "fuse/node.h"
#include "harness/runner.h"
#include "unit/vfs/fakefs.h"

static struct inode *given(struct fakefs *fs, const char *path)
{
	struct inode *inode = fake_get(fs, path);

	node_remember(inode);
	return inode;
}

START_TEST(the_root_is_node_1_and_nothing_else)
{
	struct fakefs *fs = fakefs_mount(16);
	struct inode *root;

	ck_assert_int_eq(node_get(&fs->sb, FUSE_ROOT_ID, &root), 0);
	ck_assert_ptr_eq(root, fs->sb.root);
	ck_assert_uint_eq(node_id(root), FUSE_ROOT_ID);
	ck_assert_int_eq(node_get(&fs->sb, FAKE_ROOT, &root), -ESTALE);
	ck_assert_int_eq(node_get(&fs->sb, 0, &root), -ESTALE);
	ck_assert_int_eq(node_get(&fs->sb, 1ull << 32 | 3, &root), -ESTALE);
	inode_put(fs->sb.root);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(the_root_is_not_counted)
{
	struct fakefs *fs = fakefs_mount(16);
	struct inode *root = fs->sb.root;
	uint32_t refs = atomic_load(&root->refs);

	node_remember(inode_ref(root));
	ck_assert_uint_eq(atomic_load(&root->refs), refs);
	node_forget(root, 1000);
	ck_assert_uint_eq(atomic_load(&root->refs), refs);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_count_holds_one_reference)
{
	struct fakefs *fs = fakefs_mount(16);
	struct inode *inode, *again;

	fake_make(fs, "a", S_IFREG | 0644);
	inode = given(fs, "a");
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	ck_assert_ptr_eq(given(fs, "a"), inode);
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	ck_assert_uint_eq(atomic_load(&inode->lookups), 2);
	ck_assert_int_eq(node_get(&fs->sb, node_id(inode), &again), 0);
	ck_assert_ptr_eq(again, inode);
	node_forget(inode, 2);
	ck_assert_uint_eq(atomic_load(&inode->lookups), 0);
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	inode_put(again);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(more_than_was_given_cannot_be_taken)
{
	struct fakefs *fs = fakefs_mount(16);
	struct inode *inode;

	fake_make(fs, "a", S_IFREG | 0644);
	inode = fake_get(fs, "a");
	node_remember(inode_ref(inode));
	node_forget(inode, 1000);
	node_forget(inode, 1);
	ck_assert_uint_eq(atomic_load(&inode->lookups), 0);
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	inode_put(inode);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_removed_file_goes_with_the_last_giving)
{
	struct fakefs *fs = fakefs_mount(16);
	struct inode *inode, *again;
	fuse_ino_t id;
	unsigned nr_evicts;

	fake_make(fs, "a", S_IFREG | 0644);
	inode = given(fs, "a");
	id = node_id(inode);
	ck_assert_int_eq(fake_unlink(fs, "a"), 0);
	nr_evicts = atomic_load(&fs->nr_evicts);
	ck_assert_int_eq(node_get(&fs->sb, id, &again), 0);
	inode_put(again);
	ck_assert_uint_eq(atomic_load(&fs->nr_evicts), nr_evicts);
	node_forget(inode, 1);
	ck_assert_uint_eq(atomic_load(&fs->nr_evicts), nr_evicts + 1);
	ck_assert_int_eq(node_get(&fs->sb, id, &again), -ESTALE);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(what_the_kernel_forgot_is_found_by_its_number)
{
	struct fakefs *fs = fakefs_mount(1);	/* so that unused inodes leave memory */
	struct inode *inode;
	fuse_ino_t id;

	fake_make(fs, "a", S_IFREG | 0644);
	inode = given(fs, "a");
	id = node_id(inode);
	node_forget(inode, 1);
	fake_make(fs, "b", S_IFREG | 0644);
	fake_make(fs, "c", S_IFREG | 0644);
	ck_assert_int_eq(node_get(&fs->sb, id, &inode), 0);
	ck_assert_uint_eq(node_id(inode), id);
	inode_put(inode);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(an_entry_says_all_that_the_kernel_may_keep)
{
	struct fakefs *fs = fakefs_mount(16);
	struct fuse_entry_param e;
	struct inode *inode;

	fake_make(fs, "a", S_IFREG | 0640);
	inode = fake_get(fs, "a");
	inode->generation = 99;
	node_entry(inode, &e);
	ck_assert_uint_eq(e.ino, inode->ino);
	ck_assert_uint_eq(e.generation, 99);
	ck_assert_uint_eq(e.attr.st_mode, S_IFREG | 0640);
	ck_assert(e.attr_timeout > 3600 && e.entry_timeout > 3600);
	node_negative_entry(&e);
	ck_assert_uint_eq(e.ino, 0);
	ck_assert(e.entry_timeout > 3600);
	inode_put(inode);
	fakefs_unmount(fs);
}
END_TEST

#define RACERS 4
#define ROUNDS 20000

struct racer {
	struct inode *inode;
	uint64_t seed;
};

static void race(void *arg)
{
	struct racer *r = arg;
	struct rand rand;
	uint64_t nr = 0;

	rand_init(&rand, r->seed);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (nr == 0 || rand_below(&rand, 2)) {
			node_remember(inode_ref(r->inode));
			nr++;
		} else {
			uint64_t some = 1 + rand_below(&rand, nr);

			node_forget(r->inode, some);
			nr -= some;
		}
	}
	if (nr)
		node_forget(r->inode, nr);
}

START_TEST(threads_that_give_and_take_come_out_even)
{
	struct fakefs *fs = fakefs_mount(16);
	struct thread *threads[RACERS];
	struct racer racers[RACERS];
	struct inode *inode;

	fake_make(fs, "a", S_IFREG | 0644);
	inode = fake_get(fs, "a");
	for (unsigned i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){.inode = inode, .seed = test_seed() + i};
		threads[i] = thread_create("racer", race, &racers[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (unsigned i = 0; i < RACERS; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(atomic_load(&inode->lookups), 0);
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	inode_put(inode);
	fakefs_unmount(fs);
}
END_TEST

TEST_SUITE(fuse_node)
{
	tcase_add_test(tc, the_root_is_node_1_and_nothing_else);
	tcase_add_test(tc, the_root_is_not_counted);
	tcase_add_test(tc, a_count_holds_one_reference);
	tcase_add_test(tc, more_than_was_given_cannot_be_taken);
	tcase_add_test(tc, a_removed_file_goes_with_the_last_giving);
	tcase_add_test(tc, what_the_kernel_forgot_is_found_by_its_number);
	tcase_add_test(tc, an_entry_says_all_that_the_kernel_may_keep);
	tcase_add_test(tc, threads_that_give_and_take_come_out_even);
}
