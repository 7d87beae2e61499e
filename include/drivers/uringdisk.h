/*
 * drivers/uringdisk.h - a disk in a file or block device, by io_uring.
 *
 * Purpose     The same disk as filedisk's, with many requests under way by few system calls: a batch
 *             of requests is one call, a batch of completions at most one more.
 * Ownership   disk_close() closes the file. The handle lives as long as the disk. Registered memory
 *             stays the caller's and must stay mapped until it is unregistered or the disk closed.
 * Locking     Any thread. RANK_DRIVER.
 * Errors      -ENOSYS: io_uring is not to be had (a kernel without it, or without an operation
 *             that is needed; refused by sysctl, seccomp or a limit): open a filedisk instead, and
 *             say so with `why`. All others are as filedisk's, and filedisk would have them too.
 * Context     A bio may end on its submitter's thread, inside bio_submit(), or on one of the driver's.
 * Sources     io_uring(7), io_uring_enter(2), io_uring_register(2).
 */
#ifndef DRIVERS_URINGDISK_H
#define DRIVERS_URINGDISK_H

#include "block/disk.h"

struct uringdisk;

#define URINGDISK_DEPTH_DEFAULT 128u
#define URINGDISK_REGIONS_MAX 1024u	/* pieces of registered memory */

struct uringdisk_config {
	bool is_read_only;
	bool takes_lock;		/* filelock: exclusive, or shared when read-only */
	bool is_direct;			/* O_DIRECT; block_bytes is then what the host asks for */
	uint32_t depth;			/* requests under way; 0: the default */
	bool has_sqpoll;		/* a kernel thread looks for requests: no calls, but a CPU for it */
	uint32_t sqpoll_idle_ms;	/* it sleeps after so long without any; 0: 50 */
};

/* Counted since the disk was opened. */
struct uringdisk_stats {
	counter_t enters;	/* io_uring_enter() calls */
	counter_t calls;	/* other system calls that transferred something */
	counter_t submitted;	/* operations given to the kernel */
	counter_t retries;	/* of them, for the rest of a short transfer or after EAGAIN and its like */
	counter_t fixed;	/* of them, with registered memory */
	counter_t bounced;	/* requests whose memory O_DIRECT could not take */
	counter_t reaped_here;	/* completions that the submitter found himself */
};

/* On failure `why` holds a sentence that names the file. ret_uring may be NULL. */
int uringdisk_open(const char *path, const struct uringdisk_config *uring_config,
		   const struct disk_config *config, struct uringdisk **ret_uring,
		   struct disk **ret_disk, char *why, size_t why_size) must_check;
/* The same over an open descriptor (a memfd in tests), which it takes over, on failure too. */
int uringdisk_open_fd(int fd, const struct uringdisk_config *uring_config,
		      const struct disk_config *config, struct uringdisk **ret_uring,
		      struct disk **ret_disk, char *why, size_t why_size) must_check;

/*
 * Requests in one piece of this memory are carried out without looking up and pinning its pages
 * each time. -ENOMEM: the limit on locked memory; -ENOSYS: not with this kernel; -ENOSPC: too many
 * pieces; -EINVAL: more than a GiB in one. I/O works all the same. DRIVERS.md says what it gains.
 */
int uringdisk_register_memory(struct uringdisk *uring, void *base, size_t len) must_check;
/* Of memory that was registered with this base. Nothing that uses it may be under way. */
void uringdisk_unregister_memory(struct uringdisk *uring, void *base);
const struct uringdisk_stats *uringdisk_stats(const struct uringdisk *uring);

#endif
