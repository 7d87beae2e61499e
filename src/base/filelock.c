/*
 * The lock on an image, and who holds it.
 *
 * The lock is flock's, so it follows the open file into a daemon's child and goes with the last
 * descriptor. /proc/locks names the process that took it, which may be gone since (a daemon's
 * parent), so the holder is looked for first among the descriptors of the living: their fdinfo
 * repeats the lock's line. That shows our own processes, and everybody's to root.
 *
 * Lines name the file by device and inode number. Some file systems (btrfs, overlay) show another
 * device there than stat(2) does; then the inode number alone must do.
 *
 * All this is for a sentence. When it cannot be found out, the sentence says less.
 */
#include "base/filelock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "filelock_private.h"

#define LINE_BYTES_MAX 256	/* lock lines have fewer than 100 */

/* How sure we are that a holder is one. */
enum match { MATCH_NONE, MATCH_INODE, MATCH_DEVICE_TOO };

struct search {
	const struct machine_view *view;
	struct stat file;
	enum filelock_mode mode;
	enum match best;
	int pid;		/* of the best match; 0 when it lies in another pid namespace */
};

/* "1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF"; a waiter's line has "->" before FLOCK. */
static enum match match_line(const struct search *s, const char *line, int *ret_pid)
{
	unsigned dev_major, dev_minor;
	char kind[16], access[16];
	unsigned long long ino;

	if (sscanf(line, "%*[^:]: %15s %*s %15s %d %x:%x:%llu", kind, access, ret_pid, &dev_major,
		   &dev_minor, &ino) != 6)
		return MATCH_NONE;
	if (strcmp(kind, "FLOCK") != 0 || ino != s->file.st_ino)
		return MATCH_NONE;
	if (s->mode == FILELOCK_SHARED && strcmp(access, "WRITE") != 0)
		return MATCH_NONE;
	if (makedev(dev_major, dev_minor) != s->file.st_dev)
		return MATCH_INODE;
	return MATCH_DEVICE_TOO;
}

/* Reads the lock lines of a file; pid 0: the lines' own pid is the holder's. */
static void search_file(struct search *s, const char *path, const char *prefix, int pid)
{
	FILE *f = fopen(path, "re");
	size_t prefix_len = strlen(prefix);
	char line[LINE_BYTES_MAX];
	enum match match;
	int line_pid;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, prefix, prefix_len) != 0)
			continue;
		match = match_line(s, line + prefix_len, &line_pid);
		if (match > s->best) {
			s->best = match;
			s->pid = pid ? pid : max(line_pid, 0);
		}
	}
	fclose(f);
}

static void search_process(struct search *s, int pid)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/fdinfo", s->view->proc, pid);
	dir = opendir(path);
	if (!dir)
		return;
	while (s->best < MATCH_DEVICE_TOO && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%d/fdinfo/%s", s->view->proc, pid, entry->d_name);
		if (entry->d_name[0] != '.')
			search_file(s, path, "lock:\t", pid);
	}
	closedir(dir);
}

static void search_living(struct search *s)
{
	DIR *dir = opendir(s->view->proc);
	struct dirent *entry;

	if (!dir)
		return;
	while (s->best < MATCH_DEVICE_TOO && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			search_process(s, atoi(entry->d_name));
	closedir(dir);
}

/* False when there is no such process. */
static bool read_process_name(const struct machine_view *view, int pid, char *name, size_t size)
{
	char path[PATH_MAX];
	bool was_read;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/comm", view->proc, pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	was_read = fgets(name, (int)size, f);
	fclose(f);
	if (was_read)
		name[strcspn(name, "\n")] = '\0';
	return was_read;
}

void filelock_name_holder(const struct machine_view *view, int fd, const char *path,
			  enum filelock_mode mode, char *why, size_t why_size)
{
	struct search s = {.view = view, .mode = mode};
	char locks[PATH_MAX], name[64];

	if (fstat(fd, &s.file) == 0) {
		snprintf(locks, sizeof(locks), "%s/locks", view->proc);
		search_living(&s);
		search_file(&s, locks, "", 0);
	}
	if (s.pid == getpid())
		snprintf(why, why_size, "%s is in use by this process already", path);
	else if (s.pid > 0 && read_process_name(view, s.pid, name, sizeof(name)))
		snprintf(why, why_size, "%s is in use by process %d (%s)", path, s.pid, name);
	else
		snprintf(why, why_size, "%s is in use by another process", path);
}

static int lock_now(int fd, enum filelock_mode mode)
{
	int operation = (mode == FILELOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB;

	while (flock(fd, operation) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static const struct machine_view this_machine = {.proc = "/proc", .sys = "/sys"};

int filelock_check_kernel(int fd, const char *path, enum filelock_mode mode, char *why, size_t why_size)
{
	return filelock_check_view(&this_machine, fd, path, mode, why, why_size);
}

int filelock_take(int fd, const char *path, enum filelock_mode mode, char *why, size_t why_size)
{
	int err = lock_now(fd, mode);

	if (err == -EWOULDBLOCK) {
		filelock_name_holder(&this_machine, fd, path, mode, why, why_size);
		return -EBUSY;
	}
	if (err) {
		snprintf(why, why_size, "%s cannot be locked: %s", path, strerror(-err));
		return err;
	}
	err = filelock_check_kernel(fd, path, mode, why, why_size);
	if (err)
		ignore(flock(fd, LOCK_UN), "the descriptor's end frees it anyway");
	return err;
}
