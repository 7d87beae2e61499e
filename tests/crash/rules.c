/*
 * The rules, on what was recorded:
 *
 *	R1  a commit block without a checksum is submitted when all of its transaction is durable
 *	R2  ordered data: a block that a transaction gives to a file is durable before its commit block
 *	R3  what goes home is the content of a transaction that is durable
 *	R4  the tail passes a transaction when its blocks are durable at home, or in a later one, or revoked
 *	R5  log space is overwritten when the tail that frees it is durable
 *	R6  to a block that was freed nothing is written before that is durable
 *	R7  what the log holds of a file's data is not changed in place
 *	R8  what is discarded is free, and that is durable
 */
#include "crash/rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "crash/need.h"
#include "crash/wlog.h"

struct ruling {
	struct wlog log;
	char *why;
	size_t why_size;
};

static bool broken(struct ruling *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool broken(struct ruling *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, r->why_size, fmt, args);
	va_end(args);
	return false;
}

static bool is_of_transaction(const struct piece *p)
{
	return p->kind == PIECE_DESCRIPTOR || p->kind == PIECE_LOG_BLOCK || p->kind == PIECE_REVOKE;
}

static bool commit_comes_last(struct ruling *r, const struct piece *p)
{
	const struct wtransaction *tx = wlog_find(&r->log, p->tid);
	const struct piece *commit = tx ? &r->log.pieces[tx->commit] : NULL;

	if (!commit || commit->has_checksum || p->durable <= commit->submitted)
		return true;
	return broken(r, "R1: the commit block of transaction %u (event %" PRIu64 ") does not wait for its %s (event %" PRIu64 ")",
		      p->tid, commit->submitted, piece_names[p->kind], p->submitted);
}

/* ---- blocks that change hands ---- */

/* When the transaction two before began to be committed: what this one did came later. */
static uint64_t begin_of(const struct wlog *w, uint32_t tid)
{
	const struct wtransaction *before = tid >= 2 ? wlog_find(w, tid - 2) : NULL;

	return before ? w->pieces[before->commit].submitted : 0;
}

static bool is_logged_in(const struct wlog *w, uint32_t block, uint32_t tid)
{
	for (uint32_t i = w->last_image[block]; i != NO_PIECE; i = w->pieces[i].image_before)
		if (w->pieces[i].tid == tid)
			return true;
	return false;
}

static bool data_was_durable(struct ruling *r, uint32_t block, uint32_t tid)
{
	const struct wlog *w = &r->log;
	const struct wtransaction *tx = wlog_find(w, tid);
	uint64_t begin = begin_of(w, tid);

	if (!tx || is_logged_in(w, block, tid))
		return true;
	for (uint32_t i = w->last_at[block]; i != NO_PIECE; i = w->pieces[i].before)
		if (w->pieces[i].submitted > begin && w->pieces[i].durable <= w->pieces[tx->commit].submitted)
			return true;
	return broken(r, "R2: transaction %u gives block %u to a file, and is committed (event %" PRIu64 ") before its data is durable",
		      tid, block, w->pieces[tx->commit].submitted);
}

static bool waits_for_the_freeing(struct ruling *r, uint32_t block, uint32_t tid, uint64_t logged)
{
	const struct wlog *w = &r->log;
	const struct wtransaction *tx = wlog_find(w, tid);

	for (uint32_t i = w->last_at[block]; tx && i != NO_PIECE; i = w->pieces[i].before)
		if (w->pieces[i].kind == PIECE_DATA && w->pieces[i].submitted > logged && w->pieces[i].submitted < tx->durable)
			return broken(r, "R6: block %u is written to (event %" PRIu64 ") before its freeing in transaction %u is durable",
				      block, w->pieces[i].submitted, tid);
	return true;
}

/* A bitmap in the log, beside what it was before. */
static bool blocks_change_hands(struct ruling *r, const struct piece *image, uint32_t group)
{
	const struct wlog *w = &r->log;
	const struct reader *reader = &w->lab->reader;
	const struct piece *old = image->image_before == NO_PIECE ? NULL : &w->pieces[image->image_before];
	const uint8_t *old_home = w->run->image + (size_t)image->home * w->lab->config.block_bytes;
	uint32_t first = reader->first_block + group * reader->blocks_per_group;

	for (uint32_t bit = 0; bit < reader->blocks_per_group && first + bit < reader->blocks; bit++) {
		uint8_t mask = (uint8_t)(1u << bit % 8), now = image_byte(image, bit / 8) & mask;
		uint8_t before = (old ? image_byte(old, bit / 8) : old_home[bit / 8]) & mask;

		if (now && !before && w->lab->config.data_mode != DATA_WRITEBACK && !data_was_durable(r, first + bit, image->tid))
			return false;
		if (before && !now && !waits_for_the_freeing(r, first + bit, image->tid, image->submitted))
			return false;
	}
	return true;
}

static bool bitmap_is_obeyed(struct ruling *r, const struct piece *image)
{
	for (uint32_t g = 0; g < r->log.lab->reader.groups; g++)
		if (reader_bitmap(&r->log.lab->reader, g) == image->home)
			return blocks_change_hands(r, image, g);
	return true;
}

/* ---- home, and the tail ---- */

static bool home_is_durable_in_log(struct ruling *r, const struct piece *p)
{
	const struct wlog *w = &r->log;
	uint32_t i = w->last_image[p->block];

	for (; i != NO_PIECE; i = w->pieces[i].image_before) {
		const struct wtransaction *tx = wlog_find(w, w->pieces[i].tid);

		if (tx && tx->durable <= p->submitted && piece_is_image(w, p, &w->pieces[i]))
			return true;
	}
	return broken(r, "R3: block %u goes home (event %" PRIu64 ") with a content that is not durable in the log", p->block,
		      p->submitted);
}

/* Whether the log need not know this image any more when the superblock `tail` is submitted. */
static bool is_done_with(const struct wlog *w, const struct piece *image, const struct piece *tail)
{
	uint32_t block = image->home;

	if (wlog_is_revoked(w, block, image->tid, tail->submitted))
		return true;
	for (uint32_t i = w->last_at[block]; i != NO_PIECE; i = w->pieces[i].before) {
		const struct piece *home = &w->pieces[i];

		if (home->durable > tail->submitted)
			continue;
		if (home->kind == PIECE_SUPER)
			return true;
		for (uint32_t k = w->last_image[block]; k != NO_PIECE && w->pieces[k].tid >= image->tid; k = w->pieces[k].image_before)
			if (piece_is_image(w, home, &w->pieces[k]))
				return true;
	}
	for (uint32_t k = w->last_image[block]; k != NO_PIECE && w->pieces[k].tid > image->tid; k = w->pieces[k].image_before) {
		const struct wtransaction *tx = wlog_find(w, w->pieces[k].tid);

		if (tx && tx->durable <= tail->submitted)
			return true;	/* and that one is looked at by itself */
	}
	return false;
}

static bool tail_comes_last(struct ruling *r, const struct piece *tail, uint32_t index, uint32_t *checked_from)
{
	const struct wlog *w = &r->log;
	uint32_t still = index;

	for (uint32_t i = *checked_from; i < index; i++) {
		const struct piece *p = &w->pieces[i];
		const struct wtransaction *tx = p->kind == PIECE_LOG_BLOCK ? wlog_find(w, p->tid) : NULL;

		if (!tx || tx->durable > tail->submitted)
			continue;
		if (p->tid >= tail->tid) {
			still = i < still ? i : still;
			continue;
		}
		if (!is_done_with(w, p, tail))
			return broken(r, "R4: the tail goes to transaction %u (event %" PRIu64 "), and block %u of transaction %u is not "
				      "durable at home", tail->tid, tail->submitted, p->home, p->tid);
	}
	*checked_from = still;
	return true;
}

static bool tail_had_passed(const struct wlog *w, uint32_t tid, uint64_t tick)
{
	uint32_t i = w->last_at[w->lab->log_blocks[0]];

	for (; i != NO_PIECE; i = w->pieces[i].before)
		if (w->pieces[i].durable <= tick && w->pieces[i].tid > tid)
			return true;
	return false;
}

static bool log_space_was_free(struct ruling *r, const struct piece *p)
{
	const struct piece *old = p->before == NO_PIECE ? NULL : &r->log.pieces[p->before];

	if (!old || old->kind == PIECE_STRAY || old->tid == p->tid || tail_had_passed(&r->log, old->tid, p->submitted))
		return true;
	return broken(r, "R5: the %s of transaction %u is overwritten (event %" PRIu64 ") before the tail that frees it is durable",
		      piece_names[old->kind], old->tid, p->submitted);
}

/* With data in the log recovery would write that over what was written in place later. */
static bool data_is_not_in_the_log(struct ruling *r, const struct piece *p)
{
	const struct wlog *w = &r->log;
	uint32_t i = w->last_image[p->block];
	const struct piece *image;

	while (i != NO_PIECE && w->pieces[i].submitted > p->submitted)
		i = w->pieces[i].image_before;
	if (i == NO_PIECE)
		return true;
	image = &w->pieces[i];
	if (!wlog_find(w, image->tid) || piece_is_image(w, p, image) || tail_had_passed(w, image->tid, p->submitted) ||
	    wlog_is_revoked(w, p->block, image->tid, p->submitted))
		return true;
	return broken(r, "R7: block %u is written in place (event %" PRIu64 ") while the log has it of transaction %u", p->block,
		      p->submitted, image->tid);
}

/* ---- discards ---- */

/* The bit of a block in its bitmap, as a recovery at that moment would have it. */
static bool is_free_durably(const struct wlog *w, uint32_t block, uint64_t tick)
{
	const struct reader *reader = &w->lab->reader;
	uint32_t group = (block - reader->first_block) / reader->blocks_per_group;
	uint32_t bit = (block - reader->first_block) % reader->blocks_per_group, home = reader_bitmap(reader, group);

	for (uint32_t i = w->last_image[home]; i != NO_PIECE; i = w->pieces[i].image_before) {
		const struct wtransaction *tx = wlog_find(w, w->pieces[i].tid);

		if (tx && tx->durable <= tick)
			return !(image_byte(&w->pieces[i], bit / 8) >> bit % 8 & 1);
	}
	return !(w->run->image[(size_t)home * w->lab->config.block_bytes + bit / 8] >> bit % 8 & 1);
}

static bool discards_are_free(struct ruling *r)
{
	uint32_t per = r->log.lab->config.block_bytes / SECTOR_SIZE;

	for (uint32_t i = 0; i < r->log.run->nr_writes; i++) {
		const struct run_write *w = &r->log.run->writes[i];

		for (uint32_t s = 0; w->is_discard && s < w->count; s += per)
			if (!is_free_durably(&r->log, (w->sector + s) / per, w->submitted))
				return broken(r, "R8: block %u is discarded (event %" PRIu64 ") before its freeing is durable",
					      (w->sector + s) / per, w->submitted);
	}
	return true;
}

/* ---- all ---- */

static bool check_piece(struct ruling *r, uint32_t i, uint32_t *checked_from)
{
	const struct piece *p = &r->log.pieces[i];

	switch (p->kind) {
	case PIECE_LOG_BLOCK:
		return commit_comes_last(r, p) && log_space_was_free(r, p) && bitmap_is_obeyed(r, p);
	case PIECE_DESCRIPTOR:
	case PIECE_REVOKE:
		return commit_comes_last(r, p) && log_space_was_free(r, p);
	case PIECE_COMMIT:
		return log_space_was_free(r, p);
	case PIECE_DATA:
		return data_is_not_in_the_log(r, p);
	case PIECE_CHECKPOINT:
		return home_is_durable_in_log(r, p);
	case PIECE_LOG_SUPER:
		return tail_comes_last(r, p, i, checked_from);
	default:
		return true;
	}
}

bool rules_hold(const struct lab *lab, const struct run *run, char *why, size_t why_size)
{
	struct ruling r = {.why = why, .why_size = why_size};
	uint32_t checked_from = 0;
	bool is_good = true;

	wlog_init(&r.log, lab, run);
	for (uint32_t i = 0; is_good && i < r.log.nr; i++)
		is_good = check_piece(&r, i, &checked_from);
	is_good = is_good && discards_are_free(&r);
	wlog_done(&r.log);
	return is_good;
}

static void print_tick(uint64_t tick, FILE *to)
{
	if (tick == UINT64_MAX)
		fprintf(to, "  never");
	else
		fprintf(to, "%7" PRIu64, tick);
}

static void list_piece(const struct wlog *w, const struct piece *p, FILE *to)
{
	print_tick(p->submitted, to);
	print_tick(w->run->writes[p->write].completed, to);
	print_tick(p->durable, to);
	fprintf(to, "  block %6u  %s", p->block, piece_names[p->kind]);
	if (is_of_transaction(p) || p->kind == PIECE_COMMIT || p->kind == PIECE_LOG_SUPER)
		fprintf(to, " %u", p->tid);
	if (p->kind == PIECE_LOG_BLOCK)
		fprintf(to, " for block %u", p->home);
	fputc('\n', to);
}

void rules_list(const struct lab *lab, const struct run *run, FILE *to)
{
	struct wlog w;
	uint32_t flush = 0;

	wlog_init(&w, lab, run);
	fprintf(to, "  begun   over durable\n");
	for (uint32_t i = 0; i <= w.nr; i++) {
		uint64_t now = i < w.nr ? w.pieces[i].submitted : UINT64_MAX;

		for (; flush < run->nr_flushes && run->flushes[flush].submitted < now; flush++)
			fprintf(to, "%7" PRIu64 "%7" PRIu64 "         flush\n", run->flushes[flush].submitted, run->flushes[flush].completed);
		if (i < w.nr)
			list_piece(&w, &w.pieces[i], to);
	}
	wlog_done(&w);
}
