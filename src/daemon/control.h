/*
 * daemon/control.h - questions and switches while mounted.
 *
 * Purpose     extantctl asks a running mount for its counters, changes its scheduler, has it write
 *             everything, and waits for its end. One line comes in, text goes out.
 * Ownership   control_start() to control_finish().
 * Locking     One thread of its own; commands one after another.
 * Context     The socket is in Linux's abstract name space, named after the mount's device number,
 *             so that nothing has to be cleaned up. Only root and the daemon's own user are answered.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "base/types.h"

struct control;
struct stack;

/* The mount serves. NULL when there can be no socket: the mount goes on without. */
struct control *control_start(struct stack *stack, const char *mountpoint);
/* No more commands: the stack is about to close. Who waits for the end goes on waiting. NULL is harmless. */
void control_stop(struct control *c);
/* Tells those who wait how it ended. */
void control_finish(struct control *c, bool is_clean);

#endif
