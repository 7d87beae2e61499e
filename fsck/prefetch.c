/*
 * Reading ahead. The thread keeps a window in front of the pass, and sleeps when it is full.
 *
 * A pass that stops in the middle (fsck_stop) leaves the process, so the thread needs no way out
 * but prefetch_end().
 */
#include "prefetch.h"

#include "base/bitmap.h"
#include "base/lock.h"
#include "base/mem.h"

#define WINDOW_GROUPS     8u /* inode tables ahead */
#define WINDOW_DIR_BLOCKS 2048u /* directory blocks ahead */
#define STEP_DIR_BLOCKS   128u /* blocks looked at together to find runs */

struct prefetch {
	struct fsck *f;
	struct thread *thread;
	struct mutex lock;
	struct cond moved;
	uint64_t reached; /* [lock] */
	bool is_over; /* [lock] */
};

/* Waits until at is inside the window; false: it is over. */
static bool wait_for(struct prefetch *p, uint64_t at, uint64_t window)
{
	bool goes_on;

	mutex_lock(&p->lock);
	while (!p->is_over && at >= p->reached + window)
		cond_wait(&p->moved, &p->lock);
	goes_on = !p->is_over;
	mutex_unlock(&p->lock);
	return goes_on;
}

static void run_tables(void *arg)
{
	struct prefetch *p = arg;
	const struct fsck *f = p->f;
	group_t g;

	for (g = 0; g < f->geo.groups_count && wait_for(p, g, WINDOW_GROUPS); g++)
		if (!bitmap_test(f->bad_tables, g))
			store_prefetch(&f->store, le32_get(f->desc[g].inode_table),
				       f->geo.inode_table_blocks);
}

static void run_dir_blocks(void *arg)
{
	struct prefetch *p = arg;
	const struct fsck *f = p->f;
	size_t i = 0, end, run;

	while (i < f->nr_dir_blocks && wait_for(p, i, WINDOW_DIR_BLOCKS)) {
		end = min(i + STEP_DIR_BLOCKS, f->nr_dir_blocks);
		for (; i < end; i += run) {
			const struct dir_block *b = &f->dir_blocks[i];

			for (run = 1; i + run < end && b[run].block == b->block + run; run++)
				;
			if (b->block)
				store_prefetch(&f->store, b->block, run);
		}
	}
}

static struct prefetch *start(struct fsck *f, void (*fn)(void *))
{
	struct prefetch *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->f = f;
	mutex_init(&p->lock, RANK_LEAF, "fsck prefetch");
	cond_init(&p->moved);
	p->thread = thread_create("fsck-ahead", fn, p);
	return p;
}

struct prefetch *prefetch_tables(struct fsck *f)
{
	return f->geo.groups_count > 1 ? start(f, run_tables) : NULL;
}

struct prefetch *prefetch_dir_blocks(struct fsck *f)
{
	return f->nr_dir_blocks > STEP_DIR_BLOCKS ? start(f, run_dir_blocks) : NULL;
}

void prefetch_reached(struct prefetch *p, uint64_t at)
{
	if (!p)
		return;
	mutex_lock(&p->lock);
	p->reached = at;
	cond_signal(&p->moved);
	mutex_unlock(&p->lock);
}

void prefetch_end(struct prefetch *p)
{
	if (!p)
		return;
	mutex_lock(&p->lock);
	p->is_over = true;
	cond_signal(&p->moved);
	mutex_unlock(&p->lock);
	thread_join(p->thread);
	cond_done(&p->moved);
	mutex_done(&p->lock);
	mem_free(p);
}
