/*
 * Faults on purpose. What must hold: the n-th request of a kind fails, once or from there on, and no
 * other; a torn write arrives in part and a lost one not at all; bad sectors fail until written;
 * late I/O ends, once, and in another order; a seed repeats what it did; settings change while
 * I/O runs.
 */
#include "drivers/faultydisk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "drivers/cowdisk.h"
#include "drivers/partdisk.h"
#include "drivers/recorddisk.h"
#include "harness/runner.h"
#include "unit/drivers/openers.h"

static const struct disk_config plain = {.name = "faulty"};

static struct disk *faulty_on(struct disk *lower, const struct faultydisk_config *faults,
			      struct faultydisk **ret_faulty)
{
	struct disk *disk;

	ck_assert_int_eq(faultydisk_open(lower, true, faults, &plain, ret_faulty, &disk), 0);
	return disk;
}

OPENER(faulty_on_file)
{
	*ret_state = NULL;
	return faulty_on(new_file(size_bytes, FILE_PLAIN), NULL, NULL);
}

OPENER(faulty_and_late)
{
	struct faultydisk_config faults = {.seed = test_seed(), .delay_one_in = 100, .delay_ms_max = 3};

	*ret_state = NULL;
	return faulty_on(new_file(size_bytes, FILE_NARROW), &faults, NULL);
}

/* Copy-on-write over faults over a record over a part over a file with little room. */
OPENER(four_in_a_stack)
{
	struct recordlog_config log_config = {.keeps_records = true};
	struct partdisk_config part = {.offset_bytes = 4096, .owns_lower = true};
	struct cowdisk_config cow = {.owns_lower = true};
	struct disk *disk;
	struct recordlog *log;
	char why[200];

	ck_assert_int_eq(partdisk_open(new_file(size_bytes + 4096, FILE_NARROW), &part, &plain, &disk, why,
				       sizeof(why)), 0);
	ck_assert_int_eq(recordlog_create(&log_config, &log, why, sizeof(why)), 0);
	ck_assert_int_eq(recorddisk_open(disk, true, log, &plain, &disk), 0);
	disk = faulty_on(disk, NULL, NULL);
	ck_assert_int_eq(cowdisk_open(disk, &cow, &plain, NULL, &disk, why, sizeof(why)), 0);
	*ret_state = log;
	return disk;
}

static int try_io(struct disk *disk, enum bio_op op)
{
	static unsigned char bytes[512];

	switch (op) {
	case BIO_READ:
		return disk_read(disk, 0, bytes, 512);
	case BIO_WRITE:
		return disk_write(disk, 0, bytes, 512, 0);
	case BIO_FLUSH:
		return disk_flush(disk);
	default:
		return discard(disk, 0, 512);
	}
}

START_TEST(the_nth_of_a_kind_fails_once_or_from_there_on)
{
	enum bio_op op = (enum bio_op)(_i / 2);
	bool is_sticky = _i % 2;
	struct faultydisk_config faults = {.error = 0};
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_ram(1 << 20), NULL, &f);

	for (unsigned nth = 1; nth <= 4; nth++) {
		faults.fails[op] = (struct fault_when){.nth = nth, .is_sticky = is_sticky};
		faultydisk_set(f, &faults);
		for (unsigned i = 1; i <= 6; i++) {
			bool fails = is_sticky ? i >= nth : i == nth;

			ck_assert_int_eq(try_io(disk, op), fails ? -EIO : 0);
			ck_assert_int_eq(try_io(disk, (op + 1) % BIO_NR_OPS), 0);
		}
		ck_assert_uint_eq(faultydisk_stats(f).seen[op], 6);
		ck_assert_uint_eq(faultydisk_stats(f).seen[FAULTY_ANY], 12);
		ck_assert_uint_eq(faultydisk_stats(f).failed, is_sticky ? 7 - nth : 1);
	}
	disk_close(disk);
}
END_TEST

START_TEST(the_nth_of_any_kind_fails_with_the_error_asked_for)
{
	struct faultydisk_config faults = {.error = -ENOSPC};
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_ram(1 << 20), NULL, &f);

	for (unsigned nth = 1; nth <= 8; nth++) {
		faults.fails[FAULTY_ANY].nth = nth;
		faultydisk_set(f, &faults);
		for (unsigned i = 1; i <= 8; i++)
			ck_assert_int_eq(try_io(disk, (enum bio_op)(i % BIO_NR_OPS)), i == nth ? -ENOSPC : 0);
	}
	disk_close(disk);
}
END_TEST

START_TEST(a_request_that_fails_does_not_arrive)
{
	struct faultydisk_config faults = {.fails[BIO_WRITE].nth = 1};
	struct disk *disk = faulty_on(new_ram(1 << 20), &faults, NULL);
	unsigned char bytes[512] = {1};

	ck_assert_int_eq(disk_write(disk, 0, bytes, 512, 0), -EIO);
	check_zeros(disk, 0, 512);
	disk_close(disk);
}
END_TEST

START_TEST(a_torn_write_arrives_in_part)
{
	struct faultydisk_config faults = {.tears.nth = 1, .torn_sectors = (uint32_t)_i};
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_ram(1 << 20), NULL, &f);
	uint32_t arrives = min((uint32_t)_i, 7u) * 512;	/* of 8 sectors, never all */
	unsigned char bytes[4096];

	for (int told = 0; told <= 1; told++) {
		memset(bytes, 0, sizeof(bytes));
		ck_assert_int_eq(disk_write(disk, 0, bytes, 4096, 0), 0);
		put_pattern(disk, 8192, 4096, 1);
		ck_assert_int_eq(disk_read(disk, 8192, bytes, 4096), 0);
		faults.torn_status = told ? -EIO : 0;
		faultydisk_set(f, &faults);
		ck_assert_int_eq(disk_write(disk, 0, bytes, 4096, 0), told ? -EIO : 0);
		ck_assert_int_eq(disk_read(disk, 0, bytes, 4096), 0);
		ck_assert_uint_eq(faultydisk_stats(f).torn, 1);
		check_zeros(disk, arrives, 4096 - arrives);
		if (arrives) {
			unsigned char want[4096];

			ck_assert_int_eq(disk_read(disk, 8192, want, 4096), 0);
			ck_assert_mem_eq(bytes, want, arrives);
		}
	}
	disk_close(disk);
}
END_TEST

START_TEST(a_lost_write_is_told_as_written_and_is_not)
{
	struct faultydisk_config faults = {.loses = {.nth = 2}};
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_ram(1 << 20), &faults, &f);

	put_pattern(disk, 0, 4096, 1);
	put_pattern(disk, 0, 4096, 2);
	check_pattern(disk, 0, 4096, 1);
	put_pattern(disk, 0, 4096, 3);
	check_pattern(disk, 0, 4096, 3);
	ck_assert_uint_eq(faultydisk_stats(f).lost, 1);
	disk_close(disk);
}
END_TEST

START_TEST(bad_sectors_fail_until_they_are_written)
{
	struct faultydisk_config faults = {.bad_from = 8, .bad_to = 16};
	struct disk *disk = faulty_on(new_ram(1 << 20), &faults, NULL);
	unsigned char bytes[8192];

	ck_assert_int_eq(disk_read(disk, 0, bytes, 4096), 0);
	ck_assert_int_eq(disk_read(disk, 0, bytes, 4608), -EIO);
	ck_assert_int_eq(disk_read(disk, 7680, bytes, 512), -EIO);
	ck_assert_int_eq(disk_read(disk, 8192, bytes, 8192), 0);
	put_pattern(disk, 0, 6144, 1);
	check_pattern(disk, 0, 6144, 1);
	ck_assert_int_eq(disk_read(disk, 6144, bytes, 512), -EIO);
	put_pattern(disk, 6144, 2048, 1);
	check_pattern(disk, 0, 8192, 1);
	disk_close(disk);
}
END_TEST

/* Order of ends, of writes handed in together. */
struct order {
	_Atomic unsigned nr;
	unsigned places[200];
};

struct ordered {
	struct order *order;
	unsigned number;
};

static void note_end(struct bio *bio)
{
	struct ordered *o = bio->private;
	struct order *order = o->order;
	unsigned number = o->number;

	bio_free(bio);
	order->places[number] = 1 + atomic_fetch_add(&order->nr, 1);
}

START_TEST(late_requests_end_once_and_in_another_order)
{
	struct faultydisk_config faults = {.seed = test_seed(), .delay_one_in = 2, .delay_ms_max = 20};
	struct ordered numbers[200];
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_ram(1 << 20), &faults, &f);
	static unsigned char memory[200][512];
	struct order order = {0};
	unsigned nr_overtaken = 0;

	for (unsigned i = 0; i < 200; i++) {
		/* Not neighbours, which would be merged. */
		struct bio *bio = bio_alloc(disk, BIO_WRITE, 0, 2 * i, 1);

		ck_assert(bio_add(bio, memory[i], 512));
		numbers[i] = (struct ordered){&order, i};
		bio->private = &numbers[i];
		bio->end_io = note_end;
		bio_submit(bio);
	}
	disk_drain(disk);
	ck_assert_uint_eq(order.nr, 200);
	for (unsigned i = 0; i < 200; i++) {
		ck_assert_uint_ne(order.places[i], 0);
		nr_overtaken += i && order.places[i] < order.places[i - 1];
	}
	ck_assert_uint_gt(nr_overtaken, 10);
	ck_assert_uint_gt(faultydisk_stats(f).delayed, 50);
	disk_close(disk);
}
END_TEST

static void fates_of_a_run(uint64_t seed, char fates[300])
{
	struct faultydisk_config faults = {
		.seed = seed, .fails[FAULTY_ANY].one_in = 10, .tears.one_in = 5,
		.torn_sectors = FAULTY_RANDOM_SECTORS, .loses.one_in = 5, .torn_status = -EUCLEAN,
	};
	struct disk *disk = faulty_on(new_ram(1 << 20), &faults, NULL);
	unsigned char bytes[4096], got[4096];

	for (unsigned i = 0; i < 300; i++) {
		memset(bytes, (int)(1 + i % 250), sizeof(bytes));
		fates[i] = (char)('a' - disk_write(disk, 0, bytes, sizeof(bytes), 0));
		if (disk_read(disk, 0, got, sizeof(got)) == 0 && memcmp(got, bytes, sizeof(got)) != 0)
			fates[i] = (char)(fates[i] + 1);
	}
	disk_close(disk);
}

START_TEST(a_seed_repeats_what_it_did)
{
	char one[300], same[300], other[300];

	fates_of_a_run(test_seed(), one);
	fates_of_a_run(test_seed(), same);
	fates_of_a_run(test_seed() + 1, other);
	ck_assert_mem_eq(one, same, sizeof(one));
	ck_assert_mem_ne(one, other, sizeof(one));
}
END_TEST

START_TEST(settings_change_while_io_runs)
{
	struct faultydisk_config faults = {.seed = test_seed()};
	struct faultydisk *f;
	struct disk *disk = faulty_on(new_file(1 << 20, FILE_PLAIN), NULL, &f);
	unsigned char *memory = calloc(64, 4096);
	struct batch batch = {0};

	for (unsigned i = 0; i < 3000; i++) {
		batch_submit(&batch, disk, i % 2 ? BIO_READ : BIO_WRITE, 0, i % 64 * 8192,
			     memory + i % 64 * 4096, 4096);
		if (i % 64 == 63)
			batch_wait(&batch);	/* one bio a block at a time */
		if (i % 50 == 0) {
			faults.fails[BIO_READ].one_in = i % 100 ? 3 : 0;
			faults.delay_one_in = i % 200 ? 0 : 10;
			faults.delay_ms_max = 1;
			faultydisk_set(f, &faults);
		}
	}
	ck_assert_uint_gt(batch_wait(&batch), 0);
	ck_assert_uint_eq(batch.nr_ended, 3000);
	disk_close(disk);
	free(memory);
}
END_TEST

TEST_SUITE(drivers_faultydisk)
{
	tcase_add_loop_test(tc, the_nth_of_a_kind_fails_once_or_from_there_on, 0, 2 * BIO_NR_OPS);
	tcase_add_test(tc, the_nth_of_any_kind_fails_with_the_error_asked_for);
	tcase_add_test(tc, a_request_that_fails_does_not_arrive);
	tcase_add_loop_test(tc, a_torn_write_arrives_in_part, 0, 10);
	tcase_add_test(tc, a_lost_write_is_told_as_written_and_is_not);
	tcase_add_test(tc, bad_sectors_fail_until_they_are_written);
	tcase_add_test(tc, late_requests_end_once_and_in_another_order);
	tcase_add_test(tc, a_seed_repeats_what_it_did);
	tcase_add_test(tc, settings_change_while_io_runs);
}
