/*
 * The queue. What must hold: no more requests are in it than its bound, and submitters wait in line;
 * those who wait for their I/O get room though others flood it; every bio ends once; a large bio ends
 * once with the first error of its parts; inline mode keeps order; a waiting submitter works
 * itself and wakes nobody; the caller's elevator is asked; and what cannot be carried out is
 * refused with the right error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "block/elevator.h"
#include "block/plug.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"

/* A bio that counts its ends. */
struct counted {
	struct bio *bio;
	_Atomic int nr_ends;
	int status;
};

static void counted_end(struct bio *bio)
{
	struct counted *c = bio->private;

	c->status = bio->status;
	atomic_fetch_add(&c->nr_ends, 1);
	bio_free(bio);		/* the queue must not touch it afterwards: asan watches */
}

/* must() and not an assert of Check's, which are slow by the thousand and not for threads. */
static void counted_make(struct counted *c, struct disk *disk, enum bio_op op, sector_t sector,
			 void *memory, uint32_t len)
{
	c->bio = bio_alloc(disk, op, 0, sector, 1);
	must(c->bio);
	must(bio_add(c->bio, memory, len));
	c->bio->private = c;
	c->bio->end_io = counted_end;
}

#define NR_SUBMITTERS 8
#define NR_EACH 4000

struct submitter {
	struct disk *disk;
	struct counted *counted;
	uint64_t seed;
};

static void submit_many(void *arg)
{
	struct submitter *s = arg;
	static char memory[512];
	struct rand r;

	rand_init(&r, s->seed);
	for (size_t i = 0; i < NR_EACH; i++) {
		/* Reads at even sectors: no two are neighbours, so each is a request. */
		counted_make(&s->counted[i], s->disk, BIO_READ, 2 * rand_below(&r, 1000), memory, 512);
		bio_submit(s->counted[i].bio);
	}
}

static size_t nr_with_ends(struct counted *counted, int nr_ends)
{
	size_t nr = 0;

	for (size_t i = 0; i < NR_EACH; i++)
		nr += atomic_load(&counted[i].nr_ends) == nr_ends;
	return nr;
}

START_TEST(d1_many_submitters_against_a_stuck_disk_stay_within_the_bound)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 24};
	struct submitter submitters[NR_SUBMITTERS];
	struct thread *threads[NR_SUBMITTERS];
	struct disk *disk;
	struct fake *fake;

	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	for (unsigned i = 0; i < NR_SUBMITTERS; i++) {
		submitters[i] = (struct submitter){disk, calloc(NR_EACH, sizeof(struct counted)),
						   test_seed() + i};
		threads[i] = thread_create("submitter", submit_many, &submitters[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	while (counter_get(&disk_stats(disk)->backpressure_waits) < NR_SUBMITTERS)
		usleep(1000);
	usleep(20000);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->backpressure_waits), NR_SUBMITTERS);
	ck_assert_uint_le(disk_stats(disk)->depth_now, 24);
	ck_assert_uint_le(fake_nr_begun(fake), fc.limits.depth);
	for (unsigned i = 0; i < NR_SUBMITTERS; i++)
		ck_assert_uint_eq(nr_with_ends(submitters[i].counted, 0), NR_EACH);
	fake_unstick(fake);
	for (unsigned i = 0; i < NR_SUBMITTERS; i++)
		thread_join(threads[i]);
	disk_drain(disk);
	ck_assert_uint_le(disk_stats(disk)->depth_most, 24);
	ck_assert_uint_eq(disk_stats(disk)->depth_now, 0);
	for (unsigned i = 0; i < NR_SUBMITTERS; i++) {
		ck_assert_uint_eq(nr_with_ends(submitters[i].counted, 1), NR_EACH);
		free(submitters[i].counted);
	}
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_queue_with_room_for_one_works)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 1};
	struct counted counted[100] = {0};
	struct disk *disk;
	struct fake *fake;
	char memory[512];

	fc.limits.depth = 1;
	fake = fake_open(&fc, &config, &disk);
	for (size_t i = 0; i < array_size(counted); i++) {
		counted_make(&counted[i], disk, BIO_READ, i * 2, memory, 512);
		bio_submit(counted[i].bio);
		if (i % 7 == 0)
			ck_assert_int_eq(disk_write(disk, 4096, memory, 512, BIO_PREFLUSH | BIO_FUA), 0);
		if (i % 5 == 0)
			ck_assert_int_eq(disk_read(disk, 8192, memory, 512), 0);
	}
	disk_drain(disk);
	for (size_t i = 0; i < array_size(counted); i++)
		ck_assert_int_eq(counted[i].nr_ends, 1);
	ck_assert_uint_eq(disk_stats(disk)->depth_most, 1);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

struct flood {
	struct disk *disk;
	struct counted counted[64];
};

static void flood(void *arg)
{
	struct flood *f = arg;
	static char memory[512];

	for (size_t i = 0; i < array_size(f->counted); i++) {
		counted_make(&f->counted[i], f->disk, BIO_WRITE, i * 2, memory, 512);
		bio_submit(f->counted[i].bio);
	}
}

static void read_one(void *arg)
{
	char memory[512];

	must(disk_read(arg, 0, memory, 512) == 0);
}

START_TEST(who_waits_gets_room_though_others_flood_the_queue)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 16, .nr_workers = 1};
	struct flood f = {0};
	struct thread *flooder, *reader;
	struct disk *disk;
	struct fake *fake;

	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	f.disk = disk;
	flooder = thread_create("flood", flood, &f);
	while (counter_get(&disk_stats(disk)->backpressure_waits) == 0)
		usleep(1000);
	/* The one worker is stuck, the flooder sleeps at the bound; the reader still begins. */
	reader = thread_create("reader", read_one, disk);
	while (fake_nr_begun(fake) < 2)
		usleep(1000);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->backpressure_waits), 1);
	fake_unstick(fake);
	thread_join(reader);
	thread_join(flooder);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->direct), 1);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_batch_brings_all_workers)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake", .nr_workers = 3};
	struct counted counted[16] = {0};
	struct plug plug;
	struct disk *disk;
	struct fake *fake;
	char memory[512];

	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	plug_start(&plug);
	for (size_t i = 0; i < array_size(counted); i++) {
		counted_make(&counted[i], disk, BIO_READ, 2 * i, memory, 512);
		plug_submit(&plug, counted[i].bio);
	}
	plug_finish(&plug);	/* calls one worker, and that one the next */
	/* Each worker sticks with its first request; all three must have been called. */
	while (fake_nr_begun(fake) < 3)
		usleep(1000);
	usleep(10000);
	ck_assert_uint_eq(fake_nr_begun(fake), 3);
	fake_unstick(fake);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_tag_that_a_waiting_submitter_gives_back_is_used)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake"};
	struct counted counted = {0};
	struct thread *reader;
	struct disk *disk;
	struct fake *fake;
	char memory[512];

	fc.limits.depth = 1;
	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	reader = thread_create("reader", read_one, disk);
	while (fake_nr_begun(fake) < 1)
		usleep(1000);
	counted_make(&counted, disk, BIO_READ, 100, memory, 512);	/* the only tag is with the reader */
	bio_submit(counted.bio);
	fake_unstick(fake);
	thread_join(reader);
	while (!atomic_load(&counted.nr_ends))
		usleep(1000);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_waiting_submitter_works_itself)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake"};
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);
	char memory[512];

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(disk_read(disk, 512 * (uint64_t)i, memory, 512), 0);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->direct), 100);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->ios[BIO_READ]), 100);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->bytes[BIO_READ]), 51200);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(inline_disks_carry_out_in_order_on_the_submitters_thread)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct disk_config config = {.name = "fake", .is_inline = true};
	struct counted counted[50] = {0};
	struct fake_event events[64];
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);
	char memory[512];

	for (size_t i = 0; i < array_size(counted); i++) {
		counted_make(&counted[i], disk, BIO_WRITE, 100 - i, memory, 512);
		bio_submit(counted[i].bio);
		ck_assert_int_eq(counted[i].nr_ends, 1);
	}
	ck_assert_uint_eq(fake_events(fake, events, array_size(events)), array_size(counted));
	for (size_t i = 0; i < array_size(counted); i++)
		ck_assert_uint_eq(events[i].sector, 100 - i);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

/* Writes and reads a bio of 300 KiB in crumbs, with a driver that takes 64 KiB and 32 pieces. */
START_TEST(a_large_bio_is_split_and_ends_once)
{
	enum { SIZE = 300 << 10, CRUMB = 2048 };
	struct fake_config fc = fake_defaults((enum fake_style)(_i / 2), test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 3};
	char *memory = malloc(2 * SIZE), *got = malloc(SIZE), *flat = malloc(SIZE);
	struct counted counted = {0};
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);
	struct rand r;

	rand_init(&r, test_seed());
	rand_fill(&r, memory, 2 * SIZE);
	counted.bio = bio_alloc(disk, BIO_WRITE, _i % 2 ? BIO_PREFLUSH | BIO_FUA : 0, 7, SIZE / CRUMB);
	counted.bio->private = &counted;
	counted.bio->end_io = counted_end;
	for (uint32_t at = 0; at < SIZE; at += CRUMB) {
		ck_assert(bio_add(counted.bio, memory + 2 * at, CRUMB));
		memcpy(flat + at, memory + 2 * at, CRUMB);
	}
	bio_submit(counted.bio);
	disk_drain(disk);
	ck_assert_int_eq(counted.nr_ends, 1);
	ck_assert_int_eq(counted.status, 0);
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->splits), 1);
	fake_content(fake, 7 * 512, got, SIZE);
	ck_assert_mem_eq(got, flat, SIZE);
	if (_i % 2) {
		fake_durable(fake, 7 * 512, got, SIZE);
		ck_assert_mem_eq(got, flat, SIZE);
	}
	memset(got, 0, SIZE);
	ck_assert_int_eq(disk_read(disk, 7 * 512, got, SIZE), 0);
	ck_assert_mem_eq(got, flat, SIZE);
	disk_close(disk);
	fake_destroy(fake);
	free(memory);
	free(got);
	free(flat);
}
END_TEST

START_TEST(an_error_in_any_part_is_the_large_bios_error)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	char *memory = calloc(1, 256 << 10);
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);

	for (uint32_t nth = 1; nth <= 4; nth++) {
		struct counted counted = {0};

		fake_fail(fake, BIO_READ, nth, -EIO);
		ck_assert_int_eq(disk_read(disk, 0, memory, 256 << 10), -EIO);
		ck_assert_int_eq(disk_read(disk, 0, memory, 256 << 10), 0);
		fake_fail(fake, BIO_WRITE, nth, -EIO);
		counted_make(&counted, disk, BIO_WRITE, 0, memory, 256 << 10);
		bio_submit(counted.bio);
		disk_drain(disk);
		ck_assert_int_eq(counted.nr_ends, 1);
		ck_assert_int_eq(counted.status, -EIO);
	}
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->errors), 8);
	disk_close(disk);
	fake_destroy(fake);
	free(memory);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
	static char memory[8192];
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	struct counted counted = {0};
	struct disk *disk;
	struct fake *fake;
	uint64_t end;

	fc.limits.block_bytes = 4096;
	end = fc.limits.size_bytes;
	fake = fake_open(&fc, &config, &disk);
	ck_assert_int_eq(disk_read(disk, end, memory, 4096), -EINVAL);
	ck_assert_int_eq(disk_read(disk, end - 4096, memory, 8192), -EINVAL);
	ck_assert_int_eq(disk_read(disk, UINT64_MAX - 4095, memory, 4096), -EINVAL);
	ck_assert_int_eq(disk_read(disk, 512, memory, 4096), -EINVAL);
	ck_assert_int_eq(disk_read(disk, 1, memory, 4096), -EINVAL);
	ck_assert_int_eq(disk_read(disk, 0, memory, 512), -EINVAL);
	ck_assert_int_eq(disk_read(disk, 0, memory, 0), -EINVAL);
	ck_assert_int_eq(disk_write(disk, end, memory, 4096, 0), -EINVAL);
	counted_make(&counted, disk, BIO_READ, UINT64_MAX / 512, memory, 4096);
	bio_submit(counted.bio);
	ck_assert_int_eq(counted.nr_ends, 1);
	ck_assert_int_eq(counted.status, -EINVAL);
	ck_assert_uint_eq(fake_nr_begun(fake), 0);
	ck_assert_int_eq(disk_read(disk, end - 4096, memory, 4096), 0);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_read_only_disk_refuses_writes_and_needs_no_flush)
{
	static char memory[512];
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	struct disk *disk;
	struct fake *fake;

	fc.limits.is_read_only = true;
	fake = fake_open(&fc, &config, &disk);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, 0), -EROFS);
	ck_assert_int_eq(disk_write(disk, 0, memory, 512, BIO_PREFLUSH | BIO_FUA), -EROFS);
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_uint_eq(fake_nr_begun(fake), 0);
	ck_assert_int_eq(disk_read(disk, 0, memory, 512), 0);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_discard_reaches_the_driver_whole_or_is_refused)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	struct fake_event event;
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);
	struct bio bio;

	bio_init(&bio, disk, BIO_DISCARD, 0, 8, 0);
	bio.size_bytes = 512 << 10;	/* more than a transfer takes: nothing is transferred */
	ck_assert_int_eq(bio_submit_wait(&bio), 0);
	ck_assert_uint_eq(fake_events(fake, &event, 1), 1);
	ck_assert_uint_eq(event.op, BIO_DISCARD);
	ck_assert_uint_eq(event.size_bytes, 512 << 10);
	disk_close(disk);
	fake_destroy(fake);

	fc.limits.has_discard = false;
	fake = fake_open(&fc, &config, &disk);
	bio.disk = disk;
	ck_assert_int_eq(bio_submit_wait(&bio), -EOPNOTSUPP);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

/* An elevator that takes the last first, to see that the caller's choice is asked. */
struct lifo {
	struct list requests;
};

static _Atomic int lifo_nr_completed;

static int lifo_init(void **ret_elevator)
{
	struct lifo *lifo = mem_alloc(sizeof(*lifo));

	if (!lifo)
		return -ENOMEM;
	list_init(&lifo->requests);
	*ret_elevator = lifo;
	return 0;
}

static void lifo_insert(void *elevator, struct request *rq)
{
	list_add(&((struct lifo *)elevator)->requests, &rq->queue_link);
}

static bool lifo_try_merge(void *elevator, struct bio *bio)
{
	(void)elevator;
	(void)bio;
	return false;
}

static struct request *lifo_next(void *elevator, uint64_t now_ns)
{
	struct lifo *lifo = elevator;
	struct request *rq = list_first(&lifo->requests, struct request, queue_link);

	(void)now_ns;
	list_del(&rq->queue_link);
	return rq;
}

static void lifo_completed(void *elevator, struct request *rq)
{
	(void)elevator;
	(void)rq;
	atomic_fetch_add(&lifo_nr_completed, 1);
}

static const struct elevator_ops lifo_elevator = {
	"lifo", lifo_init, mem_free, lifo_insert, lifo_try_merge, lifo_next, lifo_completed,
};

START_TEST(the_callers_elevator_chooses)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake", .elevator = &lifo_elevator};
	struct counted counted[10] = {0};
	struct fake_event events[10];
	struct disk *disk;
	struct fake *fake;
	char memory[512];

	fc.limits.depth = 1;
	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	for (size_t i = 0; i < array_size(counted); i++) {
		counted_make(&counted[i], disk, BIO_READ, i, memory, 512);
		bio_submit(counted[i].bio);
		while (fake_nr_begun(fake) == 0)
			sched_yield();
	}
	fake_unstick(fake);
	disk_drain(disk);
	ck_assert_uint_eq(fake_events(fake, events, array_size(events)), array_size(events));
	ck_assert_uint_eq(events[0].sector, 0);
	for (size_t i = 1; i < array_size(events); i++)
		ck_assert_uint_eq(events[i].sector, 10 - i);
	ck_assert_int_eq(lifo_nr_completed, 10);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

START_TEST(opening_without_memory_fails_cleanly)
{
	struct disk_config config = {.name = "fake", .nr_workers = 2};
	uint64_t before = mem_live_count();
	int err = -ENOMEM;

	for (uint64_t n = 1; err; n++) {
		struct fake_config fc = fake_defaults(FAKE_EXECUTE, 1);
		static const struct disk_ops ops = {.name = "none", .execute = (int (*)(void *, struct request *))1,
						    .close = mem_free};
		struct disk *disk = NULL;

		ck_assert_uint_lt(n, 100);
		mem_fail_nth(n, false);
		err = disk_open_with(&ops, NULL, &fc.limits, &config, &disk);
		mem_fail_nth(0, false);
		ck_assert(err == 0 || err == -ENOMEM || err == -EAGAIN);
		if (!err)
			disk_close(disk);
		ck_assert_uint_eq(mem_live_count(), before);
	}
}
END_TEST

TEST_SUITE(block_queue)
{
	tcase_add_loop_test(tc, d1_many_submitters_against_a_stuck_disk_stay_within_the_bound, 0, 2);
	tcase_add_loop_test(tc, a_queue_with_room_for_one_works, 0, FAKE_NR_STYLES);
	tcase_add_test(tc, who_waits_gets_room_though_others_flood_the_queue);
	tcase_add_test(tc, a_batch_brings_all_workers);
	tcase_add_test(tc, a_tag_that_a_waiting_submitter_gives_back_is_used);
	tcase_add_test(tc, a_waiting_submitter_works_itself);
	tcase_add_test(tc, inline_disks_carry_out_in_order_on_the_submitters_thread);
	tcase_add_loop_test(tc, a_large_bio_is_split_and_ends_once, 0, 2 * FAKE_NR_STYLES);
	tcase_add_loop_test(tc, an_error_in_any_part_is_the_large_bios_error, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, what_cannot_be_is_refused, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, a_read_only_disk_refuses_writes_and_needs_no_flush, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, a_discard_reaches_the_driver_whole_or_is_refused, 0, FAKE_NR_STYLES);
	tcase_add_loop_test(tc, the_callers_elevator_chooses, 0, 2);
	tcase_add_test(tc, opening_without_memory_fails_cleanly);
}
