/*
 * Reading ahead. A few threads keep a window in front of the pass, and sleep when it is full.
 *
 * The disk does several things at a time only if it is asked for several: each thread takes a unit (the
 * tables of a group, a step of directory blocks) and reads it for good, into memory that nobody looks at
 * but to find the indirect blocks that the pass will want next; these are asked for as well. What the host
 * has in memory already is passed over, so a warm check loses nothing.
 *
 * A pass that stops in the middle (fsck_stop) leaves the process, so the threads need no way out
 * but prefetch_end().
 */
#include "prefetch.h"

#include <sys/stat.h>

#include "base/bitmap.h"
#include "base/lock.h"
#include "base/mem.h"

#define NR_THREADS        4u
#define WINDOW_GROUPS     16u /* groups ahead */
#define STEP_DIR_BLOCKS   128u /* blocks looked at together to find runs */
#define WINDOW_DIR_BLOCKS 4096u /* directory blocks ahead */
#define PIECE_BYTES       (1u << 20)

struct prefetch;

struct reader {
	struct prefetch *p;
	struct thread *thread;
	uint8_t *piece;
};

struct prefetch {
	struct fsck *f;
	void (*read_unit)(struct reader *r, uint64_t unit);
	uint64_t nr_units, window; /* in units */
	uint64_t step; /* what the pass counts in, in a unit */
	struct mutex lock;
	struct cond moved;
	uint64_t reached; /* [lock] in units */
	uint64_t next; /* [lock] the unit that nobody has taken */
	bool is_over; /* [lock] */
	struct reader readers[NR_THREADS];
};

/* The next unit, when it is inside the window; false: there is none, or it is over. */
static bool take_unit(struct prefetch *p, uint64_t *ret)
{
	bool goes_on;

	mutex_lock(&p->lock);
	while (!p->is_over && p->next < p->nr_units && p->next >= p->reached + p->window)
		cond_wait(&p->moved, &p->lock);
	p->next = max(p->next, p->reached); /* where the pass has been nobody is needed */
	goes_on = !p->is_over && p->next < p->nr_units;
	*ret = p->next++;
	mutex_unlock(&p->lock);
	return goes_on;
}

static void run(void *arg)
{
	struct reader *r = arg;
	uint64_t unit;

	while (take_unit(r->p, &unit))
		r->p->read_unit(r, unit);
}

/* ---- inode tables ---- */

static bool has_tree(const struct ext_inode *raw)
{
	unsigned mode = le16_get(raw->mode);

	return le16_get(raw->links_count) && (S_ISREG(mode) || S_ISDIR(mode));
}

static void ask_for_indirect(const struct fsck *f, const uint8_t *bytes, uint64_t len)
{
	uint64_t at;
	unsigned i;

	for (at = 0; at + f->geo.inode_size <= len; at += f->geo.inode_size) {
		const struct ext_inode *raw = (const void *)(bytes + at);

		if (!has_tree(raw))
			continue;
		for (i = EXT_NDIR_BLOCKS; i < EXT_N_BLOCKS; i++)
			if (le32_get(raw->block[i]) && le32_get(raw->block[i]) < f->geo.blocks_count)
				store_prefetch(&f->store, le32_get(raw->block[i]), 1);
	}
}

static void read_tables(struct reader *r, uint64_t unit)
{
	const struct fsck *f = r->p->f;
	const struct ext_group_desc *d = &f->desc[unit];
	uint64_t at = (uint64_t)le32_get(d->inode_table) << f->geo.block_bits;
	uint64_t end = at + ((uint64_t)f->geo.inode_table_blocks << f->geo.block_bits);

	if (bitmap_test(f->bad_tables, unit))
		return;
	while ((at = round_down(store_next_data(&f->store, at, end), f->geo.block_size)) < end) {
		uint64_t hole = round_up(store_next_hole(&f->store, at, end), f->geo.block_size);
		uint64_t count = min(hole - at, (uint64_t)PIECE_BYTES);

		if (!store_is_cached(&f->store, at, count) &&
		    store_peek(&f->store, at, r->piece, count))
			ask_for_indirect(f, r->piece, count);
		at += count;
	}
}

/* ---- directory blocks ---- */

static void read_dir_blocks(struct reader *r, uint64_t unit)
{
	const struct fsck *f = r->p->f;
	size_t i = unit * STEP_DIR_BLOCKS, end = min(i + STEP_DIR_BLOCKS, f->nr_dir_blocks), run_length;

	for (; i < end; i += run_length) {
		const struct dir_block *b = &f->dir_blocks[i];

		for (run_length = 1;
		     i + run_length < end && b[run_length].block == b->block + run_length;
		     run_length++)
			;
		if (b->block)
			store_prefetch(&f->store, b->block, run_length);
	}
}

/* ---- starting and stopping ---- */

/* Without memory for one thread the others do its work; without any the pass reads for itself. */
static struct prefetch *start(struct fsck *f, void (*read_unit)(struct reader *, uint64_t),
			      uint64_t nr_units, uint64_t window, uint64_t step)
{
	struct prefetch *p = f->store.over ? NULL : mem_zalloc(sizeof(*p));
	unsigned i;

	if (!p)
		return NULL;
	p->f = f;
	p->read_unit = read_unit;
	p->nr_units = nr_units;
	p->window = window;
	p->step = step;
	mutex_init(&p->lock, RANK_LEAF, "fsck prefetch");
	cond_init(&p->moved);
	for (i = 0; i < NR_THREADS; i++) {
		struct reader *r = &p->readers[i];

		r->p = p;
		r->piece = mem_alloc(PIECE_BYTES);
		if (r->piece)
			r->thread = thread_create("fsck-ahead", run, r);
	}
	return p;
}

struct prefetch *prefetch_tables(struct fsck *f)
{
	return f->geo.groups_count > 1 ? start(f, read_tables, f->geo.groups_count, WINDOW_GROUPS, 1)
				       : NULL;
}

struct prefetch *prefetch_dir_blocks(struct fsck *f)
{
	uint64_t nr_units = (f->nr_dir_blocks + STEP_DIR_BLOCKS - 1) / STEP_DIR_BLOCKS;

	return nr_units > 1 ? start(f, read_dir_blocks, nr_units, WINDOW_DIR_BLOCKS / STEP_DIR_BLOCKS,
				    STEP_DIR_BLOCKS)
			    : NULL;
}

void prefetch_reached(struct prefetch *p, uint64_t at)
{
	if (!p)
		return;
	mutex_lock(&p->lock);
	p->reached = at / p->step;
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
	for (i = 0; i < NR_THREADS; i++) {
		if (p->readers[i].thread)
			thread_join(p->readers[i].thread);
		mem_free(p->readers[i].piece);
	}
	cond_done(&p->moved);
	mutex_done(&p->lock);
	mem_free(p);
}
