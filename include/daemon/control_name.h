/*
 * daemon/control_name.h - where a mount's control socket is, and what is said there.
 *
 * Purpose     Shared by the daemon and extantctl. A client sends one line: a command and perhaps a
 *             word. The answer is "ok" or "error: REASON" as its first line, then text up to the end of
 *             the connection. Commands:
 *
 *                 stat          counters, one "room.name value" a line
 *                 trace         the trace ring
 *                 sched NAME    another scheduler
 *                 sync          everything durable
 *                 wait          the answer's second line comes when the daemon is done with the
 *                               image: "clean" or "failed"
 * Locking     None.
 */
#ifndef DAEMON_CONTROL_NAME_H
#define DAEMON_CONTROL_NAME_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONTROL_LINE_BYTES_MAX 256u

/* The address of the mount with this device number; its length is returned. */
static inline socklen_t control_address(unsigned dev_major, unsigned dev_minor, struct sockaddr_un *ret)
{
	int len;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	/* A leading zero byte: abstract. */
	len = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "extant/%u:%u", dev_major, dev_minor);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

#endif
