/*
 * The cache below a mounted file system, on the simulated disk hdd7200 in virtual time, through the
 * vfs: a file on ext2 and on ext3 is read at 95 % of the device's streaming rate, blocks of its map
 * included; what was read ahead is the file, byte for byte, also for requests that overtake each
 * other, go backward or leave parts out; and the inodes of a directory cost few reads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "block/plug.h"
#include "cache/cache.h"
#include "drivers/filedisk.h"
#include "drivers/simdisk.h"
#include "ext/super.h"
#include "harness/image.h"
#include "harness/runner.h"
#include "harness/stack.h"
#include "vfs/file.h"
#include "vfs/namei.h"

#define MIB (1ull << 20)
#define FILE_BYTES (96 * MIB)

static const struct name file_name = {"file", 4};

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos / 1000 * 7 + pos / 100000);
}

/* The same stack as the harness's, on a slow disk. */
static struct stack mount_slow(int image_fd)
{
	const struct filedisk_config file_config = {0};
	const struct sim_config sim_config = {
		.profile = sim_profile_find("hdd7200"),
		.mode = SIM_RING_IRQ,
		.drive = SIM_INLINE,
		.owns_media = true,
	};
	struct page_cache_config cache_config = {.block_bytes = 4096, .size_bytes = 256 * MIB};
	const struct ext_mount_config mount_config = {.resuid = (uid_t)-1, .resgid = (gid_t)-1, .seed = 1};
	struct stack s = {.clock = clock_create_virtual((struct timespec){.tv_sec = 1700000000})};
	struct disk_config config = {.name = "image", .is_inline = true, .clock = s.clock};
	struct super_config super_config = {.clock = s.clock};
	struct disk *media;

	s.work = workqueue_create("test", 0, s.clock, 1);
	ck_assert_int_eq(filedisk_open_fd(dup(image_fd), &file_config, &config, &media, s.why, sizeof(s.why)), 0);
	config = (struct disk_config){.name = "sim", .clock = s.clock};
	ck_assert_int_eq(simdisk_open(media, &sim_config, &config, &s.disk, NULL, s.why, sizeof(s.why)), 0);
	cache_config.clock = s.clock;
	cache_config.work = s.work;
	ck_assert_int_eq(page_cache_create(&cache_config, &s.cache), 0);
	super_config.disk = s.disk;
	super_config.cache = s.cache;
	super_config.work = s.work;
	ck_assert_int_eq(ext_mount(&mount_config, &super_config, &s.sb, s.why, sizeof(s.why)), 0);
	return s;
}

static int make_image(bool is_ext3)
{
	const struct image_recipe recipe = {
		.size_bytes = 256 * MIB,
		.block_bytes = 4096,
		.inode_bytes = 256,
		.is_ext3 = is_ext3,
		.seed = 1,
	};

	return temp_image_make(&recipe);
}

static struct file *open_file(struct stack *s, bool is_new)
{
	struct inode *root = s->sb->root, *inode;
	struct file *file;

	if (is_new)
		ck_assert_int_eq(vfs_mknod(root, &file_name, S_IFREG | 0644, 0, 0, &stack_root, &inode), 0);
	else
		ck_assert_int_eq(vfs_lookup(root, &file_name, &inode), 0);
	ck_assert_int_eq(file_open(inode, O_RDWR, &stack_root, &file), 0);
	inode_put(inode);
	return file;
}

static void write_file(int image_fd)
{
	struct stack s = mount_slow(image_fd);
	struct file *file = open_file(&s, true);
	uint8_t *bytes = malloc(MIB);

	ck_assert_ptr_nonnull(bytes);
	for (uint64_t pos = 0; pos < FILE_BYTES; pos += MIB) {
		for (uint64_t i = 0; i < MIB; i++)
			bytes[i] = byte_at(pos + i);
		ck_assert_int_eq(file_write(file, pos, bytes, MIB, false), MIB);
	}
	free(bytes);
	file_close(file);
	ck_assert_int_eq(stack_unmount(&s), 0);
}

static void check_bytes(const struct filemap_view *view, uint64_t pos)
{
	for (uint32_t i = 0; i < view->nr_iov; i++) {
		const uint8_t *at = view->iov[i].iov_base;

		for (size_t k = 0; k < view->iov[i].iov_len; k++, pos++)
			if (at[k] != byte_at(pos))
				ck_abort_msg("byte %llu is wrong", (unsigned long long)pos);
	}
}

static void read_and_check(struct file *file, uint64_t pos, size_t len)
{
	struct filemap_view view;

	ck_assert_int_eq(file_read(file, pos, len, &view), 0);
	ck_assert_uint_eq(view.len_bytes, min((uint64_t)len, FILE_BYTES - pos));
	check_bytes(&view, pos);
	file_read_done(file, &view);
}

static void raw_end_io(struct bio *bio)
{
	bio_free(bio);
}

static uint64_t streaming_ns(const struct stack *s, uint64_t len_bytes)
{
	uint64_t began_ns = clock_now_ns(s->clock);
	uint8_t *memory = malloc(MIB);
	struct plug plug;

	ck_assert_ptr_nonnull(memory);
	plug_start(&plug);
	for (uint64_t at = 0; at < len_bytes; at += MIB) {
		struct bio *bio = bio_alloc(s->disk, BIO_READ, 0, at >> SECTOR_SHIFT, 1);

		ck_assert(bio_add(bio, memory, MIB));
		bio->end_io = raw_end_io;
		plug_submit(&plug, bio);
	}
	plug_finish(&plug);
	free(memory);
	return clock_now_ns(s->clock) - began_ns;
}

START_TEST(file_is_read_at_the_rate_of_the_device)
{
	int image_fd = make_image(_i);
	uint64_t device_ns, began_ns, took_ns;
	struct stack s;
	struct file *file;

	write_file(image_fd);
	s = mount_slow(image_fd);
	device_ns = streaming_ns(&s, FILE_BYTES);
	file = open_file(&s, false);
	began_ns = clock_now_ns(s.clock);
	for (uint64_t pos = 0; pos < FILE_BYTES; pos += MIB)
		read_and_check(file, pos, MIB);
	took_ns = clock_now_ns(s.clock) - began_ns;
	if (getenv("CACHE_BARS_PRINT"))
		printf("%-60s %8.3f\n", _i ? "ext3, 1 MiB calls: share of the device's rate" : "ext2",
		       (double)device_ns / (double)took_ns);
	ck_assert_uint_le(took_ns, device_ns * 100 / 95);
	file_close(file);
	ck_assert_int_eq(stack_unmount(&s), 0);
	close(image_fd);
}
END_TEST

static void read_shuffled(struct file *file, struct rand *rand, uint64_t from, uint64_t to, size_t len)
{
	enum { TOGETHER = 5 };

	for (uint64_t pos = from; pos + TOGETHER * len <= to; pos += TOGETHER * len) {
		unsigned first = (unsigned)rand_below(rand, TOGETHER);

		for (unsigned i = 0; i < TOGETHER; i++)
			read_and_check(file, pos + (first + 2 * i) % TOGETHER * len, len);
	}
}

START_TEST(whatever_the_order_what_is_read_is_the_file)
{
	int image_fd = make_image(true);
	struct rand rand;
	struct stack s;
	struct file *file;

	rand_init(&rand, test_seed());
	write_file(image_fd);
	s = mount_slow(image_fd);
	file = open_file(&s, false);
	read_shuffled(file, &rand, 0, 16 * MIB, 128 << 10);
	for (uint64_t pos = 32 * MIB; pos > 16 * MIB; pos -= 40000)
		read_and_check(file, pos - 40000, 40000);
	for (uint64_t pos = 33 * MIB; pos < 64 * MIB; pos += 300000)
		read_and_check(file, pos, 5000);
	for (uint64_t pos = 64 * MIB; pos < 66 * MIB; pos += 777)
		read_and_check(file, pos, 777);
	for (int i = 0; i < 300; i++)
		read_and_check(file, rand_below(&rand, FILE_BYTES), 1 + rand_below(&rand, 60000));
	read_and_check(file, FILE_BYTES - 3, 100000);
	file_close(file);
	ck_assert_int_eq(stack_unmount(&s), 0);
	close(image_fd);
}
END_TEST

/* Metadata: 2,000 files in one directory, their inodes in 125 blocks of the table, 8 blocks of names. */
#define NR_FILES 2000u

static struct name numbered_name(char text[8], unsigned i)
{
	return (struct name){text, (uint32_t)snprintf(text, 8, "f%04u", i)};
}

static void make_files(int image_fd)
{
	struct stack s = mount_slow(image_fd);

	for (unsigned i = 0; i < NR_FILES; i++) {
		char text[8];
		struct name name = numbered_name(text, i);
		struct inode *inode;

		ck_assert_int_eq(vfs_mknod(s.sb->root, &name, S_IFREG | 0644, 0, 0, &stack_root, &inode), 0);
		inode_put(inode);
	}
	ck_assert_int_eq(stack_unmount(&s), 0);
}

struct listing {
	struct super *sb;
	unsigned nr_files;
};

static bool get_listed(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	struct listing *l = arg;
	struct inode *inode;

	(void)name;
	(void)next;
	if (d_type != DT_REG)
		return true;
	ck_assert_int_eq(inode_get(l->sb, ino, &inode), 0);
	inode_put(inode);
	l->nr_files++;
	return true;
}

static uint64_t list_all(struct stack *s)
{
	struct listing l = {.sb = s->sb};

	ck_assert_int_eq(dir_read(s->sb->root, 0, get_listed, &l), 0);
	return l.nr_files;
}

static uint64_t look_up_all(struct stack *s)
{
	unsigned nr = 0;

	for (; nr < NR_FILES; nr++) {
		char text[8];
		struct name name = numbered_name(text, nr);
		struct inode *inode;

		ck_assert_int_eq(vfs_lookup(s->sb->root, &name, &inode), 0);
		inode_put(inode);
	}
	return nr;
}

START_TEST(inodes_of_a_cold_directory_cost_few_reads)
{
	static const struct {
		const char *what;
		uint64_t (*visit)(struct stack *s);
		uint64_t reads_max;
	} ways[] = {
		{"reads for 2,000 inodes, listed: of 133 blocks", list_all, 12},
		{"reads for 2,000 inodes, by name: of 133 blocks", look_up_all, 24},
	};
	int image_fd = make_image(true);
	uint64_t before, nr_reads;
	struct stack s;

	make_files(image_fd);
	s = mount_slow(image_fd);
	before = counter_get(&disk_stats(s.disk)->ios[BIO_READ]);
	ck_assert_uint_eq(ways[_i].visit(&s), NR_FILES);
	nr_reads = counter_get(&disk_stats(s.disk)->ios[BIO_READ]) - before;
	if (getenv("CACHE_BARS_PRINT"))
		printf("%-60s %8llu\n", ways[_i].what, (unsigned long long)nr_reads);
	ck_assert_uint_le(nr_reads, ways[_i].reads_max);
	ck_assert_int_eq(stack_unmount(&s), 0);
	close(image_fd);
}
END_TEST

TEST_SUITE(fs_cache_mounted)
{
	tcase_add_loop_test(tc, file_is_read_at_the_rate_of_the_device, 0, 2);
	tcase_add_test(tc, whatever_the_order_what_is_read_is_the_file);
	tcase_add_loop_test(tc, inodes_of_a_cold_directory_cost_few_reads, 0, 2);
}
