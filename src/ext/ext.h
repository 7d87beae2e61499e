/*
 * ext/ext.h - the mounted file system and its inodes in memory (private to the room).
 *
 * Purpose     What every file of the room shares: struct ext (one mount) and struct
 *             ext_inode_info (one inode), with the lock of each field in brackets.
 * Ownership   struct ext embeds the vfs's super and goes with it; ext_inode_info embeds the vfs's
 *             inode. Descriptor blocks and the superblock's block are held from mount to unmount.
 * Locking     src/LOCKING.md. Group counters: a group lock (hashed). Bitmap and descriptor bytes:
 *             their buffer lock, taken before a group lock.
 * Invariants  E1  groups[g] passed group_desc_check(); its counters are what the descriptor says.
 *             E2  free_blocks and free_inodes are the sums over the groups.
 *             E3  an inode is in the orphan list on disk exactly when it is in fs->orphans.
 *             E4  info->block[] and the indirect blocks change only under tree_lock exclusively.
 */
#ifndef EXT_EXT_H
#define EXT_EXT_H

#include <errno.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/rand.h"
#include "base/rbtree.h"
#include "base/types.h"
#include "cache/buffer.h"
#include "cache/readahead.h"
#include "ext/super.h"
#include "journal/handle.h"
#include "journal/journal.h"
#include "layout/format.h"
#include "layout/geometry.h"
#include "layout/inode.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#define EXT_GROUP_LOCKS 64u		/* a power of two; groups share them by number */
#define EXT_RUNS_CACHED 4u		/* mapped runs that an inode remembers */

/* How much of a transaction each kind of change may touch: blocks, counted generously. */
#define CREDITS_INODE 2u		/* the table block, the superblock */
#define CREDITS_ALLOC 3u		/* bitmap, descriptor, superblock */
#define CREDITS_BRANCH (4u * CREDITS_ALLOC + 4u)	/* data and three indirect blocks */
#define CREDITS_WRITE (2u * CREDITS_BRANCH + CREDITS_INODE)
#define CREDITS_DIR_ADD (CREDITS_BRANCH + CREDITS_INODE + 2u)
#define CREDITS_NEW_INODE (CREDITS_ALLOC + CREDITS_INODE)
#define CREDITS_ORPHAN 4u		/* superblock, this inode and its neighbour */
#define CREDITS_CREATE (CREDITS_DIR_ADD + CREDITS_NEW_INODE + CREDITS_BRANCH + CREDITS_ORPHAN)
#define CREDITS_UNLINK (2u + 2u * CREDITS_INODE + CREDITS_ORPHAN)
#define CREDITS_RENAME (2u * CREDITS_DIR_ADD + 4u * CREDITS_INODE + CREDITS_ORPHAN + CREDITS_NEW_INODE)
#define CREDITS_TRUNCATE_STEP (CREDITS_INODE + CREDITS_ORPHAN + 16u)

enum ext_group_flags {
	GROUP_BLOCK_BITMAP_OK = 1u << 0,	/* passed its gate since mount */
	GROUP_INODE_BITMAP_OK = 1u << 1,
	GROUP_BLOCKS_BAD = 1u << 2,		/* failed it: nothing is allocated or freed here */
	GROUP_INODES_BAD = 1u << 3,
};

struct ext_group {
	fsblk_t block_bitmap, inode_bitmap, inode_table;	/* [none: set once at mount] */
	uint32_t head_blocks;		/* superblock copy and descriptors at its start [none] */
	/* [group lock to change]; whoever chooses a group reads them without, and looks again inside it */
	_Atomic uint32_t free_blocks, free_inodes, used_dirs;
	_Atomic uint32_t flags;
	uint8_t *held;			/* NULL, or a bitmap of the blocks that held.h is about [held_lock] */
	uint32_t nr_held;		/* bits set in it [held_lock] */
};

/* Blocks that one growing file has marked as its own, in memory only: [first, last], last 0 if none. */
struct reserve_window {
	struct rbnode node;		/* in fs->reserves, by first [reserve_lock] */
	fsblk_t first, last;		/* [reserve_lock to change; the owner's tree_lock to read] */
	uint32_t want_blocks;		/* size of the next one [tree_lock] */
	uint32_t used_blocks;		/* allocated from this one [tree_lock] */
};

struct ext {
	struct super sb;		/* the vfs's view; sb.ops leads back here */

	/* configuration, fixed at mount */
	struct geometry geo;
	struct ext_mount_config config;
	struct journal *journal;	/* NULL: metadata goes home by write-back alone */
	bool is_data_journal, is_data_writeback;	/* neither: ordered */
	uint64_t overhead_blocks;
	uint64_t journal_blocks;	/* of the log: nobody's to have */
	uint64_t reserved_blocks;
	uid_t resuid;
	gid_t resgid;
	enum ext_errors_policy errors;
	/* What inode.c gives to inodes, filled in by super.c, which stands above all of them. */
	const struct inode_ops *iops;
	const struct file_ops *file_fops, *dir_fops;
	const struct mapping_ops *mapping_ops;

	/* state */
	struct buffer_cache buffers;
	struct buffer *super_buffer;	/* the block with the primary superblock; NULL with sb= */
	uint32_t super_offset;		/* of the superblock in it */
	struct buffer **gdt;		/* geo.gdt_blocks of them */
	struct ext_group *groups;
	struct mutex group_locks[EXT_GROUP_LOCKS];
	_Atomic uint64_t free_blocks, free_inodes, used_dirs;
	_Atomic bool has_large_file;	/* the feature bit, set by the first file that needs it */
	uint16_t mount_state;		/* the superblock's when it was mounted: what an unmount restores */
	struct readahead_state inode_reads;	/* who goes through the inode tables in order */
	bool is_recovering;		/* mounting: inodes without links may be read [mount only] */
	_Atomic uint32_t next_dir_group;	/* where the next top-level directory looks first */

	_Atomic bool lacks_discard;	/* the disk could not */

	struct mutex orphan_lock;	/* RANK_ORPHAN: the list on disk and this one */
	struct list orphans;		/* newest first, as on disk */

	struct mutex reserve_lock;	/* RANK_RESERVE */
	struct rbtree reserves;

	/* Blocks that are free and not to be given away: held.h */
	struct mutex held_lock;		/* RANK_RESERVE */
	struct list freed;		/* not durably so yet, oldest first [held_lock] */
	_Atomic uint64_t nr_freed;	/* blocks in it */
	struct cond trimmed;		/* [held_lock] a run was */
	uint32_t nr_trimming, nr_trimmed;	/* runs: now, and ever (it wraps) [held_lock] */

	struct work error_work;		/* takes findings to the disk */
	_Atomic bool records_errors;	/* mounted read-write: it may */

	struct mutex state_lock;	/* RANK_LEAF: what follows */
	struct rand rand;		/* inode generations */
	uint32_t error_count;		/* damage found since mount, and not yet in the superblock */
	bool has_errors;		/* any since mount */
	uint8_t first_errcode, last_errcode;	/* EXT_ERRCODE_ */
	inr_t first_error_ino, last_error_ino;
	fsblk_t first_error_block, last_error_block;
	char first_error[160];
};

struct mapped_run {
	lblk_t lblk;
	fsblk_t block;
	uint32_t count;			/* 0: empty entry */
};

/* One of the orphan list. An inode that left memory and could not be freed stays on it, with a copy. */
struct orphan {
	struct list link;		/* in fs->orphans, or alone [orphan_lock] */
	inr_t ino;			/* [orphan_lock] */
	inr_t next;			/* what its dtime says on disk [orphan_lock] */
	struct ext_inode_info *info;	/* whose it is; NULL: the inode left memory [orphan_lock] */
};

struct ext_inode_info {
	struct inode vfs;		/* first, so that the two are one object */

	uint32_t flags;			/* EXT_*_FL [inode lock] */
	uint32_t dtime;			/* deletion time; orphans: the next one [its table block's buffer lock] */
	fsblk_t file_acl;		/* xattr block or 0 [inode lock] */
	uint16_t extra_isize;		/* [none: set once] */
	bool is_fast_symlink;		/* block[] holds the target [none: set once] */
	bool is_allocated;		/* has an inode number on disk to give back [creator, evict] */

	struct rwlock tree_lock;	/* RANK_TREE */
	uint32_t block[EXT_N_BLOCKS];	/* [tree_lock; E4] */
	struct reserve_window window;
	struct mutex run_lock;		/* RANK_LEAF: the next two */
	struct mapped_run runs[EXT_RUNS_CACHED];
	unsigned next_run;

	lblk_t dir_find_hint;		/* where the last name was found; any value is right */
	lblk_t dir_room_hint;		/* blocks before it have no room [inode lock] */

	struct orphan orphan;
	struct journal_inode ordered;	/* the journal's */
	/* For datalog.c: [inode lock; the first two may be read without] */
	_Atomic bool has_new;		/* it got blocks since it was read, ... */
	_Atomic tid_t new_tid;		/* ... the last ones in this transaction, ... */
	uint64_t new_since;		/* ... when its mapping's nr_writes was this */
	bool has_older_dirty;		/* some pages were dirty before these */
	_Atomic uint32_t ordered_mark;	/* errors of write-back before it do not stop a commit */
	_Atomic tid_t sync_tid;		/* the last transaction that changed it: fsync waits for that */
	_Atomic tid_t datasync_tid;	/* the last one without which its data cannot be read */
};

static inline struct ext *ext_of_super(struct super *sb)
{
	return container_of(sb, struct ext, sb);
}

static inline struct ext *ext_of(const struct inode *inode)
{
	return ext_of_super(inode->sb);
}

static inline struct ext_inode_info *info_of(const struct inode *inode)
{
	return container_of(inode, struct ext_inode_info, vfs);
}

static inline struct mutex *group_lock(struct ext *fs, group_t g)
{
	return &fs->group_locks[g & (EXT_GROUP_LOCKS - 1)];
}

/* The primary superblock in its buffer; its fields change under the buffer lock. */
static inline struct ext_super *ext_super_of(const struct ext *fs)
{
	return (struct ext_super *)((uint8_t *)buffer_data(fs->super_buffer) + fs->super_offset);
}

/*
 * A change of a metadata block: announced, locked, made, dirtied (journal/handle.h H1).
 * meta_begin() on success is followed by meta_end() of the same buffer.
 */
static inline int must_check meta_begin(struct handle *h, struct buffer *b)
{
	int err;

	/* On a damaged disk a block may have two owners, and was freed by the other while we hold it. */
	if (!page_test(&b->page, PAGE_UPTODATE))
		return -EUCLEAN;
	err = handle_get_write_access(h, b);
	if (!err)
		buffer_lock(b);
	return err;
}

static inline void meta_end(struct handle *h, struct buffer *b)
{
	handle_dirty_metadata(h, b);
	buffer_unlock(b);
}

#endif
