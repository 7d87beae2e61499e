/*
 * tools/iowatch.so - loaded before a program (LD_PRELOAD), watches what it does to one file.
 *
 *	IOWATCH_FILE=IMG        the file, by whatever name or descriptor it is reached
 *	IOWATCH_LOG=LOG         each write of it, with its bytes, and each flush, is appended there:
 *	                        a letter, offset and length (u64) and the bytes; W write, F flush,
 *	                        D the write before was durable by itself
 *	IOWATCH_BAD=FROM-TO     reads of these bytes of it fail with EIO, writes of them too
 *	IOWATCH_STOP=N          the program ends without a word, with status 99, in place of its Nth write of it
 *	IOWATCH_FULL=PATH,N     writes to this file fail with ENOSPC behind its first N bytes
 *
 * Reads and writes by position only, as the checker does them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) \
	static __typeof__(name) *real; \
	if (!real) \
	real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_file(int fd, const char *path)
{
	struct stat a, b;

	return path && fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int is_watched(int fd)
{
	return is_file(fd, getenv("IOWATCH_FILE"));
}

static int is_bad(int fd, uint64_t offset, uint64_t len)
{
	const char *bad = getenv("IOWATCH_BAD");
	unsigned long long from, to;

	return bad && sscanf(bad, "%llu-%llu", &from, &to) == 2 && offset < to && offset + len > from &&
	       is_watched(fd);
}

static void put(FILE *log, char what, uint64_t offset, uint64_t len)
{
	fputc(what, log);
	fwrite(&offset, sizeof(offset), 1, log);
	fwrite(&len, sizeof(len), 1, log);
}

static FILE *open_log(int fd)
{
	const char *path = getenv("IOWATCH_LOG");

	return path && is_watched(fd) ? fopen(path, "ae") : NULL;
}

static void maybe_stop(int fd)
{
	static long nr;
	const char *stop = getenv("IOWATCH_STOP");

	if (stop && is_watched(fd) && ++nr >= atol(stop))
		_exit(99);
}

static void log_write(int fd, uint64_t offset, const struct iovec *iov, int count)
{
	FILE *log;
	uint64_t len = 0;
	int i;

	maybe_stop(fd);
	log = open_log(fd);
	if (!log)
		return;
	for (i = 0; i < count; i++)
		len += iov[i].iov_len;
	put(log, 'W', offset, len);
	for (i = 0; i < count; i++)
		fwrite(iov[i].iov_base, 1, iov[i].iov_len, log);
	fclose(log);
}

static void log_event(int fd, char what)
{
	FILE *log = open_log(fd);

	if (!log)
		return;
	put(log, what, 0, 0);
	fclose(log);
}

static uint64_t length(const struct iovec *iov, int count)
{
	uint64_t len = 0;

	while (count-- > 0)
		len += iov[count].iov_len;
	return len;
}

static ssize_t fail(int err)
{
	errno = err;
	return -1;
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	REAL(pread);
	return is_bad(fd, (uint64_t)offset, len) ? fail(EIO) : real(fd, buf, len, offset);
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	REAL(preadv);
	return is_bad(fd, (uint64_t)offset, length(iov, count)) ? fail(EIO) : real(fd, iov, count, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	REAL(preadv2);
	return is_bad(fd, (uint64_t)offset, length(iov, count)) ? fail(EIO)
								: real(fd, iov, count, offset, flags);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct iovec one = {(void *)buf, len};

	REAL(pwrite);
	if (is_bad(fd, (uint64_t)offset, len))
		return fail(EIO);
	log_write(fd, (uint64_t)offset, &one, 1);
	return real(fd, buf, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	REAL(pwritev);
	if (is_bad(fd, (uint64_t)offset, length(iov, count)))
		return fail(EIO);
	log_write(fd, (uint64_t)offset, iov, count);
	return real(fd, iov, count, offset);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	REAL(pwritev2);
	if (is_bad(fd, (uint64_t)offset, length(iov, count)))
		return fail(EIO);
	log_write(fd, (uint64_t)offset, iov, count);
	if (flags & (RWF_DSYNC | RWF_SYNC))
		log_event(fd, 'D');
	return real(fd, iov, count, offset, flags);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	const char *full = getenv("IOWATCH_FULL"), *comma = full ? strrchr(full, ',') : NULL;
	char path[4096];

	REAL(write);
	if (comma && (size_t)(comma - full) < sizeof(path)) {
		snprintf(path, sizeof(path), "%.*s", (int)(comma - full), full);
		if (is_file(fd, path) && lseek(fd, 0, SEEK_CUR) + (off_t)len > atoll(comma + 1))
			return fail(ENOSPC);
	}
	return real(fd, buf, len);
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	log_event(fd, 'F');
	return real(fd);
}

int fsync(int fd)
{
	REAL(fsync);
	log_event(fd, 'F');
	return real(fd);
}
