/*
 * base/filelock_private.h - where the file lock's two halves look, so that tests can show them a
 * machine.
 *
 * Purpose     Lock holders, mounts and loop devices are read from /proc and /sys; a test makes two
 *             such trees of its own.
 * Ownership   The caller's strings. `why` is written only with a reason to refuse.
 * Locking     None.
 */
#ifndef BASE_FILELOCK_PRIVATE_H
#define BASE_FILELOCK_PRIVATE_H

#include "base/filelock.h"

struct machine_view {
	const char *proc;	/* "/proc" */
	const char *sys;	/* "/sys" */
};

/* Says who holds a lock on the file that stops one of this mode; "another process" when unknown. */
void filelock_name_holder(const struct machine_view *view, int fd, const char *path,
			  enum filelock_mode mode, char *why, size_t why_size);
/* As filelock_check_kernel(). */
int filelock_check_view(const struct machine_view *view, int fd, const char *path,
			enum filelock_mode mode, char *why, size_t why_size) must_check;

#endif
