/*
 * The bound holds whatever threads do (P5); what is used again outlives a scan of things used
 * once; dirty, referenced and pinned pages are not reclaimed (P4); inline, an allocation that
 * cannot be served fails and does not hang; with threads it waits, and goes on when a page becomes
 * clean, unused or free.
 */
#include "unit/cache/fixture.h"

#include <errno.h>
#include <unistd.h>

static struct rig rig;
static struct fakefile f;

static void begin(bool is_inline)
{
	rig_defaults(&rig);
	rig.is_inline = is_inline;
	rig_start(&rig);
	file_init(&f, &rig, 16384);
}

static void end(void)
{
	file_done(&f);
	rig_stop(&rig);
}

static void touch(uint64_t index)
{
	uint8_t byte;

	ck_assert_int_eq(file_read(&f, index * rig.block_bytes, &byte, 1), 1);
}

static bool is_cached(uint64_t index)
{
	bool is = false;

	mutex_lock(&f.mapping.lock);
	is = radix_find(&f.mapping.pages, index) != NULL;
	mutex_unlock(&f.mapping.lock);
	return is;
}

START_TEST(P5_reading_more_than_fits_stays_within_the_bound)
{
	begin(true);
	f.size_bytes = 8192ull * rig.block_bytes;
	for (uint64_t i = 0; i < 8192; i++) {
		touch(i);
		ck_assert_uint_le(page_cache_nr_pages(rig.cache), rig_pages_max(&rig));
	}
	ck_assert_uint_ge(page_cache_nr_pages(rig.cache), rig_pages_max(&rig) / 2);
	end();
}
END_TEST

START_TEST(hot_set_outlives_a_scan)
{
	const uint64_t nr_hot = 256;	/* a quarter of the cache */
	uint64_t nr_kept = 0;

	begin(true);
	f.size_bytes = 16384ull * rig.block_bytes;
	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < nr_hot; i++)
			touch(i);
	for (uint64_t i = nr_hot; i < 8192; i++) {	/* eight times the cache, each page once */
		touch(i);
		if (i % 4 == 0)
			touch(i / 4 % nr_hot);		/* the hot set is used now and then */
	}
	for (uint64_t i = 0; i < nr_hot; i++)
		nr_kept += is_cached(i);
	ck_assert_uint_ge(nr_kept, nr_hot * 9 / 10);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->activated), 0);
	end();
}
END_TEST

START_TEST(old_hot_set_gives_way_to_a_new_one)
{
	uint64_t nr_kept = 0;

	begin(true);
	f.size_bytes = 16384ull * rig.block_bytes;
	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < 900; i++)
			touch(i);
	for (int round = 0; round < 12; round++)
		for (uint64_t i = 4000; i < 4600; i++)
			touch(i);
	for (uint64_t i = 4000; i < 4600; i++)
		nr_kept += is_cached(i);
	ck_assert_uint_ge(nr_kept, 540);
	end();
}
END_TEST

START_TEST(P4_dirty_and_referenced_pages_stay)
{
	struct page *held;

	begin(true);
	ck_assert_int_eq(file_fill(&f, 0, 'd', 4096), 4096);
	f.size_bytes = 8192ull * rig.block_bytes;
	touch(1);
	held = mapping_find(&f.mapping, 1);
	for (uint64_t i = 2; i < 5000; i++)
		touch(i);
	ck_assert(is_cached(0));
	ck_assert(is_cached(1));
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 1);
	page_put(held);
	end();
}
END_TEST

START_TEST(inline_allocation_flushes_and_then_fails_when_all_is_held)
{
	static struct page *held[2048];
	uint32_t nr = 0;
	int err;

	begin(true);
	/* Dirty ones are written by the allocator itself. */
	ck_assert_int_eq(file_fill(&f, 0, 'd', 300 * 4096), 300 * 4096);
	while ((err = mapping_grab(&f.mapping, 1000 + nr, &held[nr])) == 0)
		nr++;
	ck_assert_int_eq(err, -ENOMEM);
	ck_assert_uint_eq(nr, rig_pages_max(&rig));
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	page_unlock(held[0]);
	page_put(held[0]);
	ck_assert_int_eq(mapping_grab(&f.mapping, 9000, &held[0]), 0);	/* one came back */
	pages_unlock_put(held, nr);
	end();
}
END_TEST

START_TEST(pinned_pages_are_not_written_to_make_room)
{
	struct page *page;

	begin(true);
	ck_assert_int_eq(file_fill(&f, 0, 'd', 4096), 4096);
	page = mapping_find(&f.mapping, 0);
	page_set(page, PAGE_PINNED);
	page_put(page);
	f.size_bytes = 8192ull * rig.block_bytes;
	for (uint64_t i = 2; i < 3000; i++)
		touch(i);
	ck_assert(is_cached(0));
	ck_assert_uint_eq(rig.nr_writes, 0);
	page_clear(page, PAGE_PINNED);
	end();
}
END_TEST

static void unpin_later(void *arg)
{
	usleep(20000);
	page_unpin(arg);
}

/* What an owner allows to go is found by who waits for a page: here there is nothing else. */
START_TEST(allocator_waits_until_a_page_is_unpinned)
{
	static struct page *held[1024];
	struct thread *owner;
	struct page *page;

	begin(false);
	for (uint32_t i = 0; i < 1024; i++)
		ck_assert_int_eq(mapping_grab(&f.mapping, i, &held[i]), 0);
	page = held[512];
	page_set(page, PAGE_PINNED);
	page_unlock(page);
	page_put(page);
	/* The page itself stays, as it lies in the tree and cannot be reclaimed while it is pinned. */
	owner = thread_create("unpin", unpin_later, page);
	ck_assert_int_eq(mapping_grab(&f.mapping, 5000, &held[512]), 0);
	thread_join(owner);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->reclaim_waits), 0);
	pages_unlock_put(held, 1024);
	end();
}
END_TEST

/* Threads. */

static void put_later(void *arg)
{
	struct page *page = arg;

	usleep(20000);
	page_unlock(page);
	page_put(page);
}

START_TEST(allocator_waits_until_a_page_is_put)
{
	static struct page *held[1024];
	struct thread *putter;
	struct page *page;

	begin(false);
	for (uint32_t i = 0; i < 1024; i++)
		ck_assert_int_eq(mapping_grab(&f.mapping, i, &held[i]), 0);
	putter = thread_create("put", put_later, held[1023]);
	ck_assert_int_eq(mapping_grab(&f.mapping, 5000, &page), 0);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->reclaim_waits), 0);
	thread_join(putter);
	pages_unlock_put(&page, 1);
	pages_unlock_put(held, 1023);
	end();
}
END_TEST

struct worker_arg {
	struct fakefile file;
	uint64_t seed;
};

static _Atomic uint64_t nr_over;

static void press(void *arg)
{
	struct worker_arg *w = arg;
	struct rand rand;
	static _Thread_local uint8_t bytes[65536];

	rand_init(&rand, w->seed);
	for (int i = 0; i < 400; i++) {
		uint64_t pos = rand_below(&rand, 4u << 20);
		size_t len = 1 + rand_below(&rand, sizeof(bytes));

		if (rand_one_in(&rand, 2))
			ck_assert_int_eq(file_write(&w->file, pos, bytes, len), (ssize_t)len);
		else
			ck_assert_int_ge(file_read(&w->file, pos, bytes, len), 0);
		if (page_cache_nr_pages(rig.cache) > rig_pages_max(&rig))
			atomic_fetch_add(&nr_over, 1);
	}
}

START_TEST(P5_bound_holds_under_pressure_of_threads)
{
	static struct worker_arg w[6];
	struct thread *threads[6];

	begin(false);
	for (int i = 0; i < 6; i++) {
		file_init(&w[i].file, &rig, 2048);
		w[i].seed = test_seed() + (uint64_t)i;
		threads[i] = thread_create("press", press, &w[i]);
	}
	for (int i = 0; i < 6; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(nr_over, 0);
	ck_assert_uint_gt(counter_get(&page_cache_stats(rig.cache)->reclaimed), 0);
	for (int i = 0; i < 6; i++)
		file_done(&w[i].file);
	ck_assert_uint_eq(rig.cache->nr_pins, 0);
	end();
}
END_TEST

/* More readers than the pins allow at once, each wanting a large part of the cache. */

static void read_large(void *arg)
{
	struct fakefile *file = arg;

	for (int i = 0; i < 20; i++) {
		struct filemap_view view;

		ck_assert_int_eq(filemap_read(&file->mapping, (uint64_t)i << 17, 1 << 20, file->size_bytes, NULL, &view), 0);
		ck_assert_uint_eq(view.len_bytes, 1 << 20);
		usleep(500);
		filemap_view_done(&view);
	}
}

START_TEST(large_readers_wait_for_each_other_and_not_for_ever)
{
	struct thread *threads[8];

	begin(false);
	file_put_on_disk(&f, 0, 2048, 'r');
	for (int i = 0; i < 8; i++)
		threads[i] = thread_create("read", read_large, &f);
	for (int i = 0; i < 8; i++)
		thread_join(threads[i]);
	ck_assert_uint_eq(rig.cache->nr_pins, 0);
	end();
}
END_TEST

TEST_SUITE(cache_lru)
{
	tcase_add_test(tc, P5_reading_more_than_fits_stays_within_the_bound);
	tcase_add_test(tc, hot_set_outlives_a_scan);
	tcase_add_test(tc, old_hot_set_gives_way_to_a_new_one);
	tcase_add_test(tc, P4_dirty_and_referenced_pages_stay);
	tcase_add_test(tc, inline_allocation_flushes_and_then_fails_when_all_is_held);
	tcase_add_test(tc, pinned_pages_are_not_written_to_make_room);
	tcase_add_test(tc, allocator_waits_until_a_page_is_put);
	tcase_add_test(tc, allocator_waits_until_a_page_is_unpinned);
	tcase_add_test(tc, P5_bound_holds_under_pressure_of_threads);
	tcase_add_test(tc, large_readers_wait_for_each_other_and_not_for_ever);
}
