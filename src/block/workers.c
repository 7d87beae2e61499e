/*
 * Worker threads, for drivers whose system calls block.
 *
 * They fall idle in idle.c, from where the queue calls them.
 */
#include <errno.h>

#include "base/mem.h"
#include "queue.h"

static void worker_sleep(struct disk *disk, struct worker *w) needs(disk->lock)
{
	list_add(&disk->idle_workers, &w->idle_link);
	while (!w->is_called)
		cond_wait(&w->called, &disk->lock);
	w->is_called = false;
	disk->nr_called--;
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	struct disk *disk = w->disk;
	struct request *rq;

	mutex_lock(&disk->lock);
	for (;;) {
		rq = queue_take(disk);
		if (rq) {
			queue_kick(disk);	/* more than one can do: another is called */
			queue_carry_out(disk, rq);
		} else if (disk->is_stopping) {
			break;
		} else {
			worker_sleep(disk, w);
		}
	}
	mutex_unlock(&disk->lock);
}

int workers_start(struct disk *disk, uint32_t nr)
{
	disk->workers = mem_zalloc(nr * sizeof(*disk->workers));
	if (!disk->workers)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++) {
		struct worker *w = &disk->workers[i];

		w->disk = disk;
		list_init(&w->idle_link);
		cond_init(&w->called);
		disk->nr_workers++;
		w->thread = thread_create("block-worker", worker_main, w);
		if (!w->thread)
			return -EAGAIN;	/* the caller stops those that run */
	}
	return 0;
}

void workers_stop(struct disk *disk)
{
	mutex_lock(&disk->lock);
	disk->is_stopping = true;
	for (uint32_t i = 0; i < disk->nr_workers; i++) {
		struct worker *w = &disk->workers[i];

		list_del(&w->idle_link);
		if (!w->is_called) {
			w->is_called = true;
			disk->nr_called++;
		}
		cond_signal(&w->called);
	}
	mutex_unlock(&disk->lock);
	for (uint32_t i = 0; i < disk->nr_workers; i++) {
		thread_join(disk->workers[i].thread);
		cond_done(&disk->workers[i].called);
	}
	mem_free(disk->workers);
	disk->workers = NULL;
	disk->nr_workers = 0;
}
