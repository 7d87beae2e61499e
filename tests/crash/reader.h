/*
 * crash/reader.h - what an image holds, read without the file system's own code.
 *
 * Purpose     The judge's eyes: written from the description of the format alone, so that a
 *             mistake in src/layout/ cannot hide behind itself. Lists inodes and names and proves
 *             that bitmaps, counters and link counts are what the tree says.
 * Ownership   The reader's arrays are reused by the next reader_parse(); the image is borrowed.
 * Locking     One thread.
 * Errors      reader_parse() false: the image is not whole; reader->why says where.
 * Sources     The kernel's document of ext4 data structures, as far as ext2 and ext3 go.
 */
#ifndef CRASH_READER_H
#define CRASH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READER_ROOT 2u

struct rinode {
	uint32_t ino;
	uint16_t mode, links;
	uint64_t size;
	uint32_t mtime;
	uint32_t units;			/* i_blocks */
	const uint8_t *raw;		/* in the image */
	uint32_t nr_names, nr_subdirs;
	uint32_t first_entry, nr_entries;	/* of a directory, in reader->entries once sorted */
};

struct rentry {
	uint32_t dir, ino;
	const uint8_t *name;		/* in the image */
	uint8_t len, type;
};

struct reader {
	const uint8_t *image;
	uint64_t size_bytes;
	uint32_t block_bytes, blocks, inodes, groups, blocks_per_group, inodes_per_group, inode_bytes, first_block;
	uint8_t *fixed;			/* a byte a block: in use whatever the tree is */
	uint8_t *seen;			/* a byte a block, of the parse under way */
	struct rinode *table;		/* by inode number */
	struct rentry *entries;		/* by directory and name */
	size_t nr_entries, entries_max;
	uint32_t free_blocks, free_inodes;
	bool may_be_marked;		/* as having errors: the disk failed */
	bool may_lag;			/* the superblock's totals need not be right (e2fsck -p leaves them) */
	char why[200];
};

/* Learns from an image that was just made which blocks are the format's own. */
bool reader_init(struct reader *r, const uint8_t *fresh, uint64_t size_bytes);
void reader_done(struct reader *r);
bool reader_parse(struct reader *r, const uint8_t *image);
/* The entries of a directory, sorted by name, without the dots. */
const struct rentry *reader_list(const struct reader *r, uint32_t ino, uint32_t *ret_nr);
/* The block of the file, or NULL for a hole. */
const uint8_t *reader_block(const struct reader *r, const struct rinode *inode, uint64_t index);
/* Into to, at most size bytes, ended by 0. */
void reader_symlink(const struct reader *r, const struct rinode *inode, char *to, size_t size);
/* Whether a block is nobody's. */
bool reader_is_free(const struct reader *r, uint32_t block);
/* The block that holds a group's block bitmap. */
uint32_t reader_bitmap(const struct reader *r, uint32_t group);
/* The extents of the log, in sectors. */
void reader_log(const struct reader *r, void (*fn)(void *arg, uint32_t first, uint32_t count), void *arg);

#endif
