/* Extended attributes in one area, in an inode or in a block. FORMAT.md 9. */
#include "layout/xattr.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "refuse.h"

#define UNIT		4u	/* entries and values begin at its multiples */
#define TERMINATOR	4u	/* bytes of zero behind the last entry */
#define ENTRY_HEADER	((unsigned)sizeof(struct ext_xattr_entry))
#define NAME_LEN_MAX	255u

static unsigned padded(uint32_t bytes)
{
	return (bytes + UNIT - 1) & ~(UNIT - 1);
}

static unsigned entry_bytes(unsigned name_len)
{
	return ENTRY_HEADER + padded(name_len);
}

static struct ext_xattr_entry *raw_at(const struct xattr_area *area, unsigned offset)
{
	return (struct ext_xattr_entry *)(area->base + offset);
}

static char *raw_name(struct ext_xattr_entry *raw)
{
	return (char *)(raw + 1);
}

/* ---- areas ---- */

struct xattr_area xattr_area_in_block(const struct geometry *geo, void *block)
{
	return (struct xattr_area){
		.place = XATTR_IN_BLOCK,
		.base = block,
		.entries_offset = sizeof(struct ext_xattr_header),
		.size = geo->block_size,
	};
}

/* The room behind extra_isize: false where it does not exist or cannot hold even an empty area. */
static bool room_in_inode(const struct geometry *geo, void *bytes, struct xattr_area *ret)
{
	const struct ext_inode *raw = bytes;
	unsigned extra, start;

	if (geo->inode_size <= EXT_GOOD_OLD_INODE_SIZE)
		return false;
	extra = le16_get(raw->extra_isize);
	start = EXT_GOOD_OLD_INODE_SIZE + extra + (unsigned)sizeof(struct ext_xattr_inode_header);
	if (extra == 0 || extra % UNIT || start + TERMINATOR > geo->inode_size)
		return false;
	*ret = (struct xattr_area){
		.place = XATTR_IN_INODE,
		.base = (uint8_t *)bytes + start,
		.entries_offset = 0,
		.size = geo->inode_size - start,
	};
	return true;
}

static struct ext_xattr_inode_header *inode_header(const struct xattr_area *area)
{
	return (struct ext_xattr_inode_header *)area->base - 1;
}

int xattr_area_in_inode(const struct geometry *geo, void *bytes, struct xattr_area *ret)
{
	struct xattr_area area;

	if (!room_in_inode(geo, bytes, &area))
		return -ENODATA;
	if (le32_get(inode_header(&area)->magic) != EXT_XATTR_MAGIC)
		return -ENODATA;
	*ret = area;
	return 0;
}

void xattr_block_init(const struct geometry *geo, void *block, struct xattr_area *ret)
{
	struct ext_xattr_header *header = block;

	memset(block, 0, geo->block_size);
	header->magic = le32_make(EXT_XATTR_MAGIC);
	header->refcount = le32_make(1);
	header->blocks = le32_make(1);
	*ret = xattr_area_in_block(geo, block);
}

int xattr_inode_init(const struct geometry *geo, void *bytes, struct xattr_area *ret)
{
	struct xattr_area area;

	if (!room_in_inode(geo, bytes, &area))
		return -ENOSPC;
	memset(area.base, 0, area.size);
	inode_header(&area)->magic = le32_make(EXT_XATTR_MAGIC);
	*ret = area;
	return 0;
}

/* ---- the gate ---- */

/* What a walk over unchecked entries meets at an offset. */
enum step {
	STEP_ENTRY,
	STEP_END,
	STEP_OUTSIDE,	/* the entry, or the terminator behind it, is not all in the area */
};

static enum step step_at(const struct xattr_area *area, unsigned offset)
{
	le32_t first_word;
	unsigned room;

	if (offset + TERMINATOR > area->size)
		return STEP_OUTSIDE;
	memcpy(&first_word, area->base + offset, sizeof(first_word));
	if (le32_get(first_word) == 0)
		return STEP_END;
	room = area->size - TERMINATOR - offset;
	if (room < ENTRY_HEADER || room < entry_bytes(raw_at(area, offset)->name_len))
		return STEP_OUTSIDE;
	return STEP_ENTRY;
}

static int check_header(const struct xattr_area *area, struct why why)
{
	const struct ext_xattr_header *header = (const void *)area->base;

	if (area->place != XATTR_IN_BLOCK)
		return 0;	/* its magic was what made it an area */
	if (le32_get(header->magic) != EXT_XATTR_MAGIC)
		return refuse(why, "attribute block with magic 0x%08x", le32_get(header->magic));
	if (le32_get(header->blocks) != 1)
		return refuse(why, "attribute block of %u blocks", le32_get(header->blocks));
	if (le32_get(header->refcount) == 0)
		return refuse(why, "attribute block that no inode refers to");
	return 0;
}

/* X1; *ret_end is the byte behind the terminator. */
static int check_entries(const struct xattr_area *area, unsigned *ret_end, struct why why)
{
	unsigned offset = area->entries_offset;
	enum step step;

	while ((step = step_at(area, offset)) == STEP_ENTRY) {
		struct ext_xattr_entry *raw = raw_at(area, offset);

		if (memchr(raw_name(raw), '\0', raw->name_len))
			return refuse(why, "attribute at byte %u has a zero in its name", offset);
		if (le32_get(raw->value_inum))
			return refuse(why, "attribute at byte %u has its value in inode %u", offset,
				      le32_get(raw->value_inum));
		offset += entry_bytes(raw->name_len);
	}
	if (step == STEP_OUTSIDE)
		return refuse(why, "attribute at byte %u runs out of its area", offset);
	*ret_end = offset + TERMINATOR;
	return 0;
}

/* X2. A bit for each unit of the area says whether a value was seen there. */
static int check_values(const struct xattr_area *area, unsigned entries_end, struct why why)
{
	uint8_t taken[EXT_BLOCK_SIZE_MAX / UNIT / 8] = {0};
	unsigned offset = area->entries_offset;

	while (step_at(area, offset) == STEP_ENTRY) {
		const struct ext_xattr_entry *raw = raw_at(area, offset);
		uint32_t size = le32_get(raw->value_size);
		unsigned start = le16_get(raw->value_offs);
		unsigned first = start / UNIT, count;

		offset += entry_bytes(raw->name_len);
		if (size == 0)
			continue;
		if (start % UNIT || start < entries_end || start > area->size ||
		    size > area->size - start || padded(size) > area->size - start)
			return refuse(why, "attribute value of %u bytes at byte %u of %u", size, start,
				      area->size);
		count = padded(size) / UNIT;
		if (bitmap_find_set(taken, first, first + count) != first + count)
			return refuse(why, "attribute value at byte %u lies over another", start);
		bitmap_set_range(taken, first, count);
	}
	return 0;
}

int xattr_check(const struct xattr_area *area, char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	unsigned end = 0;
	int err = check_header(area, why);

	if (!err)
		err = check_entries(area, &end, why);
	if (!err)
		err = check_values(area, end, why);
	return err;
}

/* ---- reading ---- */

bool xattr_next(const struct xattr_area *area, unsigned *offset, struct xattr_entry *ret)
{
	struct ext_xattr_entry *raw = raw_at(area, *offset);

	if (step_at(area, *offset) != STEP_ENTRY)
		return false;
	*ret = (struct xattr_entry){
		.offset = *offset,
		.name_index = raw->name_index,
		.name_len = raw->name_len,
		.name = raw_name(raw),
		.value_size = le32_get(raw->value_size),
	};
	ret->value = area->base + (ret->value_size ? le16_get(raw->value_offs) : 0);
	*offset += entry_bytes(raw->name_len);
	return true;
}

int xattr_find(const struct xattr_area *area, uint8_t name_index, const char *name, unsigned name_len,
	       struct xattr_entry *ret)
{
	unsigned offset = area->entries_offset;
	struct xattr_entry e;

	while (xattr_next(area, &offset, &e)) {
		if (e.name_index != name_index || e.name_len != name_len ||
		    memcmp(e.name, name, name_len) != 0)
			continue;
		*ret = e;
		return 0;
	}
	return -ENODATA;
}

bool xattr_is_empty(const struct xattr_area *area)
{
	return step_at(area, area->entries_offset) != STEP_ENTRY;
}

/* Where the terminator of the entries lies. */
static unsigned entries_end(const struct xattr_area *area)
{
	unsigned offset = area->entries_offset;
	struct xattr_entry e;

	while (xattr_next(area, &offset, &e))
		;
	return offset;
}

/* Where the lowest value begins. */
static unsigned values_start(const struct xattr_area *area)
{
	unsigned offset = area->entries_offset;
	unsigned start = area->size;
	struct xattr_entry e;

	while (xattr_next(area, &offset, &e))
		if (e.value_size)
			start = min(start, (unsigned)((const uint8_t *)e.value - area->base));
	return start;
}

unsigned xattr_free_bytes(const struct xattr_area *area)
{
	return values_start(area) - entries_end(area) - TERMINATOR;
}

unsigned xattr_bytes_needed(unsigned name_len, uint32_t value_size)
{
	return entry_bytes(name_len) + padded(value_size);
}

/* ---- hashes and sharing ---- */

#define NAME_HASH_SHIFT		5u
#define WORD_HASH_SHIFT		16u

static uint32_t rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

uint32_t xattr_entry_hash(const char *name, unsigned name_len, const void *value, uint32_t value_size)
{
	uint32_t hash = 0, at;
	unsigned i;

	for (i = 0; i < name_len; i++)
		hash = rotate(hash, NAME_HASH_SHIFT) ^ (unsigned char)name[i];
	for (at = 0; at < value_size; at += UNIT) {
		le32_t word = {0};

		memcpy(&word, (const uint8_t *)value + at, min(UNIT, value_size - at));
		hash = rotate(hash, WORD_HASH_SHIFT) ^ le32_get(word);
	}
	return hash;
}

uint32_t xattr_block_hash(const struct xattr_area *area)
{
	unsigned offset = area->entries_offset;
	struct xattr_entry e;
	uint32_t hash = 0;

	while (xattr_next(area, &offset, &e)) {
		uint32_t entry_hash = le32_get(raw_at(area, e.offset)->hash);

		if (entry_hash == 0)
			return 0;
		hash = rotate(hash, WORD_HASH_SHIFT) ^ entry_hash;
	}
	return hash;
}

static void update_block_hash(const struct xattr_area *area)
{
	struct ext_xattr_header *header = (void *)area->base;

	if (area->place == XATTR_IN_BLOCK)
		header->hash = le32_make(xattr_block_hash(area));
}

static bool entries_equal(const struct xattr_entry *a, const struct xattr_entry *b)
{
	return a->name_index == b->name_index && a->name_len == b->name_len &&
	       a->value_size == b->value_size && memcmp(a->name, b->name, a->name_len) == 0 &&
	       memcmp(a->value, b->value, a->value_size) == 0;
}

bool xattr_block_equal(const struct geometry *geo, const void *a, const void *b)
{
	/* An area is for writing, too; nothing is written here. */
	struct xattr_area area_a = xattr_area_in_block(geo, (void *)a);
	struct xattr_area area_b = xattr_area_in_block(geo, (void *)b);
	unsigned offset_a = area_a.entries_offset, offset_b = area_b.entries_offset;
	struct xattr_entry entry_a, entry_b;

	for (;;) {
		bool more_a = xattr_next(&area_a, &offset_a, &entry_a);
		bool more_b = xattr_next(&area_b, &offset_b, &entry_b);

		if (!more_a || !more_b)
			return more_a == more_b;
		if (!entries_equal(&entry_a, &entry_b))
			return false;
	}
}

/* ---- changing ---- */

/* Takes the value's bytes out: the values below it move up. The entry is left without a value. */
static void drop_value(const struct xattr_area *area, const struct xattr_entry *e)
{
	unsigned gap = padded(e->value_size);
	unsigned start = values_start(area);
	unsigned at = (unsigned)((const uint8_t *)e->value - area->base);
	unsigned offset = area->entries_offset;
	struct xattr_entry other;

	if (e->value_size == 0)
		return;
	memmove(area->base + start + gap, area->base + start, at - start);
	memset(area->base + start, 0, gap);
	raw_at(area, e->offset)->value_size = le32_make(0);
	raw_at(area, e->offset)->value_offs = le16_make(0);
	while (xattr_next(area, &offset, &other)) {
		struct ext_xattr_entry *raw = raw_at(area, other.offset);

		if (other.value_size && le16_get(raw->value_offs) < at)
			le16_add(&raw->value_offs, (uint16_t)gap);
	}
}

/* Takes an entry without a value out: those behind it move down. */
static void drop_entry(const struct xattr_area *area, const struct xattr_entry *e)
{
	unsigned size = entry_bytes(e->name_len);
	unsigned end = entries_end(area);
	unsigned next = e->offset + size;

	memmove(area->base + e->offset, area->base + next, end - next);
	memset(area->base + end - size, 0, size);
}

static void remove_entry(const struct xattr_area *area, const struct xattr_entry *e)
{
	drop_value(area, e);
	drop_entry(area, e);
	update_block_hash(area);
}

int xattr_remove(const struct xattr_area *area, uint8_t name_index, const char *name, unsigned name_len)
{
	struct xattr_entry e;
	int err = xattr_find(area, name_index, name, name_len, &e);

	if (!err)
		remove_entry(area, &e);
	return err;
}

/* X3: does e stand behind such a name in a block? */
static bool is_behind(const struct xattr_entry *e, uint8_t name_index, const char *name,
		      unsigned name_len)
{
	if (e->name_index != name_index)
		return e->name_index > name_index;
	if (e->name_len != name_len)
		return e->name_len > name_len;
	return memcmp(e->name, name, name_len) > 0;
}

/* Where a new entry goes: sorted in a block, last in an inode. */
static unsigned place_for(const struct xattr_area *area, uint8_t name_index, const char *name,
			  unsigned name_len)
{
	unsigned offset = area->entries_offset;
	struct xattr_entry e;

	while (xattr_next(area, &offset, &e))
		if (area->place == XATTR_IN_BLOCK && is_behind(&e, name_index, name, name_len))
			return e.offset;
	return offset;
}

/* Puts the value below the lowest one; returns its offset. */
static unsigned store_value(const struct xattr_area *area, const void *value, uint32_t value_size)
{
	unsigned start;

	if (value_size == 0)
		return 0;
	start = values_start(area) - padded(value_size);
	memset(area->base + start, 0, padded(value_size));
	memcpy(area->base + start, value, value_size);
	return start;
}

/* Adds an attribute that there is room for. */
static void insert_entry(const struct xattr_area *area, uint8_t name_index, const char *name,
			 unsigned name_len, const void *value, uint32_t value_size)
{
	unsigned value_offs = store_value(area, value, value_size);
	unsigned at = place_for(area, name_index, name, name_len);
	unsigned end = entries_end(area) + TERMINATOR;
	unsigned size = entry_bytes(name_len);
	struct ext_xattr_entry *raw = raw_at(area, at);

	memmove(area->base + at + size, area->base + at, end - at);
	memset(raw, 0, size);
	raw->name_len = (uint8_t)name_len;
	raw->name_index = name_index;
	raw->value_offs = le16_make((uint16_t)value_offs);
	raw->value_size = le32_make(value_size);
	memcpy(raw_name(raw), name, name_len);
	if (area->place == XATTR_IN_BLOCK)
		raw->hash = le32_make(xattr_entry_hash(name, name_len, value, value_size));
	update_block_hash(area);
}

int xattr_set(const struct xattr_area *area, uint8_t name_index, const char *name, unsigned name_len,
	      const void *value, uint32_t value_size)
{
	unsigned room = xattr_free_bytes(area);
	struct xattr_entry old;
	bool replaces;

	must(name_index != 0);
	must(name_len <= NAME_LEN_MAX);
	replaces = xattr_find(area, name_index, name, name_len, &old) == 0;
	if (replaces)
		room += xattr_bytes_needed(old.name_len, old.value_size);
	if (value_size > area->size || xattr_bytes_needed(name_len, value_size) > room)
		return -ENOSPC;
	if (replaces)
		remove_entry(area, &old);
	insert_entry(area, name_index, name, name_len, value, value_size);
	return 0;
}
