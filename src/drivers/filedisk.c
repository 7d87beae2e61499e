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
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/filelock.h"
#include "base/log.h"
#include "base/mem.h"

#define REQUEST_BYTES_MAX (1u << 20)	/* more in one call gains nothing measurable */
#define VECS_MAX 1024u			/* IOV_MAX: more pieces go in further calls */
#define IOV_AT_ONCE 256u		/* on the stack: 4 KiB of iovecs a call */
#define DEPTH 64u			/* callers at once; beyond, they only queue in the kernel */

struct filedisk {
	/* configuration */
	int fd;
	uint64_t size_bytes;		/* of the file when it was opened, perhaps not whole sectors */
	char *name;
	/* state: relaxed atomics, each is only ever set */
	_Atomic bool has_told[BIO_NR_OPS];	/* the first failure of each kind is logged */
	_Atomic bool has_lost_data;	/* a flush failed */
	_Atomic bool lacks_dsync;	/* the host refused RWF_DSYNC */
};

static const char *const op_words[BIO_NR_OPS] = {"read", "write", "flush", "discard"};

/* The contract with the file system: the disk failed. What it was goes to the log, once. */
static int disk_failed(struct filedisk *file, enum bio_op op, uint64_t offset_bytes, int err)
{
	if (atomic_exchange_explicit(&file->has_told[op], true, memory_order_relaxed))
		return -EIO;
	if (op == BIO_FLUSH)
		log_error("%s: flush failed: %s", file->name, strerror(err));
	else
		log_error("%s: %s at byte %llu failed: %s", file->name, op_words[op],
			  (unsigned long long)offset_bytes, err ? strerror(err) : "the file has become shorter");
	return -EIO;
}

/* Reads what is left of rq from `done` on; the number of bytes, 0 at the end of the file, -errno. */
static ssize_t read_some(struct filedisk *file, const struct request *rq, uint64_t done)
{
	struct iovec iov[IOV_AT_ONCE];
	size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);
	ssize_t got = preadv(file->fd, iov, (int)nr, (off_t)((rq->sector << SECTOR_SHIFT) + done));

	return got < 0 ? -errno : got;
}

/* The rest of a last sector that the file has only in part. */
static void zero_rest(const struct request *rq, uint64_t done)
{
	struct iovec iov[IOV_AT_ONCE];

	while (done < rq->size_bytes) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			memset(iov[i].iov_base, 0, iov[i].iov_len);
			done += iov[i].iov_len;
		}
	}
}

static int execute_read(struct filedisk *file, const struct request *rq)
{
	uint64_t start = rq->sector << SECTOR_SHIFT, done = 0;

	while (done < rq->size_bytes) {
		ssize_t got = read_some(file, rq, done);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return disk_failed(file, BIO_READ, start + done, (int)-got);
		if (got == 0 && start + done < file->size_bytes)
			return disk_failed(file, BIO_READ, start + done, 0);
		if (got == 0) {
			zero_rest(rq, done);
			break;
		}
		done += (uint64_t)got;
	}
	return 0;
}

static int execute_flush(struct filedisk *file)
{
	int err;

	if (atomic_load(&file->has_lost_data))
		return -EIO;
	do {
		err = fdatasync(file->fd) ? errno : 0;
	} while (err == EINTR);
	if (!err)
		return 0;
	atomic_store(&file->has_lost_data, true);
	return disk_failed(file, BIO_FLUSH, 0, err);
}

static ssize_t write_some(struct filedisk *file, const struct request *rq, uint64_t done, int rwf)
{
	struct iovec iov[IOV_AT_ONCE];
	size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);
	ssize_t put = pwritev2(file->fd, iov, (int)nr, (off_t)((rq->sector << SECTOR_SHIFT) + done), rwf);

	return put < 0 ? -errno : put;
}

/* A durable write that failed may have lost older data of its range, as a failed flush may. */
static int write_failed(struct filedisk *file, uint64_t offset_bytes, int err, bool is_durable)
{
	if (is_durable)
		atomic_store(&file->has_lost_data, true);
	return disk_failed(file, BIO_WRITE, offset_bytes, err);
}

static int execute_write(struct filedisk *file, const struct request *rq)
{
	uint64_t start = rq->sector << SECTOR_SHIFT, done = 0;
	bool is_durable = rq->flags & BIO_FUA;
	int rwf = is_durable && !atomic_load(&file->lacks_dsync) ? RWF_DSYNC : 0;

	if (is_durable && atomic_load(&file->has_lost_data))
		return -EIO;
	while (done < rq->size_bytes) {
		ssize_t put = write_some(file, rq, done, rwf);

		if (put == -EINTR)
			continue;
		if (rwf && (put == -EOPNOTSUPP || put == -ENOSYS)) {
			atomic_store(&file->lacks_dsync, true);
			rwf = 0;
			done = 0;	/* one fdatasync behind the whole is simpler than half and half */
			continue;
		}
		if (put <= 0)
			return write_failed(file, start + done, put ? (int)-put : ENOSPC, rwf != 0);
		done += (uint64_t)put;
	}
	/* FUA: the promise is that this write is durable when it completes. */
	return is_durable && !rwf ? execute_flush(file) : 0;
}

static int execute_discard(struct filedisk *file, const struct request *rq)
{
	off_t start = (off_t)(rq->sector << SECTOR_SHIFT);
	int err;

	do {
		err = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				(off_t)rq->size_bytes) ? errno : 0;
	} while (err == EINTR);
	if (err == EOPNOTSUPP || err == ENOSYS)
		return -EOPNOTSUPP;	/* a discard is a hint, and this host cannot take it */
	return err ? disk_failed(file, BIO_DISCARD, (uint64_t)start, err) : 0;
}

static int filedisk_execute(void *driver, struct request *rq)
{
	struct filedisk *file = driver;

	switch (rq->op) {
	case BIO_READ:
		return execute_read(file, rq);
	case BIO_WRITE:
		return execute_write(file, rq);
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

	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);	/* what had to be durable was flushed; close reports nothing more */
	mem_free(file->name);
	mem_free(file);
}

static const struct disk_ops filedisk_ops = {
	.name = "file",
	.execute = filedisk_execute,
	.close = filedisk_close,
};

/* Opening. */

static int refuse(char *why, size_t why_size, const char *path, const char *what, int err)
{
	snprintf(why, why_size, "cannot open %s: %s", path, what);
	return err;
}

/* 0 for what can be a disk; else -errno with the reason. */
static int check_type(mode_t mode, const char *path, char *why, size_t why_size)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return refuse(why, why_size, path, "it is a directory", -EISDIR);
	if (S_ISFIFO(mode))
		return refuse(why, why_size, path, "it is a pipe, not a file or block device", -EINVAL);
	if (S_ISSOCK(mode))
		return refuse(why, why_size, path, "it is a socket, not a file or block device", -EINVAL);
	if (S_ISCHR(mode))
		return refuse(why, why_size, path, "it is a character device, not a block device", -ENOTBLK);
	return refuse(why, why_size, path, "it is not a file or block device", -EINVAL);
}

static int open_image(const char *path, bool is_read_only, int *ret_fd, char *why, size_t why_size)
{
	/* NONBLOCK: should a pipe have taken the file's place since stat, opening it does not hang. */
	int flags = (is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int fd, err;

	if (stat(path, &st)) {
		err = errno;
		return refuse(why, why_size, path, strerror(err), -err);
	}
	err = check_type(st.st_mode, path, why, why_size);
	if (err)
		return err;
	if (S_ISBLK(st.st_mode) && !is_read_only)
		flags |= O_EXCL;	/* the kernel then refuses a device that it has mounted */
	fd = open(path, flags);
	if (fd < 0) {
		err = errno;
		if (err == EBUSY)
			return refuse(why, why_size, path, "the device is mounted or in use", -EBUSY);
		return refuse(why, why_size, path, strerror(err), -err);
	}
	*ret_fd = fd;
	return 0;
}

static int image_size(int fd, const char *path, uint64_t *ret_bytes, char *why, size_t why_size)
{
	struct stat st;
	uint64_t bytes;
	int err;

	if (fstat(fd, &st)) {
		err = errno;
		return refuse(why, why_size, path, strerror(err), -err);
	}
	err = check_type(st.st_mode, path, why, why_size);
	if (err)
		return err;
	bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes)) {
		err = errno;
		return refuse(why, why_size, path, strerror(err), -err);
	}
	*ret_bytes = bytes;
	return 0;
}

static int take_lock(int fd, const char *path, const struct filedisk_config *config, char *why,
		     size_t why_size)
{
	if (!config->takes_lock)
		return 0;
	return filelock_take(fd, path, config->is_read_only ? FILELOCK_SHARED : FILELOCK_EXCLUSIVE,
			     why, why_size);
}

static struct filedisk *filedisk_create(int fd, const char *name, uint64_t size_bytes)
{
	struct filedisk *disk = mem_zalloc(sizeof(*disk));

	if (!disk)
		return NULL;
	disk->fd = -1;
	disk->size_bytes = size_bytes;
	disk->name = mem_strdup(name);
	if (!disk->name) {
		filedisk_close(disk);
		return NULL;
	}
	disk->fd = fd;
	return disk;
}

/* Everything once there is a descriptor; it is closed on failure. */
static int open_over(int fd, const char *path, const struct filedisk_config *file_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why,
		     size_t why_size)
{
	struct disk_limits limits = {
		.block_bytes = SECTOR_SIZE,
		.request_bytes_max = REQUEST_BYTES_MAX,
		.vecs_max = VECS_MAX,
		.depth = DEPTH,
		.is_read_only = file_config->is_read_only,
		.has_fua = true,
		.has_discard = true,
	};
	struct filedisk *disk;
	uint64_t size_bytes = 0;
	int err;

	err = image_size(fd, path, &size_bytes, why, why_size);
	if (!err)
		err = take_lock(fd, path, file_config, why, why_size);
	if (err)
		goto out_close;
	limits.size_bytes = round_up(size_bytes, (uint64_t)SECTOR_SIZE);
	disk = filedisk_create(fd, path, size_bytes);
	if (!disk) {
		err = refuse(why, why_size, path, strerror(ENOMEM), -ENOMEM);
		goto out_close;
	}
	err = disk_open_with(&filedisk_ops, disk, &limits, config, ret_disk);
	if (err) {
		filedisk_close(disk);	/* and fd with it */
		return refuse(why, why_size, path, strerror(-err), err);
	}
	return 0;

out_close:
	close(fd);
	return err;
}

int filedisk_open(const char *path, const struct filedisk_config *file_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	int fd = -1, err;

	err = open_image(path, file_config->is_read_only, &fd, why, why_size);
	return err ? err : open_over(fd, path, file_config, config, ret_disk, why, why_size);
}

int filedisk_open_fd(int fd, const struct filedisk_config *file_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	return open_over(fd, config->name ? config->name : "the image", file_config, config, ret_disk,
			 why, why_size);
}
