/*
 * What each driver over a file is worth, on this host.
 *
 *	drivers [-m MIB] [-r ROUNDS] [-w WORK] [-f FACTOR] IMAGE
 *
 * IMAGE is made (it must not exist), filled and removed. Each round runs each work over each driver,
 * one after the other, so that a host that is slow for a while is slow for all; what is printed is the
 * median over the rounds: operations a second, their ratio to the file driver's in the same round,
 * system calls and CPU time an operation. Work that keeps a number of operations under way is handed
 * in by one thread, which refills with all that have ended as soon as one has; work of depth 1
 * waits for each. The same operations, at the same places, are done by each driver.
 *
 * "bare" is no driver: a loop around io_uring, one thread, no queue. It shows what is to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/rand.h"
#include "block/plug.h"
#include "drivers/filedisk.h"
#include "drivers/mmapdisk.h"
#include "drivers/uringdisk.h"

#define MIB (1ull << 20)
#define DEPTH_MOST 32u
#define ROUNDS_MOST 101u

/* What is done. */
struct work {
	const char *name;
	enum bio_op op;
	uint32_t op_bytes, depth, nr_ops;
	bool is_random, is_direct, is_cold;
};

static const struct work works[] = {
	{"direct random read 4K, depth 32", BIO_READ, 4096, 32, 20000, true, true, false},
	{"direct random write 4K, depth 32", BIO_WRITE, 4096, 32, 20000, true, true, false},
	{"direct random read 4K, depth 1", BIO_READ, 4096, 1, 4000, true, true, false},
	{"direct random write 4K, depth 1", BIO_WRITE, 4096, 1, 4000, true, true, false},
	{"direct sequential read 1M, depth 8", BIO_READ, 1 << 20, 8, 512, false, true, false},
	{"direct sequential write 1M, depth 8", BIO_WRITE, 1 << 20, 8, 512, false, true, false},
	{"cached random read 4K, depth 32", BIO_READ, 4096, 32, 100000, true, false, false},
	{"cached random read 4K, depth 1", BIO_READ, 4096, 1, 100000, true, false, false},
	{"cold random read 4K, depth 32", BIO_READ, 4096, 32, 10000, true, false, true},
	{"buffered random write 4K, depth 32", BIO_WRITE, 4096, 32, 30000, true, false, false},
	{"buffered random write 4K, depth 1", BIO_WRITE, 4096, 1, 30000, true, false, false},
	{"cached sequential read 1M, depth 8", BIO_READ, 1 << 20, 8, 1024, false, false, false},
	{"buffered sequential write 1M, depth 8", BIO_WRITE, 1 << 20, 8, 512, false, false, false},
};

/* What does it. The first is what the others are compared with. */
enum driver { FILE_4, FILE_32, URING, URING_FIXED, URING_POLLED, MMAP, BARE, NR_DRIVERS };
static const char *const driver_names[NR_DRIVERS] = {
	"file", "file, 32 workers", "uring", "uring, registered", "uring, sqpoll", "mmap", "bare",
};

struct bench {
	const char *path;
	uint64_t size_bytes;
	unsigned char *memory;		/* DEPTH_MOST MiB */
	struct disk *disk;
	struct uringdisk *uring;
	int bare_fd;			/* -1: not that one */
	uint64_t nr_bare_calls;
};

struct result {
	double per_second, calls, cpu_us;	/* calls and CPU an operation; 0 per_second: not run */
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "drivers: %s: %s\n", what, why);
	exit(1);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_now(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* One thread keeps a number of bios under way. */

struct slot {
	struct runner *runner;
	struct bio *bio;
	void *memory;
	struct slot *next_free;
};

struct runner {
	const struct bench *bench;
	const struct work *work;
	struct rand rand;
	uint64_t next_op;
	struct slot slots[DEPTH_MOST];
	struct mutex lock;
	struct cond refill;
	struct slot *free;		/* [lock] */
	uint32_t nr_free;		/* [lock] */
	_Atomic uint32_t nr_errors;
};

static uint64_t next_offset(struct runner *r)
{
	uint64_t nr = r->bench->size_bytes / r->work->op_bytes;

	return (r->work->is_random ? rand_below(&r->rand, nr) : r->next_op % nr) * r->work->op_bytes;
}

static void slot_ended(struct bio *bio)
{
	struct slot *slot = bio->private;
	struct runner *r = slot->runner;

	if (bio->status)
		atomic_fetch_add(&r->nr_errors, 1);
	mutex_lock(&r->lock);
	slot->next_free = r->free;
	r->free = slot;
	if (++r->nr_free == 1)
		cond_signal(&r->refill);
	mutex_unlock(&r->lock);
}

static void slot_submit(struct runner *r, struct slot *slot, struct plug *plug)
{
	bio_init(slot->bio, r->bench->disk, r->work->op, 0, next_offset(r) / 512, 1);
	must(bio_add(slot->bio, slot->memory, r->work->op_bytes));
	slot->bio->private = slot;
	slot->bio->end_io = slot_ended;
	r->next_op++;
	plug_submit(plug, slot->bio);
}

/* The slots that are free, when there are any. */
static struct slot *take_free(struct runner *r)
{
	struct slot *slots;

	mutex_lock(&r->lock);
	while (r->nr_free == 0)
		cond_wait(&r->refill, &r->lock);
	slots = r->free;
	r->free = NULL;
	r->nr_free = 0;
	mutex_unlock(&r->lock);
	return slots;
}

static void run_deep(struct runner *r)
{
	uint32_t depth = r->work->depth;

	for (uint32_t i = 0; i < depth; i++) {
		struct slot *slot = &r->slots[i];

		slot->runner = r;
		slot->memory = r->bench->memory + i * MIB;
		slot->bio = bio_alloc(r->bench->disk, r->work->op, 0, 0, 1);
		must(slot->bio);
		slot->next_free = r->free;
		r->free = slot;
	}
	r->nr_free = depth;
	while (r->next_op < r->work->nr_ops) {
		struct slot *slot = take_free(r);
		struct plug plug;

		plug_start(&plug);
		while (slot) {
			struct slot *next = slot->next_free;

			slot_submit(r, slot, &plug);
			slot = next;
		}
		plug_finish(&plug);
	}
	disk_drain(r->bench->disk);
	for (uint32_t i = 0; i < depth; i++)
		bio_free(r->slots[i].bio);
}

static void run_one_by_one(struct runner *r)
{
	for (; r->next_op < r->work->nr_ops; r->next_op++) {
		uint64_t offset = next_offset(r);
		int err = r->work->op == BIO_READ
				  ? disk_read(r->bench->disk, offset, r->bench->memory, r->work->op_bytes)
				  : disk_write(r->bench->disk, offset, r->bench->memory, r->work->op_bytes, 0);

		if (err)
			atomic_fetch_add(&r->nr_errors, 1);
	}
}

/* The bare loop. */

#define BARE_BATCH 8u	/* with O_DIRECT: the disk begins while the next are made */

static void bare_prepare(struct runner *r, struct io_uring *ring, uint32_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	char *memory = (char *)r->bench->memory + slot * MIB;
	uint64_t at = next_offset(r);

	if (r->work->op == BIO_READ)
		io_uring_prep_read(sqe, 0, memory, r->work->op_bytes, at);
	else
		io_uring_prep_write(sqe, 0, memory, r->work->op_bytes, at);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, slot);
	r->next_op++;
}

static void bare_submit(struct bench *b, struct io_uring *ring, unsigned nr_awaited)
{
	b->nr_bare_calls++;
	if (io_uring_submit_and_wait(ring, nr_awaited) < 0)
		fail(b->path, "io_uring");
}

static uint32_t bare_reap(struct runner *r, struct io_uring *ring, uint32_t *slots)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	uint32_t nr = 0;

	io_uring_for_each_cqe(ring, head, cqe) {
		if (cqe->res != (int)r->work->op_bytes)
			atomic_fetch_add(&r->nr_errors, 1);
		slots[nr++] = (uint32_t)io_uring_cqe_get_data64(cqe);
	}
	io_uring_cq_advance(ring, nr);
	return nr;
}

static void bare_loop(struct bench *b, struct runner *r, struct io_uring *ring)
{
	uint32_t free_slots[DEPTH_MOST], nr_free = r->work->depth, nr_under_way = 0;

	for (uint32_t i = 0; i < nr_free; i++)
		free_slots[i] = i;
	for (;;) {
		while (nr_free && r->next_op < r->work->nr_ops) {
			bare_prepare(r, ring, free_slots[--nr_free]);
			nr_under_way++;
			if (r->work->is_direct && io_uring_sq_ready(ring) == BARE_BATCH && nr_free)
				bare_submit(b, ring, 0);
		}
		if (nr_under_way == 0)
			break;
		bare_submit(b, ring, 1);
		nr_free += bare_reap(r, ring, free_slots + nr_free);
		nr_under_way = r->work->depth - nr_free;
	}
}

static void run_bare(struct bench *b, struct runner *r)
{
	struct io_uring ring;

	if (io_uring_queue_init(2 * DEPTH_MOST, &ring, 0) ||
	    io_uring_register_files(&ring, &b->bare_fd, 1))
		fail(b->path, "io_uring is not to be had");
	b->nr_bare_calls = 0;
	bare_loop(b, r, &ring);
	io_uring_queue_exit(&ring);
}

static void run_work(struct bench *b, const struct work *work, uint64_t seed)
{
	struct runner r = {.bench = b, .work = work};

	rand_init(&r.rand, seed);
	mutex_init(&r.lock, RANK_LEAF, "bench");
	cond_init(&r.refill);
	if (b->bare_fd >= 0)
		run_bare(b, &r);
	else if (work->depth == 1)
		run_one_by_one(&r);
	else
		run_deep(&r);
	if (r.nr_errors)
		fail(b->path, "I/O failed");
	cond_done(&r.refill);
	mutex_done(&r.lock);
}

/* Opening; false when this driver cannot do this work here. */

static bool open_file(struct bench *b, const struct work *work, uint32_t nr_workers)
{
	struct filedisk_config file = {.is_direct = work->is_direct};
	struct disk_config config = {.name = b->path, .nr_workers = nr_workers};
	char why[300];

	if (filedisk_open(b->path, &file, &config, &b->disk, why, sizeof(why)))
		fail(b->path, why);
	return true;
}

static bool open_uring(struct bench *b, const struct work *work, enum driver driver)
{
	struct uringdisk_config uring = {.is_direct = work->is_direct, .has_sqpoll = driver == URING_POLLED};
	struct disk_config config = {.name = b->path};
	char why[300];

	if (uringdisk_open(b->path, &uring, &config, &b->uring, &b->disk, why, sizeof(why)))
		return false;
	return driver != URING_FIXED ||
	       uringdisk_register_memory(b->uring, b->memory, DEPTH_MOST * MIB) == 0;
}

static bool open_mmap(struct bench *b, const struct work *work)
{
	struct mmapdisk_config mmap = {.is_read_only = false};
	struct disk_config config = {.name = b->path};
	char why[300];

	return !work->is_direct &&
	       mmapdisk_open(b->path, &mmap, &config, &b->disk, why, sizeof(why)) == 0;
}

static bool open_bare(struct bench *b, const struct work *work)
{
	b->bare_fd = open(b->path, O_RDWR | (work->is_direct ? O_DIRECT : 0));
	return b->bare_fd >= 0;
}

static bool open_driver(struct bench *b, const struct work *work, enum driver driver)
{
	b->disk = NULL;
	b->uring = NULL;
	b->bare_fd = -1;
	switch (driver) {
	case FILE_4:
		return open_file(b, work, 0);
	case FILE_32:
		return open_file(b, work, 32);
	case MMAP:
		return open_mmap(b, work);
	case BARE:
		return open_bare(b, work);
	default:
		return open_uring(b, work, driver);
	}
}

/* Every request of the file driver is one call; the mapped one makes none. */
static double calls_made(const struct bench *b, enum driver driver)
{
	if (driver == MMAP)
		return 0;
	if (driver == BARE)
		return (double)b->nr_bare_calls;
	if (b->uring)
		return (double)(counter_get(&uringdisk_stats(b->uring)->enters) +
				counter_get(&uringdisk_stats(b->uring)->calls));
	return (double)(counter_get(&disk_stats(b->disk)->ios[BIO_READ]) +
			counter_get(&disk_stats(b->disk)->ios[BIO_WRITE]));
}

/* What the run before left in the host's cache would be paid for by this one. */
static void settle(const struct bench *b, bool is_cold)
{
	int fd = open(b->path, O_RDONLY);

	if (fd < 0 || fsync(fd))
		fail(b->path, strerror(errno));
	if (is_cold)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static struct result run_once(struct bench *b, const struct work *work, enum driver driver, uint64_t seed)
{
	double seconds, cpu, nr = work->nr_ops;
	struct result result = {.per_second = 0};

	settle(b, work->is_cold);
	if (!open_driver(b, work, driver)) {
		disk_close(b->disk);
		return result;
	}
	cpu = cpu_now();
	seconds = seconds_now();
	run_work(b, work, seed);
	result.per_second = nr / (seconds_now() - seconds);
	result.cpu_us = (cpu_now() - cpu) / nr * 1e6;
	result.calls = calls_made(b, driver) / nr;
	disk_close(b->disk);
	if (b->bare_fd >= 0)
		close(b->bare_fd);
	return result;
}

/* Telling. */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned nr)
{
	qsort(values, nr, sizeof(*values), compare);
	return nr % 2 ? values[nr / 2] : (values[nr / 2 - 1] + values[nr / 2]) / 2;
}

static void tell(enum driver driver, struct result results[NR_DRIVERS][ROUNDS_MOST], unsigned nr_rounds)
{
	double rates[ROUNDS_MOST], ratios[ROUNDS_MOST], calls[ROUNDS_MOST], cpus[ROUNDS_MOST];

	for (unsigned i = 0; i < nr_rounds; i++) {
		const struct result *r = &results[driver][i];

		if (r->per_second == 0)
			return;
		rates[i] = r->per_second;
		ratios[i] = r->per_second / results[FILE_4][i].per_second;
		calls[i] = r->calls;
		cpus[i] = r->cpu_us;
	}
	printf("  %-18s %9.0f/s  %5.2f  %7.3f calls  %7.2f us CPU\n", driver_names[driver],
	       median(rates, nr_rounds), median(ratios, nr_rounds), median(calls, nr_rounds),
	       median(cpus, nr_rounds));
	fflush(stdout);
}

static void bench_work(struct bench *b, const struct work *work, unsigned nr_rounds)
{
	static struct result results[NR_DRIVERS][ROUNDS_MOST];

	/* Each begins a round in its turn: who comes first finds the host's cache in another state. */
	for (unsigned round = 0; round < nr_rounds; round++) {
		for (unsigned i = 0; i < NR_DRIVERS; i++) {
			enum driver driver = (enum driver)((i + round) % NR_DRIVERS);

			results[driver][round] = run_once(b, work, driver, round);
		}
	}
	printf("%s\n", work->name);
	for (int driver = 0; driver < NR_DRIVERS; driver++)
		tell((enum driver)driver, results, nr_rounds);
}

/* Written by 4 KiB: the host then keeps it in pieces of that size, as it does for a disk in use. */
static void make_image(struct bench *b)
{
	int fd = open(b->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct rand rand;

	if (fd < 0)
		fail(b->path, strerror(errno));
	rand_init(&rand, 1);
	rand_fill(&rand, b->memory, MIB);
	for (uint64_t at = 0; at < b->size_bytes; at += 4096)
		if (pwrite(fd, b->memory + at % MIB, 4096, (off_t)at) != 4096)
			fail(b->path, "cannot be filled");
	if (fsync(fd))
		fail(b->path, strerror(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	struct bench b = {.size_bytes = 1024 * MIB};
	unsigned nr_rounds = 5;
	const char *only = "";
	double factor = 1;
	int opt;

	while ((opt = getopt(argc, argv, "m:r:w:f:")) != -1) {
		if (opt == 'm')
			b.size_bytes = strtoull(optarg, NULL, 0) * MIB;
		else if (opt == 'r')
			nr_rounds = (unsigned)strtoul(optarg, NULL, 0);
		else if (opt == 'w')
			only = optarg;
		else if (opt == 'f')
			factor = strtod(optarg, NULL);
		else
			return 2;
	}
	if (optind != argc - 1 || nr_rounds < 1 || nr_rounds > ROUNDS_MOST || b.size_bytes < DEPTH_MOST * MIB) {
		fprintf(stderr, "usage: drivers [-m MIB] [-r ROUNDS] [-w WORK] [-f FACTOR] IMAGE\n");
		return 2;
	}
	b.path = argv[optind];
	if (posix_memalign((void **)&b.memory, 4096, DEPTH_MOST * MIB))
		fail("memory", strerror(ENOMEM));
	make_image(&b);
	for (size_t i = 0; i < array_size(works); i++) {
		struct work work = works[i];

		work.nr_ops = (uint32_t)(work.nr_ops * factor);
		if (strstr(work.name, only))
			bench_work(&b, &work, nr_rounds);
	}
	unlink(b.path);
	free(b.memory);
	return 0;
}
