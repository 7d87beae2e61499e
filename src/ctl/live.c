/*
 * extantctl's questions to a running mount, over its control socket.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "base/types.h"
#include "ctl.h"
#include "daemon/control_name.h"
#include "fuse/mountinfo.h"

#define COUNTERS_MAX 128u
#define TOP_SECONDS_DEFAULT 1u

static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* A stream to the daemon of the mount at dir, or NULL with the reason told. */
static FILE *connect_to(const char *dir)
{
	struct sockaddr_un address;
	unsigned major, minor;
	char path[PATH_MAX];
	socklen_t len;
	int fd;

	/* realpath() asks the mount itself; its parent would do, but a mount that serves answers. */
	if (!realpath(dir, path)) {
		fprintf(stderr, "extantctl: %s: %s\n", dir, strerror(errno));
		return NULL;
	}
	if (mountinfo_device(path, &major, &minor) != 0) {
		fprintf(stderr, "extantctl: %s: nothing is mounted there\n", dir);
		return NULL;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = control_address(major, minor, &address);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, len) != 0 || !is_trusted(fd)) {
		fprintf(stderr, "extantctl: %s: no extant of yours answers for this mount\n", dir);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	return fdopen(fd, "r+");
}

/* The stream behind the first line of the answer, or NULL with the error told. */
static FILE *ask(const char *dir, const char *command, const char *word)
{
	FILE *daemon = connect_to(dir);
	char line[CONTROL_LINE_BYTES_MAX * 2];

	if (!daemon)
		return NULL;
	fprintf(daemon, "%s%s%s\n", command, *word ? " " : "", word);
	fflush(daemon);
	if (fgets(line, sizeof(line), daemon) && strcmp(line, "ok\n") == 0)
		return daemon;
	fprintf(stderr, "extantctl: %s: %s", dir, strncmp(line, "error: ", 7) == 0 ? line + 7 : "no answer\n");
	fclose(daemon);
	return NULL;
}

static void copy_rest(FILE *from)
{
	char line[512];

	while (fgets(line, sizeof(line), from))
		fputs(line, stdout);
}

static int ask_and_print(const char *dir, const char *command, const char *word)
{
	FILE *daemon = ask(dir, command, word);

	if (!daemon)
		return CTL_FAILED;
	copy_rest(daemon);
	fclose(daemon);
	return 0;
}

static int simple(int argc, char **argv, const char *word)
{
	(void)argc;
	return ask_and_print(argv[1], argv[0], word);
}

static int usage(const char *text)
{
	fprintf(stderr, "usage: extantctl %s\n", text);
	return CTL_USAGE;
}

int ctl_stat(int argc, char **argv)
{
	return argc == 2 ? simple(argc, argv, "") : usage("stat DIR");
}

/* The daemon has another working directory than we. FILE NULL: stop. */
static int set_iolog(const char *dir, const char *file)
{
	char cwd[4096] = "", path[CONTROL_LINE_BYTES_MAX];

	if (!file)
		return ask_and_print(dir, "iolog", "");
	if (file[0] != '/' && !getcwd(cwd, sizeof(cwd))) {
		perror("extantctl");
		return CTL_FAILED;
	}
	if (snprintf(path, sizeof(path), "%s%s%s", cwd, cwd[0] ? "/" : "", file) >= (int)sizeof(path)) {
		fprintf(stderr, "extantctl: %s: the name is too long\n", file);
		return CTL_USAGE;
	}
	return ask_and_print(dir, "iolog", path);
}

int ctl_iolog(int argc, char **argv)
{
	return argc == 2 || argc == 3 ? set_iolog(argv[1], argc == 3 ? argv[2] : NULL) : usage("iolog DIR [FILE]");
}

/* Also `trace --iolog FILE DIR`. */
int ctl_trace(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--iolog") == 0)
		return set_iolog(argv[3], argv[2]);
	return argc == 2 ? simple(argc, argv, "") : usage("trace [--iolog FILE] DIR");
}

int ctl_sync(int argc, char **argv)
{
	return argc == 2 ? simple(argc, argv, "") : usage("sync DIR");
}

int ctl_sched(int argc, char **argv)
{
	return argc == 3 ? simple(argc, argv, argv[2]) : usage("sched DIR noop|sstf|scan|cscan|deadline");
}

/* ---- top: what changes from second to second ---- */

struct sample {
	unsigned nr;
	struct {
		char name[64];
		unsigned long long value;
	} counters[COUNTERS_MAX];
};

static bool take_sample(const char *dir, struct sample *s)
{
	FILE *daemon = ask(dir, "stat", "");
	char line[512];

	s->nr = 0;
	if (!daemon)
		return false;
	while (s->nr < COUNTERS_MAX && fgets(line, sizeof(line), daemon))
		if (sscanf(line, "%63s %llu", s->counters[s->nr].name, &s->counters[s->nr].value) == 2)
			s->nr++;
	fclose(daemon);
	return true;
}

static void print_rates(const struct sample *before, const struct sample *now, unsigned seconds)
{
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	printf("%-28s %16s %12s\n", "", "now", "a second");
	for (unsigned i = 0; i < now->nr && i < before->nr; i++) {
		unsigned long long a = before->counters[i].value, b = now->counters[i].value;

		if (b || a)
			printf("%-28s %16llu %12llu\n", now->counters[i].name, b, b > a ? (b - a) / seconds : 0);
	}
	printf("\n");
	fflush(stdout);
}

int ctl_top(int argc, char **argv)
{
	static struct sample samples[2];
	uint64_t seconds = TOP_SECONDS_DEFAULT, rounds = 0;
	unsigned turn = 0;

	if (argc < 2 || argc > 4 || (argc > 2 && (parse_u64(argv[2], &seconds) || !seconds)) ||
	    (argc > 3 && parse_u64(argv[3], &rounds)))
		return usage("top DIR [SECONDS [ROUNDS]]");
	if (!take_sample(argv[1], &samples[turn]))
		return CTL_FAILED;
	for (uint64_t i = 0; rounds == 0 || i < rounds; i++) {
		sleep((unsigned)seconds);
		turn = !turn;
		if (!take_sample(argv[1], &samples[turn]))
			return CTL_FAILED;
		print_rates(&samples[!turn], &samples[turn], (unsigned)seconds);
	}
	return 0;
}

/* ---- umount: and wait until the image is whole ---- */

static int run_fusermount(const char *dir, bool is_lazy)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("fusermount3", "fusermount3", is_lazy ? "-uz" : "-u", "--", dir, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int unmount(const char *dir, int flags)
{
	if (geteuid() != 0)
		return run_fusermount(dir, flags & MNT_DETACH);
	if (umount2(dir, flags) == 0)
		return 0;
	fprintf(stderr, "extantctl: %s: %s\n", dir, strerror(errno));
	return -1;
}

/* Its daemon has been asked to tell when it is done; this is where we hear it. */
static int unmount_and_wait(const char *dir, FILE *daemon)
{
	char line[64] = "";

	if (unmount(dir, 0) != 0)
		return CTL_FAILED;
	if (fgets(line, sizeof(line), daemon) && strcmp(line, "clean\n") == 0)
		return 0;
	fprintf(stderr, "extantctl: %s: the daemon could not write everything; run fsck\n", dir);
	return CTL_FAILED;
}

int ctl_umount(int argc, char **argv)
{
	FILE *daemon;
	int status;

	if (argc != 2)
		return usage("umount DIR");
	daemon = ask(argv[1], "wait", "");
	if (!daemon)
		return CTL_FAILED;
	status = unmount_and_wait(argv[1], daemon);
	fclose(daemon);
	return status;
}

#define UMOUNT_FAILED 32	/* umount(8)'s status */

/*
 * umount(8) calls us as umount.fuse.extant DIR [-flnrv] [-N NAMESPACE] [-t TYPE]. Who forces, or takes the
 * mount out of the tree only, does not want to wait; and a mount whose daemon is dead has nobody to ask.
 */
int ctl_umount_helper(int argc, char **argv)
{
	const char *dir;
	FILE *daemon;
	int flags = 0, letter, status;

	while ((letter = getopt(argc, argv, "flnrvN:t:")) != -1) {
		switch (letter) {
		case 'f':
			flags |= MNT_FORCE;
			break;
		case 'l':
			flags |= MNT_DETACH;
			break;
		case '?':
			return CTL_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: %s [-flnrv] DIR\n", argv[0]);
		return CTL_USAGE;
	}
	dir = argv[optind];
	daemon = flags ? NULL : ask(dir, "wait", "");
	if (!daemon)
		return unmount(dir, flags) ? UMOUNT_FAILED : 0;
	status = unmount_and_wait(dir, daemon);
	fclose(daemon);
	return status ? UMOUNT_FAILED : 0;
}
