/*
 * Reading ahead. A few threads keep a window in front of the pass, and sleep when it is full.
 *
 * The disk does several things at a time only if it is asked for several: each thread takes a unit and
 * asks the kernel for its blocks, in the order of the disk. What the host has in memory already costs a
 * look, so a warm check loses nothing.
 *
 * A pass that stops in the middle (fsck_stop) leaves the process, so the threads need no way out
 * but prefetch_end().
 */
#include "prefetch.h"

#include <sys/stat.h>

#include "base/bitmap.h"
#include "base/lock.h"
#include "base/mem.h"

#define NR_THREADS      4u
#define DIR_BLOCKS_UNIT 128u
#define GROUPS_UNIT     64u
#define WINDOW_UNITS    32u /* ahead of the pass */

struct prefetch {
	struct fsck *f;
	void (*ask)(const struct fsck *f, uint64_t unit);
	uint64_t nr_units;
	uint64_t unit_size; /* directory blocks or groups */
	struct thread *threads[NR_THREADS]; /* NULL where there is none */
	struct mutex lock;
	struct cond moved;
	uint64_t reached; /* [lock] in units */
	uint64_t next; /* [lock] the unit that nobody has taken */
	bool is_over; /* [lock] */
};

/* The next unit, when it is inside the window; false: there is none, or it is over. */
static bool take_unit(struct prefetch *p, uint64_t *ret)
{
	bool goes_on;

	mutex_lock(&p->lock);
	while (!p->is_over && p->next < p->nr_units && p->next >= p->reached + WINDOW_UNITS)
		cond_wait(&p->moved, &p->lock);
	p->next = max(p->next, p->reached); /* where the pass has been nobody is needed */
	goes_on = !p->is_over && p->next < p->nr_units;
	*ret = p->next++;
	mutex_unlock(&p->lock);
	return goes_on;
}

static void run(void *arg)
{
	struct prefetch *p = arg;
	uint64_t unit;

	while (take_unit(p, &unit))
		p->ask(p->f, unit);
}

/* ---- what the passes read ---- */

static void ask_for_dir_blocks(const struct fsck *f, uint64_t unit)
{
	size_t i = unit * DIR_BLOCKS_UNIT, end = min(i + DIR_BLOCKS_UNIT, f->nr_dir_blocks), count = 0;
	uint32_t blocks[DIR_BLOCKS_UNIT];

	for (; i < end; i++)
		if (f->dir_blocks[i].block)
			blocks[count++] = f->dir_blocks[i].block;
	store_prefetch_each(&f->store, blocks, count);
}

static void ask_for_bitmaps(const struct fsck *f, uint64_t unit)
{
	group_t g = (group_t)(unit * GROUPS_UNIT), end = min(g + GROUPS_UNIT, f->geo.groups_count);
	uint32_t blocks[2 * GROUPS_UNIT];
	size_t count = 0;

	for (; g < end; g++) {
		blocks[count++] = le32_get(f->desc[g].block_bitmap);
		blocks[count++] = le32_get(f->desc[g].inode_bitmap);
	}
	store_prefetch_each(&f->store, blocks, count);
}

/* ---- starting and stopping ---- */

/* Without memory for one thread the others do its work; without any the pass reads for itself. */
static struct prefetch *start(struct fsck *f, void (*ask)(const struct fsck *, uint64_t), uint64_t size,
			      uint64_t unit_size)
{
	struct prefetch *p;
	unsigned i;

	if (f->store.over)
		return NULL;
	if (size <= unit_size) {
		ask(f, 0);
		return NULL;
	}
	p = mem_zalloc(sizeof(*p));
	if (!p)
		return NULL;
	p->f = f;
	p->ask = ask;
	p->nr_units = div_round_up(size, unit_size);
	p->unit_size = unit_size;
	mutex_init(&p->lock, RANK_LEAF, "fsck prefetch");
	cond_init(&p->moved);
	for (i = 0; i < NR_THREADS; i++)
		p->threads[i] = thread_create("fsck-ahead", run, p);
	return p;
}

struct prefetch *prefetch_dir_blocks(struct fsck *f)
{
	return start(f, ask_for_dir_blocks, f->nr_dir_blocks, DIR_BLOCKS_UNIT);
}

struct prefetch *prefetch_bitmaps(struct fsck *f)
{
	return start(f, ask_for_bitmaps, f->geo.groups_count, GROUPS_UNIT);
}

void prefetch_reached(struct prefetch *p, uint64_t at)
{
	if (!p || at % p->unit_size)
		return;
	mutex_lock(&p->lock);
	p->reached = at / p->unit_size;
	cond_broadcast(&p->moved);
	mutex_unlock(&p->lock);
}

void prefetch_end(struct prefetch *p)
{
	unsigned i;

	if (!p)
		return;
	mutex_lock(&p->lock);
	p->is_over = true;
	cond_broadcast(&p->moved);
	mutex_unlock(&p->lock);
	for (i = 0; i < NR_THREADS; i++)
		if (p->threads[i])
			thread_join(p->threads[i]);
	cond_done(&p->moved);
	mutex_done(&p->lock);
	mem_free(p);
}
