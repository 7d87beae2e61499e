/*
 * harness/stack.h - the whole stack below the front end in one call.
 *
 * Purpose     Disk in memory, block layer, cache, file system, mounted. Inline: one thread, virtual
 *             time, the same on every run (but with io_uring, whose completions come when they
 *             come). Threaded: as the daemon does it.
 * Ownership   The stack borrows the image's descriptor.
 * Locking     None of its own.
 */
#ifndef HARNESS_STACK_H
#define HARNESS_STACK_H

#include "ext/super.h"

struct elevator_ops;

/* What carries out the I/O; STACK_ANY: as EXTANT_TEST_DRIVER in the environment says, else a file. */
enum stack_driver { STACK_ANY, STACK_FILE, STACK_URING, STACK_MMAP, STACK_DAX, STACK_SIM };
#define STACK_DRIVER_NAMES "any|file|uring|mmap|dax|sim"

struct stack_config {
	enum stack_driver driver;
	const struct elevator_ops *elevator;	/* NULL: first come, first served */
	unsigned block_bytes;		/* of the image */
	bool is_threaded;
	bool is_read_only;
	enum ext_data_mode data_mode;	/* 0: ordered */
	uint64_t cache_bytes;		/* 0: the least there is */
	uint32_t unused_inodes_max;	/* 0: the default */
	uint32_t dentries_max;
	uint64_t seed;
};

struct stack {
	struct clock *clock;
	struct clock *disk_clock;	/* of a simulated disk in virtual time; NULL: it is the same */
	struct workqueue *work;
	struct disk *disk;
	struct page_cache *cache;
	struct super *sb;
	char why[256];		/* why the mount was refused */
};

/* 0, or the error of whichever layer refused; then nothing is left behind. */
int stack_mount(const struct stack_config *config, int image_fd, struct stack *stack) must_check;
/* The first error of unmounting; the stack is gone either way. */
int stack_unmount(struct stack *stack) must_check;
/* Inline: runs what is queued or due after `ms` more of virtual time. */
void stack_pass_time(struct stack *stack, uint64_t ms);

extern const struct cred stack_root, stack_user;

#endif
