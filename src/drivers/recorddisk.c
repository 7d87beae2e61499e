/* Writes down what passes. */
#include "drivers/recorddisk.h"

#include <errno.h>

#include "base/mem.h"
#include "stack.h"

struct recorddisk {
	struct stack stack;
	struct recordlog *log;
};

static void lower_ended(struct stack *s, struct request *rq, int status)
{
	struct recorddisk *rec = container_of(s, struct recorddisk, stack);

	if (rq->op != BIO_READ)
		recordlog_complete(rec->log, (uint64_t)(uintptr_t)rq->driver_private, status);
	disk_complete(rq, status);
}

static void recorddisk_start(void *driver, struct request *rq)
{
	struct recorddisk *rec = driver;

	if (rq->op != BIO_READ)
		rq->driver_private = (void *)(uintptr_t)recordlog_submit(rec->log, rq);
	stack_submit(&rec->stack, rq, rq->sector, rq->size_bytes);
}

static void recorddisk_close(void *driver)
{
	struct recorddisk *rec = driver;

	stack_done(&rec->stack);
	mem_free(rec);
}

static const struct disk_ops recorddisk_ops = {
	.name = "record",
	.start = recorddisk_start,
	.close = recorddisk_close,
};

int recorddisk_open(struct disk *lower, bool owns_lower, struct recordlog *log,
		    const struct disk_config *config, struct disk **ret_disk)
{
	struct disk_limits limits = stack_limits(lower);
	struct recorddisk *rec = mem_zalloc(sizeof(*rec));
	int err;

	if (!rec)
		return -ENOMEM;
	rec->log = log;
	err = stack_init(&rec->stack, lower, owns_lower, lower_ended);
	if (err)
		goto out_free;
	recordlog_begin(log, limits.size_bytes, limits.block_bytes);
	err = disk_open_with(&recorddisk_ops, rec, &limits, config, ret_disk);
	if (err)
		goto out_stack;
	return 0;

out_stack:
	rec->stack.owns_lower = false;	/* it stays the caller's */
	stack_done(&rec->stack);
out_free:
	mem_free(rec);
	return err;
}
