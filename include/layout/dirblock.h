/*
 * layout/dirblock.h - the entries of one directory block.
 *
 * Purpose     Find, walk, insert and remove names in geo->block_size bytes. A directory is its
 *             blocks one after another; entries never cross from one to the next.
 * Ownership   Names and entries point into the caller's block and live as long as it is unchanged.
 * Locking     The caller's: readers may share a block, a writer has it alone.
 * Invariants  D1  The records of a block form a chain from byte 0 to exactly its end.
 *             D2  A record is a multiple of 4 bytes, at least 12, and holds its name.
 *             D3  Every change keeps D1 and D2, moves no entry that stays, so that an offset is a
 *                 stable cookie for a reader, and leaves no name behind in the bytes that it freed
 *                 as an entry.
 * Units       Offsets and lengths in bytes.
 * Errors      -EUCLEAN D1 or D2 broken; -ENOENT; -ENOSPC. On error nothing was changed.
 * Context     Of geo only block_size, inodes_count and has_filetype are read. Every function is safe
 *             on any bytes; only dirblock_check() promises to look at all of them.
 * Sources     FORMAT.md 7.
 *
 * Interior blocks of an htree look like one free record, and its root like a long "..": never
 * insert into a directory with EXT_INDEX_FL before that flag is dropped, or the block is known to be a leaf.
 */
#ifndef LAYOUT_DIRBLOCK_H
#define LAYOUT_DIRBLOCK_H

#include "layout/geometry.h"

struct dirblock_entry {
	unsigned offset;	/* of the record in its block */
	unsigned rec_len;
	inr_t ino;		/* 0: free space, name is meaningless */
	uint8_t file_type;	/* EXT_FT_*; always EXT_FT_UNKNOWN without the filetype feature */
	uint8_t name_len;
	const char *name;	/* not terminated */
};

/*
 * The gate: D1, D2, and each used record has a possible inode number and a name of at least one byte
 * without '/' and NUL. To be passed once before a block from disk is used.
 */
must_check int dirblock_check(const struct geometry *geo, const void *block, char *why, size_t why_size);

/*
 * The record at *offset, and *offset moved behind it: start with 0, stop at 0.
 * Returns 1 with *ret set (also for free records: skip ino 0), 0 at the end, -EUCLEAN.
 */
must_check int dirblock_next(const struct geometry *geo, const void *block, unsigned *offset,
			     struct dirblock_entry *ret);

/*
 * Where a reader that stopped at offset goes on after the block may have changed: the first record that
 * begins there or behind it; block_size at the end, or where the chain is broken.
 */
unsigned dirblock_resync(const struct geometry *geo, const void *block, unsigned offset);

/* The first entry of that name. 0, -ENOENT (also where the chain is broken before it). */
must_check int dirblock_find(const struct geometry *geo, const void *block,
			     const char *name, unsigned name_len, struct dirblock_entry *ret);

/*
 * Adds an entry in the first free space that takes it; does not look whether the name exists.
 * name_len 1..255. 0 or -ENOSPC. file_type is stored as 0 without the filetype feature.
 */
must_check int dirblock_insert(const struct geometry *geo, void *block, const char *name,
			       unsigned name_len, inr_t ino, uint8_t file_type);

/* The same, telling where the entry went. */
must_check int dirblock_insert_at(const struct geometry *geo, void *block, const char *name,
				  unsigned name_len, inr_t ino, uint8_t file_type,
				  unsigned *ret_offset);

/* Length of the longest name that dirblock_insert() would take, 0 if none. */
unsigned dirblock_room(const struct geometry *geo, const void *block);

/* Removes the entry at this offset: -ENOENT if no used entry begins there. Its name and inode number are zeroed. */
must_check int dirblock_remove(const struct geometry *geo, void *block, unsigned offset);

/* Points the entry at this offset to another inode (rename over a file, ".." of a moved directory). */
must_check int dirblock_set_inode(const struct geometry *geo, void *block, unsigned offset,
				  inr_t ino, uint8_t file_type);

/* A block with no entry. */
void dirblock_init_empty(const struct geometry *geo, void *block);

/* The first block of a new directory: "." and "..", the rest free (it belongs to ".."). */
void dirblock_init_dots(const struct geometry *geo, void *block, inr_t self, inr_t parent);

/*
 * Is this the first block of directory self: "." first and naming self, ".." second?
 * *ret_parent is what ".." names.
 */
must_check int dirblock_check_dots(const struct geometry *geo, const void *block, inr_t self,
				   inr_t *ret_parent, char *why, size_t why_size);

/* Offset of the ".." entry in a first block that passed dirblock_check_dots(). */
#define DIRBLOCK_DOTDOT_OFFSET 12u

/* No entry but "." and ".."; false where the chain is broken. For rmdir. */
bool dirblock_is_empty(const struct geometry *geo, const void *block);

/* Bytes that an entry with such a name needs. */
static inline unsigned dirblock_rec_len(unsigned name_len)
{
	return (unsigned)sizeof(struct ext_dirent) + ((name_len + 3) & ~3u);
}

/* EXT_FT_* of a mode, and the type bits (S_IFREG...) of an EXT_FT_*; 0 if there is none. */
uint8_t dirblock_type_of_mode(unsigned mode);
unsigned dirblock_mode_of_type(uint8_t file_type);

#endif
