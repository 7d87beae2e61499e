/*
 * The makers of states.
 *
 * The run is walked through event by event. What was flushed is on the disk for good; what was
 * written since may be there or not, sector by sector:
 *
 *	   durable for good          pending at this cut
 *	|--------------------|  w  w  w  FUA  w  w |
 *	                       each may have survived; a FUA that completed must have
 *
 * At each write: everything up to it, and it torn. At the end of an epoch, and wherever an operation
 * that makes things durable has returned: nothing, each alone, all but each, all subsets when they
 * are few, else some by chance; and some by chance of single sectors.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash/lab.h"
#include "crash/need.h"

#define ALL_SUBSETS_UP_TO 5u	/* writes */
#define ONE_BY_ONE_UP_TO 24u

/* ---- what is expected at a cut ---- */

/* What an operation that makes things durable said of the data of a file, or of everybody's. */
static void note_promise(struct actor *a, uint32_t number)
{
	uint32_t only = a->promised_nodes[number];
	bool failed = a->marks[number].err != 0;

	for (uint32_t n = 0; n < a->model->nr_nodes; n++) {
		if (only != UINT32_MAX && only != n)
			continue;
		if (failed)
			a->was_told[n] = true;
		else if (!a->was_told[n])
			a->data_since[n] = number;
	}
}

static void make_expectation(const struct lab *lab, struct actor *a, uint64_t tick)
{
	struct expectation *e = &a->expect;

	*e = (struct expectation){.data_since = a->data_since, .data_may_be_lost = lab->config.data_mode == DATA_WRITEBACK,
				  .data_is_logged = lab->config.data_mode == DATA_JOURNAL};
	memset(a->data_since, 0, a->model->nr_nodes * sizeof(a->data_since[0]));
	memset(a->was_told, 0, a->model->nr_nodes * sizeof(a->was_told[0]));
	for (uint32_t i = 1; i <= a->ops.nr; i++) {
		const struct run_mark *mark = &a->marks[i];

		if (mark->begun <= tick)
			e->begun = i;
		if (!op_makes_durable(&a->ops.ops[i - 1]) || mark->returned > tick)
			continue;
		note_promise(a, i);
		if (!mark->err && a->promises[i] > e->least)
			e->least = a->promises[i];
	}
}

static void make_expectations(const struct lab *lab, struct run *run, uint64_t tick)
{
	for (uint32_t i = 0; i < run->nr_actors; i++)
		make_expectation(lab, &run->actors[i], tick);
}

/* ---- one state ---- */

static size_t bitmap_bytes(const struct run_write *w)
{
	return (w->count + 7) / 8;
}

void state_done(struct state *s)
{
	for (uint32_t i = 0; i < s->nr; i++)
		free(s->survived[i]);
	free(s->survived);
	*s = (struct state){0};
}

static void state_init(struct state *s, const struct run *run, uint64_t tick, uint32_t first, uint32_t nr)
{
	*s = (struct state){.tick = tick, .first = first, .nr = nr};
	s->survived = need_memory(calloc(nr + 1, sizeof(s->survived[0])));
	for (uint32_t i = 0; i < nr; i++)
		s->survived[i] = need_memory(calloc(bitmap_bytes(&run->writes[first + i]), 1));
}

static void state_copy(struct state *to, const struct state *from, const struct run *run)
{
	state_done(to);
	state_init(to, run, from->tick, from->first, from->nr);
	for (uint32_t i = 0; i < from->nr; i++)
		memcpy(to->survived[i], from->survived[i], bitmap_bytes(&run->writes[from->first + i]));
}

static void apply(struct lab *lab, const struct run *run, const struct state *s)
{
	for (uint32_t i = 0; i < s->nr; i++) {
		const struct run_write *w = &run->writes[s->first + i];

		for (uint32_t k = 0; k < w->count; k++)
			if (s->survived[i][k / 8] >> (k % 8) & 1)
				flat_write(lab->flat, w->sector + k, 1, w->bytes + (size_t)k * SECTOR_SIZE);
	}
}

void state_print(const struct state *s, const struct run *run, FILE *to)
{
	fprintf(to, "%u:", s->first);
	for (uint32_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < bitmap_bytes(&run->writes[s->first + i]); k++)
			fprintf(to, "%02x", s->survived[i][k]);
		fputc(i + 1 < s->nr ? ',' : ' ', to);
	}
}

bool state_read(struct state *s, const struct run *run, uint64_t tick, const char *text)
{
	char *end;
	uint32_t first = (uint32_t)strtoul(text, &end, 10), nr = end[0] == ':' && end[1];

	for (text = end; *end; end++)
		nr += *end == ',';
	if (*text++ != ':' || first + nr > run->nr_writes)
		return false;
	state_init(s, run, tick, first, nr);
	for (uint32_t i = 0; i < nr; i++) {
		for (size_t k = 0; k < bitmap_bytes(&run->writes[first + i]); k++, text += 2) {
			unsigned byte;

			if (sscanf(text, "%2x", &byte) != 1)
				return false;
			s->survived[i][k] = (uint8_t)byte;
		}
		if (i + 1 < nr && *text++ != ',')
			return false;
	}
	return true;
}

/* ---- a cut ---- */

struct cut {
	struct lab *lab;
	struct run *run;
	uint64_t tick;
	uint32_t first, nr;		/* pending writes */
	struct lab_judging judging;
	struct state state;
};

static bool must_survive(const struct cut *c, const struct run_write *w, uint64_t durable_before)
{
	return w->completed < durable_before || (w->is_fua && w->completed <= c->tick);
}

/* The latest flush that is over: what had completed before it was begun is durable. */
static uint64_t durable_before(const struct run *run, uint64_t tick)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < run->nr_flushes; i++)
		if (run->flushes[i].completed <= tick && run->flushes[i].submitted > before)
			before = run->flushes[i].submitted;
	return before;
}

static bool try_it(struct cut *c)
{
	size_t mark = flat_mark(c->lab->flat);
	bool is_good;

	apply(c->lab, c->run, &c->state);
	is_good = lab_judge(c->lab, &c->judging);
	flat_rewind(c->lab->flat, mark);
	if (!is_good) {
		c->lab->finding.is_one = true;
		state_copy(&c->lab->finding.state, &c->state, c->run);
	}
	return is_good;
}

static bool is_forced(const struct cut *c, uint32_t i)
{
	return must_survive(c, &c->run->writes[c->first + i], durable_before(c->run, c->tick));
}

static void set_write(struct cut *c, uint32_t i, bool survives)
{
	memset(c->state.survived[i], survives || is_forced(c, i) ? 0xff : 0, bitmap_bytes(&c->run->writes[c->first + i]));
}

static void set_all(struct cut *c, bool survive)
{
	for (uint32_t i = 0; i < c->nr; i++)
		set_write(c, i, survive);
}

/* The last write torn: its first sectors, then any of them. */
static bool try_torn_last(struct cut *c)
{
	uint32_t last = c->nr - 1, count = c->run->writes[c->first + last].count;
	bool is_good = true;

	if (c->nr == 0 || count < 2 || is_forced(c, last))
		return true;
	set_all(c, true);
	for (unsigned n = 0; is_good && n < 2; n++) {
		uint32_t keep = 1 + (uint32_t)rand_below(&c->lab->rand, count - 1);

		for (uint32_t k = 0; k < count; k++) {
			bool survives = n ? rand_one_in(&c->lab->rand, 2) : k < keep;
			uint8_t *byte = &c->state.survived[last][k / 8], bit = (uint8_t)(1u << (k % 8));

			*byte = (uint8_t)(survives ? *byte | bit : *byte & ~bit);
		}
		is_good = try_it(c);
	}
	return is_good;
}

static bool try_one_by_one(struct cut *c)
{
	for (unsigned survive = 0; survive < 2; survive++) {
		for (uint32_t i = 0; i < c->nr; i++) {
			set_all(c, survive);
			set_write(c, i, !survive);
			if (!try_it(c))
				return false;
		}
	}
	return true;
}

static bool try_all_subsets(struct cut *c)
{
	for (uint32_t bits = 0; bits < 1u << c->nr; bits++) {
		for (uint32_t i = 0; i < c->nr; i++)
			set_write(c, i, bits >> i & 1);
		if (!try_it(c))
			return false;
	}
	return true;
}

static bool try_random_writes(struct cut *c, uint32_t lost_one_in)
{
	for (uint32_t i = 0; i < c->nr; i++)
		set_write(c, i, !rand_one_in(&c->lab->rand, lost_one_in));
	return try_it(c);
}

static bool try_random_sectors(struct cut *c, uint32_t lost_one_in)
{
	set_all(c, true);
	for (uint32_t i = 0; i < c->nr; i++) {
		if (is_forced(c, i))
			continue;
		for (uint32_t k = 0; k < c->run->writes[c->first + i].count; k++)
			if (rand_one_in(&c->lab->rand, lost_one_in))
				c->state.survived[i][k / 8] &= (uint8_t)~(1u << (k % 8));
	}
	return try_it(c);
}

static bool try_samples(struct cut *c)
{
	static const uint32_t odds[] = {2, 8, 2, 24};
	uint32_t nr = c->lab->config.samples;
	bool is_good = true;

	for (uint32_t n = 0; is_good && n < nr; n++)
		is_good = n % 2 ? try_random_sectors(c, odds[n / 2 % 4]) : try_random_writes(c, odds[n / 2 % 4]);
	return is_good;
}

static bool try_subsets(struct cut *c)
{
	bool is_good;

	if (c->nr == 0)
		return true;
	set_all(c, false);
	is_good = try_it(c);
	if (is_good && c->nr <= ONE_BY_ONE_UP_TO)
		is_good = try_one_by_one(c);
	if (is_good && c->nr <= ALL_SUBSETS_UP_TO)
		is_good = try_all_subsets(c);
	return is_good && try_samples(c);
}

/* ---- all cuts of a run ---- */

/* What has to be there at any later cut too. *first: the writes that may still be missing. */
static void settle(struct cut *c, uint32_t *first)
{
	const struct run *run = c->run;
	uint64_t before = durable_before(run, c->tick);

	while (*first < run->nr_writes && run->writes[*first].submitted <= c->tick &&
	       must_survive(c, &run->writes[*first], before)) {
		flat_write(c->lab->flat, run->writes[*first].sector, run->writes[*first].count, run->writes[*first].bytes);
		(*first)++;
	}
	flat_keep(c->lab->flat);
}

static bool try_cut(struct lab *lab, struct run *run, uint64_t tick, uint32_t *first, bool is_epoch_end)
{
	struct cut c = {.lab = lab, .run = run, .tick = tick};
	bool is_good;

	settle(&c, first);
	c.first = *first;
	while (c.first + c.nr < run->nr_writes && run->writes[c.first + c.nr].submitted <= tick)
		c.nr++;
	c.judging.run = run;
	make_expectations(lab, run, tick);
	state_init(&c.state, run, tick, c.first, c.nr);
	set_all(&c, true);
	is_good = try_it(&c) && try_torn_last(&c);
	if (is_good && is_epoch_end)
		is_good = try_subsets(&c);
	state_done(&c.state);
	return is_good;
}

static void find_promises(const struct run *run, const struct actor *a, uint8_t *kind)
{
	for (uint32_t i = 1; i <= a->ops.nr; i++)
		if (op_makes_durable(&a->ops.ops[i - 1]) && a->marks[i].returned <= run->last_tick)
			kind[a->marks[i].returned] = 2;
}

/* By tick: 0 nothing of interest, 1 a write, 2 the end of an epoch or a promise. */
static uint8_t *find_cuts(const struct run *run)
{
	uint8_t *kind = need_memory(calloc(run->last_tick + 2, 1));

	for (uint32_t i = 0; i < run->nr_writes; i++) {
		const struct run_write *w = &run->writes[i];
		uint64_t at = w->completed <= run->last_tick ? w->completed : w->submitted;

		kind[at] = 1;
	}
	for (uint32_t i = 0; i < run->nr_flushes; i++)
		kind[run->flushes[i].completed - 1] = 2;
	for (uint32_t i = 0; i < run->nr_actors; i++)
		find_promises(run, &run->actors[i], kind);
	kind[run->last_tick] = 2;
	return kind;
}

bool lab_explore(struct lab *lab, struct run *run)
{
	uint8_t *kind = find_cuts(run);
	uint32_t first = 0;
	bool is_good = true;

	lab->finding.is_one = false;
	flat_load(lab->flat, run->image);
	for (uint64_t tick = 1; is_good && tick <= run->last_tick; tick++)
		if (kind[tick])
			is_good = try_cut(lab, run, tick, &first, kind[tick] == 2);
	free(kind);
	return is_good;
}

/* ---- one state again, and smaller ---- */

bool lab_judge_one(struct lab *lab, struct run *run, const struct state *state)
{
	struct lab_judging j = {.run = run};
	bool is_good;

	seen_destroy(lab->seen);
	lab->seen = seen_create();
	flat_load(lab->flat, run->image);
	for (uint32_t i = 0; i < state->first; i++)
		flat_write(lab->flat, run->writes[i].sector, run->writes[i].count, run->writes[i].bytes);
	apply(lab, run, state);
	flat_keep(lab->flat);
	make_expectations(lab, run, state->tick);
	is_good = lab_judge(lab, &j);
	return is_good;
}

/* Tries to let write i survive whole; undone if the state keeps the promises then. */
static void try_whole(struct lab *lab, struct run *run, struct state *s, uint32_t i)
{
	size_t bytes = bitmap_bytes(&run->writes[s->first + i]);
	uint8_t *before = need_memory(malloc(bytes));

	memcpy(before, s->survived[i], bytes);
	memset(s->survived[i], 0xff, bytes);
	if (memcmp(before, s->survived[i], bytes) != 0 && lab_judge_one(lab, run, s))
		memcpy(s->survived[i], before, bytes);
	free(before);
}

void lab_minimise_state(struct lab *lab, struct run *run)
{
	struct state s = {0};

	state_copy(&s, &lab->finding.state, run);
	for (uint32_t i = 0; i < s.nr; i++)
		try_whole(lab, run, &s, i);
	/* What it says is of the state that stays. */
	if (!lab_judge_one(lab, run, &s))
		state_copy(&lab->finding.state, &s, run);
	state_done(&s);
}
