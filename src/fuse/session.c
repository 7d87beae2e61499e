/*
 * The session: mounted, served, unmounted.
 *
 * The caller's thread answers no requests. It waits for signals and for news from the serving
 * threads, so it may touch the mount itself (to unmount it) without waiting for itself.
 */
#include "fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fuse/mountinfo.h"
#include "ops.h"
#include "server.h"
#include "unmount.h"

/* PEERS: cold reads are fastest when the kernel reads a mebibyte ahead. */
#define READ_AHEAD_KIB 1024

struct session {
	struct session_config config;
	struct front front;
	struct fuse_session *se;
	int news_fd, signal_fd;
	/* Set by serving threads, which then write to news_fd. */
	_Atomic bool is_agreed;		/* INIT was read, its answer may be still to send */
	_Atomic bool is_serving;	/* ... and was sent */
	_Atomic bool is_ended;		/* the kernel has no mount for us any more */
	bool was_told;			/* on_serving() */
};

static void tell_main(struct session *s)
{
	const uint64_t one = 1;

	ignore(write(s->news_fd, &one, sizeof(one)) < 0, "a full eventfd wakes too");
}

/* ---- on serving threads ---- */

static void on_init(void *arg)
{
	struct session *s = arg;

	atomic_store(&s->is_agreed, true);
}

static int receive(void *arg, struct fuse_buf *buf)
{
	struct session *s = arg;

	return fuse_session_receive_buf(s->se, buf);
}

static void process(void *arg, struct fuse_buf *buf)
{
	struct session *s = arg;

	fuse_session_process_buf(s->se, buf);
	if (unlikely(!atomic_load_explicit(&s->is_serving, memory_order_relaxed)) &&
	    atomic_load(&s->is_agreed) && !atomic_exchange(&s->is_serving, true))
		tell_main(s);
}

static void on_end(void *arg)
{
	struct session *s = arg;

	atomic_store(&s->is_ended, true);
	tell_main(s);
}

/* ---- mounting ---- */

/* libfuse's own words are for those who debug; the caller says what failed in one line. */
static void log_libfuse(enum fuse_log_level level, const char *fmt, va_list args)
{
	char line[512];
	size_t len;

	(void)level;
	vsnprintf(line, sizeof(line), fmt, args);
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n')
		line[len - 1] = '\0';
	log_debug("%s", line);
}

/* "-o" with everything: our own, then the caller's, with commas inside names escaped. */
static int build_args(const struct session_config *config, struct fuse_args *args)
{
	char *opts = NULL, word[4200];
	int err = 0;

	err |= fuse_opt_add_opt(&opts, "default_permissions");
	snprintf(word, sizeof(word), "fsname=%s", config->fsname);
	err |= fuse_opt_add_opt_escaped(&opts, word);
	if (config->subtype) {
		snprintf(word, sizeof(word), "subtype=%s", config->subtype);
		err |= fuse_opt_add_opt_escaped(&opts, word);
	}
	if (config->mount_options && config->mount_options[0])
		err |= fuse_opt_add_opt(&opts, config->mount_options);
	err |= fuse_opt_add_arg(args, "extant");
	err |= fuse_opt_add_arg(args, "-o");
	err |= fuse_opt_add_arg(args, opts ? opts : "");
	if (config->is_debug)
		err |= fuse_opt_add_arg(args, "-d");
	free(opts);
	return err ? -ENOMEM : 0;
}

static int mount_fuse(struct session *s, char *why, size_t why_size)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int err;

	err = build_args(&s->config, &args);
	if (err) {
		snprintf(why, why_size, "out of memory");
		goto out_args;
	}
	s->se = fuse_session_new(&args, &front_ops, sizeof(front_ops), &s->front);
	if (!s->se) {
		err = -EINVAL;
		snprintf(why, why_size, "FUSE does not take the options %s", s->config.mount_options);
		goto out_args;
	}
	errno = 0;
	if (fuse_session_mount(s->se, s->config.mountpoint) != 0) {
		err = errno ? -errno : -EIO;
		snprintf(why, why_size, "cannot mount on %s: %s", s->config.mountpoint,
			 errno ? strerror(errno) : "fusermount3 failed");
		fuse_session_destroy(s->se);
	}
out_args:
	fuse_opt_free_args(&args);
	return err;
}

static void do_nothing(int signo)
{
	(void)signo;
}

static int open_fds(struct session *s)
{
	struct sigaction kick = {.sa_handler = do_nothing};	/* no SA_RESTART: the read must return */
	sigset_t set;

	sigaction(SERVER_KICK_SIGNAL, &kick, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	s->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->news_fd < 0) {
		int err = -errno;

		close(s->signal_fd);
		return err;
	}
	return 0;
}

static int start_front(struct session *s, char *why, size_t why_size)
{
	int err = mount_fuse(s, why, why_size);

	if (err)
		front_done(&s->front);
	s->front.se = s->se;
	return err;
}

int session_create(const struct session_config *config, struct session **ret_session, char *why,
		   size_t why_size)
{
	struct session *s = mem_zalloc(sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		s->config = *config;
		err = open_fds(s);
	}
	if (err) {
		snprintf(why, why_size, "cannot start: %s", strerror(-err));
		mem_free(s);
		return err;
	}
	s->front.sb = config->sb;
	s->front.time_gran_ns = config->time_gran_ns ? config->time_gran_ns : 1;
	s->front.on_init = on_init;
	s->front.on_init_arg = s;
	fuse_set_log_func(log_libfuse);
	err = front_init(&s->front);
	if (err)
		snprintf(why, why_size, "out of memory");
	else
		err = start_front(s, why, why_size);
	if (err) {
		close(s->news_fd);
		close(s->signal_fd);
		mem_free(s);
		return err;
	}
	*ret_session = s;
	return 0;
}

/*
 * What lies on the mount point now may be somebody else's, and libfuse would unmount it, unless
 * poll says error on its descriptor: then it takes the mount for gone. A pipe that nobody reads
 * says that, and taking its place closes /dev/fuse.
 */
static void let_go_of_kernel(struct session *s)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return;
	close(fds[0]);
	ignore(dup3(fds[1], fuse_session_fd(s->se), O_CLOEXEC) < 0, "both are open, so it cannot fail");
	close(fds[1]);
}

void session_destroy(struct session *s)
{
	if (!s)
		return;
	/* Served and not ended: a signal has had us leave the tree. */
	if (atomic_load(&s->is_serving) && !atomic_load(&s->is_ended))
		let_go_of_kernel(s);
	fuse_session_unmount(s->se);
	fuse_session_destroy(s->se);
	front_done(&s->front);
	close(s->news_fd);
	close(s->signal_fd);
	mem_free(s);
}

/* ---- serving ---- */

/* Only root may, and the mount works without; so failure is no news. */
static void raise_read_ahead(const struct session *s)
{
	unsigned dev_major, dev_minor;
	char path[64];
	FILE *f;

	if (mountinfo_device(s->config.mountpoint, &dev_major, &dev_minor) != 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", dev_major, dev_minor);
	f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%d\n", READ_AHEAD_KIB);
	ignore(fclose(f), "the kernel's own choice stays");
}

static void hear_news(struct session *s)
{
	uint64_t nr;

	ignore(read(s->news_fd, &nr, sizeof(nr)) < 0, "the flags say what there is");
	if (atomic_load(&s->is_serving) && !s->was_told) {
		s->was_told = true;
		raise_read_ahead(s);
		s->config.on_serving(s->config.arg);
	}
}

/* True when the session is to end. */
static bool hear_signals(struct session *s)
{
	struct signalfd_siginfo info;
	int err;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1) {
			if (s->config.on_user_signal)
				s->config.on_user_signal(s->config.arg);
			continue;
		}
		log_notice("signal %u: unmounting %s", info.ssi_signo, s->config.mountpoint);
		err = unmount_served(s->config.mountpoint);
		if (err)
			log_warning("%s: unmount: %s", s->config.mountpoint, strerror(-err));
		return true;
	}
	return false;
}

static void wait_for_end(struct session *s)
{
	struct pollfd fds[] = {
		{.fd = s->news_fd, .events = POLLIN},
		{.fd = s->signal_fd, .events = POLLIN},
	};

	while (!atomic_load(&s->is_ended)) {
		if (poll(fds, array_size(fds), -1) < 0)
			continue;	/* EINTR */
		if (fds[0].revents)
			hear_news(s);
		if (fds[1].revents && hear_signals(s))
			return;
	}
}

int session_serve(struct session *s)
{
	const struct server_config config = {
		.nr_threads = s->config.nr_threads ? s->config.nr_threads : SESSION_THREADS_DEFAULT,
		.receive = receive,
		.process = process,
		.on_end = on_end,
		.arg = s,
	};
	struct server *server;
	int err;

	err = server_start(&config, &server);
	if (err)
		return err;
	wait_for_end(s);
	front_quiesce(&s->front);
	err = server_stop(server);
	if (!err && !s->was_told)
		err = -ECONNABORTED;	/* unmounted, or not agreed, before it began */
	return err;
}
