/*
 * ext/super.h - mounting an ext2 or ext3 file system.
 *
 * Purpose     From an open disk to a mounted tree. The one public header of the room.
 * Ownership   ext_mount() makes the super; super_shutdown() (vfs/super.h) unmounts and frees it.
 *             Disk, cache, clock and work queue stay the caller's.
 * Errors      -ENODEV not an ext file system, -EUCLEAN damaged, -EOPNOTSUPP a feature that is not
 *             supported, -EROFS read-write was asked of a read-only disk, -EBUSY the journal
 *             needs recovery, -EIO, -ENOMEM; `why` says it in a sentence for the user.
 * Sources     FORMAT.md.
 */
#ifndef EXT_SUPER_H
#define EXT_SUPER_H

#include "base/types.h"
#include "vfs/super.h"

/* What becomes of file data before the metadata that leads to it is durable. */
enum ext_data_mode { EXT_DATA_DEFAULT, EXT_DATA_ORDERED, EXT_DATA_WRITEBACK, EXT_DATA_JOURNAL };
enum ext_errors_policy { EXT_ON_ERROR_DEFAULT, EXT_ON_ERROR_CONTINUE, EXT_ON_ERROR_RO, EXT_ON_ERROR_PANIC };

struct ext_mount_config {
	bool is_read_only;
	bool no_load;			/* -o noload, norecovery: do not look at the journal (read-only) */
	enum ext_errors_policy errors;
	fsblk_t super_block;		/* -o sb=N in units of 1 KiB; 0: the primary */
	uid_t resuid;			/* may use reserved blocks; (uid_t)-1: as the superblock says */
	gid_t resgid;
	enum atime_mode atime_mode;
	bool is_sync;
	bool has_bsd_groups, has_minix_df;
	bool may_replay_read_only;	/* the disk keeps writes to itself (cowdisk): replay even if read-only */
	enum ext_data_mode data_mode;	/* -o data=; default: as the superblock says, else ordered */
	bool has_discard;		/* -o discard: freed blocks are discarded when that is durable */
	bool has_dax;			/* -o dax: file data past the cache; the disk has direct access */
	bool no_barrier;		/* -o nobarrier: the disk has no volatile cache */
	bool no_journal_checksum;
	uint32_t commit_interval_ms;	/* 0: the default, 5000 */
	const char *mounted_on;		/* recorded in the superblock; may be NULL */
	uint64_t seed;			/* inode generations; 0: from the system */
};

int ext_mount(const struct ext_mount_config *config, const struct super_config *super_config,
	      struct super **ret_sb, char *why, size_t why_size) must_check;

/* The journal's counters, or NULL when there is none. */
struct journal_stats;
const struct journal_stats *ext_journal_stats(struct super *sb);

/* How the mount fares: whether damage was found since (the first finding in text, if any). */
bool ext_has_errors(struct super *sb, char *text, size_t text_size);

#endif
