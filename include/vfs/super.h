/*
 * vfs/super.h - one mount.
 *
 * Purpose     What a mounted file system is to those above: its root, its tables, its sync and
 *             its totals.
 * Ownership   The file system creates it (super_init) inside its own object and destroys it.
 *             Disk, cache, clock and work queue are the mounter's and outlive it.
 * Locking     sb->rename_lock (RANK_RENAME): taken by renames between two directories, and by
 *             those that move or replace a directory (src/LOCKING.md).
 * Invariants  S1  after super_shutdown() no inode is in memory and nothing is dirty.
 */
#ifndef VFS_SUPER_H
#define VFS_SUPER_H

#include "base/clock.h"
#include "base/stats.h"
#include "base/work.h"
#include "cache/cache.h"
#include "vfs/dentry.h"
#include "vfs/inode.h"

struct statfs_info {
	uint64_t blocks, blocks_free, blocks_available;
	uint64_t files, files_free;
	uint32_t block_bytes, name_max;
	uint64_t fsid;
};

/* Free space for the disk to hear of. As fstrim(8) asks for it: bytes from the file system's start. */
struct trim_range {
	uint64_t start_bytes, len_bytes;
	uint64_t run_bytes_min;			/* shorter runs are not worth it */
	bool (*is_stopped)(void *arg);		/* asked between runs */
	void *arg;
	uint64_t trimmed_bytes;			/* what came of it, also when there was an error */
};

struct super_ops {
	/* Memory for an inode, inode_init() done; and back. */
	struct inode *(*alloc_inode)(struct super *sb);
	void (*free_inode)(struct inode *inode);
	/* Fills inode from disk by inode->ino. -ESTALE when that inode is not in use. */
	int (*read_inode)(struct inode *inode);
	/*
	 * The last reference is gone: with nlink 0 frees blocks and inode, else writes what is dirty;
	 * either way the mapping is empty afterwards.
	 */
	void (*evict_inode)(struct inode *inode);
	/* Everything to the disk; with wait, durable. */
	int (*sync)(struct super *sb, bool wait);
	int (*statfs)(struct super *sb, struct statfs_info *ret);
	/* -EINVAL a range outside, -EOPNOTSUPP a disk that cannot, -EINTR stopped. Mounted read-write. */
	int (*trim)(struct super *sb, struct trim_range *range);
	/* Unmount: everything durable, marked clean, freed. sb is gone afterwards. First error. */
	int (*put_super)(struct super *sb);
};

/* File data that went through the front end, for reports. */
struct transfer_stats {
	counter_t reads, read_bytes;		/* requests, and what was handed out */
	counter_t writes, write_bytes;		/* requests, and what was taken */
	counter_t gathered_bytes;		/* of read_bytes: copied once more, into one piece */
};

enum atime_mode { ATIME_RELATIME, ATIME_STRICT, ATIME_NONE };

struct super {
	const struct super_ops *ops;
	struct disk *disk;
	struct page_cache *cache;
	struct clock *clock;
	struct workqueue *work;
	struct inode *root;		/* referenced */
	uint32_t block_bytes;
	uint64_t file_bytes_max;	/* of a regular file */
	uint32_t links_max;
	_Atomic bool is_read_only;	/* mounted so, or became so by an error */
	bool is_sync;			/* -o sync */
	enum atime_mode atime_mode;
	bool has_bsd_groups;		/* -o grpid */

	struct mutex rename_lock;
	struct mutex icache_lock;	/* RANK_ICACHE */
	struct hash inodes;		/* [icache_lock] */
	struct list inode_lru;		/* [icache_lock] */
	struct cond inode_ready;	/* [icache_lock] a state changed */
	struct radix known;		/* [icache_lock] lookups of inodes that are not in memory */
	uint32_t nr_unused, unused_max;	/* [icache_lock] */
	struct dentry_cache *dentries;
	struct transfer_stats transfers;
};

struct super_config {
	struct disk *disk;
	struct page_cache *cache;
	struct clock *clock;
	struct workqueue *work;
	uint32_t unused_inodes_max;	/* default 16384 */
	uint32_t dentries_max;		/* default 65536 */
};

int super_init(struct super *sb, const struct super_ops *ops, const struct super_config *config) must_check;
void super_done(struct super *sb);	/* after all inodes are gone */
/*
 * Drops every inode: the front end is gone, so references that it still held are dropped with it.
 * Called by put_super first.
 */
void super_drop_inodes(struct super *sb);

int super_sync(struct super *sb) must_check;
int super_statfs(struct super *sb, struct statfs_info *ret) must_check;
/* -EROFS, or as ops->trim. Files may be written and removed meanwhile. */
int super_trim(struct super *sb, struct trim_range *range) must_check;
/* Unmounts: ops->put_super. */
int super_shutdown(struct super *sb) must_check;

#endif
