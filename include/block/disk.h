/*
 * block/disk.h - a disk: limits, a driver, and the queue in front of it.
 *
 * Purpose     The generic block layer's door: bios go in here, and a driver behind disk_ops
 *             carries them out. Names no driver.
 * Ownership   disk_open_with() takes over the driver's private state and closes it in
 *             disk_close(), which waits for what is under way. Nobody submits meanwhile.
 * Locking     Any thread submits. One lock a queue (RANK_QUEUE), not held over a driver's work.
 * Invariants  d1  at most config.queue_depth_max requests are queued or dispatched; further
 *                 submitters wait (backpressure) in order. A part is kept for those who wait
 *                 for their I/O, so that a flood of writes does not stop readers (BLOCK.md).
 *             d2  writes completed before a flush was submitted are durable when it completes.
 *             d3  no order between other requests is promised, overlapping ones included; the
 *                 cache above has at most one write of a block under way.
 * Errors      -EIO, -EINVAL (beyond the end, misaligned), -EROFS (write to a read-only disk).
 * Context     Submitting may sleep. A bio's own status tells its I/O's fate.
 */
#ifndef BLOCK_DISK_H
#define BLOCK_DISK_H

#include "base/clock.h"
#include "base/stats.h"
#include "block/bio.h"
#include "block/request.h"

struct disk;
struct elevator_ops;

#define DISK_QUEUE_DEPTH_DEFAULT 256u
#define DISK_QUEUE_DEPTH_LIMIT 65536u
#define DISK_WORKERS_DEFAULT 4u

struct disk_limits {
	uint64_t size_bytes;
	uint32_t block_bytes;		/* smallest unit: 512 or 4096 (O_DIRECT) */
	uint32_t request_bytes_max;	/* largest transfer the driver takes; whole blocks */
	uint32_t vecs_max;		/* most pieces of memory in one */
	uint32_t depth;			/* requests it works on at once */
	bool is_read_only;
	bool has_fua, has_discard;	/* else the block layer emulates, or answers -EOPNOTSUPP */
};

/* A driver. Filled by the drivers' room, called by this one. */
struct disk_ops {
	const char *name;
	/*
	 * Carries out rq on the calling thread, and returns its status: for drivers whose system
	 * calls block. The queue's worker threads call it, up to `depth` at once. A driver
	 * that also has start() gets no workers: what is handed in is started, and only a submitter
	 * that waits for one read, write or discard comes here, beside what is started. May be NULL then.
	 */
	int (*execute)(void *driver, struct request *rq);
	/* execute() itself says thread_will_block() for reads, when it finds that it will. */
	bool tells_blocking_reads;
	/*
	 * Begins rq and returns; disk_complete() tells the end, perhaps from inside start(). Must
	 * not sleep for the device. commit, when there is one, is called after a batch of starts
	 * (a doorbell). The queue never makes two of these calls at once.
	 */
	void (*start)(void *driver, struct request *rq);
	void (*commit)(void *driver);
	/* Told once that the disk exists, so that an asynchronous driver knows whom to complete to. */
	void (*attach)(void *driver, struct disk *disk);
	/* Asks whether the device grew or shrank; NULL: never. */
	uint64_t (*size_bytes)(void *driver);
	/*
	 * Direct access, of drivers whose medium is memory; NULL else. Ranges are within the disk. The
	 * bytes themselves, for system calls that copy from them (they say EFAULT where a page cannot
	 * be had), NULL where there are none; and copies, which say -EIO then. Durable after a flush.
	 */
	void *(*map)(void *driver, uint64_t offset_bytes, size_t len);
	int (*map_read)(void *driver, uint64_t offset_bytes, void *to, size_t len);
	int (*map_write)(void *driver, uint64_t offset_bytes, const void *from, size_t len);
	/*
	 * Memory that many requests will lie in, so that a driver may prepare it once instead of for each
	 * (pin its pages); unregister comes when none of them is under way. NULL: nothing to prepare.
	 */
	int (*register_memory)(void *driver, void *base, size_t len);
	void (*unregister_memory)(void *driver, void *base);
	/* Nothing is under way. No thread of the driver's is inside disk_complete() afterwards. */
	void (*close)(void *driver);
};

struct disk_config {
	const char *name;		/* for messages: the image's path */
	/* Told of each request that the driver ended, with its status; no lock is held. NULL: nobody. */
	void (*trace)(void *arg, const struct request *rq, int status);
	void *trace_arg;
	uint32_t queue_depth_max;	/* requests queued and dispatched; default 256 */
	uint32_t nr_workers;		/* for drivers with execute(); default min(depth, 4); 0 with is_inline */
	bool is_inline;			/* tests: bios are carried out by their submitter, in order */
	struct clock *clock;		/* NULL: real time */
	const struct elevator_ops *elevator;	/* NULL: fifo_elevator */
};

struct disk_stats {
	counter_t ios[BIO_NR_OPS];	/* requests that the driver carried out, by enum bio_op */
	counter_t bytes[BIO_NR_OPS];
	counter_t errors;		/* those among them that failed */
	counter_t merges;		/* bios that joined a waiting request */
	counter_t splits;		/* bios that became several requests */
	counter_t backpressure_waits;	/* submitters that slept at the bound */
	counter_t direct;		/* carried out by the waiting submitter itself */
	counter_t registered_bytes;	/* of memory that the driver has prepared, and could not */
	counter_t register_refused_bytes;
	_Atomic uint32_t depth_now, depth_most;	/* requests queued and dispatched */
	struct histogram wait_ns, service_ns;	/* queued to dispatched; dispatched to done */
};

/* On failure the driver's private state stays the caller's. */
int disk_open_with(const struct disk_ops *ops, void *driver, const struct disk_limits *limits,
		   const struct disk_config *config, struct disk **ret_disk) must_check;
void disk_close(struct disk *disk);		/* waits for what is under way; NULL is harmless */
const struct disk_limits *disk_limits(const struct disk *disk);
const char *disk_name(const struct disk *disk);
const struct disk_stats *disk_stats(const struct disk *disk);

/* Queues bio; end_io comes later, perhaps before this returns. Errors come through end_io too. */
void bio_submit(struct bio *bio);
/*
 * Carries out bio and returns its status; end_io is not called. When the driver has execute() and
 * the queue has room, the calling thread does the work itself and no other thread is woken.
 */
int bio_submit_wait(struct bio *bio) must_check;
/* Everything completed before this call is durable afterwards. */
int disk_flush(struct disk *disk) must_check;
/* Reads or writes a plain piece of memory and waits. */
int disk_read(struct disk *disk, uint64_t offset_bytes, void *to, uint32_t len_bytes) must_check;
int disk_write(struct disk *disk, uint64_t offset_bytes, const void *from, uint32_t len_bytes,
	       uint32_t flags) must_check;
/* Direct access past the queue, as disk_ops says; only where disk_has_map(). -EINVAL, -EROFS. */
bool disk_has_map(struct disk *disk);
void *disk_map(struct disk *disk, uint64_t offset_bytes, size_t len);	/* NULL: none */
int disk_map_read(struct disk *disk, uint64_t offset_bytes, void *to, size_t len) must_check;
int disk_map_write(struct disk *disk, uint64_t offset_bytes, const void *from, size_t len) must_check;
/*
 * A hint: I/O of this memory will come often, until it is unregistered (no I/O of it may be under way then). I/O
 * works all the same when the driver does not take it; the statistics tell. Does not wait for I/O.
 */
void disk_register_memory(struct disk *disk, void *base, size_t len);
void disk_unregister_memory(struct disk *disk, void *base);
/* Waits until nothing is queued or under way. */
void disk_drain(struct disk *disk);
/* Goes over to another scheduler, with all that waits. -ENOMEM: it stays with the old one. */
int disk_set_elevator(struct disk *disk, const struct elevator_ops *ops) must_check;
const char *disk_elevator_name(struct disk *disk);

/* For asynchronous drivers: rq is done. Any thread, without a lock of the driver's. */
void disk_complete(struct request *rq, int status);
/* The same for several of one disk, for one visit to its queue. */
struct disk_completion {
	struct request *rq;
	int status;
};
void disk_complete_batch(const struct disk_completion *done, uint32_t nr);

#endif
