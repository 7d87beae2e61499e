/*
 * Calling an idle worker.
 *
 * An idle worker lies on a stack with a condition of its own, so that a call wakes exactly one,
 * the one that slept least. This stands below the queue, which calls, and the workers, who come.
 */
#include "queue.h"

void workers_call_one(struct disk *disk)
{
	struct worker *w;

	/* One that was called and has not come yet will see this work too, and call on (q1). */
	if (disk->nr_called || list_empty(&disk->idle_workers))
		return;
	w = list_first(&disk->idle_workers, struct worker, idle_link);
	list_del(&w->idle_link);
	w->is_called = true;
	disk->nr_called++;
	cond_signal(&w->called);
}
