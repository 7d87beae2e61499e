/*
 * Kinds come from the bytes: the log's blocks carry their type and transaction; descriptors name
 * the homes of the blocks behind them. A block of a descriptor is found at its place in the log,
 * and of all that were ever written there it is the one submitted nearest to the descriptor: a
 * place is used again only a round of the log later.
 */
#include "crash/wlog.h"

#include <stdlib.h>
#include <string.h>

#include "crash/need.h"

#define MAGIC 0xc03b3998u
#define SUPER_BYTES 1024u
enum { TYPE_DESCRIPTOR = 1, TYPE_COMMIT = 2, TYPE_SUPER_V1 = 3, TYPE_SUPER_V2 = 4, TYPE_REVOKE = 5 };
enum { TAG_ESCAPED = 1, TAG_SAME_UUID = 2, TAG_LAST = 8 };

const char *const piece_names[PIECE_NR_KINDS] = {
	[PIECE_DATA] = "data",		   [PIECE_DESCRIPTOR] = "descriptor", [PIECE_LOG_BLOCK] = "log block",
	[PIECE_REVOKE] = "revoke",	   [PIECE_COMMIT] = "commit",	      [PIECE_CHECKPOINT] = "checkpoint",
	[PIECE_LOG_SUPER] = "journal superblock", [PIECE_SUPER] = "superblock",	[PIECE_STRAY] = "stray log block",
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- durable when ---- */

static uint64_t durable_at(const struct run *run, const struct run_write *w)
{
	uint64_t at = w->is_fua ? w->completed : UINT64_MAX;

	for (uint32_t i = 0; i < run->nr_flushes; i++)
		if (w->completed < run->flushes[i].submitted && run->flushes[i].completed < at)
			at = run->flushes[i].completed;
	return at;
}

/* ---- pieces ---- */

static void name_log_piece(struct piece *p)
{
	p->kind = PIECE_STRAY;
	if (be32(p->bytes) != MAGIC)
		return;
	p->tid = be32(p->bytes + 8);
	switch (be32(p->bytes + 4)) {
	case TYPE_DESCRIPTOR:
		p->kind = PIECE_DESCRIPTOR;
		break;
	case TYPE_COMMIT:
		p->kind = PIECE_COMMIT;
		p->has_checksum = p->bytes[12] != 0;
		break;
	case TYPE_REVOKE:
		p->kind = PIECE_REVOKE;
		break;
	case TYPE_SUPER_V1:
	case TYPE_SUPER_V2:
		p->kind = PIECE_LOG_SUPER;
		p->tid = be32(p->bytes + 24);
		break;
	default:
		break;
	}
}

static void add_piece(struct wlog *w, uint32_t write, uint32_t block, const uint8_t *bytes, uint64_t durable)
{
	const struct run_write *rw = &w->run->writes[write];
	struct piece *p = &w->pieces[w->nr];

	*p = (struct piece){.write = write, .block = block, .bytes = bytes, .submitted = rw->submitted, .durable = durable,
			    .before = w->last_at[block], .image_before = NO_PIECE};
	w->last_at[block] = w->nr++;
	if (w->lab->log_index[block])
		name_log_piece(p);
	else if (block == 1024 / w->lab->config.block_bytes)
		p->kind = PIECE_SUPER;
	else
		p->kind = rw->is_meta ? PIECE_CHECKPOINT : PIECE_DATA;
}

static void cut_into_pieces(struct wlog *w)
{
	uint32_t size = w->lab->config.block_bytes, room = 1;

	for (uint32_t i = 0; i < w->run->nr_writes; i++)
		room += 1 + w->run->writes[i].count * SECTOR_SIZE / size;
	w->pieces = need_memory(malloc(room * sizeof(w->pieces[0])));
	for (uint32_t i = 0; i < w->run->nr_writes; i++) {
		const struct run_write *rw = &w->run->writes[i];
		uint64_t durable = durable_at(w->run, rw);

		/* Superblocks are shorter than a large block. */
		for (uint32_t at = 0; !rw->is_discard && at + SUPER_BYTES <= rw->count * SECTOR_SIZE; at += size)
			add_piece(w, i, rw->sector / (size / SECTOR_SIZE) + at / size, rw->bytes + at, durable);
	}
}

/* ---- transactions ---- */

static struct wtransaction *tx_of(struct wlog *w, uint32_t tid)
{
	for (uint32_t i = 0; i < w->nr_txs; i++)
		if (w->txs[i].tid == tid)
			return &w->txs[i];
	return NULL;
}

const struct wtransaction *wlog_find(const struct wlog *w, uint32_t tid)
{
	return tx_of((struct wlog *)w, tid);
}

/* Its pieces have a checksum over them, or were durable before it: then it is the commit block alone. */
static void note_durable(struct wlog *w, const struct piece *p)
{
	struct wtransaction *tx = tx_of(w, p->tid);

	if (tx && w->pieces[tx->commit].has_checksum && p->durable > tx->durable)
		tx->durable = p->durable;
}

static void find_commits(struct wlog *w)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < w->nr; i++)
		room += w->pieces[i].kind == PIECE_COMMIT;
	w->txs = need_memory(malloc((room + 1) * sizeof(w->txs[0])));
	for (uint32_t i = 0; i < w->nr; i++)
		if (w->pieces[i].kind == PIECE_COMMIT)
			w->txs[w->nr_txs++] = (struct wtransaction){w->pieces[i].tid, i, w->pieces[i].durable};
}

/* Of all that was written to that place of the log, the one submitted nearest to piece `to`. */
static uint32_t nearest_at(const struct wlog *w, uint32_t block, uint32_t to)
{
	uint32_t best = NO_PIECE;

	for (uint32_t i = w->last_at[block]; i != NO_PIECE; i = w->pieces[i].before) {
		uint32_t far = i > to ? i - to : to - i;

		if (best == NO_PIECE || far < (best > to ? best - to : to - best))
			best = i;
	}
	return best;
}

static uint32_t next_log_block(const struct lab *lab, uint32_t block)
{
	uint32_t at = lab->log_index[block];	/* counted from 1; the superblock's is 1 */

	return at == lab->nr_log_blocks ? lab->log_blocks[1] : lab->log_blocks[at];
}

static void take_tags(struct wlog *w, uint32_t descriptor)
{
	const struct piece *d = &w->pieces[descriptor];
	uint32_t at = 12, flags = 0, block = d->block;

	while (!(flags & TAG_LAST) && at + 8 <= w->lab->config.block_bytes) {
		uint32_t found;

		flags = (uint32_t)d->bytes[at + 6] << 8 | d->bytes[at + 7];
		block = next_log_block(w->lab, block);
		found = nearest_at(w, block, descriptor);
		if (found != NO_PIECE && w->pieces[found].kind == PIECE_STRAY) {
			w->pieces[found].kind = PIECE_LOG_BLOCK;
			w->pieces[found].tid = d->tid;
			w->pieces[found].home = be32(d->bytes + at);
			w->pieces[found].is_escaped = flags & TAG_ESCAPED;
		}
		at += flags & TAG_SAME_UUID ? 8 : 24;
	}
}

static void take_revokes(struct wlog *w, const struct piece *p)
{
	uint32_t end = be32(p->bytes + 12);

	if (end > w->lab->config.block_bytes)
		end = w->lab->config.block_bytes;
	for (uint32_t at = 16; at + 4 <= end; at += 4) {
		if ((w->nr_revoked & (w->nr_revoked - 1)) == 0)
			w->revoked = need_memory(realloc(w->revoked, (2 * w->nr_revoked + 1) * sizeof(w->revoked[0])));
		w->revoked[w->nr_revoked++] = (struct revoked){p->tid, be32(p->bytes + at)};
	}
}

static void read_the_log(struct wlog *w)
{
	find_commits(w);
	for (uint32_t i = 0; i < w->nr; i++)
		if (w->pieces[i].kind == PIECE_DESCRIPTOR)
			take_tags(w, i);
	for (uint32_t i = 0; i < w->nr; i++) {
		struct piece *p = &w->pieces[i];

		if (p->kind == PIECE_REVOKE)
			take_revokes(w, p);
		if (p->kind == PIECE_LOG_BLOCK && p->home < w->lab->reader.blocks) {
			p->image_before = w->last_image[p->home];
			w->last_image[p->home] = i;
		}
		if (p->kind == PIECE_DESCRIPTOR || p->kind == PIECE_LOG_BLOCK || p->kind == PIECE_REVOKE)
			note_durable(w, p);
	}
}

/* Whether the log had the block when the piece was written to it. */
static bool was_logged(const struct wlog *w, const struct piece *p)
{
	uint32_t i = w->last_image[p->block];

	while (i != NO_PIECE && w->pieces[i].submitted > p->submitted)
		i = w->pieces[i].image_before;
	return i != NO_PIECE;
}

/* Data that lies beside metadata goes to the disk in one write with it, and the whole is called metadata. */
static void tell_data_apart(struct wlog *w)
{
	for (uint32_t i = 0; i < w->nr;) {
		uint32_t end = i, nr_known = 0;

		for (; end < w->nr && w->pieces[end].write == w->pieces[i].write; end++)
			nr_known += was_logged(w, &w->pieces[end]);
		for (; i < end; i++)
			if (nr_known && w->pieces[i].kind == PIECE_CHECKPOINT && !was_logged(w, &w->pieces[i]))
				w->pieces[i].kind = PIECE_DATA;
	}
}

void wlog_init(struct wlog *w, const struct lab *lab, const struct run *run)
{
	size_t bytes = lab->reader.blocks * sizeof(w->last_at[0]);

	*w = (struct wlog){.lab = lab, .run = run};
	w->last_at = need_memory(malloc(bytes));
	w->last_image = need_memory(malloc(bytes));
	memset(w->last_at, 0xff, bytes);
	memset(w->last_image, 0xff, bytes);
	cut_into_pieces(w);
	read_the_log(w);
	tell_data_apart(w);
}

void wlog_done(struct wlog *w)
{
	free(w->pieces);
	free(w->last_at);
	free(w->last_image);
	free(w->txs);
	free(w->revoked);
}

/* ---- asking ---- */

uint8_t image_byte(const struct piece *image, uint32_t at)
{
	static const uint8_t magic[4] = {0xc0, 0x3b, 0x39, 0x98};

	return image->is_escaped && at < 4 ? magic[at] : image->bytes[at];
}

bool piece_is_image(const struct wlog *w, const struct piece *home, const struct piece *image)
{
	for (uint32_t at = 0; at < 4; at++)
		if (home->bytes[at] != image_byte(image, at))
			return false;
	return memcmp(home->bytes + 4, image->bytes + 4, w->lab->config.block_bytes - 4) == 0;
}

bool wlog_is_revoked(const struct wlog *w, uint32_t block, uint32_t tid, uint64_t tick)
{
	for (uint32_t i = 0; i < w->nr_revoked; i++) {
		const struct wtransaction *tx;

		if (w->revoked[i].block != block || w->revoked[i].tid < tid)
			continue;
		tx = wlog_find(w, w->revoked[i].tid);
		if (tx && tx->durable <= tick)
			return true;
	}
	return false;
}
