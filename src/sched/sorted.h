/*
 * sched/sorted.h - waiting requests in the order of their sectors.
 *
 * Purpose     What all schedulers but the first need: the next one up, the next one down, and
 *             the neighbour that a bio may join.
 * Ownership   A request is linked by its sort_node; nothing else of it is touched.
 * Locking     The queue's lock.
 */
#ifndef SCHED_SORTED_H
#define SCHED_SORTED_H

#include "block/elevator.h"

struct sorted {
	struct rbtree tree;	/* by sector; equals in the order of arrival */
};

void sorted_init(struct sorted *s);
void sorted_add(struct sorted *s, struct request *rq);
void sorted_del(struct sorted *s, struct request *rq);
bool sorted_is_empty(const struct sorted *s);
/* NULL when there is none; all still linked. */
struct request *sorted_first(const struct sorted *s);
struct request *sorted_at_or_after(const struct sorted *s, sector_t sector);
struct request *sorted_before(const struct sorted *s, sector_t sector);
bool sorted_try_merge(struct sorted *s, struct bio *bio);

static inline sector_t request_end(const struct request *rq)
{
	return rq->sector + (rq->size_bytes >> SECTOR_SHIFT);
}

#endif
