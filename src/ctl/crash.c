/*
 * extantctl crash: images that a power cut could have left, for a command to look at.
 *
 * A mount with -o record=LOG wrote down each write to the image. From a copy of the image as it was
 * before, and that record, a state is made: what was durable at the moment of the cut is there; of
 * what was not, each write or each sector is there by chance. Each state is a file; the command
 * gets its name and says by its exit status whether what it cares for is still there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/types.h"
#include "block/disk.h"
#include "ctl.h"
#include "drivers/filedisk.h"
#include "drivers/recordlog.h"

#define STATES_DEFAULT 100u
#define PATH_BYTES 4096u

enum style { ALL_SURVIVE, NONE_SURVIVE, WRITES_BY_CHANCE, SECTORS_BY_CHANCE, NR_STYLES };

static const char *const style_names[NR_STYLES] = {
	"everything written so far survives", "nothing survives that was not flushed", "some writes survive",
	"some sectors survive"};

struct crash {
	uint64_t nr_states, seed;
	int64_t only;			/* the number of one state; -1: all */
	const char *image, *log_path;
	char cut[PATH_BYTES];		/* where the states are made */
	char **command;
	struct recordlog *log;
	uint64_t *offsets;		/* by tick: bytes of the record when the event was over */
	char why[512];
};

struct state {
	uint64_t number, tick;
	enum style style;
	struct rand rand;		/* what survives is drawn from it */
};

/* ---- the record ---- */

/* How long the record was at each moment: so a program can tell what it had done by then. */
static int measure_record(struct crash *c)
{
	uint64_t last = recordlog_last_tick(c->log), nr = recordlog_count(c->log);

	c->offsets = calloc(last + 2, sizeof(c->offsets[0]));
	if (!c->offsets)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++) {
		const struct record *r = recordlog_get(c->log, i);

		if (r->kind == RECORD_WRITE)
			c->offsets[r->submitted] += r->size_bytes;
		if (r->kind == RECORD_MARK)
			c->offsets[r->submitted] += strlen(r->data);
	}
	c->offsets[0] = sizeof(struct recordlog_file_header);
	for (uint64_t tick = 1; tick <= last; tick++)
		c->offsets[tick] += c->offsets[tick - 1] + sizeof(struct recordlog_file_event);
	return 0;
}

static int load(struct crash *c)
{
	bool is_cut;
	int err = recordlog_load(c->log_path, &c->log, &is_cut, c->why, sizeof(c->why));

	if (!err && recordlog_last_tick(c->log) == 0) {
		snprintf(c->why, sizeof(c->why), "nothing was recorded");
		err = -EINVAL;
	}
	return err ? err : measure_record(c);
}

/* ---- one state ---- */

static void choose_state(const struct crash *c, uint64_t number, struct state *s)
{
	*s = (struct state){.number = number, .style = number % NR_STYLES};
	rand_init(&s->rand, c->seed * 1000003 + number);
	s->tick = 1 + rand_below(&s->rand, recordlog_last_tick(c->log));
}

static int copy_range(int from, int to, off_t at, off_t end)
{
	static char bytes[1u << 20];

	while (at < end) {
		size_t want = (size_t)min((off_t)sizeof(bytes), end - at);
		ssize_t got = pread(from, bytes, want, at);

		if (got <= 0)
			return got ? -errno : -EIO;
		if (pwrite(to, bytes, (size_t)got, at) != got)
			return -errno;
		at += got;
	}
	return 0;
}

/* Holes stay holes: images are sparse as a rule. */
static int copy_sparse(int from, int to)
{
	struct stat st;
	off_t at = 0;
	int err = fstat(from, &st) || ftruncate(to, st.st_size) ? -errno : 0;

	while (!err && at < st.st_size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		err = copy_range(from, to, data, hole);
		at = hole;
	}
	return err;
}

static int copy_image(struct crash *c)
{
	int from = open(c->image, O_RDONLY | O_CLOEXEC), to, err;

	if (from < 0)
		return -errno;
	to = open(c->cut, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = to < 0 ? -errno : copy_sparse(from, to);
	if (to >= 0 && close(to) && !err)
		err = -errno;
	close(from);
	return err;
}

static int apply_by_chance(const struct record *r, struct disk *disk, struct state *s)
{
	uint32_t sectors = r->size_bytes >> SECTOR_SHIFT;
	int err = 0;

	switch (s->style) {
	case ALL_SURVIVE:
		return record_apply(r, disk, 0, sectors);
	case NONE_SURVIVE:
		return 0;
	case WRITES_BY_CHANCE:
		return rand_one_in(&s->rand, 2) ? record_apply(r, disk, 0, sectors) : 0;
	default:
		for (uint32_t i = 0; i < sectors && !err; i++)
			if (rand_one_in(&s->rand, 2))
				err = record_apply(r, disk, i, 1);
		return err;
	}
}

static int apply_record(const struct record *r, const struct record_cut *cut, struct disk *disk, struct state *s)
{
	if (r->kind != RECORD_WRITE && r->kind != RECORD_DISCARD)
		return 0;
	switch (record_fate(r, cut)) {
	case RECORD_MUST_SURVIVE:
		return record_apply(r, disk, 0, r->size_bytes >> SECTOR_SHIFT);
	case RECORD_MAY_SURVIVE:
		return apply_by_chance(r, disk, s);
	case RECORD_CANNOT_SURVIVE:
		break;
	}
	return 0;
}

static int make_state(struct crash *c, struct state *s)
{
	struct record_cut cut = recordlog_cut(c->log, s->tick);
	const struct filedisk_config file = {0};
	const struct disk_config config = {.name = c->cut, .is_inline = true};
	struct disk *disk;
	int err = copy_image(c);

	snprintf(c->why, sizeof(c->why), "cannot make %.400s", c->cut);
	if (!err)
		err = filedisk_open(c->cut, &file, &config, &disk, c->why, sizeof(c->why));
	if (err)
		return err;
	for (uint64_t i = 0; i < recordlog_count(c->log) && !err; i++)
		err = apply_record(recordlog_get(c->log, i), &cut, disk, s);
	disk_close(disk);
	return err;
}

/* ---- the command ---- */

static void set_number(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	setenv(name, text, 1);
}

/* Its exit status; 128 and more: it could not run, or was killed. */
static int run_command(const struct crash *c, const struct state *s)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 128;
	if (pid == 0) {
		set_number("EXTANT_CUT_TICK", s->tick);
		set_number("EXTANT_CUT_RECORD_BYTES", c->offsets[s->tick]);
		execvp(c->command[0], c->command);
		fprintf(stderr, "extantctl: %s: %s\n", c->command[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 128;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* *ret_failed: the command did not like the state. */
static int try_state(struct crash *c, uint64_t number, bool *ret_failed)
{
	struct state s;
	int err, status;

	choose_state(c, number, &s);
	err = make_state(c, &s);
	if (err)
		return err;
	status = run_command(c, &s);
	*ret_failed = status != 0;
	if (status)
		printf("state %llu: status %d, cut behind event %llu of %llu, %s; again: --seed %llu --only %llu\n",
		       (unsigned long long)number, status, (unsigned long long)s.tick,
		       (unsigned long long)recordlog_last_tick(c->log), style_names[s.style],
		       (unsigned long long)c->seed, (unsigned long long)number);
	return 0;
}

static int try_all(struct crash *c, uint64_t *ret_failed)
{
	uint64_t first = c->only >= 0 ? (uint64_t)c->only : 0;
	uint64_t end = c->only >= 0 ? first + 1 : c->nr_states;

	*ret_failed = 0;
	for (uint64_t n = first; n < end; n++) {
		bool failed;
		int err = try_state(c, n, &failed);

		if (err)
			return err;
		*ret_failed += failed;
	}
	printf("%llu states, %llu of them failed\n", (unsigned long long)(end - first),
	       (unsigned long long)*ret_failed);
	if (c->only < 0)
		unlink(c->cut);
	return 0;
}

/* ---- words ---- */

static int usage(void)
{
	fprintf(stderr, "usage: extantctl crash [--states N] [--seed N] [--only N] [--cut FILE] IMAGE RECORD COMMAND [ARG...]\n");
	return CTL_USAGE;
}

/* One option with its value; false: it is none, or not a number. */
static bool read_option(struct crash *c, const char *name, const char *value)
{
	char *end = NULL;
	uint64_t n;

	if (!value)
		return false;
	if (strcmp(name, "--cut") == 0)
		return snprintf(c->cut, sizeof(c->cut), "%s", value) < (int)sizeof(c->cut);
	n = strtoull(value, &end, 10);
	if (*end || !*value)
		return false;
	if (strcmp(name, "--states") == 0)
		c->nr_states = n;
	else if (strcmp(name, "--seed") == 0)
		c->seed = n;
	else if (strcmp(name, "--only") == 0)
		c->only = (int64_t)n;
	else
		return false;
	return true;
}

/* The command is called with the state's name as its last argument. */
static bool read_words(struct crash *c, int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0 && argv[i][2]; i += 2)
		if (!read_option(c, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			return false;
	if (argc - i < 3)
		return false;
	c->image = argv[i];
	c->log_path = argv[i + 1];
	if (!c->cut[0] && snprintf(c->cut, sizeof(c->cut), "%s.cut", c->log_path) >= (int)sizeof(c->cut))
		return false;
	i += 2;
	if (strcmp(argv[i], "--") == 0)
		i++;
	c->command = calloc((size_t)(argc - i) + 2, sizeof(c->command[0]));
	if (!c->command || i == argc)
		return false;
	memcpy(c->command, argv + i, (size_t)(argc - i) * sizeof(c->command[0]));
	c->command[argc - i] = c->cut;
	return true;
}

int ctl_crash(int argc, char **argv)
{
	struct crash c = {.nr_states = STATES_DEFAULT, .seed = 1, .only = -1};
	uint64_t nr_failed = 0;
	int err;

	if (!read_words(&c, argc, argv)) {
		free(c.command);
		return usage();
	}
	err = load(&c);
	if (!err)
		err = try_all(&c, &nr_failed);
	if (err)
		fprintf(stderr, "extantctl: %s (%s)\n", c.why, strerror(-err));
	recordlog_destroy(c.log);
	free(c.offsets);
	free(c.command);
	return err || nr_failed ? CTL_FAILED : 0;
}
