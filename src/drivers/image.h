/*
 * drivers/image.h - the file or block device behind a disk.
 *
 * Purpose     Opening, refusing, locking, sizes, alignment for O_DIRECT, and what is remembered of
 *             failures: the same for every driver that works on a file.
 * Ownership   A member of the driver; image_file_close() closes the file.
 * Locking     None: fixed once open, but for flags that are only ever set.
 * Invariants  i1  after a flush failed, or a write that was to be durable, nothing is called
 *                 durable any more: the host's kernel takes the lost pages for clean, and its
 *                 next fdatasync succeeds.
 * Errors      -errno of open; -EBUSY when somebody else has the image (named in why).
 */
#ifndef DRIVERS_IMAGE_H
#define DRIVERS_IMAGE_H

#include "block/disk.h"

struct image_config {
	bool is_read_only;
	bool takes_lock;	/* filelock: exclusive, or shared when read-only */
	bool is_direct;		/* O_DIRECT: past the host's page cache */
};

struct image {
	int fd;
	char *name;
	uint64_t size_bytes;		/* of the file when it was opened, perhaps not whole sectors */
	bool is_direct;
	uint32_t block_bytes;		/* unit of offsets and lengths: 512, more with is_direct */
	uint32_t memory_align;		/* 1, more with is_direct */
	/* state: relaxed atomics, each is only ever set */
	_Atomic bool has_told[BIO_NR_OPS];	/* the first failure of each kind is logged */
	_Atomic bool has_lost_data;	/* i1 */
	_Atomic bool lacks_dsync;	/* the host refused RWF_DSYNC */
};

/* On failure `why` holds a sentence that names the file, and nothing is held. */
int image_file_open(struct image *image, const char *path, const struct image_config *config, char *why,
	       size_t why_size) must_check;
/* The same over an open descriptor, which it takes over, on failure too. */
int image_open_fd(struct image *image, int fd, const char *name, const struct image_config *config,
		  char *why, size_t why_size) must_check;
void image_file_close(struct image *image);

/* What follows for the disk from the image; the driver adds what it can take at once. */
struct disk_limits image_limits(const struct image *image, const struct image_config *config);

/*
 * The disk failed: the file system hears -EIO, the log what it was, the first time. err is positive;
 * 0 is for a file that became shorter.
 */
int image_failed(struct image *image, enum bio_op op, uint64_t offset_bytes, int err);
/* The same for a flush, or for a write that was to be durable (i1). */
int image_lost_data(struct image *image, enum bio_op op, uint64_t offset_bytes, int err);

/* Does O_DIRECT take the request's memory as it is? */
bool image_takes_memory(const struct image *image, const struct request *rq);
/* Memory of rq's size that O_DIRECT takes; NULL without memory. mem_free() it. */
void *image_bounce(const struct image *image, const struct request *rq) must_check;

#endif
