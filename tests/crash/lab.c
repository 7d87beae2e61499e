/* The laboratory's rooms: the image, and a workload done on it under a recorder. */
#include "crash/lab.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "crash/need.h"
#include "drivers/faultydisk.h"
#include "drivers/recorddisk.h"
#include "plan.h"
#include "write.h"

#define MADE_AT 1700000000

void need(bool is_there, const char *what)
{
	if (is_there)
		return;
	fprintf(stderr, "crash: cannot go on without %s\n", what);
	exit(2);
}

void *need_memory(void *p)
{
	need(p != NULL, "memory");
	return p;
}

static struct mount_config mount_config_of(const struct lab *lab)
{
	return (struct mount_config){
		.block_bytes = lab->config.block_bytes,
		.unused_inodes_max = lab->config.unused_inodes_max,
		.is_data_writeback = lab->config.is_data_writeback,
		.has_no_checksum = lab->config.has_no_checksum,
		.seed = lab->config.seed,
	};
}

/* ---- the image ---- */

static void plan_image(const struct lab_config *config, struct plan *plan)
{
	struct mkfs_params params = {
		.is_ext3 = true,
		.size_bytes = config->size_bytes,
		.block_size = config->block_bytes,
		.inode_size = 256,
		.rev_level = 1,
		.now = MADE_AT,
	};
	struct rand r;
	char err[256];

	rand_init(&r, config->seed);
	rand_fill(&r, params.uuid, sizeof(params.uuid));
	rand_fill(&r, params.hash_seed, sizeof(params.hash_seed));
	need(plan_make(&params, plan, err, sizeof(err)) == 0, err);
	need(plan->journal_blocks != 0, "room for a journal");
}

/* What our mkfs makes of a file in memory. */
static void make_fresh(const struct lab_config *config, uint8_t *to)
{
	struct write_options options = {.is_prezeroed = true};
	int fd = memfd_create("crash-fresh", 0);
	struct image image;
	struct plan plan;
	char path[64];

	need(fd >= 0 && ftruncate(fd, (off_t)config->size_bytes) == 0, "a file in memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	plan_image(config, &plan);
	need(!image_open(&image, path, 0) && !image_lock(&image) && !write_filesystem(&plan, &image, &options) &&
		     !image_close(&image, false),
	     "a fresh file system");
	need(pread(fd, to, config->size_bytes, 0) == (ssize_t)config->size_bytes, "the fresh image");
	close(fd);
}

/* What lies in free space must never show up in a file: it is made to be known. */
static void fill_free_space(struct lab *lab, uint8_t *image)
{
	for (uint32_t b = 0; b < lab->reader.blocks; b++)
		if (reader_is_free(&lab->reader, b))
			memset(image + (size_t)b * lab->reader.block_bytes, 0xfb, lab->reader.block_bytes);
}

static void note_log(void *arg, uint32_t first, uint32_t count)
{
	struct lab *lab = arg;

	flat_set_log(lab->flat, first, count);
	flat_set_log(lab->live, first, count);
}

static void apply_setup(const struct lab *lab, struct model *m)
{
	struct op lost = {.kind = OP_MKDIR, .path = "lost+found"};

	model_apply(m, &lost, 0, 0, 0);
	lost = (struct op){.kind = OP_CHMOD, .path = "lost+found", .len = 0700};
	model_apply(m, &lost, 0, 0, 0);
	for (uint32_t i = 0; i < lab->setup.nr; i++)
		model_apply(m, &lab->setup.ops[i], 0, lab->setup.ops[i].len, 0);
}

static void do_setup(struct lab *lab)
{
	struct mount_config config = mount_config_of(lab);
	struct ground ground;
	struct mount mount;

	ground_init(&ground, &config);
	need(mount_start(&mount, &ground, lab->live->disk, &config) == 0, mount.why);
	for (uint32_t i = 0; i < lab->setup.nr; i++) {
		uint64_t done;

		need(mount_do(&mount, &lab->setup.ops[i], 0, &done) == 0, "the setup's operations");
	}
	need(mount_stop(&mount) == 0, "a clean end of the setup");
	ground_done(&ground);
}

static void make_images(struct lab *lab)
{
	make_fresh(&lab->config, lab->fresh);
	need(reader_init(&lab->reader, lab->fresh, lab->config.size_bytes), lab->reader.why);
	lab->room = lab->reader.free_blocks + lab->reader.table[READER_ROOT].units / (lab->config.block_bytes / 512);
	reader_log(&lab->reader, note_log, lab);
	fill_free_space(lab, lab->fresh);
	flat_load(lab->live, lab->fresh);
	do_setup(lab);
	flat_keep(lab->live);	/* each run begins here again */
	memcpy(lab->fresh, lab->live->bytes, lab->config.size_bytes);
	need(reader_parse(&lab->reader, lab->fresh), lab->reader.why);
}

struct lab *lab_create(const struct lab_config *config)
{
	struct lab *lab = need_memory(calloc(1, sizeof(*lab)));
	struct mount_config mount_config;

	lab->config = *config;
	lab->flat = flat_create(config->size_bytes);
	lab->live = flat_create(config->size_bytes);
	lab->fresh = need_memory(malloc(config->size_bytes));
	lab->scratch = need_memory(malloc(config->size_bytes));
	lab->distinct = seen_create();
	lab->seen = seen_create();
	rand_init(&lab->rand, config->seed);
	need(op_list_parse(&lab->setup, config->setup ? config->setup : ""), "a setup that can be read");
	for (uint32_t i = 0; i < lab->setup.nr; i++)
		lab->setup.ops[i].fill = 100 + i;
	mount_config = mount_config_of(lab);
	ground_init(&lab->ground, &mount_config);
	make_images(lab);
	return lab;
}

void lab_destroy(struct lab *lab)
{
	ground_done(&lab->ground);
	flat_destroy(lab->flat);
	flat_destroy(lab->live);
	seen_destroy(lab->distinct);
	seen_destroy(lab->seen);
	reader_done(&lab->reader);
	op_list_done(&lab->setup);
	state_done(&lab->finding.state);
	free(lab->fresh);
	free(lab->scratch);
	free(lab);
}

/* ---- a run ---- */

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

/* False: the operation is none that can be done here, or failed as none should. */
static bool do_one(struct run *run, struct actor *a, struct mount *mount, uint32_t number, char *why, size_t why_size)
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
	struct mount_config config = mount_config_of(lab);
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
		is_good = do_one(run, a, &mount, i, why, why_size);
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
}

static void take_records(struct run *run)
{
	uint64_t nr = recordlog_count(run->log);

	need(recordlog_error(run->log) == 0, "a whole record");
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

static struct run *new_run(struct lab *lab, const struct op_list *lists, uint32_t nr)
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

static void finish_run(struct lab *lab, struct run *run)
{
	take_records(run);
	lab->run_number++;
	lab->counts.workloads++;
}

struct run *lab_run(struct lab *lab, const struct op_list *ops, char *why, size_t why_size)
{
	struct disk_config config = {.name = "recorded", .is_inline = true};
	struct run *run = new_run(lab, ops, 1);
	struct disk *disk;
	bool is_good;

	apply_setup(lab, run->actors[0].model);
	model_take_snapshot(run->actors[0].model);
	flat_rewind(lab->live, 0);
	need(recorddisk_open(lab->live->disk, false, run->log, &config, &disk) == 0, "a recording disk");
	is_good = do_all(lab, run, disk, why, why_size);
	disk_close(disk);
	if (!is_good) {
		run_destroy(run);
		return NULL;
	}
	finish_run(lab, run);
	return run;
}

struct run *lab_run_faulty(struct lab *lab, const struct op_list *ops, const struct lab_fault *fault)
{
	struct disk_config config = {.name = "failing", .is_inline = true};
	struct faultydisk_config faults = {.seed = lab->config.seed};
	struct run *run = new_run(lab, ops, 1);
	struct disk *below, *disk;
	struct faultydisk *faulty;
	char why[300];
	bool came;

	run->may_fail = true;
	apply_setup(lab, run->actors[0].model);
	model_take_snapshot(run->actors[0].model);
	flat_rewind(lab->live, 0);
	faults.fails[fault->op] = (struct fault_when){.nth = fault->nth, .is_sticky = fault->is_sticky};
	need(faultydisk_open(lab->live->disk, false, &faults, &config, &faulty, &below) == 0, "a failing disk");
	need(recorddisk_open(below, true, run->log, &config, &disk) == 0, "a recording disk");
	ignore(do_all(lab, run, disk, why, sizeof(why)), "what could not be done is noted");
	came = faultydisk_stats(faulty).failed != 0;
	disk_close(disk);
	finish_run(lab, run);
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
	free(run);
}

/* ---- threads ---- */

#define WORK_THREADS 2u

struct thread_of_actor {
	struct run *run;
	struct actor *actor;
	struct mount mount;		/* the same mount, with what this one holds */
	char why[300];
	bool is_good;
};

/* Numbers are taken as operations turn out to be possible: the list is made again on the way. */
static void *act(void *arg)
{
	struct thread_of_actor *t = arg;
	struct actor *a = t->actor;
	uint32_t nr = a->ops.nr, done = 0;

	t->is_good = true;
	for (uint32_t i = 0; t->is_good && i < nr; i++) {
		if (model_try(a->model, &a->ops.ops[i]))
			continue;
		a->ops.ops[done++] = a->ops.ops[i];
		t->is_good = do_one(t->run, a, &t->mount, done, t->why, sizeof(t->why));
	}
	a->ops.nr = done;
	return NULL;
}

static void start_actor(struct thread_of_actor *t, struct run *run, uint32_t i, const struct mount *mount)
{
	t->run = run;
	t->actor = &run->actors[i];
	t->mount = *mount;
	snprintf(t->actor->top, sizeof(t->actor->top), "w%u", i);
	need(mount_enter(&t->mount, t->actor->top) == 0, "the actor's directory");
	model_take_snapshot(t->actor->model);
}

static bool act_all(struct run *run, struct mount *mount, char *why, size_t why_size)
{
	struct thread_of_actor *threads = need_memory(calloc(run->nr_actors, sizeof(threads[0])));
	pthread_t *ids = need_memory(calloc(run->nr_actors, sizeof(ids[0])));
	bool is_good = true;

	for (uint32_t i = 0; i < run->nr_actors; i++)
		start_actor(&threads[i], run, i, mount);
	for (uint32_t i = 0; i < run->nr_actors; i++)
		need(pthread_create(&ids[i], NULL, act, &threads[i]) == 0, "a thread");
	for (uint32_t i = 0; i < run->nr_actors; i++) {
		pthread_join(ids[i], NULL);
		mount_leave(&threads[i].mount);
		if (!threads[i].is_good)
			snprintf(why, why_size, "w%u: %s", i, threads[i].why);
		is_good = is_good && threads[i].is_good;
	}
	free(threads);
	free(ids);
	return is_good;
}

static bool do_all_threads(struct lab *lab, struct run *run, struct disk *disk, char *why, size_t why_size)
{
	struct mount_config config = mount_config_of(lab);
	struct ground ground;
	struct mount mount;
	bool is_good;
	int err;

	config.nr_threads = WORK_THREADS;
	ground_init(&ground, &config);
	err = mount_start(&mount, &ground, disk, &config);
	need(err == 0, mount.why);
	is_good = act_all(run, &mount, why, why_size);
	err = mount_stop(&mount);
	if (err && is_good) {
		snprintf(why, why_size, "unmounting failed: %s", strerror(-err));
		is_good = false;
	}
	ground_done(&ground);
	return is_good;
}

struct run *lab_run_threads(struct lab *lab, const struct op_list *lists, uint32_t nr, char *why, size_t why_size)
{
	struct faultydisk_config slow = {.seed = lab->config.seed, .delay_one_in = 2, .delay_ms_max = 2};
	struct disk_config config = {.name = "recorded"};
	struct run *run = new_run(lab, lists, nr);
	struct disk *slow_disk, *disk;
	struct faultydisk *faulty;
	bool is_good;

	flat_rewind(lab->live, 0);
	need(faultydisk_open(lab->live->disk, false, &slow, &config, &faulty, &slow_disk) == 0, "a slow disk");
	need(recorddisk_open(slow_disk, true, run->log, &config, &disk) == 0, "a recording disk");
	is_good = do_all_threads(lab, run, disk, why, why_size);
	disk_close(disk);
	if (!is_good) {
		run_destroy(run);
		return NULL;
	}
	finish_run(lab, run);
	return run;
}
