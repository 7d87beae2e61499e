/* e2fsck as the other judge: over a memfd, as a child. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/lab.h"
#include "crash/need.h"

extern char **environ;

static const char *find_program(void)
{
	static const char *const places[] = {"/sbin/e2fsck", "/usr/sbin/e2fsck", "/usr/local/sbin/e2fsck"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* Its number, with its output going to `to`. No shell: it would cost as much as the check itself. */
static pid_t start(const char *program, const char *flags, int fd, int to)
{
	posix_spawn_file_actions_t actions;
	char image[40];
	char *args[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)flags, image, NULL};
	pid_t pid;

	snprintf(image, sizeof(image), "/proc/self/fd/%d", fd);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to, 1);
	posix_spawn_file_actions_adddup2(&actions, to, 2);
	need(posix_spawn(&pid, program, &actions, NULL, args, environ) == 0, "a child for e2fsck");
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void read_all(int from, char *report, size_t size)
{
	char rest[512];
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(from, report + len, size - 1 - len)) > 0)
		len += (size_t)n;
	report[len] = 0;
	while (read(from, rest, sizeof(rest)) > 0)
		;
}

static int run(const char *program, const char *flags, int fd, char *report, size_t report_size)
{
	int ends[2], status;
	pid_t pid;

	need(pipe2(ends, O_CLOEXEC) == 0, "a pipe");
	pid = start(program, flags, fd, ends[1]);
	close(ends[1]);
	read_all(ends[0], report, report_size);
	close(ends[0]);
	need(waitpid(pid, &status, 0) == pid, "the child's end");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int e2fsck_run(const char *flags, uint8_t *bytes, uint64_t size_bytes, char *report, size_t report_size)
{
	const char *program = find_program();
	int fd, status;

	if (!program)
		return -1;
	fd = memfd_create("crash-state", 0);
	need(fd >= 0 && pwrite(fd, bytes, size_bytes, 0) == (ssize_t)size_bytes, "an image in memory");
	status = run(program, flags, fd, report, report_size);
	need(pread(fd, bytes, size_bytes, 0) == (ssize_t)size_bytes, "the image back");
	close(fd);
	return status;
}
