/*
 * fsck/corrupt.c - damages metadata of an image by seed.
 *
 *	corrupt [-n MAX] [-k KINDS] SEED IMAGE
 *
 * Chooses 1 to MAX blocks (default 50) among those that hold metadata - descriptors, bitmaps, used inode
 * tables, indirect blocks, directories, attribute blocks, long symlinks, the superblock - and damages each in
 * one of four ways: bits or bytes flipped, a part zeroed, two blocks swapped, or an old copy put back,
 * which is the content of another block of the same kind. Prints what it did. Same seed, same damage.
 *
 * The image is read by the layout room alone, and must be whole before.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bitmap.h"
#include "base/rand.h"
#include "layout/group.h"
#include "layout/inode.h"
#include "layout/super.h"
#include "tools/tool.h"

enum kind { KIND_SUPER, KIND_DESC, KIND_BITMAP, KIND_TABLE, KIND_INDIRECT, KIND_DIR, KIND_XATTR, NR_KINDS };

static const char *const kind_names[] = {"super", "desc", "bitmap", "table", "indirect", "dir", "xattr"};
static const char kind_letters[] = "sdbtiex";

struct target {
	uint32_t block;
	enum kind kind;
};

struct image {
	int fd;
	struct geometry geo;
	struct ext_group_desc *desc;
	struct target *targets;
	size_t count, room;
	struct rand rand;
	const char *kinds;
};

static void read_block(struct image *img, uint64_t block, void *buf)
{
	size_t size = img->geo.block_size;

	if (pread(img->fd, buf, size, (off_t)(block * size)) != (ssize_t)size)
		die("block %llu", (unsigned long long)block);
}

static void write_block(struct image *img, uint64_t block, const void *buf)
{
	size_t size = img->geo.block_size;

	if (pwrite(img->fd, buf, size, (off_t)(block * size)) != (ssize_t)size)
		die("block %llu", (unsigned long long)block);
}

static void add(struct image *img, uint64_t block, enum kind kind)
{
	if (img->kinds && !strchr(img->kinds, kind_letters[kind]))
		return;
	if (img->count == img->room) {
		img->room = img->room * 2 + 256;
		img->targets = realloc(img->targets, img->room * sizeof(*img->targets));
		if (!img->targets)
			die("memory");
	}
	img->targets[img->count++] = (struct target){(uint32_t)block, kind};
}

/* ---- what is metadata ---- */

static void add_tree(struct image *img, uint32_t block, unsigned level, bool is_dir)
{
	uint32_t slots[EXT_BLOCK_SIZE_MAX / 4];
	unsigned i;

	if (!block)
		return;
	if (level == 0) {
		if (is_dir)
			add(img, block, KIND_DIR);
		return;
	}
	add(img, block, KIND_INDIRECT);
	read_block(img, block, slots);
	for (i = 0; i < img->geo.addr_per_block; i++)
		if (level > 1 || is_dir)
			add_tree(img, slots[i], level - 1, is_dir);
}

static void add_inode(struct image *img, inr_t ino, const void *bytes, uint8_t *seen_xattr)
{
	struct inode_fields f;
	bool is_block;
	unsigned i;

	inode_decode(&img->geo, bytes, &f);
	if (!f.links)
		return;
	if (f.file_acl && !bitmap_test(seen_xattr, f.file_acl)) {
		bitmap_set(seen_xattr, f.file_acl);
		add(img, f.file_acl, KIND_XATTR);
	}
	if (!inode_has_tree(&img->geo, &f) || ino == EXT_RESIZE_INO || ino == EXT_JOURNAL_INO)
		return;
	is_block = S_ISDIR(f.mode) || S_ISLNK(f.mode);
	for (i = 0; i < EXT_N_BLOCKS; i++)
		add_tree(img, f.block[i], i < EXT_NDIR_BLOCKS ? 0 : i - EXT_NDIR_BLOCKS + 1, is_block);
}

static void add_table(struct image *img, group_t g, uint8_t *seen_xattr)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX], map[EXT_BLOCK_SIZE_MAX];
	uint32_t i, b;

	read_block(img, le32_get(img->desc[g].inode_bitmap), map);
	for (b = 0; b < img->geo.inode_table_blocks; b++) {
		bool used = false;

		read_block(img, le32_get(img->desc[g].inode_table) + b, block);
		for (i = 0; i < img->geo.inodes_per_block; i++) {
			uint32_t n = b * img->geo.inodes_per_block + i;

			if (n >= img->geo.inodes_per_group || !bitmap_test(map, n))
				continue;
			used = true;
			add_inode(img, group_first_inode(&img->geo, g) + n, block + i * img->geo.inode_size,
				  seen_xattr);
		}
		if (used)
			add(img, le32_get(img->desc[g].inode_table) + b, KIND_TABLE);
	}
}

static void find_targets(struct image *img)
{
	uint8_t *seen_xattr = alloc_or_die(img->geo.blocks_count / 8 + 1);
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	group_t g;
	uint32_t i;

	img->desc = alloc_or_die((size_t)img->geo.gdt_blocks * img->geo.block_size);
	add(img, img->geo.first_data_block, KIND_SUPER);
	for (i = 0; i < img->geo.gdt_blocks; i++) {
		read_block(img, group_desc_location(&img->geo, i), block);
		memcpy((char *)img->desc + (size_t)i * img->geo.block_size, block, img->geo.block_size);
		add(img, group_desc_location(&img->geo, i), KIND_DESC);
	}
	for (g = 0; g < img->geo.groups_count; g++) {
		add(img, le32_get(img->desc[g].block_bitmap), KIND_BITMAP);
		add(img, le32_get(img->desc[g].inode_bitmap), KIND_BITMAP);
		add_table(img, g, seen_xattr);
	}
	free(seen_xattr);
}

/* ---- damage ---- */

static void flip(struct image *img, const struct target *t)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	unsigned n = 1 + (unsigned)rand_below(&img->rand, 4), i;

	read_block(img, t->block, block);
	for (i = 0; i < n; i++) {
		size_t at = rand_below(&img->rand, img->geo.block_size);

		if (rand_one_in(&img->rand, 2))
			block[at] ^= (uint8_t)(1u << rand_below(&img->rand, 8));
		else
			block[at] = (uint8_t)rand_below(&img->rand, 256);
	}
	write_block(img, t->block, block);
	printf("flip %u bytes of %s %u\n", n, kind_names[t->kind], t->block);
}

static void zero(struct image *img, const struct target *t)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	size_t from = 0, len = img->geo.block_size;

	if (!rand_one_in(&img->rand, 3)) {	/* a part, in sectors */
		from = SECTOR_SIZE * rand_below(&img->rand, len / SECTOR_SIZE);
		len = SECTOR_SIZE;
	}
	read_block(img, t->block, block);
	memset(block + from, 0, len);
	write_block(img, t->block, block);
	printf("zero %zu bytes from %zu of %s %u\n", len, from, kind_names[t->kind], t->block);
}

static void swap(struct image *img, const struct target *t, const struct target *u)
{
	uint8_t a[EXT_BLOCK_SIZE_MAX], b[EXT_BLOCK_SIZE_MAX];

	read_block(img, t->block, a);
	read_block(img, u->block, b);
	write_block(img, t->block, b);
	write_block(img, u->block, a);
	printf("swap %s %u and %s %u\n", kind_names[t->kind], t->block, kind_names[u->kind], u->block);
}

static void stale(struct image *img, const struct target *t, const struct target *u)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];

	read_block(img, u->block, block);
	write_block(img, t->block, block);
	printf("%s %u gets what %s %u holds\n", kind_names[t->kind], t->block, kind_names[u->kind], u->block);
}

static const struct target *pick(struct image *img, enum kind kind)
{
	unsigned tries;

	/* Kinds alike: a block of each is as likely, however many there are. */
	for (tries = 0; tries < 1000; tries++) {
		const struct target *t = &img->targets[rand_below(&img->rand, img->count)];

		if (kind == NR_KINDS || t->kind == kind)
			return t;
	}
	return &img->targets[rand_below(&img->rand, img->count)];
}

static void damage(struct image *img)
{
	const struct target *t = pick(img, (enum kind)rand_below(&img->rand, NR_KINDS + 1));

	if (t->kind == KIND_SUPER && !rand_one_in(&img->rand, 4))
		t = pick(img, KIND_TABLE);	/* mostly the superblock is well */
	switch (rand_below(&img->rand, 4)) {
	case 0: zero(img, t); break;
	case 1: swap(img, t, pick(img, rand_one_in(&img->rand, 2) ? t->kind : NR_KINDS)); break;
	case 2: stale(img, t, pick(img, rand_one_in(&img->rand, 2) ? t->kind : NR_KINDS)); break;
	default: flip(img, t); break;
	}
}

int main(int argc, char **argv)
{
	struct image img = {0};
	unsigned most = 50, n, i;
	uint8_t super[1024];
	char why[200];
	int c;

	while ((c = getopt(argc, argv, "n:k:")) != -1) {
		if (c == 'n')
			most = (unsigned)atoi(optarg);
		else if (c == 'k')
			img.kinds = optarg;
		else
			return 2;
	}
	if (optind + 2 != argc) {
		fprintf(stderr, "usage: corrupt [-n MAX] [-k KINDS] SEED IMAGE\n");
		return 2;
	}
	rand_init(&img.rand, strtoull(argv[optind], NULL, 0));
	img.fd = open(argv[optind + 1], O_RDWR);
	if (img.fd < 0)
		die("%s", argv[optind + 1]);
	if (pread(img.fd, super, sizeof(super), EXT_SUPER_OFFSET) != (ssize_t)sizeof(super))
		die("superblock");
	if (super_check((void *)super, UINT64_MAX, &img.geo, why, sizeof(why))) {
		fprintf(stderr, "corrupt: %s\n", why);
		return 2;
	}
	find_targets(&img);
	if (!img.count) {
		fprintf(stderr, "corrupt: nothing of these kinds\n");
		return 2;
	}
	/* Most runs damage few blocks, where one fault cannot hide another. */
	n = 1 + (unsigned)rand_below(&img.rand, rand_one_in(&img.rand, 2) ? 3 : most);
	for (i = 0; i < min(n, most); i++)
		damage(&img);
	free(img.targets);
	free(img.desc);
	close(img.fd);
	return 0;
}
