/*
 * crash/mount.h - a mounted file system, and operations done to it.
 *
 * Purpose     The stack above a disk in one process and one thread, in virtual time.
 * Ownership   The disk is borrowed.
 * Locking     One thread.
 */
#ifndef CRASH_MOUNT_H
#define CRASH_MOUNT_H

#include "crash/op.h"
#include "ext/super.h"
#include "vfs/file.h"

/* What a mount stands on; may serve one mount after the other. */
struct ground {
	struct clock *clock;
	struct workqueue *work;
	struct page_cache *cache;
};

enum data_mode { DATA_ORDERED, DATA_WRITEBACK, DATA_JOURNAL };

struct mount_config {
	uint32_t block_bytes;
	uint32_t unused_inodes_max;	/* few: inodes are let go all the time; 0: the default */
	enum data_mode data_mode;
	bool is_read_only, has_no_checksum, has_discard;
	unsigned nr_threads;		/* of the work queue; 0: inline, in virtual time */
	uint64_t seed;
};

#define HELD_MAX 16u

struct mount {
	struct super *sb;
	struct inode *top;		/* where paths begin */
	struct ground *ground;
	struct {
		char path[OP_PATH_MAX];
		struct inode *inode;
		struct file *file;
	} held[HELD_MAX];
	char why[256];
};

void ground_init(struct ground *g, const struct mount_config *config);
void ground_done(struct ground *g);

/* 0, or the error of mounting with mount->why. */
int mount_start(struct mount *mount, struct ground *g, struct disk *disk, const struct mount_config *config);
int mount_stop(struct mount *mount);
void mount_pass_time(struct mount *mount, uint64_t ms);
/* 0 or a negative errno; *ret_done: bytes that a write wrote, also when it failed in the middle. */
int mount_do(struct mount *mount, const struct op *op, uint32_t number, uint64_t *ret_done);
/* The same with a fault: a rename is a link and an unlink, in two transactions. */
int mount_do_split(struct mount *mount, const struct op *op, uint32_t number, uint64_t *ret_done);
/* Paths begin in that directory from now on, until mount_leave(); also puts what is held. */
int mount_enter(struct mount *mount, const char *path);
void mount_leave(struct mount *mount);
/* Removes everything below the root but lost+found. */
int mount_remove_all(struct mount *mount);

#endif
