/*
 * base/filelock.h - one owner for one image.
 *
 * Purpose     Two writers of one image destroy it. Daemon, mkfs and fsck take this lock before
 *             they write, and readers take it shared. Who is refused learns who holds it.
 * Ownership   The lock goes with the file descriptor (flock); closing it frees the lock.
 * Errors      -EBUSY with the holder named in `why`; -errno of flock.
 * Sources     flock(2), proc_locks(5).
 */
#ifndef BASE_FILELOCK_H
#define BASE_FILELOCK_H

#include "base/types.h"

enum filelock_mode { FILELOCK_SHARED, FILELOCK_EXCLUSIVE };

/*
 * Also looks whether the kernel has the file mounted, directly or through a loop device; that is
 * refused too, in shared mode only when the kernel may write to it.
 */
int filelock_take(int fd, const char *path, enum filelock_mode mode, char *why, size_t why_size) must_check;
/* Only the second half: 0 when the kernel does not use the file, -EBUSY and the reason otherwise. */
int filelock_check_kernel(int fd, const char *path, enum filelock_mode mode, char *why, size_t why_size) must_check;

#endif
