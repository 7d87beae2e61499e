/*
 * block/request.h - one or more bios on their way to the driver.
 *
 * Purpose     What a scheduler orders and a driver carries out: adjacent bios of one direction
 *             as a single transfer.
 * Ownership   From the queue's bounded pool; back to it after completion. It owns its bios until
 *             their end_io.
 * Locking     The queue's lock while queued, nobody's while the driver has it.
 * Invariants  r1  sectors are contiguous over the bios in list order.
 *             r2  all bios have one op. A DISCARD request has one bio. The FLUSH request that a
 *                 driver sees has none: it is the queue's own, sent for everybody who waits.
 *             r3  a request with PREFLUSH or FUA bios is never merged with another.
 *             r4  a request carries a list of whole bios, or one part of one bio (part_of).
 */
#ifndef BLOCK_REQUEST_H
#define BLOCK_REQUEST_H

#include <sys/uio.h>

#include "base/list.h"
#include "base/rbtree.h"
#include "block/bio.h"

#define REQUEST_NO_TAG UINT32_MAX

struct request {
	struct disk *disk;
	enum bio_op op;
	/* All flags of its bios, ored. The driver never sees PREFLUSH, and FUA only when it has it. */
	uint32_t flags;
	sector_t sector;
	uint32_t size_bytes;
	uint32_t nr_vecs;	/* over all bios */
	uint32_t tag;		/* below the disk's depth while dispatched, else REQUEST_NO_TAG */
	struct list bios;
	struct bio *part_of;	/* with an empty list of bios: the bio it is a part of, */
	uint32_t part_skip_bytes;	/* from this byte of the bio's memory on */
	struct list queue_link;	/* the queue's or the scheduler's */
	struct rbnode sort_node;	/* the scheduler's */
	uint64_t queued_ns, dispatched_ns;
	void *driver_private;

	/* The queue's own: */
	uint32_t steps_left;	/* of a flush sequence (flush.c) [queue lock] */
	int status;		/* [queue lock] of a flush sequence */
	uint8_t slot_class;	/* whose room it takes */
	bool is_elevators;	/* it came from the scheduler, which wants to know of its end */
};

/*
 * Writes the request's memory from byte `skip` on into iov (at most max entries) and returns how
 * many were used: how a driver goes on after a short transfer.
 */
size_t request_fill_iov(const struct request *rq, uint64_t skip, struct iovec *iov, size_t max);

#endif
