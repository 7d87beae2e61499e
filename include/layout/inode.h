/*
 * layout/inode.h - inodes between their bytes and their meaning.
 *
 * Purpose     struct inode_fields is an inode in host terms: wide ids, nanosecond times, a device
 *             number. The codec turns it into any inode size and back; inode_check() is the gate.
 * Ownership   Values; bytes belong to the caller.
 * Locking     None.
 * Invariants  I1  decode after encode gives the same fields, but for times that had to be clamped.
 *             I2  encode leaves every byte it does not own as it was: xattrs behind extra_isize,
 *                 osd fields, checksum, version, project.
 * Units       size in bytes, blocks in units of 512 bytes, extra_isize in bytes beyond 128.
 * Errors      -EUCLEAN impossible, -ESTALE not in use; why holds a clause.
 * Sources     FORMAT.md 5.
 */
#ifndef LAYOUT_INODE_H
#define LAYOUT_INODE_H

#include <sys/stat.h>
#include <time.h>

#include "layout/geometry.h"

struct inode_fields {
	uint16_t mode;
	uint16_t links;
	uint32_t uid, gid;
	uint64_t size;		/* 32 bits unless a regular file */
	uint64_t blocks;	/* 512-byte units */
	uint32_t flags;		/* EXT_*_FL */
	uint32_t generation;
	fsblk_t file_acl;	/* xattr block, or 0 */
	struct timespec atime, mtime, ctime;
	struct timespec crtime;	/* if has_crtime */
	uint32_t dtime;		/* of an orphan: next orphan's inode number */
	uint32_t block[EXT_N_BLOCKS];	/* host-endian; of a fast symlink see inode_symlink_target() */
	dev_t rdev;		/* character and block devices; 0 otherwise */
	uint16_t extra_isize;	/* 0 in 128-byte inodes and in large ones that nobody used yet */
	bool has_crtime;	/* extra_isize covers it: set by decode, obeyed by nobody */
};

/*
 * Decodes geo->inode_size bytes (aligned to 4). Never fails and trusts nothing: what is impossible
 * comes out as it is, except that nanoseconds above 999999999 become that. Ask inode_check() next.
 */
void inode_decode(const struct geometry *geo, const void *bytes, struct inode_fields *ret);

/*
 * Writes fields over geo->inode_size bytes. For a new inode zero the bytes before. Extra fields are
 * written as far as fields->extra_isize covers them; where it grew over what the bytes said, the newly
 * covered bytes are zeroed first. Times outside the format's range are clamped to its ends
 * (1901..2038 in 128 bytes, 1901..2446 else). For devices block[0] and block[1] are made from rdev,
 * which device_is_encodable(). Returns true when a size needs the large_file feature.
 */
bool inode_encode(const struct geometry *geo, const struct inode_fields *fields, void *bytes);

/* extra_isize for a new inode: 32, or 0 where inodes have 128 bytes. */
uint16_t inode_default_extra_isize(const struct geometry *geo);

/*
 * The gate: is this inode possible here? -ESTALE for an unused one (mode and links 0); an inode with
 * links 0 and a mode passes: it is an orphan or was deleted, which only the caller can tell. Checked
 * are the type, size against type and limits, extra_isize, xattr block, the 15 block numbers of what
 * has a tree, fast symlinks, and flags whose features do not exist here. i_blocks is not judged.
 */
must_check int inode_check(const struct geometry *geo, inr_t ino, const struct inode_fields *fields,
			   char *why, size_t why_size);

/* True if the symlink's target lies in block[] (it has no blocks but an xattr block). */
bool inode_is_fast_symlink(const struct geometry *geo, const struct inode_fields *fields);

/* True if block[] is a tree of block numbers: regular files, directories, slow symlinks. */
bool inode_has_tree(const struct geometry *geo, const struct inode_fields *fields);

/* The target of a checked fast symlink between block[] and bytes; fields->size bytes (<= 59), no terminator. */
void inode_symlink_target(const struct inode_fields *fields, char *ret);
void inode_set_symlink_target(struct inode_fields *fields, const char *target, unsigned len);

/* Device numbers: 8:8 bits in block[0], else 12:20 bits in block[1]. */
bool device_is_encodable(dev_t dev);
void device_encode(dev_t dev, uint32_t block[2]);
dev_t device_decode(const uint32_t block[2]);

/* A time as it would read back from an inode with or without the extra fields. */
struct timespec inode_clamp_time(struct timespec t, bool has_extra);

/* True if inodes of this extra_isize keep nanoseconds of all three times. */
static inline bool inode_has_nanoseconds(uint16_t extra_isize)
{
	return extra_isize >= offsetof(struct ext_inode, crtime) - EXT_GOOD_OLD_INODE_SIZE;
}

#endif
