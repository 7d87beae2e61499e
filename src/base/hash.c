/*
 * Chained hash table, and hash functions.
 *
 * The number of buckets is a power of two, and doubles when there are more nodes than buckets.
 * Nodes carry their whole hash, so growing asks nobody and a search compares it first.
 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define NR_BUCKETS_MIN 16u
#define NR_BUCKETS_MAX (1ull << 40)

/* Odd, with about as many ones as zeros: multiplying by them stirs upwards. */
#define STIR_A 0x9e3779b97f4a7c15ull	/* 2^64 over the golden ratio */
#define STIR_B 0xd1b54a32d192ed03ull

int hash_init(struct hash *h, size_t nr_buckets_hint)
{
	size_t nr_buckets = NR_BUCKETS_MIN;

	while (nr_buckets < nr_buckets_hint && nr_buckets < NR_BUCKETS_MAX)
		nr_buckets *= 2;
	h->buckets = mem_zalloc(nr_buckets * sizeof(*h->buckets));
	h->nr_buckets = h->buckets ? nr_buckets : 0;
	h->nr_nodes = 0;
	return h->buckets ? 0 : -ENOMEM;
}

void hash_done(struct hash *h)
{
	mem_free(h->buckets);
	*h = (struct hash){.buckets = NULL};
}

static struct hash_node **bucket_of(const struct hash *h, uint64_t hash)
{
	return &h->buckets[hash & (h->nr_buckets - 1)];
}

static void push(struct hash *h, struct hash_node *n)
{
	struct hash_node **bucket = bucket_of(h, n->hash);

	n->next = *bucket;
	*bucket = n;
}

static void grow(struct hash *h)
{
	struct hash old = *h;
	struct hash_node *next;
	struct hash_node **buckets = mem_zalloc(2 * old.nr_buckets * sizeof(*buckets));

	if (!buckets)
		return;
	h->buckets = buckets;
	h->nr_buckets = 2 * old.nr_buckets;
	for (size_t i = 0; i < old.nr_buckets; i++) {
		for (struct hash_node *n = old.buckets[i]; n; n = next) {
			next = n->next;
			push(h, n);
		}
	}
	mem_free(old.buckets);
}

void hash_insert(struct hash *h, struct hash_node *n, uint64_t hash)
{
	if (h->nr_nodes >= h->nr_buckets)
		grow(h);
	n->hash = hash;
	push(h, n);
	h->nr_nodes++;
}

void hash_remove(struct hash *h, struct hash_node *n)
{
	struct hash_node **at = bucket_of(h, n->hash);

	while (*at != n) {
		must(*at);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	h->nr_nodes--;
}

static struct hash_node *same_from(struct hash_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct hash_node *hash_first(const struct hash *h, uint64_t hash)
{
	return same_from(*bucket_of(h, hash), hash);
}

struct hash_node *hash_next_same(const struct hash_node *n)
{
	return same_from(n->next, n->hash);
}

struct hash_node *hash_iterate(const struct hash *h, const struct hash_node *after)
{
	size_t i = 0;

	if (after) {
		if (after->next)
			return after->next;
		i = (size_t)(bucket_of(h, after->hash) - h->buckets) + 1;
	}
	while (i < h->nr_buckets && !h->buckets[i])
		i++;
	return i < h->nr_buckets ? h->buckets[i] : NULL;
}

/* Every bit of v reaches every bit of the result; distinct v have distinct results. */
uint64_t hash_u64(uint64_t v)
{
	v = (v ^ v >> 32) * STIR_A;
	v = (v ^ v >> 29) * STIR_B;
	return v ^ v >> 32;
}

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
	const uint8_t *at = bytes;
	uint64_t h = hash_u64(seed + STIR_B) ^ len * STIR_A;
	uint64_t word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		h = hash_u64(h ^ le64toh(word));
	}
	word = 0;
	memcpy(&word, at, len);
	return hash_u64(h ^ le64toh(word));
}
