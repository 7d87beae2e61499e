/*
 * Room for requests, and the line of those who wait for it.
 *
 * A quarter of the room belongs to SLOT_WAITED_FOR; its users may take from the other class too
 * when nobody there is in line. So SLOT_HANDED_IN fills at most three quarters.
 *
 * A sleeper gets its request from the one who gives it back, and is woken alone. To wake a sleeper
 * of SLOT_HANDED_IN for every single request that ends would make the queue and its submitter take turns,
 * a thread switch each; so the room gathers until a batch is free, while the driver still has most
 * of the queue to work on. Newcomers go behind the sleepers, hence what is free only grows
 * until the batch is full, and nobody is forgotten: a batch is at most the whole room.
 */
#include "slots.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"

#define WAITED_FOR_SHARE 4u	/* one in so many */
#define WAKE_BATCH_SHARE 8u	/* of the room of a class */

struct sleeper {
	struct cond granted;
	struct request *rq;	/* NULL until granted */
	struct list link;
};

static void room_init(struct slot_room *room, struct request *requests, uint32_t nr,
		      enum slot_class class)
{
	list_init(&room->free);
	list_init(&room->sleepers);
	room->nr_free = nr;
	room->wake_batch = class == SLOT_HANDED_IN ? max(nr / WAKE_BATCH_SHARE, 1u) : 1;
	for (uint32_t i = 0; i < nr; i++) {
		requests[i].slot_class = (uint8_t)class;
		list_add_tail(&room->free, &requests[i].queue_link);
	}
}

int slots_init(struct slots *slots, uint32_t nr_max)
{
	uint32_t nr_waited_for = nr_max / WAITED_FOR_SHARE;

	slots->requests = mem_zalloc(nr_max * sizeof(struct request));
	if (!slots->requests)
		return -ENOMEM;
	slots->nr_max = nr_max;
	slots->nr_out = 0;
	room_init(&slots->rooms[SLOT_WAITED_FOR], slots->requests, nr_waited_for, SLOT_WAITED_FOR);
	room_init(&slots->rooms[SLOT_HANDED_IN], slots->requests + nr_waited_for,
		  nr_max - nr_waited_for, SLOT_HANDED_IN);
	return 0;
}

void slots_done(struct slots *slots)
{
	must(slots->nr_out == 0);
	mem_free(slots->requests);
}

static struct request *room_take(struct slots *slots, struct slot_room *room)
{
	struct request *rq = list_first(&room->free, struct request, queue_link);

	must(room->nr_free > 0);
	list_del(&rq->queue_link);
	room->nr_free--;
	slots->nr_out++;
	must(slots->nr_out <= slots->nr_max);	/* s1 */
	return rq;
}

struct request *slot_try(struct slots *slots, enum slot_class class)
{
	struct slot_room *own = &slots->rooms[class], *other = &slots->rooms[SLOT_HANDED_IN];

	if (!list_empty(&own->sleepers))
		return NULL;	/* s2 */
	if (own->nr_free)
		return room_take(slots, own);
	if (other->nr_free && list_empty(&other->sleepers))
		return room_take(slots, other);
	return NULL;
}

struct request *slot_wait(struct slots *slots, enum slot_class class, struct mutex *queue_lock)
{
	struct sleeper me = {.rq = NULL};

	/* A queue so small that it has no room of this class: everybody stands in one line. */
	if (class == SLOT_WAITED_FOR && slots->nr_max < WAITED_FOR_SHARE)
		class = SLOT_HANDED_IN;
	cond_init(&me.granted);
	list_add_tail(&slots->rooms[class].sleepers, &me.link);
	while (!me.rq)
		cond_wait(&me.granted, queue_lock);
	cond_done(&me.granted);
	return me.rq;
}

/* What is free in room goes to the first in the line. */
static void room_grant(struct slots *slots, struct slot_room *room, struct list *line)
{
	while (room->nr_free && !list_empty(line)) {
		struct sleeper *first = list_first(line, struct sleeper, link);

		list_del(&first->link);
		first->rq = room_take(slots, room);
		cond_signal(&first->granted);
	}
}

void slot_put(struct slots *slots, struct request *rq)
{
	struct slot_room *room = &slots->rooms[rq->slot_class];

	list_add(&room->free, &rq->queue_link);
	room->nr_free++;
	slots->nr_out--;
	if (room->nr_free >= room->wake_batch)
		room_grant(slots, room, &room->sleepers);
	if (list_empty(&room->sleepers))
		room_grant(slots, room, &slots->rooms[SLOT_WAITED_FOR].sleepers);
}
