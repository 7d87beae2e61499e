/*
 * Buffers between a device and the program that computes on what it brings.
 *
 *	none      read, wait, compute                                     T + C
 *	single    the next read goes on while the program computes        max(T, C) + M
 *	double    it goes on while the program computes, or moves         max(T, C + M)
 *	circular  as double, but n blocks may be ahead: C may vary        max(T, mean of C + M)
 *
 * T: the device brings a block. C: the program computes on one. M: a block is moved from the system's
 * buffer to the program's. Without buffers the device writes into the program's memory: no M.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/simdisk.h"
#include "experiments.h"
#include "report.h"

#define BLOCK_BYTES 65536u
#define NR_BLOCKS 400u
#define BUFFERS_MAX 8u
#define T_US 200u
#define M_US 20u
#define BURST 8u		/* bursty: of so many blocks one takes as long as all of steady */

static const struct lab_column columns[] = {
	{"a block", "us", 1},
	{"by theory", "us", 1},
	{"device busy", "%", 1},
	{"program waits", "%", 1},
};
enum { TIME, THEORY, DEVICE_BUSY, WAITS };

static const char text[] =
	"A program reads 400 blocks of 64 KiB and computes on each. T, the device's time for a "
	"block, is about 200 us; M, to move a block from the system's buffer to the program's, 20 "
	"us; C, the computing, is given. Without a buffer the two take turns: T + C. One buffer lets "
	"the device read on while the program computes, but not while the block is moved: max(T, C) "
	"+ M. Two hide the move as well: max(T, C + M). More do not help a steady program; they help "
	"one whose C varies (bursty: seven blocks take nothing, the eighth eight times C), because "
	"the device can be several blocks ahead when it comes: max(T, C + M) again, with the mean of "
	"C. For bursty programs and less than that, the books give no formula.";

struct pipeline {
	/* configuration */
	uint32_t nr_buffers;		/* 0: into the program's memory */
	uint32_t compute_us;
	bool is_bursty;
	/* state */
	struct clock *clock;
	struct disk *disk;
	struct simdisk *sim;
	struct bio *bio;		/* the one read that is under way */
	char *memory;
	bool is_reading;
	uint32_t nr_begun, nr_read, nr_freed;
	uint64_t waited_ns;
};

static void pipeline_end_io(struct bio *bio)
{
	struct pipeline *p = bio->private;

	p->is_reading = false;
	p->nr_read++;
}

/* The device reads on while a buffer is free. */
static void read_on(struct pipeline *p)
{
	uint32_t nr_buffers = max(p->nr_buffers, 1u);

	if (p->is_reading || p->nr_begun == NR_BLOCKS || p->nr_begun - p->nr_freed == nr_buffers)
		return;
	bio_init(p->bio, p->disk, BIO_READ, 0, p->nr_begun * (BLOCK_BYTES / SECTOR_SIZE), 1);
	ignore(bio_add(p->bio, p->memory, BLOCK_BYTES), "it has room for one");
	p->bio->end_io = pipeline_end_io;
	p->bio->private = p;
	p->nr_begun++;
	p->is_reading = true;
	bio_submit(p->bio);
}

/* The program is busy for so long; the device goes on, and the next read begins when it may. */
static void be_busy(struct pipeline *p, uint64_t us)
{
	uint64_t until_ns = clock_now_ns(p->clock) + us * 1000;

	read_on(p);
	while (clock_now_ns(p->clock) < until_ns) {
		simdisk_step(p->sim, until_ns);
		read_on(p);
	}
}

static void wait_for_block(struct pipeline *p, uint32_t i)
{
	uint64_t start_ns = clock_now_ns(p->clock);

	while (p->nr_read == i) {
		read_on(p);
		simdisk_step(p->sim, UINT64_MAX);
	}
	p->waited_ns += clock_now_ns(p->clock) - start_ns;
}

static uint64_t compute_us(const struct pipeline *p, uint32_t i)
{
	if (!p->is_bursty)
		return p->compute_us;
	return i % BURST == BURST - 1 ? (uint64_t)p->compute_us * BURST : 0;
}

static void use_block(struct pipeline *p, uint32_t i)
{
	wait_for_block(p, i);
	if (p->nr_buffers) {
		be_busy(p, M_US);
		p->nr_freed++;
		be_busy(p, compute_us(p, i));
	} else {
		be_busy(p, compute_us(p, i));
		p->nr_freed++;
	}
}

static int pipeline_open(struct pipeline *p)
{
	const struct sim_profile profile = {
		.name = "steady",
		.read_ns = T_US * 1000,
		.write_ns = T_US * 1000,
		.bytes_per_ms = UINT32_MAX,
		.nr_channels = 1,
		.depth = 8,
	};
	const struct sim_config sim_config = {
		.profile = &profile, .mode = SIM_DMA_IRQ, .drive = SIM_STEPPED,
		.size_bytes = (uint64_t)NR_BLOCKS * BLOCK_BYTES,
	};
	struct disk_config config = {.name = "lab"};
	char why[200];

	p->clock = config.clock = clock_create_virtual((struct timespec){0});
	p->bio = mem_zalloc(sizeof(struct bio) + sizeof(struct bio_vec));
	p->memory = mem_alloc(BLOCK_BYTES);
	if (!p->clock || !p->bio || !p->memory)
		return -ENOMEM;
	return simdisk_open(NULL, &sim_config, &config, &p->disk, &p->sim, why, sizeof(why));
}

static void pipeline_close(struct pipeline *p)
{
	disk_close(p->disk);
	mem_free(p->memory);
	mem_free(p->bio);
	clock_destroy(p->clock);
}

/* T as the program meets it: the driver's part, and the interrupt's, belong to it. */
static double t_us(void)
{
	const struct sim_costs *c = &sim_costs_default;

	return T_US +
	       (double)(c->prepare_ns + 8 * c->reg_write_ns + 2 * c->reg_read_ns + c->interrupt_ns +
			c->bottom_half_ns + c->finish_ns) /
		       1000 +
	       BLOCK_BYTES * 1e3 / UINT32_MAX;
}

static double theory(const struct pipeline *p)
{
	double t = t_us(), c = p->compute_us, m = M_US;

	if (p->nr_buffers == 0)
		return t + c;	/* whatever C does, they take turns */
	if (p->is_bursty)
		return p->nr_buffers < BURST ? NOTHING : max(t, c + m);
	return p->nr_buffers == 1 ? max(t, c) + m : max(t, c + m);
}

static int buffering_row(const char *group, uint32_t us, bool is_bursty, const char *label,
			 uint32_t nr_buffers, struct lab_report *report)
{
	struct pipeline p = {.nr_buffers = nr_buffers, .compute_us = us, .is_bursty = is_bursty};
	int err = pipeline_open(&p);
	struct lab_row *row = NULL;
	double elapsed_us;

	if (!err) {
		row = report_add(report, group, label, us);
		err = row ? 0 : -ENOMEM;
	}
	if (!err) {
		uint64_t start_ns = clock_now_ns(p.clock);

		for (uint32_t i = 0; i < NR_BLOCKS; i++)
			use_block(&p, i);
		elapsed_us = (double)(clock_now_ns(p.clock) - start_ns) / 1000;
		row->values[TIME] = elapsed_us / NR_BLOCKS;
		row->values[THEORY] = theory(&p);
		row->values[DEVICE_BUSY] =
			(double)counter_get(&simdisk_stats(p.sim)->busy_ns) / 10 / elapsed_us;
		row->values[WAITS] = (double)p.waited_ns / 10 / elapsed_us;
	}
	pipeline_close(&p);
	return err;
}

int run_buffering(uint64_t seed, struct lab_report *report)
{
	static const struct { const char *name; uint32_t us; bool is_bursty; } programs[] = {
		{"C = 50 us", 50, false}, {"C = 200 us", 200, false}, {"C = 400 us", 400, false},
		{"C = 180 us, bursty", 180, true},
	};
	static const struct { const char *name; uint32_t nr; } buffers[] = {
		{"none", 0}, {"single", 1}, {"double", 2}, {"circular (8)", BUFFERS_MAX},
	};

	(void)seed;	/* nothing here is random */
	report->title = "Buffering: the time of a block";
	report->text = text;
	report->group_word = "program";
	report->label_word = "buffers";
	report->columns = columns;
	report->nr_columns = array_size(columns);
	report->plotted = TIME;
	for (size_t i = 0; i < array_size(programs); i++) {
		for (size_t b = 0; b < array_size(buffers); b++) {
			int err = buffering_row(programs[i].name, programs[i].us, programs[i].is_bursty,
						buffers[b].name, buffers[b].nr, report);

			if (err)
				return err;
		}
	}
	return 0;
}
