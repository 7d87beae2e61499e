/*
 * Bytes written are the bytes read, whatever the block size and however a write lies to pages, the
 * old end and holes; what no write covered is old content, or zero; a full disk gives a short write
 * and leaves no garbage; a view points at adjacent memory as one piece; reads that hit touch no disk.
 */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <stdlib.h>

static struct rig rig;
static struct fakefile f;

static void begin(uint32_t block_bytes)
{
	rig_defaults(&rig);
	rig.block_bytes = block_bytes;
	rig_start(&rig);
	file_init(&f, &rig, 16384);
}

static void end(void)
{
	ck_assert_uint_eq(f.nr_begun, f.nr_ended);
	file_done(&f);
	rig_stop(&rig);
}

/* Everything cached is dropped, so that the next read comes from disk. */
static void forget_cached(void)
{
	ck_assert_int_eq(file_sync(&f), 0);
	mapping_drop_clean(&f.mapping, 0, UINT64_MAX);
	ck_assert_uint_eq(f.mapping.nr_pages, 0);
}

static uint8_t byte_at(uint64_t pos)
{
	uint8_t byte = 0xEE;

	ck_assert_int_eq(file_read(&f, pos, &byte, 1), 1);
	return byte;
}

START_TEST(partial_write_keeps_the_rest_of_the_block)
{
	begin(4096);
	file_put_on_disk(&f, 0, 2, 'o');
	ck_assert_int_eq(file_fill(&f, 4000, 'n', 200), 200);
	ck_assert_uint_eq(rig.nr_reads, 2);	/* both ends are partial */
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(byte_at(3999), 'o');
		ck_assert_int_eq(byte_at(4000), 'n');
		ck_assert_int_eq(byte_at(4199), 'n');
		ck_assert_int_eq(byte_at(4200), 'o');
		forget_cached();
	}
	end();
}
END_TEST

START_TEST(full_overwrite_reads_nothing)
{
	begin(4096);
	file_put_on_disk(&f, 0, 4, 'o');
	ck_assert_int_eq(file_fill(&f, 4096, 'n', 8192), 8192);
	ck_assert_uint_eq(rig.nr_reads, 0);
	f.size_bytes = 100;	/* the old content ends early: it is all overwritten */
	ck_assert_int_eq(file_fill(&f, 0, 'n', 100), 100);
	ck_assert_uint_eq(rig.nr_reads, 0);
	end();
}
END_TEST

START_TEST(new_block_is_zero_around_the_write)
{
	begin(4096);
	ck_assert_int_eq(file_fill(&f, 5000, 'n', 10), 10);
	ck_assert_uint_eq(rig.nr_reads, 0);
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(byte_at(0), 0);	/* a hole */
		ck_assert_int_eq(byte_at(4999), 0);
		ck_assert_int_eq(byte_at(5000), 'n');
		forget_cached();
	}
	ck_assert_int_eq(rig_block(&rig, f.map[1])[4095], 0);
	ck_assert_uint_eq(f.map[0], 0);
	end();
}
END_TEST

START_TEST(read_hole_then_written_gets_its_block)
{
	struct page *page;

	begin(4096);
	f.size_bytes = 16384;
	ck_assert_int_eq(byte_at(4096), 0);
	page = mapping_find(&f.mapping, 1);
	ck_assert_uint_eq(page->block, 0);
	ck_assert_int_eq(file_fill(&f, 4100, 'n', 4), 4);
	ck_assert_uint_ne(page->block, 0);
	ck_assert(!page_test(page, PAGE_NEW));
	page_put(page);
	forget_cached();
	ck_assert_int_eq(byte_at(4099), 0);
	ck_assert_int_eq(byte_at(4100), 'n');
	end();
}
END_TEST

START_TEST(garbage_behind_the_end_is_zero_when_the_file_grows)
{
	begin(4096);
	file_put_on_disk(&f, 0, 1, 'G');
	f.size_bytes = 100;			/* on disk, 'G' goes on behind it */
	ck_assert_int_eq(file_fill(&f, 200, 'n', 10), 10);	/* in the same block */
	ck_assert_int_eq(byte_at(99), 'G');
	ck_assert_int_eq(byte_at(100), 0);
	ck_assert_int_eq(byte_at(199), 0);
	ck_assert_int_eq(byte_at(200), 'n');
	forget_cached();
	ck_assert_int_eq(rig_block(&rig, f.map[0])[210], 0);
	end();
}
END_TEST

START_TEST(garbage_behind_the_end_is_zero_when_a_gap_is_left)
{
	begin(4096);
	file_put_on_disk(&f, 0, 1, 'G');
	f.size_bytes = 100;
	ck_assert_int_eq(file_fill(&f, 9000, 'n', 10), 10);	/* two blocks on */
	ck_assert_int_eq(byte_at(99), 'G');
	ck_assert_int_eq(byte_at(100), 0);
	ck_assert_int_eq(byte_at(4095), 0);
	forget_cached();
	ck_assert_int_eq(rig_block(&rig, f.map[0])[100], 0);
	end();
}
END_TEST

START_TEST(full_disk_gives_a_short_write_and_no_garbage)
{
	begin(4096);
	rig.blocks_left = 3;
	ck_assert_int_eq(file_fill(&f, 100, 'n', 20000), 3 * 4096 - 100);
	ck_assert_uint_eq(f.size_bytes, 3 * 4096);
	ck_assert_int_eq(file_fill(&f, f.size_bytes, 'n', 10), -ENOSPC);
	f.size_bytes = 20000;	/* as if truncated upwards */
	ck_assert_int_eq(byte_at(3 * 4096 - 1), 'n');
	ck_assert_int_eq(byte_at(3 * 4096), 0);
	ck_assert_int_eq(byte_at(19999), 0);
	rig.blocks_left = 1;
	ck_assert_int_eq(file_fill(&f, 3 * 4096 + 10, 'm', 1), 1);
	ck_assert_int_eq(byte_at(3 * 4096 + 9), 0);
	ck_assert_int_eq(byte_at(3 * 4096 + 10), 'm');
	end();
}
END_TEST

START_TEST(full_disk_leaves_a_cached_hole_a_hole)
{
	begin(4096);
	f.size_bytes = 8192;
	ck_assert_int_eq(byte_at(0), 0);
	rig.blocks_left = 0;
	ck_assert_int_eq(file_fill(&f, 0, 'n', 4096), -ENOSPC);
	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	end();
}
END_TEST

START_TEST(errors_of_the_owner_are_told_and_nothing_stays_locked)
{
	begin(4096);
	file_put_on_disk(&f, 0, 1, 'o');
	f.fail_begin = -EROFS;
	ck_assert_int_eq(file_fill(&f, 0, 'n', 10), -EROFS);
	f.fail_begin = 0;
	f.fail_map_read = -EUCLEAN;
	ck_assert_int_eq(file_fill(&f, 10, 'n', 10), -EUCLEAN);
	f.fail_map_read = 0;
	rig.fail_reads = 1;
	ck_assert_int_eq(file_fill(&f, 10, 'n', 10), -EIO);
	f.fail_end = -EIO;
	ck_assert_int_eq(file_fill(&f, 0, 'n', 4096), -EIO);
	f.fail_end = 0;
	ck_assert_int_eq(file_fill(&f, 10, 'n', 10), 10);
	ck_assert_uint_eq(rig.cache->nr_pins, 0);
	end();
}
END_TEST

START_TEST(nth_failed_allocation_of_a_read_leaves_the_view_empty)
{
	struct filemap_view view;
	int err = -ENOMEM;
	uint64_t n;

	begin(4096);
	file_put_on_disk(&f, 0, 200, 'o');
	for (uint64_t i = 0; i < 200; i += 7)	/* in pieces */
		ck_assert_int_eq(byte_at(i * 4096), 'o');
	for (n = 1; err == -ENOMEM && n < 500; n++) {
		mem_fail_nth(n, true);
		err = filemap_read(&f.mapping, 0, 200 * 4096, f.size_bytes, NULL, &view);
		mem_fail_nth(0, false);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_uint_eq(view.len_bytes, 0);
			filemap_view_done(&view);	/* valid, though empty */
			ck_assert_uint_eq(rig.cache->nr_pins, 0);
		}
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 2);
	filemap_view_done(&view);
	end();
}
END_TEST

START_TEST(view_joins_adjacent_memory_and_costs_few_reads)
{
	struct filemap_view view;
	uint32_t nr_reads;

	rig_defaults(&rig);
	rig.cache_bytes = 64 << 20;
	rig_start(&rig);
	file_init(&f, &rig, 16384);
	file_put_on_disk(&f, 0, 256, 'o');
	ck_assert_int_eq(filemap_read(&f.mapping, 100, 1 << 20, f.size_bytes, NULL, &view), 0);
	ck_assert_uint_eq(view.nr_pages, 256);
	ck_assert_uint_eq(view.len_bytes, (1 << 20) - 100);	/* cut at the end */
	ck_assert_uint_le(view.nr_iov, 4);
	ck_assert_uint_le(rig.nr_reads, 4);
	nr_reads = rig.nr_reads;
	filemap_view_done(&view);
	ck_assert_int_eq(filemap_read(&f.mapping, 0, 4096, f.size_bytes, NULL, &view), 0);
	ck_assert_uint_eq(view.nr_iov, 1);
	ck_assert_ptr_null(view.heap);
	filemap_view_done(&view);
	ck_assert_uint_eq(rig.nr_reads, nr_reads);
	ck_assert_int_eq(filemap_read(&f.mapping, f.size_bytes, 4096, f.size_bytes, NULL, &view), 0);
	ck_assert_uint_eq(view.len_bytes, 0);
	filemap_view_done(&view);
	end();
}
END_TEST

/* Random operations against bytes in memory. */

struct shadow {
	struct fakefile file;
	uint8_t *bytes;
	uint64_t max_bytes;
	struct rand rand;
};

static void shadow_write(struct shadow *s)
{
	uint64_t pos = rand_below(&s->rand, s->max_bytes - 1);
	size_t len = 1 + rand_below(&s->rand, min(s->max_bytes - pos, (uint64_t)60000));
	uint8_t *from = malloc(len);
	uint64_t old = s->file.size_bytes;

	rand_fill(&s->rand, from, len);
	ck_assert_int_eq(file_write(&s->file, pos, from, len), (ssize_t)len);
	if (pos > old)
		memset(s->bytes + old, 0, pos - old);
	memcpy(s->bytes + pos, from, len);
	ck_assert_uint_eq(s->file.size_bytes, max(old, pos + len));
	free(from);
}

static void shadow_read(struct shadow *s)
{
	uint64_t pos = rand_below(&s->rand, s->max_bytes);
	size_t len = rand_below(&s->rand, 200000);
	uint8_t *to = malloc(len + 1);
	ssize_t expected = 0;

	if (pos < s->file.size_bytes)
		expected = (ssize_t)min((uint64_t)len, s->file.size_bytes - pos);
	ck_assert_int_eq(file_read(&s->file, pos, to, len), expected);
	ck_assert_int_eq(memcmp(to, s->bytes + pos, (size_t)expected), 0);
	free(to);
}

static void shadow_cut(struct shadow *s)
{
	uint64_t to = rand_below(&s->rand, s->max_bytes);

	if (to > s->file.size_bytes) {		/* grows: as the owner does it */
		ck_assert_int_eq(mapping_zero_tail(&s->file.mapping, s->file.size_bytes, s->file.size_bytes), 0);
		memset(s->bytes + s->file.size_bytes, 0, to - s->file.size_bytes);
		s->file.size_bytes = to;
		return;
	}
	file_cut(&s->file, to);
}

static void shadow_punch(struct shadow *s)
{
	uint32_t bytes = s->file.rig->block_bytes;
	uint64_t first = rand_below(&s->rand, s->max_bytes / bytes);
	uint64_t last = min(first + rand_below(&s->rand, 20), s->max_bytes / bytes - 1);

	mapping_drop_range(&s->file.mapping, first, last);
	mutex_lock(&s->file.rig->lock);
	for (uint64_t i = first; i <= last; i++)
		s->file.map[i] = 0;
	mutex_unlock(&s->file.rig->lock);
	memset(s->bytes + first * bytes, 0, (last - first + 1) * bytes);
}

static void shadow_step(struct shadow *s)
{
	switch (rand_below(&s->rand, 16)) {
	case 0:
		shadow_cut(s);
		break;
	case 1:
		shadow_punch(s);
		break;
	case 2:
		ck_assert_int_eq(file_sync(&s->file), 0);
		break;
	case 3:
		mapping_drop_clean(&s->file.mapping, 0, rand_below(&s->rand, s->max_bytes / 4096));
		break;
	case 4: case 5: case 6: case 7: case 8:
		shadow_write(s);
		break;
	default:
		shadow_read(s);
		break;
	}
}

static void shadow_init(struct shadow *s, uint64_t seed, uint64_t max_bytes)
{
	s->max_bytes = max_bytes;
	s->bytes = calloc(1, s->max_bytes + (1 << 16));
	rand_init(&s->rand, seed);
	file_init(&s->file, &rig, 2048);
}

/* At the end the disk itself must agree. */
static void shadow_done(struct shadow *s)
{
	ck_assert_int_eq(file_sync(&s->file), 0);
	for (uint64_t i = 0; i * rig.block_bytes < s->file.size_bytes; i++) {
		uint64_t n = min(s->file.size_bytes - i * rig.block_bytes, (uint64_t)rig.block_bytes);

		if (s->file.map[i])
			ck_assert_int_eq(memcmp(rig_block(&rig, s->file.map[i]), s->bytes + i * rig.block_bytes, n), 0);
	}
	file_done(&s->file);
	free(s->bytes);
}

START_TEST(random_operations_agree_with_bytes_in_memory)
{
	struct shadow s;

	rig_defaults(&rig);
	rig.block_bytes = 1024u << _i;
	rig.disk_bytes = 1u << 30;
	rig_start(&rig);
	shadow_init(&s, test_seed(), 1500000);
	for (int i = 0; i < 2500; i++)
		shadow_step(&s);
	shadow_done(&s);
	rig_stop(&rig);
}
END_TEST

static void run_shadow(void *arg)
{
	struct shadow *s = arg;

	for (int i = 0; i < 700; i++)
		shadow_step(s);
}

START_TEST(random_operations_of_threads_under_pressure)
{
	static struct shadow s[5];
	struct thread *threads[5];

	rig_defaults(&rig);
	rig.is_inline = false;
	rig.disk_bytes = 3ull << 30;
	rig.expire_ms = 2;
	rig.interval_ms = 1;
	rig_start(&rig);
	for (int i = 0; i < 5; i++) {
		shadow_init(&s[i], test_seed() + (uint64_t)i, 4000000);
		threads[i] = thread_create("shadow", run_shadow, &s[i]);
	}
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	for (int i = 0; i < 5; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(rig.cache->nr_pins, 0);
	for (int i = 0; i < 5; i++)
		shadow_done(&s[i]);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->reclaimed), 0);
	rig_stop(&rig);
}
END_TEST

TEST_SUITE(cache_filemap)
{
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, partial_write_keeps_the_rest_of_the_block);
	tcase_add_test(tc, full_overwrite_reads_nothing);
	tcase_add_test(tc, new_block_is_zero_around_the_write);
	tcase_add_test(tc, read_hole_then_written_gets_its_block);
	tcase_add_test(tc, garbage_behind_the_end_is_zero_when_the_file_grows);
	tcase_add_test(tc, garbage_behind_the_end_is_zero_when_a_gap_is_left);
	tcase_add_test(tc, full_disk_gives_a_short_write_and_no_garbage);
	tcase_add_test(tc, full_disk_leaves_a_cached_hole_a_hole);
	tcase_add_test(tc, errors_of_the_owner_are_told_and_nothing_stays_locked);
	tcase_add_test(tc, nth_failed_allocation_of_a_read_leaves_the_view_empty);
	tcase_add_test(tc, view_joins_adjacent_memory_and_costs_few_reads);
	tcase_add_loop_test(tc, random_operations_agree_with_bytes_in_memory, 0, 3);
	tcase_add_test(tc, random_operations_of_threads_under_pressure);
}
