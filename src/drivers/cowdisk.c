/*
 * Copy on write.
 *
 * A read is cut into runs, each from one of three places:
 *
 *	sectors:   |  owned  |  hole  |  neither      |  owned |
 *	from:       scratch    zeros    the lower disk   scratch
 *
 * The driver blocks: a waiting submitter reads the lower disk itself, and nobody's completion has to
 * go on with somebody else's request. The lock is dropped over I/O. A write that comes meanwhile to
 * the same sectors has no order against the read (disk.h, d3); any other does not move what
 * the read looks at, since it looks again after each run.
 */
#include "drivers/cowdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "holes.h"
#include "reqmem.h"
#include "sparse.h"
#include "stack.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define IOV_AT_ONCE 256u
#define DEPTH 64u

struct cowdisk {
	/* configuration */
	struct disk *lower;
	bool owns_lower;
	int fd;			/* of the scratch file; -1: memory */

	struct mutex lock;
	struct sparse own;	/* [lock] */
	struct holes holes;	/* [lock] */
	bool has_told;		/* [lock] the first failure is logged */
};

/* What carries a run of a request's memory, from byte `skip` on. */
struct run {
	const struct request *rq;
	uint64_t skip;
	uint32_t len;
};

static uint64_t run_at(const struct run *run)
{
	return (run->rq->sector << SECTOR_SHIFT) + run->skip;
}

static size_t run_fill_iov(const struct run *run, uint32_t done, struct iovec *iov, size_t max)
{
	return request_fill_iov_part(run->rq, run->skip + done, run->len - done, iov, max);
}

static int cow_failed(struct cowdisk *cow, const struct request *rq, uint64_t offset_bytes, int err)
{
	bool is_first;

	mutex_lock(&cow->lock);
	is_first = !cow->has_told;
	cow->has_told = true;
	mutex_unlock(&cow->lock);
	if (is_first)
		log_error("%s: %s beside the image, byte %llu, failed: %s", disk_name(rq->disk),
			  rq->op == BIO_READ ? "read" : "write", (unsigned long long)offset_bytes,
			  strerror(err));
	return -EIO;
}

/* The scratch file: one system call's worth, and how far it came. */

static ssize_t scratch_some(struct cowdisk *cow, const struct run *run, uint32_t done)
{
	struct iovec iov[IOV_AT_ONCE];
	int nr = (int)run_fill_iov(run, done, iov, IOV_AT_ONCE);
	off_t at = (off_t)(run_at(run) + done);
	ssize_t did = run->rq->op == BIO_READ ? preadv(cow->fd, iov, nr, at)
					      : pwritev(cow->fd, iov, nr, at);

	return did < 0 ? -errno : did;
}

static int scratch_transfer(struct cowdisk *cow, const struct run *run)
{
	for (uint32_t done = 0; done < run->len;) {
		ssize_t did = scratch_some(cow, run, done);

		if (did == -EINTR)
			continue;
		if (did <= 0)
			return cow_failed(cow, run->rq, run_at(run) + done, did ? (int)-did : EIO);
		done += (uint32_t)did;
	}
	return 0;
}

/* Reading. */

static void run_from_memory(struct cowdisk *cow, const struct run *run) needs(cow->lock)
{
	struct iovec iov[IOV_AT_ONCE];

	for (uint32_t done = 0; done < run->len;) {
		size_t nr = run_fill_iov(run, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			sparse_read(&cow->own, run_at(run) + done, iov[i].iov_base, iov[i].iov_len);
			done += (uint32_t)iov[i].iov_len;
		}
	}
}

/* Reads the next run of one kind, of at most run->len bytes, and cuts run->len to it. */
static int read_run(struct cowdisk *cow, struct run *run)
{
	bool is_owned, is_hole = false;

	mutex_lock(&cow->lock);
	run->len = (uint32_t)sparse_run(&cow->own, run_at(run), run->len, &is_owned);
	if (!is_owned)
		run->len = (uint32_t)holes_run(&cow->holes, run_at(run), run->len, &is_hole);
	if (is_owned && cow->fd < 0)
		run_from_memory(cow, run);
	mutex_unlock(&cow->lock);

	if (is_owned)
		return cow->fd < 0 ? 0 : scratch_transfer(cow, run);
	if (!is_hole)
		return lower_transfer(cow->lower, run->rq, run->skip, run->len, run_at(run));
	request_zero(run->rq, run->skip, run->len);
	return 0;
}

static int execute_read(struct cowdisk *cow, const struct request *rq)
{
	uint64_t skip = 0;

	while (skip < rq->size_bytes) {
		struct run run = {rq, skip, (uint32_t)(rq->size_bytes - skip)};
		int err = read_run(cow, &run);

		if (err)
			return err;
		skip += run.len;
	}
	return 0;
}

/* Writing. */

static int run_to_memory(struct cowdisk *cow, const struct run *run) needs(cow->lock)
{
	struct iovec iov[IOV_AT_ONCE];

	for (uint32_t done = 0; done < run->len;) {
		size_t nr = run_fill_iov(run, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			int err = sparse_write(&cow->own, run_at(run) + done, iov[i].iov_base,
					       iov[i].iov_len);

			if (err)
				return err;
			done += (uint32_t)iov[i].iov_len;
		}
	}
	return 0;
}

static int execute_write(struct cowdisk *cow, const struct request *rq)
{
	struct run run = {rq, 0, rq->size_bytes};
	int err = 0;

	if (cow->fd >= 0)
		err = scratch_transfer(cow, &run);
	if (err)
		return err;
	mutex_lock(&cow->lock);
	err = cow->fd < 0 ? run_to_memory(cow, &run)
			  : sparse_mark(&cow->own, run_at(&run), run.len);
	mutex_unlock(&cow->lock);
	return err ? cow_failed(cow, rq, run_at(&run), -err) : 0;
}

static int execute_discard(struct cowdisk *cow, const struct request *rq)
{
	uint64_t start = rq->sector << SECTOR_SHIFT;
	int err;

	/* The hole first: at no time does the lower disk show through where it had been covered. */
	mutex_lock(&cow->lock);
	err = holes_add(&cow->holes, start, rq->size_bytes);
	if (!err)
		sparse_drop(&cow->own, start, rq->size_bytes);
	mutex_unlock(&cow->lock);
	if (err)
		return -EOPNOTSUPP;	/* a discard is a hint, and for this one there is no memory */
	if (cow->fd >= 0)
		ignore(fallocate(cow->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
				 (off_t)rq->size_bytes),
		       "it only gives the host its space back");
	return 0;
}

static int cowdisk_execute(void *driver, struct request *rq)
{
	struct cowdisk *cow = driver;

	switch (rq->op) {
	case BIO_READ:
		return execute_read(cow, rq);
	case BIO_WRITE:
		return execute_write(cow, rq);
	case BIO_FLUSH:
		return 0;
	case BIO_DISCARD:
		return execute_discard(cow, rq);
	}
	return -EINVAL;
}

static void cow_free(struct cowdisk *cow)
{
	if (!cow)
		return;
	if (cow->fd >= 0)
		close(cow->fd);
	sparse_done(&cow->own);
	holes_done(&cow->holes);
	mutex_done(&cow->lock);
	mem_free(cow);
}

static void cowdisk_close(void *driver)
{
	struct cowdisk *cow = driver;

	if (cow->owns_lower)
		disk_close(cow->lower);
	cow_free(cow);
}

static const struct disk_ops cowdisk_ops = {
	.name = "cow",
	.execute = cowdisk_execute,
	.close = cowdisk_close,
};

static int open_scratch(const char *path, int *ret_fd, char *why, size_t why_size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = errno;

	if (fd < 0) {
		snprintf(why, why_size, "cannot create the scratch file %s: %s", path,
			 err == EEXIST ? "it exists, and would be lost" : strerror(err));
		return -err;
	}
	ignore(unlink(path), "the name is of no use, and the file works with it too");
	*ret_fd = fd;
	return 0;
}

static struct cowdisk *cow_create(struct disk *lower, const struct cowdisk_config *config)
{
	struct cowdisk *cow = mem_zalloc(sizeof(*cow));

	if (!cow)
		return NULL;
	cow->lower = lower;
	cow->owns_lower = config->owns_lower;
	cow->fd = -1;
	mutex_init(&cow->lock, RANK_DRIVER, "cow");
	sparse_init(&cow->own);
	return cow;
}

int cowdisk_open(struct disk *lower, const struct cowdisk_config *cow_config,
		 const struct disk_config *config, struct cowdisk **ret_cow, struct disk **ret_disk,
		 char *why, size_t why_size)
{
	const struct disk_limits *below = disk_limits(lower);
	struct disk_limits limits = {
		.size_bytes = below->size_bytes,
		.block_bytes = below->block_bytes,
		.request_bytes_max = REQUEST_BYTES_MAX,
		.vecs_max = min(below->vecs_max, BIO_VECS_MAX),
		.depth = DEPTH,
		.has_fua = true,
		.has_discard = true,
	};
	struct cowdisk *cow = cow_create(lower, cow_config);
	int err = cow ? 0 : -ENOMEM;

	if (err) {
		snprintf(why, why_size, "cannot set up copy-on-write: %s", strerror(-err));
		return err;
	}
	if (cow_config->path)
		err = open_scratch(cow_config->path, &cow->fd, why, why_size);
	if (err)
		goto out_free;
	err = disk_open_with(&cowdisk_ops, cow, &limits, config, ret_disk);
	if (err) {
		snprintf(why, why_size, "cannot set up copy-on-write: %s", strerror(-err));
		goto out_free;
	}
	if (ret_cow)
		*ret_cow = cow;
	return 0;

out_free:
	cow_free(cow);
	return err;
}

void cowdisk_reset(struct cowdisk *cow)
{
	mutex_lock(&cow->lock);
	sparse_clear(&cow->own);
	holes_done(&cow->holes);
	mutex_unlock(&cow->lock);
	if (cow->fd >= 0)
		ignore(ftruncate(cow->fd, 0), "it only gives the host its space back");
}

uint64_t cowdisk_used_bytes(const struct cowdisk *cow)
{
	return atomic_load_explicit(&cow->own.used_bytes, memory_order_relaxed);
}
