/*
 * tools/fsx.c - random operations on one file, each checked against a copy in memory.
 *
 *	fsx [-s SEED] [-n OPERATIONS] [-l BYTES] [-d] FILE
 *
 * Reads, writes, truncates both ways, maps for reading and writing, syncs, closes and opens again,
 * with -d through O_DIRECT as well. Offsets cluster at block and page edges, where mistakes live. On
 * the first difference it prints the place, the seed and the last operations, and leaves with 1.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "tools/tool.h"

#define PAGE 4096
#define IO_BYTES_MAX (96 * 1024)
#define HISTORY 40

struct past {
	const char *what;
	off_t at;
	size_t len;
};

struct fsx {
	struct rand rand;
	uint64_t seed;
	const char *path;
	int fd, direct_fd;
	bool use_direct;
	char *model;	/* what the file must hold, [0, size) */
	char *found;
	off_t size, size_max;
	struct past past[HISTORY];
	unsigned long nr;
};

static void remember(struct fsx *x, const char *what, off_t at, size_t len)
{
	x->past[x->nr % HISTORY] = (struct past){what, at, len};
}

static void fail(struct fsx *x, const char *what, off_t at)
{
	unsigned long first = x->nr >= HISTORY ? x->nr - HISTORY + 1 : 0;

	printf("operation %lu of seed %llu: %s at %lld (0x%llx), errno %d %s\n", x->nr,
	       (unsigned long long)x->seed, what, (long long)at, (long long)at, errno, strerror(errno));
	for (unsigned long i = first; i <= x->nr; i++) {
		struct past *p = &x->past[i % HISTORY];

		printf("  %6lu %-10s [0x%llx, 0x%llx)\n", i, p->what, (long long)p->at,
		       (long long)p->at + (long long)p->len);
	}
	exit(1);
}

/* ---- where and how much ---- */

static off_t choose_offset(struct fsx *x, off_t below)
{
	static const off_t edges[] = {512, 1024, 4096, 12 * 1024, 65536, 268 * 1024};
	off_t at = below > 0 ? (off_t)rand_below(&x->rand, (uint64_t)below) : 0;
	off_t edge;

	if (rand_one_in(&x->rand, 2))
		return at;
	edge = edges[rand_below(&x->rand, array_size(edges))];
	at = at / edge * edge + (off_t)rand_below(&x->rand, 3) - 1;
	return at < 0 || at >= below ? 0 : at;
}

static size_t choose_length(struct fsx *x, off_t at)
{
	size_t len = 1 + rand_below(&x->rand, rand_one_in(&x->rand, 4) ? IO_BYTES_MAX : 5000);

	return at + (off_t)len > x->size_max ? (size_t)(x->size_max - at) : len;
}

static void check_bytes(struct fsx *x, const char *what, const char *bytes, off_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != x->model[at + (off_t)i]) {
			printf("found 0x%02x for 0x%02x\n", (unsigned char)bytes[i],
			       (unsigned char)x->model[at + (off_t)i]);
			fail(x, what, at + (off_t)i);
		}
}

/* A write of the model's own bytes, made new first. */
static void model_write(struct fsx *x, off_t at, size_t len)
{
	rand_fill(&x->rand, x->model + at, len);
	if (at + (off_t)len > x->size)
		x->size = at + (off_t)len;
}

/* ---- operations ---- */

static void do_read(struct fsx *x)
{
	off_t at = choose_offset(x, min(x->size + PAGE, x->size_max));
	size_t len = choose_length(x, at), want = 0;
	ssize_t n;

	if (at < x->size)
		want = at + (off_t)len > x->size ? (size_t)(x->size - at) : len;
	remember(x, "read", at, len);
	n = pread(x->fd, x->found, len, at);
	if (n != (ssize_t)want)
		fail(x, "short read", at + n);
	check_bytes(x, "read differs", x->found, at, want);
}

static void do_write(struct fsx *x)
{
	off_t at = choose_offset(x, x->size_max - 1);
	size_t len = choose_length(x, at);

	remember(x, "write", at, len);
	model_write(x, at, len);
	if (pwrite(x->fd, x->model + at, len, at) != (ssize_t)len)
		fail(x, "write failed", at);
}

static void do_append(struct fsx *x)
{
	off_t at = x->size;
	size_t len = choose_length(x, at);

	if (len == 0)
		return;
	remember(x, "append", at, len);
	model_write(x, at, len);
	if (pwrite(x->fd, x->model + at, len, at) != (ssize_t)len)
		fail(x, "append failed", at);
}

static void do_truncate(struct fsx *x)
{
	off_t size = choose_offset(x, rand_one_in(&x->rand, 2) ? x->size_max : x->size + 1);

	remember(x, "truncate", size, 0);
	if (size < x->size)
		memset(x->model + size, 0, (size_t)(x->size - size));
	x->size = size;
	if (ftruncate(x->fd, size))
		fail(x, "truncate failed", size);
}

static char *map_around(struct fsx *x, off_t at, size_t len, int prot, off_t *ret_start, size_t *ret_size)
{
	off_t start = at / PAGE * PAGE;
	size_t size = (size_t)(at - start) + len;
	char *map = mmap(NULL, size, prot, MAP_SHARED, x->fd, start);

	if (map == MAP_FAILED)
		fail(x, "mmap failed", start);
	*ret_start = start;
	*ret_size = size;
	return map;
}

static void do_map_read(struct fsx *x)
{
	off_t at = choose_offset(x, x->size), start;
	size_t len = choose_length(x, at), size;
	char *map;

	if (at + (off_t)len > x->size)
		len = (size_t)(x->size - at);
	if (len == 0)
		return;
	remember(x, "map read", at, len);
	map = map_around(x, at, len, PROT_READ, &start, &size);
	check_bytes(x, "mapped read differs", map + (at - start), at, len);
	munmap(map, size);
}

static void do_map_write(struct fsx *x)
{
	off_t at = choose_offset(x, x->size), start;
	size_t len = choose_length(x, at), size;
	char *map;

	if (at + (off_t)len > x->size)
		len = (size_t)(x->size - at);
	if (len == 0)
		return;
	remember(x, "map write", at, len);
	model_write(x, at, len);
	map = map_around(x, at, len, PROT_READ | PROT_WRITE, &start, &size);
	memcpy(map + (at - start), x->model + at, len);
	if (rand_one_in(&x->rand, 4) && msync(map, size, MS_SYNC))
		fail(x, "msync failed", at);
	munmap(map, size);
}

static void do_direct(struct fsx *x)
{
	off_t at = choose_offset(x, x->size) / PAGE * PAGE;
	size_t len = PAGE * (1 + rand_below(&x->rand, 8));
	ssize_t n;

	if (!x->use_direct || at + (off_t)len > x->size)
		return;
	if (rand_one_in(&x->rand, 2)) {
		remember(x, "direct wr", at, len);
		model_write(x, at, len);
		memcpy(x->found, x->model + at, len);
		n = pwrite(x->direct_fd, x->found, len, at);
	} else {
		remember(x, "direct rd", at, len);
		n = pread(x->direct_fd, x->found, len, at);
	}
	if (n != (ssize_t)len)
		fail(x, "short direct access", at + n);
	check_bytes(x, "direct access differs", x->found, at, len);
}

static void open_file(struct fsx *x, int flags)
{
	x->fd = open(x->path, O_RDWR | flags, 0644);
	if (x->fd < 0)
		die("%s", x->path);
	if (!x->use_direct)
		return;
	x->direct_fd = open(x->path, O_RDWR | O_DIRECT);
	if (x->direct_fd < 0)
		die("%s for direct access", x->path);
}

static void close_file(struct fsx *x)
{
	if (close(x->fd))
		fail(x, "close failed", 0);
	if (x->use_direct)
		close(x->direct_fd);
}

static void check_size(struct fsx *x)
{
	struct stat st;

	if (fstat(x->fd, &st) || st.st_size != x->size)
		fail(x, "size differs", st.st_size);
}

static void do_reopen(struct fsx *x)
{
	remember(x, "reopen", x->size, 0);
	close_file(x);
	open_file(x, 0);
}

static void do_sync(struct fsx *x)
{
	remember(x, "fsync", x->size, 0);
	if (fsync(x->fd))
		fail(x, "fsync failed", 0);
	/* What can be read again from the disk must be, now and then. */
	if (rand_one_in(&x->rand, 2))
		posix_fadvise(x->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void step(struct fsx *x)
{
	static void (*const operations[])(struct fsx *) = {
		do_read, do_read, do_read, do_write, do_write, do_write, do_append, do_truncate,
		do_map_read, do_map_write, do_map_write, do_direct, do_direct,
	};
	uint64_t rare = rand_below(&x->rand, 50);

	if (rare == 0)
		do_reopen(x);
	else if (rare == 1)
		do_sync(x);
	else
		operations[rand_below(&x->rand, array_size(operations))](x);
	check_size(x);
	x->nr++;
}

static void check_all(struct fsx *x)
{
	for (off_t at = 0; at < x->size; at += IO_BYTES_MAX) {
		size_t len = min((size_t)(x->size - at), (size_t)IO_BYTES_MAX);

		if (pread(x->fd, x->found, len, at) != (ssize_t)len)
			fail(x, "short read at the end", at);
		check_bytes(x, "final read differs", x->found, at, len);
	}
}

int main(int argc, char **argv)
{
	struct fsx x = {.seed = 1, .size_max = 1 << 20};
	unsigned long operations = 10000;
	int opt;

	while ((opt = getopt(argc, argv, "s:n:l:d")) != -1) {
		if (opt == 's')
			x.seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			operations = strtoul(optarg, NULL, 0);
		else if (opt == 'l')
			x.size_max = strtoll(optarg, NULL, 0);
		else if (opt == 'd')
			x.use_direct = true;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: fsx [-s SEED] [-n OPERATIONS] [-l BYTES] [-d] FILE\n");
		return 2;
	}
	x.path = argv[optind];
	rand_init(&x.rand, x.seed);
	x.model = alloc_or_die((size_t)x.size_max + IO_BYTES_MAX + PAGE);
	if (posix_memalign((void **)&x.found, PAGE, IO_BYTES_MAX + PAGE))
		die("a buffer");
	open_file(&x, O_CREAT | O_TRUNC);
	while (x.nr < operations)
		step(&x);
	close_file(&x);
	open_file(&x, 0);
	check_all(&x);
	close_file(&x);
	free(x.model);
	free(x.found);
	return 0;
}
