/*
 * unit/cache/fixture.h - a cache over a disk in memory, and files to put into it.
 *
 * Purpose     The rig is all that a cache needs, threaded or inline with a virtual clock. The disk
 *             logs its writes, fails or holds them on demand. A fakefile is an owner of pages: its
 *             map from page to block is an array, blocks come from the rig in order.
 * Ownership   The test's.
 * Locking     Any thread, as the cache's own calls.
 */
#ifndef UNIT_CACHE_FIXTURE_H
#define UNIT_CACHE_FIXTURE_H

#include <check.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "block/disk.h"
#include "cache/buffer.h"
#include "cache/cache.h"
#include "cache/cache_private.h"
#include "cache/filemap.h"
#include "harness/runner.h"

#define RIG_WRITES_LOGGED 4096u

struct rig_write {
	uint64_t block;
	uint32_t nr_blocks;
};

struct rig {
	/* what the test wants; rig_defaults() */
	uint32_t block_bytes;
	uint64_t disk_bytes, cache_bytes;
	bool is_inline;			/* cache and disk, on a virtual clock */
	unsigned dirty_percent, background_percent;
	uint32_t expire_ms, interval_ms;
	uint32_t request_bytes_max;
	uint32_t write_delay_us, read_delay_us;
	uint64_t readahead_bytes;

	struct clock *clock;
	struct workqueue *work;
	struct disk *disk;
	struct page_cache *cache;
	struct buffer_cache buffers;

	/* the disk [lock] */
	struct mutex lock;
	struct cond unstuck;
	uint8_t *bytes;
	bool writes_stick;
	uint32_t nr_stuck;
	uint32_t fail_writes, fail_reads;	/* so many from now on */
	uint32_t nr_reads, nr_writes;
	/* a head that goes where it is sent, in the order of requests, in blocks */
	uint64_t head, travel, nr_seeks, blocks_read, blocks_written;
	bool reads_stick;
	bool is_metered;		/* each write waits to be let through */
	uint32_t nr_let_through;
	struct rig_write writes[RIG_WRITES_LOGGED];

	/* what the cache told the user [the log's lock] */
	uint32_t nr_lines;
	char line[256];

	/* the allocator of fakefiles [lock] */
	uint64_t next_block;
	uint64_t blocks_left;
};

void rig_defaults(struct rig *rig);	/* inline, 4 KiB blocks, 4 MiB cache, 64 MiB disk */
void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);
void rig_stick_reads(struct rig *rig);
void rig_stick_writes(struct rig *rig);
void rig_unstick(struct rig *rig);
void rig_meter_writes(struct rig *rig, bool is_metered);
void rig_let_write_through(struct rig *rig);
void rig_wait_stuck(struct rig *rig, uint32_t nr);	/* until so many writes hang */
void rig_forget_writes(struct rig *rig);
const uint8_t *rig_block(const struct rig *rig, uint64_t block);
uint32_t rig_pages_max(const struct rig *rig);

struct fakefile {
	struct mapping mapping;
	struct rig *rig;
	uint64_t nr_blocks;
	fsblk_t *map;			/* [rig lock] */
	uint64_t size_bytes;		/* [the test's thread] */
	uint32_t nr_begun, nr_ended, nr_maps;
	int fail_begin, fail_map_read, fail_end;
};

void file_init(struct fakefile *f, struct rig *rig, uint64_t nr_blocks);
void file_done(struct fakefile *f);	/* forgets what is dirty */
/* Gives the file blocks [first, first + nr) with `byte` in them on disk. */
void file_put_on_disk(struct fakefile *f, uint64_t first, uint64_t nr, uint8_t byte);
ssize_t file_write(struct fakefile *f, uint64_t pos, const void *from, size_t len);
ssize_t file_fill(struct fakefile *f, uint64_t pos, uint8_t byte, size_t len);
ssize_t file_read(struct fakefile *f, uint64_t pos, void *to, size_t len);
void file_cut(struct fakefile *f, uint64_t size_bytes);
int file_sync(struct fakefile *f);

#endif
