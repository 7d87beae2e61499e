/*
 * tools/stress.c - several processes change one tree at once, in ways that must not go wrong.
 *
 *	stress [-p PROCESSES] [-n OPERATIONS] [-s SEED] DIR
 *
 * All share a few directories with few names, so that they meet in every step: create, write,
 * truncate, link, unlink, rename within and across directories, exchange, mkdir, rmdir, symlink,
 * list. There any answer that a race explains is right, and any other (EIO, ESTALE, ...) is not.
 * Each also has a directory of its own whose names and contents it knows, and checks. Leaves with 1
 * after the first wrong answer of any process, which it prints with the seed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "tools/tool.h"

#define SHARED_DIRS 6
#define SHARED_NAMES 24
#define OWN_FILES 64
#define FILE_BYTES_MAX 40000

/* A file of the process's own: its bytes follow from `stamp`. */
struct own {
	bool is_there;
	uint64_t stamp;
	size_t len;
};

struct worker {
	struct rand rand;
	unsigned nr;
	uint64_t seed;
	unsigned long step;
	struct own own[OWN_FILES];
};

static void wrong(struct worker *w, const char *what, const char *path)
{
	fprintf(stderr, "process %u, step %lu of seed %llu: %s %s: %s\n", w->nr, w->step,
		(unsigned long long)w->seed, what, path, strerror(errno));
	exit(1);
}

/* ---- what all share ---- */

static void shared_path(struct worker *w, char *path)
{
	unsigned dir = (unsigned)rand_below(&w->rand, SHARED_DIRS);
	unsigned name = (unsigned)rand_below(&w->rand, SHARED_NAMES);

	/* Names under names, too: "d1/n7/n3" exists when somebody made n7 a directory. */
	if (rand_one_in(&w->rand, 4))
		sprintf(path, "d%u/n%u/n%u", dir, name, (unsigned)rand_below(&w->rand, 4));
	else
		sprintf(path, "d%u/n%u", dir, name);
}

/* Answers that somebody else's work may explain. */
static bool is_race(int err)
{
	switch (err) {
	case ENOENT: case EEXIST: case ENOTDIR: case EISDIR: case ENOTEMPTY: case EINVAL:
	case ELOOP: case EPERM: case ENOSPC: case EMLINK: case EXDEV: case ENXIO: case EBUSY:
		return true;
	default:
		return false;
	}
}

static void expect(struct worker *w, const char *what, const char *path, int result)
{
	if (result < 0 && !is_race(errno))
		wrong(w, what, path);
}

static void shared_write(struct worker *w, const char *path)
{
	static char bytes[FILE_BYTES_MAX];
	size_t len = rand_below(&w->rand, sizeof(bytes));
	int fd = open(path, O_CREAT | O_RDWR | O_NONBLOCK | (rand_one_in(&w->rand, 3) ? O_TRUNC : 0), 0644);

	expect(w, "open", path, fd);
	if (fd < 0)
		return;
	expect(w, "write", path, (int)pwrite(fd, bytes, len, (off_t)rand_below(&w->rand, 1 << 20)));
	if (rand_one_in(&w->rand, 8))
		expect(w, "ftruncate", path, ftruncate(fd, (off_t)rand_below(&w->rand, 1 << 18)));
	if (rand_one_in(&w->rand, 16))
		expect(w, "fsync", path, fsync(fd));
	expect(w, "read", path, (int)pread(fd, bytes, sizeof(bytes), (off_t)rand_below(&w->rand, 1 << 19)));
	expect(w, "close", path, close(fd));
}

static void shared_list(struct worker *w, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;

	if (!dir) {
		expect(w, "opendir", path, -1);
		return;
	}
	errno = 0;
	while ((de = readdir(dir))) {
		struct stat st;

		expect(w, "fstatat", de->d_name, fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW));
		errno = 0;
	}
	/* A directory that was removed meanwhile may say so. */
	if (errno && errno != ENOENT)
		wrong(w, "readdir", path);
	closedir(dir);
}

static void shared_step(struct worker *w)
{
	char a[64], b[64];

	shared_path(w, a);
	shared_path(w, b);
	switch (rand_below(&w->rand, 16)) {
	case 0: case 1: case 2: shared_write(w, a); break;
	case 3: expect(w, "mkdir", a, mkdir(a, 0755)); break;
	case 4: expect(w, "rmdir", a, rmdir(a)); break;
	case 5: case 6: expect(w, "unlink", a, unlink(a)); break;
	case 7: expect(w, "link", a, link(a, b)); break;
	case 8: expect(w, "symlink", a, symlink("n1", a)); break;
	case 9: case 10: case 11: expect(w, "rename", a, rename(a, b)); break;
	case 12: expect(w, "exchange", a, renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)); break;
	case 13: expect(w, "noreplace", a, renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE)); break;
	case 14: expect(w, "truncate", a, truncate(a, (off_t)rand_below(&w->rand, 1 << 20))); break;
	case 15:
		a[2] = '\0'; /* one of the shared directories */
		shared_list(w, a);
		break;
	}
}

/* ---- what each has alone ---- */

static void own_path(struct worker *w, unsigned i, char *path)
{
	sprintf(path, "own-%u/%s-%u", w->nr, i % 2 ? "a-somewhat-longer-name" : "f", i);
}

static void own_fill(struct own *own, char *bytes)
{
	struct rand rand;

	rand_init(&rand, own->stamp);
	rand_fill(&rand, bytes, own->len);
}

static void own_write(struct worker *w, unsigned i)
{
	static char bytes[FILE_BYTES_MAX];
	struct own *own = &w->own[i];
	char path[64];
	int fd;

	*own = (struct own){true, rand_u64(&w->rand), rand_below(&w->rand, FILE_BYTES_MAX)};
	own_fill(own, bytes);
	own_path(w, i, path);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	if (fd < 0 || write(fd, bytes, own->len) != (ssize_t)own->len || close(fd))
		wrong(w, "write of its own", path);
}

static void own_check(struct worker *w, unsigned i)
{
	static char bytes[FILE_BYTES_MAX], found[FILE_BYTES_MAX + 1];
	struct own *own = &w->own[i];
	char path[64];
	int fd;

	own_path(w, i, path);
	errno = 0;
	fd = open(path, O_RDONLY);
	if (!own->is_there) {
		if (fd >= 0 || errno != ENOENT)
			wrong(w, "is there though it was removed:", path);
		return;
	}
	own_fill(own, bytes);
	if (fd < 0 || read(fd, found, sizeof(found)) != (ssize_t)own->len || memcmp(bytes, found, own->len) != 0)
		wrong(w, "has not what was written:", path);
	close(fd);
}

static void own_unlink(struct worker *w, unsigned i)
{
	char path[64];

	own_path(w, i, path);
	errno = 0;
	if (unlink(path) != (w->own[i].is_there ? 0 : -1))
		wrong(w, "unlink of its own", path);
	w->own[i].is_there = false;
}

static void own_rename(struct worker *w, unsigned i, unsigned j)
{
	char from[64], to[64];

	own_path(w, i, from);
	own_path(w, j, to);
	errno = 0;
	if (rename(from, to) != (w->own[i].is_there ? 0 : -1))
		wrong(w, "rename of its own", from);
	if (!w->own[i].is_there || i == j)
		return;
	w->own[j] = w->own[i];
	w->own[i].is_there = false;
}

static void own_step(struct worker *w)
{
	unsigned i = (unsigned)rand_below(&w->rand, OWN_FILES);

	switch (rand_below(&w->rand, 6)) {
	case 0: case 1: own_write(w, i); break;
	case 2: own_unlink(w, i); break;
	case 3: own_rename(w, i, (unsigned)rand_below(&w->rand, OWN_FILES)); break;
	default: own_check(w, i); break;
	}
}

/* ---- the processes ---- */

static void make_dirs(unsigned processes)
{
	char name[32];

	for (unsigned i = 0; i < SHARED_DIRS; i++) {
		sprintf(name, "d%u", i);
		if (mkdir(name, 0755))
			die("mkdir %s", name);
	}
	for (unsigned i = 0; i < processes; i++) {
		sprintf(name, "own-%u", i);
		if (mkdir(name, 0755))
			die("mkdir %s", name);
	}
}

static int work(unsigned nr, uint64_t seed, unsigned long operations)
{
	struct worker *w = alloc_or_die(sizeof(*w));

	w->nr = nr;
	w->seed = seed;
	rand_init(&w->rand, seed * 1000 + nr);
	for (w->step = 0; w->step < operations; w->step++) {
		if (rand_one_in(&w->rand, 3))
			own_step(w);
		else
			shared_step(w);
	}
	for (unsigned i = 0; i < OWN_FILES; i++)
		own_check(w, i);
	free(w);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned processes = 4;
	unsigned long operations = 10000;
	uint64_t seed = 1;
	int opt, status, failed = 0;

	while ((opt = getopt(argc, argv, "p:n:s:")) != -1) {
		if (opt == 'p')
			processes = (unsigned)strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			operations = strtoul(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: stress [-p PROCESSES] [-n OPERATIONS] [-s SEED] DIR\n");
		return 2;
	}
	if (chdir(argv[optind]))
		die("%s", argv[optind]);
	make_dirs(processes);
	for (unsigned i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0)
			_exit(work(i, seed, operations));
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
