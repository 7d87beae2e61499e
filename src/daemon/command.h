/*
 * daemon/command.h - the command line of extant and mount.extant.
 *
 * Purpose     Two habits of calling: our own, and the one that mount(8) expects of its helpers.
 *             They differ in what -f, -n, -s and -v mean.
 * Ownership   The strings inside are the struct's.
 * Errors      What is wrong was printed; the status says what to exit with.
 * Sources     mount(8), section on external helpers.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "config.h"

/* Exit statuses of mount(8). */
enum mount_status {
	STATUS_OK = 0,
	STATUS_USAGE = 1,	/* incorrect invocation */
	STATUS_SYSTEM = 2,	/* out of memory, cannot fork */
	STATUS_FAILED = 32,	/* the mount failed */
};

struct command {
	char *image, *mountpoint;	/* absolute, without symbolic links */
	bool is_foreground;
	bool is_debug;
	bool is_fake;			/* do everything but mount */
	struct mount_options options;
};

/*
 * False: there is nothing more to do, and *ret_status says how it went (help, version, or what was
 * wrong). command_done() in both cases.
 */
bool command_parse(struct command *c, int argc, char **argv, enum mount_status *ret_status) must_check;
void command_done(struct command *c);

#endif
