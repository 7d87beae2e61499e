/*
 * The record of writes. What must hold: what was written stands in it, in order, with its data; its
 * ticks say what a power cut must and may leave; applied to an empty disk it makes the same
 * content; a file of it says the same as memory, and one that was cut says it up to the cut.
 */
#include "drivers/recorddisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"
#include "unit/drivers/openers.h"

static const struct disk_config plain = {.name = "record"};
static char why[300];

static struct recordlog *new_log(const char *path, bool keeps_records)
{
	struct recordlog_config config = {.path = path, .keeps_records = keeps_records};
	struct recordlog *log;

	ck_assert_msg(recordlog_create(&config, &log, why, sizeof(why)) == 0, "%s", why);
	return log;
}

static struct disk *record_on(struct disk *lower, bool owns_lower, struct recordlog *log)
{
	struct disk *disk;

	ck_assert_int_eq(recorddisk_open(lower, owns_lower, log, &plain, &disk), 0);
	return disk;
}

OPENER(record_on_file)
{
	*ret_state = new_log(NULL, true);
	return record_on(new_file(size_bytes, FILE_PLAIN), true, *ret_state);
}

void close_record(void *state)
{
	ck_assert_int_eq(recordlog_error(state), 0);
	recordlog_destroy(state);
}

static int write_fua(struct disk *disk, uint64_t offset)
{
	unsigned char bytes[512] = {7};

	return disk_write(disk, offset, bytes, sizeof(bytes), BIO_FUA);
}

START_TEST(what_was_written_stands_there_in_order)
{
	struct recordlog *log = new_log(NULL, true);
	struct disk *disk = record_on(new_file(1 << 20, FILE_INLINE), true, log);
	const struct record *r;

	put_pattern(disk, 4096, 1024, 1);
	check_pattern(disk, 4096, 1024, 1);	/* a read is not recorded */
	ck_assert_uint_eq(recordlog_mark(log, "after the first"), 3);
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(write_fua(disk, 0), 0);
	ck_assert_int_eq(discard(disk, 8192, 4096), 0);
	disk_close(disk);
	ck_assert_int_eq(recordlog_error(log), 0);
	ck_assert_uint_eq(recordlog_disk_bytes(log), 1 << 20);
	ck_assert_uint_eq(recordlog_count(log), 5);
	r = recordlog_get(log, 0);
	ck_assert(r->kind == RECORD_WRITE && r->sector == 8 && r->size_bytes == 1024);
	ck_assert(r->submitted == 1 && r->completed == 2 && r->status == 0 && r->epoch == 0);
	r = recordlog_get(log, 1);
	ck_assert(r->kind == RECORD_MARK && r->submitted == 3);
	ck_assert_str_eq(r->data, "after the first");
	r = recordlog_get(log, 2);
	ck_assert(r->kind == RECORD_FLUSH && r->submitted == 4 && r->completed == 5);
	r = recordlog_get(log, 3);
	ck_assert(r->kind == RECORD_WRITE && (r->flags & BIO_FUA) && r->epoch == 1);
	r = recordlog_get(log, 4);
	ck_assert(r->kind == RECORD_DISCARD && r->sector == 16 && r->size_bytes == 4096);
	recordlog_destroy(log);
}
END_TEST

/* w0 at 1-2, w1 at 3-4 (FUA), flush 5-6, w2 at 7-8, flush 9-10. */
START_TEST(ticks_say_what_a_power_cut_leaves)
{
	static const char *const fates[] = {	/* by tick; of w0, w1, w2: . cannot, m may, M must */
		"...", "m..", "m..", "mm.", "mM.", "mM.", "MM.", "MMm", "MMm", "MMm", "MMM",
	};
	struct recordlog *log = new_log(NULL, true);
	struct disk *disk = record_on(new_file(1 << 20, FILE_INLINE), true, log);
	static const uint64_t writes[] = {0, 1, 3};

	put_pattern(disk, 0, 512, 1);
	ck_assert_int_eq(write_fua(disk, 512), 0);
	ck_assert_int_eq(disk_flush(disk), 0);
	put_pattern(disk, 1024, 512, 1);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
	ck_assert_uint_eq(recordlog_last_tick(log), 10);
	for (uint64_t tick = 0; tick <= 10; tick++) {
		struct record_cut cut = recordlog_cut(log, tick);
		char got[4] = {0};

		for (int i = 0; i < 3; i++)
			got[i] = ".mM"[record_fate(recordlog_get(log, writes[i]), &cut)];
		ck_assert_msg(strcmp(got, fates[tick]) == 0, "tick %u: %s, not %s", (unsigned)tick, got,
			      fates[tick]);
	}
	recordlog_destroy(log);
}
END_TEST

/* A write under way when the flush was submitted is not vouched for, even if it ends before the flush. */
START_TEST(a_flush_vouches_only_for_what_was_complete_when_it_came)
{
	struct record write = {.kind = RECORD_WRITE, .submitted = 1, .completed = 3};
	struct record_cut cut = {.tick = 4, .durable_before = 2};	/* flush 2-4 */

	ck_assert_int_eq(record_fate(&write, &cut), RECORD_MAY_SURVIVE);
	write.completed = 1;
	ck_assert_int_eq(record_fate(&write, &cut), RECORD_MUST_SURVIVE);
}
END_TEST

START_TEST(a_failed_flush_or_write_promises_nothing)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, test_seed());
	struct recordlog *log = new_log(NULL, true);
	struct disk *lower, *disk;
	struct fake *fake = fake_open(&fc, &plain, &lower);
	unsigned char bytes[512] = {0};
	struct record_cut cut;

	disk = record_on(lower, true, log);
	put_pattern(disk, 0, 512, 1);
	fake_fail(fake, BIO_FLUSH, 1, -EIO);
	ck_assert_int_eq(disk_flush(disk), -EIO);
	cut = recordlog_cut(log, recordlog_last_tick(log));
	ck_assert_int_eq(record_fate(recordlog_get(log, 0), &cut), RECORD_MAY_SURVIVE);
	fake_fail(fake, BIO_WRITE, 1, -EIO);
	ck_assert_int_eq(disk_write(disk, 512, bytes, 512, 0), -EIO);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
	cut = recordlog_cut(log, recordlog_last_tick(log));
	ck_assert_int_eq(record_fate(recordlog_get(log, 0), &cut), RECORD_MUST_SURVIVE);
	ck_assert_int_eq(record_fate(recordlog_get(log, 2), &cut), RECORD_MAY_SURVIVE);
	fake_destroy(fake);
	recordlog_destroy(log);
}
END_TEST

#define RUN_BYTES (1u << 18)

static void random_run(struct disk *disk, struct recordlog *log, uint64_t seed, unsigned nr)
{
	struct rand r;

	rand_init(&r, seed);
	for (unsigned i = 0; i < nr; i++) {
		uint64_t at = rand_below(&r, RUN_BYTES / 512 - 64) * 512;
		uint32_t len = 512 * (1 + (uint32_t)rand_below(&r, 64));

		if (rand_one_in(&r, 10))
			ck_assert_int_eq(disk_flush(disk), 0);
		else if (rand_one_in(&r, 10))
			ck_assert_int_eq(discard(disk, at, len), 0);
		else if (rand_one_in(&r, 20))
			recordlog_mark(log, "mark");
		else
			put_pattern(disk, at, len, i);
	}
}

static void apply_all(const struct recordlog *log, struct disk *to)
{
	for (uint64_t i = 0; i < recordlog_count(log); i++)
		ck_assert_int_eq(record_apply(recordlog_get(log, i), to, 0, UINT32_MAX), 0);
}

static void check_same(struct disk *a, struct disk *b)
{
	unsigned char *one = malloc(RUN_BYTES), *other = malloc(RUN_BYTES);

	ck_assert_int_eq(disk_read(a, 0, one, RUN_BYTES), 0);
	ck_assert_int_eq(disk_read(b, 0, other, RUN_BYTES), 0);
	ck_assert_mem_eq(one, other, RUN_BYTES);
	free(one);
	free(other);
}

START_TEST(applied_to_an_empty_disk_it_makes_the_same_content)
{
	struct recordlog *log = new_log(NULL, true);
	struct disk *lower = new_ram(RUN_BYTES), *disk = record_on(lower, false, log), *copy = new_ram(RUN_BYTES);

	random_run(disk, log, test_seed(), 500);
	disk_close(disk);
	apply_all(log, copy);
	check_same(lower, copy);
	disk_close(lower);
	disk_close(copy);
	recordlog_destroy(log);
}
END_TEST

START_TEST(a_torn_write_is_applied_in_part)
{
	struct recordlog *log = new_log(NULL, true);
	struct disk *disk = record_on(new_ram(1 << 20), true, log), *copy = new_ram(1 << 20);

	put_pattern(disk, 4096, 4096, 1);
	disk_close(disk);
	ck_assert_int_eq(record_apply(recordlog_get(log, 0), copy, 2, 3), 0);
	check_zeros(copy, 4096, 1024);
	check_pattern(copy, 5120, 1536, 1);
	check_zeros(copy, 6656, 1536);
	ck_assert_int_eq(record_apply(recordlog_get(log, 0), copy, 0, 0), 0);
	ck_assert_int_eq(record_apply(recordlog_get(log, 0), copy, 8, 1), 0);
	check_zeros(copy, 4096, 1024);
	disk_close(copy);
	recordlog_destroy(log);
}
END_TEST

static void check_equal_logs(const struct recordlog *a, const struct recordlog *b, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		const struct record *x = recordlog_get(a, i), *y = recordlog_get(b, i);

		ck_assert(x->kind == y->kind && x->flags == y->flags && x->sector == y->sector);
		ck_assert(x->size_bytes == y->size_bytes && x->submitted == y->submitted);
		ck_assert(x->completed == y->completed && x->epoch == y->epoch && x->status == y->status);
		ck_assert(!x->data == !y->data);
		if (x->kind == RECORD_WRITE)
			ck_assert_mem_eq(x->data, y->data, x->size_bytes);
		if (x->kind == RECORD_MARK)
			ck_assert_str_eq(x->data, y->data);
	}
}

START_TEST(a_file_says_the_same_as_memory)
{
	struct recordlog *log, *loaded;
	struct disk *disk;
	char path[300];
	bool is_cut;

	log = new_log(new_path(path, sizeof(path)), true);
	disk = record_on(new_ram(RUN_BYTES), true, log);
	random_run(disk, log, test_seed(), 200);
	disk_close(disk);
	ck_assert_int_eq(recordlog_error(log), 0);
	ck_assert_int_eq(recordlog_load(path, &loaded, &is_cut, why, sizeof(why)), 0);
	ck_assert(!is_cut);
	ck_assert_uint_eq(recordlog_disk_bytes(loaded), RUN_BYTES);
	ck_assert_uint_eq(recordlog_count(loaded), recordlog_count(log));
	ck_assert_uint_eq(recordlog_last_tick(loaded), recordlog_last_tick(log));
	check_equal_logs(log, loaded, recordlog_count(log));
	recordlog_destroy(log);
	recordlog_destroy(loaded);
	remove_path(path);
}
END_TEST

START_TEST(a_file_that_was_cut_is_good_up_to_there)
{
	struct recordlog *log, *loaded;
	uint64_t nr_before = 0;
	struct disk *disk;
	char path[300];
	struct stat st;
	bool is_cut;

	log = new_log(new_path(path, sizeof(path)), true);
	disk = record_on(new_ram(RUN_BYTES), true, log);
	random_run(disk, log, test_seed(), 12);
	disk_close(disk);
	ck_assert_int_eq(stat(path, &st), 0);
	for (off_t size = st.st_size - 1; size >= 24; size -= 1 + size / 100) {
		ck_assert_int_eq(truncate(path, size), 0);
		ck_assert_int_eq(recordlog_load(path, &loaded, &is_cut, why, sizeof(why)), 0);
		ck_assert(recordlog_count(loaded) <= recordlog_count(log));
		for (uint64_t i = 0; i < recordlog_count(loaded); i++)
			ck_assert_uint_eq(recordlog_get(loaded, i)->submitted, recordlog_get(log, i)->submitted);
		if (size > 24 && nr_before == recordlog_count(log))
			ck_assert(is_cut || recordlog_last_tick(loaded) < recordlog_last_tick(log));
		nr_before = recordlog_count(loaded);
		recordlog_destroy(loaded);
	}
	ck_assert_int_eq(truncate(path, 23), 0);
	ck_assert_int_eq(recordlog_load(path, &loaded, &is_cut, why, sizeof(why)), -EUCLEAN);
	recordlog_destroy(log);
	remove_path(path);
}
END_TEST

START_TEST(damage_in_a_file_ends_it_there)
{
	struct recordlog *log, *loaded;
	unsigned char byte;
	struct disk *disk;
	char path[300];
	bool is_cut;
	int fd;

	log = new_log(new_path(path, sizeof(path)), true);
	disk = record_on(new_ram(RUN_BYTES), true, log);
	put_pattern(disk, 0, 512, 1);
	put_pattern(disk, 512, 512, 1);
	disk_close(disk);
	fd = open(path, O_RDWR);
	for (off_t at = 24; at < 24 + 48 + 512 + 48; at += 7) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		ck_assert_int_eq(recordlog_load(path, &loaded, &is_cut, why, sizeof(why)), 0);
		/* The four bytes of padding vouch for nothing. */
		ck_assert_msg(is_cut || (at - 24) % 560 % 560 >= 44, "at %d", (int)at);
		recordlog_destroy(loaded);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	recordlog_destroy(log);
	remove_path(path);
}
END_TEST

START_TEST(a_file_that_exists_is_not_overwritten)
{
	struct recordlog_config config = {0};
	struct recordlog *log;
	char path[300];

	config.path = new_path(path, sizeof(path));
	close(open(path, O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(recordlog_create(&config, &log, why, sizeof(why)), -EEXIST);
	remove_path(path);
}
END_TEST

START_TEST(a_hole_is_told)
{
	struct recordlog *log = new_log(NULL, true);
	struct disk *disk = record_on(new_file(1 << 20, FILE_INLINE), true, log);
	uint64_t nr_live = mem_live_count();
	unsigned char bytes[512] = {1};

	mem_fail_nth(1, false);
	ck_assert_int_eq(disk_write(disk, 0, bytes, 512, 0), 0);	/* I/O goes on */
	mem_fail_nth(0, false);
	ck_assert_int_eq(recordlog_error(log), -ENOMEM);
	ck_assert_int_eq(disk_write(disk, 0, bytes, 512, 0), 0);
	ck_assert_uint_eq(recordlog_count(log), 0);
	ck_assert_uint_eq(mem_live_count(), nr_live);
	disk_close(disk);
	recordlog_destroy(log);
}
END_TEST

TEST_SUITE(drivers_recorddisk)
{
	tcase_add_test(tc, what_was_written_stands_there_in_order);
	tcase_add_test(tc, ticks_say_what_a_power_cut_leaves);
	tcase_add_test(tc, a_flush_vouches_only_for_what_was_complete_when_it_came);
	tcase_add_test(tc, a_failed_flush_or_write_promises_nothing);
	tcase_add_test(tc, applied_to_an_empty_disk_it_makes_the_same_content);
	tcase_add_test(tc, a_torn_write_is_applied_in_part);
	tcase_add_test(tc, a_file_says_the_same_as_memory);
	tcase_add_test(tc, a_file_that_was_cut_is_good_up_to_there);
	tcase_add_test(tc, damage_in_a_file_ends_it_there);
	tcase_add_test(tc, a_file_that_exists_is_not_overwritten);
	tcase_add_test(tc, a_hole_is_told);
}
