/* What many at once are worth: queue depth, merging and plugging. */
#include <errno.h>

#include "experiments.h"
#include "load.h"
#include "report.h"

#define DISK_BYTES (80ull << 30)

/* ---- depth ---- */

#define DEPTH_IOS 4000u

static const struct lab_column depth_columns[] = {
	{"per second", "", 0}, {"by theory", "", 0}, {"mean latency", "us", 1}, {"CPU busy", "%", 1},
};
enum { DEPTH_RATE, DEPTH_THEORY, DEPTH_LATENCY, DEPTH_BUSY };

static const char depth_text[] =
	"Random reads of 4 KiB, so many always under way. Little's law: throughput = number under "
	"way / latency. As long as a device has channels that stand idle, one more command costs no "
	"latency and throughput grows in step; when all are busy, more only wait. The theory column "
	"is the least of three: depth over the time of one command alone, channels over the device's "
	"part of it, and what the link carries. The CPU sets a limit of its own: where it is busy "
	"all the time, an interrupt each is what holds the device back. A disk has one arm, and "
	"gains in another way: among more commands its controller finds nearer ones. For it, theory "
	"is given at depth 1 only: the mean seek and half a turn.";

static double cpu_us(const struct sim_costs *c)
{
	return (double)(c->prepare_ns + 2 * c->reg_write_ns + c->finish_ns + 2 * c->ring_look_ns +
			c->interrupt_ns + c->bottom_half_ns + c->reg_read_ns + c->reg_write_ns) /
	       1000;
}

static double link_us(const struct sim_profile *p)
{
	return 4096e3 / (double)p->bytes_per_ms;
}

static double device_us(const struct sim_profile *p)
{
	if (!p->revolution_ns)
		return (double)(p->read_ns + p->command_ns) / 1000 + link_us(p);
	/* The mean of 0.6 sqrt(x) + 0.4 x over random pairs of places is 0.6 * 8/15 + 0.4 / 3. */
	return (double)p->command_ns / 1000 + (double)p->revolution_ns / 2000 +
	       (double)p->seek_track_ns / 1000 +
	       (double)(p->seek_full_ns - p->seek_track_ns) / 1000 * (0.6 * 8 / 15 + 0.4 / 3) +
	       8e-3 * (double)p->revolution_ns / p->sectors_per_track;
}

static double depth_theory(const struct sim_profile *p, uint32_t depth)
{
	double by_depth = depth * 1e6 / (device_us(p) + cpu_us(&sim_costs_default));
	double by_device = min(p->nr_channels * 1e6 / device_us(p), 1e6 / link_us(p));

	if (p->revolution_ns)
		return depth > 1 ? NOTHING : by_depth;
	return min(by_depth, by_device);
}

static int depth_row(const struct sim_profile *profile, const char *label, uint32_t depth,
		     uint64_t seed, struct lab_report *report)
{
	uint64_t size_bytes = DISK_BYTES;
	struct load load = {
		.sim = {.profile = profile, .mode = SIM_RING_IRQ, .size_bytes = DISK_BYTES},
		.nr_ios = DEPTH_IOS,
		.nr_outstanding = depth,
		.next = load_random_reads,
		.arg = &size_bytes,
		.seed = seed,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, profile->name, label, depth);
	if (!row)
		return -ENOMEM;
	row->values[DEPTH_RATE] = DEPTH_IOS * 1e9 / (double)result.elapsed_ns;
	row->values[DEPTH_THEORY] = depth_theory(profile, depth);
	row->values[DEPTH_LATENCY] = result.mean_us;
	row->values[DEPTH_BUSY] = 100 * (double)result.cpu_ns / (double)result.elapsed_ns;
	return 0;
}

int run_depth(uint64_t seed, struct lab_report *report)
{
	static const struct { const char *name; uint32_t depth; } depths[] = {
		{"1", 1}, {"2", 2}, {"4", 4}, {"8", 8}, {"16", 16}, {"32", 32},
	};
	static const char *const names[] = {"hdd7200", "ssd", "nvme"};

	report->title = "Queue depth: reads a second with so many under way";
	report->text = depth_text;
	report->group_word = "device";
	report->label_word = "depth";
	report->columns = depth_columns;
	report->nr_columns = array_size(depth_columns);
	report->plotted = DEPTH_RATE;
	report->is_log = true;
	for (size_t n = 0; n < array_size(names); n++) {
		for (size_t i = 0; i < array_size(depths); i++) {
			int err = depth_row(sim_profile_find(names[n]), depths[i].name, depths[i].depth,
					    seed, report);

			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- merging ---- */

#define MERGING_IOS 256u

static const struct lab_column merging_columns[] = {
	{"requests", "", 0}, {"by theory", "", 0}, {"mean request", "KiB", 1},
	{"time", "ms", 2},   {"CPU", "us", 1},
};
enum { MERGING_REQUESTS, MERGING_THEORY, MERGING_SIZE, MERGING_TIME, MERGING_CPU };

static const char merging_text[] =
	"256 writes of 4 KiB, one behind the other: 1 MiB, as much as the driver takes at once. "
	"Without merging each is a request with its own command, interrupt and, on a disk with a "
	"platter, its own turn: the next sector has gone by when the next command comes. The queue "
	"merges what waits, but the first is gone before the second is there, so the disk gets two "
	"requests; a device that takes many at once gets as many small ones as it has room for. "
	"Under a plug the submitter holds all of them back until the last is there: one request.";

/* First come, first served, and nobody joins anybody. */
static bool never_merge(void *elevator, struct bio *bio)
{
	(void)elevator;
	(void)bio;
	return false;
}

static void next_sequential(void *arg, struct rand *r, uint32_t i, struct load_io *io)
{
	(void)arg;
	(void)r;
	io->op = BIO_WRITE;
	io->sector = i * 8;
}

static int merging_row(const struct sim_profile *profile, enum sim_mode mode, const char *label,
		       const struct elevator_ops *ops, bool is_plugged, double theory,
		       struct lab_report *report)
{
	struct load load = {
		.sim = {.profile = profile, .mode = mode, .size_bytes = DISK_BYTES},
		.elevator = ops,
		.nr_ios = MERGING_IOS,
		.nr_outstanding = MERGING_IOS,
		.batch = is_plugged ? MERGING_IOS : 0,
		.next = next_sequential,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, profile->name, label, 0);
	if (!row)
		return -ENOMEM;
	row->values[MERGING_REQUESTS] = (double)result.requests;
	row->values[MERGING_THEORY] = theory;
	row->values[MERGING_SIZE] = 4.0 * MERGING_IOS / (double)result.requests;
	row->values[MERGING_TIME] = (double)result.elapsed_ns / 1e6;
	row->values[MERGING_CPU] = (double)result.cpu_ns / 1000;
	return 0;
}

static int merging_rows(const struct sim_profile *profile, enum sim_mode mode,
			struct lab_report *report)
{
	struct elevator_ops unmerged = fifo_elevator;
	uint32_t depth = mode == SIM_DMA_IRQ ? 1 : profile->depth;
	int err;

	unmerged.name = "unmerged";
	unmerged.try_merge = never_merge;
	err = merging_row(profile, mode, "neither", &unmerged, false, MERGING_IOS, report);
	if (!err)	/* as many as the device takes leave at once, the rest merges */
		err = merging_row(profile, mode, "merging", &fifo_elevator, false,
				  depth < MERGING_IOS ? depth + 1 : MERGING_IOS, report);
	if (!err)
		err = merging_row(profile, mode, "merging and a plug", &fifo_elevator, true, 1, report);
	return err;
}

int run_merging(uint64_t seed, struct lab_report *report)
{
	int err;

	(void)seed;	/* nothing here is random */
	report->title = "Merging and plugging: requests for 256 writes in a row";
	report->text = merging_text;
	report->group_word = "device";
	report->label_word = "with";
	report->columns = merging_columns;
	report->nr_columns = array_size(merging_columns);
	report->plotted = MERGING_REQUESTS;
	err = merging_rows(sim_profile_find("hdd7200"), SIM_DMA_IRQ, report);
	if (!err)
		err = merging_rows(sim_profile_find("ssd"), SIM_RING_IRQ, report);
	return err;
}
