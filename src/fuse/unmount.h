/*
 * fuse/unmount.h - taking the mount out of the tree while it is still served.
 *
 * Purpose     Closing /dev/fuse first, as libfuse does, would abort the connection and with it
 *             every page that the kernel has not yet written back. Here the kernel writes them
 *             while requests are still answered.
 * Locking     Not from a serving thread: the kernel waits for answers meanwhile.
 * Errors      -errno of umount2(2), or -EBUSY when fusermount3 could not.
 * Sources     umount2(2), fusermount3(1).
 */
#ifndef FUSE_UNMOUNT_H
#define FUSE_UNMOUNT_H

#include "base/types.h"

/*
 * When files are still open below it, the mount leaves the tree at once and what the kernel holds
 * of them is written; they stay usable until the session ends.
 */
int unmount_served(const char *mountpoint) must_check;

#endif
