/*
 * tools/peak.c - does a program stay within so much memory?
 *
 *	peak KIB PROGRAM [ARGUMENT...]
 *
 * Runs it, prints "PEAK KiB of KIB, SECONDS s, status N" to standard error, and leaves 1 if it had more than KIB in
 * memory at once, or was ended by a signal; else 0, whatever the program left.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/tool.h"

int main(int argc, char **argv)
{
	double started = seconds_now();
	struct rusage usage;
	long bound;
	pid_t pid;
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: peak KIB PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	bound = atol(argv[1]);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		die("%s", argv[2]);
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		die("wait4");
	fprintf(stderr, "%ld KiB of %ld, %.1f s, ", usage.ru_maxrss, bound, seconds_now() - started);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "signal %d\n", WTERMSIG(status));
		return 1;
	}
	fprintf(stderr, "status %d\n", WEXITSTATUS(status));
	return usage.ru_maxrss > bound;
}
