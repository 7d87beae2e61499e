/*
 * The table of problems, how one is told, and who answers.
 *
 * A row holds a stable word, the text with its places (problem.h, struct where), the question and
 * what is known about repairing it unseen.
 */
#include "problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "context.h"

enum question {
	Q_NONE, /* a notice: nothing to decide */
	Q_FIX,
	Q_CLEAR,
	Q_REMOVE,
	Q_ALLOCATE,
	Q_CLONE,
	Q_CONNECT,
	Q_RELOCATE,
	Q_RECREATE,
	Q_TRUNCATE,
	Q_RENAME,
	Q_USE,
	Q_REPLAY,
	NR_QUESTIONS
};

/* What is asked, and what -p and --json call it when it was done. */
static const struct {
	const char *ask, *done;
} questions[NR_QUESTIONS] = {
	[Q_NONE] = {"", ""},
	[Q_FIX] = {"Fix", "FIXED"},
	[Q_CLEAR] = {"Clear", "CLEARED"},
	[Q_REMOVE] = {"Remove", "REMOVED"},
	[Q_ALLOCATE] = {"Allocate", "ALLOCATED"},
	[Q_CLONE] = {"Clone", "CLONED"},
	[Q_CONNECT] = {"Connect to lost+found", "RECONNECTED"},
	[Q_RELOCATE] = {"Relocate", "RELOCATED"},
	[Q_RECREATE] = {"Recreate", "RECREATED"},
	[Q_TRUNCATE] = {"Truncate", "TRUNCATED"},
	[Q_RENAME] = {"Rename", "RENAMED"},
	[Q_USE] = {"Use it", "USED"},
	[Q_REPLAY] = {"Replay it", "REPLAYED"},
};

/* Row flags. */
#define PREEN    1u /* -p repairs it */
#define QUIET    2u /* ... without a word */
#define HARMLESS 4u /* left as it is, it is no error */
#define NOTICE   8u /* told, and no error by itself */
#define LEFT     16u /* nothing repairs it here: it is left whatever the mode */

struct row {
	const char *name;
	const char *text;
	enum question question;
	unsigned flags;
};

static const struct row rows[NR_PROBLEMS] = {
	[SUPER_UNUSABLE] = {"super-unusable", "The superblock is not usable: %s.", Q_NONE, 0},
	[SUPER_FROM_BACKUP] = {"super-from-backup", "The copy of the superblock in block %b is good.",
			       Q_USE, 0},
	[SUPER_RESERVED_TOO_MANY] = {"super-reserved", "%n blocks are reserved, more than half of %m.",
				     Q_FIX, 0},
	[SUPER_EXTRA_ISIZE] = {"super-extra-isize",
			       "The superblock wants %n extra bytes in inodes, which is "
			       "impossible.",
			       Q_FIX, PREEN},
	[SUPER_FLEX] = {"super-flex",
			"The superblock counts 2 to the power of %n groups in a flexible "
			"group.",
			Q_CLEAR, PREEN},
	[SUPER_QUOTA] = {"super-quota",
			 "The superblock names inodes of quotas, but the feature is off.", Q_CLEAR,
			 PREEN},
	[SUPER_ORPHAN_FILE] = {"super-orphan-file",
			       "The superblock calls inode %i the file of orphans, but the feature is "
			       "off.",
			       Q_CLEAR, PREEN},
	[SUPER_ORPHAN_FILE_STALE] = {"super-orphan-file-stale",
				     "The superblock names a file of orphans (inode %i), but the "
				     "feature is off.",
				     Q_CLEAR, PREEN | QUIET | HARMLESS},
	[SUPER_DESC_SIZE] = {"super-desc-size", "The superblock says that descriptors have %n bytes.",
			     Q_FIX, PREEN},
	[SUPER_MTIME_FUTURE] = {"super-mtime", "The superblock's last mount lies in the future.", Q_FIX,
				PREEN | HARMLESS},
	[SUPER_WTIME_FUTURE] = {"super-wtime", "The superblock's last write lies in the future.", Q_FIX,
				PREEN | HARMLESS},
	[SUPER_FREE_IMPOSSIBLE] = {"super-free",
				   "The superblock has more free blocks (%n) or inodes (%m) than there "
				   "are.",
				   Q_FIX, PREEN | HARMLESS},
	[SUPER_NO_UUID] = {"super-uuid", "The file system has no UUID.", Q_ALLOCATE, PREEN},
	[SUPER_RESERVED_GDT] = {"super-reserved-gdt",
				"%n descriptor blocks are reserved without a resize inode.", Q_CLEAR,
				0},
	[SUPER_HASH_UNSET] = {"super-hash-sign",
			      "The superblock does not say whether names are hashed as signed "
			      "bytes.",
			      Q_FIX, PREEN | QUIET},
	[SUPER_BACKUPS_DIFFER] = {"super-backups",
				  "The copy of the superblock in group %g differs from the "
				  "superblock.",
				  Q_FIX, PREEN | QUIET | HARMLESS},
	[SUPER_SHORT_DISK] = {"short-disk", "The file system has %n blocks, the disk only %m.", Q_NONE,
			      LEFT},
	[DESC_FROM_BACKUP] = {"desc-from-backup",
			      "The descriptor of group %g is impossible (%s); its copy in block %b is "
			      "good.",
			      Q_USE, 0},
	[DESC_BLOCK_BITMAP] = {"desc-block-bitmap",
			       "Group %g: the block bitmap (%b) is not in the group.", Q_RELOCATE, 0},
	[DESC_INODE_BITMAP] = {"desc-inode-bitmap",
			       "Group %g: the inode bitmap (%b) is not in the group.", Q_RELOCATE, 0},
	[DESC_INODE_TABLE] = {"desc-inode-table",
			      "Group %g: the inode table (%b) is not in the group. Its files are "
			      "lost.",
			      Q_RELOCATE, 0},
	[DESC_COUNTS] = {"desc-counts", "Group %g: more is free or in use than the group has.", Q_FIX,
			 PREEN},
	[DESC_UNINIT] = {"desc-uninit",
			 "Group %g is marked as not initialised, which this file system does not "
			 "know.",
			 Q_FIX, PREEN},
	[RESIZE_INODE_SET] = {"resize-inode-set", "There is a resize inode, but the feature is off.",
			      Q_CLEAR, 0},
	[RESIZE_INODE_BAD] = {"resize-inode-bad", "The resize inode is not valid (%s).", Q_RECREATE, 0},
	[RESIZE_INODE_REST] = {"resize-inode-rest",
			       "The resize inode is not valid behind its first quarter "
			       "(%s).",
			       Q_RECREATE, HARMLESS},
	[JOURNAL_INODE_COPY] = {"journal-inode-copy",
				"The journal inode %i is not valid (%s); the superblock has a copy of "
				"it.",
				Q_USE, 0},
	[JOURNAL_NUMBER] = {"journal-number",
			    "The superblock names %i as the journal's inode, but it is inode 8.", Q_FIX,
			    0},
	[JOURNAL_TWO] = {"journal-two", "The superblock names an external journal besides inode %i.",
			 Q_CLEAR, 0},
	[JOURNAL_FIELDS] = {"journal-fields",
			    "The superblock names a journal (inode %i), but the feature is off.", Q_FIX,
			    0},
	[JOURNAL_INODE_BAD] = {"journal-inode-bad", "The journal inode %i is not valid (%s).", Q_CLEAR,
			       0},
	[JOURNAL_SUPER_BAD] = {"journal-super-bad", "The journal's superblock is not valid (%s).",
			       Q_FIX, 0},
	[JOURNAL_FEATURES] = {"journal-features",
			      "The journal has features that are not known here (%s).", Q_NONE, LEFT},
	[JOURNAL_RECOVER_SET] = {"journal-recover-set",
				 "The journal is to be replayed, but there is none.", Q_CLEAR, 0},
	[JOURNAL_REBUILT] = {"journal-rebuilt", "The journal was lost.", Q_RECREATE, 0},
	[JOURNAL_CORRUPT] = {"journal-corrupt", "%s; the replay ended there.", Q_NONE, PREEN},
	[JOURNAL_NOT_REPLAYED] = {"journal-not-replayed",
				  "The journal could not be replayed (%s); what it held is lost.",
				  Q_CLEAR, 0},
	[SUPER_FIRST_INO] = {"super-first-ino",
			     "Inodes below %n are reserved by the superblock, but files lie there.", Q_FIX, 0},
	[INODE_FREE_FLAGS] = {"inode-free-flags", "Inode %i is not in use, but marked to have extents.",
			      Q_CLEAR, PREEN | QUIET | HARMLESS},
	[JOURNAL_HAS_DATA] = {"journal-has-data",
			      "The journal holds changes, but the superblock does not ask for a replay.",
			      Q_REPLAY, HARMLESS},
	[ORPHAN_HEAD_BAD] = {"orphan-head", "The list of orphans begins with the impossible inode %i.",
			     Q_CLEAR, 0},
	[ORPHAN_NEXT_BAD] = {"orphan-next", "The list of orphans goes on with the impossible inode %i.",
			     Q_CLEAR, 0},
	[ORPHAN_CLEARED] = {"orphan-cleared", "Orphan %i (uid %n, size %m) is deleted.", Q_NONE,
			    NOTICE | PREEN},
	[ORPHAN_TRUNCATED] = {"orphan-truncated", "Orphan %i (uid %n) is truncated to %m bytes.",
			      Q_NONE, NOTICE | PREEN},
	[ORPHAN_BROKEN] = {"orphan-broken", "Orphan %i cannot be cleared (%s): checking in full.",
			   Q_NONE, PREEN},

	[TABLE_CONFLICT] = {"table-conflict",
			    "Group %g: the inode table meets other metadata at block %b.", Q_RELOCATE,
			    0},
	[BLOCK_BITMAP_CONFLICT] = {"block-bitmap-conflict",
				   "Group %g: the block bitmap lies over other metadata at block %b.",
				   Q_RELOCATE, 0},
	[INODE_BITMAP_CONFLICT] = {"inode-bitmap-conflict",
				   "Group %g: the inode bitmap lies over other metadata at block %b.",
				   Q_RELOCATE, 0},
	[TABLE_RELOCATED] = {"relocated", "Group %g: the %s now lies at block %b.", Q_NONE, NOTICE},
	[TABLE_NO_ROOM] = {"relocate-no-room", "Group %g: there is no room for the %s.", Q_NONE, LEFT},
	[INODE_READ] = {"inode-read", "Inodes of group %g in block %b cannot be read (%s).", Q_NONE, LEFT},
	[BAD_INODE_FIELDS] = {"badblocks-inode",
			      "The bad-blocks inode has fields that it must not have.", Q_CLEAR, PREEN},
	[BAD_INODE_BLOCK] = {"badblocks-illegal", "The bad-blocks inode names the impossible block %b.",
			     Q_CLEAR, 0},
	[BAD_INODE_USED] = {"badblocks-metadata",
			    "The bad-blocks inode keeps its list in block %b, which is in use.",
			    Q_CLEAR, 0},
	[BAD_INODE_METADATA] = {"badblocks-is-metadata",
				"The bad-blocks inode lists block %b, which holds metadata of the file "
				"system.",
				Q_CLEAR, 0},
	[ROOT_NOT_DIR] = {"root-not-dir", "The root inode is not a directory.", Q_CLEAR, 0},
	[ROOT_DTIME] = {"root-dtime", "The root inode has a time of deletion.", Q_FIX, PREEN},
	[JOURNAL_MODE] = {"journal-mode", "The journal inode is not a regular file.", Q_FIX, PREEN},
	[JOURNAL_INODE_UNUSED_SET] = {"journal-inode-set",
				      "There is no journal, but inode %i is in use.", Q_CLEAR, 0},
	[RESERVED_INODE_SET] = {"reserved-inode-set", "The reserved inode %i is in use.", Q_CLEAR,
				PREEN},
	[RESERVED_MODE] = {"reserved-mode", "The reserved inode %i has the mode 0%s.", Q_CLEAR, PREEN},
	[LOW_DTIME] = {"inode-orphaned", "Inode %i was part of the orphan list.", Q_FIX, PREEN},
	[ZERO_DTIME] = {"inode-dtime-zero", "Inode %i is deleted but has no time of deletion.", Q_FIX,
			PREEN},
	[SET_DTIME] = {"inode-dtime-set", "Inode %i is in use but has a time of deletion.", Q_FIX,
		       PREEN},
	[FADDR] = {"inode-faddr", "Inode %i has a fragment address.", Q_CLEAR, PREEN},
	[DIR_SIZE_HIGH] = {"inode-dir-size", "Directory inode %i has %n in the upper half of its size.",
			   Q_CLEAR, PREEN},
	[ACL_HIGH] = {"inode-acl-high", "Inode %i has %n in the upper half of its attribute block.",
		      Q_CLEAR, PREEN},
	[BLOCKS_HIGH] = {"inode-blocks-high", "Inode %i has %n in the upper half of its block count.",
			 Q_CLEAR, PREEN},
	[IMAGIC] = {"inode-imagic", "Inode %i has the imagic flag.", Q_CLEAR, PREEN},
	[FOREIGN_FLAGS] = {"inode-foreign-flags", "Inode %i has flags of features that are off (0x%s).",
			   Q_CLEAR, 0},
	[EXTENTS_SET] = {"inode-extents",
			 "Inode %i is marked to have extents, which this file system does not "
			 "have.",
			 Q_CLEAR, 0},
	[INLINE_SET] = {"inode-inline",
			"Inode %i is marked to hold its data itself, which this file system does not "
			"have.",
			Q_CLEAR, 0},
	[EXTRA_ISIZE] = {"inode-extra-isize", "Inode %i uses %n extra bytes, which is impossible.",
			 Q_FIX, PREEN},
	[XATTR_INODE_BAD] = {"xattr-inode", "Inode %i: the attributes inside it are damaged (%s).",
			     Q_CLEAR, 0},
	[XATTR_NO_FEATURE] = {"xattr-no-feature",
			      "Inode %i has an attribute block (%b), but the feature is off.", Q_CLEAR,
			      0},
	[XATTR_BLOCK_NUMBER] = {"xattr-block-number",
				"Inode %i has its attributes in the impossible block %b.", Q_CLEAR, 0},
	[XATTR_BLOCK_BAD] = {"xattr-block", "Inode %i: the attribute block %b is damaged (%s).",
			     Q_CLEAR, 0},
	[XATTR_REFCOUNT] = {"xattr-refcount", "Attribute block %b counts %n inodes and has %m.", Q_FIX,
			    0},
	[TIME_ENCODING] = {"inode-time", "Inode %i has times before 1970 in a wrong encoding.", Q_FIX,
			   PREEN | HARMLESS},
	[REALLY_DIR] = {"inode-really-dir", "Inode %i has the mode 0%s but looks like a directory.",
			Q_FIX, 0},
	[MODE_BAD] = {"inode-mode", "Inode %i has the impossible mode 0%s.", Q_CLEAR, 0},
	[DEVICE_BAD] = {"inode-device", "Inode %i is no possible device, fifo or socket.", Q_CLEAR, 0},
	[SPECIAL_IMMUTABLE] =
		{"special-immutable",
		 "Inode %i (device, fifo, socket or symlink) has the immutable or append-only "
		 "flag.",
		 Q_CLEAR, HARMLESS},
	[SPECIAL_SIZE] = {"special-size", "Inode %i (device, fifo or socket) has the size %n.", Q_FIX,
			  PREEN},
	[SYMLINK_BAD] = {"symlink-bad", "Symlink inode %i is not valid.", Q_CLEAR, 0},
	[BLOCK_ILLEGAL] = {"block-illegal", "Inode %i names the impossible block %b as its %k %l.",
			   Q_CLEAR, 0},
	[BLOCK_ILLEGAL_MANY] = {"block-illegal-many",
				"Inode %i names more impossible blocks; they are not listed.", Q_NONE,
				0},
	[IND_IN_METADATA] = {"indirect-in-metadata",
			     "Inode %i has its %k for %l in block %b, which is metadata of the file "
			     "system.",
			     Q_CLEAR, 0},
	[IND_UNREADABLE] = {"indirect-unreadable",
			    "Inode %i: the %k for %l in block %b cannot be read.", Q_CLEAR, 0},
	[DIR_TOO_BIG] = {"dir-too-big", "Directory inode %i has block %b at the impossible place %l.",
			 Q_CLEAR, 0},
	[SYMLINK_TOO_BIG] = {"symlink-too-big", "Symlink inode %i has more than one block (%b at %l).",
			     Q_CLEAR, 0},
	[DIR_EMPTY] = {"dir-empty", "Directory inode %i has no block.", Q_CLEAR, 0},
	[HTREE_NOT_DIR] = {"htree-not-dir", "Inode %i has an index but is no directory.", Q_CLEAR,
			   PREEN},
	[HTREE_NO_FEATURE] = {"htree-no-feature",
			      "Directory inode %i has an index, but the feature is off.", Q_CLEAR,
			      PREEN},
	[HTREE_ROOT] = {"htree-root", "Directory inode %i: the root of its index is damaged (%s).",
			Q_CLEAR, PREEN},
	[INODE_SIZE] = {"inode-size", "Inode %i has the size %n, should be %m.", Q_FIX, PREEN},
	[INODE_BLOCKS] = {"inode-blocks", "Inode %i counts %n sectors, should be %m.", Q_FIX, PREEN},
	[DUP_HEADER] = {"blocks-claimed-twice",
			"Blocks are claimed more than once: looking for their owners.", Q_NONE, 0},

	[DUP_INODE] = {"block-shared",
		       "Inode %i shares blocks with other inodes or metadata, block %b to begin "
		       "with.",
		       Q_CLONE, 0},
	[DUP_CLONE_FAILED] = {"clone-failed", "Inode %i: block %b cannot be cloned (%s).", Q_NONE,
			      LEFT},

	[DIR_HOLE] = {"dir-hole", "Directory inode %i has a hole at block %l.", Q_ALLOCATE, 0},
	[DIR_BLOCK_READ] = {"dir-block-read", "Directory inode %i: block %l (%b) cannot be read.",
			    Q_CLEAR, 0},
	[DIRENT_CORRUPT] = {"entry-corrupt",
			    "Directory inode %i, block %l, byte %n: the entry is damaged.", Q_FIX, 0},
	[DOT_MISSING] = {"dot-missing", "Directory inode %i has no '.'.", Q_FIX, PREEN},
	[DOT_NOT_FIRST] = {"dot-not-first", "Directory inode %i: the first entry is %e, not '.'.",
			   Q_FIX, 0},
	[DOT_UNPADDED] = {"dot-unpadded", "Directory inode %i: '.' is not followed by zero.", Q_FIX,
			  PREEN},
	[DOT_INODE] = {"dot-inode", "Directory inode %i: '.' names inode %n.", Q_FIX, PREEN},
	[DOT_LONG] = {"dot-long", "Directory inode %i: '.' takes %n bytes.", Q_FIX, PREEN},
	[DOTDOT_MISSING] = {"dotdot-missing", "Directory inode %i has no '..'.", Q_FIX, PREEN},
	[DOTDOT_NOT_SECOND] = {"dotdot-not-second",
			       "Directory inode %i: the second entry is %e, not '..'.", Q_FIX, 0},
	[DOTDOT_UNPADDED] = {"dotdot-unpadded", "Directory inode %i: '..' is not followed by zero.",
			     Q_FIX, PREEN},
	[ENTRY_INODE_BAD] = {"entry-inode-bad",
			     "Entry %e in directory inode %d names the impossible inode %i.", Q_REMOVE,
			     0},
	[ENTRY_INODE_UNUSED] = {"entry-inode-unused",
				"Entry %e in directory inode %d names the unused inode %i.", Q_REMOVE,
				PREEN},
	[ENTRY_SELF] = {"entry-self", "Entry %e in directory inode %d names its own directory.",
			Q_REMOVE, PREEN},
	[ENTRY_ROOT] = {"entry-root", "Entry %e in directory inode %d names the root directory.",
			Q_REMOVE, 0},
	[ENTRY_DOT] = {"entry-dot", "Directory inode %d has a second '.' entry (inode %i).", Q_REMOVE,
		       0},
	[ENTRY_DOTDOT] = {"entry-dotdot", "Directory inode %d has a second '..' entry (inode %i).",
			  Q_REMOVE, 0},
	[ENTRY_NAMELESS] = {"entry-nameless",
			    "Directory inode %d has an entry without a name (inode %i).", Q_REMOVE, 0},
	[ENTRY_NAME_CHARS] = {"entry-name-chars",
			      "Entry %e in directory inode %d has impossible characters in its name.",
			      Q_FIX, 0},
	[ENTRY_TYPE_WRONG] = {"entry-type-wrong",
			      "Entry %e in directory inode %d says file type %n, should be %m.", Q_FIX,
			      0},
	[ENTRY_TYPE_UNSET] = {"entry-type-unset",
			      "Entry %e in directory inode %d has no file type, should be "
			      "%m.",
			      Q_FIX, PREEN | HARMLESS},
	[ENTRY_TYPE_SET] =
		{"entry-type-set",
		 "Entry %e in directory inode %d has a file type, which this file system does not "
		 "know.",
		 Q_CLEAR, PREEN},
	[ENTRY_DIR_AGAIN] = {"entry-dir-again",
			     "Entry %e in directory inode %d is a second name of directory inode "
			     "%i.",
			     Q_REMOVE, 0},
	[ENTRY_DUPLICATE] = {"entry-duplicate", "The name %e is twice in directory inode %d.", Q_RENAME,
			     0},
	[HTREE_LIMIT] = {"htree-limit", "Directory inode %i, index block %l: its limit is %n.", Q_NONE,
			 PREEN},
	[HTREE_COUNT] = {"htree-count", "Directory inode %i, index block %l: its count is %n.", Q_NONE,
			 PREEN},
	[HTREE_BAD_BLOCK] = {"htree-bad-block",
			     "Directory inode %i, index block %l: names the impossible block "
			     "%n.",
			     Q_NONE, PREEN},
	[HTREE_ORDER] = {"htree-order", "Directory inode %i, index block %l: hashes are not in order.",
			 Q_NONE, PREEN},
	[HTREE_DEPTH] = {"htree-depth",
			 "Directory inode %i: block %l hangs at another depth than the index "
			 "says.",
			 Q_NONE, PREEN},
	[HTREE_MIN] = {"htree-min",
		       "Directory inode %i: block %l has names with a hash below its "
		       "range.",
		       Q_NONE, PREEN},
	[HTREE_MAX] = {"htree-max",
		       "Directory inode %i: block %l has names with a hash above its "
		       "range.",
		       Q_NONE, PREEN},
	[HTREE_UNREFERENCED] = {"htree-unreferenced",
				"Directory inode %i: the index does not name block %l.", Q_NONE, PREEN},
	[HTREE_TWICE] = {"htree-twice", "Directory inode %i: the index names block %l more than once.",
			 Q_NONE, PREEN},
	[HTREE_CLEAR] = {"htree-clear", "Directory inode %i: the index is damaged.", Q_CLEAR, PREEN},
	[LARGE_FILE_FEATURE] = {"large-file",
				"There are files of 2 GiB and more, but the feature is off.", Q_FIX,
				PREEN},

	[ROOT_MISSING] = {"root-missing", "There is no root directory.", Q_ALLOCATE, 0},
	[DIR_UNCONNECTED] = {"dir-unconnected",
			     "Directory inode %i ('..' names inode %d) is in no directory.", Q_CONNECT,
			     0},
	[DIR_LOOP] = {"dir-loop", "Directory inode %i contains itself through its parents.", Q_CONNECT,
		      0},
	[DOTDOT_WRONG] = {"dotdot-wrong", "Directory inode %i: '..' names inode %n, should be %m.",
			  Q_FIX, 0},
	[LOST_FOUND_MISSING] = {"lost-found-missing", "There is no lost+found.", Q_ALLOCATE, PREEN},
	[LOST_FOUND_NOT_DIR] = {"lost-found-not-dir", "lost+found is not a directory (inode %i).",
				Q_RENAME, 0},
	[LOST_FOUND_FAILED] = {"lost-found-failed", "Inode %i cannot be put into lost+found (%s).",
			       Q_NONE, LEFT},

	[INODE_UNATTACHED] = {"inode-unattached", "Inode %i is in no directory.", Q_CONNECT, PREEN},
	[INODE_UNATTACHED_EMPTY] = {"inode-unattached-empty",
				    "Inode %i is in no directory and has no content.", Q_CLEAR, PREEN},
	[LINKS_WRONG] = {"links", "Inode %i counts %n links, should be %m.", Q_FIX, PREEN},

	[BLOCK_BITMAP_DIFFERS] = {"block-bitmap", "Block bitmap differences:%s.", Q_FIX, PREEN},
	[BLOCK_BITMAP_PADDING] = {"block-bitmap-padding",
				  "The block bitmap of group %g is not set behind its end.", Q_FIX,
				  PREEN},
	[INODE_BITMAP_DIFFERS] = {"inode-bitmap", "Inode bitmap differences:%s.", Q_FIX, PREEN},
	[INODE_BITMAP_PADDING] = {"inode-bitmap-padding",
				  "The inode bitmap of group %g is not set behind its end.", Q_FIX,
				  PREEN},
	[GROUP_FREE_BLOCKS] = {"group-free-blocks", "Group %g counts %n free blocks, should be %m.",
			       Q_FIX, PREEN | QUIET},
	[GROUP_FREE_INODES] = {"group-free-inodes", "Group %g counts %n free inodes, should be %m.",
			       Q_FIX, PREEN | QUIET},
	[GROUP_DIRS] = {"group-dirs", "Group %g counts %n directories, should be %m.", Q_FIX,
			PREEN | QUIET},
	[FREE_BLOCKS] = {"free-blocks",
			 "The superblock counts %n free blocks, should be "
			 "%m.",
			 Q_FIX, PREEN | QUIET | HARMLESS},
	[FREE_INODES] = {"free-inodes",
			 "The superblock counts %n free inodes, should be "
			 "%m.",
			 Q_FIX, PREEN | QUIET | HARMLESS},
};

const char *problem_name(enum problem_code code)
{
	return rows[code].name;
}

/* ---- the text ---- */

#define TEXT_BYTES 1024

static void put_name(FILE *out, const struct where *w)
{
	unsigned i;

	fputc('\'', out);
	for (i = 0; i < w->name_len; i++) {
		unsigned char c = (unsigned char)w->name[i];

		if (c < 0x20 || c == 0x7f || c == '\'' || c == '\\')
			fprintf(out, "\\%03o", c);
		else
			fputc(c, out);
	}
	fputc('\'', out);
}

static void put_place(FILE *out, char place, const struct where *w)
{
	static const char *const kinds[] = {"block", "indirect block", "double indirect block",
					    "triple indirect block"};

	switch (place) {
	case 'i': fprintf(out, "%u", w->ino); break;
	case 'd': fprintf(out, "%u", w->dir); break;
	case 'b': fprintf(out, "%" PRIu64, w->block); break;
	case 'l': fprintf(out, "%" PRIu64, w->lblk); break;
	case 'g': fprintf(out, "%u", w->group); break;
	case 'n': fprintf(out, "%" PRIu64, w->num); break;
	case 'm': fprintf(out, "%" PRIu64, w->num2); break;
	case 'k': fputs(kinds[w->level & 3], out); break;
	case 's': fputs(w->str ? w->str : "", out); break;
	case 'e': put_name(out, w); break;
	}
}

/* The row's text with its places filled, cut to size. */
static void make_text(const struct row *row, const struct where *w, char text[TEXT_BYTES])
{
	FILE *out = fmemopen(text, TEXT_BYTES, "w");
	const char *at;

	text[0] = '\0';
	if (!out)
		return;
	for (at = row->text; *at; at++)
		if (*at == '%' && at[1])
			put_place(out, *++at, w);
		else
			fputc(*at, out);
	fclose(out);
	text[TEXT_BYTES - 1] = '\0';
}

/* ---- the JSON report ---- */

static void put_json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void put_json_problem(struct fsck *f, const struct row *row, const struct where *w,
			     const char *text, const char *outcome)
{
	printf("%s\n  {\"code\": \"%s\", \"pass\": \"%s\", \"outcome\": \"%s\"",
	       f->nr_reported ? "," : "", row->name, f->pass_name ? f->pass_name : "0", outcome);
	if (w->ino)
		printf(", \"inode\": %u", w->ino);
	if (w->dir)
		printf(", \"directory\": %u", w->dir);
	if (w->block)
		printf(", \"block\": %" PRIu64, w->block);
	printf(", \"text\": ");
	put_json_string(text);
	putchar('}');
}

void problem_report_begin(struct fsck *f)
{
	if (!f->opt.json)
		return;
	printf("{\"image\": ");
	put_json_string(f->store.path);
	printf(", \"problems\": [");
}

void problem_report_end(struct fsck *f, int status)
{
	if (!f->opt.json)
		return;
	printf("%s], \"found\": %" PRIu64 ", \"repaired\": %" PRIu64 ", \"left\": %" PRIu64
	       ", \"status\": %d",
	       f->nr_reported ? "\n" : "", f->nr_found, f->nr_repaired, f->nr_left, status);
	if (f->stop_why[0]) {
		printf(", \"error\": ");
		put_json_string(f->stop_why);
	}
	puts("}");
}

/* ---- the answer ---- */

static bool ask(struct fsck *f, const struct row *row)
{
	enum answer answer = ask_person(f, questions[row->question].ask);

	if (answer == ANSWER_ALL)
		f->opt.mode = MODE_YES;
	return answer != ANSWER_NO;
}

static bool decide(struct fsck *f, const struct row *row)
{
	switch (f->opt.mode) {
	case MODE_NO: return false;
	case MODE_YES: return true;
	case MODE_PREEN: return row->flags & PREEN;
	case MODE_ASK: return ask(f, row);
	}
	return false;
}

static void tell(struct fsck *f, const struct row *row, const char *text, bool yes)
{
	if (f->opt.mode == MODE_PREEN) {
		if (!(yes && row->flags & QUIET))
			printf("%s: %s%s%s\n", f->store.path, text, yes ? " " : "",
			       yes ? questions[row->question].done : "");
	} else if (row->question == Q_NONE) {
		printf("%s\n", text);
	} else if (f->opt.mode != MODE_ASK) {
		printf("%s %s? %s\n", text, questions[row->question].ask, yes ? "yes" : "no");
	}
}

static void count(struct fsck *f, const struct row *row, bool yes)
{
	if (row->flags & NOTICE)
		return;
	f->nr_found++;
	if (yes)
		f->nr_repaired++;
	else if (row->flags & LEFT || f->opt.mode == MODE_NO || row->question != Q_NONE)
		f->nr_left += !(row->flags & HARMLESS);
}

bool problem(struct fsck *f, enum problem_code code, struct where w)
{
	const struct row *row = &rows[code];
	char text[TEXT_BYTES];
	bool yes;

	make_text(row, &w, text);
	fsck_progress_clear(f);
	if (f->opt.mode == MODE_ASK && row->question != Q_NONE)
		printf("%s ", text);
	yes = row->question != Q_NONE && decide(f, row);
	if (f->opt.json)
		put_json_problem(f, row, &w, text,
				 row->question == Q_NONE ? "told"
				 : yes                   ? "repaired"
							 : "left");
	else
		tell(f, row, text, yes);
	f->nr_reported++;
	count(f, row, yes);
	if (f->opt.mode == MODE_PREEN && !yes && !(row->flags & (PREEN | NOTICE | HARMLESS))) {
		fsck_begin_changes(f); /* nobody shall take it for clean before it was repaired */
		fsck_stop(f, FSCK_UNCORRECTED,
			  "UNEXPECTED INCONSISTENCY; run fsck by hand (that is, without -a or -p)");
	}
	if (yes)
		fsck_begin_changes(f);
	return yes;
}
