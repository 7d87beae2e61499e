/*
 * A disk in a file or block device, by blocking system calls.
 *
 * Awkward things of files that a disk does not have:
 *
 * - A transfer may be short, or be interrupted: it goes on where it stopped.
 * - A file's last sector may be cut off. What is missing of it reads as zeros, and a write
 *   completes it. A read that meets the end before that means that somebody cut the file.
 * - After a failed fdatasync the host's kernel takes the lost pages for clean, and the next
 *   fdatasync succeeds. So one failed flush fails all that follow: nothing is called durable on
 *   a disk that has lost something.
 * - The host may be out of space under a sparse image. To the file system that is -EIO like
 *   any other failure; the log says what it was.
 *
 * FUA is pwritev2 with RWF_DSYNC, which makes the range durable and not the whole file; where
 * the host's file system does not know it, an fdatasync follows the write.
 */
#include "drivers/filedisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/mem.h"
#include "image.h"
#include "reqmem.h"

#define REQUEST_BYTES_MAX (1u << 20)	/* more in one call gains nothing measurable */
#define VECS_MAX 1024u			/* IOV_MAX: more pieces go in further calls */
#define IOV_AT_ONCE 256u		/* on the stack: 4 KiB of iovecs a call */
#define DEPTH 64u			/* callers at once; beyond, they only queue in the kernel */

struct filedisk {
	struct image image;
	_Atomic bool lacks_nowait;	/* the host's file system does not know RWF_NOWAIT */
};

/* A request on its way: its memory, or what O_DIRECT takes in its place. */
struct transfer {
	const struct request *rq;
	char *bounce;		/* NULL: the request's own */
	uint64_t done;
};

static uint64_t transfer_at(const struct transfer *t)
{
	return (t->rq->sector << SECTOR_SHIFT) + t->done;
}

/* What is left, in as many pieces as one call takes. */
static int fill_iov(const struct transfer *t, struct iovec iov[IOV_AT_ONCE])
{
	if (!t->bounce)
		return (int)request_fill_iov(t->rq, t->done, iov, IOV_AT_ONCE);
	iov[0] = (struct iovec){t->bounce + t->done, t->rq->size_bytes - t->done};
	return 1;
}

/* Only what the host has in memory; -EAGAIN when that is nothing, or it cannot be told. */
static ssize_t read_at_once(struct filedisk *file, const struct iovec *iov, int nr, off_t at)
{
	ssize_t got;

	if (atomic_load_explicit(&file->lacks_nowait, memory_order_relaxed))
		return -EAGAIN;
	got = preadv2(file->image.fd, iov, nr, at, RWF_NOWAIT);
	if (got >= 0)
		return got;
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
		atomic_store(&file->lacks_nowait, true);
	return -EAGAIN;	/* whatever it was, the read that waits will tell */
}

/* The number of bytes, 0 at the end of the file, -errno. */
static ssize_t read_some(struct filedisk *file, const struct transfer *t)
{
	off_t at = (off_t)transfer_at(t);
	struct iovec iov[IOV_AT_ONCE];
	int nr = fill_iov(t, iov);
	ssize_t got = -EAGAIN;

	if (!file->image.is_direct)
		got = read_at_once(file, iov, nr, at);
	if (got != -EAGAIN)
		return got;
	thread_will_block();
	got = preadv(file->image.fd, iov, nr, at);
	return got < 0 ? -errno : got;
}

static ssize_t write_some(const struct filedisk *file, const struct transfer *t, int rwf)
{
	struct iovec iov[IOV_AT_ONCE];
	int nr = fill_iov(t, iov);
	ssize_t put = pwritev2(file->image.fd, iov, nr, (off_t)transfer_at(t), rwf);

	return put < 0 ? -errno : put;
}

/* The rest of a last block that the file has only in part. */
static void zero_rest(const struct transfer *t)
{
	if (t->bounce)
		memset(t->bounce + t->done, 0, t->rq->size_bytes - t->done);
	else
		request_zero(t->rq, t->done, t->rq->size_bytes - t->done);
}

static int transfer_read(struct filedisk *file, struct transfer *t)
{
	while (t->done < t->rq->size_bytes) {
		ssize_t got = read_some(file, t);

		if (got == -EINTR)
			continue;
		if (got < 0 || (got == 0 && transfer_at(t) < file->image.size_bytes))
			return image_failed(&file->image, BIO_READ, transfer_at(t), (int)-got);
		t->done += (uint64_t)got;
		/* At the end O_DIRECT could not go on from within a block: do not ask. */
		if (t->done < t->rq->size_bytes && transfer_at(t) >= file->image.size_bytes) {
			zero_rest(t);
			break;
		}
	}
	return 0;
}

static int execute_flush(struct filedisk *file)
{
	int err;

	if (atomic_load(&file->image.has_lost_data))
		return -EIO;
	do {
		err = fdatasync(file->image.fd) ? errno : 0;
	} while (err == EINTR);
	return err ? image_lost_data(&file->image, BIO_FLUSH, 0, err) : 0;
}

/* A durable write that failed may have lost older data of its range, as a failed flush may. */
static int write_failed(struct filedisk *file, uint64_t offset_bytes, int err, bool is_durable)
{
	return is_durable ? image_lost_data(&file->image, BIO_WRITE, offset_bytes, err)
			  : image_failed(&file->image, BIO_WRITE, offset_bytes, err);
}

static int transfer_write(struct filedisk *file, struct transfer *t)
{
	bool is_durable = t->rq->flags & BIO_FUA;
	int rwf = is_durable && !atomic_load(&file->image.lacks_dsync) ? RWF_DSYNC : 0;

	if (is_durable && atomic_load(&file->image.has_lost_data))
		return -EIO;
	while (t->done < t->rq->size_bytes) {
		ssize_t put = write_some(file, t, rwf);

		if (put == -EINTR)
			continue;
		if (rwf && (put == -EOPNOTSUPP || put == -ENOSYS)) {
			atomic_store(&file->image.lacks_dsync, true);
			rwf = 0;
			t->done = 0;	/* one fdatasync behind the whole is simpler than half and half */
			continue;
		}
		if (put <= 0)
			return write_failed(file, transfer_at(t), put ? (int)-put : ENOSPC, rwf != 0);
		t->done += (uint64_t)put;
	}
	/* FUA: the promise is that this write is durable when it completes. */
	return is_durable && !rwf ? execute_flush(file) : 0;
}

static int transfer_plain(struct filedisk *file, struct transfer *t)
{
	return t->rq->op == BIO_READ ? transfer_read(file, t) : transfer_write(file, t);
}

static int transfer_bounced(struct filedisk *file, struct transfer *t)
{
	int err;

	t->bounce = image_bounce(&file->image, t->rq);
	if (!t->bounce)
		return image_failed(&file->image, t->rq->op, transfer_at(t), ENOMEM);
	if (t->rq->op == BIO_WRITE)
		request_copy_from(t->rq, t->bounce);
	err = transfer_plain(file, t);
	if (!err && t->rq->op == BIO_READ)
		request_copy_to(t->rq, t->bounce);
	mem_free(t->bounce);
	return err;
}

static int execute_transfer(struct filedisk *file, const struct request *rq)
{
	struct transfer t = {.rq = rq};

	return image_takes_memory(&file->image, rq) ? transfer_plain(file, &t)
						    : transfer_bounced(file, &t);
}

static int execute_discard(struct filedisk *file, const struct request *rq)
{
	off_t start = (off_t)(rq->sector << SECTOR_SHIFT);
	int err;

	do {
		err = fallocate(file->image.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				(off_t)rq->size_bytes) ? errno : 0;
	} while (err == EINTR);
	if (err == EOPNOTSUPP || err == ENOSYS)
		return -EOPNOTSUPP;	/* a discard is a hint, and this host cannot take it */
	return err ? image_failed(&file->image, BIO_DISCARD, (uint64_t)start, err) : 0;
}

static int filedisk_execute(void *driver, struct request *rq)
{
	struct filedisk *file = driver;

	switch (rq->op) {
	case BIO_READ:
	case BIO_WRITE:
		return execute_transfer(file, rq);
	case BIO_FLUSH:
		return execute_flush(file);
	case BIO_DISCARD:
		return execute_discard(file, rq);
	}
	return -EINVAL;
}

static void filedisk_close(void *driver)
{
	struct filedisk *file = driver;

	image_file_close(&file->image);
	mem_free(file);
}

static const struct disk_ops filedisk_ops = {
	.name = "file",
	.execute = filedisk_execute,
	.tells_blocking_reads = true,
	.close = filedisk_close,
};

/* Opening. */

static struct image_config image_config_of(const struct filedisk_config *config)
{
	return (struct image_config){
		.is_read_only = config->is_read_only,
		.takes_lock = config->takes_lock,
		.is_direct = config->is_direct,
	};
}

/* Everything once there is an image; it is closed on failure. */
static int open_over(struct image *image, const struct image_config *image_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why,
		     size_t why_size)
{
	struct disk_limits limits = image_limits(image, image_config);
	struct filedisk *file = mem_zalloc(sizeof(*file));
	int err = -ENOMEM;

	if (!file)
		goto out_close;
	file->image = *image;
	limits.request_bytes_max = REQUEST_BYTES_MAX;
	limits.vecs_max = VECS_MAX;
	limits.depth = DEPTH;
	err = disk_open_with(&filedisk_ops, file, &limits, config, ret_disk);
	if (!err)
		return 0;
	mem_free(file);

out_close:
	snprintf(why, why_size, "cannot open %s: %s", image->name, strerror(-err));
	image_file_close(image);
	return err;
}

int filedisk_open(const char *path, const struct filedisk_config *file_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct image_config image_config = image_config_of(file_config);
	struct image image;
	int err = image_file_open(&image, path, &image_config, why, why_size);

	return err ? err : open_over(&image, &image_config, config, ret_disk, why, why_size);
}

int filedisk_open_fd(int fd, const struct filedisk_config *file_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct image_config image_config = image_config_of(file_config);
	const char *name = config->name ? config->name : "the image";
	struct image image;
	int err = image_open_fd(&image, fd, name, &image_config, why, why_size);

	return err ? err : open_over(&image, &image_config, config, ret_disk, why, why_size);
}
