/*
 * Several threads at once, as the daemon has them: each does random operations in a directory of
 * its own, which must stay what its oracle says, and in one that all share, where any answer will
 * do that some order of the operations explains. A write is seen whole or not at all. Meanwhile
 * pages are written, reclaimed and synced. Afterwards the image passes e2fsck. Under tsan no race.
 * With blocks of 1 KiB the log has 4 MiB, and goes round all the time.
 *
 * THREADS_ROUNDS=N in the environment: so many images one after the other (25: a million operations
 * on each kind).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "harness/runner.h"
#include "model.h"
#include "vfs/namei.h"

#define NR_THREADS 4
#define STEPS_EACH 10000
#define NR_SHARED_NAMES 10
#define WHOLE_BYTES 9000u	/* of a write that is seen whole; no multiple of any block */

struct party {
	struct model_config config;
	struct stack stack;
	struct inode *shared;
	_Atomic bool is_over;
};

struct worker {
	struct party *party;
	struct model model;
	struct inode *dir;
	struct rand rand;
};

static void check_answer(ssize_t got, const char *what)
{
	static const int usual[] = {ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL, EPERM};

	if (got >= 0)
		return;
	for (size_t i = 0; i < array_size(usual); i++)
		if (got == -usual[i])
			return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-got));
	must(!"an answer that no order of operations explains");
}

static struct name shared_name(struct rand *r, char text[8])
{
	int len = snprintf(text, 8, "s%u", (unsigned)rand_below(r, NR_SHARED_NAMES));

	return (struct name){text, (uint32_t)len};
}

static int lookup_shared(struct worker *w, struct inode *dir, struct inode **ret_inode)
{
	char text[8];
	struct name name = shared_name(&w->rand, text);

	return vfs_lookup(dir, &name, ret_inode);
}

/* The shared directory, or one in it. */
static struct inode *choose_shared_dir(struct worker *w)
{
	struct inode *inode;

	if (rand_one_in(&w->rand, 2) || lookup_shared(w, w->party->shared, &inode))
		return inode_ref(w->party->shared);
	if (inode_is_dir(inode))
		return inode;
	inode_put(inode);
	return inode_ref(w->party->shared);
}

static void write_whole(struct worker *w, struct file *file)
{
	static _Thread_local uint8_t bytes[WHOLE_BYTES];
	ssize_t got;

	memset(bytes, 'a' + (int)rand_below(&w->rand, 26), sizeof(bytes));
	got = file_write(file, 0, bytes, sizeof(bytes), false);
	must(got == (ssize_t)sizeof(bytes));
}

static void read_whole(struct file *file)
{
	struct filemap_view view;
	uint8_t first = 0;

	must(file_read(file, 0, WHOLE_BYTES, &view) == 0);
	must(view.len_bytes == 0 || view.len_bytes == WHOLE_BYTES);
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		const uint8_t *bytes = view.iov[i].iov_base;

		if (i == 0)
			first = bytes[0];
		for (size_t j = 0; j < view.iov[i].iov_len; j++)
			must(bytes[j] == first);
	}
	file_read_done(file, &view);
}

static void truncate_whole(struct worker *w, struct inode *inode)
{
	struct setattr sa = {.valid = SETATTR_SIZE};

	(void)w;
	must(vfs_setattr(inode, &sa, &stack_root) == 0);
}

static void use_file(struct worker *w, struct inode *inode)
{
	struct file *file;

	must(file_open(inode, O_RDWR, &stack_root, &file) == 0);
	switch (rand_below(&w->rand, 6)) {
	case 0 ... 1:
		write_whole(w, file);
		break;
	case 2:
		truncate_whole(w, inode);
		break;
	case 3:
		must(file_fsync(file, rand_one_in(&w->rand, 2)) == 0);
		break;
	default:
		read_whole(file);
	}
	file_close(file);
}

static bool see_entry(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	(void)arg, (void)d_type, (void)next;
	must(ino != 0 && name->len_bytes > 0);
	return true;
}

static void use_inode(struct worker *w, struct inode *inode)
{
	struct setattr sa = {.valid = SETATTR_MODE, .mode = (mode_t)rand_below(&w->rand, 01000)};
	struct inode_attr attr;

	inode_attr(inode, &attr);
	if (rand_one_in(&w->rand, 4))
		must(vfs_setattr(inode, &sa, &stack_root) == 0);
	else if (S_ISREG(attr.mode))
		use_file(w, inode);
	else if (S_ISDIR(attr.mode))
		check_answer(dir_read(inode, 0, see_entry, NULL), "readdir");
}

static void step_shared(struct worker *w)
{
	static const uint32_t flags[] = {0, 0, RENAME_FLAG_NOREPLACE, RENAME_FLAG_EXCHANGE, RENAME_FLAG_WHITEOUT};
	struct inode *dir = choose_shared_dir(w), *dir2 = choose_shared_dir(w), *inode = NULL;
	char text[8], text2[8];
	struct name name = shared_name(&w->rand, text), name2 = shared_name(&w->rand, text2);
	mode_t mode = (rand_one_in(&w->rand, 3) ? S_IFDIR : S_IFREG) | 0755;
	int err;

	switch (rand_below(&w->rand, 10)) {
	case 0 ... 2:
		check_answer(vfs_mknod(dir, &name, mode, 0, 0, &stack_root, &inode), "mknod");
		break;
	case 3:
		check_answer(vfs_unlink(dir, &name, &stack_root), "unlink");
		break;
	case 4:
		check_answer(vfs_rmdir(dir, &name, &stack_root), "rmdir");
		break;
	case 5 ... 6:
		err = vfs_rename(dir, &name, dir2, &name2, flags[rand_below(&w->rand, array_size(flags))],
				 &stack_root);
		check_answer(err, "rename");
		break;
	case 7:
		err = vfs_lookup(dir, &name, &inode);
		if (!err)
			err = vfs_link(inode, dir2, &name2, &stack_root);
		check_answer(err, "link");
		break;
	default:
		err = vfs_lookup(dir, &name, &inode);
		check_answer(err, "lookup");
		if (!err)
			use_inode(w, inode);
	}
	inode_put(inode);
	inode_put(dir);
	inode_put(dir2);
}

static void run_worker(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < STEPS_EACH; i++)
		if (rand_one_in(&w->rand, 2))
			step_shared(w);
		else
			model_step(&w->model);
	model_compare(&w->model);
	model_destroy(&w->model);
}

/* What the daemon does besides: syncs, and statistics for df. */
static void run_syncer(void *arg)
{
	struct party *p = arg;
	struct statfs_info info;

	while (!atomic_load(&p->is_over)) {
		must(super_statfs(p->stack.sb, &info) == 0);
		must(super_sync(p->stack.sb) == 0);
		usleep(20000);
	}
}

static struct inode *make_dir(struct party *p, const char *text)
{
	struct name name = {text, (uint32_t)strlen(text)};
	struct inode *inode;

	ck_assert_int_eq(vfs_mknod(p->stack.sb->root, &name, S_IFDIR | 0755, 0, 0, &stack_root, &inode), 0);
	return inode;
}

static void start_worker(struct worker *w, struct party *p, int i, uint64_t seed)
{
	char text[16];

	snprintf(text, sizeof(text), "own%d", i);
	w->party = p;
	w->dir = make_dir(p, text);
	rand_init(&w->rand, seed + (uint64_t)i);
	model_create_guest(&w->model, &p->config, &p->stack, w->dir, seed + 100 + (uint64_t)i);
}

static void run_party(struct party *p, uint64_t seed)
{
	static struct worker workers[NR_THREADS];
	struct thread *threads[NR_THREADS], *syncer;

	p->shared = make_dir(p, "shared");
	for (int i = 0; i < NR_THREADS; i++)
		start_worker(&workers[i], p, i, seed);
	syncer = thread_create("syncer", run_syncer, p);
	for (int i = 0; i < NR_THREADS; i++)
		threads[i] = thread_create("worker", run_worker, &workers[i]);
	for (int i = 0; i < NR_THREADS; i++) {
		thread_join(threads[i]);
		inode_put(workers[i].dir);
	}
	atomic_store(&p->is_over, true);
	thread_join(syncer);
	inode_put(p->shared);
}

static uint64_t rounds_wanted(void)
{
	const char *text = getenv("THREADS_ROUNDS");

	return text ? strtoull(text, NULL, 10) : 1;
}

static void one_round(int kind, uint64_t seed)
{
	unsigned block = 1024u << kind % 3;
	struct party party = {
		.config = {
			.recipe = {.size_bytes = (uint64_t)block << 16, .block_bytes = block, .inode_bytes = 256,
				   .is_ext3 = true, .has_dir_index = true, .seed = seed},
			.stack = {.block_bytes = block, .is_threaded = true, .unused_inodes_max = 20,
				  .dentries_max = 30, .seed = seed,
				  .data_mode = kind / 3 ? EXT_DATA_JOURNAL : EXT_DATA_ORDERED},
		},
	};
	int fd = temp_image_make(&party.config.recipe);
	char report[4000];
	int err;

	err = stack_mount(&party.config.stack, fd, &party.stack);
	ck_assert_msg(err == 0, "%s", party.stack.why);
	run_party(&party, seed);
	ck_assert_int_eq(stack_unmount(&party.stack), 0);
	err = temp_image_fsck(fd, report, sizeof(report));
	ck_assert_msg(err == 0, "e2fsck says %d: %s", err, report);
	close(fd);
}

START_TEST(threads_leave_a_sound_image)
{
	for (uint64_t i = 0; i < rounds_wanted(); i++)
		one_round(_i, test_seed() + i * 1000);
}
END_TEST

TEST_SUITE(fs_threads)
{
	tcase_add_loop_test(tc, threads_leave_a_sound_image, 0, 4);
}
