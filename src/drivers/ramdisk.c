/*
 * A disk in memory. The queue makes one start() at a time, so there is nothing to lock.
 */
#include "drivers/ramdisk.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "sparse.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define IOV_AT_ONCE 256u
#define DEPTH 64u	/* never seen: each is done before the next begins */

struct ramdisk {
	struct sparse content;
	bool has_told;		/* the first failure is logged */
};

static int out_of_memory(struct ramdisk *ram, const struct request *rq)
{
	if (!ram->has_told)
		log_error("%s: write at byte %llu failed: no memory", disk_name(rq->disk),
			  (unsigned long long)rq->sector << SECTOR_SHIFT);
	ram->has_told = true;
	return -EIO;
}

static int transfer(struct ramdisk *ram, const struct request *rq)
{
	uint64_t start = rq->sector << SECTOR_SHIFT;
	struct iovec iov[IOV_AT_ONCE];

	for (uint64_t done = 0; done < rq->size_bytes;) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			if (rq->op == BIO_READ)
				sparse_read(&ram->content, start + done, iov[i].iov_base, iov[i].iov_len);
			else if (sparse_write(&ram->content, start + done, iov[i].iov_base, iov[i].iov_len))
				return out_of_memory(ram, rq);
			done += iov[i].iov_len;
		}
	}
	return 0;
}

static int carry_out(struct ramdisk *ram, const struct request *rq)
{
	switch (rq->op) {
	case BIO_READ:
	case BIO_WRITE:
		return transfer(ram, rq);
	case BIO_FLUSH:
		return 0;	/* what is here is as durable as it will ever be */
	case BIO_DISCARD:
		sparse_drop(&ram->content, rq->sector << SECTOR_SHIFT, rq->size_bytes);
		return 0;
	}
	return -EINVAL;
}

static void ramdisk_start(void *driver, struct request *rq)
{
	disk_complete(rq, carry_out(driver, rq));
}

static void ramdisk_close(void *driver)
{
	struct ramdisk *ram = driver;

	sparse_done(&ram->content);
	mem_free(ram);
}

static const struct disk_ops ramdisk_ops = {
	.name = "ram",
	.start = ramdisk_start,
	.close = ramdisk_close,
};

int ramdisk_open(const struct ramdisk_config *ram_config, const struct disk_config *config,
		 struct ramdisk **ret_ram, struct disk **ret_disk)
{
	struct disk_limits limits = {
		.size_bytes = ram_config->size_bytes,
		.block_bytes = ram_config->block_bytes ? ram_config->block_bytes : SECTOR_SIZE,
		.request_bytes_max = REQUEST_BYTES_MAX,
		.vecs_max = UINT32_MAX,
		.depth = DEPTH,
		.is_read_only = ram_config->is_read_only,
		.has_fua = true,
		.has_discard = true,
	};
	struct ramdisk *ram;
	int err;

	if (limits.size_bytes % limits.block_bytes)
		return -EINVAL;
	ram = mem_zalloc(sizeof(*ram));
	if (!ram)
		return -ENOMEM;
	sparse_init(&ram->content);
	err = disk_open_with(&ramdisk_ops, ram, &limits, config, ret_disk);
	if (err) {
		ramdisk_close(ram);
		return err;
	}
	if (ret_ram)
		*ret_ram = ram;
	return 0;
}

uint64_t ramdisk_used_bytes(const struct ramdisk *ram)
{
	return atomic_load_explicit(&ram->content.used_bytes, memory_order_relaxed);
}
