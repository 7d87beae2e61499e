/*
 * tools/mktree.c - a tree of everything a file system can hold, from a seed.
 *
 *	mktree [-s SEED] [-n COUNT] [-b BYTES] [-w] DIR
 *
 * Makes COUNT names below DIR (default 20,000): directories to a depth of twelve, empty, small and
 * large files, sparse files whose holes cross the borders of the indirect tree, symlinks from one
 * byte to 4,095, hard links, fifos, sockets and devices. Names have up to 255 bytes of any value
 * but '/' and NUL; modes, owners and nanosecond times are odd. -w widens the times to before 1970
 * and beyond 2038, which 128-byte inodes cannot hold. -b is the block size of the file system where it
 * shall go, since a symlink's target has to fit into one block. Same seed, same tree. Without root there
 * are no devices and no foreign owners, and every file stays readable.
 *
 * Data and holes lie at multiples of 4 KiB, so that their layout is the same whatever the block size.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/rand.h"
#include "tools/tool.h"

#define CHUNK 4096
#define NAME_BYTES_MAX 255
#define PATH_BYTES_MAX 2500 /* cp and rsync hand whole paths to the kernel, below another root */
#define DEPTH_MAX 12
#define HUGE_FILES 1

struct dir {
	int fd;
	int depth;
	size_t path_bytes;
};

struct tree {
	struct rand rand;
	bool is_root;
	bool wide_times;
	size_t block_bytes;
	struct dir *dirs;
	size_t nr_dirs;
	/* The last file that was made: what hard links are made to. */
	int link_fd;
	char link_name[NAME_BYTES_MAX + 1];
	unsigned nr_made, nr_huge;
};

/* ---- names, attributes ---- */

static size_t name_length(struct tree *t)
{
	switch (rand_below(&t->rand, 40)) {
	case 0: return NAME_BYTES_MAX;
	case 1: return 1 + rand_below(&t->rand, NAME_BYTES_MAX);
	default: return 4 + rand_below(&t->rand, 28);
	}
}

/* A fresh name: the count in front of it keeps it unique. */
static void make_name(struct tree *t, char *name, size_t length)
{
	bool any_byte = rand_one_in(&t->rand, 8);
	size_t used = (size_t)snprintf(name, 16, "%x%c", t->nr_made, "._- ~"[rand_below(&t->rand, 5)]);

	for (; used < length; used++) {
		unsigned char c = any_byte ? (unsigned char)(1 + rand_below(&t->rand, 255))
					   : (unsigned char)('a' + rand_below(&t->rand, 26));

		name[used] = c == '/' ? 'S' : (char)c;
	}
	name[used] = '\0';
}

static struct timespec make_time(struct tree *t)
{
	struct timespec time = {.tv_nsec = (long)rand_below(&t->rand, 1000000000)};

	if (t->wide_times && rand_one_in(&t->rand, 4))
		time.tv_sec = (time_t)rand_below(&t->rand, 1ull << 34) - (1ll << 31);
	else
		time.tv_sec = (time_t)rand_below(&t->rand, 1ull << 31);
	return time;
}

static uid_t make_id(struct tree *t)
{
	switch (rand_below(&t->rand, 4)) {
	case 0: return (uid_t)rand_below(&t->rand, 65536);
	case 1: return 65536 + (uid_t)rand_below(&t->rand, 0xfffffffe - 65536);
	default: return 0;
	}
}

/* Owner before mode: chown takes setuid and setgid away. */
static void set_attributes(struct tree *t, int dirfd, const char *name, mode_t type)
{
	struct timespec times[2] = {make_time(t), make_time(t)};
	mode_t mode = (mode_t)rand_below(&t->rand, 010000);

	if (t->is_root && fchownat(dirfd, name, make_id(t), make_id(t), AT_SYMLINK_NOFOLLOW))
		die("chown %s", name);
	if (!t->is_root)
		mode |= type == S_IFDIR ? 0700 : 0600;
	if (type != S_IFLNK && fchmodat(dirfd, name, mode, 0))
		die("chmod %s", name);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW))
		die("utimens %s", name);
}

/* ---- one of each kind ---- */

static void write_random(struct tree *t, int fd, off_t at, size_t len)
{
	static char bytes[1 << 16];

	while (len) {
		size_t now = len < sizeof(bytes) ? len : sizeof(bytes);

		rand_fill(&t->rand, bytes, now);
		if (pwrite(fd, bytes, now, at) != (ssize_t)now)
			die("write of %zu bytes at %lld", now, (long long)at);
		at += (off_t)now;
		len -= now;
	}
}

static size_t file_length(struct tree *t)
{
	switch (rand_below(&t->rand, 256)) {
	case 0: return (1 << 20) + rand_below(&t->rand, 3 << 20);
	case 1: case 2: return rand_below(&t->rand, 1 << 20);
	case 3 ... 20: return 0;
	case 21 ... 24: return CHUNK * (1 + rand_below(&t->rand, 16));
	default: return rand_below(&t->rand, 16384);
	}
}

/* Offsets where the indirect tree gets a level more, at 1 KiB and at 4 KiB blocks. */
static off_t border(struct tree *t, bool is_huge)
{
	static const off_t borders[] = {
		12ll << 10, 268ll << 10, 65804ll << 10,		/* 1 KiB: single, double, triple */
		12ll << 12, 1036ll << 12, 1049612ll << 12,	/* 4 KiB */
	};

	return borders[rand_below(&t->rand, is_huge ? 6 : 5)];
}

static void fill_sparse(struct tree *t, int fd)
{
	bool is_huge = t->nr_huge < HUGE_FILES;
	off_t end = 0;

	t->nr_huge += is_huge;
	for (uint64_t pieces = 1 + rand_below(&t->rand, 6); pieces; pieces--) {
		off_t around = (off_t)rand_below(&t->rand, 8) - 4;
		off_t at = (border(t, is_huge) / CHUNK + around) * CHUNK;
		size_t len = CHUNK * (1 + rand_below(&t->rand, 4));

		if (at < 0)
			at = 0;
		write_random(t, fd, at, len);
		if (at + (off_t)len > end)
			end = at + (off_t)len;
	}
	/* A hole at the end, or an end in the middle of a block. */
	end += rand_one_in(&t->rand, 2) ? (off_t)rand_below(&t->rand, 1 << 20) * CHUNK / 64 : -100;
	if (ftruncate(fd, end))
		die("truncate to %lld", (long long)end);
}

static void make_file(struct tree *t, struct dir *dir, const char *name)
{
	int fd = openat(dir->fd, name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0)
		die("create %s", name);
	if (rand_one_in(&t->rand, 200))
		fill_sparse(t, fd);
	else
		write_random(t, fd, 0, file_length(t));
	if (close(fd))
		die("close %s", name);
	set_attributes(t, dir->fd, name, S_IFREG);
	t->link_fd = dir->fd;
	strcpy(t->link_name, name);
}

static void make_dir(struct tree *t, struct dir *dir, const char *name)
{
	struct dir *made = &t->dirs[t->nr_dirs];

	if (mkdirat(dir->fd, name, 0700))
		die("mkdir %s", name);
	/* Kept open to the end, since paths to it get long. */
	made->fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY);
	if (made->fd < 0)
		die("open %s", name);
	made->depth = dir->depth + 1;
	made->path_bytes = dir->path_bytes + strlen(name) + 1;
	t->nr_dirs++;
}

static void make_symlink(struct tree *t, struct dir *dir, const char *name)
{
	static const size_t lengths[] = {1, 59, 60, 61, 1023, 4095}; /* fast; slow; the most of 1 and 4 KiB */
	size_t length = min(lengths[rand_below(&t->rand, array_size(lengths))], t->block_bytes - 1);
	char target[4096];

	for (size_t i = 0; i < length; i++)
		target[i] = (char)('a' + rand_below(&t->rand, 26));
	target[length] = '\0';
	if (symlinkat(target, dir->fd, name))
		die("symlink %s", name);
	set_attributes(t, dir->fd, name, S_IFLNK);
}

static void make_node(struct tree *t, struct dir *dir, const char *name)
{
	static const mode_t kinds[] = {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
	mode_t kind = kinds[rand_below(&t->rand, t->is_root ? 4 : 2)];
	bool is_large = rand_one_in(&t->rand, 2);
	dev_t dev = 0;

	if (kind == S_IFCHR || kind == S_IFBLK)
		dev = makedev(rand_below(&t->rand, is_large ? 4096 : 256),
			      rand_below(&t->rand, is_large ? 1 << 20 : 256));
	if (mknodat(dir->fd, name, kind | 0600, dev))
		die("mknod %s", name);
	set_attributes(t, dir->fd, name, kind);
}

static void make_link(struct tree *t, struct dir *dir, const char *name)
{
	if (t->link_fd < 0)
		make_file(t, dir, name);
	else if (linkat(t->link_fd, t->link_name, dir->fd, name, 0))
		die("link %s", name);
}

/* ---- the tree ---- */

static struct dir *choose_dir(struct tree *t)
{
	/* Half of it goes into few directories, so that some of them get large. */
	uint64_t among = rand_one_in(&t->rand, 2) && t->nr_dirs > 4 ? 4 : t->nr_dirs;

	return &t->dirs[rand_below(&t->rand, among)];
}

static void make_one(struct tree *t)
{
	struct dir *dir = choose_dir(t);
	size_t length = name_length(t);
	char name[NAME_BYTES_MAX + 1];
	uint64_t kind = rand_below(&t->rand, 100);
	bool may_descend = dir->depth < DEPTH_MAX && dir->path_bytes + length < PATH_BYTES_MAX - NAME_BYTES_MAX;

	make_name(t, name, length);
	if (kind < 4 && may_descend)
		make_dir(t, dir, name);
	else if (kind < 10)
		make_symlink(t, dir, name);
	else if (kind < 13)
		make_node(t, dir, name);
	else if (kind < 20)
		make_link(t, dir, name);
	else
		make_file(t, dir, name);
	t->nr_made++;
}

/* Directories last and deepest first, since making names in them moves their times. */
static void finish_dirs(struct tree *t)
{
	while (t->nr_dirs > 1) {
		struct dir *dir = &t->dirs[--t->nr_dirs];
		struct timespec times[2] = {make_time(t), make_time(t)};
		mode_t mode = (mode_t)rand_below(&t->rand, 010000) | (t->is_root ? 0 : 0700);

		if (t->is_root && fchown(dir->fd, make_id(t), make_id(t)))
			die("chown of a directory");
		if (fchmod(dir->fd, mode) || futimens(dir->fd, times))
			die("attributes of a directory");
		close(dir->fd);
	}
}

/* A descriptor a directory. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
}

int main(int argc, char **argv)
{
	struct tree t = {.is_root = geteuid() == 0, .block_bytes = 4096, .link_fd = -1};
	unsigned long count = 20000;
	uint64_t seed = 1;
	int opt;

	while ((opt = getopt(argc, argv, "s:n:b:w")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			count = strtoul(optarg, NULL, 0);
		else if (opt == 'b')
			t.block_bytes = strtoul(optarg, NULL, 0);
		else if (opt == 'w')
			t.wide_times = true;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: mktree [-s SEED] [-n COUNT] [-b BYTES] [-w] DIR\n");
		return 2;
	}
	raise_descriptors();
	umask(0);
	rand_init(&t.rand, seed);
	t.dirs = alloc_or_die((count + 1) * sizeof(*t.dirs));
	t.dirs[0].fd = open(argv[optind], O_RDONLY | O_DIRECTORY);
	if (t.dirs[0].fd < 0)
		die("%s", argv[optind]);
	t.nr_dirs = 1;
	while (t.nr_made < count)
		make_one(&t);
	finish_dirs(&t);
	free(t.dirs);
	return 0;
}
