/*
 * fsck/store.h - the image's blocks, with the changes held back.
 *
 * Purpose     Passes read blocks and change them at once in memory; the disk sees the changes at
 *             store_flush(), together and behind a barrier. What nobody points to yet is written
 *             beforehand, so that an interruption never leaves a pointer to something that is not there.
 * Ownership   struct store is the caller's. It owns the descriptor from store_open() to store_close().
 * Locking     One thread; what is said to be for other threads looks at fixed fields only.
 * Invariants  S1  A read sees every write before it, held back or not.
 *             S2  Nothing is written where is_writable is false, and nothing to the image where there
 *                 is a disk over it.
 *             S3  With an undo file the old bytes are durable in it before new ones are written.
 * Units       Blocks of block_size bytes, which is 1024 until store_set_block_size().
 * Errors      0 or negative errno; -EIO also for what lies behind the end.
 */
#ifndef FSCK_STORE_H
#define FSCK_STORE_H

#include "base/hash.h"
#include "base/list.h"
#include "base/types.h"

struct disk;
struct undo;

struct store {
	/* fixed by store_open() */
	const char *path;
	int fd;
	bool is_writable;
	bool is_device;
	uint64_t size_bytes;
	struct undo *undo; /* NULL: nothing is recorded; the caller's */
	struct disk *over; /* takes all reads and writes in the image's place, or NULL; the caller's */
	/* changing */
	unsigned block_size;
	unsigned block_bits;
	struct hash held; /* of struct held, by block */
	struct list order; /* the same, first held first */
	size_t nr_held;
	bool has_new; /* blocks that nobody points to yet were written and are not durable */
	uint64_t nr_changes; /* writes, whether held back or not */
	uint64_t bytes_read, bytes_written;
};

int store_open(struct store *s, const char *path, bool is_writable) must_check;
void store_close(struct store *s);
/* Only while nothing is held back. */
void store_set_block_size(struct store *s, unsigned block_size);

int store_read(struct store *s, fsblk_t block, unsigned count, void *buf) must_check;
/* Bytes at any place, for the superblock. */
int store_read_bytes(struct store *s, uint64_t offset, void *buf, size_t len) must_check;
/* Is one of these blocks held back? */
bool store_holds(const struct store *s, fsblk_t block, uint64_t count);
/* Held back until the next flush, or until too much is held. */
int store_write(struct store *s, fsblk_t block, const void *buf) must_check;
int store_write_bytes(struct store *s, uint64_t offset, const void *buf, size_t len) must_check;
/* Written now: nothing on disk points to this block. */
int store_write_new(struct store *s, fsblk_t block, const void *buf) must_check;
/* From here on everything written before is durable. */
int store_flush(struct store *s) must_check;

/* The next byte at or behind offset that is not in a hole of the file; end if there is none before it. */
uint64_t store_next_data(const struct store *s, uint64_t offset, uint64_t end);
/* The next byte behind offset that is in a hole; end if there is none before it. */
uint64_t store_next_hole(const struct store *s, uint64_t offset, uint64_t end);
/* Is nothing there but zeros, as the host's file system says without reading? False: not known. */
bool store_is_zero(const struct store *s, uint64_t offset, uint64_t len);
/* Makes a hole of blocks that nobody needs; not being able to is no error. Nothing is held of them. */
void store_discard(struct store *s, fsblk_t block, uint64_t count);
/* For other threads: bytes as the image has them, whatever is held back. */
int store_peek(const struct store *s, uint64_t offset, uint8_t *buf, size_t len) must_check;
/* Asks the kernel to read ahead; also for other threads. */
void store_prefetch(const struct store *s, fsblk_t block, uint64_t count);
/* The same for single blocks, which are sorted, and asked for together where they are close. */
void store_prefetch_each(const struct store *s, uint32_t *blocks, size_t count);

#endif
