/*
 * Pass 1: every inode, in order of the tables.
 *
 * Tables come in long pieces; holes of a sparse image are passed over, since zeroed inodes are
 * nothing to check. An inode is judged in the order: is it in use, is it special, has it fields of
 * features that do not exist, what type is it, and last its blocks.
 */
#include "pass1.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bitmap.h"
#include "blocks.h"
#include "layout/dirblock.h"
#include "scan.h"
#include "tables.h"
#include "xattrs.h"

static unsigned mode_of(const struct inode_check *c)
{
	return le16_get(c->buf.raw.mode);
}

static unsigned links_of(const struct inode_check *c)
{
	return le16_get(c->buf.raw.links_count);
}

static bool has_flags(const struct inode_check *c, uint32_t flags)
{
	return le32_get(c->buf.raw.flags) & flags;
}

static void drop_flags(struct inode_check *c, uint32_t flags)
{
	c->buf.raw.flags = le32_make(le32_get(c->buf.raw.flags) & ~flags);
	c->is_dirty = true;
}

static bool tell(struct inode_check *c, enum problem_code code)
{
	return problem(c->f, code, (struct where){.ino = c->ino});
}

static bool tell_mode(struct inode_check *c, enum problem_code code)
{
	char octal[16];

	snprintf(octal, sizeof(octal), "%o", mode_of(c));
	return problem(c->f, code, (struct where){.ino = c->ino, .str = octal});
}

/* Out of use: what names it is removed by pass 2. */
static void clear(struct inode_check *c)
{
	fsck_clear_inode(c->f, c->ino, &c->buf);
	c->is_dirty = false;
	c->is_cleared = true;
}

static void wipe(struct inode_check *c)
{
	memset(c->buf.bytes, 0, c->f->geo.inode_size);
	c->f->links[c->ino - 1] = 0;
	c->is_dirty = true;
}

static void use(struct inode_check *c)
{
	bitmap_set(c->f->ino_used, c->ino - 1);
}

/* ---- times of deletion ---- */

/*
 * An orphan's time of deletion is the number of the next orphan. A file system made with a clock near
 * 1970 has such times anyway, and then they mean nothing.
 */
static bool low_dtime_tells(const struct fsck *f)
{
	const struct ext_super *s = &f->super;
	uint32_t inodes = f->geo.inodes_count;

	return !(le32_get(s->wtime) && le32_get(s->wtime) < inodes) &&
	       !(le32_get(s->mtime) && le32_get(s->mtime) < inodes) &&
	       !(le32_get(s->mkfs_time) && le32_get(s->mkfs_time) < inodes);
}

static void check_dtime(struct inode_check *c)
{
	uint32_t dtime = le32_get(c->buf.raw.dtime);

	if (dtime && dtime < c->f->geo.inodes_count && low_dtime_tells(c->f) && tell(c, LOW_DTIME)) {
		c->buf.raw.dtime = le32_make(links_of(c) ? 0 : c->f->now);
		c->is_dirty = true;
	}
	if (!links_of(c) && c->ino >= c->f->geo.first_ino && !le32_get(c->buf.raw.dtime) &&
	    mode_of(c) && tell(c, ZERO_DTIME)) {
		c->buf.raw.dtime = le32_make(c->f->now);
		c->is_dirty = true;
	}
}

/* ---- features that do not exist here ---- */

#define EXTENT_MAGIC 0xf30au

/* Data in the inode, or extents for true, cannot be read here; a flag that is merely set is dropped. */
static void check_foreign_flags(struct inode_check *c)
{
	bool is_special = c->ino == EXT_BAD_INO || c->ino == EXT_ROOT_INO || c->ino == EXT_JOURNAL_INO;

	if (has_flags(c, EXT_CASEFOLD_FL | EXT_ENCRYPT_FL)) {
		char flags[16];

		snprintf(flags, sizeof(flags), "%x",
			 le32_get(c->buf.raw.flags) & (EXT_CASEFOLD_FL | EXT_ENCRYPT_FL));
		if (problem(c->f, FOREIGN_FLAGS, (struct where){.ino = c->ino, .str = flags}))
			drop_flags(c, EXT_CASEFOLD_FL | EXT_ENCRYPT_FL);
	}
	if (has_flags(c, EXT_INLINE_DATA_FL) && c->ino >= c->f->geo.first_ino && tell(c, INLINE_SET))
		drop_flags(c, EXT_INLINE_DATA_FL);
	if (has_flags(c, EXT_EXTENTS_FL) && (links_of(c) || is_special) && tell(c, EXTENTS_SET)) {
		if ((le32_get(c->buf.raw.block[0]) & 0xffff) == EXTENT_MAGIC &&
		    c->ino >= c->f->geo.first_ino)
			clear(c);
		else
			drop_flags(c, EXT_EXTENTS_FL);
	}
}

/* Where most inodes of a block are so, e2fsck takes the others for garbage too. */
static void check_free_flags(struct inode_check *c)
{
	if (has_flags(c, EXT_EXTENTS_FL) && tell(c, INODE_FREE_FLAGS))
		drop_flags(c, EXT_EXTENTS_FL);
}

static void check_high_halves(struct inode_check *c)
{
	struct ext_inode *raw = &c->buf.raw;
	struct where w = {.ino = c->ino};

	if (le32_get(raw->faddr) && problem(c->f, FADDR, w)) {
		raw->faddr = le32_make(0);
		c->is_dirty = true;
	}
	w.num = le32_get(raw->size_high);
	if (S_ISDIR(mode_of(c)) && w.num && problem(c->f, DIR_SIZE_HIGH, w)) {
		raw->size_high = le32_make(0);
		c->is_dirty = true;
	}
	w.num = le16_get(raw->file_acl_high);
	if (w.num && le32_get(c->f->super.creator_os) != EXT_OS_HURD && problem(c->f, ACL_HIGH, w)) {
		raw->file_acl_high = le16_make(0);
		c->is_dirty = true;
	}
	w.num = le16_get(raw->blocks_high);
	if (w.num && le32_get(c->f->super.creator_os) != EXT_OS_HURD && !c->f->geo.has_huge_file &&
	    problem(c->f, BLOCKS_HIGH, w)) {
		raw->blocks_high = le16_make(0);
		c->is_dirty = true;
	}
	if (has_flags(c, EXT_IMAGIC_FL) && tell(c, IMAGIC))
		drop_flags(c, EXT_IMAGIC_FL);
}

/* ---- types ---- */

static bool entry_begins_dir(const struct ext_dirent *d, unsigned name_len, unsigned room)
{
	unsigned rec_len = le16_get(d->rec_len);

	return d->name_len == name_len && memcmp(d + 1, "..", name_len) == 0 && rec_len >= 12 &&
	       rec_len % 4 == 0 && rec_len <= room;
}

/* Does the inode's first block begin with its own '.', and then '..'? */
static bool looks_like_dir(struct inode_check *c)
{
	struct fsck *f = c->f;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	const struct ext_dirent *dot = (const void *)bytes;
	unsigned i, nr_behind_device = 0;

	for (i = 0; i < EXT_N_BLOCKS; i++) {
		fsblk_t block = le32_get(c->buf.raw.block[i]);

		if (!block)
			continue;
		nr_behind_device += i >= 4;
		if (!pointer_is_possible(f, block) || bitmap_test(f->found, block_bit(f, block)))
			return false;
	}
	if ((S_ISCHR(mode_of(c)) || S_ISBLK(mode_of(c))) && links_of(c) == 1 && !nr_behind_device)
		return false;
	if (store_read(&f->store, le32_get(c->buf.raw.block[0]), 1, bytes))
		return false;
	return le32_get(dot->inode) == c->ino && entry_begins_dir(dot, 1, f->geo.block_size - 12) &&
	       entry_begins_dir((const void *)(bytes + le16_get(dot->rec_len)), 2,
				f->geo.block_size - le16_get(dot->rec_len));
}

static void check_really_dir(struct inode_check *c)
{
	unsigned mode = mode_of(c);

	if (S_ISDIR(mode) || S_ISREG(mode) || S_ISLNK(mode) || !le32_get(c->buf.raw.block[0]) ||
	    !looks_like_dir(c))
		return;
	if (tell_mode(c, REALLY_DIR)) {
		c->buf.raw.mode = le16_make((uint16_t)((mode & 07777) | S_IFDIR));
		c->is_dirty = true;
	}
}

static void check_special_flags(struct inode_check *c)
{
	if (has_flags(c, EXT_IMMUTABLE_FL | EXT_APPEND_FL) && tell(c, SPECIAL_IMMUTABLE))
		drop_flags(c, EXT_IMMUTABLE_FL | EXT_APPEND_FL);
}

/* A device, fifo or socket. */
static void check_special(struct inode_check *c, uint64_t *counter)
{
	struct ext_inode *raw = &c->buf.raw;
	bool has_blocks = false;
	uint64_t size = le32_get(raw->size) | (uint64_t)le32_get(raw->size_high) << 32;
	unsigned i;

	for (i = 4; i < EXT_N_BLOCKS; i++)
		has_blocks |= le32_get(raw->block[i]) != 0;
	if (has_flags(c, EXT_IMMUTABLE_FL | EXT_APPEND_FL) && has_blocks) {
		if (tell(c, DEVICE_BAD))
			clear(c);
		return;
	}
	(*counter)++;
	check_special_flags(c);
	if (size && problem(c->f, SPECIAL_SIZE, (struct where){.ino = c->ino, .num = size})) {
		raw->size = le32_make(0);
		raw->size_high = le32_make(0);
		c->is_dirty = true;
	}
}

/* Short targets lie in block[]; longer ones fill the one block up to their end. */
static bool symlink_is_good(struct inode_check *c)
{
	const struct ext_inode *raw = &c->buf.raw;
	uint32_t size = le32_get(raw->size);
	char bytes[EXT_BLOCK_SIZE_MAX];

	if (le32_get(raw->size_high) || size == 0)
		return false;
	if (size < sizeof(raw->block)) {
		c->f->nr_fast_link++;
		return strnlen((const char *)raw->block, sizeof(raw->block)) == size;
	}
	/* Further pointers are removed with the blocks, and cost nothing. */
	if (!pointer_is_possible(c->f, le32_get(raw->block[0])) ||
	    store_read(&c->f->store, le32_get(raw->block[0]), 1, bytes))
		return false;
	return size < c->f->geo.block_size && strnlen(bytes, c->f->geo.block_size) == size;
}

static void check_symlink(struct inode_check *c)
{
	c->f->nr_link++;
	if (symlink_is_good(c)) {
		check_special_flags(c);
		return;
	}
	if (tell(c, SYMLINK_BAD))
		clear(c);
}

static bool type_is_possible(const struct inode_check *c)
{
	return dirblock_type_of_mode(mode_of(c)) != EXT_FT_UNKNOWN;
}

static void check_type(struct inode_check *c)
{
	struct fsck *f = c->f;

	switch (mode_of(c) & S_IFMT) {
	case S_IFDIR:
		bitmap_set(f->ino_dir, c->ino - 1);
		fsck_add_dir(f, c->ino);
		break;
	case S_IFREG:
		bitmap_set(f->ino_reg, c->ino - 1);
		f->nr_reg++;
		break;
	case S_IFLNK: check_symlink(c); break;
	case S_IFCHR: check_special(c, &f->nr_chr); break;
	case S_IFBLK: check_special(c, &f->nr_blk); break;
	case S_IFIFO: check_special(c, &f->nr_fifo); break;
	case S_IFSOCK: check_special(c, &f->nr_sock); break;
	}
}

static void count_trees(struct inode_check *c)
{
	c->f->nr_ind += le32_get(c->buf.raw.block[EXT_IND_BLOCK]) != 0;
	c->f->nr_dind += le32_get(c->buf.raw.block[EXT_DIND_BLOCK]) != 0;
	c->f->nr_tind += le32_get(c->buf.raw.block[EXT_TIND_BLOCK]) != 0;
}

/* ---- reserved inodes ---- */

static void check_bad_list_inode(struct inode_check *c)
{
	const struct ext_inode *raw = &c->buf.raw;

	if ((mode_of(c) || links_of(c) || le16_get(raw->uid) || le16_get(raw->gid) ||
	     has_flags(c, EXT_INLINE_DATA_FL) || le32_get(raw->file_acl)) &&
	    tell(c, BAD_INODE_FIELDS))
		wipe(c);
	use(c);
	blocks_check_bad_list(c);
}

static void check_root(struct inode_check *c)
{
	if (!S_ISDIR(mode_of(c)) && tell(c, ROOT_NOT_DIR)) {
		clear(c);
		return;
	}
	if (le32_get(c->buf.raw.dtime) && links_of(c) && tell(c, ROOT_DTIME)) {
		c->buf.raw.dtime = le32_make(0);
		c->is_dirty = true;
	}
}

static bool is_in_use(const struct inode_check *c)
{
	return links_of(c) || le32_get(c->buf.raw.blocks) || le32_get(c->buf.raw.block[0]);
}

/* True: checked to its end. */
static bool check_journal_inode(struct inode_check *c)
{
	use(c);
	if (le32_get(c->f->super.journal_inum) == EXT_JOURNAL_INO) {
		if (!S_ISREG(mode_of(c)) && tell(c, JOURNAL_MODE)) {
			c->buf.raw.mode = le16_make(S_IFREG | 0600);
			c->is_dirty = true;
		}
		blocks_check(c);
		return true;
	}
	if (is_in_use(c) && tell(c, JOURNAL_INODE_UNUSED_SET))
		wipe(c);
	return false;
}

static bool reserved_mode_is_good(const struct inode_check *c)
{
	unsigned mode = mode_of(c);

	if (c->ino == EXT_BOOT_LOADER_INO)
		return !S_ISDIR(mode);
	if (c->ino == EXT_RESIZE_INO)
		return mode == 0 || S_ISREG(mode);
	return mode == 0;
}

/* True: checked to its end. */
static bool check_reserved(struct inode_check *c)
{
	switch (c->ino) {
	case EXT_BAD_INO: check_bad_list_inode(c); return true;
	case EXT_ROOT_INO: check_root(c); return c->is_cleared;
	case EXT_JOURNAL_INO: return check_journal_inode(c);
	case EXT_USR_QUOTA_INO:
	case EXT_GRP_QUOTA_INO:
		use(c);
		if (is_in_use(c) && tell(c, RESERVED_INODE_SET))
			wipe(c);
		return false;
	default:
		use(c);
		if (!reserved_mode_is_good(c) && tell_mode(c, RESERVED_MODE)) {
			c->buf.raw.mode = le16_make(0);
			c->is_dirty = true;
		}
		blocks_check(c);
		return true;
	}
}

/* ---- one inode ---- */

static void check_in_use(struct inode_check *c)
{
	if (le32_get(c->buf.raw.dtime) && tell(c, SET_DTIME)) {
		c->buf.raw.dtime = le32_make(0);
		c->is_dirty = true;
	}
	use(c);
	check_really_dir(c);
	if (!type_is_possible(c) && tell_mode(c, MODE_BAD)) {
		clear(c);
		return;
	}
	check_high_halves(c);
	xattrs_check_inode(c);
	check_type(c);
	if (c->is_cleared)
		return;
	count_trees(c);
	blocks_check(c);
}

static void check_inode(struct inode_check *c)
{
	struct fsck *f = c->f;

	check_dtime(c);
	f->links[c->ino - 1] = (uint16_t)links_of(c);
	if (!links_of(c) && c->ino >= f->geo.first_ino) {
		check_free_flags(c);
		return;
	}
	check_foreign_flags(c);
	if (c->is_cleared)
		return;
	if (c->ino < f->geo.first_ino && check_reserved(c))
		return;
	if (links_of(c))
		check_in_use(c);
}

/* Most inodes of most images are not in use, and say so in three fields. */
static bool is_nothing(const struct fsck *f, inr_t ino, const struct ext_inode *raw)
{
	return ino >= f->geo.first_ino && !le16_get(raw->links_count) && !le32_get(raw->dtime) &&
	       !le16_get(raw->mode) && !(le32_get(raw->flags) & EXT_EXTENTS_FL);
}

static void check_bytes(struct fsck *f, inr_t ino, const uint8_t *bytes)
{
	struct inode_check c;

	if (is_nothing(f, ino, (const void *)bytes))
		return;
	c.f = f;
	c.ino = ino;
	c.is_dirty = false;
	c.is_cleared = false;
	memcpy(c.buf.bytes, bytes, f->geo.inode_size);
	check_inode(&c);
	if (c.is_dirty)
		fsck_write_inode(f, ino, &c.buf);
}

/* ---- tables ---- */

/* Reserved inodes are looked at even where the image has a hole. */
static void check_empty_reserved(struct fsck *f, inr_t first, uint32_t count)
{
	uint8_t zero[EXT_BLOCK_SIZE_MAX] = {0};
	inr_t ino;

	for (ino = first; ino < first + count && ino < f->geo.first_ino; ino++)
		check_bytes(f, ino, zero);
}

static void check_inodes(struct fsck *f, inr_t first, uint32_t count, const uint8_t *bytes)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		check_bytes(f, first + i, bytes + (size_t)i * f->geo.inode_size);
}

/* Only the inodes of the blocks that cannot be read are lost. */
static void check_block_by_block(struct fsck *f, const struct scan_piece *p)
{
	uint32_t per_block = f->geo.inodes_per_block, i;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];

	for (i = 0; i < p->count; i += per_block) {
		fsblk_t block = le32_get(f->desc[p->group].inode_table) + (p->first + i) / per_block;
		int err = store_read(&f->store, block, 1, bytes);

		if (err)
			problem(f, INODE_READ,
				(struct where){
					.group = p->group, .block = block, .str = strerror(-err)});
		else
			check_inodes(f, group_first_inode(&f->geo, p->group) + p->first + i,
				     min(per_block, p->count - i), bytes);
	}
}

static void check_tables(struct fsck *f)
{
	struct scan_piece p;

	while (scan_next(f->scan, &p)) {
		inr_t first = group_first_inode(&f->geo, p.group) + p.first;

		if (p.first == 0)
			fsck_progress(f, 1, p.group, f->geo.groups_count);
		if (bitmap_test(f->bad_tables, p.group))
			continue;
		if (p.err)
			check_block_by_block(f, &p);
		else if (p.bytes)
			check_inodes(f, first, p.count, p.bytes);
		else
			check_empty_reserved(f, first, p.count);
	}
	fsck_progress(f, 1, f->geo.groups_count, f->geo.groups_count);
}

void pass1(struct fsck *f)
{
	f->pass_name = "1";
	f->found = fsck_block_map(f);
	f->meta = fsck_block_map(f);
	f->ino_used = fsck_inode_map(f);
	f->ino_dir = fsck_inode_map(f);
	f->ino_reg = fsck_inode_map(f);
	f->links = fsck_alloc(f, (size_t)f->geo.inodes_count * sizeof(*f->links));
	tables_claim(f);
	f->scan = scan_begin(f);
	if (!f->scan)
		fsck_fail(f, "memory", -ENOMEM);
	check_tables(f);
	scan_end(f->scan);
	f->scan = NULL;
	blocks_mend(f);
	xattrs_check_counts(f);
	tables_place(f);
}
