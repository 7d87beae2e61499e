/*
 * base/clock_private.h - hearing of a virtual clock's moves.
 *
 * Purpose     A thread that waits for a virtual date has to be woken when the date comes.
 * Ownership   A listener lies in its user's object; removed before that goes.
 * Locking     `moved` runs under the clock's lock (RANK_CLOCK) and may take RANK_WORK.
 */
#ifndef BASE_CLOCK_PRIVATE_H
#define BASE_CLOCK_PRIVATE_H

#include "base/clock.h"
#include "base/list.h"

struct clock_listener {
	void (*moved)(struct clock_listener *l);
	struct list link;	/* [clock lock] */
};

void clock_listen(struct clock *c, struct clock_listener *l);
/* Afterwards `moved` is not running and will not run. */
void clock_unlisten(struct clock *c, struct clock_listener *l);

#endif
