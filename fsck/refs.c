/* Attribute blocks and their references: a growing array, and a table of places in it. */
#include "refs.h"

#include "base/hash.h"
#include "base/mem.h"

#define BUCKETS 256

struct node {
	struct hash_node hash;
	struct xattr_ref ref;
};

struct xattr_refs {
	struct hash table;
	struct node **order;
	size_t count, room;
};

struct xattr_refs *refs_create(void)
{
	struct xattr_refs *r = mem_zalloc(sizeof(*r));

	if (r && hash_init(&r->table, BUCKETS)) {
		mem_free(r);
		return NULL;
	}
	return r;
}

void refs_destroy(struct xattr_refs *r)
{
	size_t i;

	if (!r)
		return;
	for (i = 0; i < r->count; i++) {
		hash_remove(&r->table, &r->order[i]->hash);
		mem_free(r->order[i]);
	}
	hash_done(&r->table);
	mem_free(r->order);
	mem_free(r);
}

struct xattr_ref *refs_find(const struct xattr_refs *r, fsblk_t block)
{
	struct hash_node *h = hash_first(&r->table, hash_u64(block));

	for (; h; h = hash_next_same(h)) {
		struct node *n = container_of(h, struct node, hash);

		if (n->ref.block == block)
			return &n->ref;
	}
	return NULL;
}

struct xattr_ref *refs_add(struct xattr_refs *r, fsblk_t block, uint32_t claimed)
{
	struct node *n;

	if (r->count == r->room) {
		size_t more = r->room * 2 + 64;
		struct node **grown = mem_realloc(r->order, more * sizeof(struct node *));

		if (!grown)
			return NULL;
		r->order = grown;
		r->room = more;
	}
	n = mem_zalloc(sizeof(*n));
	if (!n)
		return NULL;
	n->ref = (struct xattr_ref){.block = block, .claimed = claimed, .counted = 1};
	hash_insert(&r->table, &n->hash, hash_u64(block));
	r->order[r->count++] = n;
	return &n->ref;
}

struct xattr_ref *refs_nth(const struct xattr_refs *r, size_t n)
{
	return n < r->count ? &r->order[n]->ref : NULL;
}
