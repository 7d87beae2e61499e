/*
 * tools/treecmp.c - two trees are the same, or in what they differ.
 *
 *	treecmp [-s] [-i] [-t] A B
 *
 * Compares names, types, modes, owners, sizes, contents, link counts and which names are one
 * inode, device numbers, symlink targets and mtime to the nanosecond. Prints each difference and
 * leaves with 1 when there was one.
 *	-s  where data and holes lie, too (SEEK_DATA, SEEK_HOLE)
 *	-i  the two are one image seen through two drivers: inode numbers, allocated blocks, sizes
 *	    of directories and ctime are compared as well
 *	-t  times to the second only (128-byte inodes)
 *
 * Large sparse files are read where either side says there is data, and at places in the holes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tools/tool.h"

#define READ_BYTES (1 << 18)
#define WHOLE_BYTES_MAX (64ll << 20) /* files up to here are read from end to end */
#define PROBES 64
#define DIFFERENCES_SHOWN 50

struct inode_pair {
	uint64_t a, b;
};

struct compare {
	bool holes, same_image, whole_seconds;
	/* Inodes with several names: which of B belongs to which of A. Open addressing by a. */
	struct inode_pair *pairs;
	size_t nr_pairs, pairs_size;
	unsigned long nr_names, nr_different;
	char path[16384];
	size_t path_len;
};

struct side {
	int dirfd;
	struct stat st;
};

__attribute__((format(printf, 2, 3))) static void differ(struct compare *c, const char *fmt, ...)
{
	va_list args;

	if (++c->nr_different > DIFFERENCES_SHOWN)
		return;
	printf("%s: ", c->path_len ? c->path : ".");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* ---- hard links ---- */

static void pairs_add(struct compare *c, uint64_t a, uint64_t b);

static void pairs_grow(struct compare *c)
{
	struct inode_pair *old = c->pairs;
	size_t old_size = c->pairs_size;

	c->pairs_size = old_size ? old_size * 2 : 1024;
	c->pairs = alloc_or_die(c->pairs_size * sizeof(*c->pairs));
	c->nr_pairs = 0;
	for (size_t i = 0; i < old_size; i++)
		if (old[i].a)
			pairs_add(c, old[i].a, old[i].b);
	free(old);
}

static struct inode_pair *pairs_find(struct compare *c, uint64_t a)
{
	size_t at = (size_t)(a * 0x9e3779b97f4a7c15ull) & (c->pairs_size - 1);

	while (c->pairs[at].a && c->pairs[at].a != a)
		at = (at + 1) & (c->pairs_size - 1);
	return &c->pairs[at];
}

static void pairs_add(struct compare *c, uint64_t a, uint64_t b)
{
	*pairs_find(c, a) = (struct inode_pair){a, b};
	c->nr_pairs++;
}

static void compare_identity(struct compare *c, const struct stat *a, const struct stat *b)
{
	struct inode_pair *pair;

	if (a->st_nlink < 2 || S_ISDIR(a->st_mode))
		return;
	if (c->nr_pairs * 2 >= c->pairs_size)
		pairs_grow(c);
	pair = pairs_find(c, a->st_ino);
	if (!pair->a)
		pairs_add(c, a->st_ino, b->st_ino);
	else if (pair->b != b->st_ino)
		differ(c, "is linked to another inode (%llu instead of %llu)",
		       (unsigned long long)b->st_ino, (unsigned long long)pair->b);
}

/* ---- attributes ---- */

static bool same_time(const struct compare *c, struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && (c->whole_seconds || a.tv_nsec == b.tv_nsec);
}

static void compare_time(struct compare *c, const char *what, struct timespec a, struct timespec b)
{
	if (!same_time(c, a, b))
		differ(c, "%s %lld.%09ld / %lld.%09ld", what, (long long)a.tv_sec, a.tv_nsec,
		       (long long)b.tv_sec, b.tv_nsec);
}

static void compare_number(struct compare *c, const char *what, uint64_t a, uint64_t b)
{
	if (a != b)
		differ(c, "%s %llu / %llu", what, (unsigned long long)a, (unsigned long long)b);
}

static void compare_attributes(struct compare *c, const struct stat *a, const struct stat *b)
{
	if ((a->st_mode & 07777) != (b->st_mode & 07777))
		differ(c, "mode %04o / %04o", a->st_mode & 07777, b->st_mode & 07777);
	compare_number(c, "owner", a->st_uid, b->st_uid);
	compare_number(c, "group", a->st_gid, b->st_gid);
	compare_number(c, "links", a->st_nlink, b->st_nlink);
	if (S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode))
		compare_number(c, "device", a->st_rdev, b->st_rdev);
	if (!S_ISDIR(a->st_mode) || c->same_image)
		compare_number(c, "size", (uint64_t)a->st_size, (uint64_t)b->st_size);
	compare_time(c, "mtime", a->st_mtim, b->st_mtim);
	if (c->same_image) {
		compare_number(c, "inode", a->st_ino, b->st_ino);
		compare_number(c, "blocks of 512", (uint64_t)a->st_blocks, (uint64_t)b->st_blocks);
		compare_time(c, "ctime", a->st_ctim, b->st_ctim);
	}
	compare_identity(c, a, b);
}

/* ---- contents ---- */

/* Reads until `len` bytes are there or the file ends. */
static ssize_t read_full(int fd, char *bytes, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, bytes + done, len - done, at + (off_t)done);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static bool same_range(struct compare *c, int a, int b, off_t at, off_t end)
{
	static char bytes_a[READ_BYTES], bytes_b[READ_BYTES];

	while (at < end) {
		size_t want = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
		ssize_t got_a = read_full(a, bytes_a, want, at);
		ssize_t got_b = read_full(b, bytes_b, want, at);

		if (got_a < 0 || got_b < 0) {
			differ(c, "cannot be read at %lld: %s", (long long)at, strerror(errno));
			return false;
		}
		if (got_a != got_b || memcmp(bytes_a, bytes_b, (size_t)got_a) != 0) {
			size_t i = 0;

			while (i < (size_t)got_a && i < (size_t)got_b && bytes_a[i] == bytes_b[i])
				i++;
			differ(c, "contents differ at %lld", (long long)at + (long long)i);
			return false;
		}
		at += (off_t)want;
	}
	return true;
}

/* The next piece of data at or after `at`; both are the file's size when there is none. */
static void next_data(int fd, off_t at, off_t size, off_t *ret_start, off_t *ret_end)
{
	*ret_start = lseek(fd, at, SEEK_DATA);
	if (*ret_start < 0) {
		*ret_start = *ret_end = size;
		return;
	}
	*ret_end = lseek(fd, *ret_start, SEEK_HOLE);
	if (*ret_end < 0)
		*ret_end = size;
}

/* Where one side says data, both are read. */
static bool same_data_of(struct compare *c, int says, int a, int b, off_t size)
{
	off_t at = 0, start, end;

	while (at < size) {
		next_data(says, at, size, &start, &end);
		if (!same_range(c, a, b, start, end))
			return false;
		at = end > at ? end : size;
	}
	return true;
}

static bool same_probes(struct compare *c, int a, int b, off_t size)
{
	for (int i = 0; i < PROBES; i++) {
		off_t at = size / PROBES * i;

		if (!same_range(c, a, b, at, at + 4096 < size ? at + 4096 : size))
			return false;
	}
	return true;
}

static void compare_holes(struct compare *c, int a, int b, off_t size)
{
	off_t start_a, end_a, start_b, end_b, at = 0;

	while (at < size) {
		next_data(a, at, size, &start_a, &end_a);
		next_data(b, at, size, &start_b, &end_b);
		if (start_a != start_b || end_a != end_b) {
			differ(c, "after %lld data lies at [%lld, %lld) / [%lld, %lld)", (long long)at,
			       (long long)start_a, (long long)end_a, (long long)start_b, (long long)end_b);
			return;
		}
		at = end_a > at ? end_a : size;
	}
}

static void compare_file(struct compare *c, struct side *a, struct side *b, const char *name)
{
	off_t size = a->st.st_size;
	int fd_a, fd_b;

	if (size != b->st.st_size)
		return; /* told already */
	fd_a = openat(a->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NOATIME);
	fd_b = openat(b->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NOATIME);
	if (fd_a < 0 || fd_b < 0) {
		differ(c, "cannot be opened on side %s: %s", fd_a < 0 ? "A" : "B", strerror(errno));
	} else {
		if (size <= WHOLE_BYTES_MAX)
			same_range(c, fd_a, fd_b, 0, size);
		else if (same_data_of(c, fd_a, fd_a, fd_b, size) && same_data_of(c, fd_b, fd_a, fd_b, size))
			same_probes(c, fd_a, fd_b, size);
		if (c->holes)
			compare_holes(c, fd_a, fd_b, size);
	}
	if (fd_a >= 0)
		close(fd_a);
	if (fd_b >= 0)
		close(fd_b);
}

static void compare_symlink(struct compare *c, struct side *a, struct side *b, const char *name)
{
	char target_a[8192], target_b[8192];
	ssize_t len_a = readlinkat(a->dirfd, name, target_a, sizeof(target_a));
	ssize_t len_b = readlinkat(b->dirfd, name, target_b, sizeof(target_b));

	if (len_a < 0 || len_b < 0)
		differ(c, "readlink: %s", strerror(errno));
	else if (len_a != len_b || memcmp(target_a, target_b, (size_t)len_a) != 0)
		differ(c, "symlink targets of %zd and %zd bytes differ", len_a, len_b);
}

/* ---- directories ---- */

struct names {
	char **name;
	size_t count, room;
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_read(struct compare *c, int dirfd, struct names *names)
{
	DIR *dir = fdopendir(dup(dirfd));
	struct dirent *de;

	*names = (struct names){0};
	if (!dir)
		die("open directory %s", c->path);
	errno = 0;
	while ((de = readdir(dir))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (names->count == names->room) {
			names->room = names->room ? names->room * 2 : 64;
			names->name = realloc(names->name, names->room * sizeof(char *));
			if (!names->name)
				die("%zu names", names->room);
		}
		names->name[names->count++] = strdup(de->d_name);
	}
	if (errno)
		differ(c, "readdir: %s", strerror(errno));
	closedir(dir);
	if (names->count)
		qsort(names->name, names->count, sizeof(char *), by_bytes);
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
}

static void compare_dirs(struct compare *c, int dir_a, int dir_b);

static void compare_subdirs(struct compare *c, struct side *a, struct side *b, const char *name)
{
	int fd_a = openat(a->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int fd_b = openat(b->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd_a < 0 || fd_b < 0)
		differ(c, "directory cannot be opened on side %s: %s", fd_a < 0 ? "A" : "B", strerror(errno));
	else
		compare_dirs(c, fd_a, fd_b);
	if (fd_a >= 0)
		close(fd_a);
	if (fd_b >= 0)
		close(fd_b);
}

static void compare_one(struct compare *c, int dir_a, int dir_b, const char *name)
{
	struct side a = {.dirfd = dir_a}, b = {.dirfd = dir_b};

	c->nr_names++;
	if (fstatat(dir_a, name, &a.st, AT_SYMLINK_NOFOLLOW) || fstatat(dir_b, name, &b.st, AT_SYMLINK_NOFOLLOW)) {
		differ(c, "stat: %s", strerror(errno));
		return;
	}
	if ((a.st.st_mode & S_IFMT) != (b.st.st_mode & S_IFMT)) {
		differ(c, "type %06o / %06o", a.st.st_mode & S_IFMT, b.st.st_mode & S_IFMT);
		return;
	}
	compare_attributes(c, &a.st, &b.st);
	if (S_ISREG(a.st.st_mode))
		compare_file(c, &a, &b, name);
	else if (S_ISLNK(a.st.st_mode))
		compare_symlink(c, &a, &b, name);
	else if (S_ISDIR(a.st.st_mode))
		compare_subdirs(c, &a, &b, name);
}

static void path_push(struct compare *c, const char *name)
{
	if (c->path_len + strlen(name) + 2 < sizeof(c->path))
		c->path_len += (size_t)sprintf(c->path + c->path_len, "%s%s", c->path_len ? "/" : "", name);
}

static void path_pop(struct compare *c, size_t len)
{
	c->path_len = len;
	c->path[len] = '\0';
}

static void compare_dirs(struct compare *c, int dir_a, int dir_b)
{
	struct names names_a, names_b;
	size_t a = 0, b = 0, len = c->path_len;

	names_read(c, dir_a, &names_a);
	names_read(c, dir_b, &names_b);
	while (a < names_a.count || b < names_b.count) {
		int order = a == names_a.count ? 1 : b == names_b.count ? -1
							 : strcmp(names_a.name[a], names_b.name[b]);

		path_push(c, order <= 0 ? names_a.name[a] : names_b.name[b]);
		if (order == 0)
			compare_one(c, dir_a, dir_b, names_a.name[a]);
		else
			differ(c, "is only in %s", order < 0 ? "A" : "B");
		path_pop(c, len);
		a += order <= 0;
		b += order >= 0;
	}
	names_free(&names_a);
	names_free(&names_b);
}

int main(int argc, char **argv)
{
	struct compare c = {0};
	int opt, a, b;

	while ((opt = getopt(argc, argv, "sit")) != -1) {
		if (opt == 's')
			c.holes = true;
		else if (opt == 'i')
			c.same_image = true;
		else if (opt == 't')
			c.whole_seconds = true;
		else
			return 2;
	}
	if (optind + 2 != argc) {
		fprintf(stderr, "usage: treecmp [-s] [-i] [-t] A B\n");
		return 2;
	}
	a = open(argv[optind], O_RDONLY | O_DIRECTORY);
	if (a < 0)
		die("%s", argv[optind]);
	b = open(argv[optind + 1], O_RDONLY | O_DIRECTORY);
	if (b < 0)
		die("%s", argv[optind + 1]);
	pairs_grow(&c);
	compare_dirs(&c, a, b);
	free(c.pairs);
	if (c.nr_different > DIFFERENCES_SHOWN)
		printf("... and %lu differences more\n", c.nr_different - DIFFERENCES_SHOWN);
	if (c.nr_different == 0)
		printf("%lu names, no difference\n", c.nr_names);
	return c.nr_different ? 1 : 0;
}
