/*
 * A page that was found stays while it is referenced; there is one page for an index, whoever asks
 * and however runs overlap; a grab gives all or none, also when the n-th allocation fails; the tags
 * agree with the flags (M1) and the dirty list with the mapping (M2).
 */
#include "unit/cache/fixture.h"

#include <errno.h>

static struct rig rig;
static struct fakefile f;

static void begin(void)
{
	rig_defaults(&rig);
	rig_start(&rig);
	file_init(&f, &rig, 4096);
}

static void end(void)
{
	file_done(&f);
	rig_stop(&rig);
}

START_TEST(find_gives_what_grab_made)
{
	struct page *made, *found;

	begin();
	ck_assert_ptr_null(mapping_find(&f.mapping, 7));
	ck_assert_int_eq(mapping_grab(&f.mapping, 7, &made), 0);
	ck_assert(page_test(made, PAGE_LOCKED));
	ck_assert(!page_test(made, PAGE_UPTODATE));
	ck_assert_uint_eq(made->index, 7);
	ck_assert_uint_eq((uintptr_t)made->data % rig.block_bytes, 0);
	found = mapping_find(&f.mapping, 7);
	ck_assert_ptr_eq(found, made);
	page_put(found);
	page_unlock(made);
	page_put(made);
	ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 1);
	end();
}
END_TEST

START_TEST(grab_run_joins_old_and_new_in_order)
{
	struct page *old, *pages[8];

	begin();
	for (uint64_t i = 1; i < 8; i += 3) {
		ck_assert_int_eq(mapping_grab(&f.mapping, 100 + i, &old), 0);
		page_set(old, PAGE_UPTODATE);
		page_unlock(old);
		page_put(old);
	}
	ck_assert_int_eq(mapping_grab_run(&f.mapping, 100, 8, pages), 0);
	for (uint64_t i = 0; i < 8; i++) {
		ck_assert_uint_eq(pages[i]->index, 100 + i);
		ck_assert(page_test(pages[i], PAGE_LOCKED));
		ck_assert_int_eq(page_test(pages[i], PAGE_UPTODATE), i % 3 == 1);
	}
	ck_assert_uint_eq(f.mapping.nr_pages, 8);
	pages_unlock_put(pages, 8);
	end();
}
END_TEST

START_TEST(run_of_new_pages_is_one_piece_of_memory)
{
	struct page *pages[8];

	begin();
	ck_assert_int_eq(mapping_grab_run(&f.mapping, 0, 8, pages), 0);
	for (int i = 1; i < 8; i++)
		ck_assert_ptr_eq(pages[i]->data, pages[i - 1]->data + rig.block_bytes);
	pages_unlock_put(pages, 8);
	end();
}
END_TEST

START_TEST(nth_failed_allocation_leaves_nothing_behind)
{
	struct page *pages[8];
	int err = -ENOMEM;
	uint64_t n;

	begin();
	for (n = 1; err == -ENOMEM && n < 100; n++) {
		mem_fail_nth(n, true);
		err = mapping_grab_run(&f.mapping, 1u << 20, 8, pages);
		mem_fail_nth(0, false);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_uint_eq(f.mapping.nr_pages, 0);
			ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 0);
		}
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 3);	/* a slab takes two, the tree some */
	pages_unlock_put(pages, 8);
	end();
}
END_TEST

START_TEST(page_that_lost_its_mapping_keeps_its_bytes_for_its_holder)
{
	struct page *page;

	begin();
	ck_assert_int_eq(file_fill(&f, 0, 'x', 4096), 4096);
	page = mapping_find(&f.mapping, 0);
	mapping_truncate(&f.mapping, 0);
	ck_assert_ptr_null(page->mapping);
	ck_assert_ptr_null(mapping_find(&f.mapping, 0));
	ck_assert_int_eq(page->data[4095], 'x');
	ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 1);
	page_put(page);
	ck_assert_uint_eq(page_cache_nr_pages(rig.cache), 0);
	end();
}
END_TEST

START_TEST(M1_M2_tags_and_dirty_list_follow_the_flags)
{
	struct page *page;

	begin();
	ck_assert_int_eq(mapping_grab(&f.mapping, 3, &page), 0);
	page->block = 50;
	page_set(page, PAGE_UPTODATE);
	ck_assert(list_empty(&f.mapping.dirty_link));
	page_mark_dirty(page);
	page_mark_dirty(page);
	ck_assert(radix_tag_get(&f.mapping.pages, 3, MAPPING_TAG_DIRTY));
	ck_assert(!list_empty(&f.mapping.dirty_link));
	ck_assert_uint_eq(f.mapping.nr_dirty, 1);
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 1);
	page_cancel_dirty(page);
	page_cancel_dirty(page);
	ck_assert(!page_test(page, PAGE_DIRTY));
	ck_assert(!radix_tag_get(&f.mapping.pages, 3, MAPPING_TAG_DIRTY));
	ck_assert(list_empty(&f.mapping.dirty_link));
	ck_assert_uint_eq(page_cache_nr_dirty(rig.cache), 0);
	page_unlock(page);
	page_put(page);
	end();
}
END_TEST

/* Overlapping runs from several threads: one page an index, no deadlock. */

struct grabber {
	uint64_t seed;
	uint64_t nr_done;
};

static void grab_at_random(void *arg)
{
	struct grabber *g = arg;
	struct rand rand;

	rand_init(&rand, g->seed);
	for (g->nr_done = 0; g->nr_done < 3000; g->nr_done++) {
		struct page *pages[16];
		uint32_t nr = 1 + (uint32_t)rand_below(&rand, rig.cache->batch_max);
		uint64_t first = rand_below(&rand, 64);

		ck_assert_int_eq(mapping_grab_run(&f.mapping, first, nr, pages), 0);
		for (uint32_t i = 0; i < nr; i++) {
			/* Under the page lock, and so never torn by another. */
			uint64_t *count = (uint64_t *)pages[i]->data;

			ck_assert_uint_eq(pages[i]->index, first + i);
			if (!page_test(pages[i], PAGE_UPTODATE))
				memset(pages[i]->data, 0, rig.block_bytes);
			page_set(pages[i], PAGE_UPTODATE);
			count[0]++;
			count[1]++;
			ck_assert_uint_eq(count[0], count[1]);
		}
		pages_unlock_put(pages, nr);
		if (rand_one_in(&rand, 50))
			mapping_drop_clean(&f.mapping, 0, UINT64_MAX);
	}
}

START_TEST(overlapping_grabs_of_threads_neither_deadlock_nor_double_pages)
{
	struct grabber g[4];
	struct thread *threads[4];

	rig_defaults(&rig);
	rig.is_inline = false;
	rig_start(&rig);
	file_init(&f, &rig, 4096);
	for (int i = 0; i < 4; i++) {
		g[i].seed = test_seed() + (uint64_t)i;
		threads[i] = thread_create("grab", grab_at_random, &g[i]);
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	ck_assert_uint_le(f.mapping.nr_pages, 64 + 16);
	end();
}
END_TEST

TEST_SUITE(cache_mapping)
{
	tcase_add_test(tc, find_gives_what_grab_made);
	tcase_add_test(tc, grab_run_joins_old_and_new_in_order);
	tcase_add_test(tc, run_of_new_pages_is_one_piece_of_memory);
	tcase_add_test(tc, nth_failed_allocation_leaves_nothing_behind);
	tcase_add_test(tc, page_that_lost_its_mapping_keeps_its_bytes_for_its_holder);
	tcase_add_test(tc, M1_M2_tags_and_dirty_list_follow_the_flags);
	tcase_add_test(tc, overlapping_grabs_of_threads_neither_deadlock_nor_double_pages);
}
