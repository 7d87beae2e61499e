/*
 * daemon/config.h - every mount option, in one table.
 *
 * Purpose     From `-o` words to one struct, checked; from that struct to what libfuse and the
 *             kernel are told. Names are the kernel's own for ext2 and ext3 where one exists.
 * Ownership   The strings inside are the struct's.
 * Locking     None.
 * Errors      -EINVAL with a sentence that names the word.
 * Sources     mount(8), ext2(5)/ext4(5), mount.fuse3(8); extant.8 tells the same to users.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdio.h>

#include "base/types.h"

enum errors_choice { ERRORS_UNSAID = -1, ERRORS_CONTINUE, ERRORS_REMOUNT_RO, ERRORS_PANIC };

enum driver_choice { DRIVER_FILE, DRIVER_URING, DRIVER_MMAP, DRIVER_SIM };
#define SIM_UNSAID (-1)		/* a profile or mode that nobody asked for */
enum data_choice { DATA_UNSAID = -1, DATA_ORDERED, DATA_WRITEBACK, DATA_JOURNAL };

struct mount_options {
	/* the tree */
	bool is_read_only, is_sync;
	bool has_no_atime, has_strict_atime, has_no_dir_atime;
	bool has_bsd_groups, has_minix_df;
	bool has_said_xattr;		/* acl or user_xattr, which have no effect yet */

	/* the disk's format */
	bool has_no_load;
	int data_mode;			/* enum data_choice */
	bool has_barrier, has_journal_checksum;
	int barrier;			/* barrier=0 or 1, beside the flags */
	int errors;			/* enum errors_choice */
	uint64_t super_block;		/* in units of 1 KiB; 0: the primary */
	uint64_t resuid, resgid;	/* UINT32_MAX: as the superblock says */

	/* the disks */
	int driver;			/* enum driver_choice */
	int sim_profile, sim_mode;	/* places in SIM_PROFILE_NAMES, SIM_MODE_NAMES; SIM_UNSAID: hdd7200, dma-irq */
	bool has_discard;		/* freed blocks become holes */
	bool has_dax;			/* file data between caller and mapping */
	bool is_direct;			/* past the host's page cache */
	bool has_sqpoll;		/* a kernel thread looks for what the uring driver submits */
	int scheduler;			/* its place in SCHED_NAMES */
	char *part;			/* NULL: the image is no whole disk */
	uint64_t offset_bytes;
	bool has_cow;			/* writes stay in memory */
	char *cow_path;			/* or in this file */
	char *iolog_path;		/* its requests are written here, for fio */
	char *record_path;		/* what reaches the disk is recorded here */

	/* limits */
	uint64_t cache_bytes;		/* 0: by the machine's memory */
	uint64_t readahead_bytes;
	uint64_t dirty_percent, background_percent;
	uint64_t commit_seconds;
	uint64_t nr_threads, nr_workers, queue_depth;
	uint64_t inodes_max, dentries_max;

	/* the kernel's and libfuse's */
	bool has_no_suid, has_no_dev, has_no_exec;
	bool may_others, may_root, has_auto_unmount;
	uint64_t max_read_bytes;	/* 0: no limit but the protocol's */
	char *fsname, *subtype;
};

/* The defaults. */
void mount_options_init(struct mount_options *o);
void mount_options_done(struct mount_options *o);
/* One `-o` argument; may be called for several. is_sloppy: unknown words are passed over. */
int mount_options_parse(struct mount_options *o, const char *list, bool is_sloppy, char *err,
			size_t err_size) must_check;
/* What only the whole can tell. */
int mount_options_check(const struct mount_options *o, char *err, size_t err_size) must_check;
/*
 * The words for libfuse and the kernel. As root the mount is for everybody and keeps set-user-id
 * programs and devices working, as a mount by the kernel would.
 */
void mount_options_for_fuse(const struct mount_options *o, bool is_root, char *buf, size_t size);
/* One line an option, for --help. */
void mount_options_help(FILE *to);

#endif
