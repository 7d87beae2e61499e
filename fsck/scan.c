/*
 * The inode tables, piece by piece.
 *
 *	     done with      handed out      being read by threads
 *	 ... | 17 | 18 |   19 (pass 1)   |  20 | 21 | 22 | 23 | ...
 *	     `-- slots of these are free          ready or not, at most SLOTS_MAX
 *
 * Where a piece lies follows from its number, so that threads agree on the order without a word. Each
 * reads one piece after another for good, and asks the kernel for the blocks that its inodes will lead
 * pass 1 to; these come while the pass is still busy with pieces before it.
 *
 * What threads read is what the image had. From the first change on that the store holds back or has
 * written during the scan, pieces are read once more by the pass itself (N1), now from the host's memory.
 */
#include "scan.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bitmap.h"
#include "base/lock.h"
#include "base/mem.h"

#define NR_THREADS  4u
#define SLOTS_MAX   16u
#define PIECE_BYTES (1u << 20)
#define WANTED_MAX  512u /* blocks asked for together */

struct slot {
	uint8_t *bytes; /* allocated by the first thread that reads into it */
	int err; /* [none: whoever has the piece] */
	bool is_hole; /* [none: whoever has the piece] */
	bool is_ready; /* [lock] */
};

struct scan {
	/* fixed */
	struct fsck *f;
	unsigned pieces_per_group;
	uint64_t nr_pieces;
	uint64_t changes; /* of the store, when the scan began */
	struct thread *threads[NR_THREADS];
	unsigned nr_threads;
	/* changing */
	struct mutex lock;
	struct cond room; /* a slot became free, or it is over */
	struct cond ready; /* a piece was read */
	uint64_t next; /* [lock] the piece that no thread has taken */
	uint64_t done; /* [lock] the pass needs none before this */
	uint64_t at; /* [none: pass] the piece that scan_next() gives */
	bool is_over; /* [lock] */
	struct slot slots[SLOTS_MAX];
};

/* ---- where pieces lie ---- */

struct extent {
	group_t group;
	uint32_t first_block; /* in the group's table */
	uint64_t at; /* bytes */
	uint32_t len;
};

static struct extent extent_of(const struct scan *s, uint64_t nth)
{
	const struct geometry *geo = &s->f->geo;
	group_t g = (group_t)(nth / s->pieces_per_group);
	uint32_t per_piece = PIECE_BYTES >> geo->block_bits;
	uint32_t first = (uint32_t)(nth % s->pieces_per_group) * per_piece;

	return (struct extent){
		.group = g,
		.first_block = first,
		.at = ((uint64_t)le32_get(s->f->desc[g].inode_table) + first) << geo->block_bits,
		.len = min(per_piece, geo->inode_table_blocks - first) << geo->block_bits,
	};
}

/* ---- what inodes lead to ---- */

struct wanted {
	const struct fsck *f;
	uint32_t blocks[WANTED_MAX];
	size_t count;
};

static void want(struct wanted *w, uint32_t block)
{
	if (!block || !pointer_is_possible(w->f, block))
		return;
	if (w->count == WANTED_MAX) {
		store_prefetch_each(&w->f->store, w->blocks, w->count);
		w->count = 0;
	}
	w->blocks[w->count++] = block;
}

static void want_of_inode(struct wanted *w, const struct ext_inode *raw)
{
	unsigned mode = le16_get(raw->mode), i;

	want(w, le32_get(raw->file_acl));
	if (S_ISLNK(mode) ? le32_get(raw->size) >= sizeof(raw->block)
			  : S_ISDIR(mode) && le32_get(raw->flags) & EXT_INDEX_FL)
		want(w, le32_get(raw->block[0]));
	if (S_ISREG(mode) || S_ISDIR(mode))
		for (i = EXT_NDIR_BLOCKS; i < EXT_N_BLOCKS; i++)
			want(w, le32_get(raw->block[i]));
}

static void ask_for_more(const struct fsck *f, const uint8_t *bytes, uint32_t len)
{
	struct wanted w = {.f = f};
	uint32_t at;

	for (at = 0; at + f->geo.inode_size <= len; at += f->geo.inode_size) {
		const struct ext_inode *raw = (const void *)(bytes + at);

		if (le16_get(raw->links_count))
			want_of_inode(&w, raw);
	}
	store_prefetch_each(&f->store, w.blocks, w.count);
}

/* ---- reading ---- */

/* What lies in holes is not read, but made. */
static int read_data(const struct fsck *f, const struct extent *e, uint8_t *bytes)
{
	uint64_t at = e->at, end = e->at + e->len;

	while (at < end) {
		uint64_t data = round_down(store_next_data(&f->store, at, end), f->geo.block_size);
		uint64_t hole = round_up(store_next_hole(&f->store, data, end), f->geo.block_size);
		int err = store_peek(&f->store, data, bytes + (data - e->at), hole - data);

		if (err)
			return err;
		memset(bytes + (at - e->at), 0, data - at);
		at = hole;
	}
	return 0;
}

static void read_piece(struct scan *s, struct slot *slot, uint64_t nth)
{
	const struct fsck *f = s->f;
	struct extent e = extent_of(s, nth);

	slot->is_hole =
		bitmap_test(f->bad_tables, e.group) || store_is_zero(&f->store, e.at, e.len);
	slot->err = 0;
	if (slot->is_hole)
		return;
	if (!slot->bytes)
		slot->bytes = mem_alloc(PIECE_BYTES);
	slot->err = slot->bytes ? read_data(f, &e, slot->bytes) : -ENOMEM;
	if (!slot->err)
		ask_for_more(f, slot->bytes, e.len);
}

static bool take(struct scan *s, uint64_t *ret_nth)
{
	bool goes_on;

	mutex_lock(&s->lock);
	while (!s->is_over && s->next < s->nr_pieces && s->next >= s->done + SLOTS_MAX)
		cond_wait(&s->room, &s->lock);
	goes_on = !s->is_over && s->next < s->nr_pieces;
	*ret_nth = goes_on ? s->next++ : 0;
	mutex_unlock(&s->lock);
	return goes_on;
}

static void run(void *arg)
{
	struct scan *s = arg;
	uint64_t nth;

	while (take(s, &nth)) {
		struct slot *slot = &s->slots[nth % SLOTS_MAX];

		read_piece(s, slot, nth);
		mutex_lock(&s->lock);
		slot->is_ready = true;
		cond_signal(&s->ready);
		mutex_unlock(&s->lock);
	}
}

/* ---- for the pass ---- */

/* The piece before is done with: its slot is free. */
static void let_go(struct scan *s)
{
	mutex_lock(&s->lock);
	if (s->at) {
		s->slots[(s->at - 1) % SLOTS_MAX].is_ready = false;
		s->done = s->at;
		cond_signal(&s->room);
	}
	mutex_unlock(&s->lock);
}

static void wait_for(struct scan *s, struct slot *slot)
{
	mutex_lock(&s->lock);
	while (!slot->is_ready)
		cond_wait(&s->ready, &s->lock);
	mutex_unlock(&s->lock);
}

static bool is_stale(const struct scan *s)
{
	return s->f->store.nr_held || s->f->store.nr_changes != s->changes;
}

static bool still_is_hole(const struct fsck *f, const struct extent *e)
{
	unsigned bits = f->geo.block_bits;

	return !store_holds(&f->store, e->at >> bits, e->len >> bits) &&
	       store_is_zero(&f->store, e->at, e->len);
}

/* N1: as the store has it now. Pieces for which a thread had no memory come here too. */
static void read_again(struct scan *s, struct slot *slot, const struct extent *e)
{
	struct fsck *f = s->f;

	if (slot->is_hole && still_is_hole(f, e))
		return;
	if (!slot->bytes)
		slot->bytes = mem_alloc(PIECE_BYTES);
	slot->is_hole = false;
	slot->err = slot->bytes ? store_read(&f->store, e->at >> f->geo.block_bits,
					     e->len >> f->geo.block_bits, slot->bytes)
				: -ENOMEM;
}

bool scan_next(struct scan *s, struct scan_piece *ret)
{
	struct slot *slot = &s->slots[s->at % SLOTS_MAX];
	const struct geometry *geo = &s->f->geo;
	struct extent e;

	let_go(s);
	if (s->at == s->nr_pieces)
		return false;
	e = extent_of(s, s->at);
	if (s->nr_threads)
		wait_for(s, slot);
	else
		read_piece(s, slot, s->at);
	if (!bitmap_test(s->f->bad_tables, e.group) && (slot->err || is_stale(s)))
		read_again(s, slot, &e);
	else if (!slot->is_hole)
		s->f->store.bytes_read += e.len;
	s->at++;
	*ret = (struct scan_piece){
		.group = e.group,
		.first = e.first_block * geo->inodes_per_block,
		.count = min((e.len >> geo->block_bits) * geo->inodes_per_block,
			     geo->inodes_per_group - e.first_block * geo->inodes_per_block),
		.bytes = slot->is_hole || slot->err ? NULL : slot->bytes,
		.err = slot->err,
	};
	return true;
}

/* ---- starting and stopping ---- */

/*
 * Through a disk over the image only the pass may read. Without memory for a thread the others do its
 * work.
 */
static void start_threads(struct scan *s)
{
	unsigned i, wanted = (unsigned)min((uint64_t)NR_THREADS, s->nr_pieces / 2);

	if (s->f->store.over)
		return;
	for (i = 0; i < wanted; i++) {
		s->threads[s->nr_threads] = thread_create("fsck-scan", run, s);
		s->nr_threads += s->threads[s->nr_threads] != NULL;
	}
}

struct scan *scan_begin(struct fsck *f)
{
	struct scan *s = mem_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->f = f;
	s->pieces_per_group = div_round_up(f->geo.inode_table_blocks, PIECE_BYTES >> f->geo.block_bits);
	s->nr_pieces = (uint64_t)f->geo.groups_count * s->pieces_per_group;
	s->changes = f->store.nr_changes;
	mutex_init(&s->lock, RANK_LEAF, "fsck scan");
	cond_init(&s->room);
	cond_init(&s->ready);
	start_threads(s);
	return s;
}

void scan_end(struct scan *s)
{
	unsigned i;

	if (!s)
		return;
	mutex_lock(&s->lock);
	s->is_over = true;
	cond_broadcast(&s->room);
	mutex_unlock(&s->lock);
	for (i = 0; i < s->nr_threads; i++)
		thread_join(s->threads[i]);
	for (i = 0; i < SLOTS_MAX; i++)
		mem_free(s->slots[i].bytes);
	cond_done(&s->room);
	cond_done(&s->ready);
	mutex_done(&s->lock);
	mem_free(s);
}
