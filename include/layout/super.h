/*
 * layout/super.h - the gate for superblocks.
 *
 * Purpose     super_check() is the one place that decides whether 1024 bytes can be the
 *             superblock of a file system on a disk of a given size, and the one that makes a
 *             struct geometry. Nothing else reads a superblock before it said yes.
 * Ownership   Bytes belong to the caller and are not changed.
 * Locking     None.
 * Invariants  After a 0, G1 to G4 of geometry.h hold and the file system lies inside the disk, so
 *             a buffer sized from the geometry is never larger than the disk justifies.
 * Errors      -EINVAL     no ext magic: this is not an ext file system at all
 *             -EOPNOTSUPP it is one, with a revision, block size or feature that is not supported
 *             -EUCLEAN    it is one, and says something impossible
 *             In each case why holds one clause without a full stop, ready for a message.
 * Sources     FORMAT.md 1 and 3.
 */
#ifndef LAYOUT_SUPER_H
#define LAYOUT_SUPER_H

#include "layout/geometry.h"

/*
 * Checks a superblock against a disk of disk_size_bytes (UINT64_MAX: unknown, as for mkfs before
 * the file has its size). Sets *ret only on success. Refuses what feature_check() refuses; whether
 * writing is allowed is for the caller to ask there.
 */
must_check int super_check(const struct ext_super *super, uint64_t disk_size_bytes,
			   struct geometry *ret, char *why, size_t why_size);

/* Does the magic match? For those who only ask what lies on a disk. */
static inline bool super_has_magic(const struct ext_super *super)
{
	return le16_get(super->magic) == EXT_SUPER_MAGIC;
}

/* The byte of the disk at which group g's copy of the superblock begins; 1024 for group 0. */
uint64_t super_location(const struct geometry *geo, group_t g);

/*
 * Walks the groups with a superblock: for (g = 0; g < geo->groups_count; g = super_next_group(geo, g)).
 * Returns groups_count behind the last.
 */
group_t super_next_group(const struct geometry *geo, group_t g);

/*
 * Where the first backup lies when the primary is unreadable and groups have their usual size:
 * the block of group 1 for this block size (8193, 16384, 32768).
 */
fsblk_t super_backup_guess(unsigned block_size);

/* True if a and b, both checked, describe the same geometry and features (a backup that fits its primary). */
bool geometry_equal(const struct geometry *a, const struct geometry *b);

#endif
