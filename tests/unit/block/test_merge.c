/*
 * Merging. What must hold: neighbours that meet in a plug or in the queue's tail reach the driver
 * as one request, up to its limits; what must not be joined is not; every bio still ends once, with
 * its own data where it belongs. A stuck disk with depth 1 shows what gathers behind a first request.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "block/plug.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"

#define PIECE 4096u

/* Bios of a test, all of 4 KiB; each page's bytes tell its place on the disk. */
struct batch {
	char *memory;
	struct bio *bios[1024];
	_Atomic uint32_t nr_ended;
	uint32_t nr;
};

static void ended(struct bio *bio)
{
	struct batch *b = bio->private;

	must(bio->status == 0);
	atomic_fetch_add(&b->nr_ended, 1);
}

static void batch_init(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	b->memory = malloc(array_size(b->bios) * PIECE);
}

static struct bio *batch_add(struct batch *b, struct disk *disk, enum bio_op op, uint32_t flags,
			     uint32_t place)
{
	char *page = b->memory + b->nr * PIECE;
	struct bio *bio = bio_alloc(disk, op, flags, (sector_t)place * (PIECE / 512), 1);

	memset(page, (int)place + 1, PIECE);
	ck_assert(bio_add(bio, page, PIECE));
	bio->end_io = ended;
	bio->private = b;
	b->bios[b->nr++] = bio;
	return bio;
}

static void batch_done(struct batch *b)
{
	ck_assert_uint_eq(atomic_load(&b->nr_ended), b->nr);
	for (uint32_t i = 0; i < b->nr; i++)
		bio_free(b->bios[i]);
	free(b->memory);
}

struct rig {
	struct disk *disk;
	struct fake *fake;
	struct batch batch;
};

static void rig_open_fua(struct rig *rig, enum fake_style style, uint32_t request_bytes_max, bool is_stuck,
			 bool has_fua)
{
	struct fake_config fc = fake_defaults(style, test_seed());
	struct disk_config config = {.name = "fake"};

	fc.limits.has_fua = has_fua;
	fc.limits.size_bytes = 8 << 20;
	fc.limits.request_bytes_max = request_bytes_max;
	fc.limits.vecs_max = 1024;
	fc.limits.depth = 1;
	fc.is_stuck = is_stuck;
	rig->fake = fake_open(&fc, &config, &rig->disk);
	batch_init(&rig->batch);
}

static void rig_open(struct rig *rig, enum fake_style style, uint32_t request_bytes_max, bool is_stuck)
{
	rig_open_fua(rig, style, request_bytes_max, is_stuck, false);
}

static void rig_close(struct rig *rig)
{
	fake_unstick(rig->fake);
	disk_drain(rig->disk);
	batch_done(&rig->batch);
	disk_close(rig->disk);
	fake_destroy(rig->fake);
}

/* Lets the disk stick with a request far away under way, so that what follows gathers. */
static void occupy(struct rig *rig)
{
	bio_submit(batch_add(&rig->batch, rig->disk, BIO_WRITE, 0, 2000));
	while (fake_nr_begun(rig->fake) == 0)
		sched_yield();
	fake_forget_events(rig->fake);
}

static size_t release(struct rig *rig, struct fake_event *events, size_t max)
{
	fake_unstick(rig->fake);
	disk_drain(rig->disk);
	return fake_events(rig->fake, events, max);
}

static void check_content(struct rig *rig)
{
	char page[PIECE];

	for (uint32_t i = 0; i < rig->batch.nr; i++) {
		struct bio *bio = rig->batch.bios[i];

		if (bio->op != BIO_WRITE)
			continue;
		fake_content(rig->fake, bio->sector * 512, page, PIECE);
		ck_assert_mem_eq(page, rig->batch.memory + i * PIECE, PIECE);
	}
}

START_TEST(sequential_bios_under_a_plug_reach_the_driver_in_its_largest_size)
{
	static const uint32_t sizes[] = {64 << 10, 256 << 10, 1 << 20};
	uint32_t size = sizes[_i % 3];
	struct fake_event events[1024];
	struct plug plug;
	struct rig rig;

	rig_open(&rig, (enum fake_style)(_i / 3), size, false);
	plug_start(&plug);
	for (uint32_t i = 0; i < 256; i++)
		plug_submit(&plug, batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, i));
	plug_finish(&plug);
	ck_assert_uint_eq(release(&rig, events, array_size(events)), (1 << 20) / size);
	for (uint32_t i = 0; i < (1 << 20) / size; i++)
		ck_assert_uint_eq(events[i].size_bytes, size);
	ck_assert_uint_eq(counter_get(&disk_stats(rig.disk)->merges), 256 - (1 << 20) / size);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(a_plug_sorts_so_that_any_order_merges)
{
	struct fake_event events[1024];
	uint32_t places[256];
	struct plug plug;
	struct rand r;
	struct rig rig;

	rand_init(&r, test_seed());
	for (uint32_t i = 0; i < 256; i++)
		places[i] = i;
	for (uint32_t i = 255; i > 0; i--) {
		uint32_t j = (uint32_t)rand_below(&r, i + 1), t = places[i];

		places[i] = places[j];
		places[j] = t;
	}
	rig_open(&rig, FAKE_EXECUTE, 1 << 20, false);
	plug_start(&plug);
	for (uint32_t i = 0; i < 256; i++)
		plug_submit(&plug, batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, places[i]));
	plug_finish(&plug);
	ck_assert_uint_eq(release(&rig, events, array_size(events)), 1);
	ck_assert_uint_eq(events[0].size_bytes, 1 << 20);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(a_plug_larger_than_its_bound_is_handed_on_whole)
{
	struct plug plug;
	struct rig rig;

	rig_open(&rig, FAKE_EXECUTE, 1 << 20, false);
	plug_start(&plug);
	for (uint32_t i = 0; i < 1000; i++) {
		plug_submit(&plug, batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, i * 2));
		ck_assert_uint_lt(plug.nr_bios, PLUG_BIOS_MAX);
	}
	plug_finish_here(&plug);
	ck_assert_uint_eq(plug.nr_bios, 0);
	disk_drain(rig.disk);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(one_plug_serves_several_disks)
{
	struct fake_event events[1024];
	struct rig a, b;
	struct plug plug;

	rig_open(&a, FAKE_EXECUTE, 1 << 20, false);
	rig_open(&b, FAKE_THREADS, 1 << 20, false);
	plug_start(&plug);
	for (uint32_t i = 0; i < 64; i++) {
		plug_submit(&plug, batch_add(&a.batch, a.disk, BIO_WRITE, 0, i));
		plug_submit(&plug, batch_add(&b.batch, b.disk, BIO_WRITE, 0, i));
	}
	plug_finish(&plug);
	ck_assert_uint_eq(release(&a, events, array_size(events)), 1);
	ck_assert_uint_eq(release(&b, events, array_size(events)), 1);
	rig_close(&a);
	rig_close(&b);
}
END_TEST

START_TEST(neighbours_meet_in_the_queues_tail_from_both_sides)
{
	struct fake_event events[16];
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, 64 << 10, true);
	occupy(&rig);
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, BIO_META, 10));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 11));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 9));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 100));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, BIO_SYNC, 12));
	ck_assert_uint_eq(release(&rig, events, array_size(events)), 2);
	ck_assert_uint_eq(events[0].sector, 9 * 8);
	ck_assert_uint_eq(events[0].size_bytes, 4 * PIECE);
	ck_assert_uint_eq(events[0].flags, BIO_META | BIO_SYNC);
	ck_assert_uint_eq(events[1].sector, 100 * 8);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(what_differs_is_not_merged)
{
	struct fake_event events[16];
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, 64 << 10, true);
	occupy(&rig);
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 10));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_READ, 0, 11));		/* other direction */
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 12));		/* a gap */
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 10));		/* the same place */
	ck_assert_uint_eq(release(&rig, events, array_size(events)), 4);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(events[i].size_bytes, PIECE);
	rig_close(&rig);
}
END_TEST

START_TEST(a_durable_write_is_not_merged)
{
	struct fake_event events[16];
	size_t nr, nr_writes = 0;
	struct rig rig;

	rig_open_fua(&rig, (enum fake_style)(_i / 2), 64 << 10, true, _i % 2);
	occupy(&rig);
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 10));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, BIO_FUA, 11));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 12));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, BIO_PREFLUSH, 13));
	bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, 14));
	nr = release(&rig, events, array_size(events));
	for (size_t i = 0; i < nr; i++) {
		if (events[i].op != BIO_WRITE)
			continue;
		nr_writes++;
		ck_assert_uint_eq(events[i].size_bytes, PIECE);
	}
	ck_assert_uint_eq(nr_writes, 5);
	rig_close(&rig);
}
END_TEST

START_TEST(merging_stops_at_the_drivers_limits)
{
	struct fake_event events[16];
	struct rig rig;

	rig_open(&rig, FAKE_EXECUTE, 3 * PIECE, true);
	occupy(&rig);
	for (uint32_t i = 0; i < 7; i++)
		bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, i));
	ck_assert_uint_eq(release(&rig, events, array_size(events)), 3);
	ck_assert_uint_eq(events[0].size_bytes, 3 * PIECE);
	ck_assert_uint_eq(events[1].size_bytes, 3 * PIECE);
	ck_assert_uint_eq(events[2].size_bytes, PIECE);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(interleaved_writers_keep_their_neighbours)
{
	struct fake_event events[32];
	struct rig rig;

	rig_open(&rig, FAKE_EXECUTE, 64 << 10, true);
	occupy(&rig);
	for (uint32_t i = 0; i < 10; i++)
		for (uint32_t writer = 0; writer < 4; writer++)
			bio_submit(batch_add(&rig.batch, rig.disk, BIO_WRITE, 0, writer * 50 + i));
	ck_assert_uint_eq(release(&rig, events, array_size(events)), 4);
	check_content(&rig);
	rig_close(&rig);
}
END_TEST

TEST_SUITE(block_merge)
{
	tcase_add_loop_test(tc, sequential_bios_under_a_plug_reach_the_driver_in_its_largest_size, 0,
			    2 * 3);
	tcase_add_test(tc, a_plug_sorts_so_that_any_order_merges);
	tcase_add_test(tc, a_plug_larger_than_its_bound_is_handed_on_whole);
	tcase_add_test(tc, one_plug_serves_several_disks);
	tcase_add_loop_test(tc, neighbours_meet_in_the_queues_tail_from_both_sides, 0, 2);
	tcase_add_loop_test(tc, what_differs_is_not_merged, 0, 2);
	tcase_add_loop_test(tc, a_durable_write_is_not_merged, 0, 2 * 2);
	tcase_add_test(tc, merging_stops_at_the_drivers_limits);
	tcase_add_test(tc, interleaved_writers_keep_their_neighbours);
}
