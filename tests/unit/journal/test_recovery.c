/*
 * Recovery takes whole transactions only, the newest copy of each block, nothing that was revoked,
 * and stops where the log stops being one; with each kind of checksum. The logs are made by hand,
 * as other writers make them (JOURNAL.md), then spoiled at every byte and block that matters.
 */
#include <errno.h>
#include <string.h>

#include "harness/runner.h"
#include "logmaker.h"

/* All four kinds, with and without 64-bit tags. */
#define FOR_ALL_KINDS(m)                                                                        \
	for (unsigned kind_ = 0; kind_ < 8; kind_++)                                            \
		for (bool once_ = (maker_init(&(m), kind_ / 2, kind_ % 2, false, 1, 7), true); once_; \
		     once_ = (maker_done(&(m)), false))

START_TEST(newest_copy_of_each_block_is_written)
{
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_block(&m, 11, 2, false);
		maker_descriptor(&m);
		maker_commit(&m);
		maker_block(&m, 11, 3, false);
		maker_block(&m, 12, 4, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 2);
		ck_assert_uint_eq(r.nr_blocks, 3);
		ck_assert(!r.was_torn && !r.is_corrupt);
		ck_assert_uint_eq(maker_home(&m, 10), 1);
		ck_assert_uint_eq(maker_home(&m, 11), 3);
		ck_assert_uint_eq(maker_home(&m, 12), 4);
		ck_assert_uint_eq(maker_super(&m, 28), 0);	/* empty */
		ck_assert_uint_eq(maker_super(&m, 24), 7 + 2 + 1);
	}
}
END_TEST

START_TEST(several_descriptors_make_one_transaction)
{
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_block(&m, 11, 2, false);
		maker_block(&m, 10, 5, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 1);
		ck_assert_uint_eq(maker_home(&m, 10), 5);
		ck_assert_uint_eq(maker_home(&m, 11), 2);
	}
}
END_TEST

START_TEST(escaped_block_gets_its_magic_back)
{
	static const uint8_t magic[4] = {0xc0, 0x3b, 0x39, 0x98};
	struct journal_recovery r;
	uint8_t bytes[BLOCK];
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 20, 9, true);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		maker_read(&m, 20, bytes);
		ck_assert_mem_eq(bytes, magic, 4);
		ck_assert_uint_eq(bytes[4], 9);
	}
}
END_TEST

START_TEST(revoked_copies_are_left_out_up_to_the_revoke)
{
	static const uint64_t revoked[] = {10, 11};
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_block(&m, 11, 2, false);
		maker_block(&m, 12, 3, false);
		maker_descriptor(&m);
		maker_commit(&m);
		maker_revoke(&m, revoked, 2);
		maker_commit(&m);
		maker_block(&m, 11, 8, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 3);
		ck_assert_uint_eq(r.nr_revoked, 2);
		ck_assert_uint_eq(maker_home(&m, 10), 0);
		ck_assert_uint_eq(maker_home(&m, 11), 8);
		ck_assert_uint_eq(maker_home(&m, 12), 3);
	}
}
END_TEST

START_TEST(revoke_in_the_copys_own_transaction_stops_it)
{
	static const uint64_t revoked[] = {10};
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_revoke(&m, revoked, 1);
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(maker_home(&m, 10), 0);
	}
}
END_TEST

START_TEST(revoke_of_a_transaction_without_commit_stops_nothing)
{
	static const uint64_t revoked[] = {10};
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		maker_revoke(&m, revoked, 1);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 1);
		ck_assert_uint_eq(maker_home(&m, 10), 1);
	}
}
END_TEST

START_TEST(transaction_without_commit_is_dropped)
{
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		maker_block(&m, 10, 2, false);
		maker_descriptor(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 1);
		ck_assert_uint_eq(maker_home(&m, 10), 1);
	}
}
END_TEST

START_TEST(log_goes_round_at_its_end)
{
	struct journal_recovery r;
	struct maker m;

	for (uint32_t start = LOG_BLOCKS - 6; start < LOG_BLOCKS; start++) {
		for (enum sums sums = NO_SUMS; sums <= SUMS_V3; sums++) {
			maker_init(&m, sums, false, false, start, 7);
			for (uint8_t i = 1; i <= 3; i++) {
				maker_block(&m, 10, i, false);
				maker_block(&m, 20u + i, i, false);
				maker_descriptor(&m);
				maker_commit(&m);
			}
			ck_assert_int_eq(maker_recover(&m, &r), 0);
			ck_assert_uint_eq(r.nr_transactions, 3);
			ck_assert_uint_eq(maker_home(&m, 10), 3);
			ck_assert_uint_eq(maker_home(&m, 21), 1);
			ck_assert_uint_eq(maker_home(&m, 23), 3);
			maker_done(&m);
		}
	}
}
END_TEST

START_TEST(sequence_numbers_go_round)
{
	struct journal_recovery r;
	struct maker m;

	maker_init(&m, SUMS_V1, false, false, 1, UINT32_MAX);
	for (uint8_t i = 1; i <= 3; i++) {
		maker_block(&m, 10, i, false);
		maker_descriptor(&m);
		maker_commit(&m);
	}
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 3);
	ck_assert_uint_eq(maker_home(&m, 10), 3);
	maker_done(&m);
}
END_TEST

/* Two transactions: log blocks 1 descriptor, 2 data, 3 commit; 4, 5, 6 the same. */
static void make_two(struct maker *m)
{
	maker_block(m, 10, 1, false);
	maker_descriptor(m);
	maker_commit(m);
	maker_block(m, 10, 2, false);
	maker_descriptor(m);
	maker_commit(m);
}

START_TEST(torn_last_transaction_is_dropped_quietly)
{
	/* descriptor (behind its header), data, checksum in the commit block */
	static const uint32_t places[][2] = {{4, 500}, {5, 0}, {5, 1023}, {6, 17}};
	struct journal_recovery r;
	struct maker m;

	for (enum sums sums = SUMS_V1; sums <= SUMS_V3; sums++) {
		for (unsigned i = 0; i < 8; i++) {
			maker_init(&m, sums, false, i % 2, 1, 7);
			make_two(&m);
			maker_spoil(&m, places[i / 2][0], places[i / 2][1]);
			ck_assert_int_eq(maker_recover(&m, &r), 0);
			ck_assert(r.was_torn && !r.is_corrupt);
			ck_assert_uint_eq(r.nr_transactions, 1);
			ck_assert_uint_eq(maker_home(&m, 10), 1);
			ck_assert_uint_eq(maker_super(&m, 28), 0);
			maker_done(&m);
		}
	}
}
END_TEST

START_TEST(damage_before_a_valid_transaction_is_told)
{
	static const uint32_t places[][2] = {{1, 500}, {2, 0}, {2, 1023}, {3, 17}};
	struct journal_recovery r;
	struct maker m;

	for (enum sums sums = SUMS_V1; sums <= SUMS_V3; sums++) {
		for (unsigned i = 0; i < 4; i++) {
			maker_init(&m, sums, false, false, 1, 7);
			make_two(&m);
			maker_spoil(&m, places[i][0], places[i][1]);
			ck_assert_int_eq(maker_recover(&m, &r), -EUCLEAN);
			ck_assert(r.is_corrupt && !r.was_torn);
			ck_assert_uint_eq(r.nr_transactions, 0);
			ck_assert_uint_eq(maker_home(&m, 10), 0);	/* nothing of it went home */
			ck_assert_uint_eq(maker_super(&m, 28), 1);	/* the log stays for whoever looks */
			maker_done(&m);
		}
	}
}
END_TEST

START_TEST(what_lies_before_the_damage_is_replayed)
{
	struct journal_recovery r;
	struct maker m;

	maker_init(&m, SUMS_V1, false, false, 1, 7);
	make_two(&m);
	maker_block(&m, 10, 3, false);
	maker_descriptor(&m);
	maker_commit(&m);
	maker_spoil(&m, 5, 9);
	ck_assert_int_eq(maker_recover(&m, &r), -EUCLEAN);
	ck_assert(r.is_corrupt);
	ck_assert_uint_eq(r.nr_transactions, 1);
	ck_assert_uint_eq(maker_home(&m, 10), 1);
	maker_done(&m);
}
END_TEST

START_TEST(mismatch_with_an_earlier_time_is_an_older_round)
{
	struct journal_recovery r;
	struct maker m;

	maker_init(&m, SUMS_V1, false, false, 1, 7);
	maker_block(&m, 10, 1, false);
	maker_descriptor(&m);
	maker_commit(&m);
	m.seconds -= 1000;
	maker_block(&m, 10, 2, false);
	maker_descriptor(&m);
	maker_commit(&m);
	maker_block(&m, 10, 3, false);
	maker_descriptor(&m);
	maker_commit(&m);
	maker_spoil(&m, 5, 9);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert(!r.is_corrupt && !r.was_torn);
	ck_assert_uint_eq(r.nr_transactions, 1);
	ck_assert_uint_eq(maker_home(&m, 10), 1);
	maker_done(&m);
}
END_TEST

START_TEST(clock_put_back_loses_nothing)
{
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		m.seconds -= 100000;
		maker_block(&m, 10, 2, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert_uint_eq(r.nr_transactions, 2);
		ck_assert_uint_eq(maker_home(&m, 10), 2);
	}
}
END_TEST

START_TEST(commit_written_before_the_checksums_came_is_accepted)
{
	struct journal_recovery r;
	struct maker m;

	maker_init(&m, SUMS_V1, false, false, 1, 7);
	m.sums = NO_SUMS;
	maker_block(&m, 10, 1, false);
	maker_descriptor(&m);
	maker_commit(&m);
	m.sums = SUMS_V1;
	maker_block(&m, 11, 2, false);
	maker_descriptor(&m);
	maker_commit(&m);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 2);
	ck_assert_uint_eq(maker_home(&m, 10), 1);
	ck_assert_uint_eq(maker_home(&m, 11), 2);
	maker_done(&m);
}
END_TEST

START_TEST(spoiled_revoke_block_of_crc32c_is_noticed)
{
	static const uint64_t revoked[] = {10};
	struct journal_recovery r;
	struct maker m;

	for (enum sums sums = SUMS_V2; sums <= SUMS_V3; sums++) {
		maker_init(&m, sums, false, false, 1, 7);
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		maker_revoke(&m, revoked, 1);
		maker_commit(&m);
		maker_spoil(&m, 4, 18);
		ck_assert_int_eq(maker_recover(&m, &r), 0);
		ck_assert(r.was_torn);
		ck_assert_uint_eq(maker_home(&m, 10), 1);
		maker_done(&m);
	}
}
END_TEST

START_TEST(recovery_cut_anywhere_can_be_begun_again)
{
	struct journal_recovery r;
	uint8_t log[BLOCK];
	struct maker m;

	/* As if the power went before the superblock said that the log is empty. */
	maker_init(&m, SUMS_V1, false, false, 1, 7);
	make_two(&m);
	maker_read(&m, LOG_AT, log);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_int_eq(disk_write(m.disk, LOG_AT * BLOCK, log, BLOCK, 0), 0);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 2);
	ck_assert_uint_eq(maker_home(&m, 10), 2);
	maker_done(&m);
}
END_TEST

START_TEST(block_beyond_the_disk_is_corruption)
{
	struct journal_recovery r;
	struct maker m;

	FOR_ALL_KINDS(m) {
		maker_block(&m, 10, 1, false);
		maker_block(&m, DISK_BLOCKS, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), -EUCLEAN);
		ck_assert(r.is_corrupt);
		ck_assert_uint_eq(maker_home(&m, 10), 0);
	}
}
END_TEST

START_TEST(high_half_of_a_64_bit_number_counts)
{
	struct journal_recovery r;
	struct maker m;

	for (enum sums sums = NO_SUMS; sums <= SUMS_V3; sums++) {
		maker_init(&m, sums, true, false, 1, 7);
		maker_block(&m, (uint64_t)1 << 32 | 10, 1, false);
		maker_descriptor(&m);
		maker_commit(&m);
		ck_assert_int_eq(maker_recover(&m, &r), -EUCLEAN);
		ck_assert_uint_eq(maker_home(&m, 10), 0);
		maker_done(&m);
	}
}
END_TEST

START_TEST(revoke_block_of_impossible_length_ends_the_log)
{
	static const uint64_t revoked[] = {10};
	struct journal_recovery r;
	struct maker m;
	uint8_t block[BLOCK];

	maker_init(&m, NO_SUMS, false, false, 1, 7);
	maker_block(&m, 10, 1, false);
	maker_descriptor(&m);
	maker_commit(&m);
	maker_revoke(&m, revoked, 1);
	maker_commit(&m);
	maker_read(&m, LOG_AT + 4, block);
	memset(block + 12, 0xff, 4);
	ck_assert_int_eq(disk_write(m.disk, (LOG_AT + 4) * BLOCK, block, BLOCK, 0), 0);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 1);
	ck_assert_uint_eq(maker_home(&m, 10), 1);
	maker_done(&m);
}
END_TEST

START_TEST(log_that_is_full_of_itself_ends)
{
	struct journal_recovery r;
	struct maker m;

	/* Every block of the ring is a descriptor of the same transaction. */
	maker_init(&m, NO_SUMS, false, false, 1, 7);
	for (uint32_t i = 1; i < LOG_BLOCKS / 2; i++) {
		maker_block(&m, 10, 1, false);
		maker_descriptor(&m);
	}
	maker_block(&m, 10, 1, false);
	maker_descriptor(&m);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 0);
	ck_assert_uint_eq(maker_home(&m, 10), 0);
	maker_done(&m);
}
END_TEST

START_TEST(empty_log_is_left_alone)
{
	struct journal_recovery r;
	struct maker m;

	maker_init(&m, SUMS_V1, false, false, 0, 7);
	ck_assert_int_eq(maker_recover(&m, &r), 0);
	ck_assert_uint_eq(r.nr_transactions, 0);
	ck_assert_uint_eq(maker_super(&m, 24), 7);
	maker_done(&m);
}
END_TEST

START_TEST(wiped_log_never_uses_its_numbers_again)
{
	struct maker m;
	char why[200];

	maker_init(&m, SUMS_V1, false, false, 1, 7);
	make_two(&m);
	ck_assert_int_eq(maker_load(&m, why, sizeof(why)), 0);
	ck_assert_int_eq(journal_wipe(m.journal), 0);
	ck_assert_uint_eq(maker_home(&m, 10), 0);
	ck_assert_uint_eq(maker_super(&m, 28), 0);
	ck_assert_uint_gt(maker_super(&m, 24), 8);
	maker_done(&m);
}
END_TEST

START_TEST(impossible_superblock_is_refused)
{
	static const struct {
		uint32_t offset, value;
		int err;
	} cases[] = {
		{0, 0, -EUCLEAN},	       {4, 1, -EUCLEAN},
		{12, 4096, -EUCLEAN},	       {16, LOG_BLOCKS + 1, -EUCLEAN},
		{16, 0, -EUCLEAN},	       {20, 0, -EUCLEAN},
		{20, LOG_BLOCKS, -EUCLEAN},    {28, LOG_BLOCKS, -EUCLEAN},
		{40, 1u << 30, -EOPNOTSUPP},   {40, JOURNAL_INCOMPAT_FAST_COMMIT, -EOPNOTSUPP},
		{44, 1, -EOPNOTSUPP},
	};
	struct maker m;
	char why[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		maker_init(&m, NO_SUMS, false, false, 1, 7);
		maker_set_super(&m, cases[i].offset, cases[i].value);
		ck_assert_int_eq(maker_load(&m, why, sizeof(why)), cases[i].err);
		ck_assert_uint_gt(strlen(why), 10);
		maker_done(&m);
	}
}
END_TEST

START_TEST(spoiled_superblock_sum_is_refused)
{
	struct maker m;
	char why[200];

	for (enum sums sums = SUMS_V2; sums <= SUMS_V3; sums++) {
		maker_init(&m, sums, false, false, 1, 7);
		maker_set_super(&m, 24, 8);
		ck_assert_int_eq(maker_load(&m, why, sizeof(why)), -EUCLEAN);
		maker_done(&m);
	}
}
END_TEST

TEST_SUITE(journal_recovery)
{
	tcase_add_test(tc, newest_copy_of_each_block_is_written);
	tcase_add_test(tc, several_descriptors_make_one_transaction);
	tcase_add_test(tc, escaped_block_gets_its_magic_back);
	tcase_add_test(tc, revoked_copies_are_left_out_up_to_the_revoke);
	tcase_add_test(tc, revoke_in_the_copys_own_transaction_stops_it);
	tcase_add_test(tc, revoke_of_a_transaction_without_commit_stops_nothing);
	tcase_add_test(tc, transaction_without_commit_is_dropped);
	tcase_add_test(tc, log_goes_round_at_its_end);
	tcase_add_test(tc, sequence_numbers_go_round);
	tcase_add_test(tc, torn_last_transaction_is_dropped_quietly);
	tcase_add_test(tc, damage_before_a_valid_transaction_is_told);
	tcase_add_test(tc, what_lies_before_the_damage_is_replayed);
	tcase_add_test(tc, mismatch_with_an_earlier_time_is_an_older_round);
	tcase_add_test(tc, clock_put_back_loses_nothing);
	tcase_add_test(tc, commit_written_before_the_checksums_came_is_accepted);
	tcase_add_test(tc, spoiled_revoke_block_of_crc32c_is_noticed);
	tcase_add_test(tc, recovery_cut_anywhere_can_be_begun_again);
	tcase_add_test(tc, block_beyond_the_disk_is_corruption);
	tcase_add_test(tc, high_half_of_a_64_bit_number_counts);
	tcase_add_test(tc, revoke_block_of_impossible_length_ends_the_log);
	tcase_add_test(tc, log_that_is_full_of_itself_ends);
	tcase_add_test(tc, empty_log_is_left_alone);
	tcase_add_test(tc, wiped_log_never_uses_its_numbers_again);
	tcase_add_test(tc, impossible_superblock_is_refused);
	tcase_add_test(tc, spoiled_superblock_sum_is_refused);
}
