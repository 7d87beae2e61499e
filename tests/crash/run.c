/* A workload done on the laboratory's image under a recorder. */
#include "crash/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/need.h"
#include "drivers/faultydisk.h"
#include "drivers/recorddisk.h"

static void mark(struct run *run, struct actor *a, char kind, uint32_t number, int err)
{
	char text[OP_PATH_MAX + 40];
	uint64_t tick;

	snprintf(text, sizeof(text), "%s %c %u %d", a->top, kind, number, err);
	tick = recordlog_mark(run->log, text);
	need(tick != RECORD_LOST, "a recorder that keeps up");
	if (kind == 'b')
		a->marks[number].begun = tick;
	else
		a->marks[number].returned = tick;
	a->marks[number].err = err;
}

/*
 * The operation failed, as it may. What never began is as it was; of what broke off in the middle
 * nobody can tell, so it counts as begun, and is the last.
 */
static bool carry_on(struct actor *a, const struct op *op, uint32_t number, int err, uint32_t now)
{
	bool goes_on = op_makes_durable(op) || err == -EROFS;

	if (!goes_on) {
		model_apply(a->model, op, number, op->len, now);
		a->ops.nr = number;
	}
	model_take_snapshot(a->model);
	return goes_on;
}

bool run_do_one(struct run *run, struct actor *a, struct mount *mount, uint32_t number, char *why, size_t why_size)
{
	const struct op *op = &a->ops.ops[number - 1];
	uint32_t now = (uint32_t)clock_wall(mount->ground->clock).tv_sec;
	char text[300];
	uint64_t done;
	int err = model_try(a->model, op);

	op_print(op, text, sizeof(text));
	if (err) {
		snprintf(why, why_size, "operation %u, %s, is not possible: %s", number, text, strerror(err));
		return false;
	}
	a->promises[number] = model_promise(a->model, op, number);
	a->promised_nodes[number] = op->kind == OP_SYNC ? UINT32_MAX : model_find(a->model, op->path);
	mark(run, a, 'b', number, 0);
	err = run->splits_rename ? mount_do_split(mount, op, number, &done) : mount_do(mount, op, number, &done);
	mark(run, a, 'r', number, err);
	if (err && run->may_fail)
		return carry_on(a, op, number, err, now);
	if (err && err != -ENOSPC) {
		snprintf(why, why_size, "operation %u, %s, failed: %s", number, text, strerror(-err));
		return false;
	}
	if (!err || done)
		model_apply(a->model, op, number, done, now);
	model_take_snapshot(a->model);
	return true;
}

/* Behind the last operation: the time until everything has become durable by itself. */
#define SETTLE_MS 6000u
#define SETTLE_TIMES 2u

static bool do_all(struct lab *lab, struct run *run, struct disk *disk, char *why, size_t why_size)
{
	struct mount_config config = lab_mount_config(lab);
	struct actor *a = &run->actors[0];
	struct ground ground;
	struct mount mount;
	bool is_good = true;
	int err;

	ground_init(&ground, &config);
	err = mount_start(&mount, &ground, disk, &config);
	need(err == 0 || run->may_fail, mount.why);
	if (err) {
		ground_done(&ground);
		return true;
	}
	for (uint32_t i = 1; is_good && i <= a->ops.nr; i++) {
		is_good = run_do_one(run, a, &mount, i, why, why_size);
		mount_pass_time(&mount, 10);
	}
	for (unsigned i = 0; is_good && i < SETTLE_TIMES; i++)
		mount_pass_time(&mount, SETTLE_MS);
	err = mount_stop(&mount);
	if (err && is_good) {
		snprintf(why, why_size, "unmounting failed: %s", strerror(-err));
		is_good = false;
	}
	ground_done(&ground);
	return is_good;
}

/* The same operations meet the same order again, wherever in a list they stand. */
static uint64_t seed_of(const struct lab *lab, const struct op_list *ops)
{
	uint64_t seed = lab->config.seed;

	for (uint32_t i = 0; i < ops->nr; i++) {
		char text[300];

		op_print(&ops->ops[i], text, sizeof(text));
		for (const char *c = text; *c; c++)
			seed = (seed ^ (uint8_t)*c) * 0x100000001b3ull;
	}
	return seed;
}

/* The disk records by itself: nothing may lie between it and those who wait. */
static bool do_all_shuffled(struct lab *lab, struct run *run, char *why, size_t why_size)
{
	bool is_good;

	flat_shuffle(lab->live, run->log, seed_of(lab, &run->actors[0].ops));
	is_good = do_all(lab, run, lab->live->disk, why, why_size);
	flat_shuffle(lab->live, NULL, 0);
	return is_good;
}

/* A discard is a write of what discarded sectors hold, which a crash may leave in part. */
static void make_discarded(struct run *run, uint64_t nr)
{
	uint32_t longest = 0;

	for (uint64_t i = 0; i < nr; i++) {
		const struct record *r = recordlog_get(run->log, i);

		if (r->kind == RECORD_DISCARD && r->size_bytes > longest)
			longest = r->size_bytes;
	}
	run->discarded = need_memory(malloc(longest + 1));
	memset(run->discarded, FLAT_DISCARDED, longest);
}

/* From the recorder's list to what the state makers need. */
static void take_record(struct run *run, const struct record *r)
{
	if (r->kind == RECORD_FLUSH && r->completed != RECORD_NEVER && r->status == 0) {
		run->flushes[run->nr_flushes].submitted = r->submitted;
		run->flushes[run->nr_flushes++].completed = r->completed;
	}
	if (r->kind == RECORD_WRITE)
		run->writes[run->nr_writes++] = (struct run_write){
			.sector = (uint32_t)r->sector,
			.count = r->size_bytes / SECTOR_SIZE,
			.bytes = r->data,
			.submitted = r->submitted,
			.completed = r->status ? UINT64_MAX : r->completed,	/* what failed may be there or not */
			.is_fua = r->flags & BIO_FUA,
			.is_meta = r->flags & BIO_META,
		};
	if (r->kind == RECORD_DISCARD)
		run->writes[run->nr_writes++] = (struct run_write){
			.sector = (uint32_t)r->sector,
			.count = r->size_bytes / SECTOR_SIZE,
			.bytes = run->discarded,
			.submitted = r->submitted,
			.completed = r->status ? UINT64_MAX : r->completed,
			.is_discard = true,
		};
}

static void take_records(struct run *run)
{
	uint64_t nr = recordlog_count(run->log);

	need(recordlog_error(run->log) == 0, "a whole record");
	make_discarded(run, nr);
	run->writes = need_memory(malloc((nr + 1) * sizeof(run->writes[0])));
	run->flushes = need_memory(malloc((nr + 1) * sizeof(run->flushes[0])));
	for (uint64_t i = 0; i < nr; i++)
		take_record(run, recordlog_get(run->log, i));
	run->last_tick = recordlog_last_tick(run->log);
	for (uint32_t i = 0; i < run->nr_actors; i++) {
		struct actor *a = &run->actors[i];

		a->data_since = need_memory(calloc(a->model->nr_nodes + 1, sizeof(a->data_since[0])));
		a->was_told = need_memory(calloc(a->model->nr_nodes + 1, sizeof(a->was_told[0])));
	}
}

static void init_actor(struct actor *a, const struct lab *lab, const struct op_list *ops)
{
	for (uint32_t i = 0; i < ops->nr; i++)
		op_list_add(&a->ops, &ops->ops[i]);
	a->model = model_create(lab->config.block_bytes);
	a->marks = need_memory(malloc((ops->nr + 1) * sizeof(a->marks[0])));
	for (uint32_t i = 0; i <= ops->nr; i++)
		a->marks[i] = (struct run_mark){UINT64_MAX, UINT64_MAX, 0};
	a->promises = need_memory(calloc(ops->nr + 1, sizeof(a->promises[0])));
	a->promised_nodes = need_memory(calloc(ops->nr + 1, sizeof(a->promised_nodes[0])));
}

struct run *run_new(struct lab *lab, const struct op_list *lists, uint32_t nr)
{
	struct recordlog_config config = {.keeps_records = true};
	struct run *run = need_memory(calloc(1, sizeof(*run)));
	char why[200];

	run->actors = need_memory(calloc(nr, sizeof(run->actors[0])));
	run->nr_actors = nr;
	for (uint32_t i = 0; i < nr; i++)
		init_actor(&run->actors[i], lab, &lists[i]);
	run->image = lab->fresh;
	run->splits_rename = lab->config.splits_rename;
	need(recordlog_create(&config, &run->log, why, sizeof(why)) == 0, "a recorder");
	return run;
}

void run_finish(struct lab *lab, struct run *run)
{
	take_records(run);
	lab->run_number++;
	lab->counts.workloads++;
}

struct run *lab_run(struct lab *lab, const struct op_list *ops, char *why, size_t why_size)
{
	struct disk_config config = {.name = "recorded", .is_inline = true};
	struct run *run = run_new(lab, ops, 1);
	struct disk *disk;
	bool is_good;

	lab_apply_setup(lab, run->actors[0].model);
	model_take_snapshot(run->actors[0].model);
	flat_rewind(lab->live, 0);
	if (lab->config.shuffles) {
		is_good = do_all_shuffled(lab, run, why, why_size);
	} else {
		need(recorddisk_open(lab->live->disk, false, run->log, &config, &disk) == 0, "a recording disk");
		is_good = do_all(lab, run, disk, why, why_size);
		disk_close(disk);
	}
	if (!is_good) {
		run_destroy(run);
		return NULL;
	}
	run_finish(lab, run);
	return run;
}

struct run *lab_run_faulty(struct lab *lab, const struct op_list *ops, const struct lab_fault *fault)
{
	struct disk_config config = {.name = "failing", .is_inline = true};
	struct faultydisk_config faults = {.seed = lab->config.seed};
	struct run *run = run_new(lab, ops, 1);
	struct disk *below, *disk;
	struct faultydisk *faulty;
	char why[300];
	bool came;

	run->may_fail = true;
	lab_apply_setup(lab, run->actors[0].model);
	model_take_snapshot(run->actors[0].model);
	flat_rewind(lab->live, 0);
	faults.fails[fault->op] = (struct fault_when){.nth = fault->nth, .is_sticky = fault->is_sticky};
	need(faultydisk_open(lab->live->disk, false, &faults, &config, &faulty, &below) == 0, "a failing disk");
	need(recorddisk_open(below, true, run->log, &config, &disk) == 0, "a recording disk");
	ignore(do_all(lab, run, disk, why, sizeof(why)), "what could not be done is noted");
	came = faultydisk_stats(faulty).failed != 0;
	disk_close(disk);
	run_finish(lab, run);
	if (came)
		return run;
	run_destroy(run);
	return NULL;
}

void run_destroy(struct run *run)
{
	if (!run)
		return;
	for (uint32_t i = 0; i < run->nr_actors; i++) {
		struct actor *a = &run->actors[i];

		op_list_done(&a->ops);
		model_destroy(a->model);
		free(a->marks);
		free(a->promises);
		free(a->promised_nodes);
		free(a->data_since);
		free(a->was_told);
	}
	free(run->actors);
	recordlog_destroy(run->log);
	free(run->writes);
	free(run->flushes);
	free(run->discarded);
	free(run);
}
