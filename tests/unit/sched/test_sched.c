/*
 * The schedulers. What must hold for all: what goes in comes out once, whatever order it came in, with
 * bios that join meanwhile; merging keeps every sector. For each: its rule of order. And a disk's
 * scheduler may be changed while requests wait, without losing one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "harness/runner.h"
#include "sched/sched.h"
#include "unit/block/fakedisk.h"

#define NR_SCHEDULERS 5
#define NR_REQUESTS 300u

static const struct elevator_ops *ops;
static void *elevator;
static struct request requests[NR_REQUESTS];

static void begin(const char *name)
{
	ops = sched_find(name);
	ck_assert_ptr_nonnull(ops);
	ck_assert_int_eq(ops->init(&elevator), 0);
	memset(requests, 0, sizeof(requests));
}

static struct request *insert(uint32_t i, enum bio_op op, sector_t sector, uint64_t queued_ns)
{
	struct request *rq = &requests[i];

	rq->op = op;
	rq->sector = sector;
	rq->size_bytes = 4096;
	rq->queued_ns = queued_ns;
	list_init(&rq->queue_link);
	ops->insert(elevator, rq);
	return rq;
}

static sector_t next_at(uint64_t now_ns)
{
	struct request *rq = ops->next(elevator, now_ns);

	ck_assert_ptr_nonnull(rq);
	return rq->sector;
}

static void insert_all(const sector_t *sectors, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		insert(i, BIO_READ, sectors[i], i);
}

static void check_order(const sector_t *sectors, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		ck_assert_uint_eq(next_at(0), sectors[i]);
	ck_assert_ptr_null(ops->next(elevator, 0));
	ops->done(elevator);
}

START_TEST(names_lead_to_schedulers)
{
	char all[100] = "";

	for (size_t i = 0; sched_at(i); i++) {
		if (i)
			strcat(all, "|");
		strcat(all, sched_at(i)->name);
		ck_assert_ptr_eq(sched_find(sched_at(i)->name), sched_at(i));
	}
	ck_assert_str_eq(all, SCHED_NAMES);
	ck_assert_ptr_null(sched_find("cfq"));
}
END_TEST

START_TEST(what_goes_in_comes_out_once)
{
	bool is_out[NR_REQUESTS] = {false};
	uint32_t nr_in = 0, nr_out = 0;
	struct rand r;

	rand_init(&r, test_seed() + (uint64_t)_i);
	begin(sched_at((size_t)_i)->name);
	while (nr_out < NR_REQUESTS) {
		if (nr_in < NR_REQUESTS && rand_one_in(&r, 2)) {
			insert(nr_in, rand_one_in(&r, 3) ? BIO_WRITE : BIO_READ, 8 * rand_below(&r, 50),
			       nr_in * NSEC_PER_MSEC * 100);
			nr_in++;
		} else {
			struct request *rq = ops->next(elevator, nr_in * NSEC_PER_MSEC * 100);

			ck_assert_int_eq(rq != NULL, nr_out < nr_in);
			if (!rq)
				continue;
			ck_assert(!is_out[rq - requests]);
			ck_assert(!rbnode_is_linked(&rq->sort_node));
			is_out[rq - requests] = true;
			nr_out++;
		}
	}
	ops->done(elevator);
}
END_TEST

START_TEST(noop_serves_in_the_order_of_arrival)
{
	const sector_t in[] = {98, 183, 37, 122, 14, 124, 65, 67};

	begin("noop");
	insert_all(in, 8);
	check_order(in, 8);
}
END_TEST

#define UNIT 800	/* a request's own length is little beside the way between them */

/* The textbooks' example: the head at 53, requests at 98, 183, 37, 122, 14, 124, 65, 67. */
static const sector_t book[] = {98 * UNIT, 183 * UNIT, 37 * UNIT, 122 * UNIT,
				14 * UNIT, 124 * UNIT, 65 * UNIT, 67 * UNIT};

static void head_at_53(void)
{
	insert(20, BIO_READ, 52 * UNIT, 0);
	ck_assert_uint_eq(next_at(0), 52 * UNIT);
}

START_TEST(sstf_serves_the_nearest)
{
	const sector_t out[] = {65 * UNIT, 67 * UNIT,  37 * UNIT,  14 * UNIT,
				98 * UNIT, 122 * UNIT, 124 * UNIT, 183 * UNIT};

	begin("sstf");
	head_at_53();
	insert_all(book, 8);
	check_order(out, 8);
}
END_TEST

START_TEST(scan_turns_at_the_last_request)
{
	const sector_t out[] = {65 * UNIT,  67 * UNIT,  98 * UNIT, 122 * UNIT,
				124 * UNIT, 183 * UNIT, 37 * UNIT, 14 * UNIT};

	begin("scan");
	head_at_53();
	insert_all(book, 8);
	check_order(out, 8);
}
END_TEST

START_TEST(cscan_goes_back_to_the_lowest)
{
	const sector_t out[] = {65 * UNIT,  67 * UNIT,  98 * UNIT, 122 * UNIT,
				124 * UNIT, 183 * UNIT, 14 * UNIT, 37 * UNIT};

	begin("cscan");
	head_at_53();
	insert_all(book, 8);
	check_order(out, 8);
}
END_TEST

START_TEST(a_stream_at_one_place_does_not_hold_a_sweep)
{
	const char *names[] = {"scan", "cscan", "deadline"};

	begin(names[_i]);
	insert(0, BIO_READ, 80, 0);
	insert(1, BIO_READ, 800, 0);
	ck_assert_uint_eq(next_at(0), 80);
	insert(2, BIO_READ, 80, 0);
	ck_assert_uint_eq(next_at(0), 800);
	ck_assert_uint_eq(next_at(0), 80);
	ops->done(elevator);
}
END_TEST

START_TEST(deadline_serves_reads_first_but_not_for_ever)
{
	uint32_t nr_reads = 0;

	begin("deadline");
	insert(0, BIO_WRITE, 8, 0);
	for (uint32_t i = 1; i < 100; i++)
		insert(i, BIO_READ, 1000 + i * 8, 0);
	while (next_at(0) != 8)
		nr_reads++;
	ck_assert_uint_eq(nr_reads, 32);	/* two batches */
	while (ops->next(elevator, 0))
		;
	ops->done(elevator);
}
END_TEST

START_TEST(deadline_serves_what_is_past_its_time_after_the_batch)
{
	uint32_t nr = 0;

	begin("deadline");
	insert(0, BIO_READ, 10000, 0);
	ck_assert_uint_eq(next_at(0), 10000);
	insert(1, BIO_READ, 0, NSEC_PER_MSEC);	/* behind the head, and old */
	for (uint32_t i = 2; i < 100; i++)
		insert(i, BIO_READ, 10000 + i * 8, 600 * NSEC_PER_MSEC);
	while (next_at(700 * NSEC_PER_MSEC) != 0)
		nr++;
	ck_assert_uint_eq(nr, 15);	/* the rest of the batch */
	while (ops->next(elevator, 0))
		;
	ops->done(elevator);
}
END_TEST

/* ---- merging and switching, with a disk in front ---- */

#define NR_BIOS 128u

struct end {
	uint32_t nr;
};

static void count_end(struct bio *bio)
{
	struct end *end = bio->private;

	ck_assert_int_eq(bio->status, 0);
	end->nr++;
	bio_free(bio);
}

static void submit_write(struct disk *disk, sector_t sector, void *memory, struct end *end)
{
	struct bio *bio = bio_alloc(disk, BIO_WRITE, 0, sector, 1);

	ck_assert(bio_add(bio, memory, 512));
	bio->end_io = count_end;
	bio->private = end;
	bio_submit(bio);
}

/* Every sector once, in random order, while the disk is stuck: then all that can join has joined. */
START_TEST(what_adjoins_is_joined_and_every_sector_arrives)
{
	struct fake_config fc = fake_defaults(FAKE_THREADS, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 2 * NR_BIOS,
				     .elevator = sched_at((size_t)_i)};
	static unsigned char out[NR_BIOS][512], in[NR_BIOS][512];
	uint32_t order[NR_BIOS];
	struct end ends[NR_BIOS] = {{0}};
	struct fake *fake;
	struct disk *disk;
	struct rand r;

	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	rand_init(&r, test_seed());
	rand_fill(&r, out, sizeof(out));
	for (uint32_t i = 0; i < NR_BIOS; i++) {
		uint32_t j = (uint32_t)rand_below(&r, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32_t i = 0; i < NR_BIOS; i++)
		submit_write(disk, order[i], out[order[i]], &ends[i]);
	if (_i)		/* the first looks at the tail only */
		ck_assert_uint_gt(counter_get(&disk_stats(disk)->merges), NR_BIOS / 3);
	fake_unstick(fake);
	disk_drain(disk);
	for (uint32_t i = 0; i < NR_BIOS; i++)
		ck_assert_uint_eq(ends[i].nr, 1);
	fake_content(fake, 0, in, sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(out));
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

/* From each to each, while requests wait and some are with the driver. */
START_TEST(a_change_of_scheduler_loses_nothing)
{
	struct fake_config fc = fake_defaults(FAKE_THREADS, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 2 * NR_BIOS,
				     .elevator = sched_at((size_t)_i)};
	static unsigned char memory[512];
	struct end ends[NR_BIOS] = {{0}};
	struct fake *fake;
	struct disk *disk;

	fc.is_stuck = true;
	fake = fake_open(&fc, &config, &disk);
	for (uint32_t i = 0; i < NR_BIOS; i++) {
		submit_write(disk, i * 37 % NR_BIOS * 2, memory, &ends[i]);
		if (i % 16 == 15) {
			const struct elevator_ops *to = sched_at((size_t)_i + i / 16)
								?: sched_at(i % 3);

			ck_assert_int_eq(disk_set_elevator(disk, to), 0);
			ck_assert_str_eq(disk_elevator_name(disk), to->name);
		}
	}
	fake_unstick(fake);
	for (size_t i = 0; sched_at(i); i++)
		ck_assert_int_eq(disk_set_elevator(disk, sched_at(i)), 0);
	disk_drain(disk);
	for (uint32_t i = 0; i < NR_BIOS; i++)
		ck_assert_uint_eq(ends[i].nr, 1);
	disk_close(disk);
	fake_destroy(fake);
}
END_TEST

TEST_SUITE(sched)
{
	tcase_add_loop_test(tc, a_change_of_scheduler_loses_nothing, 0, NR_SCHEDULERS);
	tcase_add_test(tc, names_lead_to_schedulers);
	tcase_add_loop_test(tc, what_goes_in_comes_out_once, 0, NR_SCHEDULERS);
	tcase_add_test(tc, noop_serves_in_the_order_of_arrival);
	tcase_add_test(tc, sstf_serves_the_nearest);
	tcase_add_test(tc, scan_turns_at_the_last_request);
	tcase_add_test(tc, cscan_goes_back_to_the_lowest);
	tcase_add_loop_test(tc, a_stream_at_one_place_does_not_hold_a_sweep, 0, 3);
	tcase_add_test(tc, deadline_serves_reads_first_but_not_for_ever);
	tcase_add_test(tc, deadline_serves_what_is_past_its_time_after_the_batch);
	tcase_add_loop_test(tc, what_adjoins_is_joined_and_every_sector_arrives, 0, NR_SCHEDULERS);
}
