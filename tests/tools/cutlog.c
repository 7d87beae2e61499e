/*
 * tools/cutlog.c - what a disk holds when the writes to it were cut off.
 *
 *	cutlog LOG                  prints how many writes LOG (tests/fsck/iowatch.c) has
 *	cutlog LOG IMAGE N [SEED]   IMAGE, as it was before, becomes what it was after the first N writes
 *
 * With SEED those of them that no flush has made durable survive or not, by lot; the last of a kind of two
 * writes to one place is always the later one.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "base/rand.h"
#include "tools/tool.h"

struct event {
	char what;
	uint64_t offset, len;
	long at; /* of its bytes in the log */
	bool is_durable;
};

struct log {
	FILE *in;
	struct event *events;
	size_t count, room, nr_writes;
};

static bool read_number(FILE *in, uint64_t *ret)
{
	return fread(ret, sizeof(*ret), 1, in) == 1;
}

static void add(struct log *log, struct event e)
{
	if (log->count == log->room) {
		log->room = log->room * 2 + 256;
		log->events = realloc(log->events, log->room * sizeof(e));
		if (!log->events)
			die("memory");
	}
	log->events[log->count++] = e;
	log->nr_writes += e.what == 'W';
}

static void read_log(struct log *log, const char *path)
{
	struct event e;
	int what;

	log->in = fopen(path, "re");
	if (!log->in)
		die("%s", path);
	while ((what = fgetc(log->in)) != EOF) {
		e = (struct event){.what = (char)what};
		if (!read_number(log->in, &e.offset) || !read_number(log->in, &e.len))
			die("%s ends early", path);
		e.at = ftell(log->in);
		if (fseek(log->in, (long)e.len, SEEK_CUR))
			die("%s", path);
		add(log, e);
	}
}

/* The events up to the nth write, and which of them are durable by then. Returns how many there are. */
static size_t find_cut(struct log *log, size_t nth)
{
	size_t i, end = 0, nr = 0, j;

	for (i = 0; i < log->count && (nr < nth || log->events[i].what != 'W'); i++) {
		struct event *e = &log->events[i];

		end = i + 1;
		if (e->what == 'W')
			nr++;
		else if (e->what == 'D' && i)
			log->events[i - 1].is_durable = true;
		else
			for (j = 0; j < i; j++)
				log->events[j].is_durable = true;
	}
	return end;
}

static void apply(const struct log *log, const struct event *e, int fd)
{
	uint8_t *bytes = alloc_or_die(e->len);

	if (fseek(log->in, e->at, SEEK_SET) || fread(bytes, 1, e->len, log->in) != e->len ||
	    pwrite(fd, bytes, e->len, (off_t)e->offset) != (ssize_t)e->len)
		die("a write of %llu bytes", (unsigned long long)e->len);
	free(bytes);
}

int main(int argc, char **argv)
{
	struct log log = {0};
	struct rand rand;
	size_t i, end;
	int fd;

	if (argc != 2 && argc != 4 && argc != 5) {
		fprintf(stderr, "usage: cutlog LOG [IMAGE N [SEED]]\n");
		return 2;
	}
	read_log(&log, argv[1]);
	if (argc == 2) {
		printf("%zu\n", log.nr_writes);
		return 0;
	}
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s", argv[2]);
	end = find_cut(&log, strtoull(argv[3], NULL, 10));
	rand_init(&rand, argc == 5 ? strtoull(argv[4], NULL, 10) : 0);
	for (i = 0; i < end; i++)
		if (log.events[i].what == 'W' &&
		    (argc == 4 || log.events[i].is_durable || rand_below(&rand, 2)))
			apply(&log, &log.events[i], fd);
	return 0;
}
