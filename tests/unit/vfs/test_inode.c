/*
 * The inode table: one struct inode for a number, read once, found by all, evicted once; readers
 * and evictions that overlap wait for each other; the bound holds. Overlaps are made by stopping a
 * thread inside read_inode or evict_inode; then by many threads at random.
 */
#include <errno.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rand.h"
#include "fakefs.h"
#include "harness/runner.h"

static struct inode *get(struct fakefs *fs, inr_t ino)
{
	struct inode *inode;

	ck_assert_int_eq(inode_get(&fs->sb, ino, &inode), 0);
	return inode;
}

/* Makes a file in the root and tells its number. */
static inr_t make_file(struct fakefs *fs, const char *name)
{
	struct inode *inode;
	inr_t ino;

	fake_make(fs, name, S_IFREG | 0644);
	inode = fake_get(fs, name);
	ino = inode->ino;
	inode_put(inode);
	return ino;
}

START_TEST(I1_a_number_has_one_inode)
{
	struct fakefs *fs = fakefs_mount(0);
	inr_t ino = make_file(fs, "f");
	struct inode *a = get(fs, ino), *b = get(fs, ino);

	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(atomic_load(&a->refs), 2);
	inode_put(b);
	inode_put(a);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(an_unused_inode_is_kept_and_not_read_again)
{
	struct fakefs *fs = fakefs_mount(0);
	inr_t ino = make_file(fs, "f");
	unsigned nr_reads = fs->nr_reads;

	for (int i = 0; i < 10; i++)
		inode_put(get(fs, ino));
	ck_assert_uint_eq(fs->nr_reads, nr_reads);
	ck_assert_uint_eq(fs->nr_evicts, 0);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(over_the_bound_the_oldest_unused_is_evicted)
{
	struct fakefs *fs = fakefs_mount(2);
	inr_t a = make_file(fs, "a"), b = make_file(fs, "b"), c;
	unsigned nr_reads;

	inode_put(get(fs, a));		/* b is the oldest now */
	ck_assert_uint_eq(fs->nr_evicts, 0);
	c = make_file(fs, "c");
	ck_assert_uint_eq(fs->nr_evicts, 1);
	ck_assert_uint_eq(fs->sb.nr_unused, 2);
	nr_reads = fs->nr_reads;
	inode_put(get(fs, a));
	inode_put(get(fs, c));
	ck_assert_uint_eq(fs->nr_reads, nr_reads);
	inode_put(get(fs, b));
	ck_assert_uint_eq(fs->nr_reads, nr_reads + 1);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(without_links_it_is_evicted_at_the_last_put)
{
	struct fakefs *fs = fakefs_mount(0);
	inr_t ino = make_file(fs, "f");
	struct inode *a = get(fs, ino), *other;

	ck_assert_int_eq(fake_unlink(fs, "f"), 0);
	inode_put(inode_ref(a));
	ck_assert_uint_eq(fs->nr_evicts, 0);
	inode_put(a);
	ck_assert_uint_eq(fs->nr_evicts, 1);
	ck_assert_uint_eq(fs->nr_frees, 1);
	ck_assert_int_eq(inode_get(&fs->sb, ino, &other), -ESTALE);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_failed_read_leaves_nothing)
{
	struct fakefs *fs = fakefs_mount(1);
	inr_t ino = make_file(fs, "f");
	struct inode *inode;
	unsigned nr_alive;

	make_file(fs, "g");		/* the bound is 1: f is evicted */
	nr_alive = fs->nr_alive;
	fs->read_error = -EIO;
	ck_assert_int_eq(inode_get(&fs->sb, ino, &inode), -EIO);
	ck_assert_int_eq(inode_get(&fs->sb, 77, &inode), -EIO);
	ck_assert_uint_eq(fs->nr_alive, nr_alive);
	fs->read_error = 0;
	inode_put(get(fs, ino));
	fakefs_unmount(fs);
}
END_TEST

START_TEST(I3_what_never_became_live_is_evicted_too)
{
	struct fakefs *fs = fakefs_mount(0);

	fs->create_error = -EIO;
	ck_assert_int_eq(fake_mknod(fs, "f", S_IFREG | 0644), -EIO);
	ck_assert_uint_eq(fs->nr_evicts, 1);
	ck_assert_uint_eq(fs->nr_frees, 1);
	fs->create_error = 0;
	fake_make(fs, "f", S_IFREG | 0644);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_number_that_is_alive_cannot_be_created)
{
	struct fakefs *fs = fakefs_mount(0);
	inr_t ino = make_file(fs, "f");
	struct inode *inode;

	ck_assert_int_eq(inode_create(&fs->sb, ino, &inode), -EUCLEAN);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(S1_unmount_evicts_also_what_is_referenced)
{
	struct fakefs *fs = fakefs_mount(0);
	struct inode *held;

	make_file(fs, "f");
	make_file(fs, "g");
	held = fake_get(fs, "g");
	ck_assert_int_eq(fake_unlink(fs, "g"), 0);
	ck_assert_uint_eq(atomic_load(&held->refs), 1);
	fakefs_unmount(fs);	/* checks that none is alive, and that g's node is free */
}
END_TEST

/* Overlaps: a gate holds a thread inside the file system. */

static struct {
	_Atomic bool is_inside, may_go;
} gate;

static void pause_us(void)
{
	usleep(1000);
}

static void stand_in_gate(struct inode *inode)
{
	(void)inode;
	atomic_store(&gate.is_inside, true);
	while (!atomic_load(&gate.may_go))
		pause_us();
}

struct getter {
	struct fakefs *fs;
	inr_t ino;
	struct inode *inode;
	int err;
	_Atomic bool is_done;
};

static void run_getter(void *arg)
{
	struct getter *g = arg;

	g->err = inode_get(&g->fs->sb, g->ino, &g->inode);
	atomic_store(&g->is_done, true);
}

static void run_putter(void *arg)
{
	inode_put(arg);
}

static void wait_inside(void)
{
	while (!atomic_load(&gate.is_inside))
		pause_us();
}

/* Long enough for a thread that does not wait to show it. */
static void let_others_run(void)
{
	usleep(30000);
}

START_TEST(I2_a_second_getter_waits_for_the_reader)
{
	struct fakefs *fs = fakefs_mount(1);
	inr_t ino = make_file(fs, "f");
	struct getter a = {.fs = fs, .ino = ino}, b = a;
	struct thread *ta, *tb;
	unsigned nr_reads;

	make_file(fs, "g");
	nr_reads = fs->nr_reads;
	fs->on_read = stand_in_gate;
	ta = thread_create("a", run_getter, &a);
	wait_inside();
	tb = thread_create("b", run_getter, &b);
	let_others_run();
	ck_assert(!atomic_load(&b.is_done));
	atomic_store(&gate.may_go, true);
	thread_join(ta);
	thread_join(tb);
	ck_assert_int_eq(a.err, 0);
	ck_assert_int_eq(b.err, 0);
	ck_assert_ptr_eq(a.inode, b.inode);
	ck_assert_uint_eq(fs->nr_reads, nr_reads + 1);
	inode_put(a.inode);
	inode_put(b.inode);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_getter_waits_for_an_eviction_and_reads_anew)
{
	struct fakefs *fs = fakefs_mount(0);
	inr_t ino = make_file(fs, "f");
	struct getter g = {.fs = fs, .ino = ino};
	struct inode *inode = get(fs, ino);
	struct thread *putter, *getter;

	ck_assert_int_eq(fake_unlink(fs, "f"), 0);
	fs->on_evict = stand_in_gate;
	putter = thread_create("putter", run_putter, inode);
	wait_inside();
	getter = thread_create("getter", run_getter, &g);
	let_others_run();
	ck_assert(!atomic_load(&g.is_done));
	atomic_store(&gate.may_go, true);
	thread_join(putter);
	thread_join(getter);
	ck_assert_int_eq(g.err, -ESTALE);
	ck_assert_uint_eq(fs->nr_evicts, 1);
	fakefs_unmount(fs);
}
END_TEST

/* At random. */

#define NR_THREADS 4
#define NR_FILES 12
#define NR_STEPS 8000

struct stress {
	struct fakefs *fs;
	const inr_t *inos;
	uint64_t seed;
};

static void run_stress(void *arg)
{
	struct stress *s = arg;
	struct inode *held[4] = {NULL};
	struct rand r;

	rand_init(&r, s->seed);
	for (int i = 0; i < NR_STEPS; i++) {
		struct inode **slot = &held[rand_below(&r, 4)];
		struct inode_attr attr;

		if (*slot) {
			inode_attr(*slot, &attr);
			must(S_ISREG(attr.mode) && attr.nlink == 1);
			inode_put(*slot);
			*slot = NULL;
		} else {
			inr_t ino = s->inos[rand_below(&r, NR_FILES)];

			must(inode_get(&s->fs->sb, ino, slot) == 0);
			must((*slot)->ino == ino);
		}
	}
	for (int i = 0; i < 4; i++)
		inode_put(held[i]);
}

START_TEST(threads_get_and_put_under_eviction)
{
	struct fakefs *fs = fakefs_mount(3);
	struct stress stress[NR_THREADS];
	struct thread *threads[NR_THREADS];
	inr_t inos[NR_FILES];
	char name[2] = "a";

	for (int i = 0; i < NR_FILES; i++, name[0]++)
		inos[i] = make_file(fs, name);
	for (int i = 0; i < NR_THREADS; i++) {
		stress[i] = (struct stress){fs, inos, test_seed() + (uint64_t)i};
		threads[i] = thread_create("stress", run_stress, &stress[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	ck_assert_uint_le(fs->sb.nr_unused, 3);
	ck_assert_uint_eq(fs->nr_frees, 0);
	fakefs_unmount(fs);
}
END_TEST

TEST_SUITE(vfs_inode)
{
	tcase_add_test(tc, I1_a_number_has_one_inode);
	tcase_add_test(tc, an_unused_inode_is_kept_and_not_read_again);
	tcase_add_test(tc, over_the_bound_the_oldest_unused_is_evicted);
	tcase_add_test(tc, without_links_it_is_evicted_at_the_last_put);
	tcase_add_test(tc, a_failed_read_leaves_nothing);
	tcase_add_test(tc, I3_what_never_became_live_is_evicted_too);
	tcase_add_test(tc, a_number_that_is_alive_cannot_be_created);
	tcase_add_test(tc, S1_unmount_evicts_also_what_is_referenced);
	tcase_add_test(tc, I2_a_second_getter_waits_for_the_reader);
	tcase_add_test(tc, a_getter_waits_for_an_eviction_and_reads_anew);
	tcase_add_test(tc, threads_get_and_put_under_eviction);
}
