/*
 * daemon/wiring.h - the stack under a mount, built and taken down.
 *
 * Purpose     From an image's path to a mounted super: disk, clock, work queue, cache, file system.
 * Ownership   A stack owns all of it.
 * Locking     One thread builds and takes down.
 * Errors      As filedisk_open() and ext_mount(); `why` is a sentence that names the image.
 */
#ifndef DAEMON_WIRING_H
#define DAEMON_WIRING_H

#include <stdio.h>

#include "base/types.h"
#include "config.h"

struct stack;
struct super;

/*
 * The image's lock may be held by a daemon whose mount is gone already and that is writing the
 * last of it: then waits a few seconds before it refuses.
 */
int stack_open(const char *image, const char *mountpoint, const struct mount_options *options,
	       struct stack **ret_stack, char *why, size_t why_size) must_check;
struct super *stack_super(struct stack *stack);
/* The finest file time that this image's inodes keep. */
uint32_t stack_time_gran_ns(const struct stack *stack);
/* Everything durable and marked clean, then freed; the lock goes last. The first error. */
int stack_close(struct stack *stack) must_check;
/* Counters of all rooms, one "room.name value" a line. Any thread. */
void stack_print_counters(struct stack *stack, FILE *to);
/* path empty: ends it. */
int stack_set_iolog(struct stack *stack, const char *path, char *why, size_t why_size) must_check;
int stack_set_scheduler(struct stack *stack, const char *name, char *why, size_t why_size) must_check;
/* Everything durable. */
int stack_sync(struct stack *stack) must_check;
/* The counters to the log. */
void stack_report(struct stack *stack);

#endif
