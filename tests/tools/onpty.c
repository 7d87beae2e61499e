/*
 * tools/onpty.c - runs a command on a terminal of its own and presses keys.
 *
 *	onpty KEYS COMMAND [ARG...]
 *
 * Each time the command has asked something, that is, its output ends with "? ", the next key is pressed:
 * a character, or \n Enter, \c Ctrl-C, \d Ctrl-D; \u sends SIGUSR1, \t SIGTERM, and the next key follows. Copies the output; leaves what the command leaves. A
 * question after the last key is answered by hanging up. 20 seconds without output: killed, 99.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SILENCE_MS 20000

static void send_signals(pid_t pid, const char **keys)
{
	for (; strncmp(*keys, "\\u", 2) == 0 || strncmp(*keys, "\\t", 2) == 0; *keys += 2)
		kill(pid, (*keys)[1] == 'u' ? SIGUSR1 : SIGTERM);
}

static int next_key(const char **keys)
{
	const char *k = *keys;

	if (!*k)
		return -1;
	*keys += k[0] == '\\' && k[1] ? 2 : 1;
	if (k[0] != '\\')
		return k[0];
	return k[1] == 'n' ? '\n' : k[1] == 'c' ? 3 : k[1] == 'd' ? 4 : k[1];
}

static int leave(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 98;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	const char *keys = argc > 2 ? argv[1] : "";
	char buf[4096], last[2] = "";
	struct pollfd in;
	pid_t pid;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: onpty KEYS COMMAND [ARG...]\n");
		return 98;
	}
	pid = forkpty(&fd, NULL, NULL, NULL);
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		_exit(97);
	}
	if (pid < 0)
		return 98;
	in = (struct pollfd){.fd = fd, .events = POLLIN};
	for (;;) {
		ssize_t n;
		int ready = poll(&in, 1, SILENCE_MS), key;

		if (ready == 0) {
			kill(pid, SIGKILL);
			leave(pid);
			return 99;
		}
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return leave(pid);
		fwrite(buf, 1, (size_t)n, stdout);
		fflush(stdout);
		last[0] = n > 1 ? buf[n - 2] : last[1];
		last[1] = buf[n - 1];
		if (last[0] != '?' || last[1] != ' ')
			continue;
		if (keys[0] == '\\')
			send_signals(pid, &keys);
		key = next_key(&keys);
		if (key < 0) {
			close(fd);
			return leave(pid);
		}
		buf[0] = (char)key;
		if (write(fd, buf, 1) != 1)
			return leave(pid);
	}
}
