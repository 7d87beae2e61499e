/*
 * Reading ahead in the cache itself. What a sequential reader asks for was read before; every page
 * read ahead is counted as used or wasted in the end, and the used ones as early or late; a page
 * used once is no more dear to reclaim for having been read ahead; holes and the end of the file
 * are no trouble; a guess never waits for memory, fails no reader, and survives truncation under
 * way; the budget bounds what is read ahead and not used. Metadata: a list of blocks is read in the
 * order of the disk, a table in windows.
 */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct rig rig;
static struct fakefile f;
static struct readahead_state ra;

static void begin(bool is_inline, uint64_t cache_bytes)
{
	rig_defaults(&rig);
	rig.is_inline = is_inline;
	rig.cache_bytes = cache_bytes;
	rig_start(&rig);
	file_init(&f, &rig, 16384);
	readahead_init(&ra);
}

static void end(void)
{
	const struct page_cache_stats *s = page_cache_stats(rig.cache);

	readahead_done(&ra);
	file_done(&f);
	mapping_truncate(&rig.buffers.mapping, 0);
	ck_assert_uint_eq(rig.cache->nr_prefetched, 0);
	ck_assert_uint_eq(counter_get(&s->ahead_used), counter_get(&s->ahead_early) + counter_get(&s->ahead_late));
	ck_assert_uint_eq(counter_get(&s->ahead_pages), counter_get(&s->ahead_used) + counter_get(&s->ahead_wasted));
	rig_stop(&rig);
}

static uint64_t stat_of(const counter_t *c)
{
	return counter_get(c);
}
#define STAT(member) stat_of(&page_cache_stats(rig.cache)->member)

/* Each byte must be what lies on disk. */
static int read_through(struct fakefile *file, struct readahead_state *state, uint64_t pos, size_t len, uint8_t byte)
{
	struct filemap_view view;
	int err = filemap_read(&file->mapping, pos, len, file->size_bytes, state, &view);

	if (err)
		return err;
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		const uint8_t *at = view.iov[i].iov_base;

		ck_assert_int_eq(at[0], byte);
		ck_assert_int_eq(memcmp(at, at + 1, view.iov[i].iov_len - 1), 0);
	}
	filemap_view_done(&view);
	return 0;
}

static void read_ok(uint64_t pos, size_t len)
{
	ck_assert_int_eq(read_through(&f, &ra, pos, len, 'r'), 0);
}

START_TEST(sequential_reader_finds_its_pages_early)
{
	begin(true, 64 << 20);
	file_put_on_disk(&f, 0, 8000, 'r');
	for (uint64_t i = 0; i < 8000; i++)
		read_ok(i * 4096, 4096);
	ck_assert_uint_eq(STAT(misses), 1);
	ck_assert_uint_eq(STAT(pages_read), 8000);
	ck_assert_uint_eq(STAT(ahead_used), 7999);
	ck_assert_uint_eq(STAT(ahead_early), 7999);
	ck_assert_uint_eq(STAT(ahead_wasted), 0);
	ck_assert_uint_le(rig.nr_reads, 40);
	end();
}
END_TEST

START_TEST(first_use_does_not_make_a_page_referenced_and_the_second_does)
{
	struct page *page;

	begin(true, 16 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	read_ok(0, 4096);
	read_ok(4096, 4096);
	ck_assert_uint_eq(mapping_collect(&f.mapping, 1, 1, &page, 1), 1);
	ck_assert(!page_test(page, PAGE_REFERENCED | PAGE_PREFETCHED));
	read_ok(0, 4096);
	read_ok(4096, 4096);
	ck_assert(page_test(page, PAGE_REFERENCED));
	page_put(page);
	/* One that nobody asked for yet. */
	ck_assert_uint_eq(mapping_collect(&f.mapping, 4, 4, &page, 1), 1);
	ck_assert(page_test(page, PAGE_PREFETCHED));
	page_put(page);
	end();
}
END_TEST

/* A few bytes at a time are one use of a page. */
START_TEST(small_pieces_of_a_page_are_one_use)
{
	begin(true, 16 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	for (uint64_t pos = 0; pos < 40 * 4096; pos += 1024)
		read_ok(pos, 1024);
	for (uint64_t i = 0; i < 39; i++) {
		struct page *page;

		ck_assert_uint_eq(mapping_collect(&f.mapping, i, i, &page, 1), 1);
		ck_assert(!page_test(page, PAGE_REFERENCED));
		page_put(page);
	}
	end();
}
END_TEST

START_TEST(pages_that_were_not_asked_for_are_wasted_when_they_go)
{
	begin(true, 4 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	read_ok(0, 4096);
	read_ok(4096, 4096);
	ck_assert_uint_eq(STAT(ahead_pages), 12);
	ck_assert_uint_eq(rig.cache->nr_prefetched, 11);
	/* Fill the cache with holes of the rest, page by page, by a reader of whom we know nothing. */
	f.size_bytes = 16384ull * 4096;
	for (uint64_t i = 100; i < 4000; i++)
		ck_assert_int_eq(read_through(&f, NULL, i * 4096, 4096, 0), 0);
	ck_assert_uint_eq(STAT(ahead_wasted), 11);
	ck_assert_uint_eq(STAT(ahead_used), 1);
	end();
}
END_TEST

START_TEST(holes_and_the_end_are_read_ahead_like_the_rest)
{
	begin(true, 16 << 20);
	file_put_on_disk(&f, 0, 20, 'r');
	f.size_bytes = 300 * 4096 + 17;
	for (uint64_t i = 0; i <= 300; i++)
		ck_assert_int_eq(read_through(&f, &ra, i * 4096, 4096, i < 20 ? 'r' : 0), 0);
	ck_assert_uint_eq(STAT(misses), 1);
	ck_assert_uint_eq(STAT(pages_read), 20);
	end();
}
END_TEST

/* A map that tells a few pages at a time. */
static int map_three(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct fakefile *file = m->owner;

	nr = min(nr, 3u);
	for (uint32_t i = 0; i < nr; i++)
		pages[i]->block = file->map[pages[i]->index];
	return (int)nr;
}

START_TEST(map_may_tell_a_part_and_be_asked_again)
{
	static const struct mapping_ops ops = {.map_read = map_three};

	begin(true, 16 << 20);
	f.mapping.ops = &ops;
	file_put_on_disk(&f, 0, 400, 'r');
	for (uint64_t i = 0; i < 400; i += 10)
		read_ok(i * 4096, 40960);
	ck_assert_uint_eq(STAT(pages_read), 400);
	ck_assert_int_eq(read_through(&f, NULL, 0, 1 << 20, 'r'), 0);
	end();
}
END_TEST

START_TEST(failed_guess_fails_no_reader)
{
	begin(true, 16 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	read_ok(0, 4096);	/* the window behind it is read */
	mapping_drop_clean(&f.mapping, 0, UINT64_MAX);
	rig.fail_reads = 2;	/* the page itself, and its window */
	ck_assert_int_eq(read_through(&f, &ra, 4096, 4096, 'r'), -EIO);
	for (uint64_t i = 0; i < 64; i++)
		read_ok(i * 4096, 4096);
	end();
}
END_TEST

START_TEST(guess_does_not_wait_for_memory)
{
	static struct page *held[1024];

	begin(true, 4 << 20);
	file_put_on_disk(&f, 0, 100, 'r');
	for (uint32_t i = 0; i < 1020; i++)
		ck_assert_int_eq(mapping_grab(&f.mapping, 1000 + i, &held[i]), 0);
	for (uint64_t i = 0; i < 40; i++)
		read_ok(i * 4096, 4096);
	ck_assert_uint_eq(STAT(reclaim_waits), 0);
	pages_unlock_put(held, 1020);
	end();
}
END_TEST

/* Many readers share a small cache: what is read ahead for one does not drive out another's. */
START_TEST(readers_share_the_budget)
{
	static struct readahead_state states[24];
	static struct fakefile files[24];

	begin(true, 8 << 20);
	for (int i = 0; i < 24; i++) {
		file_init(&files[i], &rig, 512);
		readahead_init(&states[i]);
		file_put_on_disk(&files[i], 0, 512, 'r');
	}
	for (uint64_t at = 0; at < 512; at += 2)
		for (int i = 0; i < 24; i++)
			ck_assert_int_eq(read_through(&files[i], &states[i], at * 4096, 8192, 'r'), 0);
	ck_assert_uint_le(STAT(ahead_wasted) * 20, STAT(ahead_used));
	ck_assert_uint_ge(STAT(ahead_used), 24 * 512 / 2);
	for (int i = 0; i < 24; i++) {
		readahead_done(&states[i]);
		file_done(&files[i]);
	}
	end();
}
END_TEST

START_TEST(smaller_than_a_block_is_no_read_ahead)
{
	rig_defaults(&rig);
	rig.readahead_bytes = 1;
	rig_start(&rig);
	file_init(&f, &rig, 16384);
	readahead_init(&ra);
	file_put_on_disk(&f, 0, 64, 'r');
	for (uint64_t i = 0; i < 64; i++)
		read_ok(i * 4096, 4096);
	ck_assert_uint_eq(STAT(misses), 64);
	ck_assert_uint_eq(STAT(ahead_pages), 0);
	end();
}
END_TEST

/* Metadata. */

START_TEST(list_of_blocks_is_read_in_the_order_of_the_disk)
{
	fsblk_t blocks[] = {900, 17, 18, 500, 16, 501, 17, 19};
	struct buffer *b;

	begin(true, 4 << 20);
	buffer_read_ahead_list(&rig.buffers, blocks, array_size(blocks));
	ck_assert_uint_eq(rig.nr_reads, 3);
	ck_assert_uint_eq(rig.blocks_read, 7);
	ck_assert_uint_le(rig.travel, 901);
	for (size_t i = 0; i < array_size(blocks); i++) {
		ck_assert_int_eq(buffer_read(&rig.buffers, blocks[i], &b), 0);
		buffer_put(b);
	}
	ck_assert_uint_eq(rig.nr_reads, 3);
	ck_assert_uint_eq(STAT(ahead_used), 7);
	end();
}
END_TEST

START_TEST(table_read_in_order_is_read_in_windows_and_not_beyond_its_end)
{
	const struct buffer_range table = {100, 612, 0};
	struct buffer *b;

	begin(true, 16 << 20);
	for (fsblk_t block = table.first; block < table.end; block++) {
		ck_assert_int_eq(buffer_read_in_order(&rig.buffers, &ra, block, &table, &b), 0);
		ck_assert_uint_eq(buffer_block(b), block);
		buffer_put(b);
	}
	ck_assert_uint_eq(rig.blocks_read, 512);
	ck_assert_uint_le(rig.nr_reads, 16);
	end();
}
END_TEST

START_TEST(table_read_at_random_is_not_read_ahead)
{
	const struct buffer_range table = {100, 10100, 0};
	struct rand rand;

	begin(true, 16 << 20);
	rand_init(&rand, test_seed());
	for (int i = 0; i < 300; i++) {
		struct buffer *b;

		ck_assert_int_eq(buffer_read_in_order(&rig.buffers, &ra, 100 + rand_below(&rand, 10000), &table, &b), 0);
		buffer_put(b);
	}
	ck_assert_uint_le(rig.blocks_read, 330);
	end();
}
END_TEST

/* Threads. */

static void read_one_page(void *arg)
{
	(void)arg;
	read_ok(4096, 4096);
}

START_TEST(who_comes_while_the_page_is_read_is_late)
{
	struct thread *reader;

	begin(false, 16 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	rig_stick_reads(&rig);
	ck_assert(prefetch_run(&f.mapping, 0, 8, RA_NONE));
	rig_wait_stuck(&rig, 1);
	reader = thread_create("reader", read_one_page, NULL);
	while (STAT(ahead_used) == 0)
		usleep(1000);
	ck_assert_uint_eq(STAT(ahead_late), 1);
	rig_unstick(&rig);
	thread_join(reader);
	ck_assert_uint_eq(STAT(ahead_early), 0);
	ck_assert_uint_eq(rig.nr_reads, 1);	/* it waited for that read, and made none of its own */
	end();
}
END_TEST

static void cut(void *arg)
{
	(void)arg;
	file_cut(&f, 0);
}

START_TEST(truncation_waits_for_what_is_read_ahead)
{
	struct thread *cutter;

	begin(false, 16 << 20);
	file_put_on_disk(&f, 0, 64, 'r');
	rig_stick_reads(&rig);
	ck_assert(prefetch_run(&f.mapping, 0, 64, 3));
	rig_wait_stuck(&rig, 1);
	cutter = thread_create("cutter", cut, NULL);
	usleep(10000);
	ck_assert_uint_gt(f.mapping.nr_pages, 0);
	rig_unstick(&rig);
	thread_join(cutter);
	ck_assert_uint_eq(f.mapping.nr_pages, 0);
	ck_assert_uint_eq(STAT(ahead_wasted), 64);
	end();
}
END_TEST

static struct rwlock inode_lock;	/* as an owner's, between readers and the truncater */

static void read_a_lot(void *arg)
{
	struct rand rand;

	rand_init(&rand, test_seed() + (uint64_t)(uintptr_t)arg);
	for (int round = 0; round < 20; round++) {
		uint64_t at = rand_below(&rand, 1000), nr = 1 + rand_below(&rand, 30);

		for (; at + nr < 2000; at += nr) {
			rwlock_read_lock(&inode_lock);
			if ((at + nr) * 4096 <= f.size_bytes)
				ck_assert_int_eq(read_through(&f, &ra, at * 4096, nr * 4096, 'r'), 0);
			rwlock_read_unlock(&inode_lock);
		}
	}
}

/* Four threads through one open file, in a cache that holds half of it, and clean pages dropped. */
START_TEST(readers_share_a_state_while_pages_come_and_go)
{
	struct thread *threads[4];

	begin(false, 4 << 20);
	rwlock_init(&inode_lock, RANK_INODE, "inode");
	file_put_on_disk(&f, 0, 2000, 'r');
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = thread_create("reader", read_a_lot, (void *)i);
	for (int i = 0; i < 50; i++) {
		usleep(2000);
		mapping_drop_clean(&f.mapping, (uint64_t)i * 40, (uint64_t)i * 40 + 200);
		if (i % 10 == 0) {
			rwlock_write_lock(&inode_lock);
			mapping_drop_range(&f.mapping, 1500, UINT64_MAX);
			rwlock_write_unlock(&inode_lock);
		}
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	rwlock_done(&inode_lock);
	end();
}
END_TEST

TEST_SUITE(cache_prefetch)
{
	tcase_add_test(tc, sequential_reader_finds_its_pages_early);
	tcase_add_test(tc, first_use_does_not_make_a_page_referenced_and_the_second_does);
	tcase_add_test(tc, small_pieces_of_a_page_are_one_use);
	tcase_add_test(tc, pages_that_were_not_asked_for_are_wasted_when_they_go);
	tcase_add_test(tc, holes_and_the_end_are_read_ahead_like_the_rest);
	tcase_add_test(tc, map_may_tell_a_part_and_be_asked_again);
	tcase_add_test(tc, failed_guess_fails_no_reader);
	tcase_add_test(tc, guess_does_not_wait_for_memory);
	tcase_add_test(tc, readers_share_the_budget);
	tcase_add_test(tc, smaller_than_a_block_is_no_read_ahead);
	tcase_add_test(tc, list_of_blocks_is_read_in_the_order_of_the_disk);
	tcase_add_test(tc, table_read_in_order_is_read_in_windows_and_not_beyond_its_end);
	tcase_add_test(tc, table_read_at_random_is_not_read_ahead);
	tcase_add_test(tc, who_comes_while_the_page_is_read_is_late);
	tcase_add_test(tc, truncation_waits_for_what_is_read_ahead);
	tcase_add_test(tc, readers_share_a_state_while_pages_come_and_go);
}
