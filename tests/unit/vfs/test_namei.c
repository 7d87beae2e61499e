/*
 * Looking up, creating, linking and removing: the error for each thing that stands against it, in
 * Linux's order; what the dentry table is asked and told; what a sync mount syncs.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/assert.h"
#include "fakefs.h"
#include "harness/runner.h"

#define DIR (S_IFDIR | 0755)
#define REG (S_IFREG | 0644)

static int lookup(struct fakefs *fs, const char *dir_path, const char *text)
{
	struct inode *dir = fake_get(fs, dir_path), *inode;
	struct name name = fake_name(text);
	int err = vfs_lookup(dir, &name, &inode);

	if (!err)
		inode_put(inode);
	inode_put(dir);
	return err;
}

static int symlink_to(struct fakefs *fs, const char *path, const char *target)
{
	struct inode *root = fake_get(fs, ""), *inode;
	struct name name = fake_name(path);
	int err = vfs_symlink(root, &name, target, &fake_root, &inode);

	if (!err)
		inode_put(inode);
	inode_put(root);
	return err;
}

START_TEST(names_are_checked_everywhere)
{
	struct fakefs *fs = fakefs_mount(0);
	char longest[257];

	memset(longest, 'n', 256);
	longest[256] = 0;
	fake_make(fs, "f", REG);
	ck_assert_int_eq(lookup(fs, "", longest), -ENAMETOOLONG);
	ck_assert_int_eq(fake_mknod(fs, longest, REG), -ENAMETOOLONG);
	ck_assert_int_eq(fake_link(fs, "f", longest), -ENAMETOOLONG);
	ck_assert_int_eq(fake_unlink(fs, longest), -ENAMETOOLONG);
	ck_assert_int_eq(fake_rmdir(fs, longest), -ENAMETOOLONG);
	ck_assert_int_eq(fake_rename(fs, longest, "g", 0), -ENAMETOOLONG);
	ck_assert_int_eq(fake_rename(fs, "f", longest, 0), -ENAMETOOLONG);
	ck_assert_int_eq(symlink_to(fs, longest, "x"), -ENAMETOOLONG);
	longest[255] = 0;
	fake_make(fs, longest, REG);
	ck_assert_int_eq(lookup(fs, "", longest), 0);
	ck_assert_int_eq(lookup(fs, "", ""), -ENOENT);
	ck_assert_int_eq(fake_mknod(fs, "", REG), -ENOENT);
	ck_assert_int_eq(lookup(fs, "f", "x"), -ENOTDIR);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(dot_and_dotdot_answer_as_linux_does)
{
	struct fakefs *fs = fakefs_mount(0);
	struct inode *d, *up, *self;
	struct name dot = fake_name("."), dotdot = fake_name("..");

	fake_make(fs, "d", DIR);
	d = fake_get(fs, "d");
	ck_assert_int_eq(vfs_lookup(d, &dotdot, &up), 0);
	ck_assert_ptr_eq(up, fs->sb.root);
	inode_put(up);
	ck_assert_int_eq(vfs_lookup(d, &dot, &self), 0);
	ck_assert_ptr_eq(self, d);
	inode_put(self);
	ck_assert_int_eq(vfs_lookup(fs->sb.root, &dotdot, &up), 0);
	ck_assert_ptr_eq(up, fs->sb.root);
	inode_put(up);

	ck_assert_int_eq(fake_mknod(fs, "d/.", DIR), -EEXIST);
	ck_assert_int_eq(fake_mknod(fs, "d/..", DIR), -EEXIST);
	ck_assert_int_eq(fake_unlink(fs, "d/."), -EISDIR);
	ck_assert_int_eq(fake_unlink(fs, "d/.."), -EISDIR);
	ck_assert_int_eq(fake_rmdir(fs, "d/."), -EINVAL);
	ck_assert_int_eq(fake_rmdir(fs, "d/.."), -ENOTEMPTY);

	ck_assert_int_eq(fake_rmdir(fs, "d"), 0);
	ck_assert_int_eq(vfs_lookup(d, &dotdot, &up), -ENOENT);
	inode_put(d);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_removed_directory_takes_no_names)
{
	struct fakefs *fs = fakefs_mount(0);
	struct name name = fake_name("x");
	struct inode *d, *f, *inode;

	fake_make(fs, "d", DIR);
	fake_make(fs, "f", REG);
	d = fake_get(fs, "d");
	f = fake_get(fs, "f");
	ck_assert_int_eq(fake_rmdir(fs, "d"), 0);
	ck_assert_int_eq(vfs_mknod(d, &name, REG, 0, 0, &fake_root, &inode), -ENOENT);
	ck_assert_int_eq(vfs_symlink(d, &name, "t", &fake_root, &inode), -ENOENT);
	ck_assert_int_eq(vfs_tmpfile(d, 0600, &fake_root, &inode), -ENOENT);
	ck_assert_int_eq(vfs_link(f, d, &name, &fake_root), -ENOENT);
	ck_assert_int_eq(vfs_unlink(d, &name, &fake_root), -ENOENT);
	ck_assert_int_eq(vfs_rmdir(d, &name, &fake_root), -ENOENT);
	ck_assert_int_eq(vfs_lookup(d, &name, &inode), -ENOENT);
	inode_put(f);
	inode_put(d);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(create_refuses_what_is_there_and_bad_kinds)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", REG);
	ck_assert_int_eq(fake_mknod(fs, "f", REG), -EEXIST);
	ck_assert_int_eq(fake_mknod(fs, "f", DIR), -EEXIST);
	ck_assert_int_eq(fake_mknod(fs, "l", S_IFLNK | 0777), -EINVAL);
	ck_assert_int_eq(fake_mknod(fs, "p", S_IFIFO | 0600), 0);
	ck_assert_int_eq(fake_mknod(fs, "r", 0600), 0);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(links_have_a_bound)
{
	struct fakefs *fs = fakefs_mount(0);
	char name[3] = "l0";

	fake_make(fs, "f", REG);
	fake_make(fs, "d", DIR);
	for (; name[1] < '0' + (int)FAKE_LINKS_MAX - 1; name[1]++)
		ck_assert_int_eq(fake_link(fs, "f", name), 0);
	ck_assert_int_eq(fake_link(fs, "f", name), -EMLINK);
	ck_assert_int_eq(fake_link(fs, "f", "l0"), -EEXIST);
	ck_assert_int_eq(fake_mknod(fs, "d/1", DIR), 0);
	ck_assert_int_eq(fake_mknod(fs, "d/2", DIR), 0);
	ck_assert_int_eq(fake_mknod(fs, "d/3", DIR), 0);
	ck_assert_int_eq(fake_mknod(fs, "d/4", DIR), -EMLINK);
	ck_assert_int_eq(fake_mknod(fs, "d/4", REG), 0);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(link_refuses_directories_and_orphans)
{
	struct fakefs *fs = fakefs_mount(0);
	struct name name = fake_name("g");
	struct inode *f;

	fake_make(fs, "d", DIR);
	fake_make(fs, "f", REG);
	ck_assert_int_eq(fake_link(fs, "d", "e"), -EPERM);
	ck_assert_int_eq(fake_link(fs, "d", "f"), -EEXIST);
	f = fake_get(fs, "f");
	ck_assert_int_eq(fake_unlink(fs, "f"), 0);
	ck_assert_int_eq(vfs_link(f, fs->sb.root, &name, &fake_root), -ENOENT);
	inode_put(f);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(removal_looks_at_the_kind)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "d", DIR);
	fake_make(fs, "f", REG);
	ck_assert_int_eq(fake_unlink(fs, "d"), -EISDIR);
	ck_assert_int_eq(fake_rmdir(fs, "f"), -ENOTDIR);
	ck_assert_int_eq(fake_unlink(fs, "g"), -ENOENT);
	ck_assert_int_eq(fake_rmdir(fs, "g"), -ENOENT);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(flags_protect_names)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "d", DIR);
	fake_make(fs, "d/f", REG);
	fake_make(fs, "f", REG);
	fake_set_flags(fs, "d", INODE_IMMUTABLE);
	ck_assert_int_eq(fake_mknod(fs, "d/g", REG), -EPERM);
	ck_assert_int_eq(fake_mknod(fs, "d/f", REG), -EEXIST);
	ck_assert_int_eq(fake_unlink(fs, "d/f"), -EPERM);
	ck_assert_int_eq(fake_link(fs, "f", "d/g"), -EPERM);
	fake_set_flags(fs, "d", INODE_APPEND);
	ck_assert_int_eq(fake_mknod(fs, "d/g", REG), 0);
	ck_assert_int_eq(fake_unlink(fs, "d/g"), -EPERM);
	fake_set_flags(fs, "d", 0);
	fake_set_flags(fs, "f", INODE_APPEND);
	ck_assert_int_eq(fake_link(fs, "f", "g"), -EPERM);
	ck_assert_int_eq(fake_unlink(fs, "f"), -EPERM);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_read_only_mount_changes_nothing)
{
	struct fakefs *fs = fakefs_mount(0);
	struct setattr sa = {.valid = SETATTR_MODE};
	struct inode *inode;

	fake_make(fs, "f", REG);
	fs->sb.is_read_only = true;
	ck_assert_int_eq(fake_mknod(fs, "g", REG), -EROFS);
	ck_assert_int_eq(symlink_to(fs, "g", "x"), -EROFS);
	ck_assert_int_eq(fake_unlink(fs, "f"), -EROFS);
	ck_assert_int_eq(fake_rmdir(fs, "f"), -EROFS);
	ck_assert_int_eq(fake_link(fs, "f", "g"), -EROFS);
	ck_assert_int_eq(fake_rename(fs, "f", "g", 0), -EROFS);
	ck_assert_int_eq(vfs_setattr(fs->sb.root, &sa, &fake_root), -EROFS);
	ck_assert_int_eq(vfs_tmpfile(fs->sb.root, 0600, &fake_root, &inode), -EROFS);
	ck_assert_int_eq(super_sync(&fs->sb), 0);
	ck_assert_uint_eq(fs->nr_fsyncs, 0);
	fs->sb.is_read_only = false;
	fakefs_unmount(fs);
}
END_TEST

START_TEST(symlinks_keep_their_target)
{
	struct fakefs *fs = fakefs_mount(0);
	char *target = mem_zalloc(VFS_SYMLINK_MAX + 2), got[8];
	struct inode *link;

	memset(target, 't', VFS_SYMLINK_MAX + 1);
	ck_assert_int_eq(symlink_to(fs, "l", ""), -ENOENT);
	ck_assert_int_eq(symlink_to(fs, "l", target), -ENAMETOOLONG);
	target[VFS_SYMLINK_MAX] = 0;
	ck_assert_int_eq(symlink_to(fs, "l", target), 0);
	mem_free(target);
	ck_assert_int_eq(symlink_to(fs, "m", "abc"), 0);
	link = fake_get(fs, "m");
	ck_assert_uint_eq(link->attr.mode, S_IFLNK | 0777);
	ck_assert_int_eq(vfs_readlink(link, got, sizeof(got)), 3);
	ck_assert_mem_eq(got, "abc", 3);
	ck_assert_int_eq(vfs_readlink(fs->sb.root, got, sizeof(got)), -EINVAL);
	inode_put(link);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(the_dentry_table_spares_searches)
{
	struct fakefs *fs = fakefs_mount(0);
	unsigned before;

	ck_assert_int_eq(lookup(fs, "", "f"), -ENOENT);
	before = fs->nr_lookups;
	ck_assert_int_eq(lookup(fs, "", "f"), -ENOENT);
	fake_make(fs, "f", REG);		/* known to be free */
	ck_assert_int_eq(lookup(fs, "", "f"), 0);
	ck_assert_int_eq(fake_rename(fs, "f", "g", 0), 0);
	ck_assert_uint_eq(fs->nr_lookups, before + 1);		/* for g */
	ck_assert_int_eq(lookup(fs, "", "f"), -ENOENT);
	ck_assert_int_eq(lookup(fs, "", "g"), 0);
	ck_assert_int_eq(fake_unlink(fs, "g"), 0);
	ck_assert_int_eq(lookup(fs, "", "g"), -ENOENT);
	ck_assert_uint_eq(fs->nr_lookups, before + 1);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(N1_a_failed_change_leaves_no_false_name)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", REG);
	fs->unlink_error = -EIO;
	ck_assert_int_eq(fake_unlink(fs, "f"), -EIO);
	ck_assert_int_eq(lookup(fs, "", "f"), 0);
	fs->unlink_error = 0;
	fs->create_error = -ENOSPC;
	ck_assert_int_eq(fake_mknod(fs, "g", REG), -ENOSPC);
	ck_assert_int_eq(lookup(fs, "", "g"), -ENOENT);
	fs->create_error = 0;
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_name_of_a_free_inode_is_damage)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", REG);
	fs->nodes[FAKE_ROOT].entries[1] = (struct fake_entry){"bad", 3, 300};
	ck_assert_int_eq(lookup(fs, "", "bad"), -EUCLEAN);
	ck_assert_int_eq(fake_unlink(fs, "bad"), -EUCLEAN);
	fs->nodes[FAKE_ROOT].entries[1].ino = 0;
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_name_that_leads_upwards_is_damage)
{
	struct fakefs *fs = fakefs_mount(0);
	struct fake_entry *bad;
	struct inode *d;

	fake_make(fs, "d", DIR);
	d = fake_get(fs, "d");
	bad = &fs->nodes[d->ino].entries[0];
	*bad = (struct fake_entry){"self", 4, d->ino};
	ck_assert_int_eq(fake_rmdir(fs, "d/self"), -EUCLEAN);
	ck_assert_int_eq(fake_rename(fs, "d/self", "x", 0), -EUCLEAN);
	*bad = (struct fake_entry){"root", 4, FAKE_ROOT};
	ck_assert_int_eq(fake_rmdir(fs, "d/root"), -EUCLEAN);
	ck_assert_int_eq(fake_rename(fs, "d/root", "d/x", 0), -EUCLEAN);
	ck_assert_int_eq(fake_rename(fs, "d/root", "x", 0), -EUCLEAN);
	bad->ino = 0;
	inode_put(d);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(sync_mounts_and_flags_sync)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "d", DIR);
	ck_assert_uint_eq(fs->nr_fsyncs, 0);
	fake_set_flags(fs, "d", INODE_DIRSYNC);
	fake_make(fs, "d/f", REG);
	ck_assert_uint_eq(fs->nr_fsyncs, 1);
	ck_assert_int_eq(fake_rename(fs, "d/f", "f", 0), 0);
	ck_assert_uint_eq(fs->nr_fsyncs, 2);
	fs->sb.is_sync = true;
	ck_assert_int_eq(fake_unlink(fs, "f"), 0);
	ck_assert_uint_eq(fs->nr_fsyncs, 3);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_tmpfile_has_no_name_and_no_future)
{
	struct fakefs *fs = fakefs_mount(0);
	struct inode *tmp;

	ck_assert_int_eq(vfs_tmpfile(fs->sb.root, 0640, &fake_user, &tmp), 0);
	ck_assert_uint_eq(tmp->attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(tmp->attr.uid, fake_user.uid);
	ck_assert_uint_eq(tmp->attr.nlink, 0);
	inode_put(tmp);
	ck_assert_uint_eq(fs->nr_frees, 1);
	fakefs_unmount(fs);
}
END_TEST

/* Threads in one small tree: whatever they do, the tree stays one and nobody waits for ever. */

#define NR_THREADS 4
#define NR_STEPS 6000

struct worker {
	struct fakefs *fs;
	uint64_t seed;
};

/* A directory of the tree, referenced: the root, one below, or two below. */
static struct inode *some_dir(struct fakefs *fs, struct rand *r)
{
	struct inode *at = inode_ref(fs->sb.root), *next;
	char text[2] = "a";

	for (uint64_t depth = rand_below(r, 4); depth > 0; depth--) {
		struct name name = {text, 1};

		text[0] = (char)('a' + rand_below(r, 4));
		if (vfs_lookup(at, &name, &next))
			break;
		inode_put(at);
		at = next;
	}
	return at;
}

static void check_answer(int err)
{
	static const int usual[] = {0, -ENOENT, -EEXIST, -ENOTDIR, -EISDIR, -ENOTEMPTY, -EINVAL, -EMLINK,
				    -EPERM, -ENOSPC};

	for (size_t i = 0; i < array_size(usual); i++)
		if (err == usual[i])
			return;
	must(!"an answer that no race explains");
}

static int step(struct fakefs *fs, struct rand *r)
{
	static const uint32_t flags[] = {0, 0, RENAME_FLAG_NOREPLACE, RENAME_FLAG_EXCHANGE};
	struct inode *dir = some_dir(fs, r), *dir2 = some_dir(fs, r), *inode = NULL;
	char text[2] = "a", text2[2] = "a";
	struct name name = {text, 1}, name2 = {text2, 1};
	int err;

	text[0] = (char)('a' + rand_below(r, 4));
	text2[0] = (char)('a' + rand_below(r, 4));
	switch (rand_below(r, 8)) {
	case 0:
		err = vfs_mknod(dir, &name, REG, 0, 0, &fake_root, &inode);
		break;
	case 1 ... 2:
		err = vfs_mknod(dir, &name, DIR, 0, 0, &fake_root, &inode);
		break;
	case 3:
		err = vfs_unlink(dir, &name, &fake_root);
		break;
	case 4:
		err = vfs_rmdir(dir, &name, &fake_root);
		break;
	case 5:
		err = vfs_lookup(dir, &name, &inode);
		if (!err)
			err = vfs_link(inode, dir2, &name2, &fake_root);
		break;
	default:
		err = vfs_rename(dir, &name, dir2, &name2, flags[rand_below(r, 4)], &fake_root);
		break;
	}
	if (err == 0 || inode)
		inode_put(inode);
	inode_put(dir);
	inode_put(dir2);
	return err;
}

static void run_worker(void *arg)
{
	struct worker *w = arg;
	struct rand r;

	rand_init(&r, w->seed);
	for (int i = 0; i < NR_STEPS; i++)
		check_answer(step(w->fs, &r));
}

START_TEST(threads_leave_a_tree)
{
	struct fakefs *fs = fakefs_mount(4);
	struct worker workers[NR_THREADS];
	struct thread *threads[NR_THREADS];

	for (int i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){fs, test_seed() + (uint64_t)i};
		threads[i] = thread_create("worker", run_worker, &workers[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	ck_assert_uint_gt(fs->nr_frees, 100);
	fakefs_unmount(fs);
}
END_TEST

TEST_SUITE(vfs_namei)
{
	tcase_add_test(tc, names_are_checked_everywhere);
	tcase_add_test(tc, dot_and_dotdot_answer_as_linux_does);
	tcase_add_test(tc, a_removed_directory_takes_no_names);
	tcase_add_test(tc, create_refuses_what_is_there_and_bad_kinds);
	tcase_add_test(tc, links_have_a_bound);
	tcase_add_test(tc, link_refuses_directories_and_orphans);
	tcase_add_test(tc, removal_looks_at_the_kind);
	tcase_add_test(tc, flags_protect_names);
	tcase_add_test(tc, a_read_only_mount_changes_nothing);
	tcase_add_test(tc, symlinks_keep_their_target);
	tcase_add_test(tc, the_dentry_table_spares_searches);
	tcase_add_test(tc, N1_a_failed_change_leaves_no_false_name);
	tcase_add_test(tc, a_name_of_a_free_inode_is_damage);
	tcase_add_test(tc, a_name_that_leads_upwards_is_damage);
	tcase_add_test(tc, sync_mounts_and_flags_sync);
	tcase_add_test(tc, a_tmpfile_has_no_name_and_no_future);
	tcase_add_test(tc, threads_leave_a_tree);
}
