/*
 * Superblock, descriptors, inodes, directories, each read at its documented offset. Everything
 * that is in use is found from the tree, and the bitmaps and counters must say just that.
 */
#include "crash/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/need.h"

static uint32_t u16_at(const uint8_t *p, unsigned at)
{
	return p[at] | (uint32_t)p[at + 1] << 8;
}

static uint32_t u32_at(const uint8_t *p, unsigned at)
{
	return u16_at(p, at) | u16_at(p, at + 2) << 16;
}

static bool wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
	return false;
}

static const uint8_t *block_at(const struct reader *r, uint32_t block)
{
	return r->image + (size_t)block * r->block_bytes;
}

static const uint8_t *super_of(const struct reader *r)
{
	return r->image + 1024;
}

static const uint8_t *group_at(const struct reader *r, uint32_t group)
{
	return block_at(r, r->first_block + 1) + group * 32;
}

static const uint8_t *raw_inode(const struct reader *r, uint32_t ino)
{
	uint32_t group = (ino - 1) / r->inodes_per_group, index = (ino - 1) % r->inodes_per_group;

	return block_at(r, u32_at(group_at(r, group), 8)) + (size_t)index * r->inode_bytes;
}

static bool bit_at(const uint8_t *bitmap, uint32_t bit)
{
	return bitmap[bit / 8] >> (bit % 8) & 1;
}

static bool block_is_marked(const struct reader *r, uint32_t block)
{
	uint32_t group = (block - r->first_block) / r->blocks_per_group;

	return bit_at(block_at(r, u32_at(group_at(r, group), 0)), (block - r->first_block) % r->blocks_per_group);
}

static bool inode_is_marked(const struct reader *r, uint32_t ino)
{
	uint32_t group = (ino - 1) / r->inodes_per_group;

	return bit_at(block_at(r, u32_at(group_at(r, group), 4)), (ino - 1) % r->inodes_per_group);
}

bool reader_is_free(const struct reader *r, uint32_t block)
{
	return block >= r->first_block && block < r->blocks && !block_is_marked(r, block);
}

/* ---- blocks of an inode ---- */

static uint32_t slot(const struct reader *r, uint32_t block, uint64_t index)
{
	return u32_at(block_at(r, block), (unsigned)index * 4);
}

const uint8_t *reader_block(const struct reader *r, const struct rinode *inode, uint64_t index)
{
	uint32_t per = r->block_bytes / 4, block;
	uint64_t span = 1;
	unsigned height = 0;

	if (index < 12) {
		block = u32_at(inode->raw, 40 + (unsigned)index * 4);
		return block ? block_at(r, block) : NULL;
	}
	index -= 12;
	for (height = 1, span = per; height <= 3 && index >= span; height++, span *= per)
		index -= span;
	if (height > 3)
		return NULL;
	block = u32_at(inode->raw, 40 + (11 + height) * 4);
	for (span /= per; block && height; height--, span /= per ? per : 1) {
		block = slot(r, block, index / span);
		index %= span;
	}
	return block ? block_at(r, block) : NULL;
}

/* Marks a block as the inode's; false when it is not there to be had. */
static bool take(struct reader *r, uint32_t ino, uint32_t block, uint32_t *count)
{
	if (block < r->first_block || block >= r->blocks)
		return wrong(r, "inode %u names block %u, which is not there", ino, block);
	if (r->fixed[block])
		return wrong(r, "inode %u names block %u, which is the format's own", ino, block);
	if (r->seen[block])
		return wrong(r, "inode %u names block %u, which is somebody's already", ino, block);
	if (!block_is_marked(r, block))
		return wrong(r, "inode %u names block %u, which is free in the bitmap", ino, block);
	r->seen[block] = 1;
	(*count)++;
	return true;
}

static bool take_tree(struct reader *r, uint32_t ino, uint32_t block, unsigned height, uint32_t *count)
{
	if (!take(r, ino, block, count))
		return false;
	if (height == 0)
		return true;
	for (uint32_t i = 0; i < r->block_bytes / 4; i++)
		if (slot(r, block, i) && !take_tree(r, ino, slot(r, block, i), height - 1, count))
			return false;
	return true;
}

static bool has_blocks(const struct rinode *inode)
{
	if (S_ISLNK(inode->mode))
		return inode->units != 0;
	return S_ISREG(inode->mode) || S_ISDIR(inode->mode);
}

static bool take_blocks(struct reader *r, const struct rinode *inode)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < 15 && has_blocks(inode); i++) {
		uint32_t block = u32_at(inode->raw, 40 + i * 4);

		if (block && !take_tree(r, inode->ino, block, i < 12 ? 0 : i - 11, &count))
			return false;
	}
	if (inode->units != count * (r->block_bytes / 512))
		return wrong(r, "inode %u counts %u half kilobytes and has %u blocks", inode->ino, inode->units, count);
	return true;
}

void reader_symlink(const struct reader *r, const struct rinode *inode, char *to, size_t size)
{
	const uint8_t *from = inode->units ? reader_block(r, inode, 0) : inode->raw + 40;
	size_t len = inode->size < size ? (size_t)inode->size : size - 1;

	memcpy(to, from ? (const char *)from : "", from ? len : 0);
	to[from ? len : 0] = 0;
}

/* ---- inodes ---- */

static bool read_inode(struct reader *r, uint32_t ino)
{
	struct rinode *inode = &r->table[ino];
	const uint8_t *raw = raw_inode(r, ino);

	*inode = (struct rinode){
		.ino = ino,
		.mode = (uint16_t)u16_at(raw, 0),
		.links = (uint16_t)u16_at(raw, 26),
		.size = u32_at(raw, 4),
		.mtime = u32_at(raw, 16),
		.units = u32_at(raw, 28),
		.raw = raw,
	};
	if (S_ISREG(inode->mode))
		inode->size |= (uint64_t)u32_at(raw, 108) << 32;
	if (inode->links == 0)
		return wrong(r, "inode %u is in use and has no links", ino);
	if (u32_at(raw, 104))
		return wrong(r, "inode %u has an attribute block", ino);
	return take_blocks(r, inode);
}

static bool read_inodes(struct reader *r)
{
	for (uint32_t ino = 1; ino <= r->inodes; ino++) {
		r->table[ino].ino = 0;
		if (ino != READER_ROOT && ino < 11)
			continue;
		if (!inode_is_marked(r, ino)) {
			r->free_inodes++;
			continue;
		}
		if (!read_inode(r, ino))
			return false;
	}
	return true;
}

/* ---- directories ---- */

static const uint8_t type_modes[8] = {0, S_IFREG >> 12, S_IFDIR >> 12, S_IFCHR >> 12,
				      S_IFBLK >> 12, S_IFIFO >> 12, S_IFSOCK >> 12, S_IFLNK >> 12};

static bool add_entry(struct reader *r, uint32_t dir, const uint8_t *e)
{
	uint32_t ino = u32_at(e, 0);
	struct rinode *inode;

	if (ino > r->inodes || r->table[ino].ino == 0)
		return wrong(r, "directory %u names inode %u, which is not in use", dir, ino);
	inode = &r->table[ino];
	if (e[7] > 7 || type_modes[e[7]] != inode->mode >> 12)
		return wrong(r, "directory %u gives inode %u the type %u", dir, ino, e[7]);
	if (r->nr_entries == r->entries_max) {
		r->entries_max = r->entries_max ? r->entries_max * 2 : 1024;
		r->entries = need_memory(realloc(r->entries, r->entries_max * sizeof(r->entries[0])));
	}
	r->entries[r->nr_entries++] = (struct rentry){dir, ino, e + 8, e[6], e[7]};
	inode->nr_names++;
	if (S_ISDIR(inode->mode)) {
		r->table[dir].nr_subdirs++;
		if (inode->nr_names > 1)
			return wrong(r, "directory %u has two names", ino);
	}
	return true;
}

static bool read_dir_block(struct reader *r, struct rinode *dir, uint64_t index, uint32_t *dotdot)
{
	const uint8_t *block = reader_block(r, dir, index);
	unsigned nth = 0;

	if (!block)
		return wrong(r, "directory %u has a hole", dir->ino);
	for (uint32_t at = 0; at < r->block_bytes; nth++) {
		const uint8_t *e = block + at;
		uint32_t len = u16_at(e, 4);

		if (len < 12 || len % 4 || at + len > r->block_bytes || 8u + e[6] > len)
			return wrong(r, "directory %u, block %u: an entry of %u bytes", dir->ino, (unsigned)index, len);
		at += len;
		if (index == 0 && nth < 2) {
			if (e[6] != nth + 1 || e[8] != '.' || (nth && e[9] != '.') ||
			    (nth == 0 && u32_at(e, 0) != dir->ino))
				return wrong(r, "directory %u begins without its dots", dir->ino);
			*dotdot = u32_at(e, 0);
		} else if (u32_at(e, 0) && !add_entry(r, dir->ino, e)) {
			return false;
		}
	}
	return true;
}

static bool read_dir(struct reader *r, struct rinode *dir, uint32_t *parents)
{
	if (dir->size == 0 || dir->size % r->block_bytes)
		return wrong(r, "directory %u has %u bytes", dir->ino, (unsigned)dir->size);
	for (uint64_t i = 0; i < dir->size / r->block_bytes; i++)
		if (!read_dir_block(r, dir, i, &parents[dir->ino]))
			return false;
	return true;
}

static int by_dir_and_name(const void *a, const void *b)
{
	const struct rentry *x = a, *y = b;
	int diff;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	diff = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
	return diff ? diff : (int)x->len - (int)y->len;
}

static bool sort_entries(struct reader *r, const uint32_t *parents)
{
	qsort(r->entries, r->nr_entries, sizeof(r->entries[0]), by_dir_and_name);
	for (size_t i = 0; i < r->nr_entries; i++) {
		const struct rentry *e = &r->entries[i];
		struct rinode *dir = &r->table[e->dir];

		if (dir->nr_entries++ == 0)
			dir->first_entry = (uint32_t)i;
		if (i && by_dir_and_name(e - 1, e) == 0)
			return wrong(r, "directory %u has the name %.*s twice", e->dir, e->len, (const char *)e->name);
		if (S_ISDIR(r->table[e->ino].mode) && parents[e->ino] != e->dir)
			return wrong(r, "directory %u: its .. says %u, and it is in %u", e->ino, parents[e->ino], e->dir);
	}
	return true;
}

const struct rentry *reader_list(const struct reader *r, uint32_t ino, uint32_t *ret_nr)
{
	*ret_nr = r->table[ino].nr_entries;
	return r->entries + r->table[ino].first_entry;
}

static bool read_dirs(struct reader *r)
{
	uint32_t *parents = need_memory(calloc(r->inodes + 1, sizeof(*parents)));
	bool is_good = true;

	r->nr_entries = 0;
	for (uint32_t ino = READER_ROOT; is_good && ino <= r->inodes; ino++)
		if (r->table[ino].ino && S_ISDIR(r->table[ino].mode))
			is_good = read_dir(r, &r->table[ino], parents);
	is_good = is_good && sort_entries(r, parents);
	free(parents);
	return is_good;
}

static bool check_links(struct reader *r)
{
	for (uint32_t ino = READER_ROOT; ino <= r->inodes; ino++) {
		const struct rinode *inode = &r->table[ino];
		uint32_t expected;

		if (inode->ino == 0)
			continue;
		expected = S_ISDIR(inode->mode) ? 2 + inode->nr_subdirs : inode->nr_names;
		if (inode->nr_names == 0 && ino != READER_ROOT)
			return wrong(r, "inode %u has no name and %u links", ino, inode->links);
		if (inode->links != expected)
			return wrong(r, "inode %u has %u links and should have %u", ino, inode->links, expected);
	}
	return true;
}

/* ---- the totals ---- */

static bool check_blocks(struct reader *r)
{
	for (uint32_t b = r->first_block; b < r->blocks; b++) {
		bool is_used = r->fixed[b] || r->seen[b];

		if (block_is_marked(r, b) != is_used)
			return wrong(r, "block %u is %s in the bitmap and %s", b, is_used ? "free" : "used",
				     is_used ? "used" : "nobody's");
		r->free_blocks += !is_used;
	}
	return true;
}

static bool check_group(struct reader *r, uint32_t g)
{
	uint32_t first = r->first_block + g * r->blocks_per_group, free_blocks = 0, free_inodes = 0, dirs = 0;
	const uint8_t *desc = group_at(r, g);

	for (uint32_t b = first; b < r->blocks && b < first + r->blocks_per_group; b++)
		free_blocks += !block_is_marked(r, b);
	for (uint32_t i = g * r->inodes_per_group + 1; i <= (g + 1) * r->inodes_per_group; i++) {
		free_inodes += !inode_is_marked(r, i);
		dirs += r->table[i].ino && S_ISDIR(r->table[i].mode);
	}
	if (u16_at(desc, 12) != free_blocks || u16_at(desc, 14) != free_inodes || u16_at(desc, 16) != dirs)
		return wrong(r, "group %u counts %u free blocks, %u free inodes, %u directories; there are %u, %u, %u", g,
			     u16_at(desc, 12), u16_at(desc, 14), u16_at(desc, 16), free_blocks, free_inodes, dirs);
	return true;
}

static bool check_totals(struct reader *r)
{
	const uint8_t *s = super_of(r);

	for (uint32_t g = 0; g < r->groups; g++)
		if (!check_group(r, g))
			return false;
	if (r->may_lag)
		return true;
	if (u32_at(s, 12) != r->free_blocks || u32_at(s, 16) != r->free_inodes)
		return wrong(r, "the superblock counts %u free blocks and %u free inodes; there are %u and %u",
			     u32_at(s, 12), u32_at(s, 16), r->free_blocks, r->free_inodes);
	return true;
}

static bool check_super(struct reader *r)
{
	const uint8_t *s = super_of(r);

	if (u16_at(s, 56) != 0xef53 || u32_at(s, 4) != r->blocks)
		return wrong(r, "the superblock is gone");
	if (u32_at(s, 96) & 4)
		return wrong(r, "the superblock still asks for recovery");
	if ((u16_at(s, 58) & ~(r->may_be_marked ? 2u : 0)) != 1)
		return wrong(r, "the superblock's state is %u", u16_at(s, 58));
	if (u32_at(s, 232))
		return wrong(r, "inode %u is an orphan still", u32_at(s, 232));
	return true;
}

bool reader_parse(struct reader *r, const uint8_t *image)
{
	r->image = image;
	r->free_blocks = r->free_inodes = 0;
	memset(r->seen, 0, r->blocks);
	return check_super(r) && read_inodes(r) && read_dirs(r) && check_links(r) && check_blocks(r) &&
	       check_totals(r);
}

/* ---- the beginning ---- */

static void read_geometry(struct reader *r)
{
	const uint8_t *s = super_of(r);

	r->block_bytes = 1024u << u32_at(s, 24);
	r->blocks = u32_at(s, 4);
	r->inodes = u32_at(s, 0);
	r->first_block = u32_at(s, 20);
	r->blocks_per_group = u32_at(s, 32);
	r->inodes_per_group = u32_at(s, 40);
	r->inode_bytes = u16_at(s, 88);
	r->groups = (r->blocks - r->first_block + r->blocks_per_group - 1) / r->blocks_per_group;
}

/* In a fresh image everything that is marked belongs to the format, but for two directories. */
bool reader_init(struct reader *r, const uint8_t *fresh, uint64_t size_bytes)
{
	*r = (struct reader){.image = fresh, .size_bytes = size_bytes};
	read_geometry(r);
	r->fixed = need_memory(calloc(r->blocks, 1));
	r->seen = need_memory(calloc(r->blocks, 1));
	r->table = need_memory(calloc(r->inodes + 1, sizeof(r->table[0])));
	if (!read_inodes(r))
		return false;
	for (uint32_t b = r->first_block; b < r->blocks; b++)
		r->fixed[b] = block_is_marked(r, b) && !r->seen[b];
	return reader_parse(r, fresh);
}

void reader_done(struct reader *r)
{
	free(r->fixed);
	free(r->seen);
	free(r->table);
	free(r->entries);
}

uint32_t reader_bitmap(const struct reader *r, uint32_t group)
{
	return u32_at(group_at(r, group), 0);
}

void reader_log(const struct reader *r, void (*fn)(void *arg, uint32_t first, uint32_t count), void *arg)
{
	struct rinode inode = {.ino = 8, .raw = raw_inode(r, 8)};
	uint32_t per = r->block_bytes / 512, nr = u32_at(inode.raw, 4) / r->block_bytes;

	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *at = reader_block(r, &inode, i);

		if (at)
			fn(arg, (uint32_t)((size_t)(at - r->image) / 512), per);
	}
}
