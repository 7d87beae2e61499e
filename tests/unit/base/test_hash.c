/*
 * The table finds every node that was put in and not taken out, among equals too, while it grows
 * and when growing finds no memory; the hashes spread neighbours and depend on every byte.
 */
#include "base/hash.h"

#include <errno.h>

#include "base/mem.h"
#include "base/rand.h"
#include "harness/runner.h"

#define NR_ITEMS 5000u

struct item {
	uint64_t key;
	bool is_in, was_seen;
	struct hash_node node;
};

static struct item items[NR_ITEMS];
static struct hash table;

static struct item *item_of(struct hash_node *n)
{
	return container_of(n, struct item, node);
}

/* Few distinct hashes, so that equal ones meet. */
static uint64_t weak_hash(uint64_t key)
{
	return hash_u64(key / 3);
}

static struct item *find(uint64_t key)
{
	for (struct hash_node *n = hash_first(&table, weak_hash(key)); n; n = hash_next_same(n))
		if (item_of(n)->key == key)
			return item_of(n);
	return NULL;
}

static void setup(void)
{
	for (unsigned i = 0; i < NR_ITEMS; i++)
		items[i] = (struct item){.key = i};
	ck_assert_int_eq(hash_init(&table, 0), 0);
}

static void teardown(void)
{
	hash_done(&table);
	ck_assert_uint_eq(mem_live_count(), 0);
}

static void change_randomly(unsigned nr_changes)
{
	struct rand r;

	rand_init(&r, test_seed());
	for (unsigned i = 0; i < nr_changes; i++) {
		struct item *item = &items[rand_below(&r, NR_ITEMS)];

		if (item->is_in)
			hash_remove(&table, &item->node);
		else
			hash_insert(&table, &item->node, weak_hash(item->key));
		item->is_in = !item->is_in;
	}
}

static void assert_agrees(void)
{
	size_t nr_in = 0, nr_seen = 0;

	for (unsigned i = 0; i < NR_ITEMS; i++) {
		ck_assert_ptr_eq(find(i), items[i].is_in ? &items[i] : NULL);
		nr_in += items[i].is_in;
	}
	ck_assert_uint_eq(table.nr_nodes, nr_in);
	for (struct hash_node *n = hash_iterate(&table, NULL); n; n = hash_iterate(&table, n)) {
		ck_assert(item_of(n)->is_in && !item_of(n)->was_seen);
		item_of(n)->was_seen = true;
		nr_seen++;
	}
	ck_assert_uint_eq(nr_seen, nr_in);
}

START_TEST(finds_what_is_in)
{
	change_randomly(30000);
	assert_agrees();
	ck_assert_uint_gt(table.nr_buckets, 1000);
}
END_TEST

START_TEST(without_memory_chains_get_longer)
{
	size_t nr_buckets = table.nr_buckets;

	mem_fail_nth(1, true);
	change_randomly(3000);
	mem_fail_nth(0, false);
	assert_agrees();
	ck_assert_uint_eq(table.nr_buckets, nr_buckets);
}
END_TEST

START_TEST(making_one_without_memory_says_so)
{
	struct hash h;

	mem_fail_nth(1, false);
	ck_assert_int_eq(hash_init(&h, 1000), -ENOMEM);
	hash_done(&h);
	ck_assert_int_eq(hash_init(&h, 1000), 0);
	ck_assert_uint_ge(h.nr_buckets, 1000);
	ck_assert_ptr_null(hash_iterate(&h, NULL));
	ck_assert_ptr_null(hash_first(&h, 5));
	hash_done(&h);
}
END_TEST

/* Sixteen buckets a value on average: with an even spread none comes near double. */
static void assert_even(const unsigned *buckets, unsigned nr_buckets, unsigned mean)
{
	for (unsigned i = 0; i < nr_buckets; i++)
		ck_assert(buckets[i] > mean / 2 && buckets[i] < mean * 2);
}

START_TEST(neighbours_spread_by_low_and_high_bits)
{
	unsigned low[64] = {0}, high[64] = {0}, bytes[64] = {0};

	for (uint64_t v = 0; v < 64 * 256; v++) {
		low[hash_u64(v) % 64]++;
		high[hash_u64(v << 40) >> 58]++;
		bytes[hash_bytes(&v, sizeof(v), 1) % 64]++;
	}
	assert_even(low, 64, 256);
	assert_even(high, 64, 256);
	assert_even(bytes, 64, 256);
}
END_TEST

START_TEST(a_hash_depends_on_every_byte_length_and_seed)
{
	uint8_t bytes[40] = {0};

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint64_t h = hash_bytes(bytes, len, 9);

		ck_assert_uint_eq(h, hash_bytes(bytes, len, 9));
		ck_assert_uint_ne(h, hash_bytes(bytes, len, 10));
		if (len < sizeof(bytes))
			ck_assert_uint_ne(h, hash_bytes(bytes, len + 1, 9));
		for (size_t i = 0; i < len; i++) {
			bytes[i] ^= 0x10;
			ck_assert_uint_ne(h, hash_bytes(bytes, len, 9));
			bytes[i] ^= 0x10;
		}
	}
}
END_TEST

TEST_SUITE(base_hash)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, finds_what_is_in);
	tcase_add_test(tc, without_memory_chains_get_longer);
	tcase_add_test(tc, making_one_without_memory_says_so);
	tcase_add_test(tc, neighbours_spread_by_low_and_high_bits);
	tcase_add_test(tc, a_hash_depends_on_every_byte_length_and_seed);
}
