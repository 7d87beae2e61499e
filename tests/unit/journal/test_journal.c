/*
 * A running journal: what is durable when, what goes home when, how many flushes that costs, how
 * the log goes round, and how it ends when the disk fails. A crash is played by loading the journal
 * anew over the same disk while the old one is still there.
 */
#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "cache/cache.h"
#include "drivers/faultydisk.h"
#include "drivers/ramdisk.h"
#include "harness/runner.h"
#include "journal/format.h"
#include "journal/handle.h"
#include "journal/journal_private.h"

#define BLOCK 1024u
#define HOME_BLOCKS 1000u
#define LOG_AT HOME_BLOCKS
#define LOG_BLOCKS 600u

struct rig {
	struct disk *ram, *disk;
	struct faultydisk *faulty;
	struct clock *clock;
	struct workqueue *work;
	struct page_cache *cache;
	struct buffer_cache buffers;
	struct journal *journal;
	unsigned nr_written, nr_committed, nr_aborted;
	int write_error;
	bool asks_meanwhile;		/* write_ordered() looks at what the next transaction may do */
	struct journal_inode file;
};

static struct rig *rig_of_file;		/* write_ordered() gets the file only */

/* A transaction is being committed that waits for the file's data: the next one must not take it away. */
static void ask_meanwhile(struct rig *r)
{
	struct handle h;

	ck_assert_int_eq(handle_start(r->journal, 1, &h), 0);
	handle_add_ordered(&h, &r->file);
	ck_assert(!handle_may_drop_ordered(&h, &r->file));
	ck_assert_int_eq(handle_stop(&h), 0);
}

static int write_ordered(struct journal_inode *ji)
{
	ck_assert_ptr_eq(ji, &rig_of_file->file);
	rig_of_file->nr_written++;
	if (rig_of_file->asks_meanwhile)
		ask_meanwhile(rig_of_file);
	return rig_of_file->write_error;
}

static void committed(void *arg, tid_t tid)
{
	struct rig *r = arg;

	ck_assert(journal_is_committed(r->journal, tid));
	r->nr_committed++;
}

static void aborted(void *arg, int err, const char *why)
{
	struct rig *r = arg;

	ck_assert_int_lt(err, 0);
	ck_assert_ptr_nonnull(why);
	r->nr_aborted++;
}

static const struct journal_ops ops = {write_ordered, committed, aborted};
static const struct journal_extent extent = {.log_block = 0, .count = LOG_BLOCKS, .block = LOG_AT};

static void write_super(struct rig *r)
{
	uint8_t block[BLOCK] = {0};
	struct journal_super *s = (struct journal_super *)block;

	s->header.magic = be32_make(JOURNAL_MAGIC);
	s->header.blocktype = be32_make(JOURNAL_SUPERBLOCK_V2);
	s->blocksize = be32_make(BLOCK);
	s->maxlen = be32_make(LOG_BLOCKS);
	s->first = be32_make(1);
	s->sequence = be32_make(1);
	ck_assert_int_eq(disk_write(r->disk, LOG_AT * BLOCK, block, BLOCK, 0), 0);
}

static struct journal_config config_of(struct rig *r, enum journal_commit_flush flush)
{
	return (struct journal_config){
		.disk = r->disk,
		.block_bytes = BLOCK,
		.extents = &extent,
		.nr_extents = 1,
		.clock = r->clock,
		.buffers = &r->buffers,
		.work = r->work,
		.flush = flush,
		.has_checksum = true,
		.ops = &ops,
		.ops_arg = r,
	};
}

static void load(struct rig *r, enum journal_commit_flush flush, struct journal **ret)
{
	struct journal_config config = config_of(r, flush);
	char why[200];

	ck_assert_msg(journal_load(&config, ret, why, sizeof(why)) == 0, "%s", why);
}

static void rig_init(struct rig *r, enum journal_commit_flush flush)
{
	struct ramdisk_config ram_config = {.size_bytes = (HOME_BLOCKS + LOG_BLOCKS) * BLOCK};
	struct disk_config disk_config = {.name = "rig", .is_inline = true};
	struct timespec wall = {.tv_sec = 1700000000};
	struct page_cache_config cache_config = {
		.block_bytes = BLOCK, .size_bytes = PAGE_CACHE_BYTES_MIN, .dirty_percent = 40, .background_percent = 10};

	*r = (struct rig){0};
	rig_of_file = r;
	ck_assert_int_eq(ramdisk_open(&ram_config, &disk_config, NULL, &r->ram), 0);
	ck_assert_int_eq(faultydisk_open(r->ram, true, NULL, &disk_config, &r->faulty, &r->disk), 0);
	r->clock = cache_config.clock = clock_create_virtual(wall);
	r->work = cache_config.work = workqueue_create("rig", 0, r->clock, 1);
	ck_assert_int_eq(page_cache_create(&cache_config, &r->cache), 0);
	ck_assert_int_eq(buffer_cache_init(&r->buffers, r->cache, r->disk), 0);
	write_super(r);
	journal_inode_init(&r->file);
	load(r, flush, &r->journal);
	ck_assert_int_eq(journal_start(r->journal), 0);
}

static void rig_done(struct rig *r)
{
	ck_assert_int_eq(journal_destroy(r->journal), 0);
	ck_assert_int_eq(buffer_sync(&r->buffers), 0);
	buffer_cache_done(&r->buffers);
	page_cache_destroy(r->cache);
	workqueue_destroy(r->work);
	clock_destroy(r->clock);
	disk_close(r->disk);
}

/* ---- steps ---- */

static void begin(struct rig *r, uint32_t credits, struct handle *h)
{
	ck_assert_int_eq(handle_start(r->journal, credits, h), 0);
}

static void change(struct rig *r, struct handle *h, fsblk_t block, uint8_t fill)
{
	struct buffer *b;

	ck_assert_int_eq(buffer_read(&r->buffers, block, &b), 0);
	ck_assert_int_eq(handle_get_write_access(h, b), 0);
	buffer_lock(b);
	memset(buffer_data(b), fill, BLOCK);
	handle_dirty_metadata(h, b);
	buffer_unlock(b);
	buffer_put(b);
}

static void create(struct rig *r, struct handle *h, fsblk_t block, uint8_t fill)
{
	struct buffer *b;

	ck_assert_int_eq(buffer_get(&r->buffers, block, &b), 0);
	ck_assert_int_eq(handle_get_create_access(h, b), 0);
	buffer_lock(b);
	memset(buffer_data(b), fill, BLOCK);
	buffer_set_uptodate(b);
	handle_dirty_metadata(h, b);
	buffer_unlock(b);
	buffer_put(b);
}

static void log_data(struct rig *r, struct handle *h, fsblk_t block, uint8_t fill)
{
	struct buffer *b;

	ck_assert_int_eq(buffer_get(&r->buffers, block, &b), 0);
	ck_assert_int_eq(handle_get_data_access(h, b), 0);
	buffer_lock(b);
	memset(buffer_data(b), fill, BLOCK);
	buffer_set_uptodate(b);
	handle_dirty_metadata(h, b);
	buffer_unlock(b);
	buffer_put(b);
}

static void change_one(struct rig *r, fsblk_t block, uint8_t fill)
{
	struct handle h;

	begin(r, 1, &h);
	change(r, &h, block, fill);
	ck_assert_int_eq(handle_stop(&h), 0);
}

static uint8_t on_disk(struct rig *r, fsblk_t block)
{
	uint8_t bytes[BLOCK];

	ck_assert_int_eq(disk_read(r->disk, block * BLOCK, bytes, BLOCK), 0);
	return bytes[7];
}

/* What a crash now would leave at that block, as recovery sees it. The disk is recovered for good. */
static void crash(struct rig *r, struct journal_recovery *ret)
{
	struct journal *after;

	load(r, COMMIT_ASYNC, &after);
	ck_assert_int_eq(journal_recover(after, ret), 0);
	ck_assert_int_eq(journal_destroy(after), 0);
}

static uint64_t nr_flushes(struct rig *r)
{
	struct faultydisk_stats stats = faultydisk_stats(r->faulty);

	return stats.seen[BIO_FLUSH];
}

/* The old journal is not used after a crash; only its memory goes. */
static void rig_done_after_crash(struct rig *r)
{
	journal_abort(r->journal, -EIO, "the test played a crash");
	ck_assert_int_eq(journal_destroy(r->journal), -EROFS);
	r->journal = NULL;
	rig_done(r);
}

/* ---- promises ---- */

START_TEST(J3_nothing_goes_home_before_it_is_durable)
{
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 5, 1);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	ck_assert_uint_eq(on_disk(&r, 5), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	ck_assert_uint_eq(on_disk(&r, 5), 1);
	/* Changed again, it stays away, though its older content was durable. */
	change_one(&r, 5, 2);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	ck_assert_uint_eq(on_disk(&r, 5), 1);
	rig_done(&r);
}
END_TEST

START_TEST(committed_survives_and_running_does_not)
{
	struct journal_recovery found;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 5, 1);
	change_one(&r, 6, 1);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	change_one(&r, 5, 2);
	crash(&r, &found);
	ck_assert_uint_eq(found.nr_transactions, 1);
	ck_assert_uint_eq(on_disk(&r, 5), 1);
	ck_assert_uint_eq(on_disk(&r, 6), 1);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(many_handles_share_one_commit)
{
	struct rig r;
	tid_t tid;

	rig_init(&r, COMMIT_ASYNC);
	for (unsigned i = 0; i < 50; i++)
		change_one(&r, 5 + i % 7, (uint8_t)i);
	tid = journal_current_tid(r.journal);
	ck_assert_int_eq(journal_commit_wait(r.journal, tid), 0);
	ck_assert_uint_eq(counter_get(&journal_stats(r.journal)->commits), 1);
	ck_assert_uint_eq(r.nr_committed, 1);
	ck_assert_int_eq(journal_commit_wait(r.journal, tid), 0);
	ck_assert_uint_eq(counter_get(&journal_stats(r.journal)->commits), 1);
	rig_done(&r);
}
END_TEST

/* ---- flushes ---- */

static uint64_t flushes_of_commit(struct rig *r)
{
	uint64_t before;

	change_one(r, 5, 1);
	before = nr_flushes(r);
	ck_assert_int_eq(journal_force_commit(r->journal), 0);
	return nr_flushes(r) - before;
}

/* A FUA is one more where the disk has none of its own; the ram disk below has. */
START_TEST(commit_takes_the_least_flushes)
{
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	ck_assert_uint_eq(flushes_of_commit(&r), 1);
	rig_done(&r);
	rig_init(&r, COMMIT_NO_FLUSH);
	ck_assert_uint_eq(flushes_of_commit(&r), 0);
	rig_done(&r);
}
END_TEST

/* Counts the writes of which the flush, if any, comes before the last: the commit block alone. */
static bool commits_block_apart(struct rig *r)
{
	struct faultydisk_stats before = faultydisk_stats(r->faulty), after;

	ck_assert_int_eq(journal_force_commit(r->journal), 0);
	after = faultydisk_stats(r->faulty);
	return after.seen[BIO_WRITE] - before.seen[BIO_WRITE] >= 2;
}

START_TEST(J2_ordered_data_parts_the_commit_block_from_the_log)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	flushes_of_commit(&r);		/* the log is opened by the first */
	change_one(&r, 5, 2);
	ck_assert(!commits_block_apart(&r));
	begin(&r, 1, &h);
	change(&r, &h, 5, 3);
	handle_add_ordered(&h, &r.file);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert(commits_block_apart(&r));
	ck_assert_uint_eq(r.nr_written, 1);
	rig_done(&r);
}
END_TEST

/* The data was written when the file was let go, but nobody flushed it. */
START_TEST(J2_holds_for_a_file_that_was_let_go)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	flushes_of_commit(&r);
	begin(&r, 1, &h);
	change(&r, &h, 5, 3);
	handle_add_ordered(&h, &r.file);
	ck_assert_int_eq(handle_stop(&h), 0);
	journal_inode_forget(r.journal, &r.file);
	ck_assert(commits_block_apart(&r));
	ck_assert_uint_eq(r.nr_written, 0);
	rig_done(&r);
}
END_TEST

START_TEST(J2_file_whose_data_is_logged_is_not_waited_for)
{
	struct journal_recovery found;
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	flushes_of_commit(&r);
	begin(&r, 2, &h);
	change(&r, &h, 5, 3);
	handle_add_ordered(&h, &r.file);
	log_data(&r, &h, 9, 44);
	ck_assert(handle_may_drop_ordered(&h, &r.file));
	handle_drop_ordered(&h, &r.file);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert(!commits_block_apart(&r));
	ck_assert_uint_eq(r.nr_written, 0);
	crash(&r, &found);
	ck_assert_uint_eq(on_disk(&r, 9), 44);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(J2_data_that_an_earlier_commit_waits_for_stays_ordered)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	begin(&r, 1, &h);
	change(&r, &h, 5, 3);
	handle_add_ordered(&h, &r.file);
	ck_assert_int_eq(handle_stop(&h), 0);
	r.asks_meanwhile = true;
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	ck_assert_uint_eq(r.nr_written, 1);
	r.asks_meanwhile = false;
	begin(&r, 1, &h);
	ck_assert(handle_may_drop_ordered(&h, &r.file));
	ck_assert_int_eq(handle_stop(&h), 0);
	journal_inode_forget(r.journal, &r.file);
	rig_done(&r);
}
END_TEST

START_TEST(J8_logged_data_is_known_until_the_tail_has_passed_it)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	ck_assert(!journal_logs_data(r.journal));
	begin(&r, 2, &h);
	log_data(&r, &h, 9, 1);
	log_data(&r, &h, 11, 1);
	ck_assert(journal_has_data(r.journal, 9));
	ck_assert(!journal_has_data(r.journal, 10));
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 1, &h);
	log_data(&r, &h, 11, 2);	/* again, in a later transaction that stays in the log */
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert(journal_has_data(r.journal, 9));
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 1, &h);
	change(&r, &h, 11, 3);		/* pins it: the second transaction cannot be passed */
	ck_assert_int_eq(checkpoint_run(r.journal), 0);
	ck_assert_uint_eq(on_disk(&r, 9), 1);
	ck_assert(!journal_has_data(r.journal, 9));
	ck_assert(journal_has_data(r.journal, 11));
	ck_assert_int_eq(handle_stop(&h), 0);
	rig_done(&r);
}
END_TEST

START_TEST(J8_freed_data_is_revoked_and_forgotten)
{
	struct journal_recovery found;
	uint8_t data[BLOCK];
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	begin(&r, 1, &h);
	log_data(&r, &h, 9, 1);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 2, &h);
	change(&r, &h, 5, 1);
	ck_assert_int_eq(handle_forget(&h, &r.buffers, 9), 0);
	ck_assert(!journal_has_data(r.journal, 9));
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	memset(data, 77, sizeof(data));
	ck_assert_int_eq(disk_write(r.disk, 9 * BLOCK, data, BLOCK, 0), 0);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	crash(&r, &found);
	ck_assert_uint_eq(found.nr_revoked, 1);
	ck_assert_uint_eq(on_disk(&r, 9), 77);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(revokes_longer_than_a_sector_part_the_commit_block)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	for (unsigned round = 0; round < 3; round++) {
		static const unsigned nr[] = {100, 124, 125};

		flushes_of_commit(&r);
		begin(&r, 4, &h);
		change(&r, &h, 5, 3);
		for (unsigned i = 0; i < nr[round]; i++)
			ck_assert_int_eq(handle_forget(&h, &r.buffers, 100 + i), 0);
		ck_assert_int_eq(handle_stop(&h), 0);
		ck_assert(commits_block_apart(&r) == (nr[round] > 124));
	}
	rig_done(&r);
}
END_TEST

START_TEST(flush_of_a_commit_serves_only_what_came_before)
{
	struct rig r;
	tid_t tid;

	rig_init(&r, COMMIT_ASYNC);
	/* None runs; then one does and will flush; then it is over. */
	ck_assert(!journal_will_flush(r.journal, journal_current_tid(r.journal)));
	change_one(&r, 5, 1);
	tid = journal_current_tid(r.journal);
	ck_assert(journal_will_flush(r.journal, tid));
	ck_assert_int_eq(journal_commit_wait(r.journal, tid), 0);
	ck_assert(!journal_will_flush(r.journal, tid));
	rig_done(&r);
}
END_TEST

/* ---- revokes ---- */

START_TEST(freed_block_is_not_replayed_over_what_came_after)
{
	struct journal_recovery found;
	uint8_t data[BLOCK];
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 9, 1);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 2, &h);
	change(&r, &h, 5, 1);
	ck_assert_int_eq(handle_forget(&h, &r.buffers, 9), 0);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	memset(data, 77, sizeof(data));
	ck_assert_int_eq(disk_write(r.disk, 9 * BLOCK, data, BLOCK, 0), 0);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	ck_assert_uint_eq(on_disk(&r, 9), 77);
	crash(&r, &found);
	ck_assert_uint_eq(found.nr_revoked, 1);
	ck_assert_uint_eq(on_disk(&r, 9), 77);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(block_that_came_and_went_is_not_revoked)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	begin(&r, 4, &h);
	create(&r, &h, 9, 1);
	ck_assert_int_eq(handle_forget(&h, &r.buffers, 9), 0);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_uint_eq(counter_get(&journal_stats(r.journal)->revokes), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	ck_assert_int_eq(buffer_sync(&r.buffers), 0);
	ck_assert_uint_eq(on_disk(&r, 9), 0);
	rig_done(&r);
}
END_TEST

START_TEST(block_freed_and_made_anew_later_is_replayed)
{
	struct journal_recovery found;
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 9, 1);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 2, &h);
	ck_assert_int_eq(handle_forget(&h, &r.buffers, 9), 0);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	begin(&r, 2, &h);
	create(&r, &h, 9, 3);
	ck_assert_int_eq(handle_stop(&h), 0);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	crash(&r, &found);
	ck_assert_uint_eq(on_disk(&r, 9), 3);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(revoke_sets_hold_each_block_once)
{
	struct revoke_set set;

	ck_assert_int_eq(revoke_set_init(&set), 0);
	for (fsblk_t b = 0; b < 5000; b++)
		ck_assert_int_eq(revoke_add(&set, b * 3 % 1000), 0);
	ck_assert_uint_eq(set.nr, 1000);
	for (fsblk_t b = 0; b < 1000; b += 2)
		revoke_cancel(&set, b);
	revoke_cancel(&set, 5000);
	ck_assert_uint_eq(set.nr, 500);
	for (fsblk_t b = 0; b < 1000; b++)
		ck_assert(revoke_contains(&set, b) == (b % 2 == 1));
	revoke_set_done(&set);
}
END_TEST

/* ---- the ring ---- */

START_TEST(log_goes_round_and_the_tail_follows)
{
	struct journal_recovery found;
	struct rand rand;
	uint8_t want[50] = {0};
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	rand_init(&rand, test_seed());
	for (unsigned i = 0; i < 2000; i++) {
		struct handle h;

		begin(&r, 8, &h);
		for (unsigned k = 0; k < 8; k++) {
			unsigned block = (unsigned)rand_below(&rand, 50);

			want[block] = (uint8_t)rand_u64(&rand);
			change(&r, &h, block, want[block]);
		}
		ck_assert_int_eq(handle_stop(&h), 0);
		if (rand_one_in(&rand, 3))
			ck_assert_int_eq(journal_force_commit(r.journal), 0);
		if (rand_one_in(&rand, 5))
			work_run_pending(r.work);
	}
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	/* Thousands of blocks went through a log of hundreds. */
	ck_assert_uint_gt(counter_get(&journal_stats(r.journal)->blocks_logged), 5 * LOG_BLOCKS);
	crash(&r, &found);
	for (unsigned block = 0; block < 50; block++)
		ck_assert_uint_eq(on_disk(&r, block), want[block]);
	rig_done_after_crash(&r);
}
END_TEST

START_TEST(whole_end_leaves_an_empty_log)
{
	struct journal *after;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 5, 1);
	ck_assert_int_eq(journal_destroy(r.journal), 0);
	r.journal = NULL;
	ck_assert_uint_eq(on_disk(&r, 5), 1);
	load(&r, COMMIT_ASYNC, &after);
	ck_assert(!journal_needs_recovery(after));
	ck_assert_int_eq(journal_destroy(after), 0);
	rig_done(&r);
}
END_TEST

START_TEST(more_credits_than_the_log_has_are_refused)
{
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	ck_assert_int_eq(handle_start(r.journal, journal_tx_blocks_max(r.journal) + 1, &h), -ENOSPC);
	begin(&r, journal_tx_blocks_max(r.journal), &h);
	ck_assert_int_eq(handle_extend(&h, journal_tx_blocks_max(r.journal) + 1), -EAGAIN);
	ck_assert_int_eq(handle_stop(&h), 0);
	rig_done(&r);
}
END_TEST

START_TEST(commit_comes_by_age)
{
	struct journal_config config;
	char why[100];
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	ck_assert_int_eq(journal_destroy(r.journal), 0);
	config = config_of(&r, COMMIT_ASYNC);

	config.commit_interval_ms = 5000;
	ck_assert_int_eq(journal_load(&config, &r.journal, why, sizeof(why)), 0);
	ck_assert_int_eq(journal_start(r.journal), 0);
	change_one(&r, 5, 1);
	clock_advance(r.clock, 4900 * NSEC_PER_MSEC);
	work_run_pending(r.work);
	ck_assert_uint_eq(r.nr_committed, 0);
	clock_advance(r.clock, 200 * NSEC_PER_MSEC);
	work_run_pending(r.work);
	ck_assert_uint_eq(r.nr_committed, 1);
	rig_done(&r);
}
END_TEST

/* ---- a disk that fails ---- */

static void fail_nth(struct rig *r, enum bio_op op, uint64_t nth)
{
	struct faultydisk_config faults = {0};

	faults.fails[op] = (struct fault_when){.nth = nth, .is_sticky = true};
	faultydisk_set(r->faulty, &faults);
}

static void heal(struct rig *r)
{
	struct faultydisk_config none = {0};

	faultydisk_set(r->faulty, &none);
}

START_TEST(failed_commit_aborts_and_says_so_ever_after)
{
	static const struct {
		enum bio_op op;
		uint64_t nth;
	} cases[] = {{BIO_WRITE, 1}, {BIO_WRITE, 2}, {BIO_FLUSH, 1}};
	struct handle h;
	struct rig r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct journal_recovery found;

		rig_init(&r, COMMIT_ASYNC);
		change_one(&r, 5, 1);
		ck_assert_int_eq(journal_force_commit(r.journal), 0);
		change_one(&r, 5, 2);
		begin(&r, 1, &h);
		change(&r, &h, 6, 2);
		handle_add_ordered(&h, &r.file);
		ck_assert_int_eq(handle_stop(&h), 0);
		fail_nth(&r, cases[i].op, cases[i].nth);
		ck_assert_int_lt(journal_force_commit(r.journal), 0);
		ck_assert(journal_is_aborted(r.journal));
		ck_assert_uint_eq(r.nr_aborted, 1);
		ck_assert_int_eq(handle_start(r.journal, 1, &h), -EROFS);
		ck_assert_int_lt(journal_force_commit(r.journal), 0);
		/* The disk works again; what was synced is there, what was not is not told to be. */
		heal(&r);
		journal_inode_forget(r.journal, &r.file);
		ck_assert_int_eq(journal_destroy(r.journal), -EROFS);
		r.journal = NULL;
		ck_assert_int_eq(buffer_sync(&r.buffers), 0);
		crash(&r, &found);
		/* A failed flush may have left the whole transaction there; a failed write cannot. */
		ck_assert(on_disk(&r, 5) == 1 || (cases[i].op == BIO_FLUSH && on_disk(&r, 5) == 2));
		rig_done(&r);
	}
}
END_TEST

START_TEST(failed_ordered_data_stops_the_commit)
{
	struct journal_recovery found;
	struct handle h;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	begin(&r, 1, &h);
	change(&r, &h, 6, 2);
	handle_add_ordered(&h, &r.file);
	ck_assert_int_eq(handle_stop(&h), 0);
	r.write_error = -EIO;
	ck_assert_int_eq(journal_force_commit(r.journal), -EIO);
	ck_assert_uint_eq(r.nr_aborted, 1);
	journal_inode_forget(r.journal, &r.file);
	crash(&r, &found);
	ck_assert_uint_eq(found.nr_transactions, 0);
	ck_assert_uint_eq(on_disk(&r, 6), 0);
	ck_assert_int_eq(journal_destroy(r.journal), -EROFS);
	r.journal = NULL;
	rig_done(&r);
}
END_TEST

/* A block that cannot go home: the log keeps it, so the tail must not pass it. */
START_TEST(J4_what_could_not_go_home_stays_in_the_log)
{
	struct journal_recovery found;
	struct rig r;

	rig_init(&r, COMMIT_ASYNC);
	change_one(&r, 5, 1);
	ck_assert_int_eq(journal_force_commit(r.journal), 0);
	fail_nth(&r, BIO_WRITE, 1);
	ck_assert_int_lt(journal_destroy(r.journal), 0);
	r.journal = NULL;
	heal(&r);
	crash(&r, &found);
	ck_assert_uint_eq(found.nr_transactions, 1);
	ck_assert_uint_eq(on_disk(&r, 5), 1);
	rig_done(&r);
}
END_TEST

TEST_SUITE(journal_running)
{
	tcase_add_test(tc, J3_nothing_goes_home_before_it_is_durable);
	tcase_add_test(tc, committed_survives_and_running_does_not);
	tcase_add_test(tc, many_handles_share_one_commit);
	tcase_add_test(tc, commit_takes_the_least_flushes);
	tcase_add_test(tc, J2_ordered_data_parts_the_commit_block_from_the_log);
	tcase_add_test(tc, J2_holds_for_a_file_that_was_let_go);
	tcase_add_test(tc, J2_file_whose_data_is_logged_is_not_waited_for);
	tcase_add_test(tc, J2_data_that_an_earlier_commit_waits_for_stays_ordered);
	tcase_add_test(tc, J8_logged_data_is_known_until_the_tail_has_passed_it);
	tcase_add_test(tc, J8_freed_data_is_revoked_and_forgotten);
	tcase_add_test(tc, revokes_longer_than_a_sector_part_the_commit_block);
	tcase_add_test(tc, flush_of_a_commit_serves_only_what_came_before);
	tcase_add_test(tc, freed_block_is_not_replayed_over_what_came_after);
	tcase_add_test(tc, block_that_came_and_went_is_not_revoked);
	tcase_add_test(tc, block_freed_and_made_anew_later_is_replayed);
	tcase_add_test(tc, revoke_sets_hold_each_block_once);
	tcase_add_test(tc, log_goes_round_and_the_tail_follows);
	tcase_add_test(tc, whole_end_leaves_an_empty_log);
	tcase_add_test(tc, more_credits_than_the_log_has_are_refused);
	tcase_add_test(tc, commit_comes_by_age);
	tcase_add_test(tc, failed_commit_aborts_and_says_so_ever_after);
	tcase_add_test(tc, failed_ordered_data_stops_the_commit);
	tcase_add_test(tc, J4_what_could_not_go_home_stays_in_the_log);
}
