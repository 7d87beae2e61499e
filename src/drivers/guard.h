/*
 * drivers/guard.h - copies to and from a mapped file that end in an error, not in a signal.
 *
 * Purpose     Touching a page of a mapped file that cannot be had (the file became shorter, the host
 *             is full, the device failed) raises SIGBUS. Here it is -EIO.
 * Ownership   guard_start() and guard_stop() in pairs: the process' SIGBUS handler is ours while
 *             there is a user, and whoever had it before gets what is not ours.
 * Locking     Any thread.
 * Context     A thread that copies has SIGBUS unblocked from its first copy on; blocked, the kernel
 *             would end the process instead.
 */
#ifndef DRIVERS_GUARD_H
#define DRIVERS_GUARD_H

#include "base/types.h"

void guard_start(void);
void guard_stop(void);

/* Copies; -EIO when a page of [mapped, mapped + len) could not be had, some bytes then being copied. */
int guarded_copy_from(void *to, const void *mapped, size_t len) must_check;
int guarded_copy_to(void *mapped, const void *from, size_t len) must_check;

#endif
