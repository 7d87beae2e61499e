/*
 * daemon/background.h - into the background, once there is something to say.
 *
 * Purpose     The caller's process waits until the mount serves or has failed, and exits with the
 *             truth. The daemon is its child, so that threads and locks are born where they stay.
 * Ownership   The pipe between the two.
 * Locking     One thread.
 */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

#include "command.h"

struct background {
	int pipe_fd;		/* to the waiting parent; -1: in the foreground */
};

/*
 * In the child: returns with *ret set. In the parent: prints what the child has to say and exits
 * with the child's status. With is_foreground: there is no other process.
 */
void background_start(struct background *bg, bool is_foreground);
/* The mount serves: the parent exits with 0, and from here on messages go to syslog. */
void background_serving(struct background *bg);
/* It does not: message and status for who started us. */
void background_failed(struct background *bg, enum mount_status status, const char *message);

#endif
