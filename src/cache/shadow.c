/*
 * Shadows: who was reclaimed lately, so that a page that comes back is known.
 *
 * A page that is reclaimed leaves a shadow with the number of pages reclaimed so far. When it is
 * wanted again, the difference is its refault distance: with so many pages more on the inactive
 * list it would still be there. If the active list has that many pages, the newcomer is used more
 * often than some of them, and it goes to the active list at once; the oldest active pages give
 * way to it as the balance is kept (lru.c). So a working set that is larger than the inactive list
 * takes over from one that is not used any more, and a scan of more than the cache changes nothing.
 *
 *	    wanted ---> inactive -----------------> reclaimed: shadow, clock 1000
 *	                                                   |
 *	    wanted again, clock 1400: distance 400  <------+
 *	        400 <= pages on the active list: to the active list
 *
 * The shadows are a fixed table, about as many entries as the cache has pages: older ones would
 * be farther away than any list is long. Eight pages in a row share a line of it, so that runs of
 * pages cost one memory access in eight. Who is there is told by a part of a hash; a false match,
 * a shadow that was overwritten, or that of a deleted file whose number was given again, costs a
 * page in the wrong list, no more.
 */
#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "cache_private.h"

#define GROUP_BITS 3u
#define SHADOW_GROUP (1u << GROUP_BITS)

/* Less than this distance is near even when there are few active pages: a share of the cache. */
#define NEAR_SHARE 4u

int shadows_create(struct page_cache *cache)
{
	uint32_t groups = 1u << log2_floor(max(cache->pages_max >> GROUP_BITS, 1u));

	if (groups << GROUP_BITS < cache->pages_max)
		groups *= 2;
	cache->shadows = mem_zalloc((size_t)groups * SHADOW_GROUP * sizeof(struct evicted));
	cache->shadow_groups = groups;
	return cache->shadows ? 0 : -ENOMEM;
}

void shadows_destroy(struct page_cache *cache)
{
	mem_free(cache->shadows);
}

/* Metadata has the number of no inode. */
static struct evicted *shadow_of(struct page_cache *cache, const struct mapping *m, uint64_t index,
				uint32_t *ret_who)
{
	uint64_t hash = hash_u64((uint64_t)m->ino << 40 ^ index >> GROUP_BITS);
	uint64_t group = hash & (cache->shadow_groups - 1);

	*ret_who = (uint32_t)(hash >> 32) | 1;
	return &cache->shadows[group << GROUP_BITS | (index & (SHADOW_GROUP - 1))];
}

void shadow_leave(struct page_cache *cache, const struct mapping *m, uint64_t index)
{
	uint32_t who;
	struct evicted *shadow = shadow_of(cache, m, index, &who);

	*shadow = (struct evicted){.who = who, .when = ++cache->shadow_clock};
}

bool shadow_take(struct page_cache *cache, const struct mapping *m, uint64_t index)
{
	struct evicted *shadow;
	uint32_t who, distance;

	if (cache->shadow_clock == 0)	/* nothing was ever reclaimed */
		return false;
	shadow = shadow_of(cache, m, index, &who);
	if (shadow->who != who)
		return false;
	shadow->who = 0;
	distance = cache->shadow_clock - shadow->when;
	counter_add(&cache->stats.refaults, 1);
	if (distance > max(cache->nr_active, cache->pages_max / NEAR_SHARE))
		return false;
	counter_add(&cache->stats.refaults_activated, 1);
	return true;
}
