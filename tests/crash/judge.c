/*
 * The judge. The state lies on lab->flat, and is there again when the judge is done:
 *
 *	recovery by mounting, orphans with it     no error, no damage found on the way
 *	a clean unmount                           no error
 *	the image read by crash/reader.c          bitmaps, counters, links, names all agree
 *	the tree and its data                     what the promises allow
 *	used: a file written, everything removed  all space is back
 *	e2fsck, on a sample                       -fn finds nothing; -p on the raw state gives our tree
 *	a second crash in the recovery, sampled   the same judge
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "crash/lab.h"
#include "crash/need.h"

static bool found(struct lab *lab, const char *fmt, ...) printf_like(2, 3);

static bool found(struct lab *lab, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(lab->finding.what, sizeof(lab->finding.what), fmt, args);
	va_end(args);
	return false;
}

static uint64_t blend(uint64_t a, uint64_t b)
{
	a ^= b * 0x9e3779b97f4a7c15ull;
	a ^= a >> 29;
	return a * 0xbf58476d1ce4e5b9ull ^ a >> 32;
}

/* What is expected, as a number: a content that was judged under it need not be again. */
static uint64_t expectation_hash(const struct lab *lab, const struct lab_judging *j)
{
	uint64_t h = lab->run_number;

	for (uint32_t a = 0; a < j->run->nr_actors; a++) {
		const struct actor *actor = &j->run->actors[a];

		h = blend(h, (uint64_t)actor->expect.begun << 32 | actor->expect.least);
		for (uint32_t i = 0; i < actor->model->nr_nodes; i++)
			h = blend(h, actor->expect.data_since[i]);
	}
	return h;
}

/* ---- recovery ---- */

static struct mount_config config_of(const struct lab *lab)
{
	return (struct mount_config){.block_bytes = lab->config.block_bytes, .seed = lab->config.seed};
}

static bool recover(struct lab *lab)
{
	struct mount_config config = config_of(lab);
	struct mount mount;
	char text[200];
	bool has_errors;
	int err = mount_start(&mount, &lab->ground, lab->flat->disk, &config);

	if (err)
		return found(lab, "it cannot be mounted: %s (%s)", mount.why, strerror(-err));
	has_errors = ext_has_errors(mount.sb, text, sizeof(text));
	err = mount_stop(&mount);
	if (has_errors)
		return found(lab, "recovery found damage: %s", text);
	return err ? found(lab, "it cannot be unmounted: %s", strerror(-err)) : true;
}

/* ---- the tree ---- */

/*
 * Who began an operation after somebody else's had returned has seen it: if his is there after the
 * crash, so is the other one's.
 */
static bool in_real_time_order(struct lab *lab, const struct lab_judging *j, const struct match_range *ranges)
{
	for (uint32_t a = 0; a < j->run->nr_actors; a++) {
		const struct actor *late = &j->run->actors[a];
		uint64_t seen = ranges[a].first ? late->marks[ranges[a].first].begun : 0;

		for (uint32_t b = 0; b < j->run->nr_actors; b++) {
			const struct actor *early = &j->run->actors[b];
			uint32_t missing = ranges[b].last + 1;

			if (missing <= early->ops.nr && early->marks[missing].returned < seen)
				return found(lab, "%s has operation %u (%s), and %s lacks %u, which was over before that began: %s",
					     late->top, ranges[a].first, ranges[a].why_not_earlier, early->top, missing,
					     ranges[b].why_not_later);
		}
	}
	return true;
}

/* The inode of an actor's directory; 0 when it is not there. */
static uint32_t find_top(const struct reader *r, const char *name)
{
	uint32_t nr;
	const struct rentry *e = reader_list(r, READER_ROOT, &nr);

	if (!*name)
		return READER_ROOT;
	for (uint32_t i = 0; i < nr; i++)
		if (e[i].len == strlen(name) && memcmp(e[i].name, name, e[i].len) == 0)
			return e[i].ino;
	return 0;
}

static bool read_and_match(struct lab *lab, const struct lab_judging *j, const uint8_t *bytes, bool may_lag,
			   const char *who, uint64_t *ret_snapshots)
{
	struct match_range *ranges = need_memory(calloc(j->run->nr_actors, sizeof(*ranges)));
	bool is_good = true;
	char why[500];

	lab->reader.may_lag = may_lag;
	*ret_snapshots = 0;
	if (!reader_parse(&lab->reader, bytes))
		is_good = found(lab, "recovered by %s it is not whole: %s", who, lab->reader.why);
	for (uint32_t i = 0; is_good && i < j->run->nr_actors; i++) {
		const struct actor *a = &j->run->actors[i];
		uint32_t top = find_top(&lab->reader, a->top);

		if (!top)
			is_good = found(lab, "recovered by %s: the directory %s is gone", who, a->top);
		else if (!model_matches(a->model, &lab->reader, &a->expect, top, &ranges[i], why, sizeof(why)))
			is_good = found(lab, "recovered by %s: %s: %s", who, a->top, why);
		*ret_snapshots = blend(*ret_snapshots, ranges[i].last);
	}
	if (is_good && j->run->nr_actors > 1)
		is_good = in_real_time_order(lab, j, ranges);
	free(ranges);
	return is_good;
}

/* ---- use ---- */

static int use_it(struct mount *mount)
{
	struct op make = {.kind = OP_CREAT, .path = "used"};
	struct op write = {.kind = OP_WRITE, .path = "used", .pos = 100, .len = 20000, .fill = 99};
	struct op sync = {.kind = OP_FSYNC, .path = "used"};
	uint64_t done;
	int err = mount_do(mount, &make, 0, &done);

	if (!err)
		err = mount_do(mount, &write, 0, &done);
	if (!err)
		err = mount_do(mount, &sync, 0, &done);
	/* It may have been full: then there is all the more to remove. */
	if (err && err != -ENOSPC)
		return err;
	return mount_remove_all(mount);
}

static bool use(struct lab *lab)
{
	struct mount_config config = config_of(lab);
	struct mount mount;
	uint32_t room;
	int err = mount_start(&mount, &lab->ground, lab->flat->disk, &config);

	if (err)
		return found(lab, "recovered and unmounted it cannot be mounted: %s", mount.why);
	err = use_it(&mount);
	err = err ? (void)mount_stop(&mount), err : mount_stop(&mount);
	if (err)
		return found(lab, "recovered it cannot be used: %s", strerror(-err));
	lab->reader.may_lag = false;
	if (!reader_parse(&lab->reader, lab->flat->bytes))
		return found(lab, "used after recovery it is not whole: %s", lab->reader.why);
	room = lab->reader.free_blocks + lab->reader.table[READER_ROOT].units / (lab->config.block_bytes / 512);
	if (lab->reader.nr_entries != 1 || room != lab->room)
		return found(lab, "emptied after recovery it has %u names and %u blocks of %u", (unsigned)lab->reader.nr_entries,
			     room, lab->room);
	lab->counts.used++;
	return true;
}

/* ---- e2fsck ---- */

/* The recovered image, and the raw state at `mark`. */
static bool ask_e2fsck(struct lab *lab, const struct lab_judging *j, size_t mark, uint64_t ours)
{
	uint64_t theirs = 0;
	char report[400];
	bool is_good = true;
	int status;

	memcpy(lab->scratch, lab->flat->bytes, lab->config.size_bytes);
	status = e2fsck_run("-fn", lab->scratch, lab->config.size_bytes, report, sizeof(report));
	need(status >= 0, "e2fsck");
	if (status)
		is_good = found(lab, "recovered by us, e2fsck -fn says (%d): %s", status, report);
	flat_rewind(lab->flat, mark);
	memcpy(lab->scratch, lab->flat->bytes, lab->config.size_bytes);
	status = is_good ? e2fsck_run("-p", lab->scratch, lab->config.size_bytes, report, sizeof(report)) : 0;
	if (status & ~1)
		is_good = found(lab, "e2fsck -p says (%d): %s", status, report);
	if (is_good)
		is_good = read_and_match(lab, j, lab->scratch, true, "e2fsck", &theirs);
	if (is_good && theirs != ours)
		is_good = found(lab, "we recover the tree after one operation, e2fsck that after another");
	lab->counts.e2fsck++;
	return is_good;
}

/* ---- a second crash ---- */

struct second {
	struct flat_event *events;
	uint8_t *data;
	size_t nr;
};

static void copy_trace(const struct flat *f, struct second *s)
{
	s->nr = f->nr_events;
	s->events = need_memory(malloc((s->nr + 1) * sizeof(s->events[0])));
	memcpy(s->events, f->events, s->nr * sizeof(s->events[0]));
	s->data = need_memory(malloc(f->trace_bytes + 1));
	memcpy(s->data, f->trace_data, f->trace_bytes);
}

/* The events before `end`, of those since the last flush each sector only by chance (0: all of them). */
static void apply_second(struct lab *lab, const struct second *s, size_t end, uint32_t lost_one_in)
{
	size_t durable = end;

	while (durable > 0 && !s->events[durable - 1].is_flush)
		durable--;
	for (size_t i = 0; i < end; i++) {
		const struct flat_event *e = &s->events[i];

		for (uint32_t k = 0; k < e->count; k++)
			if (i < durable || e->is_fua || !lost_one_in || !rand_one_in(&lab->rand, lost_one_in))
				flat_write(lab->flat, e->sector + k, 1, s->data + e->data_at + k * SECTOR_SIZE);
	}
}

static bool crash_again(struct lab *lab, const struct lab_judging *j, size_t mark)
{
	struct lab_judging second = *j;
	struct second s;
	bool is_good = true;

	second.depth++;
	copy_trace(lab->flat, &s);
	for (size_t end = 0; is_good && end <= s.nr; end++) {
		for (uint32_t lost_one_in = 0; is_good && lost_one_in <= 3; lost_one_in++) {
			flat_rewind(lab->flat, mark);
			apply_second(lab, &s, end, lost_one_in);
			lab->counts.second += second.depth == 1;
			lab->counts.third += second.depth == 2;
			is_good = lab_judge(lab, &second);
		}
	}
	flat_rewind(lab->flat, mark);
	free(s.events);
	free(s.data);
	if (!is_good) {
		char what[sizeof(lab->finding.what)];

		snprintf(what, sizeof(what), "%s", lab->finding.what);
		found(lab, "after %s crash, in recovery: %.500s", second.depth == 1 ? "a second" : "a third", what);
	}
	return is_good;
}

/* ---- the whole ---- */

static bool crashes_again(struct lab *lab, const struct lab_judging *j)
{
	const uint32_t one_in[] = {lab->config.depth2_one_in, lab->config.depth3_one_in, 0};

	return one_in[j->depth] && rand_one_in(&lab->rand, one_in[j->depth]);
}

static bool examine(struct lab *lab, const struct lab_judging *j, size_t mark, bool is_new)
{
	bool asks = lab->config.e2fsck_one_in && is_new && rand_one_in(&lab->rand, lab->config.e2fsck_one_in);
	bool again = crashes_again(lab, j);
	uint64_t expected = expectation_hash(lab, j), home, snapshots = 0;
	bool is_good;

	if (lab->config.ignores_revokes)
		plant_at_recovery(lab);
	flat_trace(lab->flat, again);
	is_good = recover(lab);
	flat_trace(lab->flat, false);
	if (!is_good)
		return false;
	lab->counts.recovered++;
	home = lab->flat->hash_home;
	if (asks || seen_add(lab->seen, blend(home, expected)))
		is_good = read_and_match(lab, j, lab->flat->bytes, false, "us", &snapshots);
	if (is_good && asks)
		is_good = ask_e2fsck(lab, j, mark, snapshots);
	else if (is_good && seen_add(lab->seen, blend(home, 0x75736564)))
		is_good = use(lab);
	flat_rewind(lab->flat, mark);
	return is_good && again ? crash_again(lab, j, mark) : is_good;
}

bool lab_judge(struct lab *lab, const struct lab_judging *j)
{
	size_t mark = flat_mark(lab->flat);
	uint64_t content = lab->flat->hash;
	bool is_new = seen_add(lab->config.distinct, content), is_good = true;

	lab->reader.may_be_marked = j->run->may_fail;
	lab->counts.states++;
	lab->counts.distinct += is_new;
	if (seen_add(lab->seen, blend(blend(content, expectation_hash(lab, j)), 0x726177)))
		is_good = examine(lab, j, mark, is_new);
	flat_rewind(lab->flat, mark);
	return is_good;
}
