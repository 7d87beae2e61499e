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

/* One that --every tries: behind each write, with it; behind each flush, without what it does not cover. */
struct moment {
	uint64_t tick;
	enum style style;
};

struct crash {
	uint64_t nr_states, seed;
	int64_t only;			/* the number of one state; -1: all */
	bool tries_every;		/* every moment of the record, in place of a sample */
	const char *image, *log_path;
	char cut[PATH_BYTES];		/* where the states are made */
	char **command;
	struct recordlog *log;
	uint64_t *offsets;		/* by tick: bytes of the record when the event was over */
	struct moment *moments;		/* of which each is tried */
	uint64_t nr_moments;
	char why[512];
	bool says_all;			/* why is the whole story, without the error's name */
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

static int by_tick(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	return x->tick < y->tick ? -1 : x->tick > y->tick;
}

static int find_moments(struct crash *c)
{
	uint64_t nr = recordlog_count(c->log);

	c->moments = calloc(nr + 1, sizeof(c->moments[0]));
	if (!c->moments)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++) {
		const struct record *r = recordlog_get(c->log, i);
		struct moment *m = &c->moments[c->nr_moments];

		m->style = r->kind == RECORD_FLUSH ? NONE_SURVIVE : ALL_SURVIVE;
		m->tick = r->completed == RECORD_NEVER ? r->submitted : r->completed;
		c->nr_moments += r->kind != RECORD_MARK;
	}
	qsort(c->moments, c->nr_moments, sizeof(c->moments[0]), by_tick);
	return 0;
}

static int check_image(struct crash *c)
{
	uint64_t wanted = recordlog_disk_bytes(c->log);
	struct stat st;

	if (recordlog_last_tick(c->log) == 0) {
		snprintf(c->why, sizeof(c->why), "nothing was recorded");
		return -EINVAL;
	}
	if (stat(c->image, &st)) {
		snprintf(c->why, sizeof(c->why), "cannot look at %s: %s", c->image, strerror(errno));
		return -ENOENT;
	}
	if ((uint64_t)st.st_size < wanted) {
		snprintf(c->why, sizeof(c->why), "%s has %llu bytes, and the record is of a disk with %llu", c->image,
			 (unsigned long long)st.st_size, (unsigned long long)wanted);
		return -EINVAL;
	}
	return 0;
}

static int load(struct crash *c)
{
	bool is_cut;
	int err = recordlog_load(c->log_path, &c->log, &is_cut, c->why, sizeof(c->why));

	if (!err)
		err = check_image(c);
	c->says_all = err;
	if (!err)
		err = find_moments(c);
	if (!err && c->tries_every)
		c->nr_states = c->nr_moments;
	return err ? err : measure_record(c);
}

/* ---- one state ---- */

static void choose_state(const struct crash *c, uint64_t number, struct state *s)
{
	*s = (struct state){.number = number, .style = number % NR_STYLES};
	rand_init(&s->rand, c->seed * 1000003 + number);
	s->tick = 1 + rand_below(&s->rand, recordlog_last_tick(c->log));
	if (c->tries_every && number < c->nr_moments) {
		s->style = c->moments[number].style;
		s->tick = c->moments[number].tick;
	}
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
	status = c->command[0] == c->cut ? 0 : run_command(c, &s);
	*ret_failed = status != 0;
	if (!status && c->command[0] != c->cut)
		return 0;
	printf("state %llu: status %d, cut behind event %llu of %llu, %s; again: %s--seed %llu --only %llu\n",
	       (unsigned long long)number, status, (unsigned long long)s.tick,
	       (unsigned long long)recordlog_last_tick(c->log), style_names[s.style], c->tries_every ? "--every " : "",
	       (unsigned long long)c->seed, (unsigned long long)number);
	return 0;
}

/* For a person who waits. */
static void show_progress(uint64_t nr, uint64_t total)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%llu of %llu states%s", (unsigned long long)nr, (unsigned long long)total,
			nr == total ? "\n" : "");
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
		show_progress(n + 1 - first, end - first);
	}
	printf("%llu states, %llu of them failed\n", (unsigned long long)(end - first),
	       (unsigned long long)*ret_failed);
	if (c->only < 0)
		unlink(c->cut);
	else
		printf("it is in %s\n", c->cut);
	return 0;
}

/* ---- words ---- */

static const char usage_text[] =
	"usage: extantctl crash [--cut] [--states N | --every] [--seed N] [--only N] [--to FILE] IMAGE RECORD [COMMAND [ARG...]]\n";

static const char help_text[] =
	"Makes images that a power cut could have left, and runs COMMAND on each of them.\n"
	"\n"
	"    cp disk.img before.img\n"
	"    extant -o record=writes.rec disk.img DIR; use DIR; extantctl umount DIR\n"
	"    extantctl crash --cut before.img writes.rec ./is-it-whole\n"
	"\n"
	"IMAGE      the image as it was before the mount\n"
	"RECORD     what the mount wrote (-o record=)\n"
	"COMMAND    gets the name of the image as its last argument, and leaves with 0 if it is content\n"
	"--cut      what is done anyway: cut the power\n"
	"--states N a sample of N states (100)\n"
	"--every    each moment of the record: behind each write with all that was written, behind each flush\n"
	"           without what it does not cover\n"
	"--seed N   another sample (1)\n"
	"--only N   the state of that number, which stays in the file; COMMAND may be left out\n"
	"--to FILE  where the states are made (RECORD.cut)\n"
	"\n"
	"EXTANT_CUT_RECORD_BYTES in COMMAND's environment is the size that RECORD had at the cut, EXTANT_CUT_TICK\n"
	"the number of the event. Exit status: 0 COMMAND was always content, 1 it was not, 2 wrong use.\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return CTL_USAGE;
}

/* One option with its value; false: it is none, or not a number. */
static bool read_option(struct crash *c, const char *name, const char *value)
{
	char *end = NULL;
	uint64_t n;

	if (!value)
		return false;
	if (strcmp(name, "--to") == 0)
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

/* One without a value; false: it is none. */
static bool read_flag(struct crash *c, const char *name)
{
	if (strcmp(name, "--every") == 0)
		return c->tries_every = true;
	return strcmp(name, "--cut") == 0;
}

/* The command is called with the state's name as its last argument. */
static bool read_words(struct crash *c, int argc, char **argv)
{
	int i = 1;

	while (i < argc && strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
		bool is_flag = read_flag(c, argv[i]);

		if (!is_flag && !read_option(c, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			return false;
		i += is_flag ? 1 : 2;
	}
	if (argc - i < (c->only < 0 ? 3 : 2))
		return false;
	c->image = argv[i];
	c->log_path = argv[i + 1];
	if (!c->cut[0] && snprintf(c->cut, sizeof(c->cut), "%s.cut", c->log_path) >= (int)sizeof(c->cut))
		return false;
	i += 2;
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	c->command = calloc((size_t)(argc - i) + 2, sizeof(c->command[0]));
	if (!c->command || (i == argc && c->only < 0))
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

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		printf("%s%s", usage_text, help_text);
		return 0;
	}
	if (!read_words(&c, argc, argv)) {
		free(c.command);
		return usage();
	}
	err = load(&c);
	if (!err)
		err = try_all(&c, &nr_failed);
	if (err && c.says_all)
		fprintf(stderr, "extantctl: %s\n", c.why);
	else if (err)
		fprintf(stderr, "extantctl: %s: %s\n", c.why, strerror(-err));
	recordlog_destroy(c.log);
	free(c.offsets);
	free(c.moments);
	free(c.command);
	return err || nr_failed ? CTL_FAILED : 0;
}
