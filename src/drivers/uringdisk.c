/*
 * A disk in a file, by io_uring: is there a ring to be had, what does it know, what memory does it
 * hold. How it works is told in uringring.c and uringcall.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "uring.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define DEPTH_MAX 4096u
#define SQPOLL_IDLE_MS_DEFAULT 50u
#define REGION_BYTES_MAX (1ul << 30)	/* the kernel's bound for one piece of registered memory */

/* Taking down. */

/* The kernel takes a ring down behind our back, and would keep the image open, and locked, so long. */
static void ring_close(struct uringdisk *u)
{
	ignore(io_uring_unregister_files(&u->ring), "there are none when opening failed early");
	io_uring_queue_exit(&u->ring);
}

static void uring_free(struct uringdisk *u)
{
	mem_free(u->ios);
	mem_free(u->iovs);
	cond_done(&u->callers.called);
	mutex_done(&u->callers.lock);
	cond_done(&u->called);
	mutex_done(&u->idle_lock);
	mutex_done(&u->cq_lock);
	mutex_done(&u->sq_lock);
	mem_free(u);
}

/* Registered memory. */

static int slot_set(struct uringdisk *u, uint32_t slot, void *base, size_t len) needs(u->sq_lock)
{
	struct iovec iov = {base, len};
	__u64 tag = 0;
	int err = io_uring_register_buffers_update_tag(&u->ring, slot, &iov, &tag, 1);

	if (err < 0)
		return err;
	u->slot_is_used[slot] = base != NULL;
	return 0;
}

static int region_add(struct uringdisk *u, void *base, size_t len) needs(u->sq_lock)
{
	uint32_t at = uring_regions_below(u, base), slot = 0;
	int err;

	while (slot < URINGDISK_REGIONS_MAX && u->slot_is_used[slot])
		slot++;
	if (slot == URINGDISK_REGIONS_MAX)
		return -ENOSPC;
	err = slot_set(u, slot, base, len);
	if (err)
		return err;
	memmove(u->regions + at + 1, u->regions + at, (u->nr_regions - at) * sizeof(u->regions[0]));
	u->regions[at] = (struct uring_region){base, len, slot};
	u->nr_regions++;
	return 0;
}

int uringdisk_register_memory(struct uringdisk *u, void *base, size_t len)
{
	int err;

	if (!u->has_regions)
		return -ENOSYS;
	if (len == 0 || len > REGION_BYTES_MAX)
		return -EINVAL;
	mutex_lock(&u->sq_lock);
	err = region_add(u, base, len);
	mutex_unlock(&u->sq_lock);
	return err;
}

void uringdisk_unregister_memory(struct uringdisk *u, void *base)
{
	uint32_t at;

	mutex_lock(&u->sq_lock);
	at = uring_regions_below(u, base);
	if (at && u->regions[at - 1].base == base) {
		ignore(slot_set(u, u->regions[at - 1].slot, NULL, 0),
		       "the kernel holds on to the pages until the ring is closed; the slot is not used again");
		memmove(u->regions + at - 1, u->regions + at, (u->nr_regions - at) * sizeof(u->regions[0]));
		u->nr_regions--;
	}
	mutex_unlock(&u->sq_lock);
}

/* Through the host's page cache, what is large goes by plain calls, which know nothing of it. */
static int register_for_direct(void *driver, void *base, size_t len)
{
	struct uringdisk *u = driver;

	return u->image.is_direct ? uringdisk_register_memory(u, base, len) : -EOPNOTSUPP;
}

static void unregister_for_direct(void *driver, void *base)
{
	uringdisk_unregister_memory(driver, base);
}

/* The driver. */

static void uringdisk_start(void *driver, struct request *rq)
{
	uring_start(driver, rq);
}

/* Who waits for one request would only sleep while other threads do it for him. */
static int uringdisk_execute(void *driver, struct request *rq)
{
	struct uringdisk *u = driver;
	struct uring_io *io = &u->ios[rq->tag];
	int status = uring_io_begin(u, io, rq);

	return status ? status : uring_call_now(u, io);
}

static void uringdisk_commit(void *driver)
{
	uring_commit(driver);
}

static void uringdisk_close(void *driver)
{
	struct uringdisk *u = driver;

	uring_threads_stop(u);
	ring_close(u);
	image_file_close(&u->image);
	uring_free(u);
}

static const struct disk_ops uringdisk_ops = {
	.name = "uring",
	.execute = uringdisk_execute,
	.start = uringdisk_start,
	.commit = uringdisk_commit,
	.register_memory = register_for_direct,
	.unregister_memory = unregister_for_direct,
	.close = uringdisk_close,
};

/* Opening. */

static int no_uring(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "io_uring is not to be had: %s", what);
	return -ENOSYS;
}

static bool has_operations(struct io_uring *ring)
{
	static const int needed[] = {
		IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV,
		IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
	};
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has_all = probe != NULL;

	for (size_t i = 0; has_all && i < array_size(needed); i++)
		has_all = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return has_all;
}

static int ring_open(struct uringdisk *u, const struct uringdisk_config *config, char *why,
		     size_t why_size)
{
	struct io_uring_params params = {.flags = 0};
	int err;

	if (config->has_sqpoll) {
		params.flags |= IORING_SETUP_SQPOLL;
		params.sq_thread_idle = config->sqpoll_idle_ms ? config->sqpoll_idle_ms
							       : SQPOLL_IDLE_MS_DEFAULT;
	}
	err = io_uring_queue_init_params(2 * u->depth, &u->ring, &params);
	if (err)
		return no_uring(why, why_size, strerror(-err));
	if (!has_operations(&u->ring)) {
		io_uring_queue_exit(&u->ring);
		return no_uring(why, why_size, "this kernel's is too old");
	}
	u->has_sqpoll = config->has_sqpoll;
	u->has_regions = io_uring_register_buffers_sparse(&u->ring, URINGDISK_REGIONS_MAX) == 0;
	return 0;
}

static struct uringdisk *uring_create(uint32_t depth)
{
	struct uringdisk *u = mem_zalloc(sizeof(*u));

	if (!u)
		return NULL;
	u->depth = depth;
	mutex_init(&u->sq_lock, RANK_DRIVER, "uring submission");
	mutex_init(&u->cq_lock, RANK_DRIVER, "uring completion");
	mutex_init(&u->idle_lock, RANK_DRIVER, "uring thread");
	cond_init(&u->called);
	mutex_init(&u->callers.lock, RANK_DRIVER, "uring callers");
	cond_init(&u->callers.called);
	list_init(&u->callers.started);
	list_init(&u->callers.ios);
	u->ios = mem_zalloc(depth * sizeof(*u->ios));
	u->iovs = mem_alloc((size_t)depth * URING_VECS_MAX * sizeof(*u->iovs));
	if (!u->ios || !u->iovs) {
		uring_free(u);
		return NULL;
	}
	for (uint32_t i = 0; i < depth; i++)
		u->ios[i].iov = u->iovs + (size_t)i * URING_VECS_MAX;
	return u;
}

/* Everything once there is a ring and an image, which stay the caller's on failure. */
static int disk_over(struct uringdisk *u, const struct image_config *image_config,
		     const struct disk_config *config, struct disk **ret_disk)
{
	struct disk_limits limits = image_limits(&u->image, image_config);
	int err;

	limits.request_bytes_max = REQUEST_BYTES_MAX;
	limits.vecs_max = URING_VECS_MAX;
	limits.depth = u->depth;
	err = io_uring_register_files(&u->ring, &u->image.fd, 1);
	if (err)
		return err;
	err = uring_threads_start(u);
	if (err)
		return err;
	err = disk_open_with(&uringdisk_ops, u, &limits, config, ret_disk);
	if (err)
		uring_threads_stop(u);
	return err;
}

/* path NULL: over fd, which is closed on failure. */
static int open_over(const char *path, int fd, const struct uringdisk_config *uring_config,
		     const struct disk_config *config, struct uringdisk **ret_uring,
		     struct disk **ret_disk, char *why, size_t why_size)
{
	struct image_config image_config = {
		.is_read_only = uring_config->is_read_only,
		.takes_lock = uring_config->takes_lock,
		.is_direct = uring_config->is_direct,
	};
	uint32_t depth = uring_config->depth ? uring_config->depth : URINGDISK_DEPTH_DEFAULT;
	struct uringdisk *u = uring_create(min(depth, DEPTH_MAX));
	const char *name = path ? path : config->name ? config->name : "the image";
	int err;

	if (!u) {
		snprintf(why, why_size, "cannot open %s: %s", name, strerror(ENOMEM));
		err = -ENOMEM;
		goto out_fd;
	}
	err = ring_open(u, uring_config, why, why_size);
	if (err)
		goto out_free;
	if (path)
		err = image_file_open(&u->image, path, &image_config, why, why_size);
	else
		err = image_open_fd(&u->image, fd, name, &image_config, why, why_size);
	fd = -1;
	if (err)
		goto out_ring;
	err = disk_over(u, &image_config, config, ret_disk);
	if (err) {
		snprintf(why, why_size, "cannot open %s: %s", name, strerror(-err));
		goto out_image;
	}
	if (ret_uring)
		*ret_uring = u;
	return 0;

out_image:
	ring_close(u);
	image_file_close(&u->image);
	goto out_free;
out_ring:
	ring_close(u);
out_free:
	uring_free(u);
out_fd:
	if (fd >= 0)
		close(fd);
	return err;
}

int uringdisk_open(const char *path, const struct uringdisk_config *uring_config,
		   const struct disk_config *config, struct uringdisk **ret_uring,
		   struct disk **ret_disk, char *why, size_t why_size)
{
	return open_over(path, -1, uring_config, config, ret_uring, ret_disk, why, why_size);
}

int uringdisk_open_fd(int fd, const struct uringdisk_config *uring_config,
		      const struct disk_config *config, struct uringdisk **ret_uring,
		      struct disk **ret_disk, char *why, size_t why_size)
{
	return open_over(NULL, fd, uring_config, config, ret_uring, ret_disk, why, why_size);
}

const struct uringdisk_stats *uringdisk_stats(const struct uringdisk *u)
{
	return &u->stats;
}
