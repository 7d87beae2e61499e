/*
 * Pass 2: directories, block by block.
 *
 * A block is first brought into a chain of possible records, then its entries are judged one after
 * another. A broken record costs as little as possible: if its name can still be believed it stays,
 * and the chain is taken up again at the next place from which it is whole to the end.
 */
#include "pass2.h"

#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "base/bitmap.h"
#include "base/hash.h"
#include "base/mem.h"
#include "blocks.h"
#include "dirs.h"
#include "index.h"
#include "layout/dirblock.h"
#include "prefetch.h"

#define REC_LEN_MIN 12u
#define NAME_TABLE  1024u /* more than twice the entries of the largest block */

struct dir_check {
	struct fsck *f;
	inr_t ino;
	struct dir_info *dir;
	struct index *index;
	/* the present block */
	struct dir_block *at;
	uint8_t *block;
	bool is_dirty;
	unsigned nth; /* records seen in this block; block 0 begins with '.' and '..' */
	uint16_t names[NAME_TABLE]; /* offset + 1 of each name seen in this block, by hash */
};

static struct ext_dirent *record_at(struct dir_check *c, unsigned offset)
{
	return (void *)(c->block + offset);
}

static char *name_of(struct ext_dirent *d)
{
	return (char *)(d + 1);
}

static unsigned rec_len_of(const struct ext_dirent *d)
{
	return le16_get(d->rec_len);
}

static void set_rec_len(struct dir_check *c, struct ext_dirent *d, unsigned len)
{
	d->rec_len = le16_make((uint16_t)len);
	c->is_dirty = true;
}

static bool is_named(struct ext_dirent *d, const char *name)
{
	return d->name_len == strlen(name) && memcmp(name_of(d), name, d->name_len) == 0;
}

/* What a problem of an entry tells. */
static struct where entry_where(struct dir_check *c, struct ext_dirent *d)
{
	return (struct where){
		.ino = le32_get(d->inode),
		.dir = c->ino,
		.block = c->at->block,
		.lblk = c->at->lblk,
		.name = name_of(d),
		.name_len = d->name_len,
	};
}

/* ---- the chain of records ---- */

static bool record_is_possible(const struct dir_check *c, const struct ext_dirent *d, unsigned offset)
{
	unsigned rec_len = rec_len_of(d);

	return rec_len >= REC_LEN_MIN && rec_len % 4 == 0 && offset + rec_len <= c->f->geo.block_size &&
	       d->name_len + sizeof(*d) <= rec_len;
}

/* Can what stands here be an entry's inode and name, whatever its length says? */
static bool name_is_believable(struct dir_check *c, unsigned offset)
{
	struct ext_dirent *d = record_at(c, offset);
	unsigned i;

	if (!inode_nr_is_user(&c->f->geo, le32_get(d->inode)) || !d->name_len ||
	    offset + dirblock_rec_len(d->name_len) > c->f->geo.block_size)
		return false;
	for (i = 0; i < d->name_len; i++)
		if (name_of(d)[i] == '/' || name_of(d)[i] == '\0')
			return false;
	return true;
}

/* Is there a chain of believable records from here to the end of the block? */
static bool chain_is_whole(struct dir_check *c, unsigned offset)
{
	unsigned size = c->f->geo.block_size;

	while (offset < size) {
		struct ext_dirent *d = record_at(c, offset);

		if (size - offset < REC_LEN_MIN || !record_is_possible(c, d, offset) ||
		    (le32_get(d->inode) && !name_is_believable(c, offset)))
			return false;
		offset += rec_len_of(d);
	}
	return true;
}

static unsigned next_whole(struct dir_check *c, unsigned from)
{
	while (from < c->f->geo.block_size && !chain_is_whole(c, from))
		from += 4;
	return from;
}

/*
 * Mends the record at offset, whose length is impossible. *prev is the record before it or NULL.
 * Returns where to go on: at the mended record, or behind what the one before has swallowed.
 */
static unsigned salvage(struct dir_check *c, struct ext_dirent *prev, unsigned offset)
{
	struct ext_dirent *d = record_at(c, offset);
	unsigned size = c->f->geo.block_size;
	bool is_dots = c->at->lblk == 0 && c->nth < 2;
	unsigned next;

	if (size - offset >= REC_LEN_MIN && name_is_believable(c, offset)) {
		next = next_whole(c, offset + dirblock_rec_len(d->name_len));
		set_rec_len(c, d, next - offset);
		return offset;
	}
	next = next_whole(c, min(offset + REC_LEN_MIN, size));
	if (prev && (!is_dots || size - offset < REC_LEN_MIN)) {
		set_rec_len(c, prev, rec_len_of(prev) + next - offset);
		return next;
	}
	d->inode = le32_make(0);
	d->name_len = 0;
	d->file_type = 0;
	set_rec_len(c, d, next - offset);
	return offset;
}

/* ---- '.' and '..' ---- */

static void make_dots(struct dir_check *c, struct ext_dirent *d, const char *name, inr_t ino)
{
	d->inode = le32_make(ino);
	d->name_len = (uint8_t)strlen(name);
	memset(name_of(d), 0, 4);
	memcpy(name_of(d), name, d->name_len);
	d->file_type = c->f->geo.has_filetype ? EXT_FT_DIR : 0;
	c->is_dirty = true;
}

/* A record behind '.' may be the room for '..'; a '.' that is longer than it needs hides it. */
static void split_dot(struct dir_check *c, struct ext_dirent *d, unsigned offset)
{
	unsigned left = rec_len_of(d) - REC_LEN_MIN;
	struct ext_dirent *rest;

	set_rec_len(c, d, REC_LEN_MIN);
	rest = record_at(c, offset + REC_LEN_MIN);
	rest->inode = le32_make(0);
	rest->name_len = 0;
	rest->file_type = 0;
	set_rec_len(c, rest, left);
}

static void check_dot(struct dir_check *c, struct ext_dirent *d)
{
	struct where w = {.ino = c->ino, .name = name_of(d), .name_len = d->name_len};
	bool is_made = false;

	if (!le32_get(d->inode))
		is_made = problem(c->f, DOT_MISSING, w);
	else if (!is_named(d, "."))
		is_made = problem(c->f, DOT_NOT_FIRST, w);
	else if (name_of(d)[1] != '\0')
		is_made = problem(c->f, DOT_UNPADDED, w);
	if (is_made)
		make_dots(c, d, ".", c->ino);
	w.num = le32_get(d->inode);
	if (w.num != c->ino && problem(c->f, DOT_INODE, w)) {
		d->inode = le32_make(c->ino);
		c->is_dirty = true;
	}
	w.num = rec_len_of(d);
	if (w.num > 2 * REC_LEN_MIN && (is_made || problem(c->f, DOT_LONG, w)))
		split_dot(c, d, 0);
}

static void check_dotdot(struct dir_check *c, struct ext_dirent *d)
{
	struct where w = {.ino = c->ino, .name = name_of(d), .name_len = d->name_len};
	bool is_made = false;

	if (!le32_get(d->inode))
		is_made = problem(c->f, DOTDOT_MISSING, w);
	else if (!is_named(d, ".."))
		is_made = problem(c->f, DOTDOT_NOT_SECOND, w);
	else if (name_of(d)[2] != '\0')
		is_made = problem(c->f, DOTDOT_UNPADDED, w);
	if (is_made)
		make_dots(c, d, "..", EXT_ROOT_INO); /* pass 3 knows the parent */
	c->dir->dotdot = le32_get(d->inode);
}

/* ---- entries ---- */

static void remove_entry(struct dir_check *c, struct ext_dirent *d)
{
	d->inode = le32_make(0);
	c->is_dirty = true;
}

/* Why this entry cannot stay, whatever its inode is; NR_PROBLEMS: it can. */
static enum problem_code entry_fault(struct dir_check *c, struct ext_dirent *d, bool is_dots)
{
	inr_t ino = le32_get(d->inode);

	if (!is_dots && ino == c->ino)
		return ENTRY_SELF;
	if (!inode_nr_is_user(&c->f->geo, ino))
		return ENTRY_INODE_BAD;
	if (is_dots)
		return NR_PROBLEMS;
	if (is_named(d, "."))
		return ENTRY_DOT;
	if (is_named(d, ".."))
		return ENTRY_DOTDOT;
	if (ino == EXT_ROOT_INO)
		return ENTRY_ROOT;
	if (d->name_len == 0)
		return ENTRY_NAMELESS;
	return NR_PROBLEMS;
}

static void check_chars(struct dir_check *c, struct ext_dirent *d)
{
	bool is_asked = false;
	unsigned i;

	for (i = 0; i < d->name_len; i++) {
		if (name_of(d)[i] != '/' && name_of(d)[i] != '\0')
			continue;
		if (!is_asked && !problem(c->f, ENTRY_NAME_CHARS, entry_where(c, d)))
			return;
		is_asked = true;
		name_of(d)[i] = '_';
		c->is_dirty = true;
		index_spoil(c->index);
	}
}

static uint8_t type_of_inode(struct fsck *f, inr_t ino)
{
	union inode_buf buf;

	if (bitmap_test(f->ino_dir, ino - 1))
		return EXT_FT_DIR;
	if (bitmap_test(f->ino_reg, ino - 1))
		return EXT_FT_REG_FILE;
	return fsck_read_inode(f, ino, &buf) ? dirblock_type_of_mode(le16_get(buf.raw.mode)) : 0;
}

static void check_type(struct dir_check *c, struct ext_dirent *d)
{
	struct where w = entry_where(c, d);
	enum problem_code code = ENTRY_TYPE_SET;

	w.num = d->file_type;
	if (c->f->geo.has_filetype) {
		w.num2 = type_of_inode(c->f, w.ino);
		code = d->file_type ? ENTRY_TYPE_WRONG : ENTRY_TYPE_UNSET;
	}
	if (w.num == w.num2 || !problem(c->f, code, w))
		return;
	d->file_type = (uint8_t)w.num2;
	c->is_dirty = true;
}

/* A directory has one name. Returns false if this one is a second and was removed. */
static bool check_parent(struct dir_check *c, struct ext_dirent *d)
{
	struct dir_info *child = fsck_find_dir(c->f, le32_get(d->inode));

	if (!child)
		return true;
	if (!child->parent) {
		child->parent = c->ino;
		return true;
	}
	if (!problem(c->f, ENTRY_DIR_AGAIN, entry_where(c, d)))
		return true;
	remove_entry(c, d);
	return false;
}

/* ---- names that are there twice ---- */

static bool name_is_new(struct dir_check *c, unsigned offset)
{
	struct ext_dirent *d = record_at(c, offset);
	unsigned slot = (unsigned)hash_bytes(name_of(d), d->name_len, 0) % NAME_TABLE;

	while (c->names[slot]) {
		struct ext_dirent *other = record_at(c, c->names[slot] - 1u);

		if (other->name_len == d->name_len &&
		    memcmp(name_of(other), name_of(d), d->name_len) == 0)
			return false;
		slot = (slot + 1) % NAME_TABLE;
	}
	c->names[slot] = (uint16_t)(offset + 1);
	return true;
}

/* Changes the end of the name to "~0", "~1", ... until this block has no such name. */
static void rename_duplicate(struct dir_check *c, unsigned offset)
{
	struct ext_dirent *d = record_at(c, offset);
	unsigned room = min(rec_len_of(d) - (unsigned)sizeof(*d), EXT_NAME_LEN);
	unsigned keep = d->name_len + 3u <= room ? d->name_len
			: d->name_len > 3u       ? d->name_len - 3u
						 : 0;
	unsigned n;

	c->is_dirty = true;
	index_spoil(c->index);
	if (room < 4) { /* never: a record has room for four bytes of name */
		remove_entry(c, d);
		return;
	}
	d->name_len = (uint8_t)(keep + 3);
	for (n = 0; n < 36 * 36; n++) {
		static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

		name_of(d)[keep] = '~';
		name_of(d)[keep + 1] = digits[n / 36];
		name_of(d)[keep + 2] = digits[n % 36];
		if (name_is_new(c, offset))
			return;
	}
	remove_entry(c, d);
}

static void count_link(struct fsck *f, inr_t ino)
{
	uint16_t *count = &f->counted[ino - 1];

	if (*count < UINT16_MAX)
		(*count)++;
	if (*count > 1 && !bitmap_test(f->ino_dir, ino - 1))
		f->nr_names_more++;
}

static void check_entry(struct dir_check *c, unsigned offset)
{
	struct ext_dirent *d = record_at(c, offset);
	bool is_dots = c->at->lblk == 0 && c->nth < 2;
	bool is_dotdot = is_dots && c->nth == 1;
	enum problem_code code = entry_fault(c, d, is_dots);
	inr_t ino = le32_get(d->inode);

	if (code == NR_PROBLEMS && !bitmap_test(c->f->ino_used, ino - 1))
		code = ENTRY_INODE_UNUSED;
	if (code != NR_PROBLEMS) {
		/* A '..' that leads nowhere is set right by pass 3, which knows where it should lead. */
		if (!is_dotdot && problem(c->f, code, entry_where(c, d)))
			remove_entry(c, d);
		return;
	}
	check_chars(c, d);
	check_type(c, d);
	if (!is_dots && bitmap_test(c->f->ino_dir, ino - 1) && !check_parent(c, d))
		return;
	if (!name_is_new(c, offset) && problem(c->f, ENTRY_DUPLICATE, entry_where(c, d)))
		rename_duplicate(c, offset);
	index_name(c->index, c->at->lblk, name_of(d), d->name_len);
	count_link(c->f, ino);
	c->f->nr_files++;
}

/* ---- blocks ---- */

static void check_records(struct dir_check *c)
{
	struct ext_dirent *prev = NULL, *d;
	unsigned offset = 0, size = c->f->geo.block_size;

	for (c->nth = 0; offset < size; c->nth++) {
		d = record_at(c, offset);
		if (size - offset < REC_LEN_MIN || !record_is_possible(c, d, offset)) {
			struct where w = {.ino = c->ino,
					  .block = c->at->block,
					  .lblk = c->at->lblk,
					  .num = offset};

			if (!problem(c->f, DIRENT_CORRUPT, w))
				return; /* nothing behind it can be believed */
			offset = salvage(c, prev, offset);
			c->nth--;
			continue;
		}
		if (c->at->lblk == 0 && c->nth == 0)
			check_dot(c, d);
		else if (c->at->lblk == 0 && c->nth == 1)
			check_dotdot(c, d);
		if (le32_get(d->inode))
			check_entry(c, offset);
		prev = d;
		offset += rec_len_of(d);
	}
}

static bool fill_hole(struct dir_check *c)
{
	struct fsck *f = c->f;
	struct where w = {.ino = c->ino, .lblk = c->at->lblk};
	fsblk_t block;

	if (!problem(f, DIR_HOLE, w))
		return false;
	if (c->at->lblk == 0)
		dirblock_init_dots(&f->geo, c->block, c->ino, EXT_ROOT_INO);
	else
		dirblock_init_empty(&f->geo, c->block);
	block = dirs_add_block(f, c->ino, c->at->lblk, c->block);
	if (!block)
		fsck_stop(f, FSCK_UNCORRECTED | FSCK_ERROR, "no free block for a directory");
	c->at->block = (uint32_t)block;
	return true;
}

static void check_block(struct dir_check *c)
{
	struct where w = {.ino = c->ino, .block = c->at->block, .lblk = c->at->lblk};

	if (!c->at->block && !fill_hole(c))
		return;
	c->is_dirty = false;
	if (store_read(&c->f->store, c->at->block, 1, c->block)) {
		if (!problem(c->f, DIR_BLOCK_READ, w))
			return;
		dirblock_init_empty(&c->f->geo, c->block);
		c->is_dirty = true;
	}
	memset(c->names, 0, sizeof(c->names));
	index_block(c->index, c->at->lblk, c->block);
	check_records(c);
	index_node(c->index, c->at->lblk, c->block);
	if (c->is_dirty)
		fsck_write_block(c->f, c->at->block, c->block);
}

static void drop_index(struct fsck *f, inr_t ino)
{
	union inode_buf buf;

	if (!fsck_read_inode(f, ino, &buf))
		return;
	buf.raw.flags = le32_make(le32_get(buf.raw.flags) & ~EXT_INDEX_FL);
	fsck_write_inode(f, ino, &buf);
}

/* All blocks of one directory; returns how many there are. */
static size_t check_dir(struct dir_check *c, size_t first)
{
	struct fsck *f = c->f;
	size_t i = first;

	c->ino = f->dir_blocks[first].ino;
	c->dir = fsck_find_dir(f, c->ino);
	c->index = NULL;
	if (!c->dir || !bitmap_test(f->ino_used, c->ino - 1)) {
		while (i < f->nr_dir_blocks && f->dir_blocks[i].ino == c->ino)
			i++;
		return i - first;
	}
	c->index = index_begin(f, c->ino, c->dir->index_blocks);
	for (; i < f->nr_dir_blocks && f->dir_blocks[i].ino == c->ino; i++) {
		c->at = &f->dir_blocks[i];
		prefetch_reached(f->ahead, i);
		check_block(c);
	}
	if (index_end(c->index))
		drop_index(f, c->ino);
	return i - first;
}

/* Those that pass 1 had no room to list. */
static void check_unlisted(struct dir_check *c)
{
	struct fsck *f = c->f;
	inr_t first = f->dirs_unlisted;
	size_t i;

	f->dirs_unlisted = 0;
	for (i = 0; first && i < f->nr_dirs; i++) {
		if (f->dirs[i].ino < first || !bitmap_test(f->ino_used, f->dirs[i].ino - 1))
			continue;
		f->nr_dir_blocks = 0;
		blocks_list_dir(f, f->dirs[i].ino);
		if (f->nr_dir_blocks)
			check_dir(c, 0);
		fsck_progress(f, 2, i, f->nr_dirs);
	}
}

static void check_large_file_feature(struct fsck *f)
{
	if (!f->nr_large_files || f->geo.has_large_file ||
	    !problem(f, LARGE_FILE_FEATURE, (struct where){0}))
		return;
	f->super.feature_ro_compat =
		le32_make(le32_get(f->super.feature_ro_compat) | EXT_RO_COMPAT_LARGE_FILE);
	if (le32_get(f->super.rev_level) == EXT_GOOD_OLD_REV) {
		f->super.rev_level = le32_make(EXT_DYNAMIC_REV);
		f->super.first_ino = le32_make(EXT_GOOD_OLD_FIRST_INO);
		f->super.inode_size = le16_make(EXT_GOOD_OLD_INODE_SIZE);
	}
	f->geo.has_large_file = true;
	f->super_dirty = true;
	f->backups_dirty = true;
}

void pass2(struct fsck *f)
{
	uint8_t block[EXT_BLOCK_SIZE_MAX];
	struct dir_check c = {.f = f, .block = block};
	size_t i = 0, nr_dirs = 0;

	f->pass_name = "2";
	f->counted = fsck_alloc(f, (size_t)f->geo.inodes_count * sizeof(*f->counted));
	f->ahead = prefetch_dir_blocks(f);
	while (i < f->nr_dir_blocks) {
		i += check_dir(&c, i);
		if (++nr_dirs % 256 == 0)
			fsck_progress(f, 2, i, f->nr_dir_blocks);
	}
	prefetch_end(f->ahead);
	f->ahead = NULL;
	check_unlisted(&c);
	check_large_file_feature(f);
	mem_free(f->dir_blocks);
	f->dir_blocks = NULL;
	f->nr_dir_blocks = f->room_dir_blocks = 0;
}
