/*
 * What must hold: what the kernel knows is counted, in memory or out of it; the root has one id and
 * no count; what was removed stays until the last giving is taken back; and any order of givings
 * and takings from several threads comes out even.
 */
#include <errno.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/rand.h"
#include "fuse/convert.h"
#include "fuse/node.h"
#include "harness/runner.h"
#include "unit/vfs/fakefs.h"

/* Looked up for the kernel: its id. Nobody holds it afterwards. */
static fuse_ino_t give(struct fakefs *fs, const char *path)
{
	struct inode *inode = fake_get(fs, path);
	fuse_ino_t id = node_id(inode);

	node_remember(inode);
	return id;
}

static uint64_t lookups_of(struct fakefs *fs, fuse_ino_t id)
{
	struct inode *inode;
	uint64_t nr;

	ck_assert_int_eq(node_get(&fs->sb, id, &inode), 0);
	nr = atomic_load(&inode->lookups);
	inode_put(inode);
	return nr;
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
	node_forget(&fs->sb, FUSE_ROOT_ID, 1000);
	node_forget(&fs->sb, root->ino, 1000);
	ck_assert_uint_eq(atomic_load(&root->refs), refs);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(givings_and_takings_are_counted)
{
	struct fakefs *fs = fakefs_mount(16);
	fuse_ino_t id;

	fake_make(fs, "a", S_IFREG | 0644);
	id = give(fs, "a");
	ck_assert_uint_eq(give(fs, "a"), id);
	ck_assert_uint_eq(lookups_of(fs, id), 2);
	node_forget(&fs->sb, id, 2);
	ck_assert_uint_eq(lookups_of(fs, id), 0);
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
	node_forget(&fs->sb, node_id(inode), 1000);
	node_forget(&fs->sb, node_id(inode), 1);
	ck_assert_uint_eq(atomic_load(&inode->lookups), 0);
	ck_assert_uint_eq(atomic_load(&inode->refs), 1);
	inode_put(inode);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_removed_file_goes_with_the_last_giving)
{
	struct fakefs *fs = fakefs_mount(1);	/* it does not count among the unused ones */
	struct inode *again;
	fuse_ino_t id;
	unsigned nr_frees;

	fake_make(fs, "a", S_IFREG | 0644);
	id = give(fs, "a");
	ck_assert_int_eq(fake_unlink(fs, "a"), 0);
	fake_make(fs, "b", S_IFREG | 0644);
	fake_make(fs, "c", S_IFREG | 0644);
	nr_frees = atomic_load(&fs->nr_frees);
	ck_assert_int_eq(node_get(&fs->sb, id, &again), 0);
	ck_assert_uint_eq(again->attr.nlink, 0);
	inode_put(again);
	ck_assert_uint_eq(atomic_load(&fs->nr_frees), nr_frees);
	node_forget(&fs->sb, id, 1);
	ck_assert_uint_eq(atomic_load(&fs->nr_frees), nr_frees + 1);
	ck_assert_int_eq(node_get(&fs->sb, id, &again), -ESTALE);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(what_the_kernel_knows_may_leave_memory_and_is_still_counted)
{
	struct fakefs *fs = fakefs_mount(1);	/* so that unused inodes leave memory */
	unsigned nr_reads, nr_frees;
	struct inode *again;
	fuse_ino_t id;

	fake_make(fs, "a", S_IFREG | 0644);
	id = give(fs, "a");
	ck_assert_uint_eq(give(fs, "a"), id);
	ck_assert_uint_eq(give(fs, "a"), id);
	fake_make(fs, "b", S_IFREG | 0644);
	fake_make(fs, "c", S_IFREG | 0644);
	node_forget(&fs->sb, id, 1);		/* while it is out of memory */
	nr_reads = atomic_load(&fs->nr_reads);
	ck_assert_uint_eq(lookups_of(fs, id), 2);
	ck_assert_uint_eq(atomic_load(&fs->nr_reads), nr_reads + 1);
	nr_frees = atomic_load(&fs->nr_frees);
	ck_assert_int_eq(fake_unlink(fs, "a"), 0);
	ck_assert_uint_eq(atomic_load(&fs->nr_frees), nr_frees);
	node_forget(&fs->sb, id, 2);
	ck_assert_uint_eq(atomic_load(&fs->nr_frees), nr_frees + 1);
	ck_assert_int_eq(node_get(&fs->sb, id, &again), -ESTALE);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(forgotten_out_of_memory_it_goes_with_its_name)
{
	struct fakefs *fs = fakefs_mount(1);
	unsigned nr_frees;
	fuse_ino_t id;

	fake_make(fs, "a", S_IFREG | 0644);
	id = give(fs, "a");
	fake_make(fs, "b", S_IFREG | 0644);
	fake_make(fs, "c", S_IFREG | 0644);
	node_forget(&fs->sb, id, 1);
	nr_frees = atomic_load(&fs->nr_frees);
	ck_assert_int_eq(fake_unlink(fs, "a"), 0);
	ck_assert_uint_eq(atomic_load(&fs->nr_frees), nr_frees + 1);
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
#define RACED_FILES 3
#define ROUNDS 20000

struct racer {
	struct fakefs *fs;
	fuse_ino_t ids[RACED_FILES];
	uint64_t seed;
};

static void give_by_number(struct fakefs *fs, fuse_ino_t id)
{
	struct inode *inode;

	must(node_get(&fs->sb, id, &inode) == 0);
	node_remember(inode);
}

static void race(void *arg)
{
	uint64_t nr[RACED_FILES] = {0};
	struct racer *r = arg;
	struct rand rand;

	rand_init(&rand, r->seed);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned k = (unsigned)rand_below(&rand, RACED_FILES);

		if (nr[k] == 0 || rand_below(&rand, 2)) {
			give_by_number(r->fs, r->ids[k]);
			nr[k]++;
		} else {
			uint64_t some = 1 + rand_below(&rand, nr[k]);

			node_forget(&r->fs->sb, r->ids[k], some);
			nr[k] -= some;
		}
	}
	for (unsigned k = 0; k < RACED_FILES; k++)
		node_forget(&r->fs->sb, r->ids[k], nr[k]);
}

/* unused_max 1: the files leave memory and come back all the time. */
static void threads_give_and_take(uint32_t unused_max)
{
	static const char *const names[RACED_FILES] = {"a", "b", "c"};
	struct fakefs *fs = fakefs_mount(unused_max);
	struct thread *threads[RACERS];
	struct racer racers[RACERS];

	for (unsigned k = 0; k < RACED_FILES; k++) {
		fake_make(fs, names[k], S_IFREG | 0644);
		racers[0].ids[k] = give(fs, names[k]);
		node_forget(&fs->sb, racers[0].ids[k], 1);
	}
	for (unsigned i = 0; i < RACERS; i++) {
		racers[i] = racers[0];
		racers[i].fs = fs;
		racers[i].seed = test_seed() + i;
		threads[i] = thread_create("racer", race, &racers[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (unsigned i = 0; i < RACERS; i++)
		thread_join(threads[i]);
	for (unsigned k = 0; k < RACED_FILES; k++)
		ck_assert_uint_eq(lookups_of(fs, racers[0].ids[k]), 0);
	fakefs_unmount(fs);
}

START_TEST(threads_that_give_and_take_come_out_even)
{
	threads_give_and_take(16);
	threads_give_and_take(1);
}
END_TEST

TEST_SUITE(fuse_node)
{
	tcase_add_test(tc, the_root_is_node_1_and_nothing_else);
	tcase_add_test(tc, the_root_is_not_counted);
	tcase_add_test(tc, givings_and_takings_are_counted);
	tcase_add_test(tc, more_than_was_given_cannot_be_taken);
	tcase_add_test(tc, a_removed_file_goes_with_the_last_giving);
	tcase_add_test(tc, what_the_kernel_knows_may_leave_memory_and_is_still_counted);
	tcase_add_test(tc, forgotten_out_of_memory_it_goes_with_its_name);
	tcase_add_test(tc, an_entry_says_all_that_the_kernel_may_keep);
	tcase_add_test(tc, threads_that_give_and_take_come_out_even);
}
