/*
 * fsck/problem.h - everything that can be wrong, one row each, and the decision what to do.
 *
 * Purpose     A pass names a problem and where it is; the row says how it is told, what is asked, and
 *             whether it may be repaired without a person looking (-p). Whether the answer is yes comes
 *             from the mode, or from the terminal.
 * Ownership   Rows are constants. struct where is a value.
 * Locking     One thread.
 * Invariants  Q1  A problem that is left unrepaired makes the exit status say so, unless its row is
 *                 harmless. Q2  Under -n the answer is no.
 * Sources     FSCK.md has the table with explanations.
 */
#ifndef FSCK_PROBLEM_H
#define FSCK_PROBLEM_H

#include "base/types.h"

enum problem_code {
	/* 0: superblock and descriptors */
	SUPER_UNUSABLE,
	SUPER_FROM_BACKUP,
	SUPER_RESERVED_TOO_MANY,
	SUPER_EXTRA_ISIZE,
	SUPER_FLEX,
	SUPER_QUOTA,
	SUPER_ORPHAN_FILE,
	SUPER_ORPHAN_FILE_STALE,
	SUPER_DESC_SIZE,
	SUPER_MTIME_FUTURE,
	SUPER_WTIME_FUTURE,
	SUPER_FREE_IMPOSSIBLE,
	SUPER_NO_UUID,
	SUPER_RESERVED_GDT,
	SUPER_HASH_UNSET,
	SUPER_BACKUPS_DIFFER,
	SUPER_SHORT_DISK,
	DESC_FROM_BACKUP,
	DESC_BLOCK_BITMAP,
	DESC_INODE_BITMAP,
	DESC_INODE_TABLE,
	DESC_COUNTS,
	DESC_UNINIT,
	RESIZE_INODE_SET,
	RESIZE_INODE_BAD,
	RESIZE_INODE_REST,
	JOURNAL_INODE_BAD,
	JOURNAL_NUMBER,
	JOURNAL_TWO,
	JOURNAL_FIELDS,
	JOURNAL_INODE_COPY,
	JOURNAL_SUPER_BAD,
	JOURNAL_FEATURES,
	JOURNAL_RECOVER_SET,
	JOURNAL_REBUILT,
	JOURNAL_CORRUPT,
	JOURNAL_NOT_REPLAYED,
	JOURNAL_HAS_DATA,
	SUPER_FIRST_INO,
	INODE_FREE_FLAGS,
	ORPHAN_HEAD_BAD,
	ORPHAN_NEXT_BAD,
	ORPHAN_CLEARED,
	ORPHAN_TRUNCATED,
	ORPHAN_BROKEN,
	/* 1: inodes and their blocks */
	TABLE_CONFLICT,
	BLOCK_BITMAP_CONFLICT,
	INODE_BITMAP_CONFLICT,
	TABLE_RELOCATED,
	TABLE_NO_ROOM,
	INODE_READ,
	BAD_INODE_FIELDS,
	BAD_INODE_BLOCK,
	BAD_INODE_USED,
	BAD_INODE_METADATA,
	ROOT_NOT_DIR,
	ROOT_DTIME,
	JOURNAL_MODE,
	JOURNAL_INODE_UNUSED_SET,
	RESERVED_INODE_SET,
	RESERVED_MODE,
	LOW_DTIME,
	ZERO_DTIME,
	SET_DTIME,
	FADDR,
	DIR_SIZE_HIGH,
	ACL_HIGH,
	BLOCKS_HIGH,
	IMAGIC,
	FOREIGN_FLAGS,
	EXTENTS_SET,
	INLINE_SET,
	EXTRA_ISIZE,
	XATTR_INODE_BAD,
	XATTR_NO_FEATURE,
	XATTR_BLOCK_NUMBER,
	XATTR_BLOCK_BAD,
	XATTR_REFCOUNT,
	TIME_ENCODING,
	REALLY_DIR,
	MODE_BAD,
	DEVICE_BAD,
	SPECIAL_IMMUTABLE,
	SPECIAL_SIZE,
	SYMLINK_BAD,
	BLOCK_ILLEGAL,
	BLOCK_ILLEGAL_MANY,
	IND_IN_METADATA,
	IND_UNREADABLE,
	DIR_TOO_BIG,
	SYMLINK_TOO_BIG,
	DIR_EMPTY,
	HTREE_NOT_DIR,
	HTREE_NO_FEATURE,
	HTREE_ROOT,
	INODE_SIZE,
	INODE_BLOCKS,
	DUP_HEADER,
	/* 1B: blocks claimed twice */
	DUP_INODE,
	DUP_CLONE_FAILED,
	/* 2: directories */
	DIR_HOLE,
	DIR_BLOCK_READ,
	DIRENT_CORRUPT,
	DOT_MISSING,
	DOT_NOT_FIRST,
	DOT_UNPADDED,
	DOT_INODE,
	DOT_LONG,
	DOTDOT_MISSING,
	DOTDOT_NOT_SECOND,
	DOTDOT_UNPADDED,
	ENTRY_INODE_BAD,
	ENTRY_INODE_UNUSED,
	ENTRY_SELF,
	ENTRY_ROOT,
	ENTRY_DOT,
	ENTRY_DOTDOT,
	ENTRY_NAMELESS,
	ENTRY_NAME_CHARS,
	ENTRY_TYPE_WRONG,
	ENTRY_TYPE_UNSET,
	ENTRY_TYPE_SET,
	ENTRY_DIR_AGAIN,
	ENTRY_DUPLICATE,
	HTREE_LIMIT,
	HTREE_COUNT,
	HTREE_BAD_BLOCK,
	HTREE_ORDER,
	HTREE_DEPTH,
	HTREE_MIN,
	HTREE_MAX,
	HTREE_UNREFERENCED,
	HTREE_TWICE,
	HTREE_CLEAR,
	LARGE_FILE_FEATURE,
	/* 3: connectivity */
	ROOT_MISSING,
	DIR_UNCONNECTED,
	DIR_LOOP,
	DOTDOT_WRONG,
	LOST_FOUND_MISSING,
	LOST_FOUND_NOT_DIR,
	LOST_FOUND_FAILED,
	/* 4: link counts */
	INODE_UNATTACHED,
	INODE_UNATTACHED_EMPTY,
	LINKS_WRONG,
	/* 5: bitmaps and totals */
	BLOCK_BITMAP_DIFFERS,
	BLOCK_BITMAP_PADDING,
	INODE_BITMAP_DIFFERS,
	INODE_BITMAP_PADDING,
	GROUP_FREE_BLOCKS,
	GROUP_FREE_INODES,
	GROUP_DIRS,
	FREE_BLOCKS,
	FREE_INODES,
	NR_PROBLEMS
};

/* What a row's text speaks of; fill what it names, the rest stays zero. */
struct where {
	inr_t ino; /* %i */
	inr_t dir; /* %d */
	fsblk_t block; /* %b */
	lblk_t lblk; /* %l; for indirect blocks the first block of the file below them */
	group_t group; /* %g */
	uint64_t num, num2; /* %n %m */
	unsigned level; /* %k: what kind of block of a file: 0 data, 1 to 3 indirect */
	const char *str; /* %s */
	const char *name; /* %e: the name of an entry, quoted, with name_len */
	unsigned name_len;
};

struct fsck;

/* Tells the problem and decides: true, repair it. Does not come back when -p has to give up. */
bool problem(struct fsck *f, enum problem_code code, struct where w);

/* A stable word for each problem, for reports and tests. */
const char *problem_name(enum problem_code code);

/* Ends what a terminal answer "all" has begun and prints the end of a JSON report. */
void problem_report_begin(struct fsck *f);
void problem_report_end(struct fsck *f, int status);

#endif
