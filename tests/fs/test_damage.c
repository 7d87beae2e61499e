/*
 * Damaged images: whatever byte of the superblock, the descriptors or the root inode is wrong, a
 * mount is refused with a reason, or the tree can be walked, written to and unmounted. Nothing
 * crashes, hangs or asks for memory without bounds. The same for the journal's superblock and inode;
 * the bytes of bitmaps, inode tables and directories are tried by sample. Each byte is tried with
 * one bit flipped and with all of them; with DAMAGE_FULL in the environment also with 0 and 255.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/rand.h"
#include "harness/image.h"
#include "harness/runner.h"
#include "harness/stack.h"
#include "harness/tree.h"
#include "layout/format.h"
#include "vfs/file.h"
#include "vfs/namei.h"

#define IMAGE_BYTES (2600u << 10)	/* small, for it is copied for each byte */
#define WALK_STEPS 300u
#define SAMPLES 600
#define SECONDS_MAX 20		/* for one image: far more than it takes */
#define MEMORY_MAX (1ull << 30)	/* a mount here needs a hundredth of that */

struct lab {
	struct image_recipe recipe;
	int fd;
	uint8_t *bytes;		/* the image, mapped */
	uint8_t *sound;		/* what it was before */
	unsigned nr_refused, nr_mounted, nr_sound;
	uint64_t at;		/* the byte that is being tried, for the message */
	uint8_t value;
};

/* What a crash or a hang is asked about. */
static const struct lab *current;

static void tell_the_byte(int signal_number)
{
	dprintf(STDERR_FILENO, "signal %d with byte %llu of the image as %02x\n", signal_number,
		(unsigned long long)current->at, current->value);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void watch(const struct lab *lab)
{
	current = lab;
	signal(SIGALRM, tell_the_byte);
	signal(SIGABRT, tell_the_byte);
#ifndef __SANITIZE_ADDRESS__
	signal(SIGSEGV, tell_the_byte);
#endif
}

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static struct name name_of(const char *text)
{
	return (struct name){text, (uint32_t)strlen(text)};
}

/* Something of everything, so that there is something to damage. */
static void fill(struct super *sb)
{
	struct name dir_name = name_of("dir"), link_name = name_of("link"), long_name = name_of("long");
	struct inode *dir, *inode;
	struct file *file;
	char text[200];

	must(vfs_mknod(sb->root, &dir_name, S_IFDIR | 0755, 0, 0, &stack_root, &dir) == 0);
	for (int i = 0; i < 40; i++) {
		struct name name;

		snprintf(text, sizeof(text), "%0*d", 10 + i * 2, i);
		name = name_of(text);
		must(vfs_mknod(dir, &name, S_IFREG | 0644, 0, 0, &stack_root, &inode) == 0);
		must(file_open(inode, O_RDWR, &stack_root, &file) == 0);
		must(file_write(file, (uint64_t)i * 30000, text, sizeof(text), false) == sizeof(text));
		file_close(file);
		inode_put(inode);
	}
	must(vfs_symlink(dir, &link_name, "target", &stack_root, &inode) == 0);
	inode_put(inode);
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	must(vfs_symlink(dir, &long_name, text, &stack_root, &inode) == 0);
	inode_put(inode);
	inode_put(dir);
}

static struct stack_config stack_config_of(const struct lab *lab)
{
	return (struct stack_config){.block_bytes = lab->recipe.block_bytes, .seed = 1};
}

static void make_lab(struct lab *lab, unsigned block_bytes, unsigned inode_bytes)
{
	struct stack_config config;
	struct stack s;
	size_t size;

	*lab = (struct lab){.recipe = {.size_bytes = IMAGE_BYTES,
				       .block_bytes = block_bytes, .inode_bytes = inode_bytes,
				       .is_ext3 = block_bytes == 1024,	/* else there is no room */
				       .has_dir_index = true, .nr_inodes = 128, .seed = 7}};
	size = lab->recipe.size_bytes;
	config = stack_config_of(lab);
	lab->fd = temp_image_make(&lab->recipe);
	ck_assert_int_eq(stack_mount(&config, lab->fd, &s), 0);
	fill(s.sb);
	ck_assert_int_eq(stack_unmount(&s), 0);
	lab->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, lab->fd, 0);
	ck_assert_ptr_ne(lab->bytes, MAP_FAILED);
	lab->sound = malloc(size);
	ck_assert_ptr_nonnull(lab->sound);
	memcpy(lab->sound, lab->bytes, size);
	log_set_sink(quiet, NULL);
	watch(lab);
}

static void close_lab(struct lab *lab)
{
	munmap(lab->bytes, lab->recipe.size_bytes);
	free(lab->sound);
	close(lab->fd);
}

/* Any of it may fail. */
static void write_somewhere(struct super *sb)
{
	struct name dir_name = name_of("dir"), new_name = name_of("new"), new_dir = name_of("newdir"), old;
	struct inode *dir, *inode;
	struct file *file;
	char text[200];

	if (vfs_lookup(sb->root, &dir_name, &dir))
		dir = inode_ref(sb->root);
	for (int i = 0; i < 40; i += 9) {
		snprintf(text, sizeof(text), "%0*d", 10 + i * 2, i);
		old = name_of(text);
		ignore(vfs_unlink(dir, &old, &stack_root), "damaged");
	}
	if (vfs_mknod(dir, &new_dir, S_IFDIR | 0755, 0, 0, &stack_root, &inode) == 0) {
		ignore(vfs_rename(dir, &new_dir, sb->root, &new_dir, 0, &stack_root), "damaged");
		inode_put(inode);
	}
	if (vfs_mknod(dir, &new_name, S_IFREG | 0644, 0, 0, &stack_root, &inode) == 0) {
		if (file_open(inode, O_RDWR, &stack_root, &file) == 0) {
			ignore(file_write(file, 13 * 1024, text, sizeof(text), false) < 0, "damaged");
			ignore(file_fsync(file, false), "damaged");
			file_close(file);
		}
		inode_put(inode);
		ignore(vfs_unlink(dir, &new_name, &stack_root), "damaged");
	}
	inode_put(dir);
}

/* The image as it is now: refused with a reason, or usable. */
static void try_image(struct lab *lab)
{
	struct stack_config config = stack_config_of(lab);
	unsigned nr_errors;
	struct stack s;
	int err;

	alarm(SECONDS_MAX);
	err = stack_mount(&config, lab->fd, &s);
	if (err) {
		ck_assert_msg(s.why[0], "byte %llu as %02x: refused with %d and no reason",
			      (unsigned long long)lab->at, lab->value, err);
		lab->nr_refused++;
	} else {
		lab->nr_mounted++;
		tree_walk(s.sb, WALK_STEPS, &nr_errors);
		lab->nr_sound += nr_errors == 0;
		write_somewhere(s.sb);
		tree_walk(s.sb, WALK_STEPS, &nr_errors);
		ignore(stack_unmount(&s), "damaged");
	}
	alarm(0);
}

/* Undoes what the last one left; comparing is cheaper than writing. */
static void restore(struct lab *lab)
{
	for (uint64_t at = 0; at < lab->recipe.size_bytes; at += 4096) {
		size_t n = (size_t)min(lab->recipe.size_bytes - at, (uint64_t)4096);

		if (memcmp(lab->bytes + at, lab->sound + at, n))
			memcpy(lab->bytes + at, lab->sound + at, n);
	}
}

static void try_value(struct lab *lab, uint64_t at, uint8_t value)
{
	if (value == lab->sound[at])
		return;
	lab->at = at;
	lab->value = value;
	restore(lab);
	lab->bytes[at] = value;
	try_image(lab);
}

static void try_byte(struct lab *lab, uint64_t at)
{
	uint8_t sound = lab->sound[at];

	try_value(lab, at, sound ^ (uint8_t)(1u << (at % 8)));
	try_value(lab, at, (uint8_t)~sound);
	if (!getenv("DAMAGE_FULL"))
		return;
	try_value(lab, at, 0);
	try_value(lab, at, 0xff);
}

static uint64_t block_at(const struct lab *lab, uint64_t block)
{
	return block * lab->recipe.block_bytes;
}

static const struct ext_group_desc *first_desc(const struct lab *lab)
{
	return (const void *)(lab->sound + block_at(lab, lab->recipe.block_bytes == 1024 ? 2 : 1));
}

static uint64_t inode_at(const struct lab *lab, inr_t ino)
{
	return block_at(lab, le32_get(first_desc(lab)->inode_table)) + (uint64_t)(ino - 1) * lab->recipe.inode_bytes;
}

static void try_range(struct lab *lab, uint64_t from, uint64_t bytes)
{
	for (uint64_t at = from; at < from + bytes; at++)
		try_byte(lab, at);
}

/* Thousands of mounts: their memory need not go back to the kernel each time. */
static void bound_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_MMAP_THRESHOLD, 256 << 20);
#ifndef __SANITIZE_ADDRESS__
	struct rlimit limit = {MEMORY_MAX, MEMORY_MAX};

	setrlimit(RLIMIT_AS, &limit);
#endif
}

static const unsigned inode_sizes[] = {128, 256};

START_TEST(every_byte_of_the_superblock)
{
	struct lab lab;

	make_lab(&lab, _i ? 4096 : 1024, inode_sizes[_i]);
	bound_memory();
	try_range(&lab, EXT_SUPER_OFFSET, EXT_SUPER_SIZE);
	ck_assert_uint_gt(lab.nr_refused, 50);
	ck_assert_uint_gt(lab.nr_mounted, 500);
	ck_assert_uint_gt(lab.nr_sound, 300);
	close_lab(&lab);
}
END_TEST

START_TEST(every_byte_of_the_descriptors)
{
	struct lab lab;
	uint64_t from;

	make_lab(&lab, _i ? 4096 : 1024, inode_sizes[_i]);
	bound_memory();
	from = (uint64_t)((const uint8_t *)first_desc(&lab) - lab.sound);
	try_range(&lab, from, 3 * sizeof(struct ext_group_desc));
	ck_assert_uint_gt(lab.nr_refused, 10);
	ck_assert_uint_gt(lab.nr_mounted, 10);
	close_lab(&lab);
}
END_TEST

START_TEST(every_byte_of_the_root_inode)
{
	struct lab lab;

	make_lab(&lab, _i ? 4096 : 1024, inode_sizes[_i]);
	bound_memory();
	try_range(&lab, inode_at(&lab, EXT_ROOT_INO), lab.recipe.inode_bytes);
	ck_assert_uint_gt(lab.nr_refused, 10);
	ck_assert_uint_gt(lab.nr_mounted, 100);
	close_lab(&lab);
}
END_TEST

START_TEST(every_byte_of_the_journal_inode_and_superblock)
{
	struct lab lab;
	const struct ext_inode *inode;

	make_lab(&lab, 1024, inode_sizes[_i]);
	bound_memory();
	inode = (const void *)(lab.sound + inode_at(&lab, EXT_JOURNAL_INO));
	try_range(&lab, inode_at(&lab, EXT_JOURNAL_INO), 128);
	try_range(&lab, block_at(&lab, le32_get(inode->block[0])), 256);
	ck_assert_uint_gt(lab.nr_refused, 50);
	ck_assert_uint_gt(lab.nr_mounted, 50);
	close_lab(&lab);
}
END_TEST

/* Blocks that hold metadata, whatever it is: those at the start that are not zero. */
START_TEST(bytes_of_other_metadata)
{
	struct lab lab;
	struct rand r;
	uint64_t span;

	make_lab(&lab, 1024, inode_sizes[_i]);
	bound_memory();
	rand_init(&r, test_seed());
	span = lab.recipe.block_bytes * 200ull;
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t at = rand_below(&r, span);

		while (lab.sound[at] == 0)
			at = rand_below(&r, span);
		try_byte(&lab, at);
	}
	ck_assert_uint_gt(lab.nr_mounted, 1000);
	close_lab(&lab);
}
END_TEST

/* Many at once: what no single byte brings about, as two that lean on each other. */
START_TEST(handfuls_of_bytes)
{
	struct lab lab;
	struct rand r;
	uint64_t span;

	make_lab(&lab, 1024, inode_sizes[_i]);
	bound_memory();
	rand_init(&r, test_seed() + 1);
	span = lab.recipe.block_bytes * 200ull;
	for (int i = 0; i < SAMPLES; i++) {
		restore(&lab);
		for (uint64_t n = rand_below(&r, 30); n > 0;) {
			uint64_t at = 2048 + rand_below(&r, span - 2048);

			if (lab.sound[at] == 0 && !rand_one_in(&r, 20))
				continue;
			lab.bytes[at] = (uint8_t)rand_u64(&r);
			n--;
		}
		try_image(&lab);
	}
	ck_assert_uint_gt(lab.nr_mounted, 100);
	close_lab(&lab);
}
END_TEST

TEST_SUITE(fs_damage)
{
	tcase_add_loop_test(tc, every_byte_of_the_superblock, 0, 2);
	tcase_add_loop_test(tc, every_byte_of_the_descriptors, 0, 2);
	tcase_add_loop_test(tc, every_byte_of_the_root_inode, 0, 2);
	tcase_add_loop_test(tc, every_byte_of_the_journal_inode_and_superblock, 0, 2);
	tcase_add_loop_test(tc, bytes_of_other_metadata, 0, 2);
	tcase_add_loop_test(tc, handfuls_of_bytes, 0, 2);
}
