/*
 * tools/sparsecmp.c - two sparse files hold the same bytes.
 *
 *	sparsecmp A B
 *
 * Reads only where one of them says that there is data, so that a terabyte of holes costs nothing.
 * Prints the first difference and leaves with 1 when there is one.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool.h"

#define CHUNK_BYTES (1u << 20)

struct file {
	const char *name;
	int fd;
	off_t size;
	char *chunk;
};

static struct file open_file(const char *name)
{
	struct file f = {.name = name, .fd = open(name, O_RDONLY)};
	struct stat st;

	if (f.fd < 0 || fstat(f.fd, &st) < 0)
		die("%s", name);
	f.size = st.st_size;
	f.chunk = alloc_or_die(CHUNK_BYTES);
	return f;
}

static void read_chunk(struct file *f, off_t at, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(f->fd, f->chunk + done, len - done, at + (off_t)done);

		if (n <= 0)
			die("%s: reading at %lld", f->name, (long long)at);
		done += (size_t)n;
	}
}

static int compare_range(struct file *a, struct file *b, off_t at, off_t end)
{
	while (at < end) {
		size_t len = end - at < CHUNK_BYTES ? (size_t)(end - at) : CHUNK_BYTES;

		read_chunk(a, at, len);
		read_chunk(b, at, len);
		for (size_t i = 0; memcmp(a->chunk, b->chunk, len) && i < len; i++) {
			if (a->chunk[i] == b->chunk[i])
				continue;
			printf("%s and %s differ at byte %lld: %02x and %02x\n", a->name, b->name,
			       (long long)at + (long long)i, (unsigned char)a->chunk[i],
			       (unsigned char)b->chunk[i]);
			return 1;
		}
		at += (off_t)len;
	}
	return 0;
}

/* Compares wherever `a` has data. */
static int compare_data(struct file *a, struct file *b)
{
	off_t at = 0;

	while ((at = lseek(a->fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(a->fd, at, SEEK_HOLE);

		if (end < 0)
			die("%s: its holes cannot be found", a->name);
		if (compare_range(a, b, at, end))
			return 1;
		at = end;
	}
	if (errno != ENXIO)
		die("%s: its data cannot be found", a->name);
	return 0;
}

int main(int argc, char **argv)
{
	struct file a, b;

	if (argc != 3) {
		fprintf(stderr, "usage: sparsecmp A B\n");
		return 2;
	}
	a = open_file(argv[1]);
	b = open_file(argv[2]);
	if (a.size != b.size) {
		printf("%s has %lld bytes, %s %lld\n", a.name, (long long)a.size, b.name, (long long)b.size);
		return 1;
	}
	return compare_data(&a, &b) || compare_data(&b, &a);
}
