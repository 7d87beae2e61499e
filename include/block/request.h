/*
 * block/request.h - one or more bios on their way to the driver.
 *
 * Purpose     What a scheduler orders and a driver carries out: adjacent bios of one direction
 *             as a single transfer.
 * Ownership   From the queue's bounded pool; back to it after completion. It owns its bios until
 *             their end_io.
 * Locking     The queue's lock while queued, nobody's while the driver has it.
 * Invariants  r1  sectors are contiguous over the bios in list order.
 *             r2  all bios have one op; FLUSH and DISCARD requests have a single bio.
 */
#ifndef BLOCK_REQUEST_H
#define BLOCK_REQUEST_H

#include <sys/uio.h>

#include "base/list.h"
#include "base/rbtree.h"
#include "block/bio.h"

struct request {
	struct disk *disk;
	enum bio_op op;
	uint32_t flags;		/* all flags of its bios, ored */
	sector_t sector;
	uint32_t size_bytes;
	uint32_t nr_vecs;	/* over all bios */
	uint32_t tag;		/* below the disk's depth while dispatched */
	struct list bios;
	struct list queue_link;	/* the queue's or the scheduler's */
	struct rbnode sort_node;	/* the scheduler's */
	uint64_t queued_ns, dispatched_ns;
	void *driver_private;
};

/*
 * Writes the request's memory from byte `skip` on into iov (at most max entries) and returns how
 * many were used: how a driver goes on after a short transfer.
 */
size_t request_fill_iov(const struct request *rq, uint64_t skip, struct iovec *iov, size_t max);

#endif
