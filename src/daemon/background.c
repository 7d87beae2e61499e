/*
 * The two processes of a mount that goes to the background.
 *
 * What the child sends: one byte of exit status, then the message, then the end of the pipe. A
 * child that dies sends nothing but the end.
 */
#include "background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"

static void to_syslog(void *arg, enum log_level level, const char *line)
{
	static const int priorities[] = {
		[LOG_LEVEL_ERROR] = LOG_ERR,
		[LOG_LEVEL_WARNING] = LOG_WARNING,
		[LOG_LEVEL_NOTICE] = LOG_NOTICE,
		[LOG_LEVEL_DEBUG] = LOG_DEBUG,
	};

	(void)arg;
	syslog(priorities[level], "%s", line);
}

static no_return void wait_for_child(int fd, pid_t pid)
{
	char message[1024];
	size_t len = 0;
	ssize_t got;
	int status;

	while (len < sizeof(message) - 1) {
		got = read(fd, message + len, sizeof(message) - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	message[len] = '\0';
	if (len > 0) {
		if (len > 1)
			log_error("%s", message + 1);
		_exit(message[0]);
	}
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		log_error("the daemon ended by signal %d before it served", WTERMSIG(status));
	else
		log_error("the daemon ended before it served");
	_exit(STATUS_FAILED);
}

void background_start(struct background *bg, bool is_foreground)
{
	int fds[2];
	pid_t pid;

	bg->pipe_fd = -1;
	if (is_foreground)
		return;
	if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		log_error("cannot go to the background: %s", strerror(errno));
		exit(STATUS_SYSTEM);
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for_child(fds[0], pid);
	}
	close(fds[0]);
	bg->pipe_fd = fds[1];
	setsid();
	/* So that the directory we were started in can be unmounted or removed. */
	ignore(chdir("/"), "it holds no open file");
}

static void send_status(struct background *bg, enum mount_status status, const char *message)
{
	char bytes[1024];
	size_t len;

	bytes[0] = (char)status;
	snprintf(bytes + 1, sizeof(bytes) - 1, "%s", message);
	len = 1 + strlen(bytes + 1);
	ignore(write(bg->pipe_fd, bytes, len) < 0, "who waited is gone; the mount is what he asked for");
	close(bg->pipe_fd);
	bg->pipe_fd = -1;
}

void background_serving(struct background *bg)
{
	int null_fd;

	if (bg->pipe_fd < 0)
		return;
	openlog("extant", LOG_PID, LOG_DAEMON);
	log_set_sink(to_syslog, NULL);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		close(null_fd);
	}
	send_status(bg, STATUS_OK, "");
}

void background_failed(struct background *bg, enum mount_status status, const char *message)
{
	if (bg->pipe_fd < 0)
		log_error("%s", message);
	else
		send_status(bg, status, message);
}
