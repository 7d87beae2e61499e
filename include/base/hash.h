/*
 * base/hash.h - a hash table of intrusive nodes, and the hashes to go with it.
 *
 * Purpose     Tables keyed by inode number, name, block. Doubles itself as it fills.
 * Ownership   The table owns its buckets, never the nodes.
 * Locking     The caller's.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/types.h"

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};

struct hash {
	struct hash_node **buckets;
	size_t nr_buckets, nr_nodes;
};

int hash_init(struct hash *h, size_t nr_buckets_hint) must_check;
void hash_done(struct hash *h);
/* Never fails: when growing finds no memory, chains get longer. */
void hash_insert(struct hash *h, struct hash_node *n, uint64_t hash);
void hash_remove(struct hash *h, struct hash_node *n);
/* First node with this very hash, then the next with the same; the caller compares keys. */
struct hash_node *hash_first(const struct hash *h, uint64_t hash);
struct hash_node *hash_next_same(const struct hash_node *n);
/* Every node, for teardown and checks: start with NULL. The table must not change meanwhile. */
struct hash_node *hash_iterate(const struct hash *h, const struct hash_node *after);

uint64_t hash_u64(uint64_t v);
uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed);

#endif
