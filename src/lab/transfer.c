/*
 * How data and news come from the device: PIO against DMA, polling against interrupts, coalescing,
 * doorbells. One paragraph of each experiment's text tells its theory; the numbers below come
 * from the same costs that the driver is charged, put together as the books do.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "experiments.h"
#include "load.h"
#include "report.h"

#define DISK_BYTES (1ull << 30)

static void next_first(void *arg, struct rand *r, uint32_t i, struct load_io *io)
{
	(void)r;
	(void)i;
	io->size_bytes = *(const uint32_t *)arg;
}

/* ---- pio-dma ---- */

static const struct lab_column pio_columns[] = {
	{"register accesses", "", 0}, {"by theory", "", 0}, {"copied by the CPU", "bytes", 0},
	{"moved by the device", "bytes", 0}, {"interrupts", "", 0}, {"CPU", "us", 1},
};
enum { PIO_ACCESSES, PIO_THEORY, PIO_COPIED, PIO_DMA, PIO_INTERRUPTS, PIO_CPU };

static const char pio_text[] =
	"One read, by programmed I/O and by DMA. With programmed I/O the CPU loads every word from "
	"the data register (4 bytes an access), so the accesses are size / 4, plus 4 to give the "
	"command and 3 for each interrupt, which comes for every 4 KiB. With DMA the CPU writes "
	"where the memory is (3 more), and is told once at the end: 10 accesses, whatever the size. "
	"1,500 bytes are 3 sectors, 1,536 bytes, on a disk.";

static int pio_row(const char *group, uint32_t size, enum sim_mode mode, struct lab_report *report)
{
	struct load load = {
		.sim = {.profile = sim_profile_find("ssd"), .mode = mode, .size_bytes = DISK_BYTES},
		.nr_ios = 1, .nr_outstanding = 1, .next = next_first, .arg = &size,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, group, sim_mode_name(mode), size);
	if (!row)
		return -ENOMEM;
	row->values[PIO_ACCESSES] = (double)result.reg_accesses;
	row->values[PIO_THEORY] = mode == SIM_DMA_IRQ ? 4 + 3 + 3
						      : size / 4.0 + 4 + 3 * div_round_up(size, 4096u);
	row->values[PIO_COPIED] = (double)result.copied_bytes;
	row->values[PIO_DMA] = (double)result.dma_bytes;
	row->values[PIO_INTERRUPTS] = (double)result.interrupts;
	row->values[PIO_CPU] = (double)result.cpu_ns / 1000;
	return 0;
}

int run_pio_dma(uint64_t seed, struct lab_report *report)
{
	static const struct { const char *name; uint32_t size; } sizes[] = {
		{"1,500 bytes", 1536}, {"4 KiB", 4096}, {"1 MiB", 1 << 20},
	};

	(void)seed;	/* nothing here is random */
	report->title = "Programmed I/O against DMA: what the CPU does for one read";
	report->text = pio_text;
	report->group_word = "size";
	report->label_word = "mode";
	report->columns = pio_columns;
	report->nr_columns = array_size(pio_columns);
	report->plotted = PIO_ACCESSES;
	report->is_log = true;
	for (size_t i = 0; i < array_size(sizes); i++) {
		int err = pio_row(sizes[i].name, sizes[i].size, SIM_PIO_IRQ, report);

		if (!err)
			err = pio_row(sizes[i].name, sizes[i].size, SIM_DMA_IRQ, report);
		if (err)
			return err;
	}
	return 0;
}

/* ---- polling ---- */

#define POLLING_IOS 200u

static const struct lab_column polling_columns[] = {
	{"CPU an I/O", "us", 2}, {"CPU by theory", "us", 2}, {"latency", "us", 2}, {"CPU busy", "%", 1},
	{"interrupts an I/O", "", 2}, {"looks an I/O", "", 1},
};
enum { POLLING_CPU, POLLING_THEORY, POLLING_LATENCY, POLLING_BUSY, POLLING_INTERRUPTS, POLLING_LOOKS };

static const char polling_text[] =
	"One read of 4 KiB at a time from devices that answer after 5 us to 10 ms. Who polls spends "
	"the device's whole latency on the CPU and hears at once; who waits for an interrupt spends "
	"a fixed price (entry and exit, the bottom half's thread brought onto the CPU, registers) "
	"and hears that much later. The lines cross where the latency equals the price. Hybrid looks "
	"for as long as an interrupt would cost and then waits for one: without knowing the latency "
	"it never spends more than about twice what the better of the two would (the competitive "
	"argument of Karlin and others, 1991), and under load it never leaves off polling.";

static const uint64_t latencies_us[] = {5, 6, 7, 8, 10, 20, 50, 100, 1000, 10000};
static const char *const latency_names[] = {"5 us",  "6 us",  "7 us",   "8 us", "10 us",
					    "20 us", "50 us", "100 us", "1 ms", "10 ms"};

/* What every I/O costs, and what an interrupt adds: see sim_costs. */
static double base_cost_us(const struct sim_costs *c)
{
	return (double)(c->prepare_ns + 2 * c->reg_write_ns + c->finish_ns + c->ring_look_ns) / 1000;
}

static double interrupt_cost_us(const struct sim_costs *c)
{
	return (double)(c->interrupt_ns + c->bottom_half_ns + c->reg_read_ns + c->reg_write_ns +
			c->ring_look_ns) /
	       1000;
}

static double polling_theory(enum sim_mode mode, double latency_us)
{
	const struct sim_costs *c = &sim_costs_default;
	double spin_us = (double)(c->interrupt_ns + c->bottom_half_ns) / 1000;

	if (mode == SIM_RING_IRQ)
		return base_cost_us(c) + interrupt_cost_us(c);
	if (mode == SIM_RING_POLL || latency_us <= spin_us)
		return base_cost_us(c) + latency_us;
	/* In vain for the spin; three more accesses to go over to interrupts and back. */
	return base_cost_us(c) + spin_us + interrupt_cost_us(c) + 3 * (double)c->reg_write_ns / 1000;
}

static int polling_row(size_t which, enum sim_mode mode, uint64_t seed, struct lab_report *report)
{
	uint64_t size_bytes = DISK_BYTES;
	const struct sim_profile profile = {
		.name = "fixed",
		.read_ns = latencies_us[which] * 1000,
		.write_ns = latencies_us[which] * 1000,
		.bytes_per_ms = UINT32_MAX,
		.nr_channels = 1,
		.depth = 8,
	};
	struct load load = {
		.sim = {.profile = &profile, .mode = mode, .size_bytes = DISK_BYTES},
		.nr_ios = POLLING_IOS,
		.nr_outstanding = 1,
		.next = load_random_reads,
		.arg = &size_bytes,
		.seed = seed,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, latency_names[which], sim_mode_name(mode),
			 (double)latencies_us[which]);
	if (!row)
		return -ENOMEM;
	row->values[POLLING_CPU] = (double)result.cpu_ns / 1000 / POLLING_IOS;
	row->values[POLLING_THEORY] = polling_theory(mode, (double)latencies_us[which]);
	row->values[POLLING_LATENCY] = result.mean_us;
	row->values[POLLING_BUSY] = 100 * (double)result.cpu_ns / (double)result.elapsed_ns;
	row->values[POLLING_INTERRUPTS] = (double)result.interrupts / POLLING_IOS;
	row->values[POLLING_LOOKS] = (double)result.polls / POLLING_IOS;
	return 0;
}

/* Between the last latency at which polling is cheaper and the next, on a straight line. */
static void note_crossing(struct lab_report *report)
{
	double before_x = 0, before = 0;

	for (size_t i = 0; i + 1 < report->nr_rows; i += 3) {
		double diff =
			report->rows[i].values[POLLING_CPU] - report->rows[i + 1].values[POLLING_CPU];
		double x = report->rows[i].x;

		if (diff >= 0) {
			snprintf(report->note, sizeof(report->note),
				 "Polling and interrupts cost the same CPU at a latency of %.1f us; by "
				 "theory at %.1f us, "
				 "the price of an interrupt.",
				 i ? before_x + (x - before_x) * before / (before - diff) : x,
				 interrupt_cost_us(&sim_costs_default));
			return;
		}
		before_x = x;
		before = diff;
	}
}

int run_polling(uint64_t seed, struct lab_report *report)
{
	static const enum sim_mode modes[] = {SIM_RING_POLL, SIM_RING_IRQ, SIM_RING_HYBRID};

	report->title = "Polling, interrupts, and both: CPU spent for one I/O";
	report->text = polling_text;
	report->group_word = "device latency";
	report->label_word = "mode";
	report->columns = polling_columns;
	report->nr_columns = array_size(polling_columns);
	report->plotted = POLLING_CPU;
	report->is_log = report->is_line = true;
	for (size_t i = 0; i < array_size(latencies_us); i++) {
		for (size_t m = 0; m < array_size(modes); m++) {
			int err = polling_row(i, modes[m], seed, report);

			if (err)
				return err;
		}
	}
	note_crossing(report);
	return 0;
}

/* ---- coalescing ---- */

#define COALESCING_IOS 4000u
#define GAP_US 20u

static const struct lab_column coalescing_columns[] = {
	{"interrupts an I/O", "", 3}, {"by theory", "", 3},       {"CPU an I/O", "us", 2},
	{"mean latency", "us", 1},    {"worst latency", "us", 1},
};
enum { COALESCING_INTERRUPTS, COALESCING_THEORY, COALESCING_CPU, COALESCING_MEAN, COALESCING_WORST };

static const char coalescing_text[] =
	"Reads of 4 KiB arrive at an nvme disk every 20 us on average. The device raises the line "
	"when so many completions wait, or when the first of them has waited so long. Each interrupt "
	"then tells several, and its price is shared; in return each waits for the others. Theory: "
	"an interrupt tells the smaller of the count and 1 + time / 20 us, so that a time-out soon "
	"is what decides, and a larger count only costs nothing.";

static int coalescing_row(const char *group, uint32_t us, const char *label, uint32_t nr, uint64_t seed,
			  struct lab_report *report)
{
	uint64_t size_bytes = DISK_BYTES;
	struct load load = {
		.sim = {.profile = sim_profile_find("nvme"),
			.mode = SIM_RING_IRQ,
			.size_bytes = DISK_BYTES,
			.coalesce_count = nr,
			.coalesce_us = us},
		.nr_ios = COALESCING_IOS,
		.gap_ns = GAP_US * 1000,
		.next = load_random_reads,
		.arg = &size_bytes,
		.seed = seed,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, group, label, us);
	if (!row)
		return -ENOMEM;
	row->values[COALESCING_INTERRUPTS] = (double)result.interrupts / COALESCING_IOS;
	row->values[COALESCING_THEORY] = 1 / min((double)nr, 1 + (double)us / GAP_US);
	row->values[COALESCING_CPU] = (double)result.cpu_ns / 1000 / COALESCING_IOS;
	row->values[COALESCING_MEAN] = result.mean_us;
	row->values[COALESCING_WORST] = result.worst_us;
	return 0;
}

int run_coalescing(uint64_t seed, struct lab_report *report)
{
	static const struct {
		const char *name;
		uint32_t us;
	} times[] = {{"50 us", 50}, {"200 us", 200}, {"1 ms", 1000}};
	static const struct { const char *name; uint32_t nr;
	} counts[] = {
		{"1 at once", 1}, {"2 at once", 2},   {"4 at once", 4},
		{"8 at once", 8}, {"16 at once", 16}, {"32 at once", 32},
	};

	report->title = "Interrupt coalescing: interrupts for one I/O";
	report->text = coalescing_text;
	report->group_word = "held at most";
	report->label_word = "count";
	report->columns = coalescing_columns;
	report->nr_columns = array_size(coalescing_columns);
	report->plotted = COALESCING_INTERRUPTS;
	for (size_t t = 0; t < array_size(times); t++) {
		for (size_t c = 0; c < array_size(counts); c++) {
			int err = coalescing_row(times[t].name, times[t].us, counts[c].name,
						 counts[c].nr, seed, report);

			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- doorbells ---- */

#define DOORBELL_IOS 2048u

static const struct lab_column doorbell_columns[] = {
	{"doorbells an I/O", "", 3}, {"by theory", "", 3}, {"register accesses an I/O", "", 2},
	{"CPU an I/O", "us", 2}, {"per second", "", 0},
};
enum { DOORBELL_RINGS, DOORBELL_THEORY, DOORBELL_ACCESSES, DOORBELL_CPU, DOORBELL_RATE };

static const char doorbell_text[] =
	"Random reads of 4 KiB from an nvme disk, handed in by batches. A command is put into the "
	"ring by writes to memory; only the doorbell is a register. So a batch costs one doorbell, "
	"and one for an I/O is 1 / batch. The completions of a batch, too, are read together and "
	"acknowledged by one doorbell, and come under few interrupts. The queue rings after at most "
	"32 commands, so that the device is not kept waiting by a long batch.";

static int doorbell_row(const char *group, uint32_t batch, uint64_t seed, struct lab_report *report)
{
	uint64_t size_bytes = DISK_BYTES;
	struct load load = {
		.sim = {.profile = sim_profile_find("nvme"),
			.mode = SIM_RING_IRQ,
			.size_bytes = DISK_BYTES},
		.nr_ios = DOORBELL_IOS,
		.nr_outstanding = batch,
		.batch = batch,
		.next = load_random_reads,
		.arg = &size_bytes,
		.seed = seed,
	};
	struct load_result result;
	struct lab_row *row;
	int err = load_run(&load, &result);

	if (err)
		return err;
	row = report_add(report, group, "", batch);
	if (!row)
		return -ENOMEM;
	row->values[DOORBELL_RINGS] = (double)result.doorbells / DOORBELL_IOS;
	row->values[DOORBELL_THEORY] = 1.0 / min(batch, 32u);
	row->values[DOORBELL_ACCESSES] = (double)result.reg_accesses / DOORBELL_IOS;
	row->values[DOORBELL_CPU] = (double)result.cpu_ns / 1000 / DOORBELL_IOS;
	row->values[DOORBELL_RATE] = DOORBELL_IOS * 1e9 / (double)result.elapsed_ns;
	return 0;
}

int run_doorbells(uint64_t seed, struct lab_report *report)
{
	static const struct { const char *name; uint32_t batch; } batches[] = {
		{"1", 1}, {"2", 2}, {"4", 4}, {"8", 8}, {"16", 16}, {"32", 32}, {"64", 64},
	};

	report->title = "Doorbells: how many commands one announces";
	report->text = doorbell_text;
	report->group_word = "batch";
	report->label_word = "";
	report->columns = doorbell_columns;
	report->nr_columns = array_size(doorbell_columns);
	report->plotted = DOORBELL_RINGS;
	for (size_t i = 0; i < array_size(batches); i++) {
		int err = doorbell_row(batches[i].name, batches[i].batch, seed, report);

		if (err)
			return err;
	}
	return 0;
}
