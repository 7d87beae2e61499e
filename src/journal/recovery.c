/*
 * Recovery: what a crash left in the log becomes the file system.
 *
 * The log is walked transaction by transaction from its tail. One walker knows its structure;
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

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "block/plug.h"
#include "journal_private.h"

#define WINDOW_BLOCKS 256u	/* log blocks read at once */
#define REPLAY_BLOCKS 256u	/* home blocks written at once */

/* ---- reading the log ---- */

struct reader {
	struct journal *j;
	uint8_t *window;
	uint32_t first, nr;	/* log blocks in the window */
};

static int reader_init(struct reader *r, struct journal *j)
{
	*r = (struct reader){.j = j};
	r->window = mem_alloc_aligned((size_t)WINDOW_BLOCKS * j->config.block_bytes, 4096);
	return r->window ? 0 : -ENOMEM;
}

/* The block stays valid until the next call. */
static int reader_get(struct reader *r, uint32_t log_block, const uint8_t **ret_block)
{
	struct journal *j = r->j;

	if (log_block < r->first || log_block - r->first >= r->nr) {
		uint32_t nr = min(WINDOW_BLOCKS, j->log_end - log_block);
		int err = ring_read(j, log_block, nr, r->window);

		r->nr = 0;
		if (err)
			return err;
		r->first = log_block;
		r->nr = nr;
	}
	*ret_block = r->window + (size_t)(log_block - r->first) * j->config.block_bytes;
	return 0;
}

/* ---- the walker ---- */

struct tag {
	fsblk_t block;
	bool is_escaped, is_last, has_uuid;
	uint32_t checksum;		/* V2: 16 bits, V3: 32 */
};

enum outcome {
	WALK_COMMIT,	/* a whole transaction, checksums right */
	WALK_BAD,	/* a whole transaction, a checksum wrong */
	WALK_END,	/* not a whole transaction of this tid */
};

struct walk {
	struct reader reader;
	uint32_t feature_incompat, feature_compat;
	uint32_t seed_v3;		/* CRC32C of the journal's UUID */
	tid_t tid;			/* of the transaction being walked */
	uint32_t at;			/* the next log block */
	uint32_t nr_left;		/* log blocks not walked yet: it ends in any case */
	struct timespec commit_time;	/* of the last commit block */
	bool sums;			/* verify checksums */

	/* the visitor */
	int (*on_block)(void *arg, const struct walk *w, const struct tag *tag, uint32_t log_block);
	int (*on_revoke)(void *arg, const struct walk *w, fsblk_t block);
	void *arg;

	/* of the transaction being walked */
	uint32_t sum_v1;
	bool is_bad;
};

static bool has_v2(const struct walk *w)
{
	return w->feature_incompat & JOURNAL_INCOMPAT_CSUM_V2;
}

static bool has_v3(const struct walk *w)
{
	return w->feature_incompat & JOURNAL_INCOMPAT_CSUM_V3;
}

/* The next block of the log; false when the whole ring was walked. */
static int next_block(struct walk *w, const uint8_t **ret_block, uint32_t *ret_log_block)
{
	if (w->nr_left == 0)
		return -ENODATA;
	*ret_log_block = w->at;
	w->nr_left--;
	w->at = log_next(w->reader.j, w->at, 1);
	return reader_get(&w->reader, *ret_log_block, ret_block);
}

/* CRC32C of a block in which the field at `offset` counts as zero. */
static uint32_t sum_without(const struct walk *w, const uint8_t *block, size_t offset)
{
	const uint32_t zero = 0;
	size_t size = w->reader.j->config.block_bytes;
	uint32_t sum = crc32c(w->seed_v3, block, offset);

	sum = crc32c(sum, &zero, sizeof(zero));
	return crc32c(sum, block + offset + sizeof(zero), size - offset - sizeof(zero));
}

static bool tail_is_right(const struct walk *w, const uint8_t *block)
{
	size_t offset = w->reader.j->config.block_bytes - sizeof(struct journal_tail);

	if (!has_v2(w) && !has_v3(w))
		return true;
	return be32_get(((const struct journal_tail *)(block + offset))->checksum) == sum_without(w, block, offset);
}

static bool data_is_right(const struct walk *w, const struct tag *tag, const uint8_t *data)
{
	be32_t sequence = be32_make(w->tid);
	uint32_t sum;

	if (!has_v2(w) && !has_v3(w))
		return true;
	sum = crc32c(w->seed_v3, &sequence, sizeof(sequence));
	sum = crc32c(sum, data, w->reader.j->config.block_bytes);
	return has_v3(w) ? sum == tag->checksum : (sum & 0xffff) == tag->checksum;
}

static bool commit_is_right(const struct walk *w, const uint8_t *block)
{
	const struct journal_commit *commit = (const struct journal_commit *)block;

	if (has_v2(w) || has_v3(w))
		return be32_get(commit->chksum[0]) ==
		       sum_without(w, block, offsetof(struct journal_commit, chksum));
	if (!(w->feature_compat & JOURNAL_COMPAT_CHECKSUM))
		return true;
	if (commit->chksum_type == 0 && commit->chksum_size == 0 && be32_get(commit->chksum[0]) == 0)
		return true;	/* written before the feature was set */
	return commit->chksum_type == JOURNAL_CHKSUM_CRC32 && commit->chksum_size == JOURNAL_CRC32_SIZE &&
	       be32_get(commit->chksum[0]) == w->sum_v1;
}

static void read_tag(const struct walk *w, const uint8_t *at, struct tag *ret)
{
	uint32_t flags, high = 0;

	if (has_v3(w)) {
		const struct journal_tag3 *t = (const struct journal_tag3 *)at;

		flags = be32_get(t->flags);
		high = be32_get(t->blocknr_high);
		ret->block = be32_get(t->blocknr);
		ret->checksum = be32_get(t->checksum);
	} else {
		const struct journal_tag *t = (const struct journal_tag *)at;

		flags = be16_get(t->flags);
		ret->block = be32_get(t->blocknr);
		ret->checksum = be16_get(t->checksum);
		if (w->feature_incompat & JOURNAL_INCOMPAT_64BIT)
			high = be32_get(t->blocknr_high);
	}
	if (w->feature_incompat & JOURNAL_INCOMPAT_64BIT)
		ret->block |= (fsblk_t)high << 32;
	ret->is_escaped = flags & JOURNAL_TAG_ESCAPE;
	ret->is_last = flags & JOURNAL_TAG_LAST;
	ret->has_uuid = !(flags & JOURNAL_TAG_SAME_UUID);
}

/* One block that a tag names. */
static int walk_data(struct walk *w, const struct tag *tag)
{
	uint32_t size = w->reader.j->config.block_bytes, log_block;
	const uint8_t *data;
	int err = next_block(w, &data, &log_block);

	if (err)
		return err;
	if (w->sums) {
		if (w->feature_compat & JOURNAL_COMPAT_CHECKSUM)
			w->sum_v1 = crc32_be(w->sum_v1, data, size);
		if (!data_is_right(w, tag, data))
			w->is_bad = true;
	}
	return w->on_block ? w->on_block(w->arg, w, tag, log_block) : 0;
}

static int walk_descriptor(struct walk *w, const uint8_t *block)
{
	uint32_t size = w->reader.j->config.block_bytes;
	size_t tag_bytes = journal_tag_bytes(w->feature_incompat);
	size_t end = size - (has_v2(w) || has_v3(w) ? sizeof(struct journal_tail) : 0);
	size_t at = sizeof(struct journal_header);
	uint8_t *copy = mem_alloc(size);	/* reading data moves the window */
	struct tag tag = {0};
	int err = 0;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, block, size);
	if (w->sums) {
		if (w->feature_compat & JOURNAL_COMPAT_CHECKSUM)
			w->sum_v1 = crc32_be(w->sum_v1, copy, size);
		if (!tail_is_right(w, copy))
			w->is_bad = true;
	}
	while (!err && !tag.is_last && at + tag_bytes <= end) {
		read_tag(w, copy + at, &tag);
		at += tag_bytes + (tag.has_uuid ? JOURNAL_UUID_BYTES : 0);
		err = walk_data(w, &tag);
	}
	mem_free(copy);
	return err;
}

static int walk_revoke(struct walk *w, const uint8_t *block)
{
	size_t record = journal_revoke_record_bytes(w->feature_incompat);
	size_t end = be32_get(((const struct journal_revoke *)block)->count);
	uint32_t size = w->reader.j->config.block_bytes;
	int err = 0;

	if (w->sums && !tail_is_right(w, block))
		w->is_bad = true;
	if (end > size || end < sizeof(struct journal_revoke)) {
		w->is_bad = true;
		return 0;
	}
	for (size_t at = sizeof(struct journal_revoke); !err && w->on_revoke && at + record <= end; at += record) {
		be64_t wide;
		be32_t narrow;

		memcpy(&narrow, block + at, sizeof(narrow));
		if (record == sizeof(wide))
			memcpy(&wide, block + at, sizeof(wide));
		err = w->on_revoke(w->arg, w, record == sizeof(wide) ? be64_get(wide) : be32_get(narrow));
	}
	return err;
}

static enum outcome end_of(struct walk *w, const uint8_t *block)
{
	const struct journal_commit *commit = (const struct journal_commit *)block;

	w->commit_time.tv_sec = (time_t)be64_get(commit->commit_sec);
	w->commit_time.tv_nsec = be32_get(commit->commit_nsec);
	if (w->sums && !commit_is_right(w, block))
		w->is_bad = true;
	return w->is_bad ? WALK_BAD : WALK_COMMIT;
}

/* Walks transaction w->tid from w->at on. Afterwards w->at is behind its commit block. */
static int walk_transaction(struct walk *w, enum outcome *ret)
{
	w->sum_v1 = CRC32_BE_SEED;
	w->is_bad = false;
	*ret = WALK_END;
	for (;;) {
		const struct journal_header *header;
		const uint8_t *block;
		uint32_t log_block;
		int err = next_block(w, &block, &log_block);

		if (err)
			return err == -ENODATA ? 0 : err;
		header = (const struct journal_header *)block;
		if (be32_get(header->magic) != JOURNAL_MAGIC || be32_get(header->sequence) != w->tid)
			return 0;
		switch (be32_get(header->blocktype)) {
		case JOURNAL_DESCRIPTOR_BLOCK:
			err = walk_descriptor(w, block);
			break;
		case JOURNAL_REVOKE_BLOCK:
			err = walk_revoke(w, block);
			break;
		case JOURNAL_COMMIT_BLOCK:
			*ret = end_of(w, block);
			return 0;
		default:
			return 0;
		}
		if (err)
			return err == -ENODATA ? 0 : err;
	}
}

static int walk_init(struct walk *w, struct journal *j)
{
	*w = (struct walk){
		.feature_compat = be32_get(j->super.feature_compat),
		.feature_incompat = be32_get(j->super.feature_incompat),
		.tid = be32_get(j->super.sequence),
		.at = be32_get(j->super.start),
		.nr_left = j->log_end - j->log_first,
	};
	if (be32_get(j->super.header.blocktype) == JOURNAL_SUPERBLOCK_V1)
		w->feature_compat = w->feature_incompat = 0;
	w->seed_v3 = crc32c(~0u, j->super.uuid, sizeof(j->super.uuid));
	return reader_init(&w->reader, j);
}

static void walk_done(struct walk *w)
{
	mem_free(w->reader.window);
}

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
