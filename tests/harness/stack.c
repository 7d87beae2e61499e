/*
 * The stack is built from the disk upwards, and unbuilt from whatever point was reached.
 */
#include "harness/stack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/filedisk.h"

#define VIRTUAL_START 1700000000
#define THREADED_WORKERS 2

const struct cred stack_root = {.uid = 0, .gid = 0, .has_fsetid = true, .may_use_reserved = true};
const struct cred stack_user = {.uid = 1000, .gid = 1000};

static int open_disk(const struct stack_config *config, int image_fd, struct stack *s)
{
	struct filedisk_config file_config = {.is_read_only = config->is_read_only};
	struct disk_config disk_config = {.name = "image", .is_inline = !config->is_threaded, .clock = s->clock};
	int fd = dup(image_fd);

	if (fd < 0)
		return -errno;
	return filedisk_open_fd(fd, &file_config, &disk_config, &s->disk, s->why, sizeof(s->why));
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
	if (s->work)
		workqueue_destroy(s->work);
	if (s->clock)
		clock_destroy(s->clock);
	s->cache = NULL;
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
