/*
 * fuse/session.h - a mounted super, served to the kernel.
 *
 * Purpose     Mounts, answers requests with as many threads as are busy and no more, and
 *             unmounts so that nothing which the kernel still holds is lost.
 * Ownership   The super is the caller's and outlives the session; session_destroy() gives back
 *             what was open, and super_shutdown() by the caller comes after it.
 * Locking     None of the caller's may be held.
 * Errors      -errno of mount, -EPROTO the kernel's FUSE is too old, -ENOMEM; `why` says it.
 * Context     session_serve() blocks until the mount is gone. The caller has blocked SIGINT,
 *             SIGTERM, SIGHUP and SIGUSR1 in all threads; they are taken from there.
 * Sources     linux/fuse.h, fuse(4), PEERS.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#include "vfs/super.h"

#define SESSION_THREADS_DEFAULT 16u
#define SESSION_THREADS_LIMIT 256u

struct session_config {
	struct super *sb;
	const char *mountpoint;		/* absolute */
	const char *fsname;		/* the source shown in the mount table */
	const char *subtype;		/* shown as fuse.SUBTYPE; NULL: none */
	const char *mount_options;	/* for libfuse and the kernel: "ro,nosuid,allow_other"; may be NULL */
	unsigned nr_threads;		/* most at once; 0: SESSION_THREADS_DEFAULT */
	uint32_t time_gran_ns;		/* the finest file time that the disk keeps; 0: 1 */
	bool is_debug;			/* libfuse prints each request */
	/* On the thread of session_serve(): the kernel has been answered, the mount works. */
	void (*on_serving)(void *arg);
	/* The same thread: SIGUSR1 came. May be NULL. */
	void (*on_user_signal)(void *arg);
	void *arg;
};

struct session;

/* Mounted on success, but not served yet: who looks at the mount waits. */
int session_create(const struct session_config *config, struct session **ret_session, char *why,
		   size_t why_size) must_check;
/* Serves until somebody unmounts, or a signal asks for it. 0, or the error that ended it early. */
int session_serve(struct session *s) must_check;
void session_destroy(struct session *s);	/* unmounts if that is still to do; NULL is harmless */

#endif
