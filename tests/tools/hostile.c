/*
 * tools/hostile.c - images that ask a checker for memory and time without end.
 *
 *	hostile KIND IMAGE
 *
 * IMAGE is an empty file system without a journal as mke2fs makes it. Every inode that is free in it becomes part of
 * one of these:
 *
 *	shared    files that all name the same twelve blocks
 *	dirs      directories that all name the same twelve blocks
 *	trees     files that all name the same double indirect block, which names itself
 *	lost      files of a block each, without a name
 *	names     one directory of blocks that hold the same name again and again
 *	deep      directories one in another
 *	loops     directories that are each other's parent, two and two
 *	wide      directories of a block here and there, with holes as long as can be between them
 *	large     one directory of two million blocks, nearly all of them the same
 *	attrs     files with an attribute block each, that says it is shared
 *
 * Bitmaps and counts are left as they are: they are the least of what is wrong.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout/dirblock.h"
#include "layout/group.h"
#include "layout/inode.h"
#include "layout/super.h"
#include "layout/xattr.h"
#include "tools/tool.h"

struct image {
	uint8_t *bytes;
	size_t len;
	struct geometry geo;
	fsblk_t next; /* a block that nobody has */
	inr_t first, last; /* inodes to be used */
};

static void *block_at(struct image *img, fsblk_t block)
{
	if ((block + 1) * img->geo.block_size > img->len) {
		fprintf(stderr, "hostile: the image is too small\n");
		exit(2);
	}
	return img->bytes + block * img->geo.block_size;
}

static const struct ext_group_desc *desc_of(struct image *img, group_t g)
{
	uint8_t *block = block_at(img, group_desc_location(&img->geo, group_desc_block(&img->geo, g)));

	return (const void *)(block + group_desc_offset(&img->geo, g));
}

/* The next block behind the metadata of its group; data lies where mke2fs has put nothing. */
static fsblk_t take_block(struct image *img)
{
	group_t g = group_of_block(&img->geo, img->next);
	fsblk_t data = le32_get(desc_of(img, g)->inode_table) + img->geo.inode_table_blocks;

	if (img->next < data)
		img->next = data + (g == 0 ? 64 : 0); /* the root and lost+found */
	return img->next++;
}

static struct ext_inode *inode_of(struct image *img, inr_t ino)
{
	group_t g = group_of_inode(&img->geo, ino);
	struct inode_place place = inode_location(&img->geo, ino, le32_get(desc_of(img, g)->inode_table));

	return (void *)((uint8_t *)block_at(img, place.block) + place.offset);
}

static struct ext_inode *make_inode(struct image *img, inr_t ino, unsigned mode, unsigned blocks)
{
	struct ext_inode *raw = inode_of(img, ino);

	raw->mode = le16_make((uint16_t)mode);
	raw->links_count = le16_make(S_ISDIR(mode) ? 2 : 1);
	raw->size = le32_make(blocks << img->geo.block_bits);
	raw->blocks = le32_make(blocks << (img->geo.block_bits - 9));
	return raw;
}

static void set(struct ext_inode *raw, unsigned slot, fsblk_t block)
{
	raw->block[slot] = le32_make((uint32_t)block);
}

/* ---- kinds ---- */

static void make_sharing(struct image *img, unsigned mode)
{
	fsblk_t blocks[EXT_NDIR_BLOCKS];
	inr_t ino;
	unsigned i;

	for (i = 0; i < EXT_NDIR_BLOCKS; i++) {
		blocks[i] = take_block(img);
		dirblock_init_dots(&img->geo, block_at(img, blocks[i]), img->first, EXT_ROOT_INO);
	}
	for (ino = img->first; ino <= img->last; ino++) {
		struct ext_inode *raw = make_inode(img, ino, mode, EXT_NDIR_BLOCKS);

		for (i = 0; i < EXT_NDIR_BLOCKS; i++)
			set(raw, i, blocks[i]);
	}
}

static void make_shared(struct image *img)
{
	make_sharing(img, S_IFREG | 0644);
}

static void make_dirs(struct image *img)
{
	make_sharing(img, S_IFDIR | 0755);
}

static void make_trees(struct image *img)
{
	fsblk_t tree = take_block(img);
	le32_t *slots = block_at(img, tree);
	inr_t ino;
	unsigned i;

	for (i = 0; i < img->geo.addr_per_block; i++)
		slots[i] = le32_make((uint32_t)tree);
	for (ino = img->first; ino <= img->last; ino++) {
		set(make_inode(img, ino, S_IFREG | 0644, 12), EXT_DIND_BLOCK, tree);
		set(inode_of(img, ino), EXT_TIND_BLOCK, tree);
	}
}

static void make_lost(struct image *img)
{
	inr_t ino;

	for (ino = img->first; ino <= img->last; ino++)
		set(make_inode(img, ino, S_IFREG | 0644, 1), 0, take_block(img));
}

/* A directory's slot at this place of its file, with the indirect blocks on the way. */
static le32_t *slot_of(struct image *img, struct ext_inode *raw, uint32_t lblk)
{
	uint32_t per = img->geo.addr_per_block;
	le32_t *top;

	if (lblk < EXT_NDIR_BLOCKS)
		return &raw->block[lblk];
	lblk -= EXT_NDIR_BLOCKS;
	if (lblk < per) {
		if (!le32_get(raw->block[EXT_IND_BLOCK]))
			set(raw, EXT_IND_BLOCK, take_block(img));
		return (le32_t *)block_at(img, le32_get(raw->block[EXT_IND_BLOCK])) + lblk;
	}
	lblk -= per;
	if (lblk < per * per) {
		if (!le32_get(raw->block[EXT_DIND_BLOCK]))
			set(raw, EXT_DIND_BLOCK, take_block(img));
		top = block_at(img, le32_get(raw->block[EXT_DIND_BLOCK]));
	} else {
		lblk -= per * per;
		if (!le32_get(raw->block[EXT_TIND_BLOCK]))
			set(raw, EXT_TIND_BLOCK, take_block(img));
		top = (le32_t *)block_at(img, le32_get(raw->block[EXT_TIND_BLOCK])) + lblk / (per * per);
		if (!le32_get(*top))
			*top = le32_make((uint32_t)take_block(img));
		top = block_at(img, le32_get(*top));
		lblk %= per * per;
	}
	top += lblk / per;
	if (!le32_get(*top))
		*top = le32_make((uint32_t)take_block(img));
	return (le32_t *)block_at(img, le32_get(*top)) + lblk % per;
}

static void add_block(struct image *img, struct ext_inode *raw, uint32_t lblk, fsblk_t block)
{
	*slot_of(img, raw, lblk) = le32_make((uint32_t)block);
	if (le32_get(raw->size) < (lblk + 1) << img->geo.block_bits)
		raw->size = le32_make((lblk + 1) << img->geo.block_bits);
}

static void fill_with_name(struct image *img, fsblk_t block)
{
	unsigned size = img->geo.block_size, at;

	for (at = 0; at + 12 <= size; at += 12) {
		struct ext_dirent *d = (void *)((uint8_t *)block_at(img, block) + at);

		d->inode = le32_make(EXT_GOOD_OLD_FIRST_INO);
		d->rec_len = le16_make((uint16_t)(size - at < 24 ? size - at : 12));
		d->name_len = 1;
		memcpy(d + 1, "a", 1);
	}
}

static void make_names(struct image *img)
{
	struct ext_inode *raw = make_inode(img, img->first, S_IFDIR | 0755, 1);
	fsblk_t block = take_block(img);
	uint32_t n;

	dirblock_init_dots(&img->geo, block_at(img, block), img->first, EXT_ROOT_INO);
	add_block(img, raw, 0, block);
	for (n = 1; n < 10000; n++) {
		block = take_block(img);
		fill_with_name(img, block);
		add_block(img, raw, n, block);
	}
}

static void make_dir(struct image *img, inr_t ino, inr_t parent, inr_t child)
{
	fsblk_t block = take_block(img);
	uint8_t *bytes = block_at(img, block);

	dirblock_init_dots(&img->geo, bytes, ino, parent);
	if (child && dirblock_insert(&img->geo, bytes, "d", 1, child, EXT_FT_DIR))
		die("a name");
	set(make_inode(img, ino, S_IFDIR | 0755, 1), 0, block);
}

/* The innermost first, so that whoever follows parents from each goes the whole way. */
static void make_deep(struct image *img)
{
	inr_t ino;

	for (ino = img->first; ino <= img->last; ino++)
		make_dir(img, ino, ino < img->last ? ino + 1 : EXT_ROOT_INO, ino > img->first ? ino - 1 : 0);
}

static void make_loops(struct image *img)
{
	inr_t ino;

	for (ino = img->first; ino + 1 <= img->last; ino += 2) {
		make_dir(img, ino, ino + 1, ino + 1);
		make_dir(img, ino + 1, ino, ino);
	}
}

static void make_wide(struct image *img)
{
	fsblk_t block = take_block(img);
	inr_t ino;
	uint32_t n;

	for (ino = img->first; ino <= img->last && ino < img->first + 40; ino++) {
		struct ext_inode *raw = make_inode(img, ino, S_IFDIR | 0755, 1);

		for (n = 0; n < 64; n++)
			add_block(img, raw, n * 1000, block);
	}
}

static void make_large(struct image *img)
{
	struct ext_inode *raw = make_inode(img, img->first, S_IFDIR | 0755, 1);
	fsblk_t block = take_block(img);
	uint32_t n, max = 1u << (21 - (img->geo.block_bits - 10));

	dirblock_init_empty(&img->geo, block_at(img, block));
	for (n = 0; n < max; n++)
		add_block(img, raw, n, block);
	raw->flags = le32_make(EXT_INDEX_FL);
}

static void make_attrs(struct image *img)
{
	struct xattr_area area;
	inr_t ino;

	for (ino = img->first; ino <= img->last; ino++) {
		fsblk_t block = take_block(img);
		struct ext_xattr_header *header = block_at(img, block);

		xattr_block_init(&img->geo, header, &area);
		if (xattr_set(&area, 1, "a", 1, "b", 1))
			die("an attribute");
		header->refcount = le32_make(2);
		make_inode(img, ino, S_IFREG | 0644, 0)->file_acl = le32_make((uint32_t)block);
	}
}

/* ---- */

static const struct {
	const char *name;
	void (*make)(struct image *img);
} kinds[] = {
	{"shared", make_shared}, {"dirs", make_dirs},	{"trees", make_trees}, {"lost", make_lost},
	{"names", make_names},	 {"deep", make_deep},	{"loops", make_loops}, {"wide", make_wide},
	{"large", make_large},	 {"attrs", make_attrs},
};

int main(int argc, char **argv)
{
	struct image img = {0};
	struct stat st;
	char why[200];
	unsigned i;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: hostile KIND IMAGE\n");
		return 2;
	}
	fd = open(argv[2], O_RDWR);
	if (fd < 0 || fstat(fd, &st) != 0)
		die("%s", argv[2]);
	img.len = (size_t)st.st_size;
	img.bytes = mmap(NULL, img.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (img.bytes == MAP_FAILED)
		die("%s", argv[2]);
	if (super_check((const void *)(img.bytes + EXT_SUPER_OFFSET), img.len, &img.geo, why, sizeof(why))) {
		fprintf(stderr, "hostile: %s: %s\n", argv[2], why);
		return 2;
	}
	img.next = img.geo.first_data_block;
	img.first = img.geo.first_ino + 1;
	img.last = img.geo.inodes_count;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0) {
			kinds[i].make(&img);
			munmap(img.bytes, img.len);
			close(fd);
			return 0;
		}
	fprintf(stderr, "hostile: no kind %s\n", argv[1]);
	return 2;
}
