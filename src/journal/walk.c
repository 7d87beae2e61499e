/*
 * The log's structure, as it is read back: see walk.h.
 */
#include <errno.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "walk.h"

#define WINDOW_BLOCKS 256u	/* log blocks read at once */

/* ---- reading the log ---- */

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

static bool has_v2(const struct walk *w)
{
	return w->feature_incompat & JOURNAL_INCOMPAT_CSUM_V2;
}

static bool has_v3(const struct walk *w)
{
	return w->feature_incompat & JOURNAL_INCOMPAT_CSUM_V3;
}

/* The next block of the log; -ENODATA when the whole ring was walked. */
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

int walk_transaction(struct walk *w, enum outcome *ret)
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

int walk_init(struct walk *w, struct journal *j)
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

void walk_done(struct walk *w)
{
	mem_free(w->reader.window);
}

