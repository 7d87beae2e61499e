/*
 * fsck/corrupt.c - damages metadata of an image by seed.
 *
 *	corrupt [-x] [-n MAX] [-k KINDS] SEED IMAGE
 *
 * Chooses 1 to MAX blocks (default 50) among those that hold metadata - descriptors, bitmaps, used inode
 * tables, indirect blocks, directories, attribute blocks, long symlinks, the superblock - and damages each in
 * one of four ways: bits or bytes flipped, a part zeroed, two blocks swapped, or an old copy put back,
 * which is the content of another block of the same kind. Prints what it did. Same seed, same damage.
 *
 * With -x it sets fields to values at the edge of what is possible and behind it (0, 1, all ones, the number of
 * blocks, one more than it was...), in superblock, descriptors, inodes, indirect blocks, records of
 * directories and their indexes, attributes and the journal's superblock; or it flips bits all over a block.
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

enum kind { KIND_SUPER, KIND_DESC, KIND_BITMAP, KIND_TABLE, KIND_INDIRECT, KIND_DIR, KIND_XATTR, NR_KINDS, KIND_LOG = NR_KINDS };

static const char *const kind_names[] = {"super", "desc", "bitmap", "table", "indirect", "dir", "xattr", "log"};
static const char kind_letters[] = "sdbtiexj";

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
	bool is_extreme;	/* -x */
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
	if (img->is_extreme && ino == EXT_JOURNAL_INO && f.block[0])
		add(img, f.block[0], KIND_LOG);
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

		if (kind == (enum kind)(NR_KINDS + img->is_extreme) || t->kind == kind)
			return t;
	}
	return &img->targets[rand_below(&img->rand, img->count)];
}

/* ---- fields ---- */

/* A value that a check may not have thought of, for a field of so many bytes that holds old. */
static uint32_t extreme(struct image *img, uint32_t old, unsigned bytes)
{
	uint32_t ones = bytes == 4 ? UINT32_MAX : (1u << (bytes * 8)) - 1;

	switch (rand_below(&img->rand, 14)) {
	case 0: return 0;
	case 1: return 1;
	case 2: return ones;
	case 3: return ones >> 1;
	case 4: return (ones >> 1) + 1;
	case 5: return old + 1;
	case 6: return old - 1;
	case 7: return ~old;
	case 8: return old << 1;
	case 9: return (uint32_t)img->geo.blocks_count;
	case 10: return (uint32_t)img->geo.blocks_count - 1;
	case 11: return img->geo.inodes_count + (uint32_t)rand_below(&img->rand, 2);
	case 12: return old ^ 1u << rand_below(&img->rand, bytes * 8);
	default: return (uint32_t)rand_below(&img->rand, UINT32_MAX);
	}
}

static void set_field(struct image *img, const struct target *t, size_t at, unsigned bytes)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	uint32_t old = 0, value, swapped;

	at = min(at, (size_t)img->geo.block_size - bytes);
	read_block(img, t->block, block);
	memcpy(&old, block + at, bytes);
	if (t->kind == KIND_LOG) {	/* which is big-endian */
		swapped = __builtin_bswap32(old) >> (8 * (4 - bytes));
		value = __builtin_bswap32(extreme(img, swapped, bytes)) >> (8 * (4 - bytes));
	} else {
		value = extreme(img, old, bytes);
	}
	memcpy(block + at, &value, bytes);
	write_block(img, t->block, block);
	printf("byte %zu of %s %u: 0x%x of %u bytes\n", at, kind_names[t->kind], t->block, value, bytes);
}

/* Where a record of this directory block begins; the n-th, or the last there is. */
static size_t find_record(struct image *img, const struct target *t, unsigned n)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	size_t at = 0;

	read_block(img, t->block, block);
	while (n--) {
		const struct ext_dirent *d = (const void *)(block + at);
		unsigned len = le16_get(d->rec_len);

		if (len < 12 || len % 4 || at + len + 12 > img->geo.block_size)
			break;
		at += len;
	}
	return at;
}

/* Inode, length, length of the name and type; the fields of an index lie at the same small offsets. */
static void set_record_field(struct image *img, const struct target *t)
{
	static const struct {
		unsigned at, bytes;
	} fields[] = {{0, 4}, {4, 2}, {6, 1}, {7, 1}, {8, 1}, {9, 1}};
	unsigned i = (unsigned)rand_below(&img->rand, array_size(fields));
	size_t at;

	if (rand_one_in(&img->rand, 4)) {
		at = 2 * rand_below(&img->rand, 32);	/* the head of an index */
		set_field(img, t, at, 2);
		return;
	}
	at = find_record(img, t, (unsigned)rand_below(&img->rand, 24));
	set_field(img, t, at + fields[i].at, fields[i].bytes);
}

static void set_some_field(struct image *img, const struct target *t)
{
	unsigned bytes = rand_one_in(&img->rand, 3) ? 2 : 4;
	size_t units = img->geo.block_size / bytes, at;

	if (t->kind == KIND_DIR) {
		set_record_field(img, t);
		return;
	}
	if (t->kind == KIND_SUPER)	/* what is used of it */
		units = 0x180 / bytes;
	if (t->kind == KIND_DESC)
		units = min((size_t)img->geo.groups_count * sizeof(struct ext_group_desc), units * bytes) / bytes;
	if (t->kind == KIND_LOG)
		units = 0x58 / bytes;
	if (t->kind == KIND_XATTR && !rand_one_in(&img->rand, 3))
		units = 0x60 / bytes;	/* the header and the first entries */
	at = bytes * rand_below(&img->rand, units);
	if (t->kind == KIND_SUPER && img->geo.first_data_block == 0)
		at += EXT_SUPER_OFFSET;
	set_field(img, t, at, bytes);
}

/* Every 8th to every 2048th bit, by chance. */
static void flip_all_over(struct image *img, const struct target *t)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	unsigned one_in = 8u << rand_below(&img->rand, 9);
	size_t bits = img->geo.block_size * 8u, bit = 0, n = 0;

	read_block(img, t->block, block);
	while ((bit += 1 + rand_below(&img->rand, 2 * one_in)) < bits) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		n++;
	}
	write_block(img, t->block, block);
	printf("flip %zu bits of %s %u\n", n, kind_names[t->kind], t->block);
}

static void damage_fields(struct image *img)
{
	const struct target *t = pick(img, (enum kind)rand_below(&img->rand, NR_KINDS + 2));

	if (t->kind == KIND_SUPER && !rand_one_in(&img->rand, 3))
		t = pick(img, KIND_TABLE);
	if (t->kind != KIND_SUPER && rand_one_in(&img->rand, 6))
		flip_all_over(img, t);
	else
		set_some_field(img, t);
}

/* ---- whole blocks ---- */

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

	while ((c = getopt(argc, argv, "xn:k:")) != -1) {
		if (c == 'n')
			most = (unsigned)atoi(optarg);
		else if (c == 'k')
			img.kinds = optarg;
		else if (c == 'x')
			img.is_extreme = true;
		else
			return 2;
	}
	if (optind + 2 != argc) {
		fprintf(stderr, "usage: corrupt [-x] [-n MAX] [-k KINDS] SEED IMAGE\n");
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
	for (i = 0; i < min(n, most); i++) {
		if (img.is_extreme)
			damage_fields(&img);
		else
			damage(&img);
	}
	free(img.targets);
	free(img.desc);
	close(img.fd);
	return 0;
}
