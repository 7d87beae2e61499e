/*
 * Schedulers on the simulated hdd7200, one command at a time, so that all order is the scheduler's.
 *
 * Theory for random places and q requests always waiting, in cylinders a request, N of them:
 *
 *	FCFS    N / 3           the mean distance of two random places
 *	SCAN    2 N / (3 q)     a place at x (0..1) is passed after x or 1 - x of a stroke: the mean wait
 *	                        is 2/3 of a stroke; by Little's law 3 q / 2 are served in a stroke
 *	C-SCAN  N / q           the mean wait is half a round; 2 q are served in a round of two strokes
 *
 * And for the spread of waits, as a share of their mean: under SCAN the wait for a place at x is anything
 * up to 2x or up to 2 (1 - x), which has the variance 2/9 around 2/3 of a stroke; under C-SCAN it is
 * anything up to a round.
 */
#include "experiments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "report.h"
#include "sched/sched.h"

#define DISK_BYTES (80ull << 30)
#define NR_OUTSTANDING 64u
#define NR_STREAMS 8u
#define HOT_BYTES (256ull << 20)	/* where the adversary stays */
#define FAR_EVERY 200u			/* of his I/Os, one is far away */

static const char *const load_names[] = {"random", "sequential-mix", "adversarial"};
enum { RANDOM, MIX, ADVERSARIAL, NR_LOADS };

static const struct lab_column columns[] = {
	{"travel", "cylinders", 1}, {"travel by theory", "cylinders", 1}, {"of FCFS", "%", 1},
	{"mean wait", "ms", 1}, {"worst wait", "ms", 1}, {"spread", "ms", 1}, {"by theory", "ms", 1},
	{"starved", "", 0},
	{"per second", "", 0},
};
enum { TRAVEL, THEORY, OF_FCFS, MEAN, WORST, SPREAD, SPREAD_THEORY, STARVED, RATE };

static const char text[] =
	"64 reads of 4 KiB are always waiting for a disk of 7200 turns a minute, which takes one at "
	"a time; travel is what the head moves for one of them. FCFS serves in the order of arrival "
	"and crosses a third of the disk each time. SSTF takes the nearest: least travel, until "
	"somebody keeps the head in one place (the adversarial load: all but one read in 200 lie in "
	"256 MiB), when the far ones starve. SCAN sweeps to and fro; C-SCAN sweeps one way, travels "
	"more, and treats all places alike, so that waits are spread less. deadline sweeps like "
	"C-SCAN, but between batches looks for reads older than half a second: at this load, where "
	"the mean wait is near that, it has to leave its sweep, and on the adversarial load it is "
	"what bounds the worst wait. Starved are reads that waited more than ten times the mean.";

struct mix {
	sector_t streams[NR_STREAMS];
};

/* Half of the reads go on in one of eight places, half lie anywhere. */
static void next_mix(void *arg, struct rand *r, uint32_t i, struct load_io *io)
{
	struct mix *mix = arg;
	sector_t *stream = &mix->streams[rand_below(r, NR_STREAMS)];

	if (i % 2) {
		io->sector = 8 * rand_below(r, DISK_BYTES / 4096);
		return;
	}
	io->sector = *stream;
	*stream += 8;
}

static void next_adversarial(void *arg, struct rand *r, uint32_t i, struct load_io *io)
{
	(void)arg;
	if (i % FAR_EVERY == FAR_EVERY / 2)
		io->sector = 8 * (DISK_BYTES / 4096 / 2 + rand_below(r, DISK_BYTES / 4096 / 2));
	else
		io->sector = 8 * rand_below(r, HOT_BYTES / 4096);
}

static struct load make_load(int which, const struct elevator_ops *ops, uint64_t seed, struct mix *mix,
			     uint64_t *size_bytes)
{
	struct load load = {
		.sim = {.profile = sim_profile_find("hdd7200"),
			.mode = SIM_DMA_IRQ,
			.size_bytes = DISK_BYTES},
		.elevator = ops,
		.nr_ios = 6000,
		.nr_outstanding = NR_OUTSTANDING,
		.seed = seed,
	};

	for (uint32_t i = 0; i < NR_STREAMS; i++)
		mix->streams[i] = (DISK_BYTES / NR_STREAMS * i + (1 << 20)) / 512;
	*size_bytes = DISK_BYTES;
	load.next = which == RANDOM ? load_random_reads : which == MIX ? next_mix : next_adversarial;
	load.arg = which == RANDOM ? (void *)size_bytes : mix;
	return load;
}

static double theory(int which, const char *name)
{
	const struct sim_profile *p = sim_profile_find("hdd7200");
	double n = (double)(DISK_BYTES / 512 / p->sectors_per_track);

	if (which == RANDOM && !strcmp(name, "noop"))
		return n / 3;
	if (which == RANDOM && !strcmp(name, "scan"))
		return 2 * n / (3 * NR_OUTSTANDING);
	if (which == RANDOM && !strcmp(name, "cscan"))
		return n / NR_OUTSTANDING;
	return NOTHING;
}

#define SCAN_SPREAD 0.7071	/* sqrt(2/9) / (2/3) */
#define CSCAN_SPREAD 0.5774	/* sqrt(1/12) / (1/2) */

static double spread_theory(int which, const char *name, double mean)
{
	if (which == RANDOM && !strcmp(name, "scan"))
		return SCAN_SPREAD * mean;
	if (which == RANDOM && !strcmp(name, "cscan"))
		return CSCAN_SPREAD * mean;
	return NOTHING;
}

static int run_one(int which, const struct elevator_ops *ops, uint64_t seed, struct lab_report *report,
		   double *fcfs_travel)
{
	struct load_result result;
	uint64_t size_bytes;
	struct mix mix;
	struct load load = make_load(which, ops, seed, &mix, &size_bytes);
	bool is_first = ops == sched_at(0);
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, load_names[which], is_first ? "fcfs" : ops->name, which);
	if (!row)
		return -ENOMEM;
	row->values[TRAVEL] = (double)result.travel / load.nr_ios;
	if (is_first)
		*fcfs_travel = row->values[TRAVEL];
	row->values[THEORY] = theory(which, ops->name);
	row->values[OF_FCFS] = 100 * row->values[TRAVEL] / *fcfs_travel;
	row->values[MEAN] = result.mean_us / 1000;
	row->values[WORST] = result.worst_us / 1000;
	row->values[SPREAD] = result.spread_us / 1000;
	row->values[SPREAD_THEORY] = spread_theory(which, ops->name, row->values[MEAN]);
	row->values[STARVED] = result.nr_starved;
	row->values[RATE] = load.nr_ios * 1e9 / (double)result.elapsed_ns;
	return 0;
}

int run_schedulers(uint64_t seed, struct lab_report *report)
{
	double fcfs_travel = 0;

	report->title = "Schedulers: what the head travels, and who waits";
	report->text = text;
	report->group_word = "load";
	report->label_word = "scheduler";
	report->columns = columns;
	report->nr_columns = array_size(columns);
	report->plotted = TRAVEL;
	for (int which = 0; which < NR_LOADS; which++) {
		for (size_t i = 0; sched_at(i); i++) {
			int err = run_one(which, sched_at(i), seed, report, &fcfs_travel);

			if (err)
				return err;
		}
	}
	snprintf(report->note, sizeof(report->note),
		 "On the adversarial load SSTF's worst wait is %.0f times deadline's.",
		 lab_report_row(report, "adversarial", "sstf")->values[WORST] /
			 lab_report_row(report, "adversarial", "deadline")->values[WORST]);
	return 0;
}
