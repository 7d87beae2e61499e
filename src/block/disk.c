/* Disks: opened around a driver, asked, drained and closed. */
#include "block/disk.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"
#include "queue.h"

static void check_limits(const struct disk_ops *ops, const struct disk_limits *limits)
{
	/* A driver that says otherwise has a bug. */
	must(ops->execute || ops->start);
	must(limits->depth >= 1);
	must(limits->vecs_max >= 1);
	must(limits->block_bytes >= SECTOR_SIZE && is_power_of_2(limits->block_bytes));
	must(limits->request_bytes_max >= limits->block_bytes);
	must(limits->request_bytes_max % limits->block_bytes == 0);
}

static enum queue_mode queue_mode_of(const struct disk_ops *ops, const struct disk_config *config)
{
	if (ops->start)
		return QUEUE_START;
	return config->is_inline ? QUEUE_INLINE : QUEUE_WORKERS;
}

static void disk_init(struct disk *disk, const struct disk_ops *ops, void *driver,
		      const struct disk_limits *limits, const struct disk_config *config)
{
	disk->ops = ops;
	disk->driver = driver;
	disk->limits = *limits;
	disk->trace = config->trace;
	disk->trace_arg = config->trace_arg;
	disk->mode = queue_mode_of(ops, config);
	disk->elevator_ops = config->elevator ? config->elevator : &fifo_elevator;
	mutex_init(&disk->lock, RANK_QUEUE, "disk queue");
	cond_init(&disk->drained);
	list_init(&disk->urgent);
	list_init(&disk->idle_workers);
	flusher_init(&disk->flusher, disk);
	histogram_init(&disk->stats.wait_ns);
	histogram_init(&disk->stats.service_ns);
}

static int init_clock(struct disk *disk, struct clock *clock)
{
	disk->owns_clock = !clock;
	disk->clock = clock ? clock : clock_create_real();
	return disk->clock ? 0 : -ENOMEM;
}

static int init_tags(struct disk *disk)
{
	uint32_t depth = disk->limits.depth;

	disk->free_tags = mem_alloc(depth * sizeof(*disk->free_tags));
	if (!disk->free_tags)
		return -ENOMEM;
	while (disk->nr_free_tags < depth) {
		disk->free_tags[disk->nr_free_tags] = depth - 1 - disk->nr_free_tags;
		disk->nr_free_tags++;
	}
	return 0;
}

static int init_workers(struct disk *disk, uint32_t nr_asked)
{
	uint32_t nr = nr_asked ? nr_asked : DISK_WORKERS_DEFAULT;

	if (disk->mode != QUEUE_WORKERS)
		return 0;
	return workers_start(disk, min(nr, disk->limits.depth));
}

int disk_open_with(const struct disk_ops *ops, void *driver, const struct disk_limits *limits,
		   const struct disk_config *config, struct disk **ret_disk)
{
	uint32_t nr_max = config->queue_depth_max ? config->queue_depth_max
						  : DISK_QUEUE_DEPTH_DEFAULT;
	struct disk *disk;
	int err;

	check_limits(ops, limits);
	if (nr_max > DISK_QUEUE_DEPTH_LIMIT)
		return -EINVAL;
	disk = mem_zalloc(sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	disk_init(disk, ops, driver, limits, config);
	disk->name = mem_strdup(config->name ? config->name : ops->name);
	err = disk->name ? init_clock(disk, config->clock) : -ENOMEM;
	if (err)
		goto out_free;
	err = init_tags(disk);
	if (err)
		goto out_clock;
	err = slots_init(&disk->slots, nr_max);
	if (err)
		goto out_tags;
	err = disk->elevator_ops->init(&disk->elevator);
	if (err)
		goto out_slots;
	err = init_workers(disk, config->nr_workers);
	if (err)
		goto out_workers;
	if (ops->attach)
		ops->attach(driver, disk);
	*ret_disk = disk;
	return 0;

out_workers:
	workers_stop(disk);
	disk->elevator_ops->done(disk->elevator);
out_slots:
	slots_done(&disk->slots);
out_tags:
	mem_free(disk->free_tags);
out_clock:
	if (disk->owns_clock)
		clock_destroy(disk->clock);
out_free:
	mem_free(disk->name);
	cond_done(&disk->drained);
	mutex_done(&disk->lock);
	mem_free(disk);
	return err;
}

void disk_drain(struct disk *disk)
{
	mutex_lock(&disk->lock);
	queue_kick(disk);
	disk->nr_drainers++;
	while (disk->slots.nr_out || disk->is_dispatching)
		cond_wait(&disk->drained, &disk->lock);
	disk->nr_drainers--;
	mutex_unlock(&disk->lock);
}

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	disk_drain(disk);
	workers_stop(disk);
	disk->ops->close(disk->driver);
	disk->elevator_ops->done(disk->elevator);
	slots_done(&disk->slots);
	mem_free(disk->free_tags);
	if (disk->owns_clock)
		clock_destroy(disk->clock);
	mem_free(disk->name);
	cond_done(&disk->drained);
	mutex_done(&disk->lock);
	mem_free(disk);
}

/* Direct access. */

static bool is_inside(const struct disk *disk, uint64_t offset, size_t len)
{
	return offset <= disk->limits.size_bytes && len <= disk->limits.size_bytes - offset;
}

bool disk_has_map(struct disk *disk)
{
	return disk_map(disk, 0, 1) != NULL;
}

void *disk_map(struct disk *disk, uint64_t offset_bytes, size_t len)
{
	if (!disk->ops->map || !is_inside(disk, offset_bytes, len))
		return NULL;
	return disk->ops->map(disk->driver, offset_bytes, len);
}

int disk_map_read(struct disk *disk, uint64_t offset_bytes, void *to, size_t len)
{
	must(disk->ops->map_read);
	if (!is_inside(disk, offset_bytes, len))
		return -EINVAL;
	return disk->ops->map_read(disk->driver, offset_bytes, to, len);
}

int disk_map_write(struct disk *disk, uint64_t offset_bytes, const void *from, size_t len)
{
	must(disk->ops->map_write);
	if (disk->limits.is_read_only)
		return -EROFS;
	if (!is_inside(disk, offset_bytes, len))
		return -EINVAL;
	return disk->ops->map_write(disk->driver, offset_bytes, from, len);
}

/* Memory. */

void disk_register_memory(struct disk *disk, void *base, size_t len)
{
	int err = disk->ops->register_memory ? disk->ops->register_memory(disk->driver, base, len) : -EOPNOTSUPP;

	if (!err)
		counter_add(&disk->stats.registered_bytes, len);
	else if (err != -EOPNOTSUPP)
		counter_add(&disk->stats.register_refused_bytes, len);
}

void disk_unregister_memory(struct disk *disk, void *base)
{
	if (disk->ops->unregister_memory)
		disk->ops->unregister_memory(disk->driver, base);
}

const struct disk_limits *disk_limits(const struct disk *disk)
{
	return &disk->limits;
}

const char *disk_name(const struct disk *disk)
{
	return disk->name;
}

const struct disk_stats *disk_stats(const struct disk *disk)
{
	return &disk->stats;
}
