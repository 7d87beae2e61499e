/*
 * Buffers: one for a block (B1), read once however many want it; a failed read is an error and is
 * tried again by the next; changes wait for write-back; what was forgotten never reaches the disk,
 * even when its block is at once used for data and a write was under way.
 */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <unistd.h>

static struct rig rig;

static void begin(bool is_inline)
{
	rig_defaults(&rig);
	rig.is_inline = is_inline;
	rig_start(&rig);
}

static void change(struct buffer *b, uint8_t byte)
{
	buffer_lock(b);
	memset(buffer_data(b), byte, rig.block_bytes);
	buffer_set_uptodate(b);
	buffer_mark_dirty(b);
	buffer_unlock(b);
}

START_TEST(B1_all_get_the_same_buffer)
{
	struct buffer *a, *b, *c;

	begin(true);
	rig.bytes[9 * 4096 + 5] = 77;
	ck_assert_ptr_null(buffer_find(&rig.buffers, 9));
	ck_assert_int_eq(buffer_get(&rig.buffers, 9, &a), 0);
	ck_assert_ptr_null(buffer_find(&rig.buffers, 9));	/* there, but not uptodate */
	ck_assert_int_eq(buffer_read(&rig.buffers, 9, &b), 0);
	c = buffer_find(&rig.buffers, 9);
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_eq(b, c);
	ck_assert_uint_eq(buffer_block(b), 9);
	ck_assert_int_eq(((uint8_t *)buffer_data(b))[5], 77);
	ck_assert_int_eq(buffer_read(&rig.buffers, 9, &b), 0);
	ck_assert_uint_eq(rig.nr_reads, 1);
	buffer_put(a);
	buffer_put(b);
	buffer_put(b);
	buffer_put(c);
	buffer_put(NULL);
	rig_stop(&rig);
}
END_TEST

START_TEST(failed_read_is_told_and_tried_again)
{
	struct buffer *b;

	begin(true);
	rig.fail_reads = 1;
	ck_assert_int_eq(buffer_read(&rig.buffers, 9, &b), -EIO);
	ck_assert_ptr_null(buffer_find(&rig.buffers, 9));
	ck_assert_int_eq(buffer_read(&rig.buffers, 9, &b), 0);
	ck_assert(!page_test(&b->page, PAGE_ERROR));
	buffer_put(b);
	rig_stop(&rig);
}
END_TEST

START_TEST(nth_failed_allocation_of_a_read_is_enomem)
{
	struct buffer *b;
	int err = -ENOMEM;
	uint64_t n;

	begin(true);
	for (n = 1; err == -ENOMEM && n < 50; n++) {
		mem_fail_nth(n, true);
		err = buffer_read(&rig.buffers, 1000, &b);
		mem_fail_nth(0, false);
		ck_assert(err == 0 || err == -ENOMEM);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 3);
	buffer_put(b);
	rig_stop(&rig);
}
END_TEST

START_TEST(block_beyond_the_disk_is_an_error)
{
	struct buffer *b;

	begin(true);
	ck_assert_int_lt(buffer_read(&rig.buffers, rig.disk_bytes / 4096, &b), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(write_writes_only_this_one_and_only_if_dirty)
{
	struct buffer *a, *b;

	begin(true);
	ck_assert_int_eq(buffer_get(&rig.buffers, 20, &a), 0);
	ck_assert_int_eq(buffer_get(&rig.buffers, 21, &b), 0);
	change(a, 'a');
	change(b, 'b');
	ck_assert_int_eq(buffer_write(a), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);
	ck_assert_int_eq(rig_block(&rig, 20)[0], 'a');
	ck_assert_int_eq(rig_block(&rig, 21)[0], 0);
	ck_assert_int_eq(buffer_write(a), 0);
	ck_assert_uint_eq(rig.nr_writes, 1);
	rig.fail_writes = 1;
	ck_assert_int_eq(buffer_write(b), -EIO);
	ck_assert_int_eq(buffer_sync(&rig.buffers), 0);
	buffer_put(a);
	buffer_put(b);
	rig_stop(&rig);
}
END_TEST

START_TEST(forgotten_buffer_never_reaches_the_disk)
{
	struct buffer *b, *again;
	struct fakefile f;

	begin(true);
	ck_assert_int_eq(buffer_get(&rig.buffers, 40, &b), 0);
	change(b, 'm');
	buffer_forget(&rig.buffers, 40);
	/* The block is data now. */
	file_init(&f, &rig, 4);
	rig.next_block = 40;
	ck_assert_int_eq(file_fill(&f, 0, 'd', 4096), 4096);
	ck_assert_int_eq(file_sync(&f), 0);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_int_eq(rig_block(&rig, 40)[0], 'd');
	ck_assert_int_eq(((uint8_t *)buffer_data(b))[0], 'm');	/* ours while we hold it */
	/* And metadata again: it is not what it was before. */
	ck_assert_int_eq(buffer_read(&rig.buffers, 40, &again), 0);
	ck_assert_ptr_eq(again, b);	/* B1 */
	ck_assert_int_eq(((uint8_t *)buffer_data(again))[0], 'd');
	buffer_put(again);
	buffer_put(b);
	file_done(&f);
	rig_stop(&rig);
}
END_TEST

START_TEST(forgotten_and_unused_buffer_is_gone)
{
	struct buffer *b;

	begin(true);
	ck_assert_int_eq(buffer_get(&rig.buffers, 40, &b), 0);
	change(b, 'm');
	buffer_put(b);
	buffer_forget(&rig.buffers, 40);
	buffer_forget(&rig.buffers, 41);	/* not cached */
	ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 0);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	rig_stop(&rig);
}
END_TEST

static _Atomic bool is_forgotten;

static void forget_40(void *arg)
{
	(void)arg;
	buffer_forget(&rig.buffers, 40);
	is_forgotten = true;
}

START_TEST(forget_waits_for_the_write_under_way)
{
	struct thread *forgetter;
	struct buffer *b;
	struct fakefile f;

	begin(false);
	ck_assert_int_eq(buffer_get(&rig.buffers, 40, &b), 0);
	change(b, 'm');
	buffer_put(b);
	rig_stick_writes(&rig);
	ck_assert_int_eq(mapping_write_range(&rig.buffers.mapping, 0, UINT64_MAX, WRITEBACK_START), 0);
	rig_wait_stuck(&rig, 1);
	is_forgotten = false;
	forgetter = thread_create("forget", forget_40, NULL);
	usleep(20000);
	ck_assert(!is_forgotten);
	rig_unstick(&rig);
	thread_join(forgetter);
	file_init(&f, &rig, 4);
	rig.next_block = 40;
	ck_assert_int_eq(file_fill(&f, 0, 'd', 4096), 4096);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	ck_assert_int_eq(rig_block(&rig, 40)[0], 'd');
	file_done(&f);
	rig_stop(&rig);
}
END_TEST

START_TEST(read_ahead_reads_in_one_piece_and_leaves_the_rest_to_the_reader)
{
	struct buffer *b;

	begin(true);
	for (int i = 0; i < 16; i++)
		rig.bytes[(100 + i) * 4096] = (uint8_t)(i + 1);
	buffer_read_ahead(&rig.buffers, 100, 16);
	ck_assert_uint_eq(rig.nr_reads, 1);
	for (int i = 0; i < 16; i++) {
		ck_assert_int_eq(buffer_read(&rig.buffers, 100 + (fsblk_t)i, &b), 0);
		ck_assert_int_eq(*(uint8_t *)buffer_data(b), i + 1);
		ck_assert(!page_test(&b->page, PAGE_LOCKED));
		buffer_put(b);
	}
	ck_assert_uint_eq(rig.nr_reads, 1);
	rig.fail_reads = 1;
	buffer_read_ahead(&rig.buffers, 200, 4);
	ck_assert_int_eq(buffer_read(&rig.buffers, 202, &b), 0);	/* who wants it asks again */
	buffer_put(b);
	rig_stop(&rig);
}
END_TEST

/* Threads on few buffers: counters under the buffer lock, with write-back all the time. */

static void count_up(void *arg)
{
	struct rand rand;

	rand_init(&rand, test_seed() + (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < 3000; i++) {
		fsblk_t block = 50 + rand_below(&rand, 8);
		struct buffer *b;
		uint64_t *count;

		if (rand_one_in(&rand, 20))
			buffer_read_ahead(&rig.buffers, 50, 8);
		ck_assert_int_eq(buffer_read(&rig.buffers, block, &b), 0);
		buffer_lock(b);
		count = buffer_data(b);
		count[0]++;
		count[511]++;
		ck_assert_uint_eq(count[0], count[511]);
		buffer_mark_dirty(b);
		buffer_unlock(b);
		if (rand_one_in(&rand, 100))
			ck_assert_int_eq(rand_one_in(&rand, 2) ? buffer_write(b) : buffer_sync(&rig.buffers), 0);
		buffer_put(b);
		if (rand_one_in(&rand, 200))
			mapping_drop_clean(&rig.buffers.mapping, 0, UINT64_MAX);
	}
}

START_TEST(threads_count_without_a_lost_update)
{
	struct thread *threads[4];
	uint64_t sum = 0;

	begin(false);
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = thread_create("count", count_up, (void *)i);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	ck_assert_int_eq(page_cache_sync(rig.cache), 0);
	for (int i = 0; i < 8; i++) {
		uint64_t count;

		memcpy(&count, rig_block(&rig, 50 + (uint64_t)i), sizeof(count));
		sum += count;
	}
	ck_assert_uint_eq(sum, 12000);
	rig_stop(&rig);
}
END_TEST

TEST_SUITE(cache_buffer)
{
	tcase_add_test(tc, B1_all_get_the_same_buffer);
	tcase_add_test(tc, failed_read_is_told_and_tried_again);
	tcase_add_test(tc, nth_failed_allocation_of_a_read_is_enomem);
	tcase_add_test(tc, block_beyond_the_disk_is_an_error);
	tcase_add_test(tc, write_writes_only_this_one_and_only_if_dirty);
	tcase_add_test(tc, forgotten_buffer_never_reaches_the_disk);
	tcase_add_test(tc, forgotten_and_unused_buffer_is_gone);
	tcase_add_test(tc, forget_waits_for_the_write_under_way);
	tcase_add_test(tc, read_ahead_reads_in_one_piece_and_leaves_the_rest_to_the_reader);
	tcase_add_test(tc, threads_count_without_a_lost_update);
}
