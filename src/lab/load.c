/*
 * A run of I/O in virtual time.
 *
 * One thread: it hands bios in, steps the disk, and hands in more. No bio is submitted from end_io;
 * ended ones only become free there. All bios share one piece of memory, since nobody looks
 * at what a disk without content brings.
 */
#include "load.h"

#include <errno.h>

#include "base/mem.h"
#include "block/plug.h"
#include "report.h"

#define MEMORY_BYTES (1u << 20)		/* the largest I/O */
#define OPEN_BIOS_MAX 4096u		/* an open load that is this far behind waits */
#define STARVED_TIMES 10.0

struct run {
	const struct load *load;
	struct clock *clock;
	struct disk *disk;
	struct simdisk *sim;
	struct rand rand;
	char *memory;
	struct list free;		/* of bios, by their link */
	uint32_t nr_free, nr_bios, nr_begun, nr_ended;
	uint64_t *waits_ns;		/* by the order of their ends */
	uint64_t due_ns;		/* open: of the next */
};

static void run_end_io(struct bio *bio)
{
	struct run *run = bio->private;

	run->waits_ns[run->nr_ended++] = clock_now_ns(run->clock) - bio->submit_ns;
	list_add_tail(&run->free, &bio->link);
	run->nr_free++;
}

static void begin_one(struct run *run, struct plug *plug)
{
	struct bio *bio = list_first(&run->free, struct bio, link);
	struct load_io io = {.op = BIO_READ, .size_bytes = 4096};

	list_del(&bio->link);
	run->nr_free--;
	run->load->next(run->load->arg, &run->rand, run->nr_begun++, &io);
	bio_init(bio, run->disk, io.op, 0, io.sector, 1);
	ignore(bio_add(bio, run->memory, io.size_bytes), "it has room for one");
	bio->end_io = run_end_io;
	bio->private = run;
	plug_submit(plug, bio);
}

static uint32_t nr_left(const struct run *run)
{
	return run->load->nr_ios - run->nr_begun;
}

/* Hands in batches while a whole one is free. */
static void begin_closed(struct run *run)
{
	uint32_t batch = max(run->load->batch, 1u);

	while (nr_left(run) && run->nr_free >= min(batch, nr_left(run))) {
		struct plug plug;

		plug_start(&plug);
		for (uint32_t i = min(batch, nr_left(run)); i--;)
			begin_one(run, run->load->batch ? &plug : NULL);
		plug_finish(&plug);
	}
}

/* Even chances between nothing and twice the mean: spread, and without a logarithm. */
static void begin_open(struct run *run)
{
	while (nr_left(run) && run->nr_free && run->due_ns <= clock_now_ns(run->clock)) {
		begin_one(run, NULL);
		run->due_ns += rand_below(&run->rand, 2 * run->load->gap_ns + 1);
	}
}

static void run_all(struct run *run)
{
	bool is_open = run->load->gap_ns != 0;

	while (run->nr_ended < run->load->nr_ios) {
		if (is_open)
			begin_open(run);
		else
			begin_closed(run);
		simdisk_step(run->sim,
			     is_open && nr_left(run) && run->nr_free ? run->due_ns : UINT64_MAX);
	}
	simdisk_run(run->sim);
}

static int run_open(struct run *run)
{
	const struct load *load = run->load;
	struct sim_config sim_config = load->sim;
	struct disk_config config = {.name = "lab", .elevator = load->elevator};
	size_t bio_bytes = sizeof(struct bio) + sizeof(struct bio_vec);
	char why[200];

	run->nr_bios = load->gap_ns ? OPEN_BIOS_MAX : load->nr_outstanding;
	list_init(&run->free);
	rand_init(&run->rand, load->seed);
	run->clock = config.clock = clock_create_virtual((struct timespec){0});
	run->memory = mem_alloc(MEMORY_BYTES);
	run->waits_ns = mem_alloc(load->nr_ios * sizeof(*run->waits_ns));
	if (!run->clock || !run->memory || !run->waits_ns)
		return -ENOMEM;
	for (; run->nr_free < run->nr_bios; run->nr_free++) {
		struct bio *bio = mem_zalloc(bio_bytes);

		if (!bio)
			return -ENOMEM;
		list_add_tail(&run->free, &bio->link);
	}
	sim_config.drive = SIM_STEPPED;
	/* Twice: a part of the room is kept for those who wait, which nobody here does. */
	config.queue_depth_max = 2 * run->nr_bios + 16;
	return simdisk_open(NULL, &sim_config, &config, &run->disk, &run->sim, why, sizeof(why));
}

static void run_close(struct run *run)
{
	disk_close(run->disk);
	while (!list_empty(&run->free)) {
		struct bio *bio = list_first(&run->free, struct bio, link);

		list_del(&bio->link);
		mem_free(bio);
	}
	mem_free(run->waits_ns);
	mem_free(run->memory);
	clock_destroy(run->clock);
}

static void count(const struct run *run, struct load_result *ret)
{
	const struct sim_stats *s = simdisk_stats(run->sim);
	const struct disk_stats *d = disk_stats(run->disk);

	ret->reg_accesses = counter_get(&s->reg_reads) + counter_get(&s->reg_writes);
	ret->doorbells = counter_get(&s->doorbells);
	ret->interrupts = counter_get(&s->interrupts);
	ret->polls = counter_get(&s->polls);
	ret->copied_bytes = counter_get(&s->copied_bytes);
	ret->dma_bytes = counter_get(&s->dma_bytes);
	ret->cpu_ns = counter_get(&s->cpu_ns);
	ret->seeks = counter_get(&s->seeks);
	ret->travel = counter_get(&s->travel);
	for (int op = 0; op < BIO_NR_OPS; op++)
		ret->requests += counter_get(&d->ios[op]);
	ret->merges = counter_get(&d->merges);
}

static void measure(const struct run *run, struct load_result *ret)
{
	double sum = 0, squares = 0, n = run->nr_ended, mean;

	for (uint32_t i = 0; i < run->nr_ended; i++) {
		sum += (double)run->waits_ns[i];
		ret->worst_us = max(ret->worst_us, (double)run->waits_ns[i] / 1000);
	}
	mean = sum / n;
	for (uint32_t i = 0; i < run->nr_ended; i++) {
		double off = (double)run->waits_ns[i] - mean;

		squares += off * off;
		ret->nr_starved += (double)run->waits_ns[i] > STARVED_TIMES * mean;
	}
	ret->mean_us = mean / 1000;
	ret->spread_us = root(squares / n) / 1000;
}

int load_run(const struct load *load, struct load_result *ret)
{
	struct load_result before = {0};
	struct run run = {.load = load};
	uint64_t start_ns;
	int err = run_open(&run);

	if (err)
		goto out;
	*ret = (struct load_result){0};
	count(&run, &before);	/* setting the device up is no part of it */
	start_ns = clock_now_ns(run.clock);
	run.due_ns = start_ns;
	run_all(&run);
	ret->elapsed_ns = clock_now_ns(run.clock) - start_ns;
	count(&run, ret);
	ret->reg_accesses -= before.reg_accesses;
	ret->cpu_ns -= before.cpu_ns;
	measure(&run, ret);
out:
	run_close(&run);
	return err;
}

void load_random_reads(void *arg, struct rand *r, uint32_t i, struct load_io *io)
{
	const uint64_t *size_bytes = arg;

	(void)i;
	io->sector = 8 * rand_below(r, *size_bytes / 4096);
}
