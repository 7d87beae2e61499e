/*
 * The conformance suite of drivers. What must hold for each: what was written is read, under random
 * I/O from four threads that do not overlap, handed in or waited for, plugged or not, small or
 * larger than a transfer, durable or not; each bio ends once; the first and the last sector work and
 * nothing behind them; what never was written is zeros. Each row of the table below is tried.
 */
#include "unit/drivers/conformance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "block/plug.h"
#include "drivers/filedisk.h"
#include "harness/runner.h"
#include "sched/sched.h"
#include "unit/block/fakedisk.h"
#include "unit/drivers/openers.h"

static struct disk *open_file(uint64_t size_bytes, const struct disk_config *config)
{
	struct filedisk_config file_config = {.is_read_only = false};
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct disk *disk;
	char why[200];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	ck_assert_msg(filedisk_open_fd(fd, &file_config, config, &disk, why, sizeof(why)) == 0, "%s", why);
	return disk;
}

static struct disk *open_file_plain(uint64_t size_bytes, void **ret_state)
{
	*ret_state = NULL;
	return open_file(size_bytes, &(struct disk_config){.name = "image"});
}

static struct disk *open_file_inline(uint64_t size_bytes, void **ret_state)
{
	*ret_state = NULL;
	return open_file(size_bytes, &(struct disk_config){.name = "image", .is_inline = true});
}

static struct disk *open_file_narrow(uint64_t size_bytes, void **ret_state)
{
	*ret_state = NULL;
	return open_file(size_bytes, &(struct disk_config){.name = "image", .queue_depth_max = 2, .nr_workers = 1});
}

static struct disk *open_fake(enum fake_style style, uint64_t size_bytes, void **ret_state)
{
	struct fake_config fc = fake_defaults(style, test_seed());
	struct disk_config config = {.name = "fake", .queue_depth_max = 32};
	struct disk *disk;

	fc.limits.size_bytes = size_bytes;
	*ret_state = fake_open(&fc, &config, &disk);
	return disk;
}

static struct disk *open_fake_execute(uint64_t size_bytes, void **ret_state)
{
	return open_fake(FAKE_EXECUTE, size_bytes, ret_state);
}

static struct disk *open_fake_threads(uint64_t size_bytes, void **ret_state)
{
	return open_fake(FAKE_THREADS, size_bytes, ret_state);
}

static struct disk *open_fake_at_once(uint64_t size_bytes, void **ret_state)
{
	return open_fake(FAKE_AT_ONCE, size_bytes, ret_state);
}

static void close_fake(void *state)
{
	fake_destroy(state);
}

static const struct conformance_driver drivers[] = {
	{"file", open_file_plain, NULL},
	{"file, inline", open_file_inline, NULL},
	{"file, a queue of two and one worker", open_file_narrow, NULL},
	{"fake with execute()", open_fake_execute, close_fake},
	{"fake with start() and threads", open_fake_threads, close_fake},
	{"fake that completes at once", open_fake_at_once, close_fake},
	{"ram", open_ram, NULL},
	{"ram of 4 KiB blocks", open_ram_of_4k_blocks, NULL},
	{"cow on ram", open_cow_on_ram, NULL},
	{"cow with a scratch file on a file", open_cow_on_file, NULL},
	{"part of ram", open_part_of_ram, NULL},
	{"part of a file with a queue of two and one worker", open_part_of_narrow_file, NULL},
	{"part of a part of a file", open_part_of_part, NULL},
	{"record on a file", open_record_on_file, close_record},
	{"faulty, without faults, on a file", open_faulty_on_file, NULL},
	{"faulty that is late, on a file with a queue of two", open_faulty_and_late, NULL},
	{"cow on faulty on record on part of a file", open_four_in_a_stack, close_record},
	{"file, direct", open_file_direct, NULL},
	{"uring", open_uring, NULL},
	{"uring of depth one with a queue of two", open_uring_narrow, NULL},
	{"uring, direct", open_uring_direct, NULL},
	{"uring with a polling kernel thread", open_uring_sqpoll, NULL},
	{"mmap", open_mmap, NULL},
	{"sim, pio-poll, noop", open_sim_pio_poll, close_sim},
	{"sim, pio-irq, sstf", open_sim_pio_irq, close_sim},
	{"sim, dma-irq, scan", open_sim_dma_irq, close_sim},
	{"sim, ring-irq, cscan", open_sim_ring_irq, close_sim},
	{"sim, ring-poll, deadline", open_sim_ring_poll, close_sim},
	{"sim, ring-hybrid, noop", open_sim_ring_hybrid, close_sim},
	{"sim in real time, dma-irq, scan", open_sim_real_dma, close_sim},
	{"sim in real time, ring-hybrid, noop", open_sim_real_hybrid, close_sim},
};

static const struct conformance_driver *driver;
static void *state;

static struct disk *open_row(int row, uint64_t size_bytes)
{
	driver = &drivers[row];
	return driver->open(size_bytes, &state);
}

static void close_row(struct disk *disk)
{
	disk_close(disk);
	if (driver->close)
		driver->close(state);
}

/* One thread's part of the disk, in slots that are each written or read by one bio at a time. */
#define NR_THREADS 4
#define NR_SCHEDULERS 5
#define NR_SLOTS 32u
#define SLOT_BYTES 8192u
#define PART_BYTES (NR_SLOTS * SLOT_BYTES)
#define LARGE_SLOTS 24u		/* 192 KiB: more than some drivers transfer at once */

struct slot {
	_Atomic uint32_t nr_under_way;
	_Atomic uint32_t nr_submitted, nr_ended, nr_errors;
	unsigned char shadow[SLOT_BYTES];
	unsigned char memory[SLOT_BYTES];	/* what a read brought */
	bool is_read;
};

struct part {
	struct disk *disk;
	uint64_t start_bytes, seed;
	struct slot slots[NR_SLOTS];
	_Atomic int error;
	_Atomic uint32_t nr_wrong;
};

static void slot_ended(struct bio *bio)
{
	struct slot *slot = bio->private;

	atomic_fetch_add(&slot->nr_ended, 1);
	if (bio->status)
		atomic_fetch_add(&slot->nr_errors, 1);
	bio_free(bio);
	atomic_fetch_sub(&slot->nr_under_way, 1);
}

/* Waits for the slot's last bio, and looks at what it read. */
static void slot_settle(struct part *p, struct slot *slot)
{
	while (atomic_load(&slot->nr_under_way))
		sched_yield();
	if (slot->is_read && memcmp(slot->memory, slot->shadow, SLOT_BYTES) != 0)
		atomic_fetch_add(&p->nr_wrong, 1);
	slot->is_read = false;
}

static uint64_t slot_at(const struct part *p, uint32_t i)
{
	return p->start_bytes + (uint64_t)i * SLOT_BYTES;
}

/* In one to three pieces of memory, so that scatter lists are tried too. */
static void slot_submit(struct part *p, struct rand *r, struct plug *plug, uint32_t i, enum bio_op op)
{
	struct slot *slot = &p->slots[i];
	unsigned char *memory = op == BIO_READ ? slot->memory : slot->shadow;
	struct bio *bio = bio_alloc(p->disk, op, 0, slot_at(p, i) / 512, 3);
	uint32_t cut = 512 * (uint32_t)rand_below(r, SLOT_BYTES / 512 + 1);

	must(bio);
	if (op == BIO_WRITE && rand_one_in(r, 20))
		bio->flags = BIO_PREFLUSH | BIO_FUA;
	must(bio_add(bio, memory, cut));
	must(bio_add(bio, memory + cut, SLOT_BYTES - cut));
	bio->private = slot;
	bio->end_io = slot_ended;
	atomic_fetch_add(&slot->nr_submitted, 1);
	atomic_fetch_add(&slot->nr_under_way, 1);
	slot->is_read = op == BIO_READ;
	plug_submit(plug, bio);
}

/* A run of slots at once, waited for. */
static int large_io(struct part *p, struct rand *r)
{
	uint32_t first = (uint32_t)rand_below(r, NR_SLOTS - LARGE_SLOTS + 1);
	unsigned char *memory = malloc(LARGE_SLOTS * SLOT_BYTES);
	int err;

	for (uint32_t i = 0; i < LARGE_SLOTS; i++)
		slot_settle(p, &p->slots[first + i]);
	if (rand_one_in(r, 2)) {
		rand_fill(r, memory, LARGE_SLOTS * SLOT_BYTES);
		for (uint32_t i = 0; i < LARGE_SLOTS; i++)
			memcpy(p->slots[first + i].shadow, memory + i * SLOT_BYTES, SLOT_BYTES);
		err = disk_write(p->disk, slot_at(p, first), memory, LARGE_SLOTS * SLOT_BYTES,
				 rand_one_in(r, 4) ? BIO_FUA : 0);
	} else {
		err = disk_read(p->disk, slot_at(p, first), memory, LARGE_SLOTS * SLOT_BYTES);
		for (uint32_t i = 0; i < LARGE_SLOTS; i++)
			if (memcmp(p->slots[first + i].shadow, memory + i * SLOT_BYTES, SLOT_BYTES) != 0)
				atomic_fetch_add(&p->nr_wrong, 1);
	}
	free(memory);
	return err;
}

static void part_batch(struct part *p, struct rand *r)
{
	bool is_plugged = rand_one_in(r, 2);
	uint32_t first = (uint32_t)rand_below(r, NR_SLOTS), nr = 1 + (uint32_t)rand_below(r, 12);
	struct plug plug;

	/* Nobody waits for a bio in his own plug: all slots are settled before the first goes in. */
	for (uint32_t i = first; i < min(first + nr, NR_SLOTS); i++)
		slot_settle(p, &p->slots[i]);
	plug_start(&plug);
	for (uint32_t i = first; i < min(first + nr, NR_SLOTS); i++) {
		if (rand_one_in(r, 2)) {
			slot_submit(p, r, is_plugged ? &plug : NULL, i, BIO_READ);
		} else {
			rand_fill(r, p->slots[i].shadow, SLOT_BYTES);
			slot_submit(p, r, is_plugged ? &plug : NULL, i, BIO_WRITE);
		}
	}
	if (rand_one_in(r, 2))
		plug_finish(&plug);
	else
		plug_finish_here(&plug);
}

static int part_waited_for(struct part *p, struct rand *r)
{
	uint32_t i = (uint32_t)rand_below(r, NR_SLOTS);
	struct slot *slot = &p->slots[i];
	unsigned char memory[SLOT_BYTES];
	int err;

	slot_settle(p, slot);
	if (rand_one_in(r, 2)) {
		rand_fill(r, slot->shadow, SLOT_BYTES);
		return disk_write(p->disk, slot_at(p, i), slot->shadow, SLOT_BYTES, 0);
	}
	err = disk_read(p->disk, slot_at(p, i), memory, SLOT_BYTES);
	if (memcmp(memory, slot->shadow, SLOT_BYTES) != 0)
		atomic_fetch_add(&p->nr_wrong, 1);
	return err;
}

static void part_run(void *arg)
{
	struct part *p = arg;
	struct rand r;
	int err = 0;

	rand_init(&r, p->seed);
	for (int round = 0; round < 400 && !err; round++) {
		switch (rand_below(&r, 8)) {
		case 0:
			err = disk_flush(p->disk);
			break;
		case 1:
			err = large_io(p, &r);
			break;
		case 2: case 3: case 4:
			err = part_waited_for(p, &r);
			break;
		default:
			part_batch(p, &r);
		}
	}
	for (uint32_t i = 0; i < NR_SLOTS; i++)
		slot_settle(p, &p->slots[i]);
	atomic_store(&p->error, err);
}

/* Each driver with two schedulers; all rows together meet each scheduler a dozen times. */
START_TEST(data_is_right_under_random_io_from_four_threads)
{
	int nr = (int)array_size(drivers);
	struct disk *disk = open_row(_i % nr, NR_THREADS * PART_BYTES);
	struct part *parts = calloc(NR_THREADS, sizeof(*parts));
	struct thread *threads[NR_THREADS];
	unsigned char *got = malloc(PART_BYTES);

	ck_assert_int_eq(disk_set_elevator(disk, sched_at((size_t)(_i % NR_SCHEDULERS + _i / nr * 2) % NR_SCHEDULERS)), 0);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		parts[i].disk = disk;
		parts[i].start_bytes = i * PART_BYTES;
		parts[i].seed = test_seed() + i;
		threads[i] = thread_create("conformance", part_run, &parts[i]);
		ck_assert_ptr_nonnull(threads[i]);
	}
	for (unsigned i = 0; i < NR_THREADS; i++) {
		thread_join(threads[i]);
		ck_assert_int_eq(parts[i].error, 0);
		ck_assert_uint_eq(parts[i].nr_wrong, 0);
		ck_assert_int_eq(disk_read(disk, parts[i].start_bytes, got, PART_BYTES), 0);
		for (unsigned n = 0; n < NR_SLOTS; n++) {
			ck_assert_uint_eq(parts[i].slots[n].nr_ended, parts[i].slots[n].nr_submitted);
			ck_assert_uint_eq(parts[i].slots[n].nr_errors, 0);
			ck_assert_mem_eq(got + n * SLOT_BYTES, parts[i].slots[n].shadow, SLOT_BYTES);
		}
	}
	ck_assert_uint_eq(counter_get(&disk_stats(disk)->errors), 0);
	close_row(disk);
	free(parts);
	free(got);
}
END_TEST

START_TEST(first_and_last_sector_work_and_nothing_behind)
{
	const uint64_t size = 1 << 20;
	struct disk *disk = open_row(_i, size);
	uint32_t block = disk_limits(disk)->block_bytes;
	unsigned char out[4096], in[4096];

	ck_assert_uint_eq(disk_limits(disk)->size_bytes, size);
	memset(out, 0x5a, sizeof(out));
	ck_assert_int_eq(disk_write(disk, 0, out, block, 0), 0);
	ck_assert_int_eq(disk_write(disk, size - block, out, block, BIO_FUA), 0);
	ck_assert_int_eq(disk_write(disk, size, out, block, 0), -EINVAL);
	ck_assert_int_eq(disk_read(disk, size - block, in, 2 * block), -EINVAL);
	ck_assert_int_eq(disk_read(disk, 0, in, block), 0);
	ck_assert_mem_eq(in, out, block);
	ck_assert_int_eq(disk_read(disk, size - block, in, block), 0);
	ck_assert_mem_eq(in, out, block);
	close_row(disk);
}
END_TEST

START_TEST(what_was_never_written_reads_as_zeros)
{
	struct disk *disk = open_row(_i, 1 << 20);
	unsigned char *memory = malloc(1 << 20);
	uint32_t nr_set = 0;

	memset(memory, 0xff, 1 << 20);
	ck_assert_int_eq(disk_read(disk, 0, memory, 1 << 20), 0);
	for (uint32_t i = 0; i < 1 << 20; i++)
		nr_set += memory[i] != 0;
	ck_assert_uint_eq(nr_set, 0);
	close_row(disk);
	free(memory);
}
END_TEST

START_TEST(a_request_of_many_small_pieces_keeps_their_order)
{
	enum { NR = 256, PIECE = 512 };
	struct disk *disk = open_row(_i, 1 << 20);
	struct bio *bio = bio_alloc(disk, BIO_WRITE, 0, 0, NR);
	unsigned char *memory = malloc(2 * NR * PIECE), *in = malloc(NR * PIECE);

	for (uint32_t i = 0; i < NR; i++) {
		memset(memory + 2 * i * PIECE, (int)i, PIECE);
		ck_assert(bio_add(bio, memory + 2 * i * PIECE, PIECE));
	}
	ck_assert_int_eq(bio_submit_wait(bio), 0);
	ck_assert_int_eq(disk_read(disk, 0, in, NR * PIECE), 0);
	for (uint32_t i = 0; i < NR; i++)
		ck_assert_mem_eq(in + i * PIECE, memory + 2 * i * PIECE, PIECE);
	bio_free(bio);
	close_row(disk);
	free(memory);
	free(in);
}
END_TEST

TEST_SUITE(drivers_conformance)
{
	int nr = (int)array_size(drivers);

	tcase_add_loop_test(tc, data_is_right_under_random_io_from_four_threads, 0, nr * 2);
	tcase_add_loop_test(tc, first_and_last_sector_work_and_nothing_behind, 0, nr);
	tcase_add_loop_test(tc, what_was_never_written_reads_as_zeros, 0, nr);
	tcase_add_loop_test(tc, a_request_of_many_small_pieces_keeps_their_order, 0, nr);
}
