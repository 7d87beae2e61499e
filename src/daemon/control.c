/* The control socket of a mount. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/control_name.h"
#include "fuse/mountinfo.h"
#include "wiring.h"

#define WAITERS_MAX 64u
#define TALK_TIMEOUT_SECONDS 5
#define TRACE_LINES 1000u

struct control {
	struct stack *stack;
	struct thread *thread;
	int listener, stop_event;
	int waiters[WAITERS_MAX];	/* [own thread until control_stop()] */
	unsigned nr_waiters;
};

/* ---- commands ---- */

static void answer_stat(struct control *c, const char *word, FILE *to)
{
	(void)word;
	fprintf(to, "ok\n");
	stack_print_counters(c->stack, to);
}

static void answer_trace(struct control *c, const char *word, FILE *to)
{
	(void)c;
	(void)word;
	fprintf(to, "ok\n");
	trace_dump(to, TRACE_LINES);
}

static void answer_sched(struct control *c, const char *word, FILE *to)
{
	char why[200];

	if (stack_set_scheduler(c->stack, word, why, sizeof(why)) == 0)
		fprintf(to, "ok\n");
	else
		fprintf(to, "error: %s\n", why);
}

static void answer_iolog(struct control *c, const char *word, FILE *to)
{
	char why[300];

	if (stack_set_iolog(c->stack, word, why, sizeof(why)) == 0)
		fprintf(to, "ok\n");
	else
		fprintf(to, "error: %s\n", why);
}

static void answer_sync(struct control *c, const char *word, FILE *to)
{
	int err = stack_sync(c->stack);

	(void)word;
	if (err)
		fprintf(to, "error: not everything could be written: %s\n", strerror(-err));
	else
		fprintf(to, "ok\n");
}

static const struct {
	const char *name;
	void (*answer)(struct control *c, const char *word, FILE *to);
} commands[] = {
	{"stat", answer_stat},
	{"trace", answer_trace},
	{"sched", answer_sched},
	{"iolog", answer_iolog},
	{"sync", answer_sync},
};

/* ---- one connection ---- */

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static bool read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n = read(fd, line + len, 1);

		if (n != 1)
			return false;
		if (line[len] == '\n') {
			line[len] = '\0';
			return true;
		}
		len++;
	}
	return false;
}

static void send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;	/* who does not listen does not hear */
		text += n;
		len -= (size_t)n;
	}
}

static void answer(struct control *c, int fd, char *line)
{
	char *word = line, *text = NULL;
	const char *name = strsep(&word, " ");
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	bool is_known = false;

	if (!to)
		return;
	for (size_t i = 0; i < array_size(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		commands[i].answer(c, word ? word : "", to);
		is_known = true;
	}
	if (!is_known)
		fprintf(to, "error: there is no command %s\n", name);
	fclose(to);
	send_all(fd, text, size);
	free(text);
}

/* True when the connection is kept: its client waits for the end. */
static bool serve_connection(struct control *c, int fd)
{
	const struct timeval timeout = {.tv_sec = TALK_TIMEOUT_SECONDS};
	char line[CONTROL_LINE_BYTES_MAX];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (!may_ask(fd) || !read_line(fd, line, sizeof(line)))
		return false;
	if (strcmp(line, "wait") == 0 && c->nr_waiters < WAITERS_MAX) {
		send_all(fd, "ok\n", 3);
		c->waiters[c->nr_waiters++] = fd;
		return true;
	}
	answer(c, fd, line);
	return false;
}

static void serve(void *arg)
{
	struct control *c = arg;
	struct pollfd fds[] = {{.fd = c->listener, .events = POLLIN}, {.fd = c->stop_event, .events = POLLIN}};

	for (;;) {
		int fd;

		if (poll(fds, array_size(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		if (!fds[0].revents)
			continue;
		fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0 && !serve_connection(c, fd))
			close(fd);
	}
}

/* ---- life ---- */

static int listen_at(const char *mountpoint)
{
	struct sockaddr_un address;
	unsigned major, minor;
	socklen_t len;
	int fd;

	if (mountinfo_device(mountpoint, &major, &minor) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	len = control_address(major, minor, &address);
	if (bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 8) == 0)
		return fd;
	close(fd);
	return -1;
}

static void destroy(struct control *c)
{
	if (c->listener >= 0)
		close(c->listener);
	if (c->stop_event >= 0)
		close(c->stop_event);
	mem_free(c);
}

struct control *control_start(struct stack *stack, const char *mountpoint)
{
	struct control *c = mem_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->stack = stack;
	c->listener = listen_at(mountpoint);
	c->stop_event = eventfd(0, EFD_CLOEXEC);
	if (c->listener >= 0 && c->stop_event >= 0)
		c->thread = thread_create("control", serve, c);
	if (c->thread)
		return c;
	log_warning("%s: there is no control socket: extantctl cannot ask this mount", mountpoint);
	destroy(c);
	return NULL;
}

void control_stop(struct control *c)
{
	const uint64_t one = 1;

	if (!c || !c->thread)
		return;
	ignore(write(c->stop_event, &one, sizeof(one)) != sizeof(one), "an eventfd takes it");
	thread_join(c->thread);
	c->thread = NULL;
	close(c->listener);
	c->listener = -1;
}

void control_finish(struct control *c, bool is_clean)
{
	const char *word = is_clean ? "clean\n" : "failed\n";

	if (!c)
		return;
	for (unsigned i = 0; i < c->nr_waiters; i++) {
		send_all(c->waiters[i], word, strlen(word));
		close(c->waiters[i]);
	}
	destroy(c);
}
