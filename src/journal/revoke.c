/*
 * Sets of revoked blocks.
 *
 * A block that was metadata, was logged, and is then freed may next hold file data, which is not
 * logged. Recovery must not write the old copy over that data: the transaction that frees the
 * block revokes it. The awkward meetings:
 *
 *   freed and allocated as metadata again in one transaction   the revoke is cancelled, for it
 *       would also stop the new copy, which has the same tid;
 *   freed in T5, logged again in T6                            the revoke of T5 stops copies up to
 *       T5 only;
 *   freed while T4, which logged it, is still committing       T4's copy is replayed only if T5,
 *       with the revoke, did not become durable, and then the block was not freed either.
 */
#include <errno.h>

#include "base/mem.h"
#include "journal_private.h"

struct revoked {
	struct hash_node node;
	fsblk_t block;
};

int revoke_set_init(struct revoke_set *set)
{
	set->nr = 0;
	return hash_init(&set->hash, 16);
}

static struct revoked *find(const struct revoke_set *set, fsblk_t block)
{
	for (struct hash_node *n = hash_first(&set->hash, hash_u64(block)); n; n = hash_next_same(n))
		if (container_of(n, struct revoked, node)->block == block)
			return container_of(n, struct revoked, node);
	return NULL;
}

void revoke_set_done(struct revoke_set *set)
{
	struct hash_node *n;

	if (!set->hash.buckets)
		return;
	while ((n = hash_iterate(&set->hash, NULL)) != NULL) {
		hash_remove(&set->hash, n);
		mem_free(container_of(n, struct revoked, node));
	}
	hash_done(&set->hash);
}

int revoke_add(struct revoke_set *set, fsblk_t block)
{
	struct revoked *r = find(set, block);

	if (r)
		return 0;
	r = mem_alloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->block = block;
	hash_insert(&set->hash, &r->node, hash_u64(block));
	set->nr++;
	return 0;
}

void revoke_cancel(struct revoke_set *set, fsblk_t block)
{
	struct revoked *r = set->nr ? find(set, block) : NULL;

	if (!r)
		return;
	hash_remove(&set->hash, &r->node);
	mem_free(r);
	set->nr--;
}

bool revoke_contains(const struct revoke_set *set, fsblk_t block)
{
	return set->nr && find(set, block);
}

void revoke_for_each(const struct revoke_set *set, void (*fn)(void *arg, fsblk_t block), void *arg)
{
	for (struct hash_node *n = hash_iterate(&set->hash, NULL); n; n = hash_iterate(&set->hash, n))
		fn(arg, container_of(n, struct revoked, node)->block);
}
