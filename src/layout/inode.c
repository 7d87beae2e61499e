/* Inodes between their bytes and their meaning, and their gate. FORMAT.md 5. */
#include "layout/inode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/assert.h"
#include "refuse.h"

#define NSEC_MAX		999999999u
#define EPOCH_BITS		2u	/* of an extra time: bits 32 and 33 of the seconds */
#define EPOCH_MASK		3u
#define TIME_MIN		INT64_C(-0x80000000)
#define TIME_MAX_PLAIN		INT64_C(0x7fffffff)
#define TIME_MAX_EXTRA		(INT64_C(0x3ffffffff) - INT64_C(0x80000000))
#define LARGE_FILE_BYTES	UINT64_C(0x80000000)

/* ---- extra fields ---- */

/* Bytes of the inode that carry fields: 128, and what extra_isize adds inside the inode's size. */
static unsigned fields_end(const struct geometry *geo, uint16_t extra_isize)
{
	unsigned end = EXT_GOOD_OLD_INODE_SIZE;

	if (geo->inode_size > end)
		end += extra_isize;
	return min(end, geo->inode_size);
}

/* Does the inode have this member of struct ext_inode, given fields_end()? */
#define has_field(end, member)                                                        \
	(offsetof(struct ext_inode, member) + sizeof(((struct ext_inode *)0)->member) <= (end))

uint16_t inode_default_extra_isize(const struct geometry *geo)
{
	if (geo->inode_size < sizeof(struct ext_inode))
		return 0;
	return EXT_EXTRA_ISIZE;
}

/* ---- times ---- */

static struct timespec decode_plain_time(le32_t seconds)
{
	return (struct timespec){.tv_sec = (int32_t)le32_get(seconds)};
}

static struct timespec decode_time(le32_t seconds, le32_t extra)
{
	struct timespec t = decode_plain_time(seconds);
	uint32_t x = le32_get(extra);

	t.tv_sec += (int64_t)(x & EPOCH_MASK) << 32;
	t.tv_nsec = min(x >> EPOCH_BITS, NSEC_MAX);
	return t;
}

struct timespec inode_clamp_time(struct timespec t, bool has_extra)
{
	int64_t max_seconds = has_extra ? TIME_MAX_EXTRA : TIME_MAX_PLAIN;

	if (t.tv_sec < TIME_MIN)
		return (struct timespec){.tv_sec = TIME_MIN};
	if (t.tv_sec > max_seconds)
		return (struct timespec){.tv_sec = max_seconds};
	if (!has_extra)
		t.tv_nsec = 0;
	return t;
}

static void encode_plain_time(struct timespec t, le32_t *seconds)
{
	*seconds = le32_make((uint32_t)inode_clamp_time(t, false).tv_sec);
}

static void encode_time(struct timespec t, le32_t *seconds, le32_t *extra)
{
	int64_t epoch;

	t = inode_clamp_time(t, true);
	epoch = ((int64_t)t.tv_sec - (int32_t)t.tv_sec) >> 32;
	*seconds = le32_make((uint32_t)t.tv_sec);
	*extra = le32_make((uint32_t)t.tv_nsec << EPOCH_BITS | ((uint32_t)epoch & EPOCH_MASK));
}

static void decode_times(const struct ext_inode *raw, unsigned end, struct inode_fields *f)
{
	f->atime = has_field(end, atime_extra) ? decode_time(raw->atime, raw->atime_extra)
					       : decode_plain_time(raw->atime);
	f->ctime = has_field(end, ctime_extra) ? decode_time(raw->ctime, raw->ctime_extra)
					       : decode_plain_time(raw->ctime);
	f->mtime = has_field(end, mtime_extra) ? decode_time(raw->mtime, raw->mtime_extra)
					       : decode_plain_time(raw->mtime);
	f->has_crtime = has_field(end, crtime);
	if (has_field(end, crtime_extra))
		f->crtime = decode_time(raw->crtime, raw->crtime_extra);
	else if (f->has_crtime)
		f->crtime = decode_plain_time(raw->crtime);
}

static void encode_times(const struct inode_fields *f, unsigned end, struct ext_inode *raw)
{
	if (has_field(end, atime_extra))
		encode_time(f->atime, &raw->atime, &raw->atime_extra);
	else
		encode_plain_time(f->atime, &raw->atime);
	if (has_field(end, ctime_extra))
		encode_time(f->ctime, &raw->ctime, &raw->ctime_extra);
	else
		encode_plain_time(f->ctime, &raw->ctime);
	if (has_field(end, mtime_extra))
		encode_time(f->mtime, &raw->mtime, &raw->mtime_extra);
	else
		encode_plain_time(f->mtime, &raw->mtime);
	if (has_field(end, crtime_extra))
		encode_time(f->crtime, &raw->crtime, &raw->crtime_extra);
	else if (has_field(end, crtime))
		encode_plain_time(f->crtime, &raw->crtime);
}

/* ---- device numbers ---- */

bool device_is_encodable(dev_t dev)
{
	return major(dev) <= 0xfff && minor(dev) <= 0xfffff;
}

void device_encode(dev_t dev, uint32_t block[2])
{
	uint32_t mjr = major(dev), mnr = minor(dev);

	block[0] = 0;
	block[1] = 0;
	if (mjr < 256 && mnr < 256)
		block[0] = mjr << 8 | mnr;
	else
		block[1] = (mnr & 0xff) | (mjr & 0xfff) << 8 | (mnr & 0xfff00) << 12;
}

dev_t device_decode(const uint32_t block[2])
{
	if (block[0])
		return makedev(block[0] >> 8 & 0xff, block[0] & 0xff);
	return makedev(block[1] >> 8 & 0xfff, (block[1] & 0xff) | (block[1] >> 12 & 0xfff00));
}

static bool is_device(uint16_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

/* ---- sizes ---- */

/* Units of 512 bytes per unit of i_blocks: with huge_file an inode may count in blocks. */
static unsigned blocks_unit(const struct geometry *geo, uint32_t flags)
{
	if (geo->has_huge_file && (flags & EXT_HUGE_FILE_FL))
		return geo->block_size / SECTOR_SIZE;
	return 1;
}

static uint64_t decode_blocks(const struct geometry *geo, const struct ext_inode *raw)
{
	uint64_t blocks = le32_get(raw->blocks);

	if (geo->has_huge_file)
		blocks |= (uint64_t)le16_get(raw->blocks_high) << 32;
	return blocks * blocks_unit(geo, le32_get(raw->flags));
}

static void encode_blocks(const struct geometry *geo, const struct inode_fields *f,
			  struct ext_inode *raw)
{
	uint64_t blocks = f->blocks / blocks_unit(geo, f->flags);

	raw->blocks = le32_make((uint32_t)blocks);
	if (geo->has_huge_file)
		raw->blocks_high = le16_make((uint16_t)(blocks >> 32));
}

static uint64_t decode_size(const struct ext_inode *raw)
{
	uint64_t size = le32_get(raw->size);

	if (S_ISREG(le16_get(raw->mode)))
		size |= (uint64_t)le32_get(raw->size_high) << 32;
	return size;
}

/* ---- the codec ---- */

void inode_decode(const struct geometry *geo, const void *bytes, struct inode_fields *ret)
{
	const struct ext_inode *raw = bytes;
	struct inode_fields f = {
		.mode = le16_get(raw->mode),
		.links = le16_get(raw->links_count),
		.uid = le16_get(raw->uid) | (uint32_t)le16_get(raw->uid_high) << 16,
		.gid = le16_get(raw->gid) | (uint32_t)le16_get(raw->gid_high) << 16,
		.size = decode_size(raw),
		.blocks = decode_blocks(geo, raw),
		.flags = le32_get(raw->flags),
		.generation = le32_get(raw->generation),
		.file_acl = le32_get(raw->file_acl),
		.dtime = le32_get(raw->dtime),
	};
	unsigned i;

	if (geo->inode_size > EXT_GOOD_OLD_INODE_SIZE)
		f.extra_isize = le16_get(raw->extra_isize);
	decode_times(raw, fields_end(geo, f.extra_isize), &f);
	for (i = 0; i < EXT_N_BLOCKS; i++)
		f.block[i] = le32_get(raw->block[i]);
	if (is_device(f.mode))
		f.rdev = device_decode(f.block);
	*ret = f;
}

/* Writes extra_isize, and zeroes what the inode did not use before and uses now. Returns fields_end(). */
static unsigned encode_extra_isize(const struct geometry *geo, const struct inode_fields *f,
				   struct ext_inode *raw)
{
	unsigned end = fields_end(geo, f->extra_isize);
	unsigned old_end;

	if (geo->inode_size == EXT_GOOD_OLD_INODE_SIZE)
		return end;
	old_end = fields_end(geo, le16_get(raw->extra_isize));
	if (end > old_end)
		memset((uint8_t *)raw + old_end, 0, end - old_end);
	raw->extra_isize = le16_make((uint16_t)(end - EXT_GOOD_OLD_INODE_SIZE));
	return end;
}

static void encode_block_array(const struct inode_fields *f, struct ext_inode *raw)
{
	uint32_t device[2];
	unsigned i;

	for (i = 0; i < EXT_N_BLOCKS; i++)
		raw->block[i] = le32_make(f->block[i]);
	if (is_device(f->mode)) {
		must(device_is_encodable(f->rdev));
		device_encode(f->rdev, device);
		raw->block[0] = le32_make(device[0]);
		raw->block[1] = le32_make(device[1]);
	}
}

bool inode_encode(const struct geometry *geo, const struct inode_fields *f, void *bytes)
{
	struct ext_inode *raw = bytes;

	raw->mode = le16_make(f->mode);
	raw->links_count = le16_make(f->links);
	raw->uid = le16_make((uint16_t)f->uid);
	raw->uid_high = le16_make((uint16_t)(f->uid >> 16));
	raw->gid = le16_make((uint16_t)f->gid);
	raw->gid_high = le16_make((uint16_t)(f->gid >> 16));
	raw->size = le32_make((uint32_t)f->size);
	raw->size_high = le32_make((uint32_t)(f->size >> 32));
	raw->flags = le32_make(f->flags);
	raw->generation = le32_make(f->generation);
	raw->file_acl = le32_make((uint32_t)f->file_acl);
	raw->dtime = le32_make(f->dtime);
	encode_blocks(geo, f, raw);
	encode_block_array(f, raw);
	encode_times(f, encode_extra_isize(geo, f, raw), raw);
	return S_ISREG(f->mode) && f->size >= LARGE_FILE_BYTES;
}

/* ---- symlinks ---- */

bool inode_is_fast_symlink(const struct geometry *geo, const struct inode_fields *f)
{
	uint64_t xattr_blocks = f->file_acl ? geo->block_size / SECTOR_SIZE : 0;

	return S_ISLNK(f->mode) && f->blocks == xattr_blocks;
}

bool inode_has_tree(const struct geometry *geo, const struct inode_fields *f)
{
	return S_ISREG(f->mode) || S_ISDIR(f->mode) ||
	       (S_ISLNK(f->mode) && !inode_is_fast_symlink(geo, f));
}

/* The target is bytes, block[] is numbers: through the disk's byte order and back. */
void inode_symlink_target(const struct inode_fields *f, char *ret)
{
	le32_t raw[EXT_N_BLOCKS];
	unsigned i;

	for (i = 0; i < EXT_N_BLOCKS; i++)
		raw[i] = le32_make(f->block[i]);
	memcpy(ret, raw, min(f->size, (uint64_t)EXT_FAST_SYMLINK_MAX));
}

void inode_set_symlink_target(struct inode_fields *f, const char *target, unsigned len)
{
	le32_t raw[EXT_N_BLOCKS] = {{0}};
	unsigned i;

	memcpy(raw, target, min(len, EXT_FAST_SYMLINK_MAX));
	for (i = 0; i < EXT_N_BLOCKS; i++)
		f->block[i] = le32_get(raw[i]);
	f->size = len;
}

/* ---- the gate ---- */

/* Each stands for a feature that is never mounted here: an inode that has it would be misread. */
#define FLAGS_NOT_POSSIBLE                                                            \
	(EXT_EXTENTS_FL | EXT_INLINE_DATA_FL | EXT_EA_INODE_FL | EXT_ENCRYPT_FL | EXT_CASEFOLD_FL)

static int check_type(inr_t ino, const struct inode_fields *f, struct why why)
{
	if (ino == EXT_ROOT_INO && (!S_ISDIR(f->mode) || f->links == 0))
		return refuse(why, "the root inode is not a directory (mode 0%o, links %u)", f->mode,
			      f->links);
	if (f->mode == 0 && f->links == 0) {
		snprintf(why.text, why.size, "inode %u is not in use", ino);
		return -ESTALE;
	}
	switch (f->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return refuse(why, "inode %u has the impossible mode 0%o", ino, f->mode);
	}
}

static int check_flags(inr_t ino, const struct inode_fields *f, struct why why)
{
	if (f->flags & FLAGS_NOT_POSSIBLE)
		return refuse(why, "inode %u has flags 0x%08x of features that are not on", ino,
			      f->flags & FLAGS_NOT_POSSIBLE);
	return 0;
}

static int check_extra(const struct geometry *geo, inr_t ino, const struct inode_fields *f,
		       struct why why)
{
	if (f->extra_isize % 4 || f->extra_isize > geo->inode_size - EXT_GOOD_OLD_INODE_SIZE)
		return refuse(why, "inode %u uses %u extra bytes of %u", ino, f->extra_isize,
			      geo->inode_size - EXT_GOOD_OLD_INODE_SIZE);
	if (f->file_acl && !block_is_valid(geo, f->file_acl))
		return refuse(why, "inode %u has its attributes in block %" PRIu64, ino, f->file_acl);
	return 0;
}

/* The size of what is in use; a deleted directory or symlink may have size 0. */
static int check_size(const struct geometry *geo, inr_t ino, const struct inode_fields *f,
		      struct why why)
{
	uint64_t smallest = f->links ? 1 : 0;
	uint64_t largest;

	if (S_ISREG(f->mode)) {
		smallest = 0;
		largest = geo->max_file_blocks << geo->block_bits;
	} else if (S_ISDIR(f->mode)) {
		largest = min(geo->max_file_blocks, geo->blocks_count) << geo->block_bits;
	} else if (inode_is_fast_symlink(geo, f)) {
		largest = EXT_FAST_SYMLINK_MAX;
	} else if (S_ISLNK(f->mode)) {
		largest = geo->max_symlink_bytes;
	} else {
		return 0;	/* devices, fifos and sockets have none; nobody reads it */
	}
	if (f->size < smallest || f->size > largest ||
	    (S_ISDIR(f->mode) && f->size % geo->block_size))
		return refuse(why, "inode %u (mode 0%o) has the impossible size %" PRIu64, ino, f->mode,
			      f->size);
	return 0;
}

static int check_tree(const struct geometry *geo, inr_t ino, const struct inode_fields *f,
		      struct why why)
{
	unsigned i;

	for (i = 0; i < EXT_N_BLOCKS; i++)
		if (f->block[i] && !block_is_valid(geo, f->block[i]))
			return refuse(why, "inode %u names block %u in slot %u", ino, f->block[i], i);
	return 0;
}

static int check_fast_symlink(inr_t ino, const struct inode_fields *f, struct why why)
{
	char target[EXT_FAST_SYMLINK_MAX];

	inode_symlink_target(f, target);
	if (memchr(target, '\0', f->size))
		return refuse(why, "inode %u: the symlink's target is shorter than its size %" PRIu64, ino,
			      f->size);
	return 0;
}

int inode_check(const struct geometry *geo, inr_t ino, const struct inode_fields *f, char *why_text,
		size_t why_size)
{
	struct why why = {why_text, why_size};
	int err = check_type(ino, f, why);

	if (!err)
		err = check_flags(ino, f, why);
	if (!err)
		err = check_extra(geo, ino, f, why);
	if (!err)
		err = check_size(geo, ino, f, why);
	if (!err && inode_has_tree(geo, f))
		err = check_tree(geo, ino, f, why);
	if (!err && inode_is_fast_symlink(geo, f))
		err = check_fast_symlink(ino, f, why);
	return err;
}
