/*
 * Trimming: what is free becomes holes of the image, what is not stays, and nobody who looks for space at the
 * same time is sent away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "harness/image.h"
#include "harness/runner.h"
#include "harness/stack.h"
#include "vfs/file.h"
#include "vfs/namei.h"

#define ROUNDS 12

struct bench {
	int fd;
	struct stack s;
	_Atomic bool is_over;
	_Atomic uint64_t nr_trims;
};

static void mount_bench(struct bench *b, bool is_threaded)
{
	struct stack_config config = {.block_bytes = 1024, .seed = 5, .is_threaded = is_threaded};
	int err = stack_mount(&config, b->fd, &b->s);

	ck_assert_msg(err == 0, "%s: %s", strerror(-err), b->s.why);
}

static void make_bench(struct bench *b, uint64_t size_bytes, bool is_ext3, bool is_threaded)
{
	struct image_recipe recipe = {.size_bytes = size_bytes, .block_bytes = 1024, .inode_bytes = 256,
				      .is_ext3 = is_ext3, .seed = 5};

	memset(b, 0, sizeof(*b));
	b->fd = temp_image_make(&recipe);
	mount_bench(b, is_threaded);
}

static void close_bench(struct bench *b)
{
	char report[4000];
	int status;

	ck_assert_int_eq(stack_unmount(&b->s), 0);
	status = temp_image_fsck(b->fd, report, sizeof(report));
	ck_assert_msg(status == 0, "e2fsck says %d: %s", status, report);
	close(b->fd);
}

static struct inode *make(struct bench *b, const char *text)
{
	struct name name = {text, (uint32_t)strlen(text)};
	struct inode *inode;

	ck_assert_int_eq(vfs_mknod(b->s.sb->root, &name, S_IFREG | 0644, 0, 0, &stack_root, &inode), 0);
	return inode;
}

static void remove_name(struct bench *b, const char *text)
{
	struct name name = {text, (uint32_t)strlen(text)};

	ck_assert_int_eq(vfs_unlink(b->s.sb->root, &name, &stack_root), 0);
}

/* What byte pos of a file is, by its number: no two blocks of a test are alike. */
static uint8_t pattern(unsigned number, uint64_t pos)
{
	uint64_t h = (pos / 512 + 1) * 0x9e3779b97f4a7c15ull + number;

	return (uint8_t)((h >> 56 ^ pos) | 1);
}

/* Writes until it is so long, or the disk full. */
static uint64_t fill(struct inode *inode, unsigned number, uint64_t len_max)
{
	uint8_t bytes[10000];
	struct file *file;
	uint64_t pos = 0;
	ssize_t got = 1;

	ck_assert_int_eq(file_open(inode, O_RDWR, &stack_root, &file), 0);
	while (got > 0 && pos < len_max) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = pattern(number, pos + i);
		got = file_write(file, pos, bytes, sizeof(bytes), false);
		if (got > 0)
			pos += (uint64_t)got;
	}
	ck_assert(got > 0 || got == -ENOSPC);
	file_close(file);
	return pos;
}

/* How many bytes of the file from pos on were read and found right. */
static size_t check_some(struct file *file, unsigned number, uint64_t pos)
{
	struct filemap_view view;
	size_t done = 0;

	ck_assert_int_eq(file_read(file, pos, 100000, &view), 0);
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		const uint8_t *bytes = view.iov[i].iov_base;

		for (size_t k = 0; k < view.iov[i].iov_len; k++, done++)
			if (bytes[k] != pattern(number, pos + done))
				ck_abort_msg("byte %llu is another", (unsigned long long)(pos + done));
	}
	file_read_done(file, &view);
	return done;
}

static void check_content(struct bench *b, const char *text, unsigned number, uint64_t len)
{
	struct name name = {text, (uint32_t)strlen(text)};
	struct inode *inode;
	struct file *file;

	ck_assert_int_eq(vfs_lookup(b->s.sb->root, &name, &inode), 0);
	ck_assert_uint_eq(inode->attr.size_bytes, len);
	ck_assert_int_eq(file_open(inode, O_RDONLY, &stack_root, &file), 0);
	for (uint64_t pos = 0; pos < len;) {
		size_t done = check_some(file, number, pos);

		ck_assert_uint_gt(done, 0);
		pos += done;
	}
	file_close(file);
	inode_put(inode);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static int trim(struct bench *b, struct trim_range *range)
{
	range->is_stopped = never;
	return super_trim(b->s.sb, range);
}

static uint64_t free_blocks(struct bench *b)
{
	struct statfs_info info;

	ck_assert_int_eq(super_statfs(b->s.sb, &info), 0);
	return info.blocks_free;
}

static int64_t image_blocks(const struct bench *b)
{
	struct stat st;

	ck_assert_int_eq(fstat(b->fd, &st), 0);
	return st.st_blocks / 2;
}

START_TEST(free_space_becomes_holes)
{
	struct trim_range range = {.len_bytes = UINT64_MAX};
	uint64_t len_a, len_c, trimmed;
	struct inode *a, *gone, *c;
	int64_t full;
	struct bench b;

	make_bench(&b, 32 << 20, _i, false);
	a = make(&b, "a");
	gone = make(&b, "gone");
	c = make(&b, "c");
	len_a = fill(a, 1, 2 << 20);
	fill(gone, 2, 15 << 20);
	len_c = fill(c, 3, 3 << 20);
	inode_put(a);
	inode_put(c);
	ck_assert_int_eq(super_sync(b.s.sb), 0);
	full = image_blocks(&b);
	remove_name(&b, "gone");
	inode_put(gone);
	ck_assert_int_eq(trim(&b, &range), 0);
	ck_assert_int_le(image_blocks(&b), full - (14 << 10));
	/* All of it, but for runs of less than a host's page. */
	ck_assert_uint_le(range.trimmed_bytes, free_blocks(&b) << 10);
	ck_assert_uint_ge(range.trimmed_bytes, (free_blocks(&b) << 10) - (64 << 10));
	trimmed = range.trimmed_bytes;
	range = (struct trim_range){.start_bytes = 8 << 20, .len_bytes = 8 << 20};
	ck_assert_int_eq(trim(&b, &range), 0);
	ck_assert_uint_lt(range.trimmed_bytes, trimmed);
	ck_assert_uint_le(range.trimmed_bytes, 8 << 20);
	ck_assert_int_eq(stack_unmount(&b.s), 0);
	mount_bench(&b, false);
	check_content(&b, "a", 1, len_a);
	check_content(&b, "c", 3, len_c);
	close_bench(&b);
}
END_TEST

START_TEST(impossible_ranges_are_refused)
{
	static const struct trim_range wrong[] = {
		{.start_bytes = 9 << 20, .len_bytes = UINT64_MAX},
		{.start_bytes = 0, .len_bytes = 1023},
		{.start_bytes = 0, .len_bytes = UINT64_MAX, .run_bytes_min = 9 << 20},
		{.start_bytes = UINT64_MAX, .len_bytes = UINT64_MAX, .run_bytes_min = UINT64_MAX},
	};
	struct trim_range first = {.start_bytes = 0, .len_bytes = 1024};
	struct bench b;

	make_bench(&b, 9 << 20, false, false);
	for (size_t i = 0; i < array_size(wrong); i++) {
		struct trim_range range = wrong[i];

		ck_assert_int_eq(trim(&b, &range), -EINVAL);
		ck_assert_uint_eq(range.trimmed_bytes, 0);
	}
	/* The boot block is inside, and nobody's to trim. */
	ck_assert_int_eq(trim(&b, &first), 0);
	ck_assert_uint_eq(first.trimmed_bytes, 0);
	close_bench(&b);
}
END_TEST

static void run_trimmer(void *arg)
{
	struct bench *b = arg;

	while (!b->is_over) {
		struct trim_range range = {.len_bytes = UINT64_MAX};

		ck_assert_int_eq(trim(b, &range), 0);
		b->nr_trims++;
	}
}

START_TEST(a_disk_is_filled_to_the_last_block_meanwhile)
{
	struct thread *trimmers[2];
	uint64_t len = 0;
	struct bench b;

	make_bench(&b, 9 << 20, _i, true);
	for (size_t i = 0; i < array_size(trimmers); i++) {
		trimmers[i] = thread_create("trimmer", run_trimmer, &b);
		ck_assert_ptr_nonnull(trimmers[i]);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct inode *f = make(&b, "f");

		len = fill(f, round, UINT64_MAX);
		ck_assert_uint_eq(free_blocks(&b), 0);
		inode_put(f);
		check_content(&b, "f", round, len);
		if (round + 1 < ROUNDS)
			remove_name(&b, "f");
	}
	b.is_over = true;
	for (size_t i = 0; i < array_size(trimmers); i++)
		thread_join(trimmers[i]);
	ck_assert_uint_gt(b.nr_trims, 0);
	ck_assert_int_eq(stack_unmount(&b.s), 0);
	mount_bench(&b, false);
	check_content(&b, "f", ROUNDS - 1, len);
	close_bench(&b);
}
END_TEST

TEST_SUITE(fs_trim)
{
	tcase_add_loop_test(tc, free_space_becomes_holes, 0, 2);
	tcase_add_test(tc, impossible_ranges_are_refused);
	tcase_add_loop_test(tc, a_disk_is_filled_to_the_last_block_meanwhile, 0, 2);
}
