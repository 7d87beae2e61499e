/*
 * fuse/mountinfo.h - what the kernel says is mounted.
 *
 * Purpose     Reads /proc/self/mountinfo: where our mount's device number stands (asking the
 *             mount itself from the thread that serves it would wait for ever), and whether an
 *             image is mounted already.
 * Ownership   Strings of a parsed line point into the line.
 * Locking     None.
 * Errors      -EINVAL not a line of mountinfo, -ENOENT no such mount, -errno of open.
 * Sources     proc_pid_mountinfo(5).
 */
#ifndef FUSE_MOUNTINFO_H
#define FUSE_MOUNTINFO_H

#include "base/types.h"

struct mountinfo {
	unsigned dev_major, dev_minor;
	char *mountpoint;	/* unescaped */
	char *type;		/* "fuse.extant" */
	char *source;		/* unescaped */
};

/* Takes a line apart in place. */
int mountinfo_parse(char *line, struct mountinfo *ret) must_check;
/* The device number of what is mounted last, thus visible, on mountpoint. */
int mountinfo_device(const char *mountpoint, unsigned *ret_major, unsigned *ret_minor) must_check;
/* Whether a mount of this type names source. */
bool mountinfo_has_source(const char *type, const char *source);

#endif
