/*
 * Whether the kernel uses a file or device that we are about to use.
 *
 * A block device is asked for by its number in the mount table, and by opening it exclusively,
 * which fails while it is mounted (in any namespace), swap, or part of a RAID or mapping. A
 * regular file is looked for behind the loop devices. What /proc and /sys do not show is taken
 * for unused: they may be missing in a container, and the lock among ourselves still holds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "filelock_private.h"

#define NAME_BYTES_MAX 64	/* of a loop device and its attributes' paths: they are short */

struct mount {
	bool exists;
	bool may_write;
	char point[PATH_MAX];
};

/* Reads a line without its newline, cutting what does not fit; false at the end. */
static bool read_line(FILE *f, char *line, size_t size)
{
	size_t len;
	int c;

	if (!fgets(line, (int)size, f))
		return false;
	len = strcspn(line, "\n");
	if (line[len] == '\0')
		while ((c = getc(f)) != EOF && c != '\n')
			;
	line[len] = '\0';
	return true;
}

static bool read_first_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool was_read;

	if (!f)
		return false;
	was_read = read_line(f, line, size);
	fclose(f);
	return was_read;
}

/* The mount table writes blanks and the like as a backslash and three octal digits. */
static void unescape(char *s)
{
	char *to = s;
	unsigned c;

	while (*s) {
		if (s[0] == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/*
 * "36 35 7:0 / /mnt rw,noatime shared:1 - ext3 /dev/loop0 rw,errors=continue": device, its root, the
 * place, options of the mount, optional fields up to "-", type, source, options of the file system.
 * Only the last tell whether it is read-only for good; a line cut short counts as writable.
 */
static bool parse_mount(const char *line, dev_t dev, struct mount *ret)
{
	unsigned dev_major, dev_minor;
	const char *rest;
	char options[3] = "";
	int point_at = 0;
	size_t len;

	if (sscanf(line, "%*d %*d %u:%u %*s %n", &dev_major, &dev_minor, &point_at) != 2 || !point_at)
		return false;
	if (makedev(dev_major, dev_minor) != dev)
		return false;
	len = strcspn(line + point_at, " ");
	snprintf(ret->point, sizeof(ret->point), "%.*s", (int)len, line + point_at);
	unescape(ret->point);
	rest = strstr(line + point_at + len, " - ");
	ret->may_write = !rest || sscanf(rest, " - %*s %*s %2[^,]", options) != 1 ||
			 strcmp(options, "ro") != 0;
	ret->exists = true;
	return true;
}

static struct mount find_mount(const struct machine_view *view, dev_t dev)
{
	struct mount mount = {.exists = false};
	char line[PATH_MAX + 1024];
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/mountinfo", view->proc);
	f = fopen(path, "re");
	if (!f)
		return mount;
	while (read_line(f, line, sizeof(line)) && !parse_mount(line, dev, &mount))
		;
	fclose(f);
	return mount;
}

static int check_device(const struct machine_view *view, int fd, dev_t dev, const char *path,
			enum filelock_mode mode, char *why, size_t why_size)
{
	struct mount mount = find_mount(view, dev);
	char again[NAME_BYTES_MAX];
	int exclusive_fd;

	if (mount.exists) {
		if (mode == FILELOCK_SHARED && !mount.may_write)
			return 0;
		snprintf(why, why_size, "%s is mounted at %s", path, mount.point);
		return -EBUSY;
	}
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	exclusive_fd = open(again, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (exclusive_fd >= 0)
		close(exclusive_fd);
	else if (errno == EBUSY) {
		snprintf(why, why_size, "%s is in use by the kernel (mounted elsewhere, swap or mapped)",
			 path);
		return -EBUSY;
	}
	return 0;
}

/* Whether the path that a loop device shows for its file leads to this file. */
static bool leads_to(char *shown, const struct stat *file)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(shown);
	struct stat st;

	if (stat(shown, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino)
		return true;
	if (len < strlen(deleted) || strcmp(shown + len - strlen(deleted), deleted) != 0)
		return false;
	/* One of its names was removed; another may have been put in its place, as by ln. */
	shown[len - strlen(deleted)] = '\0';
	return stat(shown, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

static bool loop_attribute(const struct machine_view *view, const char *loop, const char *attribute,
			   char *value, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/block/%s/%s", view->sys, loop, attribute);
	return read_first_line(path, value, size);
}

static int check_loop(const struct machine_view *view, const char *loop, const struct stat *file,
		      const char *path, enum filelock_mode mode, char *why, size_t why_size)
{
	struct mount mount = {.exists = false};
	unsigned dev_major, dev_minor;
	char shown[PATH_MAX + 16];
	char value[32];
	bool is_read_only;

	if (!loop_attribute(view, loop, "loop/backing_file", shown, sizeof(shown)) ||
	    !leads_to(shown, file))
		return 0;
	is_read_only = loop_attribute(view, loop, "ro", value, sizeof(value)) && value[0] == '1';
	if (is_read_only && mode == FILELOCK_SHARED)
		return 0;
	if (loop_attribute(view, loop, "dev", value, sizeof(value)) &&
	    sscanf(value, "%u:%u", &dev_major, &dev_minor) == 2)
		mount = find_mount(view, makedev(dev_major, dev_minor));
	snprintf(why, why_size, "%s is attached to /dev/%s%s%s", path, loop,
		 mount.exists ? ", mounted at " : "", mount.exists ? mount.point : "");
	return -EBUSY;
}

static int check_loops(const struct machine_view *view, const struct stat *file, const char *path,
		       enum filelock_mode mode, char *why, size_t why_size)
{
	char blocks[PATH_MAX];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(blocks, sizeof(blocks), "%s/block", view->sys);
	dir = opendir(blocks);
	if (!dir)
		return 0;
	while (!err && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "loop", 4) == 0)
			err = check_loop(view, entry->d_name, file, path, mode, why, why_size);
	closedir(dir);
	return err;
}

int filelock_check_view(const struct machine_view *view, int fd, const char *path,
			enum filelock_mode mode, char *why, size_t why_size)
{
	struct stat file;

	int err;

	if (fstat(fd, &file) != 0) {
		err = -errno;
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (S_ISBLK(file.st_mode))
		return check_device(view, fd, file.st_rdev, path, mode, why, why_size);
	return check_loops(view, &file, path, mode, why, why_size);
}
