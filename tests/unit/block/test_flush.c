/*
 * Durability. What must hold: d2 (a write that completed before a flush was submitted is durable
 * when the flush completes), PREFLUSH and FUA likewise; flush, write and flush reach the driver in
 * that order, and no more of them than needed; a failed step fails the request and skips the
 * rest. The fake disk knows what a power cut would leave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"

#define PART_BYTES 16384u	/* of each of four threads */

struct rig {
	struct disk *disk;
	struct fake *fake;
};

static void rig_open(struct rig *rig, enum fake_style style, bool has_fua, uint32_t delay_us, bool is_inline)
{
	struct fake_config fc = fake_defaults(style, test_seed());
	struct disk_config config = {.name = "fake", .is_inline = is_inline};

	fc.limits.size_bytes = 4 * PART_BYTES;
	fc.limits.has_fua = has_fua;
	fc.delay_us = delay_us;
	rig->fake = fake_open(&fc, &config, &rig->disk);
}

static void rig_close(struct rig *rig)
{
	disk_close(rig->disk);
	fake_destroy(rig->fake);
}

/* The order of what reached the driver, as letters: R W F D, w for a write with FUA. */
static void check_order(struct rig *rig, const char *want)
{
	struct fake_event events[64];
	size_t nr = fake_events(rig->fake, events, array_size(events));
	char got[65] = {0};

	for (size_t i = 0; i < nr && i < 64; i++)
		got[i] = events[i].flags & BIO_FUA ? 'w' : "RWFD"[events[i].op];
	ck_assert_str_eq(got, want);
	fake_forget_events(rig->fake);
}

static char block[1024];

START_TEST(flush_write_flush_come_in_order)
{
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, false, 0, false);
	ck_assert_int_eq(disk_flush(rig.disk), 0);
	check_order(&rig, "F");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, 0), 0);
	check_order(&rig, "W");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH), 0);
	check_order(&rig, "FW");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_FUA), 0);
	check_order(&rig, "WF");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), 0);
	check_order(&rig, "FWF");
	rig_close(&rig);
}
END_TEST

START_TEST(a_driver_with_fua_gets_the_flag_and_no_second_flush)
{
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, true, 0, false);
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_FUA), 0);
	check_order(&rig, "w");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), 0);
	check_order(&rig, "Fw");
	rig_close(&rig);
}
END_TEST

START_TEST(inline_disks_sequence_too)
{
	struct rig rig;

	rig_open(&rig, FAKE_EXECUTE, false, 0, true);
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), 0);
	check_order(&rig, "FWF");
	rig_close(&rig);
}
END_TEST

START_TEST(a_failed_preflush_fails_the_write_undone)
{
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, false, 0, false);
	fake_fail(rig.fake, BIO_FLUSH, 1, -EIO);
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), -EIO);
	check_order(&rig, "F");
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), 0);
	check_order(&rig, "FWF");
	rig_close(&rig);
}
END_TEST

START_TEST(a_failed_write_or_postflush_fails_the_write)
{
	struct rig rig;

	rig_open(&rig, (enum fake_style)_i, false, 0, false);
	fake_fail(rig.fake, BIO_WRITE, 1, -EIO);
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), -EIO);
	check_order(&rig, "FW");
	fake_fail(rig.fake, BIO_FLUSH, 2, -EIO);
	ck_assert_int_eq(disk_write(rig.disk, 0, block, 1024, BIO_PREFLUSH | BIO_FUA), -EIO);
	check_order(&rig, "FWF");
	fake_fail(rig.fake, BIO_FLUSH, 1, -EIO);
	ck_assert_int_eq(disk_flush(rig.disk), -EIO);
	rig_close(&rig);
}
END_TEST

static _Atomic uint32_t nr_ended;

static void count_end(struct bio *bio)
{
	must(bio->status == 0);
	atomic_fetch_add(&nr_ended, 1);
}

START_TEST(flushes_that_wait_ride_on_one)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	struct bio bios[40];
	struct rig rig;

	fc.is_stuck = true;
	rig.fake = fake_open(&fc, &config, &rig.disk);
	for (size_t i = 0; i < array_size(bios); i++) {
		bio_init(&bios[i], rig.disk, BIO_FLUSH, 0, 0, 0);
		bios[i].end_io = count_end;
		bio_submit(&bios[i]);
		while (fake_nr_begun(rig.fake) == 0)	/* the first has begun: the others are late */
			sched_yield();
	}
	fake_unstick(rig.fake);
	disk_drain(rig.disk);
	ck_assert_uint_eq(atomic_load(&nr_ended), array_size(bios));
	check_order(&rig, "FF");
	rig_close(&rig);
}
END_TEST

/* One of several threads that write each their own part and demand durability in turns. */
struct writer {
	struct rig *rig;
	uint64_t seed;
	uint64_t start_bytes, size_bytes;
	int failed_at;		/* the round where the promise was broken, or -1 */
};

static bool is_durable(struct writer *w, const unsigned char *shadow)
{
	unsigned char *got = malloc(w->size_bytes);
	bool same;

	fake_durable(w->rig->fake, w->start_bytes, got, w->size_bytes);
	same = memcmp(got, shadow, w->size_bytes) == 0;
	free(got);
	return same;
}

static void write_and_demand(void *arg)
{
	struct writer *w = arg;
	unsigned char *shadow = calloc(1, w->size_bytes);
	struct rand r;

	rand_init(&r, w->seed);
	for (int round = 0; round < 200 && w->failed_at < 0; round++) {
		uint32_t flags = 0;
		int err = 0;

		for (uint64_t n = 1 + rand_below(&r, 4); n > 0 && !err; n--) {
			uint32_t len = 512 * (uint32_t)(1 + rand_below(&r, 8));
			uint64_t at = 512 * rand_below(&r, (w->size_bytes - len) / 512 + 1);

			rand_fill(&r, shadow + at, len);
			/* The last of them sometimes brings the durability of all. */
			if (n == 1 && rand_one_in(&r, 2))
				flags = BIO_PREFLUSH | BIO_FUA;
			err = disk_write(w->rig->disk, w->start_bytes + at, shadow + at, len, flags);
		}
		if (!err && !flags)
			err = disk_flush(w->rig->disk);
		if (err || !is_durable(w, shadow))
			w->failed_at = round;
	}
	free(shadow);
}

START_TEST(d2_completed_writes_are_durable_after_the_flush)
{
	enum fake_style style = (enum fake_style)(_i / 2);
	struct thread *threads[4];
	struct writer writers[4];
	struct rig rig;

	rig_open(&rig, style, _i % 2, 100, false);
	for (unsigned i = 0; i < 4; i++) {
		writers[i] = (struct writer){&rig, test_seed() + i, i * PART_BYTES, PART_BYTES, -1};
		threads[i] = thread_create("writer", write_and_demand, &writers[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		thread_join(threads[i]);
		ck_assert_msg(writers[i].failed_at < 0, "thread %u lost data in round %d", i,
			      writers[i].failed_at);
	}
	rig_close(&rig);
}
END_TEST

TEST_SUITE(block_flush)
{
	tcase_add_loop_test(tc, flush_write_flush_come_in_order, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, a_driver_with_fua_gets_the_flag_and_no_second_flush, 0, FAKE_NR_STYLES);
	tcase_add_test(tc, inline_disks_sequence_too);
	tcase_add_loop_test(tc, a_failed_preflush_fails_the_write_undone, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, a_failed_write_or_postflush_fails_the_write, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, flushes_that_wait_ride_on_one, 0, 2);
	tcase_add_loop_test(tc, d2_completed_writes_are_durable_after_the_flush, 0, 2 * FAKE_NR_STYLES);
}
