/*
 * Recovery: what a crash left in the log becomes the file system.
 *
 * The log is walked transaction by transaction from its tail. The walker (walk.h) knows its structure;
 * three visitors take what they need:
 *
 *	scan      finds where the valid log ends; looks at sequence numbers and checksums
 *	revoke    collects which blocks must not be replayed up to which tid
 *	replay    notes the newest copy of each block, and writes them home in disk order
 *
 * Cut at any point it can be begun again: blocks written home twice are the same blocks, and the
 * log is emptied by one sector write after all of them are durable.
 *
 * Where the valid log ends (the writer may not have flushed between blocks and commit block):
 *
 *	no commit block, wrong sequence       the end; usual after a crash
 *	checksum wrong, commit older than     the end; what follows is an older round of the ring
 *	the one before
 *	checksum wrong, nothing valid behind  the end; a torn last commit
 *	checksum wrong, valid tid + 1 behind  damage: replay up to it, and say so
 *
 * The time alone says nothing: clocks are put back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "block/plug.h"
#include "walk.h"

#define REPLAY_BLOCKS 256u	/* home blocks written at once */

/* ---- scan ---- */

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* A bad transaction: is a valid one of the next tid behind it? Then it is damage, not a torn end. */
static int judge_bad(struct walk *w, struct journal_recovery *ret)
{
	struct timespec bad_time = w->commit_time;
	enum outcome next;
	int err;

	w->tid++;
	err = walk_transaction(w, &next);
	if (err)
		return err;
	if (next == WALK_COMMIT && !is_before(w->commit_time, bad_time)) {
		ret->is_corrupt = true;
		snprintf(ret->text, sizeof(ret->text),
			 "transaction %u in the journal is damaged, and later ones are there", ret->end_tid);
	} else {
		ret->was_torn = true;
	}
	return 0;
}

static int scan(struct journal *j, struct journal_recovery *ret)
{
	struct timespec last = {0};
	struct walk w;
	int err = walk_init(&w, j);

	w.sums = true;
	ret->first_tid = ret->end_tid = w.tid;
	while (!err) {
		enum outcome outcome;

		err = walk_transaction(&w, &outcome);
		if (err || outcome == WALK_END)
			break;
		if (outcome == WALK_BAD) {
			if (!is_before(w.commit_time, last))
				err = judge_bad(&w, ret);
			break;
		}
		last = w.commit_time;
		ret->end_tid = ++w.tid;
		ret->nr_transactions++;
	}
	walk_done(&w);
	return err;
}

/* ---- revoke ---- */

struct revoked_until {
	struct hash_node node;
	fsblk_t block;
	tid_t tid;		/* copies up to this one do not count */
};

static struct revoked_until *find_revoked(const struct hash *table, fsblk_t block)
{
	for (struct hash_node *n = hash_first(table, hash_u64(block)); n; n = hash_next_same(n))
		if (container_of(n, struct revoked_until, node)->block == block)
			return container_of(n, struct revoked_until, node);
	return NULL;
}

static int note_revoke(void *arg, const struct walk *w, fsblk_t block)
{
	struct hash *table = arg;
	struct revoked_until *r = find_revoked(table, block);

	if (!r) {
		r = mem_alloc(sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->block = block;
		hash_insert(table, &r->node, hash_u64(block));
	}
	r->tid = w->tid;
	return 0;
}

/* Visits all transactions that the scan found valid. */
static int visit(struct walk *w, tid_t end_tid)
{
	while (w->tid != end_tid) {
		enum outcome outcome;
		int err = walk_transaction(w, &outcome);

		if (err)
			return err;
		if (outcome != WALK_COMMIT)
			return -EIO;	/* the scan read something else */
		w->tid++;
	}
	return 0;
}

static int collect_revokes(struct journal *j, tid_t end_tid, struct hash *table)
{
	struct walk w;
	int err = walk_init(&w, j);

	w.on_revoke = note_revoke;
	w.arg = table;
	if (!err)
		err = visit(&w, end_tid);
	walk_done(&w);
	return err;
}

static void free_revokes(struct hash *table)
{
	struct hash_node *n;

	while ((n = hash_iterate(table, NULL)) != NULL) {
		hash_remove(table, n);
		mem_free(container_of(n, struct revoked_until, node));
	}
	hash_done(table);
}

/* ---- replay ---- */

struct copy {
	fsblk_t block;
	uint32_t log_block;
	uint32_t order;		/* later copies win */
	bool is_escaped;
};

struct replay {
	struct journal *j;
	const struct hash *revokes;
	struct journal_recovery *ret;
	struct copy *copies;
	uint32_t nr, nr_max;
};

static int note_block(void *arg, const struct walk *w, const struct tag *tag, uint32_t log_block)
{
	struct replay *rp = arg;
	const struct revoked_until *r = find_revoked(rp->revokes, tag->block);
	uint64_t disk_blocks = disk_limits(rp->j->config.disk)->size_bytes / rp->j->config.block_bytes;

	if (r && tid_geq(r->tid, w->tid)) {
		rp->ret->nr_revoked++;
		return 0;
	}
	if (tag->block >= disk_blocks) {
		snprintf(rp->ret->text, sizeof(rp->ret->text), "transaction %u names block %llu, beyond the end", w->tid,
			 (unsigned long long)tag->block);
		rp->ret->is_corrupt = true;
		return -EUCLEAN;
	}
	if (rp->nr == rp->nr_max) {
		uint32_t more = rp->nr_max ? rp->nr_max * 2 : 1024;	/* bounded by the ring */
		struct copy *copies = mem_realloc(rp->copies, more * sizeof(*copies));

		if (!copies)
			return -ENOMEM;
		rp->copies = copies;
		rp->nr_max = more;
	}
	rp->copies[rp->nr] = (struct copy){tag->block, log_block, rp->nr, tag->is_escaped};
	rp->nr++;
	return 0;
}

static int by_block_then_order(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Keeps the newest copy of each block, in disk order. */
static void keep_newest(struct replay *rp)
{
	uint32_t kept = 0;

	if (!rp->nr)
		return;
	qsort(rp->copies, rp->nr, sizeof(rp->copies[0]), by_block_then_order);
	for (uint32_t i = 0; i < rp->nr; i++)
		if (i + 1 == rp->nr || rp->copies[i + 1].block != rp->copies[i].block)
			rp->copies[kept++] = rp->copies[i];
	rp->nr = kept;
}

/* Writes a run of consecutive home blocks from memory. */
static int write_runs(struct replay *rp, const uint8_t *memory, uint32_t first, uint32_t nr)
{
	uint32_t size = rp->j->config.block_bytes;

	for (uint32_t i = 0; i < nr;) {
		const struct copy *c = &rp->copies[first + i];
		uint32_t run = 1;
		int err;

		while (i + run < nr && c[run].block == c->block + run)
			run++;
		err = disk_write(rp->j->config.disk, c->block * size, memory + (size_t)i * size, run * size,
				 BIO_SYNC | BIO_META);
		if (err)
			return err;
		i += run;
	}
	return 0;
}

static int write_copies(struct replay *rp)
{
	const be32_t magic = be32_make(JOURNAL_MAGIC);
	uint32_t size = rp->j->config.block_bytes;
	uint8_t *memory = mem_alloc_aligned((size_t)REPLAY_BLOCKS * size, 4096);
	int err = memory ? 0 : -ENOMEM;

	for (uint32_t first = 0; !err && first < rp->nr; first += REPLAY_BLOCKS) {
		uint32_t nr = min(REPLAY_BLOCKS, rp->nr - first);

		for (uint32_t i = 0; !err && i < nr; i++) {
			const struct copy *c = &rp->copies[first + i];

			err = ring_read(rp->j, c->log_block, 1, memory + (size_t)i * size);
			if (c->is_escaped)
				memcpy(memory + (size_t)i * size, &magic, sizeof(magic));
		}
		if (!err)
			err = write_runs(rp, memory, first, nr);
	}
	mem_free(memory);
	rp->ret->nr_blocks = rp->nr;
	return err;
}

static int replay(struct journal *j, const struct hash *revokes, struct journal_recovery *ret)
{
	struct replay rp = {.j = j, .revokes = revokes, .ret = ret};
	struct walk w;
	int err = walk_init(&w, j);

	w.on_block = note_block;
	w.arg = &rp;
	if (!err)
		err = visit(&w, ret->end_tid);
	walk_done(&w);
	if (!err) {
		keep_newest(&rp);
		err = write_copies(&rp);
	}
	mem_free(rp.copies);
	return err;
}

/* ---- the whole ---- */

int journal_recover(struct journal *j, struct journal_recovery *ret)
{
	struct hash revokes;
	int err;

	*ret = (struct journal_recovery){0};
	if (!journal_needs_recovery(j))
		return 0;
	err = scan(j, ret);
	if (err)
		return err;
	err = hash_init(&revokes, 64);
	if (err)
		return err;
	err = collect_revokes(j, ret->end_tid, &revokes);
	if (!err)
		err = replay(j, &revokes, ret);
	free_revokes(&revokes);
	if (err)
		return err;
	if (ret->is_corrupt)
		return -EUCLEAN;	/* the log stays as it was, for whoever looks into it */
	trace("journal.recover", ret->nr_transactions, ret->nr_blocks);
	/*
	 * The flush in front makes durable what was replayed, before the log says that it is empty. One
	 * tid is left out, so that pieces of a torn transaction can never pass for a later one.
	 */
	return log_write_super(j, 0, ret->end_tid + 1, BIO_PREFLUSH | BIO_FUA);
}

int journal_wipe(struct journal *j)
{
	struct journal_recovery found = {0};
	int err;

	if (!journal_needs_recovery(j))
		return 0;
	err = scan(j, &found);
	return err ? err : log_write_super(j, 0, found.end_tid + 1, BIO_PREFLUSH | BIO_FUA);
}
