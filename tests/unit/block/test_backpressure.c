/*
 * A disk that answers nothing: four threads hand in 1,000,000 bios between them, and no more than the bound
 * are ever with the queue, however long it lasts; and when the disk answers again, each bio ends once.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "fakedisk.h"
#include "harness/runner.h"

#define NR_BIOS 1000000u
#define NR_THREADS 4u
#define BOUND 64u
#define SECTORS 2048u		/* the fake disk's */
#define STUCK_US 200000
#define FORGET_EVERY 10000u	/* the fake disk remembers what it did */

struct flood {
	struct disk *disk;
	struct fake *fake;
	_Atomic uint32_t nr_submitted, nr_ended, nr_errors;
};

static char memory[SECTOR_SIZE];

static void ended(struct bio *bio)
{
	struct flood *f = bio->private;
	uint32_t nr = atomic_fetch_add(&f->nr_ended, 1);

	if (bio->status)
		atomic_fetch_add(&f->nr_errors, 1);
	if (nr % FORGET_EVERY == 0)
		fake_forget_events(f->fake);
	bio_free(bio);
}

/* Every other sector, so that little is merged and each bio needs room of its own. */
static void submit_many(void *arg)
{
	struct flood *f = arg;

	for (uint32_t i = 0; i < NR_BIOS / NR_THREADS; i++) {
		struct bio *bio = bio_alloc(f->disk, BIO_READ, 0, i * 2 % SECTORS, 1);

		if (!bio || !bio_add(bio, memory, sizeof(memory))) {
			atomic_fetch_add(&f->nr_errors, 1);
			return;
		}
		bio->private = f;
		bio->end_io = ended;
		bio_submit(bio);
		atomic_fetch_add(&f->nr_submitted, 1);
	}
}

START_TEST(a_million_bios_wait_for_a_stuck_disk_within_the_bound)
{
	struct fake_config config = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config disk_config = {.queue_depth_max = BOUND};
	struct thread *threads[NR_THREADS];
	struct flood f = {.disk = NULL};

	config.is_stuck = true;
	f.fake = fake_open(&config, &disk_config, &f.disk);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		threads[i] = thread_create("flood", submit_many, &f);
		ck_assert_ptr_nonnull(threads[i]);
	}
	usleep(STUCK_US);
	ck_assert_uint_eq(f.nr_ended, 0);
	/* Neighbours may have been merged, at most into what one request takes. */
	ck_assert_uint_le(f.nr_submitted, BOUND * config.limits.request_bytes_max / SECTOR_SIZE);
	ck_assert_uint_le(atomic_load(&disk_stats(f.disk)->depth_now), BOUND);
	fake_unstick(f.fake);
	for (unsigned i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	disk_drain(f.disk);
	ck_assert_uint_eq(f.nr_submitted, NR_BIOS);
	ck_assert_uint_eq(f.nr_ended, NR_BIOS);
	ck_assert_uint_eq(f.nr_errors, 0);
	ck_assert_uint_le(atomic_load(&disk_stats(f.disk)->depth_most), BOUND);
	ck_assert_uint_gt(counter_get(&disk_stats(f.disk)->backpressure_waits), 0);
	disk_close(f.disk);
	fake_destroy(f.fake);
}
END_TEST

TEST_SUITE(block_backpressure)
{
	/* A driver that ends what it is given before it returns cannot be stuck. */
	tcase_add_loop_test(tc, a_million_bios_wait_for_a_stuck_disk_within_the_bound, FAKE_EXECUTE, FAKE_AT_ONCE);
}
