/*
 * bench/bench.c - one workload in one process, and how fast it went.
 *
 *	bench WORKLOAD DIR
 *
 * Prints one number: MiB/s where data is moved, operations/s otherwise. What a workload needs to be
 * there (its file, its tree) an earlier one has left in DIR. Data is random, written at its first
 * use; what was written counts as done when it has been fsynced, since a cache is not a disk.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "tools/tool.h"

#define MIB (1 << 20)
#define FILE_MIB 256
#define SMALL 4096
#define RANDOM_READS 20000
#define RANDOM_WRITES 20000
#define APPENDS 1000
#define DIRS 100
#define FILES_A_DIR 200
#define FILES (DIRS * FILES_A_DIR)

static char *bytes;	/* MIB of them */

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		die("%s", name);
	return fd;
}

static void sync_and_close(int fd)
{
	if (fsync(fd) || close(fd))
		die("fsync");
}

/* ---- one large file ---- */

static double write_file(size_t call)
{
	double began = seconds_now();
	int fd = open_or_die("large", O_CREAT | O_TRUNC | O_WRONLY);

	for (size_t done = 0; done < (size_t)FILE_MIB * MIB; done += call)
		if (write(fd, bytes, call) != (ssize_t)call)
			die("write");
	sync_and_close(fd);
	return FILE_MIB / (seconds_now() - began);
}

static double read_file(size_t call)
{
	double began = seconds_now();
	int fd = open_or_die("large", O_RDONLY);
	ssize_t n;

	while ((n = read(fd, bytes, call)) > 0)
		;
	if (n < 0)
		die("read");
	close(fd);
	return FILE_MIB / (seconds_now() - began);
}

static off_t random_place(struct rand *rand)
{
	return (off_t)rand_below(rand, (uint64_t)FILE_MIB * MIB / SMALL) * SMALL;
}

static double random_read(struct rand *rand)
{
	double began = seconds_now();
	int fd = open_or_die("large", O_RDONLY);

	for (int i = 0; i < RANDOM_READS; i++)
		if (pread(fd, bytes, SMALL, random_place(rand)) != SMALL)
			die("pread");
	close(fd);
	return RANDOM_READS / (seconds_now() - began);
}

static double random_write(struct rand *rand)
{
	double began = seconds_now();
	int fd = open_or_die("large", O_WRONLY);

	for (int i = 0; i < RANDOM_WRITES; i++)
		if (pwrite(fd, bytes, SMALL, random_place(rand)) != SMALL)
			die("pwrite");
	sync_and_close(fd);
	return RANDOM_WRITES / (seconds_now() - began);
}

static void append_and_sync(int job)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "log-%d", job);
	fd = open_or_die(name, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND);
	for (int i = 0; i < APPENDS; i++)
		if (write(fd, bytes, SMALL) != SMALL || fsync(fd))
			die("append");
	close(fd);
}

/* Each job is a process with a file of its own; the fsyncs of all of them in a second. */
static double append_and_sync_jobs(int nr_jobs)
{
	double began = seconds_now();
	int status;

	for (int job = 1; job < nr_jobs; job++) {
		if (fork() == 0) {
			append_and_sync(job);
			_exit(0);
		}
	}
	append_and_sync(0);
	while (wait(&status) > 0)
		if (status != 0)
			exit(1);
	return APPENDS * nr_jobs / (seconds_now() - began);
}

/* ---- many small files ---- */

static const char *file_name(int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "tree/dir-%d/file-%d", i / FILES_A_DIR, i % FILES_A_DIR);
	return name;
}

static void make_dirs(void)
{
	char name[64];

	if (mkdir("tree", 0755))
		die("mkdir");
	for (int i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "tree/dir-%d", i);
		if (mkdir(name, 0755))
			die("mkdir %s", name);
	}
}

static double create_files(void)
{
	double began = seconds_now();

	make_dirs();
	for (int i = 0; i < FILES; i++) {
		int fd = open_or_die(file_name(i), O_CREAT | O_EXCL | O_WRONLY);

		if (write(fd, bytes, SMALL) != SMALL || close(fd))
			die("%s", file_name(i));
	}
	return FILES / (seconds_now() - began);
}

static double stat_files(void)
{
	double began = seconds_now();
	struct stat st;

	for (int i = 0; i < FILES; i++)
		if (stat(file_name(i), &st))
			die("%s", file_name(i));
	return FILES / (seconds_now() - began);
}

static double read_files(void)
{
	double began = seconds_now();

	for (int i = 0; i < FILES; i++) {
		int fd = open_or_die(file_name(i), O_RDONLY);

		if (read(fd, bytes, SMALL) != SMALL || close(fd))
			die("%s", file_name(i));
	}
	return FILES / (seconds_now() - began);
}

static double unlink_files(void)
{
	double began = seconds_now();

	for (int i = 0; i < FILES; i++)
		if (unlink(file_name(i)))
			die("%s", file_name(i));
	return FILES / (seconds_now() - began);
}

static double run(const char *workload, struct rand *rand)
{
	if (strcmp(workload, "write-1M") == 0)
		return write_file(MIB);
	if (strcmp(workload, "write-4k") == 0)
		return write_file(SMALL);
	if (strcmp(workload, "read-1M") == 0)
		return read_file(MIB);
	if (strcmp(workload, "read-4k") == 0)
		return read_file(SMALL);
	if (strcmp(workload, "random-read") == 0)
		return random_read(rand);
	if (strcmp(workload, "random-write") == 0)
		return random_write(rand);
	if (strcmp(workload, "append-fsync") == 0)
		return append_and_sync_jobs(1);
	if (strcmp(workload, "append-fsync-4") == 0)
		return append_and_sync_jobs(4);
	if (strcmp(workload, "append-fsync-8") == 0)
		return append_and_sync_jobs(8);
	if (strcmp(workload, "create") == 0)
		return create_files();
	if (strcmp(workload, "stat") == 0)
		return stat_files();
	if (strcmp(workload, "read-small") == 0)
		return read_files();
	if (strcmp(workload, "unlink") == 0)
		return unlink_files();
	fprintf(stderr, "no workload %s\n", workload);
	exit(2);
}

int main(int argc, char **argv)
{
	struct rand rand;

	if (argc != 3) {
		fprintf(stderr, "usage: bench WORKLOAD DIR\n");
		return 2;
	}
	if (chdir(argv[2]))
		die("%s", argv[2]);
	rand_init(&rand, 1);
	bytes = alloc_or_die(MIB);
	rand_fill(&rand, bytes, MIB);
	printf("%.1f\n", run(argv[1], &rand));
	free(bytes);
	return 0;
}
