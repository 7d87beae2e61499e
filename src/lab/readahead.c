/*
 * Read-ahead, on and off: the page cache of a mount over a simulated disk without content, in virtual
 * time. The file lies in one piece, so what is measured is what waiting for each call costs.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/work.h"
#include "block/disk.h"
#include "cache/cache.h"
#include "cache/filemap.h"
#include "drivers/simdisk.h"
#include "experiments.h"
#include "report.h"

#define BLOCK 4096u
#define FILE_BYTES (64ull << 20)
#define SEQUENTIAL_BYTES (32ull << 20)
#define RANDOM_CALLS 400u
#define CACHE_BYTES (32ull << 20)

static const struct lab_column columns[] = {
	{"rate", "MB/s", 2}, {"by theory", "MB/s", 2}, {"requests", "", 0}, {"read ahead", "pages", 0}, {"unused", "pages", 0},
};
enum { RATE, THEORY, REQUESTS, AHEAD, UNUSED };

static const char text[] =
	"A program reads a file through the page cache. Without read-ahead each call waits for a command of "
	"its own: the time to make it up, to be told of its end, and the device's own come on top of each "
	"transfer, c + n / R for n bytes at the link's or the platter's rate R; small calls pay c often. With "
	"read-ahead the cache sees that the calls follow each other, asks for a window behind them before they "
	"come, and doubles it while it is used: requests become large, and calls find their pages there, so that "
	"the rate comes near R whatever the size of the calls; what it lacks is the last window, which was read "
	"though the program ended, and one command after the other. A program that jumps about gains nothing; what counts "
	"then is that nothing is read in vain.";

struct bench {
	struct clock *clock;
	struct workqueue *work;
	struct disk *disk;
	struct page_cache *cache;
	struct mapping mapping;
};

/* mapping_ops: the file is the disk. */
static int map_read(struct mapping *m, struct page **pages, uint32_t nr)
{
	(void)m;
	for (uint32_t i = 0; i < nr; i++)
		pages[i]->block = 1 + pages[i]->index;
	return 0;
}

static const struct mapping_ops ops = {.map_read = map_read};

static void bench_close(struct bench *b)
{
	if (b->cache) {
		mapping_truncate(&b->mapping, 0);
		mapping_done(&b->mapping);
		page_cache_destroy(b->cache);
	}
	disk_close(b->disk);
	if (b->work)
		workqueue_destroy(b->work);
	if (b->clock)
		clock_destroy(b->clock);
}

static int bench_open(struct bench *b, const struct sim_profile *profile)
{
	const struct sim_config sim = {
		.profile = profile,
		.mode = SIM_RING_IRQ,
		.drive = SIM_INLINE,
		.size_bytes = FILE_BYTES + (1 << 20),
	};
	struct page_cache_config cache = {.block_bytes = BLOCK, .size_bytes = CACHE_BYTES};
	struct disk_config disk = {.name = "sim"};
	char why[200];
	int err;

	*b = (struct bench){.clock = clock_create_virtual((struct timespec){.tv_sec = 1})};
	if (!b->clock)
		return -ENOMEM;
	b->work = workqueue_create("lab", 0, b->clock, 1);
	if (!b->work)
		return -ENOMEM;
	disk.clock = cache.clock = b->clock;
	cache.work = b->work;
	err = simdisk_open(NULL, &sim, &disk, &b->disk, NULL, why, sizeof(why));
	if (!err)
		err = page_cache_create(&cache, &b->cache);
	if (!err)
		mapping_init(&b->mapping, b->cache, b->disk, &ops, b, 12);
	return err;
}

struct pattern {
	const char *name;
	size_t call_bytes;
	bool is_random;
};

static int read_all(struct bench *b, const struct pattern *p, struct readahead_state *ra, uint64_t seed,
		    uint64_t *ret_bytes)
{
	uint64_t bytes = p->is_random ? RANDOM_CALLS * p->call_bytes : SEQUENTIAL_BYTES;
	struct rand rand;
	int err = 0;

	rand_init(&rand, seed);
	for (uint64_t done = 0; done < bytes && !err; done += p->call_bytes) {
		uint64_t pos = p->is_random ? rand_below(&rand, FILE_BYTES / BLOCK) * BLOCK : done;
		struct filemap_view view;

		err = filemap_read(&b->mapping, pos, p->call_bytes, FILE_BYTES, ra, &view);
		if (!err)
			filemap_view_done(&view);
	}
	*ret_bytes = bytes;
	return err;
}

/* Megabytes a second from the platter, or over the link of a device without one. */
static double device_rate(const struct sim_profile *p)
{
	if (p->revolution_ns)
		return (double)p->sectors_per_track * SECTOR_SIZE * 1e3 / (double)p->revolution_ns;
	return (double)p->bytes_per_ms / 1e3;
}

/* What a command that is waited for costs besides its bytes, in us. Of a disk, nothing turns by: it has read on. */
static double command_us(const struct sim_profile *p)
{
	const struct sim_costs *c = &sim_costs_default;

	return (double)(p->command_ns + (p->revolution_ns ? 0 : p->read_ns) + c->interrupt_ns + c->bottom_half_ns +
			c->prepare_ns + c->finish_ns) / 1e3;
}

static double theory(const struct sim_profile *profile, const struct pattern *p, bool is_on)
{
	double rate = device_rate(profile);

	if (p->is_random)
		return NOTHING;
	return is_on ? rate : (double)p->call_bytes / (command_us(profile) + (double)p->call_bytes / rate);
}

static int measure(struct bench *b, const struct pattern *p, bool is_on, uint64_t seed, struct lab_row *row)
{
	const struct page_cache_stats *s = page_cache_stats(b->cache);
	struct readahead_state ra;
	uint64_t bytes, began_ns = clock_now_ns(b->clock);
	int err;

	readahead_init(&ra);
	err = read_all(b, p, is_on ? &ra : NULL, seed, &bytes);
	readahead_done(&ra);
	row->values[RATE] = (double)bytes * 1e3 / (double)(clock_now_ns(b->clock) - began_ns);
	row->values[REQUESTS] = (double)counter_get(&disk_stats(b->disk)->ios[BIO_READ]);
	row->values[AHEAD] = (double)counter_get(&s->ahead_pages);
	row->values[UNUSED] = (double)(counter_get(&s->ahead_pages) - counter_get(&s->ahead_used));
	return err;
}

static int run_row(const struct sim_profile *profile, const struct pattern *p, bool is_on, uint64_t seed,
		   struct lab_report *report)
{
	struct lab_row *row;
	struct bench b;
	int err = bench_open(&b, profile);

	if (!err) {
		row = report_add(report, p->name, is_on ? "on" : "off", 0);
		err = row ? measure(&b, p, is_on, seed, row) : -ENOMEM;
		if (!err)
			row->values[THEORY] = theory(profile, p, is_on);
	}
	bench_close(&b);
	return err;
}

int run_readahead(uint64_t seed, struct lab_report *report)
{
	static const struct {
		const char *profile;
		struct pattern pattern;
	} runs[] = {
		{"hdd7200", {"hdd7200, 4 KiB in order", 4096, false}},
		{"hdd7200", {"hdd7200, 64 KiB in order", 65536, false}},
		{"hdd7200", {"hdd7200, 4 KiB anywhere", 4096, true}},
		{"ssd", {"ssd, 4 KiB in order", 4096, false}},
		{"ssd", {"ssd, 64 KiB in order", 65536, false}},
		{"ssd", {"ssd, 4 KiB anywhere", 4096, true}},
	};

	report->title = "Read-ahead: what a reader gets through the page cache";
	report->text = text;
	report->group_word = "reader";
	report->label_word = "read-ahead";
	report->columns = columns;
	report->nr_columns = array_size(columns);
	report->plotted = RATE;
	for (size_t i = 0; i < array_size(runs); i++) {
		const struct sim_profile *profile = sim_profile_find(runs[i].profile);
		int err = run_row(profile, &runs[i].pattern, false, seed, report);

		if (!err)
			err = run_row(profile, &runs[i].pattern, true, seed, report);
		if (err)
			return err;
	}
	return 0;
}
