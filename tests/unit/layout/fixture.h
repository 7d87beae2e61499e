/*
 * unit/layout/fixture.h - a superblock by hand, and images by mke2fs, for the tests of layout.
 *
 * Purpose     Most tests want a geometry that is possible, some want what other people's tools make.
 * Ownership   An e2fs_image is a file without a name, gone when its descriptor is closed.
 * Locking     None.
 */
#ifndef UNIT_LAYOUT_FIXTURE_H
#define UNIT_LAYOUT_FIXTURE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/runner.h"
#include "layout/super.h"

#define WHY_SIZE 256

/*
 * Check writes a record for each assertion that holds, and its parent keeps them all: with millions of
 * them in a property test that is half a gigabyte. Here an assertion speaks only when it fails.
 */
#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                \
	((expr) ? (void)0                                                                       \
		: _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #expr "' failed", ##__VA_ARGS__))

/* Revision 1, filetype, sparse_super, large_file; the last group is made whole. */
static inline void make_super(struct ext_super *s, unsigned block_size, unsigned inode_size,
			      group_t groups)
{
	unsigned log = log2_floor(block_size) - 10;
	uint32_t per_group = block_size * 8;
	uint32_t first = block_size == 1024;

	memset(s, 0, sizeof(*s));
	s->magic = le16_make(EXT_SUPER_MAGIC);
	s->rev_level = le32_make(EXT_DYNAMIC_REV);
	s->log_block_size = le32_make(log);
	s->log_cluster_size = le32_make(log);
	s->first_data_block = le32_make(first);
	s->blocks_per_group = le32_make(per_group);
	s->clusters_per_group = le32_make(per_group);
	s->blocks_count = le32_make(first + groups * per_group);
	s->inodes_per_group = le32_make(block_size * 2);
	s->inodes_count = le32_make(groups * block_size * 2);
	s->inode_size = le16_make((uint16_t)inode_size);
	s->first_ino = le32_make(EXT_GOOD_OLD_FIRST_INO);
	s->feature_compat = le32_make(EXT_COMPAT_EXT_ATTR | EXT_COMPAT_RESIZE_INODE);
	s->feature_incompat = le32_make(EXT_INCOMPAT_FILETYPE);
	s->feature_ro_compat = le32_make(EXT_RO_COMPAT_SPARSE_SUPER | EXT_RO_COMPAT_LARGE_FILE);
	s->reserved_gdt_blocks = le16_make(3);
}

static inline struct geometry make_geometry(unsigned block_size, unsigned inode_size, group_t groups)
{
	struct ext_super s;
	struct geometry geo;
	char why[WHY_SIZE] = "";
	int err;

	make_super(&s, block_size, inode_size, groups);
	err = super_check(&s, UINT64_MAX, &geo, why, sizeof(why));
	ck_assert_msg(err == 0, "%s", why);
	return geo;
}

/* ---- images ---- */

struct e2fs_image {
	int fd;
	char path[32];	/* works for children that inherit fd */
};

static inline void need_e2fsprogs(void)
{
	if (system("PATH=$PATH:/sbin:/usr/sbin; command -v mke2fs >/dev/null && "
		   "command -v debugfs >/dev/null && command -v dumpe2fs >/dev/null") != 0)
		test_skip("mke2fs, debugfs or dumpe2fs is not installed");
}

/* Starts a command and gives its output. */
static inline FILE *e2fs_run(const char *format, ...) printf_like(1, 2);
static inline FILE *e2fs_run(const char *format, ...)
{
	char command[1024] = "PATH=$PATH:/sbin:/usr/sbin; ";
	size_t len = strlen(command);
	va_list args;
	FILE *out;

	va_start(args, format);
	vsnprintf(command + len, sizeof(command) - len, format, args);
	va_end(args);
	out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	return out;
}

static inline void e2fs_run_quietly(const char *command)
{
	FILE *out = e2fs_run("(%s) 2>&1", command);
	char line[256], all[2048] = "";

	while (fgets(line, sizeof(line), out))
		strncat(all, line, sizeof(all) - strlen(all) - 1);
	ck_assert_msg(pclose(out) == 0, "%s: %s", command, all);
}

/* A sparse image made by mke2fs with these options. */
static inline struct e2fs_image make_image(const char *options, uint64_t size_bytes)
{
	char name[] = "/tmp/extant-layout-XXXXXX";
	struct e2fs_image image;
	char command[512];

	need_e2fsprogs();
	image.fd = mkstemp(name);
	ck_assert_int_ge(image.fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(ftruncate(image.fd, (off_t)size_bytes), 0);
	snprintf(image.path, sizeof(image.path), "/proc/self/fd/%d", image.fd);
	snprintf(command, sizeof(command), "mke2fs -q -F %s %s", options, image.path);
	e2fs_run_quietly(command);
	return image;
}

static inline void image_read(const struct e2fs_image *image, uint64_t offset, void *ret, size_t size)
{
	ck_assert_int_eq(pread(image->fd, ret, size, (off_t)offset), (ssize_t)size);
}

/* The image's checked geometry. */
static inline struct geometry image_geometry(const struct e2fs_image *image)
{
	struct ext_super s;
	struct geometry geo;
	char why[WHY_SIZE] = "";
	int err;

	image_read(image, EXT_SUPER_OFFSET, &s, sizeof(s));
	err = super_check(&s, (uint64_t)lseek(image->fd, 0, SEEK_END), &geo, why, sizeof(why));
	ck_assert_msg(err == 0, "%s", why);
	return geo;
}

static inline void image_block(const struct e2fs_image *image, const struct geometry *geo,
			       fsblk_t block, void *ret)
{
	image_read(image, block << geo->block_bits, ret, geo->block_size);
}

static inline struct ext_group_desc image_desc(const struct e2fs_image *image,
					       const struct geometry *geo, group_t g)
{
	fsblk_t block = group_desc_location(geo, group_desc_block(geo, g));
	struct ext_group_desc desc;

	image_read(image, (block << geo->block_bits) + group_desc_offset(geo, g), &desc, sizeof(desc));
	return desc;
}

static inline void image_inode(const struct e2fs_image *image, const struct geometry *geo, inr_t ino,
			       void *ret)
{
	struct ext_group_desc desc = image_desc(image, geo, group_of_inode(geo, ino));
	struct inode_place place = inode_location(geo, ino, le32_get(desc.inode_table));

	image_read(image, (place.block << geo->block_bits) + place.offset, ret, geo->inode_size);
}

#endif
