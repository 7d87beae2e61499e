/*
 * mkfs/args.h - the command line into one struct.
 *
 * Purpose     mke2fs's options, as far as they make sense for ext2 and ext3. What is not known or
 *             not possible is refused by name.
 * Ownership   Strings of argv are pointed at, not copied.
 * Locking     None.
 */
#ifndef MKFS_ARGS_H
#define MKFS_ARGS_H

#include "plan.h"

struct args {
	const char *path;
	struct mkfs_params params;	/* size_bytes and what the device says are still missing */
	bool has_size;
	struct size_arg size;		/* unit_bytes 0: blocks of -b, or KiB */
	uint64_t offset_bytes;
	bool force;
	bool dry_run;
	bool quiet;
	bool verbose;
	bool discard;
	bool is_prezeroed;
};

enum args_verdict {
	ARGS_GO,
	ARGS_DONE,	/* --help, -V: answered */
	ARGS_BAD,	/* refused, the reason is on stderr */
};

enum args_verdict args_parse(int argc, char **argv, struct args *ret) must_check;

#endif
