/*
 * Truncate drops pages for good: it waits for writes under way, forgets dirty pages, and a block
 * given to somebody else afterwards is never written by the old owner; the border is zeroed in
 * memory and on disk, also when its page was not cached.
 */
#include "unit/cache/fixture.h"

#include <unistd.h>

static struct rig rig;
static struct fakefile f, g;

static void begin(bool is_inline)
{
	rig_defaults(&rig);
	rig.is_inline = is_inline;
	rig_start(&rig);
	file_init(&f, &rig, 4096);
	file_init(&g, &rig, 4096);
}

static void end(void)
{
	file_done(&g);
	file_done(&f);
	rig_stop(&rig);
}

START_TEST(truncate_drops_pages_behind_and_keeps_those_before)
{
	begin(true);
	ck_assert_int_eq(file_fill(&f, 0, 'a', 300 * 4096), 300 * 4096);
	mapping_truncate(&f.mapping, 100 * 4096);
	ck_assert_uint_eq(f.mapping.nr_pages, 100);
	ck_assert_uint_eq(f.mapping.nr_dirty, 100);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 100);
	ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 100);
	mapping_truncate(&f.mapping, 0);
	ck_assert(list_empty(&f.mapping.dirty_link));
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_uint_eq(rig.nr_writes, 0);
	end();
}
END_TEST

START_TEST(border_of_a_cached_page_is_zeroed_and_written)
{
	begin(true);
	ck_assert_int_eq(file_fill(&f, 0, 'a', 8192), 8192);
	ck_assert_int_eq(file_sync(&f), 0);
	mapping_truncate(&f.mapping, 5000);
	ck_assert_uint_eq(f.mapping.nr_dirty, 1);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(rig_block(&rig, f.map[1])[5000 - 4096 - 1], 'a');
	ck_assert_int_eq(rig_block(&rig, f.map[1])[5000 - 4096], 0);
	mapping_truncate(&f.mapping, 5000);	/* zero already: not written again */
	ck_assert_uint_eq(f.mapping.nr_dirty, 0);
	end();
}
END_TEST

START_TEST(border_of_a_page_not_cached_is_read_and_zeroed)
{
	begin(true);
	file_put_on_disk(&f, 0, 2, 'o');
	ck_assert_int_eq(mapping_zero_tail(&f.mapping, 4096, 8192), 0);	/* a block's start */
	ck_assert_int_eq(mapping_zero_tail(&f.mapping, 9000, 8192), 0);	/* behind the end */
	ck_assert_uint_eq(rig.nr_reads, 0);
	ck_assert_int_eq(mapping_zero_tail(&f.mapping, 5000, 8192), 0);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(rig_block(&rig, f.map[1])[5000 - 4096 - 1], 'o');
	ck_assert_int_eq(rig_block(&rig, f.map[1])[5000 - 4096], 0);
	ck_assert_int_eq(rig_block(&rig, f.map[1])[4095], 0);
	rig.fail_reads = 1;
	ck_assert_int_ne(mapping_zero_tail(&f.mapping, 100, 8192), 0);
	end();
}
END_TEST

START_TEST(border_in_a_hole_stays_a_hole)
{
	begin(true);
	f.size_bytes = 8192;
	ck_assert_int_eq(mapping_zero_tail(&f.mapping, 5000, 8192), 0);
	ck_assert_uint_eq(f.mapping.nr_dirty, 0);
	end();
}
END_TEST

START_TEST(drop_range_takes_the_middle_out)
{
	begin(true);
	ck_assert_int_eq(file_fill(&f, 0, 'a', 100 * 4096), 100 * 4096);
	mapping_drop_range(&f.mapping, 10, 89);
	ck_assert_uint_eq(f.mapping.nr_pages, 20);
	ck_assert_uint_eq(f.mapping.nr_dirty, 20);
	end();
}
END_TEST

START_TEST(drop_clean_leaves_what_is_dirty_or_used)
{
	struct page *held;

	begin(true);
	file_put_on_disk(&f, 0, 200, 'o');
	for (uint64_t i = 0; i < 200; i++) {
		uint8_t byte;

		ck_assert_int_eq(file_read(&f, i * 4096, &byte, 1), 1);
	}
	ck_assert_int_eq(file_fill(&f, 50 * 4096, 'n', 10), 10);
	held = mapping_find(&f.mapping, 60);
	mapping_drop_clean(&f.mapping, 0, UINT64_MAX);
	ck_assert_uint_eq(f.mapping.nr_pages, 2);
	page_put(held);
	end();
}
END_TEST

/* Threads. */

static _Atomic bool is_done;

static void truncate_f(void *arg)
{
	(void)arg;
	mapping_truncate(&f.mapping, 0);
	is_done = true;
}

START_TEST(truncate_waits_for_the_write_under_way)
{
	struct thread *cutter;

	begin(false);
	ck_assert_int_eq(file_fill(&f, 0, 'a', 4096), 4096);
	rig_stick_writes(&rig);
	ck_assert_int_eq(mapping_write_range(&f.mapping, 0, UINT64_MAX, WRITEBACK_START), 0);
	rig_wait_stuck(&rig, 1);
	is_done = false;
	cutter = thread_create("cut", truncate_f, NULL);
	usleep(20000);
	ck_assert(!is_done);
	rig_unstick(&rig);
	thread_join(cutter);
	/* The block goes to g. */
	mutex_lock(&rig.lock);
	rig.next_block = f.map[0];
	mutex_unlock(&rig.lock);
	ck_assert_int_eq(file_fill(&g, 0, 'g', 4096), 4096);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_int_eq(rig_block(&rig, f.map[0])[0], 'g');
	end();
}
END_TEST

/* Blocks wander between two files, with the flusher at work: nobody writes to what he gave away. */
START_TEST(blocks_given_away_are_never_written_by_the_old_owner)
{
	begin(false);
	for (int round = 0; round < 300; round++) {
		struct fakefile *owner = round % 2 ? &f : &g;
		uint8_t byte = (uint8_t)(round + 1);

		mutex_lock(&rig.lock);
		rig.next_block = 16;
		mutex_unlock(&rig.lock);
		ck_assert_int_eq(file_fill(owner, 0, byte, 64 * 4096), 64 * 4096);
		if (round % 3 == 0)
			ck_assert_int_eq(mapping_write_range(&owner->mapping, 0, UINT64_MAX, WRITEBACK_START), 0);
		if (round % 5 == 0) {
			ck_assert_int_eq(page_cache_sync(rig.cache), 0);
			for (uint64_t b = 16; b < 80; b++) {
				ck_assert_int_eq(rig_block(&rig, b)[0], byte);
				ck_assert_int_eq(rig_block(&rig, b)[4095], byte);
			}
		}
		file_cut(owner, 0);
	}
	end();
}
END_TEST

TEST_SUITE(cache_truncate)
{
	tcase_add_test(tc, truncate_drops_pages_behind_and_keeps_those_before);
	tcase_add_test(tc, border_of_a_cached_page_is_zeroed_and_written);
	tcase_add_test(tc, border_of_a_page_not_cached_is_read_and_zeroed);
	tcase_add_test(tc, border_in_a_hole_stays_a_hole);
	tcase_add_test(tc, drop_range_takes_the_middle_out);
	tcase_add_test(tc, drop_clean_leaves_what_is_dirty_or_used);
	tcase_add_test(tc, truncate_waits_for_the_write_under_way);
	tcase_add_test(tc, blocks_given_away_are_never_written_by_the_old_owner);
}
