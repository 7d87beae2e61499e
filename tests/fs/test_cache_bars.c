/*
 * What the page cache promises of its speed, on the simulated disk hdd7200 in virtual time, so that
 * each number is exact and the same on every run:
 *
 *	a sequential reader of 1 MiB a call gets 95 % of the device's streaming rate; two interleaved
 *	ones 80 % together; random readers of 4 KiB cause less than 5 % extra traffic
 *	10,000 random dirty blocks within 1 GiB are written back with a fifth of the head travel that
 *	writing them in the order they were dirtied takes: of one file, of many, of metadata
 *	a scan of four times the cache over a hot set of half the cache leaves 90 % of it
 *	an fsync writes its file's pages, whatever else is dirty; a failed write is told by the next
 *	fsync of that file and of no other
 *
 * CACHE_BARS_PRINT=1 in the environment prints the numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rand.h"
#include "block/plug.h"
#include "cache/buffer.h"
#include "cache/cache.h"
#include "cache/filemap.h"
#include "drivers/faultydisk.h"
#include "drivers/simdisk.h"
#include "harness/runner.h"

#define BLOCK 4096u
#define MIB (1ull << 20)
#define DISK_BYTES (8ull << 30)

static struct {
	struct clock *clock;
	struct workqueue *work;
	struct simdisk *sim;
	struct faultydisk *faulty;	/* over the simulated one */
	struct disk *disk;
	struct page_cache *cache;
	struct buffer_cache buffers;
} bench;

/* A file whose blocks lie in a row. */
struct row {
	struct mapping mapping;
	fsblk_t first;
	uint64_t size_bytes;
};

static int row_map_read(struct mapping *m, struct page **pages, uint32_t nr)
{
	const struct row *row = m->owner;

	for (uint32_t i = 0; i < nr; i++)
		pages[i]->block = row->first + pages[i]->index;
	return 0;
}

static int row_begin(struct mapping *m, struct mapping_write *w)
{
	(void)m;
	(void)w;
	return 0;
}

static int row_write_map(struct mapping *m, struct mapping_write *w, struct page **pages, uint32_t nr)
{
	(void)w;
	ck_assert_int_eq(row_map_read(m, pages, nr), 0);
	return (int)nr;
}

static int row_end(struct mapping *m, struct mapping_write *w, uint64_t written)
{
	(void)m;
	(void)w;
	(void)written;
	return 0;
}

static const struct mapping_ops row_ops = {
	.map_read = row_map_read,
	.write_begin = row_begin,
	.write_map = row_write_map,
	.write_end = row_end,
};

static void row_init(struct row *row, fsblk_t first, uint64_t size_bytes)
{
	*row = (struct row){.first = first, .size_bytes = size_bytes};
	mapping_init(&row->mapping, bench.cache, bench.disk, &row_ops, row, 12 + (inr_t)(first >> 8));
}

static void row_done(struct row *row)
{
	mapping_truncate(&row->mapping, 0);
	mapping_done(&row->mapping);
}

static void open_disks(void)
{
	const struct sim_config sim_config = {
		.profile = sim_profile_find("hdd7200"),
		.mode = SIM_RING_IRQ,
		.drive = SIM_INLINE,
		.size_bytes = DISK_BYTES,
	};
	const struct disk_config config = {.name = "sim", .clock = bench.clock};
	const struct disk_config over = {.name = "faulty", .clock = bench.clock, .is_inline = true};
	struct disk *sim;
	char why[256];

	ck_assert_int_eq(simdisk_open(NULL, &sim_config, &config, &sim, &bench.sim, why, sizeof(why)), 0);
	ck_assert_int_eq(faultydisk_open(sim, true, NULL, &over, &bench.faulty, &bench.disk), 0);
}

static void begin(uint64_t cache_bytes)
{
	struct page_cache_config config = {.block_bytes = BLOCK, .size_bytes = cache_bytes};

	bench.clock = clock_create_virtual((struct timespec){.tv_sec = 1700000000});
	bench.work = workqueue_create("bench", 0, bench.clock, 1);
	open_disks();
	config.clock = bench.clock;
	config.work = bench.work;
	ck_assert_int_eq(page_cache_create(&config, &bench.cache), 0);
	ck_assert_int_eq(buffer_cache_init(&bench.buffers, bench.cache, bench.disk), 0);
}

static void end(void)
{
	mapping_truncate(&bench.buffers.mapping, 0);
	buffer_cache_done(&bench.buffers);
	page_cache_destroy(bench.cache);
	disk_close(bench.disk);
	workqueue_destroy(bench.work);
	clock_destroy(bench.clock);
}

static void print(const char *what, double number)
{
	if (getenv("CACHE_BARS_PRINT"))
		printf("%-60s %8.3f\n", what, number);
}

static uint64_t bytes_moved(enum bio_op op)
{
	return counter_get(&disk_stats(bench.disk)->bytes[op]);
}

/* ---- reading ---- */

static void raw_end_io(struct bio *bio)
{
	ck_assert_int_eq(bio->status, 0);
	bio_free(bio);
}

/* How long the device itself takes for so many bytes in a row, given as fast as it takes them. */
static uint64_t streaming_ns(uint64_t offset_bytes, uint64_t len_bytes)
{
	uint64_t began_ns = clock_now_ns(bench.clock);
	uint8_t *memory = malloc(MIB);
	struct plug plug;

	ck_assert_ptr_nonnull(memory);
	plug_start(&plug);
	for (uint64_t at = 0; at < len_bytes; at += MIB) {
		struct bio *bio = bio_alloc(bench.disk, BIO_READ, 0, (offset_bytes + at) >> SECTOR_SHIFT, 1);

		ck_assert(bio_add(bio, memory, MIB));
		bio->end_io = raw_end_io;
		plug_submit(&plug, bio);
		if (plug.nr_bios == 8) {
			plug_finish(&plug);
			plug_start(&plug);
		}
	}
	plug_finish(&plug);
	free(memory);
	return clock_now_ns(bench.clock) - began_ns;
}

static void read_at(struct row *row, struct readahead_state *ra, uint64_t pos, size_t len)
{
	struct filemap_view view;

	ck_assert_int_eq(filemap_read(&row->mapping, pos, len, row->size_bytes, ra, &view), 0);
	ck_assert_uint_eq(view.len_bytes, len);
	filemap_view_done(&view);
}

/* The share of the device's rate that a sequential reader gets. */
static double sequential_share(uint64_t cache_bytes, size_t call_bytes)
{
	struct readahead_state ra;
	struct row row;
	uint64_t device_ns, began_ns, took_ns;

	begin(cache_bytes);
	device_ns = streaming_ns(0, 512 * MIB);
	row_init(&row, 1 << 18, 512 * MIB);
	readahead_init(&ra);
	began_ns = clock_now_ns(bench.clock);
	for (uint64_t pos = 0; pos < row.size_bytes; pos += call_bytes)
		read_at(&row, &ra, pos, call_bytes);
	took_ns = clock_now_ns(bench.clock) - began_ns;
	readahead_done(&ra);
	row_done(&row);
	end();
	return (double)device_ns / (double)took_ns;
}

START_TEST(sequential_reader_gets_the_rate_of_the_device)
{
	double share = sequential_share(256 * MIB, MIB);

	print("sequential reader, 1 MiB calls: share of the device's rate", share);
	ck_assert(share >= 0.95);
	share = sequential_share(256 * MIB, BLOCK);
	print("sequential reader, 4 KiB calls", share);
	ck_assert(share >= 0.95);
	share = sequential_share(32 * MIB, 128 << 10);
	print("sequential reader, 128 KiB calls, cache of 32 MiB", share);
	ck_assert(share >= 0.95);
}
END_TEST

/* Two files, `apart` blocks from each other, read by turns, each by its own open file. */
static double interleaved_share(uint64_t apart)
{
	struct readahead_state ra[2];
	struct row rows[2];
	uint64_t device_ns, began_ns, took_ns;

	begin(256 * MIB);
	device_ns = streaming_ns(0, 512 * MIB);
	for (int i = 0; i < 2; i++) {
		row_init(&rows[i], 1 + (uint64_t)i * apart, 256 * MIB);
		readahead_init(&ra[i]);
	}
	began_ns = clock_now_ns(bench.clock);
	for (uint64_t pos = 0; pos < 256 * MIB; pos += MIB)
		for (int i = 0; i < 2; i++)
			read_at(&rows[i], &ra[i], pos, MIB);
	took_ns = clock_now_ns(bench.clock) - began_ns;
	for (int i = 0; i < 2; i++) {
		readahead_done(&ra[i]);
		row_done(&rows[i]);
	}
	end();
	return (double)device_ns / (double)took_ns;
}

START_TEST(interleaved_readers_get_most_of_it)
{
	double share = interleaved_share(256 * MIB / BLOCK);

	print("two sequential readers, files side by side", share);
	ck_assert(share >= 0.80);
	share = interleaved_share(DISK_BYTES / 3 / BLOCK);
	print("two sequential readers, a third of the disk apart", share);
	ck_assert(share >= 0.80);
}
END_TEST

/* Two places of one file, read through one open file. */
START_TEST(interleaved_readers_of_one_file_get_most_of_it)
{
	struct readahead_state ra;
	struct row row;
	uint64_t device_ns, began_ns, took_ns;
	double share;

	begin(256 * MIB);
	device_ns = streaming_ns(0, 512 * MIB);
	row_init(&row, 1, 2048 * MIB);
	readahead_init(&ra);
	began_ns = clock_now_ns(bench.clock);
	for (uint64_t pos = 0; pos < 256 * MIB; pos += MIB) {
		read_at(&row, &ra, pos, MIB);
		read_at(&row, &ra, pos + 1024 * MIB, MIB);
	}
	took_ns = clock_now_ns(bench.clock) - began_ns;
	share = (double)device_ns / (double)took_ns;
	print("two sequential readers of one file, through one open file", share);
	ck_assert(share >= 0.80);
	readahead_done(&ra);
	row_done(&row);
	end();
}
END_TEST

START_TEST(random_reader_causes_hardly_any_extra_traffic)
{
	struct readahead_state ra;
	struct rand rand;
	struct row row;
	double extra;

	begin(64 * MIB);
	rand_init(&rand, test_seed());
	row_init(&row, 1, 1024 * MIB);
	readahead_init(&ra);
	for (int i = 0; i < 10000; i++)
		read_at(&row, &ra, rand_below(&rand, 1024 * MIB / BLOCK) * BLOCK, BLOCK);
	extra = (double)bytes_moved(BIO_READ) / (double)(counter_get(&page_cache_stats(bench.cache)->misses) * BLOCK) - 1;
	print("random reader of 4 KiB: extra traffic", extra);
	ck_assert(extra < 0.05);
	readahead_done(&ra);
	row_done(&row);
	end();
}
END_TEST

/* Each fourth MiB, backwards: what it asks for is read while it works on what it has. */
START_TEST(backward_and_strided_readers_lose_little)
{
	struct readahead_state ra;
	struct row row;
	const struct page_cache_stats *s;

	begin(256 * MIB);
	s = page_cache_stats(bench.cache);
	row_init(&row, 1, 1024 * MIB);
	readahead_init(&ra);
	for (uint64_t pos = 1024 * MIB; pos > 768 * MIB; pos -= 64 << 10)
		read_at(&row, &ra, pos - (64 << 10), 64 << 10);
	for (uint64_t pos = 0; pos < 512 * MIB; pos += MIB)
		read_at(&row, &ra, pos, 64 << 10);
	print("backward and strided readers: absent pages of those asked for",
	      (double)counter_get(&s->misses) / (double)(counter_get(&s->misses) + counter_get(&s->hits)));
	ck_assert_uint_le(counter_get(&s->misses), 8 * 16);
	/* When they stop, each has its latest window and the next before it. */
	ck_assert_uint_le(counter_get(&s->ahead_pages) - counter_get(&s->ahead_used), 2 * 2048 + 2 * 64 * 16);
	readahead_done(&ra);
	row_done(&row);
	end();
}
END_TEST

/* ---- writing ---- */

#define NR_DIRTY 10000u
#define SPAN_BLOCKS (1024 * MIB / BLOCK)

static uint64_t travel_now(void)
{
	return counter_get(&simdisk_stats(bench.sim)->travel);
}

/* What they would cost one after the other. */
static uint64_t travel_in_order(const fsblk_t *blocks)
{
	uint64_t before = travel_now();
	uint8_t memory[BLOCK] = {0};

	for (uint32_t i = 0; i < NR_DIRTY; i++)
		ck_assert_int_eq(disk_write(bench.disk, blocks[i] * BLOCK, memory, BLOCK, 0), 0);
	return travel_now() - before;
}

static void choose_blocks(fsblk_t *blocks)
{
	struct rand rand;

	rand_init(&rand, test_seed());
	for (uint32_t i = 0; i < NR_DIRTY; i++)
		blocks[i] = 1000 + rand_below(&rand, SPAN_BLOCKS);
}

static void pass_time_until_clean(void)
{
	for (int i = 0; i < 200 && page_cache_nr_dirty(bench.cache) > 0; i++) {
		clock_advance(bench.clock, 1000 * NSEC_PER_MSEC);
		work_run_pending(bench.work);
	}
	ck_assert_uint_eq(page_cache_nr_dirty(bench.cache), 0);
}

static void check_travel(const char *what, uint64_t in_order)
{
	uint64_t before = travel_now();
	double share;

	pass_time_until_clean();
	share = (double)(travel_now() - before) / (double)in_order;
	print(what, share);
	ck_assert(share <= 0.2);
}

START_TEST(random_dirty_blocks_are_written_in_sweeps)
{
	static fsblk_t blocks[NR_DIRTY];
	static uint8_t bytes[BLOCK];
	enum { NR_FILES = 2000 };
	static struct row files[NR_FILES];
	const uint64_t file_blocks = SPAN_BLOCKS / NR_FILES;
	uint64_t in_order;

	begin(256 * MIB);
	choose_blocks(blocks);
	in_order = travel_in_order(blocks);
	row_init(&files[0], 1000, SPAN_BLOCKS * BLOCK);
	for (uint32_t i = 0; i < NR_DIRTY; i++)
		ck_assert_int_eq(filemap_write(&files[0].mapping, (blocks[i] - 1000) * BLOCK, bytes, BLOCK, 0, false), BLOCK);
	check_travel("head travel of write-back, one file, to that in order", in_order);
	row_done(&files[0]);

	for (uint32_t i = 0; i < NR_FILES; i++)
		row_init(&files[i], 1000 + i * file_blocks, file_blocks * BLOCK);
	for (uint32_t i = 0; i < NR_DIRTY; i++) {
		uint64_t at = min(blocks[i] - 1000, NR_FILES * file_blocks - 1);

		ck_assert_int_eq(filemap_write(&files[at / file_blocks].mapping, at % file_blocks * BLOCK, bytes,
					       BLOCK, 0, false), BLOCK);
	}
	check_travel("head travel of write-back, 2,000 files", in_order);
	for (uint32_t i = 0; i < NR_FILES; i++)
		row_done(&files[i]);

	for (uint32_t i = 0; i < NR_DIRTY; i++) {
		struct buffer *b;

		ck_assert_int_eq(buffer_get(&bench.buffers, blocks[i], &b), 0);
		buffer_lock(b);
		memset(buffer_data(b), 1, BLOCK);
		buffer_set_uptodate(b);
		buffer_mark_dirty(b);
		buffer_unlock(b);
		buffer_put(b);
	}
	check_travel("head travel of write-back, metadata", in_order);
	end();
}
END_TEST

/* ---- the working set ---- */

static double share_left_after_scan(bool is_read_ahead, uint32_t times)
{
	const uint64_t hot_bytes = 32 * MIB;
	struct readahead_state ra;
	struct row hot, cold;
	uint64_t read_before;
	double left;

	begin(2 * hot_bytes);
	row_init(&hot, 1, hot_bytes);
	row_init(&cold, 1 << 16, times * 2 * hot_bytes);
	readahead_init(&ra);
	for (int round = 0; round < 3; round++)
		for (uint64_t pos = 0; pos < hot_bytes; pos += BLOCK)
			read_at(&hot, NULL, pos, BLOCK);
	for (uint64_t pos = 0; pos < cold.size_bytes; pos += 128 << 10)
		read_at(&cold, is_read_ahead ? &ra : NULL, pos, 128 << 10);
	read_before = counter_get(&page_cache_stats(bench.cache)->pages_read);
	for (uint64_t pos = 0; pos < hot_bytes; pos += BLOCK)
		read_at(&hot, NULL, pos, BLOCK);
	left = 1 - (double)(counter_get(&page_cache_stats(bench.cache)->pages_read) - read_before) /
		       (double)(hot_bytes / BLOCK);
	readahead_done(&ra);
	row_done(&hot);
	row_done(&cold);
	end();
	return left;
}

START_TEST(scan_leaves_the_hot_set)
{
	double left = share_left_after_scan(true, 4);

	print("hot set left after a scan of 4 caches, read ahead", left);
	ck_assert(left >= 0.90);
	left = share_left_after_scan(false, 4);
	print("hot set left after a scan of 4 caches", left);
	ck_assert(left >= 0.90);
	left = share_left_after_scan(true, 20);
	print("hot set left after a scan of 20 caches", left);
	ck_assert(left >= 0.90);
}
END_TEST

/* A new working set, larger than the inactive list, that is gone through again and again. */
START_TEST(new_working_set_takes_over)
{
	struct row before, after;
	uint64_t read_before = 0;
	double hits;

	begin(64 * MIB);
	row_init(&before, 1, 40 * MIB);
	row_init(&after, 1 << 16, 36 * MIB);
	for (int round = 0; round < 3; round++)
		for (uint64_t pos = 0; pos < before.size_bytes; pos += BLOCK)
			read_at(&before, NULL, pos, BLOCK);
	for (int round = 0; round < 8; round++) {
		read_before = counter_get(&page_cache_stats(bench.cache)->pages_read);
		for (uint64_t pos = 0; pos < after.size_bytes; pos += BLOCK)
			read_at(&after, NULL, pos, BLOCK);
	}
	hits = 1 - (double)(counter_get(&page_cache_stats(bench.cache)->pages_read) - read_before) /
		       (double)(after.size_bytes / BLOCK);
	print("hits of the 8th round of a new working set", hits);
	ck_assert(hits >= 0.95);
	row_done(&before);
	row_done(&after);
	end();
}
END_TEST

/* ---- fsync ---- */

static uint64_t fsync_bytes(struct row *row)
{
	static uint8_t bytes[BLOCK];
	uint64_t before;

	ck_assert_int_eq(filemap_write(&row->mapping, 0, bytes, BLOCK, 0, false), BLOCK);
	before = bytes_moved(BIO_WRITE);
	ck_assert_int_eq(mapping_write_range(&row->mapping, 0, UINT64_MAX, WRITEBACK_WAIT), 0);
	return bytes_moved(BIO_WRITE) - before;
}

START_TEST(fsync_writes_its_own_file)
{
	const uint64_t other_bytes = 512 * MIB;
	static uint8_t mib[1 << 20];
	struct row own, other;
	uint64_t alone, beside;

	begin(1600 * MIB);	/* of which 40 % may be dirty */
	row_init(&own, 1, BLOCK);
	row_init(&other, 1 << 16, other_bytes);
	alone = fsync_bytes(&own);
	for (uint64_t pos = 0; pos < other_bytes; pos += MIB)
		ck_assert_int_eq(filemap_write(&other.mapping, pos, mib, MIB, 0, false), MIB);
	ck_assert_uint_ge(page_cache_nr_dirty(bench.cache), other_bytes / BLOCK);
	beside = fsync_bytes(&own);
	print("bytes of an fsync beside 512 MiB dirty, to alone", (double)beside / (double)alone);
	ck_assert_uint_le(beside, 2 * alone);
	row_done(&own);
	row_done(&other);
	end();
}
END_TEST

/* Writes fail by chance, in fsyncs and behind everybody's back; the model knows which were lost. */
#define NR_SHARED 6

struct opened {
	struct row row;
	uint32_t seen[2];	/* two open files of it */
	bool owes[2];		/* this one was not told yet of a loss */
};

static void note_loss(struct opened *o, uint32_t errors_before)
{
	if (mapping_error_mark(&o->row.mapping) != errors_before)
		o->owes[0] = o->owes[1] = true;
}

static void write_and_sync(struct opened *files, struct rand *rand)
{
	static uint8_t bytes[8 * BLOCK];
	uint32_t marks[NR_SHARED];

	for (int i = 0; i < NR_SHARED; i++)
		marks[i] = mapping_error_mark(&files[i].row.mapping);
	if (rand_one_in(rand, 3)) {	/* the flusher comes along */
		clock_advance(bench.clock, 7000 * NSEC_PER_MSEC);
		work_run_pending(bench.work);
	} else {
		struct row *row = &files[rand_below(rand, NR_SHARED)].row;
		size_t len = (1 + rand_below(rand, 8)) * BLOCK;

		ck_assert_int_eq(filemap_write(&row->mapping, rand_below(rand, 200) * BLOCK, bytes, len, 0, false),
				 (ssize_t)len);
	}
	for (int i = 0; i < NR_SHARED; i++)
		note_loss(&files[i], marks[i]);
}

/* As vfs/file.c does it. */
static int fsync_of(struct opened *o, int which)
{
	int err = mapping_write_range(&o->row.mapping, 0, UINT64_MAX, WRITEBACK_WAIT);
	int late = mapping_error_since(&o->row.mapping, &o->seen[which]);

	return first_error(err, late);
}

static void count_line(void *arg, enum log_level level, const char *line)
{
	uint32_t *nr_lines = arg;

	ck_assert_int_eq(level, LOG_LEVEL_ERROR);
	ck_assert_ptr_nonnull(strstr(line, "inode "));
	ck_assert_ptr_nonnull(strstr(line, "block "));
	++*nr_lines;
}

START_TEST(failed_write_is_told_by_the_next_fsync_of_that_file_only)
{
	static struct opened files[NR_SHARED];
	struct faultydisk_config faults = {.seed = test_seed(), .fails[BIO_WRITE] = {.one_in = 4}};
	struct rand rand;
	uint32_t nr_told = 0, nr_fsyncs = 0, nr_lines = 0;

	begin(16 * MIB);
	rand_init(&rand, test_seed());
	log_set_sink(count_line, &nr_lines);
	faultydisk_set(bench.faulty, &faults);
	for (int i = 0; i < NR_SHARED; i++)
		row_init(&files[i].row, 1000 * (uint64_t)(i + 1), 300 * BLOCK);
	for (int step = 0; step < 4000; step++) {
		struct opened *o = &files[rand_below(&rand, NR_SHARED)];
		int which = (int)rand_below(&rand, 2), err;
		uint32_t mark, failed_before;

		write_and_sync(files, &rand);
		if (!rand_one_in(&rand, 3))
			continue;
		mark = mapping_error_mark(&o->row.mapping);
		failed_before = (uint32_t)faultydisk_stats(bench.faulty).failed;
		err = fsync_of(o, which);
		note_loss(o, mark);
		/* What the device refused in this fsync was of this file. */
		if (faultydisk_stats(bench.faulty).failed != failed_before)
			ck_assert(o->owes[which]);
		ck_assert_int_eq(err, o->owes[which] ? -EIO : 0);
		nr_told += o->owes[which];
		nr_fsyncs++;
		o->owes[which] = false;
	}
	print("fsyncs that told of a lost write, of all", (double)nr_told / nr_fsyncs);
	ck_assert_uint_gt(nr_lines, 0);
	ck_assert_uint_gt(nr_told, 50);
	ck_assert_uint_lt(nr_told, nr_fsyncs - 50);
	faults = (struct faultydisk_config){0};
	faultydisk_set(bench.faulty, &faults);
	log_set_sink(NULL, NULL);
	for (int i = 0; i < NR_SHARED; i++)
		row_done(&files[i].row);
	end();
}
END_TEST

TEST_SUITE(fs_cache_bars)
{
	tcase_add_test(tc, sequential_reader_gets_the_rate_of_the_device);
	tcase_add_test(tc, interleaved_readers_get_most_of_it);
	tcase_add_test(tc, interleaved_readers_of_one_file_get_most_of_it);
	tcase_add_test(tc, random_reader_causes_hardly_any_extra_traffic);
	tcase_add_test(tc, backward_and_strided_readers_lose_little);
	tcase_add_test(tc, random_dirty_blocks_are_written_in_sweeps);
	tcase_add_test(tc, scan_leaves_the_hot_set);
	tcase_add_test(tc, new_working_set_takes_over);
	tcase_add_test(tc, fsync_writes_its_own_file);
	tcase_add_test(tc, failed_write_is_told_by_the_next_fsync_of_that_file_only);
}
