/*
 * Real and virtual clocks.
 */
#include "base/clock.h"

#include <stdatomic.h>

#include "base/assert.h"
#include "clock_private.h"
#include "base/lock.h"
#include "base/mem.h"

struct clock {
	bool is_virtual;		/* [none: set once] */
	struct timespec wall_start;	/* [none: set once] virtual: the wall at 0 */
	_Atomic uint64_t virtual_ns;
	struct mutex lock;		/* RANK_CLOCK */
	struct list listeners;		/* [lock] */
};

static struct clock *create(bool is_virtual, struct timespec wall_start)
{
	struct clock *c = mem_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->is_virtual = is_virtual;
	c->wall_start = wall_start;
	mutex_init(&c->lock, RANK_CLOCK, "clock");
	list_init(&c->listeners);
	return c;
}

struct clock *clock_create_real(void)
{
	return create(false, (struct timespec){0, 0});
}

struct clock *clock_create_virtual(struct timespec wall_start)
{
	return create(true, wall_start);
}

void clock_destroy(struct clock *c)
{
	if (!c)
		return;
	must(list_empty(&c->listeners));
	mutex_done(&c->lock);
	mem_free(c);
}

bool clock_is_virtual(const struct clock *c)
{
	return c->is_virtual;
}

uint64_t clock_now_ns(const struct clock *c)
{
	struct timespec now;

	if (c->is_virtual)
		return atomic_load(&c->virtual_ns);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

struct timespec clock_wall(const struct clock *c)
{
	struct timespec now;
	uint64_t ns;

	if (!c->is_virtual) {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		return now;
	}
	ns = (uint64_t)c->wall_start.tv_nsec + atomic_load(&c->virtual_ns) % NSEC_PER_SEC;
	now.tv_sec = c->wall_start.tv_sec + (time_t)(atomic_load(&c->virtual_ns) / NSEC_PER_SEC);
	now.tv_sec += (time_t)(ns / NSEC_PER_SEC);
	now.tv_nsec = (long)(ns % NSEC_PER_SEC);
	return now;
}

void clock_advance(struct clock *c, uint64_t ns)
{
	struct clock_listener *l;

	must(c->is_virtual);
	atomic_fetch_add(&c->virtual_ns, ns);
	mutex_lock(&c->lock);
	list_for_each(l, &c->listeners, link)
		l->moved(l);
	mutex_unlock(&c->lock);
}

void clock_listen(struct clock *c, struct clock_listener *l)
{
	mutex_lock(&c->lock);
	list_add_tail(&c->listeners, &l->link);
	mutex_unlock(&c->lock);
}

void clock_unlisten(struct clock *c, struct clock_listener *l)
{
	mutex_lock(&c->lock);
	list_del(&l->link);
	mutex_unlock(&c->lock);
}
