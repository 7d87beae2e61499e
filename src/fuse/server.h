/*
 * fuse/server.h - as many threads as are busy, and no more.
 *
 * Purpose     Takes requests from one source and has them processed. Work is not handed from a
 *             reading thread to a working one: who reads a request does it, and goes on reading.
 *             Another thread takes over the reading only when this one is about to sleep.
 * Ownership   The source belongs to the caller and outlives the server.
 * Locking     An untracked bit lock of a few instructions; the blocking hook takes it while its
 *             thread may hold locks of any rank.
 * Errors      What receive() said.
 * Sources     PEERS: one thread creates files three times as fast as four that wake each other.
 */
#ifndef FUSE_SERVER_H
#define FUSE_SERVER_H

#include <fuse_lowlevel.h>

#include "base/types.h"

/* Interrupts a thread that waits in receive(); who owns the process installs a handler that does nothing. */
#define SERVER_KICK_SIGNAL SIGUSR2

struct server_config {
	unsigned nr_threads;
	/* Waits for a request: its size, 0 when there will be none any more, -EINTR, or an error. */
	int (*receive)(void *arg, struct fuse_buf *buf);
	void (*process)(void *arg, struct fuse_buf *buf);
	void (*on_end)(void *arg);	/* once, on a serving thread: receive() ended it */
	void *arg;
};

struct server;

int server_start(const struct server_config *config, struct server **ret_server) must_check;
/* Waits for requests under way, takes no more, frees. The error that ended it, or 0. */
int server_stop(struct server *srv) must_check;

#endif
