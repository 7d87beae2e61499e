/*
 * The ends of things: the most links, the largest file, the last block and inode, memory that runs
 * out at every allocation in turn, and a power cut that leaves files without names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "harness/image.h"
#include "harness/runner.h"
#include "harness/stack.h"
#include "vfs/file.h"
#include "vfs/namei.h"

#define NR_ORPHANS 20

struct bench {
	struct image_recipe recipe;
	struct stack_config config;
	int fd;
	struct stack s;
};

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static struct name name_of(const char *text)
{
	return (struct name){text, (uint32_t)strlen(text)};
}

static void mount_bench(struct bench *b)
{
	int err = stack_mount(&b->config, b->fd, &b->s);

	ck_assert_msg(err == 0, "%s: %s", strerror(-err), b->s.why);
}

static void make_bench(struct bench *b, unsigned block_bytes, uint64_t size_bytes, bool is_ext3, uint64_t nr_inodes)
{
	*b = (struct bench){
		.recipe = {.size_bytes = size_bytes, .block_bytes = block_bytes, .inode_bytes = 256,
			   .is_ext3 = is_ext3, .has_dir_index = true, .nr_inodes = nr_inodes, .seed = 3},
		.config = {.block_bytes = block_bytes, .seed = 3},
	};
	b->fd = temp_image_make(&b->recipe);
	mount_bench(b);
}

static void check_image_after(int fd, const char *what, uint64_t n)
{
	char report[4000];
	int status = temp_image_fsck(fd, report, sizeof(report));

	ck_assert_msg(status == 0, "%s %llu: e2fsck says %d: %s", what, (unsigned long long)n, status, report);
}

static void check_image(int fd)
{
	check_image_after(fd, "step", 0);
}

static void close_bench(struct bench *b)
{
	ck_assert_int_eq(stack_unmount(&b->s), 0);
	check_image(b->fd);
	close(b->fd);
}

static int make(struct bench *b, struct inode *dir, const char *text, mode_t mode, struct inode **ret_inode)
{
	struct name name = name_of(text);

	(void)b;
	return vfs_mknod(dir, &name, mode, 0, 0, &stack_root, ret_inode);
}

static struct inode *must_make(struct bench *b, struct inode *dir, const char *text, mode_t mode)
{
	struct inode *inode;

	ck_assert_int_eq(make(b, dir, text, mode, &inode), 0);
	return inode;
}

static struct file *open_inode(struct inode *inode)
{
	struct file *file;

	ck_assert_int_eq(file_open(inode, O_RDWR, &stack_root, &file), 0);
	return file;
}

/* Links. */

#define LINKS_MAX 65000	/* what the Linux driver allows on ext3 today */

/* Over many directories, since each name is looked for in the whole of its own. */
START_TEST(a_file_has_65000_links_at_most)
{
	struct bench b;
	struct inode *f, *dir = NULL;
	char text[16];
	struct name name;

	make_bench(&b, 1024, 8 << 20, false, 256);
	f = must_make(&b, b.s.sb->root, "f", S_IFREG | 0644);
	for (int i = 1; i < LINKS_MAX; i++) {
		snprintf(text, sizeof(text), "%d", i);
		if (i % 1000 == 1) {
			inode_put(dir);
			dir = must_make(&b, b.s.sb->root, text, S_IFDIR | 0755);
		}
		name = name_of(text);
		ck_assert_int_eq(vfs_link(f, dir, &name, &stack_root), 0);
	}
	name = name_of("last");
	ck_assert_int_eq(vfs_link(f, dir, &name, &stack_root), -EMLINK);
	ck_assert_uint_eq(f->attr.nlink, LINKS_MAX);
	inode_put(dir);
	inode_put(f);
	close_bench(&b);
}
END_TEST

/* The largest file. */

START_TEST(a_file_ends_where_the_format_ends)
{
	/* By the indirect tree, and for 4 KiB by the 32 bits that count 512-byte sectors. */
	static const uint64_t most[] = {17247252480ull, 275415851008ull, 2196873666560ull};
	struct setattr sa = {.valid = SETATTR_SIZE};
	unsigned block = 1024u << _i;
	struct bench b;
	struct file *file;
	struct inode *f;

	make_bench(&b, block, 4000ull * block, false, 0);
	ck_assert_uint_eq(b.s.sb->file_bytes_max, most[_i]);
	f = must_make(&b, b.s.sb->root, "f", S_IFREG | 0644);
	file = open_inode(f);
	ck_assert_int_eq(file_write(file, most[_i] - 3, "abcdef", 6, false), 3);
	ck_assert_int_eq(file_write(file, most[_i], "a", 1, false), -EFBIG);
	sa.size_bytes = most[_i] + 1;
	ck_assert_int_eq(vfs_setattr(f, &sa, &stack_root), -EFBIG);
	ck_assert_uint_eq(f->attr.size_bytes, most[_i]);
	sa = (struct setattr){.valid = SETATTR_SIZE, .size_bytes = most[_i] - 1};
	ck_assert_int_eq(vfs_setattr(f, &sa, &stack_root), 0);
	file_close(file);
	inode_put(f);
	close_bench(&b);
}
END_TEST

/* Space. */

static uint64_t free_blocks(struct bench *b)
{
	struct statfs_info info;

	ck_assert_int_eq(super_statfs(b->s.sb, &info), 0);
	return info.blocks_free;
}

static void fill_file(struct bench *b, struct inode *inode)
{
	static char bytes[100000];
	struct file *file = open_inode(inode);
	uint64_t pos = 0;
	ssize_t got;

	memset(bytes, 'x', sizeof(bytes));
	while ((got = file_write(file, pos, bytes, sizeof(bytes), false)) > 0)
		pos += (uint64_t)got;
	ck_assert_int_eq(got, -ENOSPC);
	ck_assert_uint_eq(free_blocks(b), 0);
	ck_assert_uint_eq(inode->attr.size_bytes, pos);
	file_close(file);
}

START_TEST(a_full_disk_is_filled_to_the_last_block_and_empties_again)
{
	struct name name = name_of("f");
	struct bench b;
	struct inode *f;
	uint64_t before;

	make_bench(&b, 1024, 9 << 20, _i, 0);
	before = free_blocks(&b);
	for (int round = 0; round < 3; round++) {
		f = must_make(&b, b.s.sb->root, "f", S_IFREG | 0644);
		fill_file(&b, f);
		ck_assert_int_eq(super_sync(b.s.sb), 0);
		ck_assert_int_eq(vfs_unlink(b.s.sb->root, &name, &stack_root), 0);
		inode_put(f);
		ck_assert_uint_eq(free_blocks(&b), before);
	}
	close_bench(&b);
}
END_TEST

START_TEST(without_inodes_nothing_can_be_made)
{
	struct bench b;
	struct inode *f;
	char text[16];
	int err = 0;

	make_bench(&b, 1024, 8 << 20, true, 64);
	for (int i = 0; !err; i++) {
		snprintf(text, sizeof(text), "%d", i);
		err = make(&b, b.s.sb->root, text, S_IFREG | 0644, &f);
		if (!err)
			inode_put(f);
	}
	ck_assert_int_eq(err, -ENOSPC);
	close_bench(&b);
}
END_TEST

/* Files without names when the power goes. */

static uint64_t used_in_copy(const struct bench *b, int copy)
{
	struct stack s;
	struct statfs_info info;
	int err = stack_mount(&b->config, copy, &s);

	ck_assert_msg(err == 0, "%s", s.why);
	ck_assert_int_eq(super_statfs(s.sb, &info), 0);
	ck_assert_int_eq(stack_unmount(&s), 0);
	return info.blocks - info.blocks_free;
}

START_TEST(orphans_are_freed_at_the_next_mount)
{
	struct inode *held[NR_ORPHANS];
	struct bench b;
	uint64_t before;
	int copy;

	log_set_sink(quiet, NULL);
	make_bench(&b, 1024, 9 << 20, _i, 0);
	copy = temp_image_copy(b.fd);
	before = used_in_copy(&b, copy);
	close(copy);
	for (int i = 0; i < NR_ORPHANS; i++) {
		struct name name = name_of("orphan");
		struct file *file;

		held[i] = must_make(&b, b.s.sb->root, "orphan", S_IFREG | 0644);
		file = open_inode(held[i]);
		for (uint64_t n = 0; n < 30; n++)
			ck_assert_int_eq(file_write(file, n * 5000, "orphan", 6, false), 6);
		file_close(file);
		ck_assert_int_eq(vfs_unlink(b.s.sb->root, &name, &stack_root), 0);
	}
	ck_assert_int_eq(super_sync(b.s.sb), 0);
	copy = temp_image_copy(b.fd);		/* the power goes here */
	ck_assert_uint_eq(used_in_copy(&b, copy), before);
	check_image(copy);
	close(copy);
	for (int i = 0; i < NR_ORPHANS; i++)
		inode_put(held[i]);
	close_bench(&b);
}
END_TEST

/* Memory. */

/* Something of everything; each may fail for want of memory, and nothing else. */
static int use_mount(struct super *sb)
{
	struct name f = name_of("f"), d = name_of("d"), g = name_of("g"), l = name_of("l");
	struct inode *inode, *dir;
	struct filemap_view view;
	struct file *file;
	ssize_t got;
	int err;

	err = vfs_mknod(sb->root, &f, S_IFREG | 0644, 0, 0, &stack_root, &inode);
	if (err)
		return err;
	err = file_open(inode, O_RDWR, &stack_root, &file);
	inode_put(inode);
	if (err)
		return err;
	got = file_write(file, 300000, "some bytes", 10, false);
	err = got < 0 ? (int)got : file_fsync(file, false);
	if (!err)
		err = file_read(file, 299000, 4000, &view);
	if (!err)
		file_read_done(file, &view);
	file_close(file);
	if (!err)
		err = vfs_mknod(sb->root, &d, S_IFDIR | 0755, 0, 0, &stack_root, &dir);
	if (err)
		return err;
	err = vfs_rename(sb->root, &f, dir, &g, 0, &stack_root);
	if (!err)
		err = vfs_symlink(dir, &l, "a target that is too long to lie in the inode, so it gets a block",
				  &stack_root, &inode);
	if (!err) {
		inode_put(inode);
		err = vfs_unlink(dir, &g, &stack_root);
	}
	inode_put(dir);
	return err;
}

/* True when the n-th allocation was made to fail on the way. */
static bool fail_nth(const struct stack_config *config, int image, uint64_t n, bool sticky)
{
	int fd = temp_image_copy(image);
	uint64_t live = mem_live_count();
	bool has_failed;
	struct stack s;
	int err;

	mem_fail_nth(n, sticky);
	err = stack_mount(config, fd, &s);
	if (!err) {
		err = use_mount(s.sb);
		mem_fail_nth(0, false);
		err = first_error(err, stack_unmount(&s));
	}
	mem_fail_nth(0, false);
	has_failed = err != 0;
	ck_assert_msg(err == 0 || err == -ENOMEM || err == -EAGAIN, "allocation %llu: %s", (unsigned long long)n, strerror(-err));
	ck_assert_msg(mem_live_count() == live, "allocation %llu: %lld objects stay", (unsigned long long)n,
		      (long long)(mem_live_count() - live));
	/* A file that could not be freed is an orphan: the next mount frees it. */
	ck_assert_int_eq(stack_mount(config, fd, &s), 0);
	ck_assert_int_eq(stack_unmount(&s), 0);
	check_image_after(fd, "allocation", n);
	close(fd);
	return has_failed;
}

START_TEST(memory_may_run_out_anywhere)
{
	struct image_recipe recipe = {.size_bytes = 2600 << 10, .block_bytes = 1024, .inode_bytes = 256,
				      .is_ext3 = _i, .nr_inodes = 64, .seed = 1};
	struct stack_config config = {.block_bytes = 1024, .seed = 1};
	int image = temp_image_make(&recipe);
	unsigned nr_fine = 0;

	log_set_sink(quiet, NULL);
	/* A failure may be made up for, so one success is not the end. */
	for (uint64_t n = 1; nr_fine < 60; n++) {
		if (fail_nth(&config, image, n, false))
			nr_fine = 0;
		else
			nr_fine++;
		ck_assert_uint_lt(n, 5000);
	}
	close(image);
}
END_TEST

TEST_SUITE(fs_limits)
{
	tcase_add_test(tc, a_file_has_65000_links_at_most);
	tcase_add_loop_test(tc, a_file_ends_where_the_format_ends, 0, 3);
	tcase_add_loop_test(tc, a_full_disk_is_filled_to_the_last_block_and_empties_again, 0, 2);
	tcase_add_test(tc, without_inodes_nothing_can_be_made);
	tcase_add_loop_test(tc, orphans_are_freed_at_the_next_mount, 0, 2);
	tcase_add_loop_test(tc, memory_may_run_out_anywhere, 0, 2);
}
