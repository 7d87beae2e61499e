/*
 * extant: start, serve, stop.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background.h"
#include "base/log.h"
#include "command.h"
#include "control.h"
#include "fuse/session.h"
#include "wiring.h"

#define TRACE_LINES 200		/* of the ring, on SIGUSR1 */

struct daemon {
	const struct command *command;
	struct background background;
	struct stack *stack;
	struct control *control;
};

/* The session takes these from a descriptor; threads made from here on inherit the mask. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_serving(void *arg)
{
	struct daemon *d = arg;

	d->control = control_start(d->stack, d->command->mountpoint);
	background_serving(&d->background);
	log_notice("%s mounted on %s%s", d->command->image, d->command->mountpoint,
		   atomic_load(&stack_super(d->stack)->is_read_only) ? " read-only" : "");
}

static void print_trace(void *arg maybe_unused, FILE *to)
{
	trace_dump(to, TRACE_LINES);
}

static void on_user_signal(void *arg)
{
	struct daemon *d = arg;

	stack_report(d->stack);
	log_printed(print_trace, NULL);
}

/* 0 when it served and was unmounted; else the reason is in why. */
static int mount_and_serve(struct daemon *d, char *why, size_t why_size)
{
	struct mount_options options = d->command->options;
	struct super *sb = stack_super(d->stack);
	struct session *session;
	char words[256];
	int err;

	/* The kernel shall refuse what the file system would refuse: say so to it, too. */
	options.is_read_only = atomic_load(&sb->is_read_only);
	mount_options_for_fuse(&options, geteuid() == 0, words, sizeof(words));
	const struct session_config config = {
		.sb = sb,
		.mountpoint = d->command->mountpoint,
		.fsname = options.fsname ? options.fsname : d->command->image,
		.subtype = options.subtype ? options.subtype : "extant",
		.mount_options = words,
		.nr_threads = (unsigned)options.nr_threads,
		.time_gran_ns = stack_time_gran_ns(d->stack),
		.is_debug = d->command->is_debug,
		.on_serving = on_serving,
		.on_user_signal = on_user_signal,
		.arg = d,
	};

	err = session_create(&config, &session, why, why_size);
	if (err)
		return err;
	err = session_serve(session);
	if (err)
		snprintf(why, why_size, "%s: the mount ended: %s", d->command->mountpoint, strerror(-err));
	session_destroy(session);
	return err;
}

static enum mount_status run(struct daemon *d)
{
	const struct command *c = d->command;
	char why[1024] = "";
	int err, close_err;

	err = stack_open(c->image, c->mountpoint, &c->options, &d->stack, why, sizeof(why));
	if (err) {
		background_failed(&d->background, STATUS_FAILED, why);
		return STATUS_FAILED;
	}
	err = mount_and_serve(d, why, sizeof(why));
	control_stop(d->control);
	close_err = stack_close(d->stack);
	control_finish(d->control, !err && !close_err);
	if (err)
		background_failed(&d->background, STATUS_FAILED, why);
	if (close_err)
		log_error("%s: unmounting: not everything could be written: %s", c->image, strerror(-close_err));
	else if (!err)
		log_notice("%s unmounted, clean", c->image);
	return err || close_err ? STATUS_FAILED : STATUS_OK;
}

/*
 * One heap for all threads: what one of them freed the others use again. With a heap a thread,
 * which is the C library's choice, memory that is bounded in sum is not bounded in fact. Small pieces come
 * from each thread's own store as before.
 */
static void share_heap(void)
{
	ignore(mallopt(M_ARENA_MAX, 1) == 0, "more memory than need be is no failure");
}

int main(int argc, char **argv)
{
	struct command command;
	struct daemon d = {.command = &command};
	enum mount_status status;

	if (!command_parse(&command, argc, argv, &status)) {
		command_done(&command);
		return status;
	}
	if (command.is_fake) {
		command_done(&command);
		return STATUS_OK;
	}
	if (command.is_debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (command.options.has_said_xattr)
		log_warning("acl and user_xattr have no effect yet: extended attributes are not served");
	share_heap();
	background_start(&d.background, command.is_foreground);
	block_signals();
	status = run(&d);
	command_done(&command);
	return status;
}
