/* Several actors at once, each a thread with a directory of its own. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crash/need.h"
#include "crash/run.h"
#include "drivers/faultydisk.h"
#include "drivers/recorddisk.h"

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
		t->is_good = run_do_one(t->run, a, &t->mount, done, t->why, sizeof(t->why));
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
	struct mount_config config = lab_mount_config(lab);
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
	struct run *run = run_new(lab, lists, nr);
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
	run_finish(lab, run);
	return run;
}
