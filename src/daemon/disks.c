/*
 * The disks under a mount. With wiring.c the only place that names drivers and schedulers.
 *
 * The lock on the image may be held by a daemon whose mount is gone already and that is writing
 * the last of it; then it is worth waiting a little.
 */
#include "disks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "block/disk.h"
#include "drivers/cowdisk.h"
#include "drivers/filedisk.h"
#include "drivers/iolog.h"
#include "drivers/mmapdisk.h"
#include "drivers/partdisk.h"
#include "drivers/recorddisk.h"
#include "drivers/simdisk.h"
#include "drivers/uringdisk.h"
#include "fuse/mountinfo.h"
#include "sched/sched.h"

#define MOUNT_TYPE "fuse.extant"
#define LOCK_WAIT_MS 3000
#define LOCK_RETRY_MS 50

static struct disk_config disk_config_of(const char *image, const struct mount_options *o, struct clock *clock)
{
	return (struct disk_config){
		.name = image,
		.queue_depth_max = (uint32_t)o->queue_depth,
		.nr_workers = (uint32_t)o->nr_workers,
		.clock = clock,
		.elevator = sched_at((size_t)o->scheduler),
	};
}

/* A disk upon another does no work of its own: it needs no scheduler, and hands on at once. */
static struct disk_config upper_config_of(const char *image, struct clock *clock)
{
	return (struct disk_config){.name = image, .clock = clock};
}

/* What a cow keeps to itself does not reach the image. */
static bool never_writes(const struct mount_options *o)
{
	return o->is_read_only || o->has_cow || o->cow_path;
}

static int open_file(const char *image, const struct mount_options *o, const struct disk_config *config,
		     struct disk **ret_disk, char *why, size_t why_size)
{
	const struct filedisk_config file = {
		.is_read_only = never_writes(o),
		.takes_lock = true,
		.is_direct = o->is_direct,
	};

	return filedisk_open(image, &file, config, ret_disk, why, why_size);
}

/* Where the host refuses io_uring the same is done by system calls, and said. */
static int open_uring(const char *image, const struct mount_options *o, const struct disk_config *config,
		      struct disk **ret_disk, char *why, size_t why_size)
{
	const struct uringdisk_config uring = {
		.is_read_only = never_writes(o),
		.takes_lock = true,
		.is_direct = o->is_direct,
		.has_sqpoll = o->has_sqpoll,
	};
	int err = uringdisk_open(image, &uring, config, NULL, ret_disk, why, why_size);

	if (err != -ENOSYS)
		return err;
	log_notice("%s: %s; driver=file is used instead", image, why);
	return open_file(image, o, config, ret_disk, why, why_size);
}

static int open_mmap(const char *image, const struct mount_options *o, const struct disk_config *config,
		     struct disk **ret_disk, char *why, size_t why_size)
{
	const struct mmapdisk_config mapped = {.is_read_only = never_writes(o), .takes_lock = true};

	return mmapdisk_open(image, &mapped, config, ret_disk, why, why_size);
}

static int open_driver(const char *image, const struct mount_options *o, const struct disk_config *config,
		       struct disk **ret_disk, char *why, size_t why_size)
{
	switch ((enum driver_choice)o->driver) {
	case DRIVER_URING:
		return open_uring(image, o, config, ret_disk, why, why_size);
	case DRIVER_MMAP:
		return open_mmap(image, o, config, ret_disk, why, why_size);
	case DRIVER_FILE:
	case DRIVER_SIM:
		break;
	}
	return open_file(image, o, config, ret_disk, why, why_size);
}

static void trace_to_iolog(const struct disks *d, struct disk_config *config, bool is_traced)
{
	config->trace = is_traced ? iolog_note : NULL;
	config->trace_arg = d->iolog;
}

static int open_image(struct disks *d, const char *image, const struct mount_options *o, struct clock *clock,
		      char *why, size_t why_size)
{
	struct disk_config config = disk_config_of(image, o, clock);
	const struct timespec pause = {.tv_nsec = LOCK_RETRY_MS * (long)NSEC_PER_MSEC};
	unsigned waited_ms;
	int err;

	trace_to_iolog(d, &config, o->driver != DRIVER_SIM);	/* else of the simulated disk over it */
	for (waited_ms = 0;; waited_ms += LOCK_RETRY_MS) {
		err = open_driver(image, o, &config, &d->top, why, why_size);
		if (err != -EBUSY || waited_ms >= LOCK_WAIT_MS || mountinfo_has_source(MOUNT_TYPE, image))
			return err;
		nanosleep(&pause, NULL);
	}
}

/*
 * A simulated disk over the image, in real time: its profile's seeks and rotations are slept
 * through. The scheduler under test then is the one in front of it.
 */
static int add_sim(struct disks *d, const char *image, const struct mount_options *o, struct clock *clock, char *why,
		   size_t why_size)
{
	const struct sim_config sim = {
		.profile = o->sim_profile == SIM_UNSAID ? sim_profile_find("hdd7200") :
							  sim_profile_at((size_t)o->sim_profile),
		.mode = o->sim_mode == SIM_UNSAID ? SIM_DMA_IRQ : (enum sim_mode)o->sim_mode,
		.drive = SIM_REAL,
		.owns_media = true,
	};
	struct disk_config config = disk_config_of(image, o, clock);
	int err;

	if (o->driver != DRIVER_SIM)
		return 0;
	trace_to_iolog(d, &config, true);
	err = simdisk_open(d->top, &sim, &config, &d->top, NULL, why, why_size);
	if (!err)
		d->image = d->top;
	return err;
}

static int add_part(struct disks *d, const char *image, const struct mount_options *o, struct clock *clock, char *why,
		    size_t why_size)
{
	const struct partdisk_config part = {.part = o->part, .offset_bytes = o->offset_bytes, .owns_lower = true};
	const struct disk_config config = upper_config_of(image, clock);

	if (!o->part && !o->offset_bytes)
		return 0;
	return partdisk_open(d->top, &part, &config, &d->top, why, why_size);
}

static int add_cow(struct disks *d, const char *image, const char *path, struct clock *clock, char *why, size_t why_size)
{
	const struct cowdisk_config cow = {.path = path, .owns_lower = true};
	const struct disk_config config = upper_config_of(image, clock);

	return cowdisk_open(d->top, &cow, &config, NULL, &d->top, why, why_size);
}

static int add_record(struct disks *d, const char *image, const char *path, struct clock *clock, char *why,
		      size_t why_size)
{
	const struct recordlog_config log = {.path = path};
	const struct disk_config config = upper_config_of(image, clock);
	int err;

	if (!path)
		return 0;
	err = recordlog_create(&log, &d->log, why, why_size);
	if (err)
		return err;
	err = recorddisk_open(d->top, true, d->log, &config, &d->top);
	if (err)
		snprintf(why, why_size, "cannot record to %s: %s", path, strerror(-err));
	return err;
}

int disks_open(const char *image, const struct mount_options *options, struct clock *clock, struct disks *ret_disks,
	       char *why, size_t why_size)
{
	struct disks d = {0};
	int err = iolog_create(&d.iolog);
	char clause[512];

	snprintf(why, why_size, "%s: out of memory", image);
	if (!err)
		err = open_image(&d, image, options, clock, why, why_size);
	if (err) {
		iolog_destroy(d.iolog);
		return err;
	}
	d.image = d.top;
	snprintf(clause, sizeof(clause), "out of memory");
	err = add_sim(&d, image, options, clock, clause, sizeof(clause));
	if (!err)
		err = add_part(&d, image, options, clock, clause, sizeof(clause));
	if (!err && (options->has_cow || options->cow_path))
		err = add_cow(&d, image, options->cow_path, clock, clause, sizeof(clause));
	if (!err)
		err = add_record(&d, image, options->record_path, clock, clause, sizeof(clause));
	if (!err && options->iolog_path)
		err = iolog_start(d.iolog, options->iolog_path, disk_name(d.image), clause, sizeof(clause));
	if (err) {
		snprintf(why, why_size, "%s: %s", image, clause);
		disks_close(&d);
		return err;
	}
	*ret_disks = d;
	return 0;
}

int disks_add_scratch(struct disks *disks, const char *image, struct clock *clock, char *why, size_t why_size)
{
	return add_cow(disks, image, NULL, clock, why, why_size);
}

int disks_set_scheduler(struct disks *disks, const char *name, char *why, size_t why_size)
{
	const struct elevator_ops *ops = sched_find(name);
	int err;

	if (!ops) {
		snprintf(why, why_size, "\"%s\" is none of %s", name, SCHED_NAMES);
		return -EINVAL;
	}
	err = disk_set_elevator(disks->image, ops);
	if (err)
		snprintf(why, why_size, "the scheduler stays as it is: %s", strerror(-err));
	return err;
}

int disks_set_iolog(struct disks *disks, const char *path, char *why, size_t why_size)
{
	int err;

	if (path[0])
		return iolog_start(disks->iolog, path, disk_name(disks->image), why, why_size);
	err = iolog_stop(disks->iolog);
	if (err)
		snprintf(why, why_size, "the iolog is not complete: %s", strerror(-err));
	return err;
}

void disks_close(struct disks *disks)
{
	int err = 0;

	disk_close(disks->top);
	disks->top = NULL;
	err = disks->iolog ? iolog_stop(disks->iolog) : 0;
	if (err)
		log_error("the iolog is not complete: %s", strerror(-err));
	iolog_destroy(disks->iolog);
	disks->iolog = NULL;
	if (!disks->log)
		return;
	err = recordlog_error(disks->log);
	if (err)
		log_error("the record of writes has a hole: %s", strerror(-err));
	recordlog_destroy(disks->log);
	disks->log = NULL;
}

void disks_describe_partitions(struct disk *disk, char *text, size_t size)
{
	struct partition_table table;
	char why[200];

	text[0] = '\0';
	if (partition_table_read(disk, &table, why, sizeof(why)) != 0 || table.scheme == PARTITIONS_NONE)
		return;
	partition_table_describe(&table, text, size);
}
