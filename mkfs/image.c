/*
 * Aligned knowledge of one file or device: opening, locking, writing, zeroing.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/filelock.h"
#include "base/mem.h"

#define ZERO_CHUNK_BYTES (1u << 20)	/* of one write of zeros: large enough for full speed */

static int fail(struct image *img, int err, const char *fmt, ...) printf_like(3, 4);

static int fail(struct image *img, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(img->why, sizeof(img->why), fmt, args);
	va_end(args);
	return err;
}

static int device_size(struct image *img)
{
	uint64_t bytes = 0;
	unsigned io_min = 0, io_opt = 0;
	int sector = 0;

	if (ioctl(img->fd, BLKGETSIZE64, &bytes) < 0)
		return fail(img, -errno, "%s: its size cannot be read: %s", img->path, strerror(errno));
	if (ioctl(img->fd, BLKSSZGET, &sector) == 0)
		img->sector_bytes = (unsigned)sector;
	if (ioctl(img->fd, BLKIOMIN, &io_min) == 0)
		img->io_min_bytes = io_min;
	if (ioctl(img->fd, BLKIOOPT, &io_opt) == 0)
		img->io_opt_bytes = io_opt ? io_opt : io_min;
	img->size_bytes = bytes > img->base_bytes ? bytes - img->base_bytes : 0;
	return 0;
}

static int look_at(struct image *img)
{
	struct stat st;

	if (fstat(img->fd, &st) < 0)
		return fail(img, -errno, "%s: %s", img->path, strerror(errno));
	if (S_ISBLK(st.st_mode)) {
		img->is_device = true;
		return device_size(img);
	}
	if (!S_ISREG(st.st_mode))
		return fail(img, -ENODEV, "%s is neither a regular file nor a block device", img->path);
	img->size_bytes = (uint64_t)st.st_size > img->base_bytes ?
			  (uint64_t)st.st_size - img->base_bytes : 0;
	img->is_zero = img->size_bytes == 0;
	return 0;
}

int image_open(struct image *img, const char *path, uint64_t base_bytes)
{
	int err;

	memset(img, 0, sizeof(*img));
	img->path = path;
	img->base_bytes = base_bytes;
	img->claim_fd = -1;
	/* O_NONBLOCK: a fifo would make open() wait for a writer that never comes. */
	img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (img->fd < 0 && errno == ENOENT) {
		img->is_zero = true;
		return 0;
	}
	if (img->fd < 0)
		return fail(img, -errno, "%s: %s", path, strerror(errno));
	err = look_at(img);
	if (err) {
		close(img->fd);
		img->fd = -1;
	}
	return err;
}

static int take_lock(struct image *img)
{
	char holder[192];
	int err = filelock_take(img->fd, img->path, FILELOCK_EXCLUSIVE, holder, sizeof(holder));

	if (err)
		return fail(img, err, "%s", err == -EBUSY ? holder : strerror(-err));
	return 0;
}

/*
 * On a block device O_EXCL is the kernel's own lock against mounts, RAID and the like. It needs a
 * descriptor of its own: filelock_take() asks for it too, to see whether it is free.
 */
static int claim_device(struct image *img)
{
	if (!img->is_device)
		return 0;
	img->claim_fd = open(img->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (img->claim_fd < 0)
		return fail(img, -errno, "%s is in use by the kernel: %s", img->path, strerror(errno));
	return 0;
}

int image_lock(struct image *img)
{
	int fd = open(img->path, O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return fail(img, -errno, "%s cannot be opened for writing: %s", img->path, strerror(errno));
	close(img->fd);
	img->fd = fd;
	err = take_lock(img);
	if (!err)
		err = claim_device(img);
	if (err)
		return err;
	return look_at(img);	/* its size counts only from here on */
}

int image_create(struct image *img)
{
	img->fd = open(img->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (img->fd < 0)
		return fail(img, -errno, "%s cannot be created: %s", img->path, strerror(errno));
	img->was_created = true;
	return take_lock(img);
}

int image_extend(struct image *img, uint64_t size_bytes)
{
	if (img->size_bytes >= size_bytes)
		return 0;
	if (img->is_device)
		return fail(img, -ENOSPC, "%s holds %llu KiB, too few for the file system's %llu KiB",
			    img->path, (unsigned long long)img->size_bytes >> 10,
			    (unsigned long long)size_bytes >> 10);
	if (ftruncate(img->fd, (off_t)(img->base_bytes + size_bytes)) < 0)
		return fail(img, -errno, "%s cannot grow to %llu KiB: %s", img->path,
			    (unsigned long long)(img->base_bytes + size_bytes) >> 10, strerror(errno));
	img->size_bytes = size_bytes;
	return 0;
}

int image_read(struct image *img, uint64_t offset, void *buf, size_t len)
{
	size_t done = 0;

	memset(buf, 0, len);
	while (done < len && img->fd >= 0) {
		ssize_t n = pread(img->fd, (char *)buf + done, len - done,
				  (off_t)(img->base_bytes + offset + done));

		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(img, -errno, "%s: reading at byte %llu: %s", img->path,
				    (unsigned long long)(offset + done), strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

int image_write(struct image *img, uint64_t offset, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(img->fd, (const char *)buf + done, len - done,
				   (off_t)(img->base_bytes + offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(img, n < 0 ? -errno : -EIO, "%s: writing at byte %llu: %s", img->path,
				    (unsigned long long)(offset + done), n < 0 ? strerror(errno) : "no progress");
		done += (size_t)n;
	}
	return 0;
}

static bool punch(struct image *img, uint64_t offset, uint64_t len)
{
	return fallocate(img->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(img->base_bytes + offset), (off_t)len) == 0;
}

static bool device_zeroout(struct image *img, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = {img->base_bytes + offset, len};

	return ioctl(img->fd, BLKZEROOUT, range) == 0;
}

static int write_zeros(struct image *img, uint64_t offset, uint64_t len)
{
	void *zeros = mem_zalloc(ZERO_CHUNK_BYTES);
	int err = 0;

	if (!zeros)
		return fail(img, -ENOMEM, "out of memory");
	while (len && !err) {
		size_t n = (size_t)min(len, (uint64_t)ZERO_CHUNK_BYTES);

		err = image_write(img, offset, zeros, n);
		offset += n;
		len -= n;
	}
	mem_free(zeros);
	return err;
}

int image_zero(struct image *img, uint64_t offset, uint64_t len)
{
	if (img->is_zero || len == 0)
		return 0;
	if (!img->is_device) {
		/* Behind its end a file reads as zero, and will when it grows. */
		if (offset >= img->size_bytes)
			return 0;
		len = min(len, img->size_bytes - offset);
	}
	if (img->is_device ? device_zeroout(img, offset, len) : punch(img, offset, len))
		return 0;
	return write_zeros(img, offset, len);
}

void image_discard(struct image *img, uint64_t len)
{
	uint64_t range[2] = {img->base_bytes, min(len, img->size_bytes)};

	if (img->is_zero || range[1] == 0)
		return;
	if (img->is_device)
		ignore(ioctl(img->fd, BLKDISCARD, range), "a courtesy to the device; zeros are written where needed");
	else
		img->is_zero = punch(img, 0, range[1]);
}

int image_sync(struct image *img)
{
	if (fsync(img->fd) < 0)
		return fail(img, -errno, "%s: the last writes did not reach the disk: %s", img->path,
			    strerror(errno));
	return 0;
}

int image_close(struct image *img, bool discard_created)
{
	int err = 0;

	if (img->fd < 0)
		return 0;
	if (img->was_created && discard_created)
		ignore(unlink(img->path), "the failure that led here is the one to tell");
	if (close(img->fd) < 0)
		err = fail(img, -errno, "%s: closing: %s", img->path, strerror(errno));
	if (img->claim_fd >= 0)
		close(img->claim_fd);
	img->fd = img->claim_fd = -1;
	return err;
}
