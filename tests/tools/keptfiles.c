/*
 * tools/keptfiles.c - what two repairs of the same damage have kept of a file system.
 *
 *	keptfiles ORIGINAL THEIRS OURS
 *
 * ORIGINAL is the image before the damage, THEIRS and OURS after two repairs. Prints a line for each thing
 * that THEIRS keeps and OURS does not, and leaves 1 if there is one:
 *
 *	file     of a type, size and content of ORIGINAL fewer inodes can be reached
 *	inode    this inode of ORIGINAL can be reached there as what it was, whatever it holds, and not here
 *	attr     this inode still has the attributes of ORIGINAL there, and not here
 *
 * Can be reached: by names from the root, lost+found included. Content is told by its blocks, so a file
 * may have got another number or other blocks. -v prints what OURS keeps and THEIRS does not, as "+file".
 *
 * The first inode that is not reserved is mkfs's lost+found: who has no need of one does not make it again.
 *
 * The images must be whole: anything that is not, is an error of the caller's.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bitmap.h"
#include "base/hash.h"
#include "layout/blockpath.h"
#include "layout/dirblock.h"
#include "layout/group.h"
#include "layout/inode.h"
#include "layout/super.h"
#include "tools/tool.h"

struct file {
	bool is_reached;
	uint16_t mode;
	uint64_t size;
	uint64_t content;	/* hash of what lies in its blocks, or of the target or device */
	uint64_t attributes;	/* hash; 0: none */
	uint32_t first_block;	/* block[0], whatever it means */
};

struct image {
	const char *path;
	const uint8_t *bytes;
	size_t len;
	struct geometry geo;
	struct file *files;	/* by inode number */
	inr_t *queue;		/* directories to be read */
	size_t nr_queued;
};

static const void *block_at(const struct image *img, uint64_t block)
{
	if (block * img->geo.block_size + img->geo.block_size > img->len) {
		fprintf(stderr, "%s: block %llu is not in it\n", img->path, (unsigned long long)block);
		exit(2);
	}
	return img->bytes + block * img->geo.block_size;
}

static const void *inode_at(const struct image *img, inr_t ino)
{
	group_t g = group_of_inode(&img->geo, ino);
	const uint8_t *descs = block_at(img, group_desc_location(&img->geo, group_desc_block(&img->geo, g)));
	const struct ext_group_desc *d = (const void *)(descs + group_desc_offset(&img->geo, g));
	struct inode_place place = inode_location(&img->geo, ino, le32_get(d->inode_table));

	return (const uint8_t *)block_at(img, place.block) + place.offset;
}

/* ---- content ---- */

typedef void (*block_fn)(struct image *img, uint64_t lblk, const uint8_t *bytes, void *arg);

static void walk_slot(struct image *img, uint32_t block, unsigned level, uint64_t lblk, block_fn fn, void *arg)
{
	const le32_t *slots;
	unsigned i;

	if (!block)
		return;
	if (level == 0) {
		fn(img, lblk, block_at(img, block), arg);
		return;
	}
	slots = block_at(img, block);
	for (i = 0; i < img->geo.addr_per_block; i++)
		walk_slot(img, le32_get(slots[i]), level - 1,
			  lblk + ((uint64_t)i << (img->geo.addr_bits * (level - 1))), fn, arg);
}

static void walk_blocks(struct image *img, const struct inode_fields *f, block_fn fn, void *arg)
{
	unsigned i;

	for (i = 0; i < EXT_N_BLOCKS; i++)
		walk_slot(img, f->block[i], i < EXT_NDIR_BLOCKS ? 0 : i - EXT_NDIR_BLOCKS + 1,
			  blockpath_slot_start(&img->geo, i), fn, arg);
}

struct content {
	uint64_t size, hash;
};

/* A block of zeros is as good as a hole; behind the end nothing counts. */
static void add_content(struct image *img, uint64_t lblk, const uint8_t *bytes, void *arg)
{
	struct content *c = arg;
	uint64_t start = lblk * img->geo.block_size;
	size_t len, i;

	if (start >= c->size)
		return;
	len = min((uint64_t)img->geo.block_size, c->size - start);
	for (i = 0; i < len && !bytes[i]; i++)
		;
	if (i < len)
		c->hash += hash_bytes(bytes, len, lblk + 1);
}

static uint64_t content_of(struct image *img, const struct inode_fields *f)
{
	struct content c = {.size = f->size};
	char target[sizeof(f->block)];

	if (S_ISDIR(f->mode))
		return 0;
	if (inode_has_tree(&img->geo, f)) {
		walk_blocks(img, f, add_content, &c);
		return c.hash;
	}
	if (!S_ISLNK(f->mode))
		return f->rdev;
	inode_symlink_target(f, target);
	return hash_bytes(target, min(f->size, (uint64_t)sizeof(target)), 0);
}

/* In the inode and in a block of its own, whose count of references and checksum say nothing. */
static uint64_t attributes_of(struct image *img, const void *bytes, const struct inode_fields *f)
{
	unsigned from = EXT_GOOD_OLD_INODE_SIZE + f->extra_isize;
	const uint8_t *inode = bytes;
	uint64_t hash = 0;

	if (f->extra_isize && from + 4u < img->geo.inode_size && (inode[from] | inode[from + 1]))
		hash += hash_bytes(inode + from, img->geo.inode_size - from, 1);
	if (f->file_acl)
		hash += hash_bytes((const uint8_t *)block_at(img, f->file_acl) + sizeof(struct ext_xattr_header),
				   img->geo.block_size - sizeof(struct ext_xattr_header), 2);
	return hash;
}

/* ---- names ---- */

static void reach(struct image *img, inr_t ino)
{
	const void *bytes = inode_at(img, ino);
	struct file *file = &img->files[ino];
	struct inode_fields f;

	if (file->is_reached)
		return;
	inode_decode(&img->geo, bytes, &f);
	file->is_reached = true;
	file->mode = f.mode;
	file->size = S_ISDIR(f.mode) ? 0 : f.size;
	file->content = content_of(img, &f);
	file->first_block = f.block[0];
	file->attributes = attributes_of(img, bytes, &f);
	if (S_ISDIR(f.mode))
		img->queue[img->nr_queued++] = ino;
}

static void read_names(struct image *img, uint64_t lblk, const uint8_t *bytes, void *arg)
{
	struct dirblock_entry e;
	unsigned offset = 0;

	(void)lblk;
	(void)arg;
	while (dirblock_next(&img->geo, bytes, &offset, &e) == 1)
		if (e.ino && e.ino <= img->geo.inodes_count)
			reach(img, e.ino);
}

static void read_image(struct image *img, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct inode_fields f;
	struct stat st;
	char why[200];
	size_t next;

	if (fd < 0 || fstat(fd, &st) != 0)
		die("%s", path);
	img->path = path;
	img->len = (size_t)st.st_size;
	img->bytes = mmap(NULL, img->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (img->bytes == MAP_FAILED)
		die("%s", path);
	close(fd);
	if (super_check((const void *)(img->bytes + EXT_SUPER_OFFSET), img->len, &img->geo, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", path, why);
		exit(2);
	}
	img->files = alloc_or_die((img->geo.inodes_count + 1) * sizeof(*img->files));
	img->queue = alloc_or_die((img->geo.inodes_count + 1) * sizeof(*img->queue));
	reach(img, EXT_ROOT_INO);
	for (next = 0; next < img->nr_queued; next++) {
		inode_decode(&img->geo, inode_at(img, img->queue[next]), &f);
		walk_blocks(img, &f, read_names, NULL);
	}
}

static void release_image(struct image *img)
{
	munmap((void *)img->bytes, img->len);
	free(img->files);
	free(img->queue);
}

/* ---- comparing ---- */

static bool is_same_type(const struct file *a, const struct file *b)
{
	return (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

/*
 * A number that was free may have been given to a new lost+found, whose permissions are its own; and under a wrong
 * inode table another file has it.
 */
static bool is_still(const struct file *a, const struct file *b)
{
	if (!is_same_type(a, b))
		return false;
	if (S_ISDIR(a->mode))
		return a->mode == b->mode;
	return a->size == b->size || a->content == b->content || a->first_block == b->first_block;
}

static bool are_alike(const struct file *a, const struct file *b)
{
	return is_same_type(a, b) && a->size == b->size && a->content == b->content;
}

static unsigned count_alike(const struct image *img, const struct file *like)
{
	unsigned nr = 0;
	inr_t ino;

	for (ino = 1; ino <= img->geo.inodes_count; ino++)
		nr += img->files[ino].is_reached && are_alike(&img->files[ino], like);
	return nr;
}

/* Is this the first of ORIGINAL's inodes of its kind? Directories are judged by what is in them. */
static bool is_first_alike(const struct image *original, inr_t ino)
{
	const struct file *file = &original->files[ino];
	inr_t i;

	if (!file->is_reached || S_ISDIR(file->mode))
		return false;
	for (i = 1; i < ino; i++)
		if (original->files[i].is_reached && are_alike(&original->files[i], file))
			return false;
	return true;
}

static bool has_inode(const struct image *img, inr_t ino)
{
	return ino <= img->geo.inodes_count && img->files[ino].is_reached;
}

/* Lines for what a keeps of the original and b does not. */
static unsigned compare(const struct image *original, const struct image *a, const struct image *b,
			const char *sign)
{
	unsigned lost = 0;
	inr_t ino;

	for (ino = 1; ino <= original->geo.inodes_count; ino++) {
		const struct file *file = &original->files[ino];
		bool is_same = has_inode(a, ino) && has_inode(b, ino);
		unsigned there, here;

		if (file->is_reached && is_same && are_alike(&a->files[ino], file) &&
		    are_alike(&b->files[ino], file)) {
			/* Nothing was lost of this one; the quick way for nearly all. */
		} else if (is_first_alike(original, ino)) {
			there = min(count_alike(a, file), count_alike(original, file));
			here = count_alike(b, file);
			if (there > here) {
				printf("%sfile %u mode %o size %llu: %u, not %u\n", sign, ino, file->mode,
				       (unsigned long long)file->size, here, there);
				lost++;
			}
		}
		if (file->is_reached && file->attributes && is_same &&
		    a->files[ino].attributes == file->attributes &&
		    b->files[ino].attributes != file->attributes) {
			printf("%sattr %u\n", sign, ino);
			lost++;
		}
	}
	for (ino = 1; ino <= original->geo.inodes_count; ino++)
		if (ino != original->geo.first_ino && has_inode(original, ino) && has_inode(a, ino) &&
		    !has_inode(b, ino) &&
		    is_still(&a->files[ino], &original->files[ino])) {
			printf("%sinode %u mode %o size %llu\n", sign, ino, a->files[ino].mode,
			       (unsigned long long)a->files[ino].size);
			lost++;
		}
	return lost;
}

int main(int argc, char **argv)
{
	struct image images[3] = {0};
	bool is_verbose = argc == 5 && strcmp(argv[1], "-v") == 0;
	unsigned lost;
	int i;

	if (argc != 4 + is_verbose) {
		fprintf(stderr, "usage: keptfiles [-v] ORIGINAL THEIRS OURS\n");
		return 2;
	}
	for (i = 0; i < 3; i++)
		read_image(&images[i], argv[i + 1 + is_verbose]);
	lost = compare(&images[0], &images[1], &images[2], "");
	if (is_verbose)
		compare(&images[0], &images[2], &images[1], "+");
	for (i = 0; i < 3; i++)
		release_image(&images[i]);
	return lost != 0;
}
