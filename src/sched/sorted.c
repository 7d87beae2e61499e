/* Waiting requests in the order of their sectors. */
#include "sorted.h"

static struct request *request_of(struct rbnode *n)
{
	return n ? container_of(n, struct request, sort_node) : NULL;
}

static sector_t sector_of(const struct rbnode *n)
{
	return container_of(n, struct request, sort_node)->sector;
}

static int compare_sectors(sector_t a, sector_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_nodes(const struct rbnode *a, const struct rbnode *b)
{
	return compare_sectors(sector_of(a), sector_of(b));
}

static int compare_key(const void *key, const struct rbnode *n)
{
	return compare_sectors(*(const sector_t *)key, sector_of(n));
}

void sorted_init(struct sorted *s)
{
	rbtree_init(&s->tree, compare_nodes);
}

void sorted_add(struct sorted *s, struct request *rq)
{
	rbtree_insert(&s->tree, &rq->sort_node);
}

void sorted_del(struct sorted *s, struct request *rq)
{
	rbtree_remove(&s->tree, &rq->sort_node);
}

bool sorted_is_empty(const struct sorted *s)
{
	return s->tree.nr_nodes == 0;
}

struct request *sorted_first(const struct sorted *s)
{
	return request_of(rbtree_first(&s->tree));
}

struct request *sorted_at_or_after(const struct sorted *s, sector_t sector)
{
	return request_of(rbtree_lower_bound(&s->tree, &sector, compare_key));
}

struct request *sorted_before(const struct sorted *s, sector_t sector)
{
	if (sector == 0)
		return NULL;
	sector--;
	return request_of(rbtree_upper_below(&s->tree, &sector, compare_key));
}

/*
 * The one below, whose end bio may continue; then the one above, in front of which it may come.
 * Requests that overlap can hide a neighbour; then two stay two, which is harmless.
 */
bool sorted_try_merge(struct sorted *s, struct bio *bio)
{
	struct request *below = sorted_before(s, bio->sector);
	struct request *above;

	if (below && request_try_merge(below, bio) != MERGE_NONE)
		return true;
	above = sorted_at_or_after(s, bio->sector + bio_sectors(bio));
	if (!above)
		return false;
	/* In front, it starts at another sector: its place may change. Off the tree meanwhile. */
	sorted_del(s, above);
	if (request_try_merge(above, bio) == MERGE_NONE) {
		sorted_add(s, above);
		return false;
	}
	sorted_add(s, above);
	return true;
}
