/* Extended attributes: the gate of layout says whether an area is possible, and here the hashes are compared. */
#include "xattrs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bitmap.h"
#include "layout/xattr.h"
#include "refs.h"

#define WHY_BYTES 160

/*
 * Where a machine's char is signed, names with bytes above 127 were hashed with these as negative numbers.
 * Both are found on disks, and neither is wrong.
 */
static uint32_t hash_with_signed_name(const struct xattr_entry *e)
{
	uint32_t hash = 0, at;
	unsigned i;

	for (i = 0; i < e->name_len; i++)
		hash = (hash << 5 | hash >> 27) ^ (uint32_t)(int32_t)(signed char)e->name[i];
	for (at = 0; at < e->value_size; at += sizeof(le32_t)) {
		le32_t word = {0};

		memcpy(&word, (const uint8_t *)e->value + at,
		       min((uint32_t)sizeof(word), e->value_size - at));
		hash = (hash << 16 | hash >> 16) ^ le32_get(word);
	}
	return hash;
}

static bool hash_is_right(const struct xattr_area *area, const struct xattr_entry *e)
{
	const struct ext_xattr_entry *raw = (const void *)(area->base + e->offset);
	uint32_t hash = le32_get(raw->hash);

	if (area->place == XATTR_IN_INODE && hash == 0)
		return true;
	return hash == xattr_entry_hash(e->name, e->name_len, e->value, e->value_size) ||
	       hash == hash_with_signed_name(e);
}

static int check_area(const struct xattr_area *area, char why[WHY_BYTES])
{
	unsigned offset = area->entries_offset;
	struct xattr_entry e;
	int err = xattr_check(area, why, WHY_BYTES);

	while (!err && xattr_next(area, &offset, &e)) {
		if (area->place == XATTR_IN_BLOCK && e.name_index == 0) {
			snprintf(why, WHY_BYTES, "attribute at byte %u without a kind", e.offset);
			return -EUCLEAN;
		}
		if (!hash_is_right(area, &e)) {
			snprintf(why, WHY_BYTES, "attribute at byte %u has a wrong hash", e.offset);
			return -EUCLEAN;
		}
	}
	return err;
}

/* ---- inside the inode ---- */

static void check_extra_isize(struct inode_check *c)
{
	unsigned room = c->f->geo.inode_size - EXT_GOOD_OLD_INODE_SIZE;
	unsigned extra = le16_get(c->buf.raw.extra_isize);

	if (extra == 0 || (extra >= 4 && extra <= room && extra % 4 == 0))
		return;
	if (!problem(c->f, EXTRA_ISIZE, (struct where){.ino = c->ino, .num = extra}))
		return;
	extra = extra >= 4 && extra <= room ? round_up(extra, 4) : min(room, EXT_EXTRA_ISIZE);
	c->buf.raw.extra_isize = le16_make((uint16_t)extra);
	c->is_dirty = true;
}

static void check_attributes(struct inode_check *c)
{
	struct xattr_area area;
	char why[WHY_BYTES];
	le32_t none = {0};

	if (xattr_area_in_inode(&c->f->geo, c->buf.bytes, &area) || !check_area(&area, why))
		return;
	if (problem(c->f, XATTR_INODE_BAD, (struct where){.ino = c->ino, .str = why})) {
		memcpy(area.base - sizeof(none), &none, sizeof(none));
		c->is_dirty = true;
	}
}

/* Bits 32 and 33 of the seconds both set with bit 31: a date before 1970 as old kernels wrote it. */
static bool has_old_encoding(le32_t seconds, le32_t extra)
{
	return le32_get(seconds) >> 31 && (le32_get(extra) & 3) == 3;
}

static void mend_time(le32_t seconds, le32_t *extra)
{
	if (has_old_encoding(seconds, *extra))
		*extra = le32_make(le32_get(*extra) & ~3u);
}

static void check_times(struct inode_check *c)
{
	struct ext_inode *raw = &c->buf.raw;

	if (le16_get(raw->extra_isize) + EXT_GOOD_OLD_INODE_SIZE <
	    offsetof(struct ext_inode, version_hi))
		return;
	if (!has_old_encoding(raw->atime, raw->atime_extra) &&
	    !has_old_encoding(raw->ctime, raw->ctime_extra) &&
	    !has_old_encoding(raw->mtime, raw->mtime_extra) &&
	    !has_old_encoding(raw->crtime, raw->crtime_extra))
		return;
	if (!problem(c->f, TIME_ENCODING, (struct where){.ino = c->ino}))
		return;
	mend_time(raw->atime, &raw->atime_extra);
	mend_time(raw->ctime, &raw->ctime_extra);
	mend_time(raw->mtime, &raw->mtime_extra);
	mend_time(raw->crtime, &raw->crtime_extra);
	c->is_dirty = true;
}

void xattrs_check_inode(struct inode_check *c)
{
	unsigned room = c->f->geo.inode_size - EXT_GOOD_OLD_INODE_SIZE;

	if (c->f->geo.inode_size == EXT_GOOD_OLD_INODE_SIZE)
		return;
	check_extra_isize(c);
	if (le16_get(c->buf.raw.extra_isize) + sizeof(le32_t) >= room)
		return; /* no room for attributes */
	check_attributes(c);
	check_times(c);
}

/* ---- in a block ---- */

static void drop_block(struct inode_check *c)
{
	c->buf.raw.file_acl = le32_make(0);
	c->is_dirty = true;
}

/* Blocks that say one and are named once are not kept: most file systems have no others. */
static struct xattr_ref *add_ref(struct fsck *f, fsblk_t block, uint32_t claimed)
{
	struct xattr_ref *ref = refs_add(f->refs, block, claimed);

	if (!ref)
		fsck_fail(f, "memory", -ENOMEM);
	return ref;
}

/* A block that no inode before this one has named. */
static bool check_new_block(struct inode_check *c, fsblk_t block)
{
	struct fsck *f = c->f;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct ext_xattr_header *header = (void *)bytes;
	struct xattr_area area = xattr_area_in_block(&f->geo, bytes);
	char why[WHY_BYTES] = "it cannot be read";
	bool is_read = !store_read(&f->store, block, 1, bytes);
	uint32_t claimed = le32_get(header->refcount);

	/* That nobody refers to it is a wrong count like others. */
	if (is_read && !claimed)
		header->refcount = le32_make(1);
	if (!is_read || check_area(&area, why)) {
		if (problem(f, XATTR_BLOCK_BAD,
			    (struct where){.ino = c->ino, .block = block, .str = why})) {
			drop_block(c);
			return false;
		}
	}
	if (claimed != 1)
		add_ref(f, block, claimed);
	claim_block(f, block);
	bitmap_set(f->xattr, block_bit(f, block));
	return true;
}

bool xattrs_check_block(struct inode_check *c)
{
	struct fsck *f = c->f;
	fsblk_t block = le32_get(c->buf.raw.file_acl);
	struct where w = {.ino = c->ino, .block = block};

	if (!block)
		return false;
	if (!f->geo.has_ext_attr || !pointer_is_possible(f, block)) {
		if (problem(f, f->geo.has_ext_attr ? XATTR_BLOCK_NUMBER : XATTR_NO_FEATURE, w))
			drop_block(c);
		return false;
	}
	if (!f->xattr) {
		f->xattr = fsck_block_map(f);
		f->refs = refs_create();
		if (!f->refs)
			fsck_fail(f, "memory", -ENOMEM);
	}
	if (bitmap_test(f->xattr, block_bit(f, block))) {
		struct xattr_ref *ref = refs_find(f->refs, block);

		if (!ref)
			ref = add_ref(f, block, 1);
		ref->counted++;
		return true;
	}
	return check_new_block(c, block);
}

void xattrs_check_counts(struct fsck *f)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct ext_xattr_header *header = (void *)bytes;
	const struct xattr_ref *ref;
	size_t at = 0;

	while (f->refs && (ref = refs_next(f->refs, &at))) {
		/* A block that is somebody's data too is written when it is nobody's else. */
		if (ref->claimed == ref->counted ||
		    (f->dup && bitmap_test(f->dup, block_bit(f, ref->block))) ||
		    !problem(f, XATTR_REFCOUNT,
			     (struct where){
				     .block = ref->block, .num = ref->claimed, .num2 = ref->counted}))
			continue;
		fsck_read_block(f, ref->block, bytes);
		header->refcount = le32_make(ref->counted);
		fsck_write_block(f, ref->block, bytes);
	}
}
