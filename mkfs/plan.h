/*
 * mkfs/plan.h - the file system as a value, before anything is written.
 *
 * Purpose     From what the user asked for to where every block will lie. mkfs prints the plan,
 *             then carries it out (write.h); -n and the unit tests stop at the plan.
 * Ownership   Plain values.
 * Locking     None: pure.
 * Invariants  P1  super passes super_check(), and geo is what that gate made of it.
 *             P2  A block is in use exactly if it is metadata of its group (head, bitmaps, table),
 *                 lies before data_end, or belongs to lost+found. Files are laid down in the
 *                 order root, lost+found, the resize inode's block, journal, each in the next
 *                 free block; but lost+found begins in the group that has its inode.
 *             P3  The counts in super and in the descriptors agree with the bitmaps.
 * Units       As named; fsblk_t in blocks of geo.block_size.
 * Errors      -EINVAL what was asked for cannot be, -ENOSPC it does not fit; a sentence in err.
 * Sources     FORMAT.md 3, and "What mkfs.extant does differently from mke2fs" there.
 */
#ifndef MKFS_PLAN_H
#define MKFS_PLAN_H

#include "layout/feature.h"
#include "layout/geometry.h"

#define PLAN_LPF_BLOCKS_MAX EXT_NDIR_BLOCKS
#define JOURNAL_SIZE_DEFAULT UINT64_MAX

/* A size as typed: a number of blocks, or of something whose size is known. */
struct size_arg {
	uint64_t count;
	uint64_t unit_bytes;	/* 0: blocks of the file system */
};

/* What was asked for. Zero means "the default" unless a comment says otherwise. */
struct mkfs_params {
	bool is_ext3;			/* the default features have a journal */
	uint64_t size_bytes;		/* of the room that there is; never 0 */
	unsigned block_size;
	unsigned block_size_min;	/* -b -N, or the device's sectors; block_size 0 is at least this */
	unsigned inode_size;
	unsigned inode_ratio;		/* bytes of the disk for each inode */
	uint64_t nr_inodes;
	uint32_t blocks_per_group;
	double reserved_percent;	/* no default: set it */
	const char *usage;		/* comma list of usage types, or NULL: by size */

	uint32_t feature_set[3];	/* by enum feature_class, over the default features */
	uint32_t feature_clear[3];
	bool wants_journal;		/* -j or -J */
	uint64_t journal_mib;		/* 0 or JOURNAL_SIZE_DEFAULT: by size */
	uint32_t rev_level;		/* no default: set it */
	bool super_only;		/* -S */

	uint16_t errors;
	uint32_t creator_os;
	uint32_t extra_flags;		/* of the superblock */
	char label[16];
	char last_mounted[64];
	uint8_t uuid[16];
	uint8_t hash_seed[16];
	struct size_arg resize;		/* -E resize= */
	uint64_t stride, stripe_width;	/* blocks */
	uint64_t io_min_bytes, io_opt_bytes;	/* what the device likes, for the two above */
	uint32_t root_uid, root_gid;
	int64_t now;			/* seconds since 1970; for every time there is */
};

struct plan {
	struct ext_super super;		/* the primary, as it will be written; of the copies see write.c */
	struct geometry geo;
	uint64_t blocks_unused;		/* at the end: too few for a group */
	uint32_t stride;		/* blocks by which bitmaps are staggered from group to group */
	uint32_t root_uid, root_gid;
	int64_t now;
	bool super_only;
	bool journal_does_not_fit;	/* it was wanted, and the file system is too small */

	fsblk_t root_block;
	fsblk_t lpf_blocks[PLAN_LPF_BLOCKS_MAX];
	unsigned nr_lpf_blocks;
	bool lpf_is_apart;		/* in a later group, as one run; with fewer than 11 inodes a group */
	fsblk_t resize_block;		/* the resize inode's double indirect block, or 0 */
	fsblk_t journal_start;		/* where the journal's search for free blocks begins */
	lblk_t journal_blocks;		/* 0: none; without its indirect blocks */
	uint64_t journal_tree_blocks;	/* the indirect ones */
	fsblk_t data_end;		/* P2 */
};

/* Where the three things that each group has will lie. */
struct group_places {
	fsblk_t block_bitmap;
	fsblk_t inode_bitmap;
	fsblk_t inode_table;
};

int plan_make(const struct mkfs_params *params, struct plan *ret, char *err, size_t err_size) must_check;

struct group_places plan_group_places(const struct plan *plan, group_t g);
/* The descriptor of a group, with the counts that the finished file system has. */
void plan_group_desc(const struct plan *plan, group_t g, struct ext_group_desc *ret);
/* The bitmaps of a group, geo.block_size bytes each. */
void plan_block_bitmap(const struct plan *plan, group_t g, void *bitmap);
void plan_inode_bitmap(const struct plan *plan, group_t g, void *bitmap);
/*
 * The first block from `from` on that is no metadata, and how many follow it without metadata
 * between, up to the group's end. Returns blocks_count, with length 0, when there is none.
 */
fsblk_t plan_free_run(const struct plan *plan, fsblk_t from, uint64_t *ret_len);
/* Inodes of the group that are in use: the reserved ones and lost+found. */
uint32_t plan_used_inodes(const struct plan *plan, group_t g);

/* The default length of a journal for so many blocks, 0 if they are too few for one. */
lblk_t plan_default_journal(uint64_t blocks_count);
/* True if `name` is a usage type (-T). */
bool plan_usage_is_known(const char *name, size_t len);

#endif
