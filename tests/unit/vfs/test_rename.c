/*
 * Rename: the rules of POSIX and of its three flags, loops, link counts, and that two unrelated
 * directories, a directory and its own ancestor, and one directory all work. Every small tree and
 * pair of paths is also tried against a plain statement of the loop rule.
 */
#include <errno.h>
#include <string.h>

#include "fakefs.h"
#include "harness/runner.h"

#define DIR (S_IFDIR | 0755)
#define REG (S_IFREG | 0644)
#define NOREPLACE RENAME_FLAG_NOREPLACE
#define EXCHANGE RENAME_FLAG_EXCHANGE
#define WHITEOUT RENAME_FLAG_WHITEOUT

/* a/ a/b/ a/b/f  c/ c/f  f  g  e/ (empty) h (a link to f) */
static struct fakefs *mount_tree(void)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "a", DIR);
	fake_make(fs, "a/b", DIR);
	fake_make(fs, "a/b/f", REG);
	fake_make(fs, "c", DIR);
	fake_make(fs, "c/f", REG);
	fake_make(fs, "f", REG);
	fake_make(fs, "g", REG);
	fake_make(fs, "e", DIR);
	fs->sb.links_max = 100;
	ck_assert_int_eq(fake_link(fs, "f", "h"), 0);
	return fs;
}

START_TEST(the_rules_hold)
{
	static const struct {
		const char *from, *to;
		uint32_t flags;
		int want;
	} rows[] = {
		{"f", "x", 0, 0},
		{"f", "c/x", 0, 0},
		{"f", "g", 0, 0},
		{"f", "c/f", 0, 0},
		{"f", "h", 0, 0},		/* the same inode: both stay */
		{"f", "f", 0, 0},
		{"x", "y", 0, -ENOENT},
		{"f", "c", 0, -EISDIR},
		{"c", "f", 0, -ENOTDIR},
		{"f", "g", NOREPLACE, -EEXIST},
		{"f", "h", NOREPLACE, -EEXIST},
		{"f", "x", NOREPLACE, 0},
		{"f", "x", EXCHANGE, -ENOENT},
		{"f", "g", EXCHANGE, 0},
		{"f", "c", EXCHANGE, 0},
		{"a/b", "c/f", EXCHANGE, 0},
		{"a/b", "c", EXCHANGE, 0},
		{"f", "g", NOREPLACE | EXCHANGE, -EINVAL},
		{"f", "g", WHITEOUT | EXCHANGE, -EINVAL},
		{"f", "g", 8, -EINVAL},
		{"c", "e", 0, 0},		/* over an empty directory */
		{"e", "c", 0, -ENOTEMPTY},
		{"a/b", "e", 0, 0},
		{"a/b", "c/x", 0, 0},
		{"a", "a/x", 0, -EINVAL},
		{"a", "a/b", 0, -EINVAL},
		{"a", "a/b/x", 0, -EINVAL},
		{"a", "a/b/f", EXCHANGE, -EINVAL},
		{"a/b", "a", 0, -ENOTEMPTY},
		{"a/b/f", "a", 0, -ENOTEMPTY},
		{"a/b/f", "a", EXCHANGE, -EINVAL},
		{"a/b", "a", NOREPLACE, -EEXIST},
		{"a/b", "x", 0, 0},
		{".", "x", 0, -EBUSY},
		{"f", "..", 0, -EBUSY},
		{"f", ".", NOREPLACE, -EEXIST},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct fakefs *fs = mount_tree();
		int err = fake_rename(fs, rows[i].from, rows[i].to, rows[i].flags);

		ck_assert_msg(err == rows[i].want, "%s to %s, %x: %s", rows[i].from, rows[i].to,
			      rows[i].flags, strerror(-err));
		fakefs_check(fs);
		fakefs_unmount(fs);
	}
}
END_TEST

START_TEST(names_and_inodes_are_where_they_should_be)
{
	struct fakefs *fs = mount_tree();
	struct inode *b = fake_get(fs, "a/b"), *f = fake_get(fs, "f"), *got;

	ck_assert_int_eq(fake_rename(fs, "a/b", "f", EXCHANGE), 0);
	got = fake_get(fs, "f");
	ck_assert_ptr_eq(got, b);
	inode_put(got);
	got = fake_get(fs, "a/b");
	ck_assert_ptr_eq(got, f);
	inode_put(got);
	ck_assert(fake_exists(fs, "f/f"));
	inode_put(f);
	inode_put(b);

	ck_assert_int_eq(fake_rename(fs, "g", "c/f", 0), 0);
	ck_assert(!fake_exists(fs, "g"));
	ck_assert_uint_eq(fs->nr_frees, 1);	/* what was c/f */
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_replaced_file_lives_while_it_is_held)
{
	struct fakefs *fs = mount_tree();
	struct inode *victim = fake_get(fs, "c/f");

	ck_assert_int_eq(fake_rename(fs, "g", "c/f", 0), 0);
	ck_assert_uint_eq(victim->attr.nlink, 0);
	ck_assert_uint_eq(fs->nr_frees, 0);
	inode_put(victim);
	ck_assert_uint_eq(fs->nr_frees, 1);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(directories_count_against_their_new_parent)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "a", DIR);
	fake_make(fs, "b", DIR);
	fake_make(fs, "a/1", DIR);
	fake_make(fs, "a/2", DIR);
	fake_make(fs, "a/3", DIR);		/* a has 5 links, the bound */
	fake_make(fs, "b/d", DIR);
	fake_make(fs, "b/f", REG);
	fake_make(fs, "a/f", REG);
	ck_assert_int_eq(fake_rename(fs, "b/d", "a/d", 0), -EMLINK);
	ck_assert_int_eq(fake_rename(fs, "a/f", "b/d", EXCHANGE), -EMLINK);
	ck_assert_int_eq(fake_rename(fs, "b/d", "a/f", EXCHANGE), -EMLINK);
	ck_assert_int_eq(fake_rename(fs, "a/1", "a/4", 0), 0);
	ck_assert_int_eq(fake_rename(fs, "b/d", "a/2", 0), 0);
	ck_assert_int_eq(fake_rename(fs, "b/f", "a/x", 0), 0);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(sticky_directories_and_flags_are_obeyed)
{
	struct fakefs *fs = fakefs_mount(0);
	struct setattr sa = {.valid = SETATTR_MODE, .mode = 01777};
	struct inode *t;

	fake_make(fs, "t", DIR);
	fake_make(fs, "t/f", REG);
	fake_make(fs, "d", DIR);
	fake_make(fs, "d/f", REG);
	t = fake_get(fs, "t");
	ck_assert_int_eq(vfs_setattr(t, &sa, &fake_root), 0);
	inode_put(t);
	ck_assert_int_eq(fake_rename_as(fs, "t/f", "d/g", 0, &fake_user), -EPERM);
	ck_assert_int_eq(fake_rename_as(fs, "d/f", "t/f", 0, &fake_user), -EPERM);
	ck_assert_int_eq(fake_rename_as(fs, "d/f", "t/g", 0, &fake_user), 0);
	fake_set_flags(fs, "d", INODE_IMMUTABLE);
	ck_assert_int_eq(fake_rename(fs, "t/f", "d/f", 0), -EPERM);
	fake_set_flags(fs, "d", INODE_APPEND);
	ck_assert_int_eq(fake_rename(fs, "t/f", "d/f", 0), 0);
	ck_assert_int_eq(fake_rename(fs, "d/f", "t/f", 0), -EPERM);
	fake_set_flags(fs, "t/g", INODE_IMMUTABLE);
	ck_assert_int_eq(fake_rename(fs, "t/g", "t/h", 0), -EPERM);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_removed_directory_neither_gives_nor_takes)
{
	struct fakefs *fs = mount_tree();
	struct name f = fake_name("f"), x = fake_name("x");
	struct inode *e = fake_get(fs, "e"), *root = fake_get(fs, "");

	ck_assert_int_eq(fake_rmdir(fs, "e"), 0);
	ck_assert_int_eq(vfs_rename(root, &f, e, &x, 0, &fake_root), -ENOENT);
	ck_assert_int_eq(vfs_rename(e, &x, root, &f, 0, &fake_root), -ENOENT);
	ck_assert_int_eq(vfs_rename(e, &x, e, &f, 0, &fake_root), -ENOENT);
	inode_put(e);
	inode_put(root);
	fakefs_unmount(fs);
}
END_TEST

START_TEST(a_circle_above_is_noticed)
{
	struct fakefs *fs = mount_tree();
	struct inode *b = fake_get(fs, "a/b"), *a = fake_get(fs, "a");

	fs->nodes[a->ino].parent = b->ino;	/* a and b are each other's parent */
	ck_assert_int_eq(fake_rename(fs, "a/b/f", "c/x", 0), -EUCLEAN);
	ck_assert_int_eq(fake_rename(fs, "c/f", "a/b/x", 0), -EUCLEAN);
	fs->nodes[a->ino].parent = FAKE_ROOT;
	inode_put(b);
	inode_put(a);
	fakefs_unmount(fs);
}
END_TEST

/* Every pair of paths in a chain and a side branch, with every flag. */
static bool is_below_or_same(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == 0);
}

START_TEST(no_directory_goes_below_itself)
{
	static const char *const paths[] = {"p", "p/q", "p/q/r", "p/q/r/s", "u", "u/v"};
	static const uint32_t flags[] = {0, NOREPLACE, EXCHANGE};

	for (size_t i = 0; i < array_size(paths); i++)
		for (size_t j = 0; j < array_size(paths); j++)
			for (size_t k = 0; k < array_size(flags); k++) {
				struct fakefs *fs = fakefs_mount(2);
				bool down = is_below_or_same(paths[j], paths[i]);
				bool up = is_below_or_same(paths[i], paths[j]);
				int err;

				for (size_t n = 0; n < array_size(paths); n++)
					fake_make(fs, paths[n], DIR);
				err = fake_rename(fs, paths[i], paths[j], flags[k]);
				if (flags[k] == NOREPLACE)
					ck_assert_int_eq(err, -EEXIST);
				else if (down && up)
					ck_assert_int_eq(err, 0);
				else if (down || (up && flags[k] == EXCHANGE))
					ck_assert_int_eq(err, -EINVAL);
				else if (flags[k] == EXCHANGE)
					ck_assert_int_eq(err, 0);
				else if (strcmp(paths[j], "p/q/r/s") == 0 || strcmp(paths[j], "u/v") == 0)
					ck_assert_int_eq(err, 0);
				else
					ck_assert_int_eq(err, -ENOTEMPTY);
				fakefs_unmount(fs);	/* checks the tree */
			}
}
END_TEST

TEST_SUITE(vfs_rename)
{
	tcase_add_test(tc, the_rules_hold);
	tcase_add_test(tc, names_and_inodes_are_where_they_should_be);
	tcase_add_test(tc, a_replaced_file_lives_while_it_is_held);
	tcase_add_test(tc, directories_count_against_their_new_parent);
	tcase_add_test(tc, sticky_directories_and_flags_are_obeyed);
	tcase_add_test(tc, a_removed_directory_neither_gives_nor_takes);
	tcase_add_test(tc, a_circle_above_is_noticed);
	tcase_add_test(tc, no_directory_goes_below_itself);
}
