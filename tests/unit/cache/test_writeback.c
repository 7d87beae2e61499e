/*
 * Write-back: neighbours on disk become one write; a page redirtied later is written again; an error
 * is told once to each who asks, and the page is not written for ever; without memory nothing is
 * lost; the flusher writes by age (virtual clock) and by amount, a slice a file; sync writes data
 * before metadata, all that was dirty when it began, and is not held up by writers; the throttle
 * lets writers go on as writes complete.
 */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <unistd.h>

static struct rig rig;
static struct fakefile f, g;

static void begin(void)
{
	rig_start(&rig);
	file_init(&f, &rig, 16384);
	file_init(&g, &rig, 16384);
}

static void end(void)
{
	file_done(&g);
	file_done(&f);
	rig_stop(&rig);
}

static void begin_inline(void)
{
	rig_defaults(&rig);
	begin();
}

static void dirty_buffer(fsblk_t block, uint8_t byte)
{
	struct buffer *b;

	ck_assert_int_eq(buffer_get(&rig.buffers, block, &b), 0);
	buffer_lock(b);
	memset(buffer_data(b), byte, rig.block_bytes);
	buffer_set_uptodate(b);
	buffer_mark_dirty(b);
	buffer_unlock(b);
	buffer_put(b);
}

static uint64_t blocks_written(void)
{
	uint64_t sum = 0;

	ck_assert_uint_le(rig.nr_writes, RIG_WRITES_LOGGED);
	for (uint32_t i = 0; i < rig.nr_writes; i++)
		sum += rig.writes[i].nr_blocks;
	return sum;
}

START_TEST(neighbours_become_one_write)
{
	begin_inline();
	for (int i = 63; i >= 0; i--)		/* blocks in the order of writing: backwards */
		ck_assert_int_eq(file_fill(&f, (uint64_t)i * 4096, (uint8_t)i, 4096), 4096);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);
	ck_assert_uint_eq(rig.writes[0].block, 16);
	ck_assert_uint_eq(rig.writes[0].nr_blocks, 64);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(rig_block(&rig, f.map[i])[100], i);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);	/* nothing was dirty */
	end();
}
END_TEST

START_TEST(requests_keep_the_disks_limit)
{
	rig_defaults(&rig);
	rig.request_bytes_max = 16384;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 1, 160 * 4096), 160 * 4096);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_uint_eq(rig.nr_writes, 40);
	for (uint32_t i = 0; i < 40; i++)
		ck_assert_uint_eq(rig.writes[i].nr_blocks, 4);
	end();
}
END_TEST

START_TEST(range_writes_only_the_range)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 32 * 4096), 32 * 4096);
	ck_assert_int_eq(mapping_write_range(&f.mapping, 8, 11, WRITEBACK_WAIT), 0);
	ck_assert_uint_eq(blocks_written(), 4);
	ck_assert_uint_eq(rig.writes[0].block, f.map[8]);
	ck_assert_uint_eq(f.mapping.nr_dirty, 28);
	end();
}
END_TEST

START_TEST(failed_write_is_told_once_to_each_marker)
{
	uint32_t early, late;

	begin_inline();
	early = mapping_error_mark(&f.mapping);
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	rig.fail_writes = 1;
	ck_assert_int_eq(mapping_write_range(&f.mapping, 0, UINT64_MAX, WRITEBACK_START), 0);
	ck_assert_uint_eq(rig.nr_lines, 1);
	ck_assert_ptr_nonnull(strstr(rig.line, "inode 12"));
	ck_assert_ptr_nonnull(strstr(rig.line, "block 16"));
	late = mapping_error_mark(&f.mapping);
	ck_assert_int_eq(mapping_error_since(&f.mapping, &early), -EIO);
	ck_assert_int_eq(mapping_error_since(&f.mapping, &early), 0);
	ck_assert_int_eq(mapping_error_since(&f.mapping, &late), 0);	/* opened afterwards */
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);	/* not tried for ever */
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(file_fill(&f, 0, 2, 4096), 4096);
	rig.fail_writes = 1;
	ck_assert_int_eq(file_sync(&f), -EIO);		/* who waits is told directly */
	ck_assert_int_eq(mapping_error_since(&f.mapping, &late), -EIO);
	end();
}
END_TEST

START_TEST(failed_write_is_told_by_cache_sync)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	rig.fail_writes = 1;
	ck_assert_int_eq(page_cache_sync(rig.cache), -EIO);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	end();
}
END_TEST

/* No two of f's pages lie side by side on disk. */
static void dirty_scattered(uint32_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		ck_assert_int_eq(file_fill(&f, i * 4096, (uint8_t)i, 4096), 4096);
		ck_assert_int_eq(file_fill(&g, i * 4096, 'g', 4096), 4096);
	}
}

static void check_scattered(uint32_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		ck_assert_int_eq(rig_block(&rig, f.map[i])[4095], (uint8_t)i);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->reserve_uses), 8);
	ck_assert_uint_eq(f.mapping.error_seq, 0);
}

START_TEST(sync_without_any_memory_writes_everything)
{
	int err;

	begin_inline();
	dirty_scattered(100);
	mem_fail_nth(1, true);
	err = file_sync(&f);
	mem_fail_nth(0, false);
	ck_assert_int_eq(err, 0);
	check_scattered(100);
	end();
}
END_TEST

START_TEST(flusher_without_any_memory_writes_everything_in_the_end)
{
	begin_inline();
	dirty_scattered(100);
	mem_fail_nth(1, true);
	for (int i = 0; i < 30; i++) {
		clock_advance(rig.clock, 6000 * NSEC_PER_MSEC);
		work_run_pending(rig.work);
	}
	mem_fail_nth(0, false);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	check_scattered(100);
	end();
}
END_TEST

static void sync_it(void *arg)
{
	ck_assert_int_eq(file_sync(arg), 0);
}

/* More at once than the reserve has pieces: they wait for each other's, and nobody for ever. */
START_TEST(syncs_share_the_reserve)
{
	struct thread *threads[4];

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.cache_bytes = 16 << 20;
	begin();
	dirty_scattered(150);
	for (int i = 0; i < 4; i++)
		threads[i] = thread_create("sync", sync_it, i % 2 ? &f : &g);
	mem_fail_nth(1, true);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	mem_fail_nth(0, false);
	ck_assert_int_eq(file_sync(&f), 0);
	for (uint64_t i = 0; i < 150; i++)
		ck_assert_int_eq(rig_block(&rig, f.map[i])[4095], (uint8_t)i);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	end();
}
END_TEST

/* As an ordered commit does it: all files' writes are under way before any is waited for. */
START_TEST(submitted_writes_are_waited_for_later)
{
	uint32_t mark_f, mark_g;

	rig_defaults(&rig);
	rig.is_inline = false;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 'f', 4096), 4096);
	ck_assert_int_eq(file_fill(&g, 0, 'g', 4096), 4096);
	mark_f = mapping_error_mark(&f.mapping);
	mark_g = mapping_error_mark(&g.mapping);
	rig_stick_writes(&rig);
	ck_assert_int_eq(mapping_write_range(&f.mapping, 0, UINT64_MAX, WRITEBACK_SUBMIT), 0);
	ck_assert_int_eq(mapping_write_range(&g.mapping, 0, UINT64_MAX, WRITEBACK_SUBMIT), 0);
	rig_wait_stuck(&rig, 1);	/* they are neighbours, so perhaps they met in one request */
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	ck_assert_uint_eq(rig.cache->nr_writeback, 2);
	mutex_lock(&rig.lock);
	rig.fail_writes = 2;
	mutex_unlock(&rig.lock);
	rig_unstick(&rig);
	ck_assert_int_eq(mapping_wait_range(&f.mapping, 0, UINT64_MAX, &mark_f), -EIO);
	ck_assert_int_eq(mapping_wait_range(&f.mapping, 0, UINT64_MAX, &mark_f), 0);
	ck_assert_int_eq(mapping_wait_range(&g.mapping, 0, UINT64_MAX, &mark_g), -EIO);
	ck_assert_int_eq(mapping_wait_range(&g.mapping, 0, UINT64_MAX, &mark_g), 0);
	mutex_lock(&rig.lock);
	rig.fail_writes = 0;
	mutex_unlock(&rig.lock);
	end();
}
END_TEST

START_TEST(B3_pinned_buffer_is_not_written)
{
	struct buffer *b;

	begin_inline();
	dirty_buffer(3, 'p');
	b = buffer_find(&rig.buffers, 3);
	page_set(&b->page, PAGE_PINNED);
	ck_assert_int_eq(buffer_sync(&rig.buffers), 0);
	ck_assert_int_eq(buffer_write(b), -EBUSY);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_uint_eq(rig.nr_writes, 0);
	page_clear(&b->page, PAGE_PINNED);
	ck_assert_int_eq(buffer_write(b), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);
	buffer_put(b);
	end();
}
END_TEST

/* The flusher. */

START_TEST(old_pages_are_written_by_age)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	clock_advance(rig.clock, 3000 * NSEC_PER_MSEC);
	work_run_pending(rig.work);
	ck_assert_uint_eq(rig.nr_writes, 0);
	ck_assert_int_eq(file_fill(&g, 0, 2, 4096), 4096);
	clock_advance(rig.clock, 2500 * NSEC_PER_MSEC);
	work_run_pending(rig.work);
	ck_assert_uint_eq(rig.nr_writes, 1);		/* f is 5.5 s old, g is not */
	ck_assert_uint_eq(rig.writes[0].block, f.map[0]);
	for (int i = 0; i < 4; i++) {
		clock_advance(rig.clock, 1000 * NSEC_PER_MSEC);
		work_run_pending(rig.work);
	}
	ck_assert_uint_eq(rig.nr_writes, 2);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	end();
}
END_TEST

START_TEST(page_kept_dirty_by_its_writer_is_written_once_an_expiry)
{
	begin_inline();
	for (int i = 0; i < 200; i++) {		/* 20 seconds */
		ck_assert_int_eq(file_fill(&f, 0, (uint8_t)i, 4096), 4096);
		clock_advance(rig.clock, 100 * NSEC_PER_MSEC);
		work_run_pending(rig.work);
	}
	ck_assert_uint_ge(rig.nr_writes, 3);
	ck_assert_uint_le(rig.nr_writes, 4);
	end();
}
END_TEST

START_TEST(with_interval_0_the_flusher_only_comes_when_called)
{
	rig_defaults(&rig);
	rig.interval_ms = 0;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	clock_advance(rig.clock, 60000 * NSEC_PER_MSEC);
	work_run_pending(rig.work);
	ck_assert_uint_eq(rig.nr_writes, 0);
	end();
}
END_TEST

START_TEST(background_limit_calls_the_flusher)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 90 * 4096), 90 * 4096);
	work_run_pending(rig.work);
	ck_assert_uint_eq(rig.nr_writes, 0);		/* 10 % are 102 pages */
	ck_assert_int_eq(file_fill(&g, 0, 1, 20 * 4096), 20 * 4096);
	work_run_pending(rig.work);
	ck_assert_uint_gt(rig.nr_writes, 0);
	ck_assert_uint_le(page_cache_nr_dirty(rig.cache), 77);
	end();
}
END_TEST

START_TEST(large_file_is_written_in_slices_between_small_ones)
{
	struct round_seen { bool f, g; } first_half = {0};

	rig_defaults(&rig);
	rig.cache_bytes = 64 << 20;
	rig.dirty_percent = 90;
	rig.background_percent = 50;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 1, 32 << 20), 32 << 20);	/* four slices */
	ck_assert_int_eq(file_fill(&g, 0, 2, 4096), 4096);
	clock_advance(rig.clock, 10000 * NSEC_PER_MSEC);
	work_run_pending(rig.work);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	for (uint32_t i = 0; i < rig.nr_writes / 2; i++) {
		first_half.f |= rig.writes[i].block < g.map[0];
		first_half.g |= rig.writes[i].block + rig.writes[i].nr_blocks > g.map[0];
	}
	ck_assert(first_half.f);
	ck_assert(first_half.g);
	end();
}
END_TEST

/* Sync. */

START_TEST(sync_writes_data_before_metadata)
{
	begin_inline();
	dirty_buffer(5, 'm');
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	dirty_buffer(0, 'm');
	ck_assert_int_eq(file_fill(&g, 0, 1, 4096), 4096);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	ck_assert_uint_eq(blocks_written(), 4);
	ck_assert_uint_ge(rig.writes[0].block, 16);
	ck_assert_uint_lt(rig.writes[rig.nr_writes - 1].block, 16);
	ck_assert_int_eq(rig_block(&rig, 0)[0], 'm');	/* block 0 is a block, not a hole */
	end();
}
END_TEST

START_TEST(neighbours_of_different_files_become_one_write)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 4096), 4096);
	ck_assert_int_eq(file_fill(&g, 0, 2, 4096), 4096);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);
	end();
}
END_TEST

/* Threads. */

static _Atomic bool is_over;

static void write_for_ever(void *arg)
{
	struct fakefile *file = arg;
	uint64_t pos = 0;

	while (!is_over) {
		ck_assert_int_eq(file_fill(file, pos, 1, 8192), 8192);
		pos = (pos + 8192) % (16384ull * 4096);
	}
}

START_TEST(sync_ends_while_writers_go_on)
{
	struct thread *threads[2];

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.disk_bytes = 256 << 20;
	rig.write_delay_us = 200;
	begin();
	is_over = false;
	threads[0] = thread_create("write", write_for_ever, &f);
	threads[1] = thread_create("write", write_for_ever, &g);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(page_cache_sync(rig.cache), 0);
		ck_assert_int_eq(file_sync(i % 2 ? &f : &g), 0);
	}
	is_over = true;
	thread_join(threads[0]);
	thread_join(threads[1]);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	end();
}
END_TEST

static void sync_f(void *arg)
{
	*(int *)arg = file_sync(&f);
}

static _Atomic bool has_written;

static void write_b(void *arg)
{
	(void)arg;
	ck_assert_int_eq(file_fill(&f, 0, 'b', 4096), 4096);
	has_written = true;
}

START_TEST(P2_writer_waits_for_the_write_under_way)
{
	struct thread *syncer, *writer;
	int err = 1;

	rig_defaults(&rig);
	rig.is_inline = false;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 'a', 4096), 4096);
	rig_stick_writes(&rig);
	syncer = thread_create("sync", sync_f, &err);
	rig_wait_stuck(&rig, 1);
	has_written = false;
	writer = thread_create("write", write_b, NULL);
	usleep(20000);
	ck_assert(!has_written);
	rig_unstick(&rig);
	thread_join(writer);
	thread_join(syncer);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(rig_block(&rig, f.map[0])[0], 'a');
	ck_assert_uint_eq(f.mapping.nr_dirty, 1);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(rig_block(&rig, f.map[0])[0], 'b');
	end();
}
END_TEST

START_TEST(sync_waits_for_what_the_flusher_has_begun)
{
	struct thread *syncer;
	int err = 1;

	rig_defaults(&rig);
	rig.is_inline = false;
	begin();
	ck_assert_int_eq(file_fill(&f, 0, 'a', 4096), 4096);
	rig_stick_writes(&rig);
	ck_assert_int_eq(mapping_write_range(&f.mapping, 0, UINT64_MAX, WRITEBACK_START), 0);
	rig_wait_stuck(&rig, 1);
	syncer = thread_create("sync", sync_f, &err);
	usleep(20000);
	ck_assert_int_eq(err, 1);	/* it waits */
	rig_unstick(&rig);
	thread_join(syncer);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(rig_block(&rig, f.map[0])[0], 'a');
	end();
}
END_TEST

static void write_much(void *arg)
{
	struct fakefile *file = arg;

	for (uint64_t i = 0; i < 1500; i++)
		ck_assert_int_eq(file_fill(file, i * 4096, 3, 4096), 4096);
}

START_TEST(throttled_writers_of_a_small_cache_all_come_through)
{
	static struct fakefile files[6];
	struct thread *threads[6];
	uint32_t most = 0;

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.write_delay_us = 300;
	begin();
	for (int i = 0; i < 6; i++) {
		file_init(&files[i], &rig, 2048);
		threads[i] = thread_create("write", write_much, &files[i]);
	}
	for (int i = 0; i < 100; i++) {
		most = max(most, atomic_load(&rig.cache->nr_dirty) + atomic_load(&rig.cache->nr_writeback));
		usleep(1000);
	}
	for (int i = 0; i < 6; i++)
		thread_join(threads[i]);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->throttle_waits), 0);
	/* Each writer that was let go adds one chunk; the two reads of `most` are a moment apart. */
	ck_assert_uint_le(most, rig.cache->dirty_max + 6 * rig.cache->batch_max + 256);
	for (int i = 0; i < 6; i++)
		file_done(&files[i]);
	end();
}
END_TEST

START_TEST(debt_grows_from_nothing_to_all_of_it)
{
	uint32_t before = 0;

	ck_assert_uint_eq(throttle_debt(256, 999, 1000, 3000), 0);
	for (uint32_t used = 1000; used <= 3500; used += 10) {
		uint32_t debt = throttle_debt(256, used, 1000, 3000);

		ck_assert_uint_ge(debt, before);
		ck_assert_uint_le(debt, before + 4);	/* no step anywhere */
		before = debt;
	}
	ck_assert_uint_eq(before, 257);
}
END_TEST

static _Atomic bool is_writer_done;
static uint64_t slowest;

static uint64_t nr_written(void)
{
	return counter_get(&page_cache_stats(rig.cache)->pages_written);
}

static bool stands_in_line(void)
{
	bool is;

	mutex_lock(&rig.cache->lru_lock);
	is = !list_empty(&rig.cache->throttled);
	mutex_unlock(&rig.cache->lru_lock);
	return is;
}

/* What is not on the disk yet. Pages go from one count to the other under the file's lock. */
static uint32_t nr_unwritten_of(struct fakefile *file)
{
	uint32_t nr;

	mutex_lock(&file->mapping.lock);
	nr = rig.cache->nr_dirty + rig.cache->nr_writeback;
	mutex_unlock(&file->mapping.lock);
	return nr;
}

static void write_chunks(void *arg)
{
	uint32_t chunk = rig.cache->batch_max;

	(void)arg;
	for (uint64_t at = 0; at + chunk <= 16384; at += chunk) {
		uint64_t before = nr_written();

		ck_assert_int_eq(file_fill(&f, at * 4096, 1, chunk * 4096ul), chunk * 4096l);
		slowest = max(slowest, nr_written() - before);
	}
	is_writer_done = true;
}

/*
 * The disk writes 16 pages each time the writer waits, and stands still else: it could not be
 * slower. The writer comes to write what the disk completes, chunk for chunk, while what is dirty
 * stays at the limit or below; no chunk has to wait for many.
 */
START_TEST(writer_is_slowed_down_smoothly)
{
	struct thread *writer;
	uint32_t chunk, most = 0;

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.cache_bytes = 16 << 20;
	rig.disk_bytes = 128 << 20;
	rig.request_bytes_max = 64 << 10;
	begin();
	chunk = rig.cache->batch_max;
	rig_meter_writes(&rig, true);
	writer = thread_create("writer", write_chunks, NULL);
	while (!is_writer_done) {
		uint64_t before = nr_written();

		most = max(most, nr_unwritten_of(&f));
		if (!stands_in_line()) {
			usleep(20);
			continue;
		}
		rig_let_write_through(&rig);
		while (nr_written() == before && !is_writer_done)
			usleep(20);
	}
	rig_meter_writes(&rig, false);
	thread_join(writer);
	ck_assert_uint_le(most, rig.cache->dirty_max + chunk);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->throttle_waits), 16384 / chunk / 2);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->throttle_ns), 0);
	ck_assert_uint_le(slowest, 3 * chunk);
	end();
}
END_TEST

START_TEST(inline_writer_beyond_the_limit_writes_itself)
{
	begin_inline();
	ck_assert_int_eq(file_fill(&f, 0, 1, 2000 * 4096), 2000 * 4096);
	ck_assert_uint_le(page_cache_nr_dirty(rig.cache), rig.cache->dirty_max + rig.cache->batch_max);
	ck_assert_uint_gt(rig.nr_writes, 0);
	end();
}
END_TEST

/* Lifetime: files come and go while the flusher is busy with them. */

static void come_and_go(void *arg)
{
	struct rand rand;

	rand_init(&rand, test_seed() + (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < 300; i++) {
		struct fakefile file;
		size_t len = 4096 * (1 + rand_below(&rand, 40));

		file_init(&file, &rig, 64);
		ck_assert_int_eq(file_fill(&file, 0, 5, len), (ssize_t)len);
		if (rand_one_in(&rand, 3))
			ck_assert_int_eq(file_sync(&file), 0);
		file_done(&file);
	}
}

START_TEST(mapping_can_go_while_the_flusher_works)
{
	struct thread *threads[3];

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.disk_bytes = 256 << 20;
	rig.background_percent = 1;
	rig.expire_ms = 1;
	rig.interval_ms = 1;
	begin();
	for (uintptr_t i = 0; i < 3; i++)
		threads[i] = thread_create("files", come_and_go, (void *)i);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(page_cache_sync(rig.cache), 0);
		usleep(1000);
	}
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
	end();
}
END_TEST

TEST_SUITE(cache_writeback)
{
	tcase_add_test(tc, neighbours_become_one_write);
	tcase_add_test(tc, requests_keep_the_disks_limit);
	tcase_add_test(tc, range_writes_only_the_range);
	tcase_add_test(tc, failed_write_is_told_once_to_each_marker);
	tcase_add_test(tc, failed_write_is_told_by_cache_sync);
	tcase_add_test(tc, sync_without_any_memory_writes_everything);
	tcase_add_test(tc, flusher_without_any_memory_writes_everything_in_the_end);
	tcase_add_test(tc, syncs_share_the_reserve);
	tcase_add_test(tc, submitted_writes_are_waited_for_later);
	tcase_add_test(tc, debt_grows_from_nothing_to_all_of_it);
	tcase_add_test(tc, writer_is_slowed_down_smoothly);
	tcase_add_test(tc, B3_pinned_buffer_is_not_written);
	tcase_add_test(tc, old_pages_are_written_by_age);
	tcase_add_test(tc, page_kept_dirty_by_its_writer_is_written_once_an_expiry);
	tcase_add_test(tc, with_interval_0_the_flusher_only_comes_when_called);
	tcase_add_test(tc, background_limit_calls_the_flusher);
	tcase_add_test(tc, large_file_is_written_in_slices_between_small_ones);
	tcase_add_test(tc, sync_writes_data_before_metadata);
	tcase_add_test(tc, neighbours_of_different_files_become_one_write);
	tcase_add_test(tc, sync_ends_while_writers_go_on);
	tcase_add_test(tc, P2_writer_waits_for_the_write_under_way);
	tcase_add_test(tc, sync_waits_for_what_the_flusher_has_begun);
	tcase_add_test(tc, throttled_writers_of_a_small_cache_all_come_through);
	tcase_add_test(tc, inline_writer_beyond_the_limit_writes_itself);
	tcase_add_test(tc, mapping_can_go_while_the_flusher_works);
}
