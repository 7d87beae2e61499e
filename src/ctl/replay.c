/*
 * extantctl replay: the requests of an iolog, done once more.
 *
 * By default what is written stays in memory, so that an image can be measured and kept. The data
 * that is written is no one's: a trace has none. Requests are handed in as fast as `depth` allows or,
 * with --timed, no sooner than the log says; what the image is too slow for comes late and is told so.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "block/disk.h"
#include "ctl.h"
#include "drivers/cowdisk.h"
#include "drivers/filedisk.h"
#include "drivers/iolog.h"
#include "drivers/mmapdisk.h"
#include "drivers/uringdisk.h"
#include "sched/sched.h"

#define DEPTH_DEFAULT 32u
#define DEPTH_MAX 1024u
#define PIECE_BYTES (1u << 20)	/* longer requests go in such pieces, at once */
#define NAP_US_MAX 100000u	/* one sleep, so that any time in a log can be waited for */
#define LATE_US 1000u		/* what comes later than that counts as late */

struct replay {
	const char *driver, *scheduler;
	bool writes, is_direct, is_timed;
	uint32_t depth;
	uint64_t began_ns;
	struct disk *disk, *image;
	struct clock *clock;

	struct mutex lock;
	struct cond ended;
	uint32_t nr_out;	/* [lock] */
	uint64_t nr_errors;	/* [lock] */
	uint64_t nr[BIO_NR_OPS], bytes[BIO_NR_OPS];
	uint64_t nr_late, worst_late_us;
};

static int open_driver(struct replay *r, const char *image, char *why, size_t why_size)
{
	const struct elevator_ops *elevator = sched_find(r->scheduler);
	struct disk_config config = {.name = image, .clock = r->clock, .elevator = elevator};
	bool is_read_only = !r->writes;

	if (!elevator) {
		snprintf(why, why_size, "scheduler \"%s\" is none of %s", r->scheduler, SCHED_NAMES);
		return -EINVAL;
	}
	if (strcmp(r->driver, "uring") == 0)
		return uringdisk_open(image, &(struct uringdisk_config){.is_read_only = is_read_only, .takes_lock = true,
					       .is_direct = r->is_direct}, &config, NULL, &r->disk, why, why_size);
	if (strcmp(r->driver, "mmap") == 0)
		return mmapdisk_open(image, &(struct mmapdisk_config){.is_read_only = is_read_only, .takes_lock = true},
				     &config, &r->disk, why, why_size);
	if (strcmp(r->driver, "file") == 0)
		return filedisk_open(image, &(struct filedisk_config){.is_read_only = is_read_only, .takes_lock = true,
					      .is_direct = r->is_direct}, &config, &r->disk, why, why_size);
	snprintf(why, why_size, "driver \"%s\" is none of file|uring|mmap", r->driver);
	return -EINVAL;
}

static int open_disks(struct replay *r, const char *image, char *why, size_t why_size)
{
	struct cowdisk_config cow = {.owns_lower = true};
	struct disk_config config = {.name = image, .clock = r->clock};
	int err = open_driver(r, image, why, why_size);

	r->image = r->disk;
	if (!err && !r->writes)
		err = cowdisk_open(r->disk, &cow, &config, NULL, &r->disk, why, why_size);
	return err;
}

static void piece_ended(struct bio *bio)
{
	struct replay *r = bio->private;

	mutex_lock(&r->lock);
	r->nr_errors += bio->status != 0;
	r->nr_out--;
	cond_signal(&r->ended);
	mutex_unlock(&r->lock);
	if (bio->nr_vecs)
		mem_free(bio->vecs[0].base);
	bio_free(bio);
}

static void wait_until_below(struct replay *r, uint32_t nr)
{
	mutex_lock(&r->lock);
	while (r->nr_out >= nr)
		cond_wait(&r->ended, &r->lock);
	mutex_unlock(&r->lock);
}

static int submit_piece(struct replay *r, enum bio_op op, uint64_t offset, uint32_t len)
{
	struct bio *bio = bio_alloc(r->disk, op, 0, offset >> SECTOR_SHIFT, 1);
	void *memory = op == BIO_READ || op == BIO_WRITE ? mem_alloc_aligned(len, 4096) : NULL;

	if (!bio || (!memory && (op == BIO_READ || op == BIO_WRITE))) {
		bio_free(bio);
		mem_free(memory);
		return -ENOMEM;
	}
	if (memory) {
		memset(memory, 0, len);
		must(bio_add(bio, memory, len));
	} else {
		bio->size_bytes = len;
	}
	bio->private = r;
	bio->end_io = piece_ended;
	wait_until_below(r, r->depth);
	mutex_lock(&r->lock);
	r->nr_out++;
	mutex_unlock(&r->lock);
	bio_submit(bio);
	return 0;
}

static uint64_t elapsed_us(const struct replay *r)
{
	return (clock_now_ns(r->clock) - r->began_ns) / 1000;
}

static void wait_for_time(struct replay *r, uint64_t at_us)
{
	uint64_t us;

	while ((us = elapsed_us(r)) < at_us) {
		uint64_t nap_us = min(at_us - us, (uint64_t)NAP_US_MAX);

		nanosleep(&(struct timespec){.tv_nsec = (long)nap_us * 1000}, NULL);
	}
	if (us - at_us > LATE_US)
		r->nr_late++;
	r->worst_late_us = max(r->worst_late_us, us - at_us);
}

/* A sync speaks for what completed before, so all that is under way is waited for. */
static int do_action(struct replay *r, const struct iolog_action *a)
{
	uint64_t size_bytes = disk_limits(r->disk)->size_bytes;
	int err = 0;

	if (a->offset_bytes > size_bytes || a->len_bytes > size_bytes - a->offset_bytes)
		return -ENXIO;
	if (r->is_timed)
		wait_for_time(r, a->at_us);
	r->nr[a->op]++;
	r->bytes[a->op] += a->len_bytes;
	if (a->op == BIO_FLUSH) {
		wait_until_below(r, 1);
		return submit_piece(r, BIO_FLUSH, 0, 0);
	}
	for (uint64_t done = 0; done < a->len_bytes && !err; done += PIECE_BYTES)
		err = submit_piece(r, a->op, a->offset_bytes + done,
				   (uint32_t)min(a->len_bytes - done, (uint64_t)PIECE_BYTES));
	return err;
}

static int do_all(struct replay *r, FILE *log, const char *path)
{
	struct iolog_action action;
	unsigned version, line_nr = 1;
	char line[4096 + 300];

	version = fgets(line, sizeof(line), log) ? iolog_version(line) : 0;
	if (!version) {
		fprintf(stderr, "extantctl: %s: not an iolog of fio, version 2 or 3\n", path);
		return -EINVAL;
	}
	if (r->is_timed && version < 3) {
		fprintf(stderr, "extantctl: %s: version 2 of the format has no times; replay it without --timed\n",
			path);
		return -EINVAL;
	}
	while (fgets(line, sizeof(line), log)) {
		enum iolog_verb verb = iolog_parse(version, line, &action);
		int err = verb == IOLOG_IO ? do_action(r, &action) : 0;

		line_nr++;
		if (verb == IOLOG_BAD) {
			fprintf(stderr, "extantctl: %s:%u: cannot make sense of this line\n", path, line_nr);
			return -EINVAL;
		}
		if (err) {
			fprintf(stderr, "extantctl: %s:%u: %s\n", path, line_nr,
				err == -ENXIO ? "beyond the end of the image" : strerror(-err));
			return err;
		}
	}
	return 0;
}

static void tell(const struct replay *r, uint64_t ns)
{
	static const char *const words[BIO_NR_OPS] = {"reads", "writes", "syncs", "trims"};
	const struct disk_stats *s = disk_stats(r->image);
	double seconds = (double)ns / 1e9;
	uint64_t nr = 0;

	for (size_t i = 0; i < BIO_NR_OPS; i++) {
		nr += r->nr[i];
		printf("%-7s %10" PRIu64 "  %14" PRIu64 " bytes\n", words[i], r->nr[i], r->bytes[i]);
	}
	printf("seconds %10.3f  %14.0f a second\n", seconds, seconds > 0 ? (double)nr / seconds : 0);
	printf("image: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " merged; mean wait %" PRIu64
	       " us, service %" PRIu64 " us\n", counter_get(&s->ios[BIO_READ]), counter_get(&s->ios[BIO_WRITE]),
	       counter_get(&s->merges), histogram_mean(&s->wait_ns) / 1000, histogram_mean(&s->service_ns) / 1000);
	if (r->is_timed)
		printf("late    %10" PRIu64 "  by more than %u us; at most %" PRIu64 " us\n", r->nr_late, LATE_US,
		       r->worst_late_us);
	if (r->nr_errors)
		printf("failed  %10" PRIu64 "\n", r->nr_errors);
}

static int run(struct replay *r, const char *log_path, const char *image)
{
	FILE *log = strcmp(log_path, "-") == 0 ? stdin : fopen(log_path, "re");
	char why[512] = "out of memory";
	int err;

	if (!log) {
		fprintf(stderr, "extantctl: %s: %s\n", log_path, strerror(errno));
		return CTL_FAILED;
	}
	err = open_disks(r, image, why, sizeof(why));
	if (err) {
		fprintf(stderr, "extantctl: %s\n", why);
	} else {
		r->began_ns = clock_now_ns(r->clock);
		err = do_all(r, log, log_path);
		wait_until_below(r, 1);
		if (!err)
			tell(r, clock_now_ns(r->clock) - r->began_ns);
	}
	disk_close(r->disk);
	if (log != stdin)
		fclose(log);
	return err || r->nr_errors ? CTL_FAILED : 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: extantctl replay [--timed] [--driver file|uring|mmap] [--direct] [--sched NAME] "
			"[--depth N] [--write] IOLOG IMAGE\n");
	return CTL_USAGE;
}

int ctl_replay(int argc, char **argv)
{
	static const struct option options[] = {
		{"driver", required_argument, NULL, 'd'}, {"sched", required_argument, NULL, 's'},
		{"depth", required_argument, NULL, 'q'}, {"write", no_argument, NULL, 'w'},
		{"direct", no_argument, NULL, 'o'}, {"timed", no_argument, NULL, 't'}, {0},
	};
	struct replay r = {.driver = "file", .scheduler = "noop", .depth = DEPTH_DEFAULT};
	int opt, status;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'd')
			r.driver = optarg;
		else if (opt == 's')
			r.scheduler = optarg;
		else if (opt == 'q')
			r.depth = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'w')
			r.writes = true;
		else if (opt == 'o')
			r.is_direct = true;
		else if (opt == 't')
			r.is_timed = true;
		else
			return usage();
	}
	if (argc - optind != 2 || r.depth < 1 || r.depth > DEPTH_MAX ||
	    (r.is_direct && strcmp(r.driver, "mmap") == 0))
		return usage();
	r.clock = clock_create_real();
	if (!r.clock)
		return CTL_FAILED;
	mutex_init(&r.lock, RANK_LEAF, "replay");
	cond_init(&r.ended);
	status = run(&r, argv[optind], argv[optind + 1]);
	cond_done(&r.ended);
	mutex_done(&r.lock);
	clock_destroy(r.clock);
	return status;
}
