/*
 * The stack is built from the disk upwards, and unbuilt from whatever point was reached.
 */
#include "harness/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/filedisk.h"
#include "drivers/mmapdisk.h"
#include "drivers/simdisk.h"
#include "drivers/uringdisk.h"
#include <check.h>

#define VIRTUAL_START 1700000000
#define THREADED_WORKERS 2

const struct cred stack_root = {.uid = 0, .gid = 0, .has_fsetid = true, .may_use_reserved = true};
const struct cred stack_user = {.uid = 1000, .gid = 1000};

static enum stack_driver driver_of(const struct stack_config *config)
{
	static const char *const names[] = {"any", "file", "uring", "mmap", "dax", "sim"};
	const char *wanted = getenv("EXTANT_TEST_DRIVER");

	if (config->driver != STACK_ANY)
		return config->driver;
	for (size_t i = 1; wanted && i < array_size(names); i++)
		if (strcmp(names[i], wanted) == 0)
			return (enum stack_driver)i;
	if (wanted && wanted[0])
		ck_abort_msg("EXTANT_TEST_DRIVER is none of %s", STACK_DRIVER_NAMES);
	return STACK_FILE;
}

static int open_file(const struct stack_config *config, int fd, const struct disk_config *disk, struct stack *s)
{
	struct filedisk_config file = {.is_read_only = config->is_read_only};

	return filedisk_open_fd(fd, &file, disk, &s->disk, s->why, sizeof(s->why));
}

static int open_uring(const struct stack_config *config, int fd, const struct disk_config *disk, struct stack *s)
{
	struct uringdisk_config uring = {.is_read_only = config->is_read_only};

	return uringdisk_open_fd(fd, &uring, disk, NULL, &s->disk, s->why, sizeof(s->why));
}

static int open_mmap(const struct stack_config *config, int fd, const struct disk_config *disk, struct stack *s)
{
	struct mmapdisk_config mapped = {.is_read_only = config->is_read_only};

	return mmapdisk_open_fd(fd, &mapped, disk, &s->disk, s->why, sizeof(s->why));
}

/*
 * A fast disk with rings. In virtual time whoever submits runs it; on a clock of its own, so that an
 * operation takes none of the file system's time, whatever it has to read.
 */
static int open_sim(const struct stack_config *config, int fd, const struct disk_config *disk, struct stack *s)
{
	struct sim_config sim = {
		.profile = sim_profile_find("nvme"),
		.mode = SIM_RING_IRQ,
		.drive = config->is_threaded ? SIM_REAL : SIM_INLINE,
		.owns_media = true,
	};
	struct disk_config own = *disk;
	struct disk *media;
	int err = open_file(config, fd, disk, s);

	if (err)
		return err;
	media = s->disk;
	if (!config->is_threaded)
		s->disk_clock = own.clock = clock_create_virtual((struct timespec){.tv_sec = VIRTUAL_START});
	err = !own.clock ? -ENOMEM : simdisk_open(media, &sim, &own, &s->disk, NULL, s->why, sizeof(s->why));
	if (err) {
		disk_close(media);
		s->disk = NULL;
	}
	return err;
}

static int open_disk(const struct stack_config *config, int image_fd, struct stack *s)
{
	struct disk_config disk = {
		.name = "image",
		.is_inline = !config->is_threaded,
		.clock = s->clock,
		.elevator = config->elevator,
	};
	int fd = dup(image_fd);

	if (fd < 0)
		return -errno;
	switch (driver_of(config)) {
	case STACK_URING:
		return open_uring(config, fd, &disk, s);
	case STACK_MMAP:
	case STACK_DAX:
		return open_mmap(config, fd, &disk, s);
	case STACK_SIM:
		return open_sim(config, fd, &disk, s);
	case STACK_ANY:
	case STACK_FILE:
		break;
	}
	return open_file(config, fd, &disk, s);
}

static int make_cache(const struct stack_config *config, struct stack *s)
{
	struct page_cache_config cache_config = {
		.block_bytes = config->block_bytes,
		.size_bytes = config->cache_bytes ? config->cache_bytes : PAGE_CACHE_BYTES_MIN,
		.dirty_percent = 40,
		.background_percent = 10,
		.dirty_expire_ms = 5000,
		.flush_interval_ms = 1000,
		.clock = s->clock,
		.work = s->work,
	};

	return page_cache_create(&cache_config, &s->cache);
}

static int mount_ext(const struct stack_config *config, struct stack *s)
{
	struct ext_mount_config mount_config = {
		.is_read_only = config->is_read_only,
		.resuid = (uid_t)-1,
		.resgid = (gid_t)-1,
		.has_dax = driver_of(config) == STACK_DAX,
		.seed = config->seed | 1,
		.data_mode = config->data_mode,
	};
	struct super_config super_config = {
		.disk = s->disk,
		.cache = s->cache,
		.clock = s->clock,
		.work = s->work,
		.unused_inodes_max = config->unused_inodes_max,
		.dentries_max = config->dentries_max,
	};

	return ext_mount(&mount_config, &super_config, &s->sb, s->why, sizeof(s->why));
}

static void unbuild(struct stack *s)
{
	if (s->cache)
		page_cache_destroy(s->cache);
	disk_close(s->disk);
	if (s->disk_clock)
		clock_destroy(s->disk_clock);
	if (s->work)
		workqueue_destroy(s->work);
	if (s->clock)
		clock_destroy(s->clock);
	s->cache = NULL;
	s->disk_clock = NULL;
	s->disk = NULL;
	s->work = NULL;
	s->clock = NULL;
}

static int build(const struct stack_config *config, int image_fd, struct stack *s)
{
	struct timespec start = {.tv_sec = VIRTUAL_START};
	int err;

	s->clock = config->is_threaded ? clock_create_real() : clock_create_virtual(start);
	if (!s->clock)
		return -ENOMEM;
	s->work = workqueue_create("test", config->is_threaded ? THREADED_WORKERS : 0, s->clock, config->seed);
	if (!s->work)
		return -ENOMEM;
	err = open_disk(config, image_fd, s);
	if (!err)
		err = make_cache(config, s);
	if (!err)
		err = mount_ext(config, s);
	return err;
}

int stack_mount(const struct stack_config *config, int image_fd, struct stack *stack)
{
	int err;

	*stack = (struct stack){0};
	err = build(config, image_fd, stack);
	if (err)
		unbuild(stack);
	return err;
}

int stack_unmount(struct stack *stack)
{
	int err = super_shutdown(stack->sb);

	stack->sb = NULL;
	unbuild(stack);
	return err;
}

void stack_pass_time(struct stack *stack, uint64_t ms)
{
	clock_advance(stack->clock, ms * NSEC_PER_MSEC);
	work_run_pending(stack->work);
}
