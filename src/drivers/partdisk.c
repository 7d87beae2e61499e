/* A part of another disk: the same requests, a number of sectors further on. */
#include "drivers/partdisk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "stack.h"

struct partdisk {
	struct stack stack;
	uint64_t offset_bytes;
};

struct range {
	uint64_t offset_bytes, size_bytes;
};

static void partdisk_start(void *driver, struct request *rq)
{
	struct partdisk *part = driver;

	/* p1: the queue has checked rq against our size. */
	stack_submit(&part->stack, rq, rq->sector + (part->offset_bytes >> SECTOR_SHIFT), rq->size_bytes);
}

/* For who waits: down to the lowest disk on his own thread. */
static int partdisk_execute(void *driver, struct request *rq)
{
	struct partdisk *part = driver;

	return lower_transfer(part->stack.lower, rq, 0, rq->size_bytes,
			      (rq->sector << SECTOR_SHIFT) + part->offset_bytes);
}

/* Direct access, where the disk below has it. */

static void *partdisk_map(void *driver, uint64_t offset_bytes, size_t len)
{
	struct partdisk *part = driver;

	return disk_map(part->stack.lower, part->offset_bytes + offset_bytes, len);
}

static int partdisk_map_read(void *driver, uint64_t offset_bytes, void *to, size_t len)
{
	struct partdisk *part = driver;

	return disk_map_read(part->stack.lower, part->offset_bytes + offset_bytes, to, len);
}

static int partdisk_map_write(void *driver, uint64_t offset_bytes, const void *from, size_t len)
{
	struct partdisk *part = driver;

	return disk_map_write(part->stack.lower, part->offset_bytes + offset_bytes, from, len);
}

static void partdisk_close(void *driver)
{
	struct partdisk *part = driver;

	stack_done(&part->stack);
	mem_free(part);
}

static const struct disk_ops partdisk_ops = {
	.name = "part",
	.execute = partdisk_execute,
	.start = partdisk_start,
	.map = partdisk_map,
	.map_read = partdisk_map_read,
	.map_write = partdisk_map_write,
	.close = partdisk_close,
};

/* Which range. */

static int no_such_partition(const char *choice, const struct partition_table *table, char *why,
			     size_t why_size)
{
	int len;

	if (table->nr == 0) {
		snprintf(why, why_size, "%s, so there is no partition '%s'",
			 table->scheme == PARTITIONS_NONE ? "there is no partition table"
							  : "the partition table is empty",
			 choice);
		return -ENXIO;
	}
	if (choice[0])
		len = snprintf(why, why_size, "there is no single partition '%s'; choose with part= from: ", choice);
	else
		len = snprintf(why, why_size, "choose a partition with part= from: ");
	if (len > 0 && (size_t)len < why_size)
		partition_table_describe(table, why + len, why_size - (size_t)len);
	return -ENXIO;
}

static int range_of_partition(struct disk *lower, const char *choice, struct range *ret_range,
			      char *why, size_t why_size)
{
	struct partition_table *table = mem_alloc(sizeof(*table));
	const struct partition *p;
	int err;

	if (!table) {
		snprintf(why, why_size, "no memory for the partition table");
		return -ENOMEM;
	}
	err = partition_table_read(lower, table, why, why_size);
	if (err)
		goto out;
	p = partition_find(table, choice);
	if (p)
		*ret_range = (struct range){p->offset_bytes, p->size_bytes};
	else
		err = no_such_partition(choice, table, why, why_size);
	if (p && (p->size_bytes == 0 || p->offset_bytes == 0)) {
		snprintf(why, why_size, "partition %u has an impossible extent", p->number);
		err = -EUCLEAN;
	}
out:
	mem_free(table);
	return err;
}

static int check_range(const struct disk *lower, struct range *range, char *why, size_t why_size)
{
	const struct disk_limits *limits = disk_limits(lower);

	if (range->offset_bytes >= limits->size_bytes) {
		snprintf(why, why_size, "it begins at byte %llu, and the image ends at %llu",
			 (unsigned long long)range->offset_bytes, (unsigned long long)limits->size_bytes);
		return -EINVAL;
	}
	if (range->size_bytes == 0)
		range->size_bytes = round_down(limits->size_bytes - range->offset_bytes, limits->block_bytes);
	if (range->size_bytes > limits->size_bytes - range->offset_bytes) {
		snprintf(why, why_size, "it ends %llu bytes behind the image's end: is the image cut?",
			 (unsigned long long)(range->size_bytes - (limits->size_bytes - range->offset_bytes)));
		return -EINVAL;
	}
	if (range->offset_bytes % limits->block_bytes || range->size_bytes % limits->block_bytes) {
		snprintf(why, why_size, "it does not begin and end on blocks of %u bytes", limits->block_bytes);
		return -EINVAL;
	}
	return 0;
}

static int open_range(struct disk *lower, struct range range, bool owns_lower,
		      const struct disk_config *config, struct disk **ret_disk)
{
	struct disk_limits limits = stack_limits(lower);
	struct partdisk *part = mem_zalloc(sizeof(*part));
	int err;

	if (!part)
		return -ENOMEM;
	part->offset_bytes = range.offset_bytes;
	limits.size_bytes = range.size_bytes;
	err = stack_init(&part->stack, lower, owns_lower, NULL);
	if (err)
		goto out_free;
	err = disk_open_with(&partdisk_ops, part, &limits, config, ret_disk);
	if (err)
		goto out_stack;
	return 0;

out_stack:
	part->stack.owns_lower = false;	/* it stays the caller's */
	stack_done(&part->stack);
out_free:
	mem_free(part);
	return err;
}

int partdisk_open(struct disk *lower, const struct partdisk_config *part_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct range range = {part_config->offset_bytes, part_config->size_bytes};
	int err = 0;

	if (part_config->part)
		err = range_of_partition(lower, part_config->part, &range, why, why_size);
	if (!err)
		err = check_range(lower, &range, why, why_size);
	if (err)
		return err;
	err = open_range(lower, range, part_config->owns_lower, config, ret_disk);
	if (err)
		snprintf(why, why_size, "cannot open a part of the disk: %s", strerror(-err));
	return err;
}
