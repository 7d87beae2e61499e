/*
 * Opening what is to be a disk, and remembering how it failed.
 *
 * With O_DIRECT the host transfers between the device and our memory, and wants both aligned. How
 * much, the kernel tells since 6.1 (statx); before, 4096 is safe on every file system and device
 * that is common, and a block device tells its own unit.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/filelock.h"
#include "base/log.h"
#include "base/mem.h"

#define IOV_AT_ONCE 64u
#define SAFE_ALIGN 4096u

/* Failures. */

static const char *const op_words[BIO_NR_OPS] = {"read", "write", "flush", "discard"};

int image_failed(struct image *image, enum bio_op op, uint64_t offset_bytes, int err)
{
	if (atomic_exchange_explicit(&image->has_told[op], true, memory_order_relaxed))
		return -EIO;
	if (op == BIO_FLUSH)
		log_error("%s: flush failed: %s", image->name, strerror(err));
	else
		log_error("%s: %s at byte %llu failed: %s", image->name, op_words[op],
			  (unsigned long long)offset_bytes, err ? strerror(err) : "the file has become shorter");
	return -EIO;
}

int image_lost_data(struct image *image, enum bio_op op, uint64_t offset_bytes, int err)
{
	atomic_store(&image->has_lost_data, true);
	return image_failed(image, op, offset_bytes, err);
}

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

static int open_path(const char *path, const struct image_config *config, int *ret_fd, char *why,
		     size_t why_size)
{
	/* NONBLOCK: should a pipe have taken the file's place since stat, opening it does not hang. */
	int flags = (config->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int fd, err;

	if (stat(path, &st)) {
		err = errno;
		return refuse(why, why_size, path, strerror(err), -err);
	}
	err = check_type(st.st_mode, path, why, why_size);
	if (err)
		return err;
	if (S_ISBLK(st.st_mode) && !config->is_read_only)
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

static int find_size(struct image *image, mode_t *ret_mode, char *why, size_t why_size)
{
	struct stat st;
	int err;

	if (fstat(image->fd, &st)) {
		err = errno;
		return refuse(why, why_size, image->name, strerror(err), -err);
	}
	err = check_type(st.st_mode, image->name, why, why_size);
	if (err)
		return err;
	image->size_bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(image->fd, BLKGETSIZE64, &image->size_bytes)) {
		err = errno;
		return refuse(why, why_size, image->name, strerror(err), -err);
	}
	*ret_mode = st.st_mode;
	return 0;
}

/* What O_DIRECT asks for. False: the host does not do it here. */
static bool find_alignment(struct image *image, mode_t mode)
{
	int block_bytes = SAFE_ALIGN;
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(image->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN)) {
		image->block_bytes = max(stx.stx_dio_offset_align, SECTOR_SIZE);
		image->memory_align = max(stx.stx_dio_mem_align, 1u);
		return stx.stx_dio_offset_align != 0;
	}
#endif
	if (S_ISBLK(mode) && ioctl(image->fd, BLKSSZGET, &block_bytes))
		block_bytes = SAFE_ALIGN;
	image->block_bytes = max((uint32_t)block_bytes, SECTOR_SIZE);
	image->memory_align = image->block_bytes;
	return true;
}

static int make_direct(struct image *image, mode_t mode, char *why, size_t why_size)
{
	int flags = fcntl(image->fd, F_GETFL);

	if (flags < 0 || fcntl(image->fd, F_SETFL, flags | O_DIRECT) || !find_alignment(image, mode))
		return refuse(why, why_size, image->name, "its file system has no direct I/O", -EINVAL);
	image->is_direct = true;
	return 0;
}

static int take_lock(const struct image *image, const struct image_config *config, char *why,
		     size_t why_size)
{
	if (!config->takes_lock)
		return 0;
	return filelock_take(image->fd, image->name, config->is_read_only ? FILELOCK_SHARED : FILELOCK_EXCLUSIVE,
			     why, why_size);
}

int image_open_fd(struct image *image, int fd, const char *name, const struct image_config *config,
		  char *why, size_t why_size)
{
	mode_t mode = 0;
	int err;

	*image = (struct image){.fd = fd, .block_bytes = SECTOR_SIZE, .memory_align = 1};
	image->name = mem_strdup(name);
	if (!image->name) {
		err = refuse(why, why_size, name, strerror(ENOMEM), -ENOMEM);
		goto out_close;
	}
	err = find_size(image, &mode, why, why_size);
	if (!err)
		err = take_lock(image, config, why, why_size);
	if (!err && config->is_direct)
		err = make_direct(image, mode, why, why_size);
	if (err)
		goto out_close;
	return 0;

out_close:
	image_file_close(image);
	return err;
}

int image_file_open(struct image *image, const char *path, const struct image_config *config, char *why,
	       size_t why_size)
{
	int fd = -1, err = open_path(path, config, &fd, why, why_size);

	return err ? err : image_open_fd(image, fd, path, config, why, why_size);
}

void image_file_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);	/* what had to be durable was flushed; close reports nothing more */
	mem_free(image->name);
	image->fd = -1;
	image->name = NULL;
}

struct disk_limits image_limits(const struct image *image, const struct image_config *config)
{
	return (struct disk_limits){
		.size_bytes = round_up(image->size_bytes, (uint64_t)image->block_bytes),
		.block_bytes = image->block_bytes,
		.is_read_only = config->is_read_only,
		.has_fua = true,
		.has_discard = true,
	};
}

/* Memory. */

bool image_takes_memory(const struct image *image, const struct request *rq)
{
	struct iovec iov[IOV_AT_ONCE];

	if (!image->is_direct)
		return true;
	for (uint64_t done = 0; done < rq->size_bytes;) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			if ((uintptr_t)iov[i].iov_base % image->memory_align ||
			    iov[i].iov_len % image->block_bytes)
				return false;
			done += iov[i].iov_len;
		}
	}
	return true;
}

void *image_bounce(const struct image *image, const struct request *rq)
{
	return mem_alloc_aligned(rq->size_bytes, max((size_t)image->memory_align, sizeof(void *)));
}
