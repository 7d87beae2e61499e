/*
 * The entries of one directory block.
 *
 *	| ino len nl ft name.. pad | ino len nl ft name.. pad   free bytes | ino=0 len .. free |
 *	|<------- rec_len -------->|<------------- rec_len ---------------->|<---- rec_len --->|
 *
 * Free space is the tail of a record behind its name, or a record whose inode number is 0. An insert
 * takes the first that is large enough; a removal gives the record to the one before it, or, at the
 * start of the block, sets its inode number to 0. FORMAT.md 7.
 */
#include "layout/dirblock.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "refuse.h"

#define HEADER_SIZE	((unsigned)sizeof(struct ext_dirent))
#define REC_LEN_MIN	12u	/* room for a name of one byte, also where there is none */

static const struct ext_dirent *dirent_at(const void *block, unsigned offset)
{
	return (const void *)((const char *)block + offset);
}

static struct ext_dirent *dirent_at_rw(void *block, unsigned offset)
{
	return (void *)((char *)block + offset);
}

static const char *name_of(const struct ext_dirent *d)
{
	return (const char *)(d + 1);
}

static char *name_of_rw(struct ext_dirent *d)
{
	return (char *)(d + 1);
}

static bool is_used(const struct ext_dirent *d)
{
	return le32_get(d->inode) != 0;
}

/* Bytes that the record's own content takes; the rest of it is free. */
static unsigned used_bytes(const struct ext_dirent *d)
{
	return is_used(d) ? dirblock_rec_len(d->name_len) : 0;
}

/* The length of the record at offset, whose header lies in the block; 0 if it breaks D1 or D2. */
static unsigned checked_rec_len(const struct geometry *geo, const struct ext_dirent *d, unsigned offset)
{
	unsigned rec_len = le16_get(d->rec_len);
	unsigned room = geo->block_size - offset;

	if (rec_len % 4 || rec_len < max(used_bytes(d), REC_LEN_MIN) || rec_len > room)
		return 0;
	if (rec_len != room && room - rec_len < REC_LEN_MIN)
		return 0;
	return rec_len;
}

static void fill_entry(const struct geometry *geo, const struct ext_dirent *d, unsigned offset,
		       struct dirblock_entry *ret)
{
	ret->offset = offset;
	ret->rec_len = le16_get(d->rec_len);
	ret->ino = le32_get(d->inode);
	ret->file_type = geo->has_filetype ? d->file_type : EXT_FT_UNKNOWN;
	ret->name_len = d->name_len;
	ret->name = name_of(d);
}

int dirblock_next(const struct geometry *geo, const void *block, unsigned *offset,
		  struct dirblock_entry *ret)
{
	const struct ext_dirent *d = dirent_at(block, *offset);
	unsigned rec_len;

	if (*offset == geo->block_size)
		return 0;
	if (*offset > geo->block_size - HEADER_SIZE || *offset % 4)
		return -EUCLEAN;
	rec_len = checked_rec_len(geo, d, *offset);
	if (!rec_len)
		return -EUCLEAN;
	fill_entry(geo, d, *offset, ret);
	*offset += rec_len;
	return 1;
}

unsigned dirblock_resync(const struct geometry *geo, const void *block, unsigned offset)
{
	unsigned at = 0;

	while (at < offset && at < geo->block_size) {
		unsigned rec_len = checked_rec_len(geo, dirent_at(block, at), at);

		if (!rec_len)
			return geo->block_size;
		at += rec_len;
	}
	return at;
}

/* ---- the gate ---- */

static int check_record(const struct geometry *geo, const struct ext_dirent *d, unsigned offset,
			struct why why)
{
	if (!checked_rec_len(geo, d, offset))
		return refuse(why, "directory entry at byte %u has the impossible length %u (name %u)",
			      offset, le16_get(d->rec_len), d->name_len);
	if (!is_used(d))
		return 0;
	if (le32_get(d->inode) > geo->inodes_count)
		return refuse(why, "directory entry at byte %u names inode %u of %u", offset,
			      le32_get(d->inode), geo->inodes_count);
	if (d->name_len == 0 || memchr(name_of(d), '/', d->name_len) ||
	    memchr(name_of(d), '\0', d->name_len))
		return refuse(why, "directory entry at byte %u has an impossible name of %u bytes",
			      offset, d->name_len);
	return 0;
}

int dirblock_check(const struct geometry *geo, const void *block, char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	unsigned offset = 0;
	int err;

	while (offset < geo->block_size) {
		const struct ext_dirent *d = dirent_at(block, offset);

		err = check_record(geo, d, offset, why);
		if (err)
			return err;
		offset += le16_get(d->rec_len);
	}
	return 0;
}

/* ---- finding ---- */

int dirblock_find(const struct geometry *geo, const void *block, const char *name, unsigned name_len,
		  struct dirblock_entry *ret)
{
	unsigned offset = 0;

	/*
	 * Most entries are passed by: only the length is compared, and the step made safe. A record is
	 * entered only where its name lies in the block, so nothing is read outside whatever the bytes.
	 */
	while (offset + HEADER_SIZE <= geo->block_size) {
		const struct ext_dirent *d = dirent_at(block, offset);
		unsigned rec_len = le16_get(d->rec_len);

		if (d->name_len == name_len && is_used(d) &&
		    offset + HEADER_SIZE + name_len <= geo->block_size &&
		    memcmp(name_of(d), name, name_len) == 0) {
			if (!checked_rec_len(geo, d, offset))
				break;
			fill_entry(geo, d, offset, ret);
			return 0;
		}
		if (rec_len < HEADER_SIZE || rec_len % 4)
			break;
		offset += rec_len;
	}
	return -ENOENT;
}

/* ---- changing ---- */

/* Writes an entry; the record's length is the caller's. Padding behind the name is zeroed. */
static void write_entry(const struct geometry *geo, struct ext_dirent *d, const char *name,
			unsigned name_len, inr_t ino, uint8_t file_type)
{
	d->inode = le32_make(ino);
	d->name_len = (uint8_t)name_len;
	d->file_type = geo->has_filetype ? file_type : EXT_FT_UNKNOWN;
	memcpy(name_of_rw(d), name, name_len);
	memset(name_of_rw(d) + name_len, 0, dirblock_rec_len(name_len) - HEADER_SIZE - name_len);
}

/* The first record with at least need free bytes: its offset, or block_size if there is none. */
static unsigned find_room(const struct geometry *geo, const void *block, unsigned need)
{
	unsigned offset = 0;

	while (offset < geo->block_size) {
		const struct ext_dirent *d = dirent_at(block, offset);
		unsigned rec_len = checked_rec_len(geo, d, offset);

		if (!rec_len)
			break;
		if (rec_len - used_bytes(d) >= need)
			return offset;
		offset += rec_len;
	}
	return geo->block_size;
}

int dirblock_insert_at(const struct geometry *geo, void *block, const char *name, unsigned name_len,
		       inr_t ino, uint8_t file_type, unsigned *ret_offset)
{
	unsigned offset, used, rec_len;
	struct ext_dirent *d;

	must(name_len >= 1 && name_len <= EXT_NAME_LEN);
	offset = find_room(geo, block, dirblock_rec_len(name_len));
	if (offset == geo->block_size)
		return -ENOSPC;

	/* A used record keeps what it needs and gives its tail; a free one is taken whole. */
	d = dirent_at_rw(block, offset);
	used = used_bytes(d);
	if (used) {
		rec_len = le16_get(d->rec_len);
		d->rec_len = le16_make((uint16_t)used);
		offset += used;
		d = dirent_at_rw(block, offset);
		d->rec_len = le16_make((uint16_t)(rec_len - used));
	}
	write_entry(geo, d, name, name_len, ino, file_type);
	*ret_offset = offset;
	return 0;
}

int dirblock_insert(const struct geometry *geo, void *block, const char *name, unsigned name_len,
		    inr_t ino, uint8_t file_type)
{
	unsigned offset;

	return dirblock_insert_at(geo, block, name, name_len, ino, file_type, &offset);
}

unsigned dirblock_room(const struct geometry *geo, const void *block)
{
	unsigned offset = 0, most = 0;

	while (offset < geo->block_size) {
		const struct ext_dirent *d = dirent_at(block, offset);
		unsigned rec_len = checked_rec_len(geo, d, offset);

		if (!rec_len)
			break;
		most = max(most, rec_len - used_bytes(d));
		offset += rec_len;
	}
	if (most < REC_LEN_MIN)
		return 0;
	return min(most - HEADER_SIZE, EXT_NAME_LEN);
}

/* The used record that begins at this offset, and in *ret_before where the one before it begins. */
static struct ext_dirent *find_record(const struct geometry *geo, void *block, unsigned wanted,
				      unsigned *ret_before)
{
	unsigned offset = 0, before = 0;

	while (offset < geo->block_size) {
		struct ext_dirent *d = dirent_at_rw(block, offset);
		unsigned rec_len = checked_rec_len(geo, d, offset);

		if (!rec_len || offset > wanted)
			break;
		if (offset == wanted) {
			*ret_before = before;
			return is_used(d) ? d : NULL;
		}
		before = offset;
		offset += rec_len;
	}
	return NULL;
}

int dirblock_remove(const struct geometry *geo, void *block, unsigned offset)
{
	unsigned before;
	struct ext_dirent *d = find_record(geo, block, offset, &before);
	unsigned rec_len;

	if (!d)
		return -ENOENT;
	rec_len = le16_get(d->rec_len);
	memset(name_of_rw(d), 0, d->name_len);
	memset(d, 0, sizeof(*d));
	if (before == offset)
		d->rec_len = le16_make((uint16_t)rec_len);
	else
		le16_add(&dirent_at_rw(block, before)->rec_len, (uint16_t)rec_len);
	return 0;
}

int dirblock_set_inode(const struct geometry *geo, void *block, unsigned offset, inr_t ino,
		       uint8_t file_type)
{
	unsigned before;
	struct ext_dirent *d = find_record(geo, block, offset, &before);

	if (!d)
		return -ENOENT;
	d->inode = le32_make(ino);
	d->file_type = geo->has_filetype ? file_type : EXT_FT_UNKNOWN;
	return 0;
}

/* ---- whole blocks ---- */

void dirblock_init_empty(const struct geometry *geo, void *block)
{
	struct ext_dirent *d = block;

	memset(block, 0, geo->block_size);
	d->rec_len = le16_make((uint16_t)geo->block_size);
}

void dirblock_init_dots(const struct geometry *geo, void *block, inr_t self, inr_t parent)
{
	struct ext_dirent *dot = block;
	struct ext_dirent *dotdot = dirent_at_rw(block, DIRBLOCK_DOTDOT_OFFSET);

	memset(block, 0, geo->block_size);
	dot->rec_len = le16_make(DIRBLOCK_DOTDOT_OFFSET);
	write_entry(geo, dot, ".", 1, self, EXT_FT_DIR);
	dotdot->rec_len = le16_make((uint16_t)(geo->block_size - DIRBLOCK_DOTDOT_OFFSET));
	write_entry(geo, dotdot, "..", 2, parent, EXT_FT_DIR);
}

static bool entry_is(const struct dirblock_entry *e, const char *name, unsigned len)
{
	return e->ino && e->name_len == len && memcmp(e->name, name, len) == 0;
}

int dirblock_check_dots(const struct geometry *geo, const void *block, inr_t self, inr_t *ret_parent,
			char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	struct dirblock_entry dot, dotdot;
	unsigned offset = 0;

	if (dirblock_next(geo, block, &offset, &dot) != 1 || !entry_is(&dot, ".", 1) ||
	    offset != DIRBLOCK_DOTDOT_OFFSET)
		return refuse(why, "directory %u does not begin with \".\"", self);
	if (dot.ino != self)
		return refuse(why, "directory %u has inode %u as its \".\"", self, dot.ino);
	if (dirblock_next(geo, block, &offset, &dotdot) != 1 || !entry_is(&dotdot, "..", 2))
		return refuse(why, "directory %u has no \"..\" behind its \".\"", self);
	if (dotdot.ino > geo->inodes_count)
		return refuse(why, "directory %u has inode %u as its parent", self, dotdot.ino);
	*ret_parent = dotdot.ino;
	return 0;
}

bool dirblock_is_empty(const struct geometry *geo, const void *block)
{
	struct dirblock_entry e;
	unsigned offset = 0;
	int more;

	while ((more = dirblock_next(geo, block, &offset, &e)) == 1)
		if (e.ino && !entry_is(&e, ".", 1) && !entry_is(&e, "..", 2))
			return false;
	return more == 0;
}

/* ---- file types ---- */

static const unsigned mode_of_type[EXT_FT_MAX] = {
	[EXT_FT_REG_FILE] = S_IFREG, [EXT_FT_DIR] = S_IFDIR,   [EXT_FT_CHRDEV] = S_IFCHR,
	[EXT_FT_BLKDEV] = S_IFBLK,   [EXT_FT_FIFO] = S_IFIFO,  [EXT_FT_SOCK] = S_IFSOCK,
	[EXT_FT_SYMLINK] = S_IFLNK,
};

uint8_t dirblock_type_of_mode(unsigned mode)
{
	uint8_t type;

	for (type = EXT_FT_REG_FILE; type < EXT_FT_MAX; type++)
		if (mode_of_type[type] == (mode & S_IFMT))
			return type;
	return EXT_FT_UNKNOWN;
}

unsigned dirblock_mode_of_type(uint8_t file_type)
{
	return file_type < EXT_FT_MAX ? mode_of_type[file_type] : 0;
}
