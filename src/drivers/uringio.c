/*
 * What a request is to io_uring, and what its results mean. The awkward things of files are those
 * that filedisk.c lists; here they come as results of entries:
 *
 *	short transfer, EAGAIN, EINTR  --> the same again, from where it stopped
 *	ECANCELED                      --> the same again: the thread that submitted it has exited,
 *	                                   and the kernel takes its requests with it
 *	read 0 at the file's end       --> zeros, or the file was cut
 *	RWF_DSYNC refused              --> the same without, then an fdatasync
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reqmem.h"
#include "uring.h"

#define RETRIES_MAX 1000u	/* a kernel that says EAGAIN so often means no */
#define FILE_SLOT 0		/* of the registered files: the image */

static uint64_t start_of(const struct uring_io *io)
{
	return io->rq->sector << SECTOR_SHIFT;
}

static bool is_durable(const struct uring_io *io)
{
	return io->rq->op == BIO_WRITE && (io->rq->flags & BIO_FUA);
}

int uring_io_begin(struct uringdisk *u, struct uring_io *io, struct request *rq)
{
	io->rq = rq;
	io->done = 0;
	io->bounce = NULL;
	io->nr_retries = 0;
	io->is_in_sync = io->is_dsync = false;
	if ((rq->op == BIO_FLUSH || is_durable(io)) && atomic_load(&u->image.has_lost_data))
		return -EIO;
	if (rq->op == BIO_FLUSH || rq->op == BIO_DISCARD || image_takes_memory(&u->image, rq))
		return 0;
	io->bounce = image_bounce(&u->image, rq);
	if (!io->bounce)
		return image_failed(&u->image, rq->op, start_of(io), ENOMEM);
	if (rq->op == BIO_WRITE)
		request_copy_from(rq, io->bounce);
	counter_add(&u->stats.bounced, 1);
	return 0;
}

/* Preparing. */

uint32_t uring_regions_below(const struct uringdisk *u, const char *base)
{
	uint32_t from = 0, to = u->nr_regions;

	while (from < to) {
		uint32_t middle = (from + to) / 2;

		if (u->regions[middle].base <= base)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* The slot of the memory that holds this piece; -1: it is not registered. */
static int slot_of(const struct uringdisk *u, const struct iovec *iov) needs(u->sq_lock)
{
	const char *base = iov->iov_base;
	uint32_t nr = uring_regions_below(u, base);
	const struct uring_region *r = nr ? &u->regions[nr - 1] : NULL;

	return r && base + iov->iov_len <= r->base + r->len ? (int)r->slot : -1;
}

/* One piece of memory needs no vector, and may be registered. */
static void prepare_one(struct uringdisk *u, struct uring_io *io, struct io_uring_sqe *sqe,
			const struct iovec *iov, uint64_t offset) needs(u->sq_lock)
{
	bool is_read = io->rq->op == BIO_READ;
	int slot = slot_of(u, iov);
	unsigned len = (unsigned)iov->iov_len;

	if (slot < 0) {
		if (is_read)
			io_uring_prep_read(sqe, FILE_SLOT, iov->iov_base, len, offset);
		else
			io_uring_prep_write(sqe, FILE_SLOT, iov->iov_base, len, offset);
		return;
	}
	if (is_read)
		io_uring_prep_read_fixed(sqe, FILE_SLOT, iov->iov_base, len, offset, slot);
	else
		io_uring_prep_write_fixed(sqe, FILE_SLOT, iov->iov_base, len, offset, slot);
	counter_add(&u->stats.fixed, 1);
}

/* What is left of the transfer, in io->iov. Returns the pieces. */
static unsigned fill_iov(struct uring_io *io)
{
	if (!io->bounce)
		return (unsigned)request_fill_iov(io->rq, io->done, io->iov, URING_VECS_MAX);
	io->iov[0] = (struct iovec){(char *)io->bounce + io->done, io->rq->size_bytes - io->done};
	return 1;
}

/* RWF_DSYNC for a durable write, unless this host does not know it. */
static int rw_flags_of(struct uringdisk *u, struct uring_io *io)
{
	io->is_dsync = is_durable(io) && !atomic_load(&u->image.lacks_dsync);
	return io->is_dsync ? RWF_DSYNC : 0;
}

static void prepare_transfer(struct uringdisk *u, struct uring_io *io, struct io_uring_sqe *sqe)
{
	struct request *rq = io->rq;
	uint64_t offset = start_of(io) + io->done;
	unsigned nr = fill_iov(io);

	if (nr == 1)
		prepare_one(u, io, sqe, &io->iov[0], offset);
	else if (rq->op == BIO_READ)
		io_uring_prep_readv(sqe, FILE_SLOT, io->iov, nr, offset);
	else
		io_uring_prep_writev(sqe, FILE_SLOT, io->iov, nr, offset);
	sqe->rw_flags = rw_flags_of(u, io);
}

void uring_io_prepare(struct uringdisk *u, struct uring_io *io, struct io_uring_sqe *sqe)
{
	struct request *rq = io->rq;

	if (rq->op == BIO_FLUSH || io->is_in_sync)
		io_uring_prep_fsync(sqe, FILE_SLOT, IORING_FSYNC_DATASYNC);
	else if (rq->op == BIO_DISCARD)
		io_uring_prep_fallocate(sqe, FILE_SLOT, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)start_of(io), (off_t)rq->size_bytes);
	else
		prepare_transfer(u, io, sqe);
	sqe->flags |= IOSQE_FIXED_FILE;
	/* What would not go at once goes to a kernel thread that may wait: no spinning on EAGAIN. */
	if (io->nr_retries)
		sqe->flags |= IOSQE_ASYNC;
}

/* The same by system calls. */

static ssize_t call_transfer(struct uringdisk *u, struct uring_io *io)
{
	off_t offset = (off_t)(start_of(io) + io->done);
	int nr = (int)fill_iov(io), flags = rw_flags_of(u, io);

	if (io->rq->op == BIO_READ)
		return preadv(u->image.fd, io->iov, nr, offset);
	return pwritev2(u->image.fd, io->iov, nr, offset, flags);
}

int uring_io_call(struct uringdisk *u, struct uring_io *io)
{
	ssize_t res;

	if (io->rq->op == BIO_FLUSH || io->is_in_sync)
		res = fdatasync(u->image.fd);
	else if (io->rq->op == BIO_DISCARD)
		res = fallocate(u->image.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)start_of(io), (off_t)io->rq->size_bytes);
	else
		res = call_transfer(u, io);
	return res < 0 ? -errno : (int)res;
}

/* Results. */

/* Did the kernel ask for the same once more? */
static bool retries(struct uring_io *io, int res)
{
	return (res == -EAGAIN || res == -EINTR || res == -ECANCELED) && ++io->nr_retries <= RETRIES_MAX;
}

/* The rest of a last block that the file has only in part. */
static void zero_rest(struct uring_io *io)
{
	if (io->bounce)
		memset((char *)io->bounce + io->done, 0, io->rq->size_bytes - io->done);
	else
		request_zero(io->rq, io->done, io->rq->size_bytes - io->done);
	io->done = io->rq->size_bytes;
}

static bool read_ended(struct uringdisk *u, struct uring_io *io, int res, int *ret_status)
{
	uint64_t at = start_of(io) + io->done;

	*ret_status = 0;
	if (res < 0 || (res == 0 && at < u->image.size_bytes)) {
		*ret_status = image_failed(&u->image, BIO_READ, at, -res);
		return true;
	}
	io->done += (uint64_t)res;
	/* At the end O_DIRECT could not go on from within a block: do not ask. */
	if (io->done < io->rq->size_bytes && start_of(io) + io->done >= u->image.size_bytes)
		zero_rest(io);
	if (io->done < io->rq->size_bytes)
		return false;
	if (io->bounce)
		request_copy_to(io->rq, io->bounce);
	return true;
}

static bool write_failed(struct uringdisk *u, struct uring_io *io, int err, int *ret_status)
{
	uint64_t at = start_of(io) + io->done;

	/* A durable write that failed may have lost older data of its range, as a failed flush may. */
	*ret_status = io->is_dsync ? image_lost_data(&u->image, BIO_WRITE, at, err)
				   : image_failed(&u->image, BIO_WRITE, at, err);
	return true;
}

static bool write_ended(struct uringdisk *u, struct uring_io *io, int res, int *ret_status)
{
	*ret_status = 0;
	if (io->is_dsync && (res == -EOPNOTSUPP || res == -ENOSYS)) {
		atomic_store(&u->image.lacks_dsync, true);
		io->done = 0;	/* one fdatasync behind the whole is simpler than half and half */
		return false;
	}
	if (res <= 0)
		return write_failed(u, io, res ? -res : ENOSPC, ret_status);
	io->done += (uint64_t)res;
	if (io->done < io->rq->size_bytes)
		return false;
	/* FUA: the promise is that this write is durable when it completes. */
	io->is_in_sync = is_durable(io) && !io->is_dsync;
	return !io->is_in_sync;
}

static bool sync_ended(struct uringdisk *u, int res, int *ret_status)
{
	*ret_status = res < 0 ? image_lost_data(&u->image, BIO_FLUSH, 0, -res) : 0;
	return true;
}

static bool discard_ended(struct uringdisk *u, struct uring_io *io, int res, int *ret_status)
{
	if (res == -EOPNOTSUPP || res == -ENOSYS)
		*ret_status = -EOPNOTSUPP;	/* a discard is a hint, and this host cannot take it */
	else
		*ret_status = res < 0 ? image_failed(&u->image, BIO_DISCARD, start_of(io), -res) : 0;
	return true;
}

static bool result_ends(struct uringdisk *u, struct uring_io *io, int res, int *ret_status)
{
	if (retries(io, res))
		return false;
	if (io->is_in_sync)
		return sync_ended(u, res, ret_status);
	switch (io->rq->op) {
	case BIO_READ:
		return read_ended(u, io, res, ret_status);
	case BIO_WRITE:
		return write_ended(u, io, res, ret_status);
	case BIO_FLUSH:
		return sync_ended(u, res, ret_status);
	case BIO_DISCARD:
		return discard_ended(u, io, res, ret_status);
	}
	must(!"an operation");
	return true;
}

bool uring_io_ended(struct uringdisk *u, struct uring_io *io, int res, int *ret_status)
{
	if (!result_ends(u, io, res, ret_status)) {
		counter_add(&u->stats.retries, 1);
		return false;
	}
	mem_free(io->bounce);
	io->bounce = NULL;
	return true;
}
