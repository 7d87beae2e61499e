/*
 * unit/journal/logmaker.h - logs made by hand, block by block, with the mistakes that a test wants.
 *
 * Purpose     Recovery is tested on logs that no writer of ours made: with each kind of checksum
 *             (computed here, bit by bit), torn, stale, wrapped and damaged.
 * Ownership   The maker owns disk and journal; maker_done() ends both.
 * Locking     One thread.
 * Units       The log lies at disk block LOG_AT; home blocks are those before it.
 */
#ifndef UNIT_JOURNAL_LOGMAKER_H
#define UNIT_JOURNAL_LOGMAKER_H

#include "block/disk.h"
#include "journal/format.h"
#include "journal/journal.h"

#define BLOCK 1024u
#define LOG_AT 64u
#define LOG_BLOCKS 64u
#define DISK_BLOCKS (LOG_AT + LOG_BLOCKS)

enum sums { NO_SUMS, SUMS_V1, SUMS_V2, SUMS_V3 };

struct maker {
	struct disk *disk;
	struct clock *clock;
	struct journal *journal;
	enum sums sums;
	bool is_64bit;
	uint32_t at;			/* the next log block */
	uint32_t tid;			/* of the transaction being made */
	uint64_t seconds;		/* of its commit */
	uint32_t sum_v1;
	/* the descriptor being filled; its data follow it */
	uint8_t descriptor[BLOCK];
	uint8_t data[32][BLOCK];
	uint32_t used_bytes, nr_data;
};

void maker_init(struct maker *m, enum sums sums, bool is_64bit, bool is_async, uint32_t start, uint32_t tid);
void maker_done(struct maker *m);
/* A block whose bytes are `fill`, with that home. escaped: it begins with the magic. */
void maker_block(struct maker *m, uint64_t home, uint8_t fill, bool is_escaped);
/* Ends the descriptor: it and its data go into the log. */
void maker_descriptor(struct maker *m);
void maker_revoke(struct maker *m, const uint64_t *blocks, uint32_t nr);
/* Ends the transaction: the next one has the next tid and a later time. */
void maker_commit(struct maker *m);
/* Changes one byte of a log block. */
void maker_spoil(struct maker *m, uint32_t log_block, uint32_t offset);
/* Changes a byte of the superblock's, before maker_load(). */
void maker_set_super(struct maker *m, uint32_t offset, uint32_t value);
int maker_load(struct maker *m, char *why, size_t why_size);
/* Loads and recovers. */
int maker_recover(struct maker *m, struct journal_recovery *ret);
/* The first byte that is not escaped of a home block. */
uint8_t maker_home(struct maker *m, uint64_t block);
uint32_t maker_super(struct maker *m, uint32_t offset);
void maker_read(struct maker *m, uint64_t block, uint8_t *to);

#endif
