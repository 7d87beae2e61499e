/*
 * A disk in a mapped file.
 *
 * A write is durable when msync says so; it covers what was dirtied through the mapping, and returns
 * after the host's own flush. After a failure the rule is image.h's i1.
 *
 * The last sector of a file that is not whole sectors: reads find zeros behind the end, in the
 * same page. A write there would be lost, so the file is completed before the first one.
 */
#include "drivers/mmapdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/mem.h"
#include "guard.h"
#include "image.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define VECS_MAX 1024u
#define IOV_AT_ONCE 256u
#define DEPTH 64u

struct mmapdisk {
	/* configuration */
	struct image image;
	char *map;		/* NULL: an empty file */
	size_t map_bytes;
	uint64_t size_bytes;	/* of the disk */
	uint64_t page_bytes;
	bool is_read_only;

	struct mutex lock;
	bool is_whole;		/* [lock] the file's last sector is complete */
};

/* Failures. */

static bool is_shorter(const struct mmapdisk *m, uint64_t end)
{
	struct stat st;

	return fstat(m->image.fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size < end;
}

static int copy_failed(struct mmapdisk *m, enum bio_op op, uint64_t offset, size_t len)
{
	return image_failed(&m->image, op, offset, is_shorter(m, min(offset + len, m->image.size_bytes)) ? 0 : EIO);
}

/* Copying. */

/* Completes the file's last sector, unless somebody has changed the file's size meanwhile. */
static int complete_file(struct mmapdisk *m)
{
	int err = 0;

	mutex_lock(&m->lock);
	if (!m->is_whole && !is_shorter(m, m->image.size_bytes) &&
	    ftruncate(m->image.fd, (off_t)m->size_bytes))
		err = errno;
	if (!err)
		m->is_whole = true;
	mutex_unlock(&m->lock);
	return err ? image_failed(&m->image, BIO_WRITE, m->image.size_bytes, err) : 0;
}

static int copy_out(struct mmapdisk *m, uint64_t offset, void *to, size_t len)
{
	return guarded_copy_from(to, m->map + offset, len) ? copy_failed(m, BIO_READ, offset, len) : 0;
}

static int copy_in(struct mmapdisk *m, uint64_t offset, const void *from, size_t len)
{
	int err = offset + len > m->image.size_bytes ? complete_file(m) : 0;

	if (err)
		return err;
	return guarded_copy_to(m->map + offset, from, len) ? copy_failed(m, BIO_WRITE, offset, len) : 0;
}

static int execute_transfer(struct mmapdisk *m, const struct request *rq)
{
	uint64_t start = rq->sector << SECTOR_SHIFT;
	struct iovec iov[IOV_AT_ONCE];

	for (uint64_t done = 0; done < rq->size_bytes;) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			int err = rq->op == BIO_READ
					  ? copy_out(m, start + done, iov[i].iov_base, iov[i].iov_len)
					  : copy_in(m, start + done, iov[i].iov_base, iov[i].iov_len);

			if (err)
				return err;
			done += iov[i].iov_len;
		}
	}
	return 0;
}

/* Durability. */

static int sync_range(struct mmapdisk *m, enum bio_op op, uint64_t offset, uint64_t len)
{
	uint64_t from = round_down(offset, m->page_bytes);

	if (atomic_load(&m->image.has_lost_data))
		return -EIO;
	if (!m->map || msync(m->map + from, (size_t)(offset + len - from), MS_SYNC) == 0)
		return 0;
	return image_lost_data(&m->image, op, offset, errno);
}

static int execute_write(struct mmapdisk *m, const struct request *rq)
{
	int err = execute_transfer(m, rq);

	if (err || !(rq->flags & BIO_FUA))
		return err;
	/* FUA: the promise is that this write is durable when it completes. */
	return sync_range(m, BIO_WRITE, rq->sector << SECTOR_SHIFT, rq->size_bytes);
}

static int execute_discard(struct mmapdisk *m, const struct request *rq)
{
	off_t start = (off_t)(rq->sector << SECTOR_SHIFT);
	int err;

	do {
		err = fallocate(m->image.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				(off_t)rq->size_bytes) ? errno : 0;
	} while (err == EINTR);
	if (err == EOPNOTSUPP || err == ENOSYS)
		return -EOPNOTSUPP;	/* a discard is a hint, and this host cannot take it */
	return err ? image_failed(&m->image, BIO_DISCARD, (uint64_t)start, err) : 0;
}

static int mmapdisk_execute(void *driver, struct request *rq)
{
	struct mmapdisk *m = driver;

	switch (rq->op) {
	case BIO_READ:
		return execute_transfer(m, rq);
	case BIO_WRITE:
		return execute_write(m, rq);
	case BIO_FLUSH:
		return sync_range(m, BIO_FLUSH, 0, m->map_bytes);
	case BIO_DISCARD:
		return execute_discard(m, rq);
	}
	return -EINVAL;
}

/* Direct access. */

static void *mmapdisk_map(void *driver, uint64_t offset_bytes, size_t len)
{
	struct mmapdisk *m = driver;

	(void)len;
	return m->map ? m->map + offset_bytes : NULL;
}

static int mmapdisk_read(void *driver, uint64_t offset_bytes, void *to, size_t len)
{
	struct mmapdisk *m = driver;

	return copy_out(m, offset_bytes, to, len);
}

static int mmapdisk_write(void *driver, uint64_t offset_bytes, const void *from, size_t len)
{
	struct mmapdisk *m = driver;

	return copy_in(m, offset_bytes, from, len);
}

static void mmapdisk_close(void *driver)
{
	struct mmapdisk *m = driver;

	if (m->map)
		munmap(m->map, m->map_bytes);
	image_file_close(&m->image);
	mutex_done(&m->lock);
	guard_stop();
	mem_free(m);
}

static const struct disk_ops mmapdisk_ops = {
	.name = "mmap",
	.execute = mmapdisk_execute,
	.map = mmapdisk_map,
	.map_read = mmapdisk_read,
	.map_write = mmapdisk_write,
	.close = mmapdisk_close,
};

/* Opening. */

static int map_image(struct mmapdisk *m)
{
	int prot = m->is_read_only ? PROT_READ : PROT_READ | PROT_WRITE;

	m->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	m->map_bytes = (size_t)round_up(m->image.size_bytes, m->page_bytes);
	if (m->map_bytes == 0)
		return 0;
	m->map = mmap(NULL, m->map_bytes, prot, MAP_SHARED, m->image.fd, 0);
	if (m->map != MAP_FAILED)
		return 0;
	m->map = NULL;
	return -errno;
}

/* Everything once there is an image; it is closed on failure. */
static int open_over(struct image *image, const struct image_config *image_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct disk_limits limits = image_limits(image, image_config);
	struct mmapdisk *m = mem_zalloc(sizeof(*m));
	int err = -ENOMEM;

	if (!m) {
		snprintf(why, why_size, "cannot open %s: %s", image->name, strerror(-err));
		image_file_close(image);
		return err;
	}
	m->image = *image;
	m->size_bytes = limits.size_bytes;
	m->is_read_only = image_config->is_read_only;
	m->is_whole = m->size_bytes == image->size_bytes;
	mutex_init(&m->lock, RANK_DRIVER, "mmap");
	guard_start();
	limits.request_bytes_max = REQUEST_BYTES_MAX;
	limits.vecs_max = VECS_MAX;
	limits.depth = DEPTH;
	err = map_image(m);
	if (!err)
		err = disk_open_with(&mmapdisk_ops, m, &limits, config, ret_disk);
	if (err) {
		snprintf(why, why_size, "cannot map %s: %s", image->name, strerror(-err));
		mmapdisk_close(m);
		return err;
	}
	return 0;
}

static struct image_config image_config_of(const struct mmapdisk_config *config)
{
	return (struct image_config){.is_read_only = config->is_read_only, .takes_lock = config->takes_lock};
}

int mmapdisk_open(const char *path, const struct mmapdisk_config *mmap_config,
		  const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct image_config image_config = image_config_of(mmap_config);
	struct image image;
	int err = image_file_open(&image, path, &image_config, why, why_size);

	return err ? err : open_over(&image, &image_config, config, ret_disk, why, why_size);
}

int mmapdisk_open_fd(int fd, const struct mmapdisk_config *mmap_config,
		     const struct disk_config *config, struct disk **ret_disk, char *why, size_t why_size)
{
	struct image_config image_config = image_config_of(mmap_config);
	const char *name = config->name ? config->name : "the image";
	struct image image;
	int err = image_open_fd(&image, fd, name, &image_config, why, why_size);

	return err ? err : open_over(&image, &image_config, config, ret_disk, why, why_size);
}
