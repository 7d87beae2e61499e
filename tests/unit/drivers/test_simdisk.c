/*
 * The simulated disk and its driver as a disk. What must hold, for every mode: what was written is
 * read, also in real time; the same run takes the same time and the same counts; a lost interrupt, a
 * command that is never answered and a completion that comes twice are survived, and counted; a
 * failing media is an error; nothing stays mapped. And the modes differ as the books say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rand.h"
#include "block/plug.h"
#include "drivers/sim/driver.h"
#include "drivers/simdisk.h"
#include "harness/runner.h"
#include "unit/block/fakedisk.h"

#define DISK_BYTES (1u << 20)
#define REAL_TIMEOUT_MS 250	/* longer than an honest command takes under a sanitizer */

struct rig {
	struct clock *clock;
	struct fake *fake;
	struct disk *media, *disk;
	struct simdisk *sim;
};

static void no_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static struct sim_config config_of(const char *profile, enum sim_mode mode, enum sim_drive drive)
{
	return (struct sim_config){
		.profile = sim_profile_find(profile), .mode = mode, .drive = drive, .owns_media = true,
	};
}

static void rig_open(struct rig *r, const struct sim_config *config)
{
	struct fake_config fc = fake_defaults(FAKE_EXECUTE, 1);
	struct disk_config dc = {.name = "sim"}, media_config = {.name = "media", .is_inline = true};
	char why[200];

	fc.limits.size_bytes = DISK_BYTES;
	r->fake = fake_open(&fc, &media_config, &r->media);
	r->clock = config->drive == SIM_REAL ? NULL : clock_create_virtual((struct timespec){0});
	dc.clock = r->clock;
	ck_assert_msg(simdisk_open(r->media, config, &dc, &r->disk, &r->sim, why, sizeof(why)) == 0,
		      "%s", why);
}

static void rig_close(struct rig *r)
{
	/* What is mapped when nothing is under way: descriptors, and the rings. */
	uint32_t nr_own = sim_uses_rings(r->sim) ? 3 : 1;

	disk_drain(r->disk);
	ck_assert_uint_eq(windows_nr_open(r->sim->bus.windows), nr_own);
	disk_close(r->disk);
	fake_destroy(r->fake);
	clock_destroy(r->clock);
}

static uint64_t stat_of(const counter_t *c)
{
	return counter_get(c);
}

/* Random writes and reads against a shadow. */
static void exercise(struct rig *r, uint64_t seed, unsigned rounds)
{
	unsigned char *shadow = calloc(1, DISK_BYTES), *memory = malloc(1 << 18);
	struct rand rnd;

	rand_init(&rnd, seed);
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t len = 512 * (1 + (uint32_t)rand_below(&rnd, rand_one_in(&rnd, 4) ? 256 : 16));
		uint64_t at = 512 * rand_below(&rnd, (DISK_BYTES - len) / 512);

		if (rand_one_in(&rnd, 2)) {
			rand_fill(&rnd, shadow + at, len);
			ck_assert_int_eq(disk_write(r->disk, at, shadow + at, len,
						    rand_one_in(&rnd, 8) ? BIO_FUA : 0), 0);
		} else {
			ck_assert_int_eq(disk_read(r->disk, at, memory, len), 0);
			ck_assert_mem_eq(memory, shadow + at, len);
		}
	}
	ck_assert_int_eq(disk_flush(r->disk), 0);
	free(shadow);
	free(memory);
}

START_TEST(what_was_written_is_read_in_every_mode)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_INLINE);
	struct rig r;

	rig_open(&r, &config);
	exercise(&r, test_seed(), 200);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->timeouts), 0);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->faults), 0);
	rig_close(&r);
}
END_TEST

START_TEST(what_was_written_is_read_in_real_time)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_REAL);
	struct rig r;

	rig_open(&r, &config);
	exercise(&r, test_seed(), 60);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->timeouts), 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_run_is_repeated_to_the_nanosecond)
{
	struct sim_config config = config_of("hdd7200", (enum sim_mode)_i, SIM_INLINE);
	uint64_t end_ns[2], cpu_ns[2], travel[2];

	for (int run = 0; run < 2; run++) {
		struct rig r;

		rig_open(&r, &config);
		exercise(&r, 42, 100);
		end_ns[run] = clock_now_ns(r.clock);
		cpu_ns[run] = stat_of(&simdisk_stats(r.sim)->cpu_ns);
		travel[run] = stat_of(&simdisk_stats(r.sim)->travel);
		rig_close(&r);
	}
	ck_assert_uint_gt(end_ns[0], 0);
	ck_assert_uint_eq(end_ns[0], end_ns[1]);
	ck_assert_uint_eq(cpu_ns[0], cpu_ns[1]);
	ck_assert_uint_eq(travel[0], travel[1]);
}
END_TEST

/* One read of 4 KiB: what it costs in each mode. */
START_TEST(the_modes_cost_what_the_books_say)
{
	unsigned char memory[4096];
	const struct sim_stats *s;
	uint64_t polls[SIM_NR_MODES], interrupts[SIM_NR_MODES], words[SIM_NR_MODES],
		copied[SIM_NR_MODES];

	for (int mode = 0; mode < SIM_NR_MODES; mode++) {
		struct sim_config config = config_of("hdd7200", (enum sim_mode)mode, SIM_INLINE);
		struct rig r;

		rig_open(&r, &config);
		s = simdisk_stats(r.sim);
		words[mode] = stat_of(&s->reg_reads);
		ck_assert_int_eq(disk_read(r.disk, DISK_BYTES / 2, memory, sizeof(memory)), 0);
		words[mode] = stat_of(&s->reg_reads) - words[mode];
		polls[mode] = stat_of(&s->polls);
		interrupts[mode] = stat_of(&s->interrupts);
		copied[mode] = stat_of(&s->copied_bytes);
		rig_close(&r);
	}
	ck_assert_uint_eq(copied[SIM_PIO_POLL], 4096);
	ck_assert_uint_eq(copied[SIM_PIO_IRQ], 4096);
	ck_assert_uint_ge(words[SIM_PIO_IRQ], 1024);
	ck_assert_uint_le(words[SIM_PIO_IRQ], 1030);
	ck_assert_uint_gt(polls[SIM_PIO_POLL], 1000);
	ck_assert_uint_eq(polls[SIM_PIO_IRQ], 0);
	ck_assert_uint_eq(interrupts[SIM_PIO_POLL], 0);
	ck_assert_uint_eq(interrupts[SIM_PIO_IRQ], 1);
	ck_assert_uint_eq(interrupts[SIM_DMA_IRQ], 1);
	ck_assert_uint_eq(interrupts[SIM_RING_IRQ], 1);
	ck_assert_uint_eq(interrupts[SIM_RING_POLL], 0);
	ck_assert_uint_eq(copied[SIM_DMA_IRQ], 0);
	ck_assert_uint_le(words[SIM_DMA_IRQ], 4);
	ck_assert_uint_eq(words[SIM_RING_POLL], 0);
	ck_assert_uint_gt(polls[SIM_RING_POLL], 1000);
	ck_assert_uint_lt(polls[SIM_RING_HYBRID], 1000);	/* it gave up, and waited */
	ck_assert_uint_eq(interrupts[SIM_RING_HYBRID], 1);
}
END_TEST

START_TEST(lost_interrupts_are_found_by_the_time_out)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_INLINE);
	struct rig r;

	log_set_sink(no_log, NULL);
	config.faults.lose_interrupt = 5;
	config.timeout_ms = 20;
	rig_open(&r, &config);
	exercise(&r, 7, 100);
	ck_assert_uint_gt(stat_of(&simdisk_stats(r.sim)->lost_interrupts), 0);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->resets), 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_lost_interrupt_is_found_in_real_time)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_REAL);
	struct rig r;

	log_set_sink(no_log, NULL);
	config.faults.lose_interrupt = 5;
	config.timeout_ms = REAL_TIMEOUT_MS;
	rig_open(&r, &config);
	exercise(&r, 7, 8);
	ck_assert_uint_gt(stat_of(&simdisk_stats(r.sim)->timeouts), 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_command_without_answer_is_given_again_after_a_reset)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)(_i % SIM_NR_MODES),
					     _i < SIM_NR_MODES ? SIM_INLINE : SIM_REAL);
	struct rig r;

	log_set_sink(no_log, NULL);
	config.faults.no_answer = 7;
	config.timeout_ms = REAL_TIMEOUT_MS;
	rig_open(&r, &config);
	exercise(&r, 8, 16);
	ck_assert_uint_gt(stat_of(&simdisk_stats(r.sim)->resets), 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_device_that_never_answers_is_an_error)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_INLINE);
	unsigned char memory[512];
	struct rig r;

	log_set_sink(no_log, NULL);
	config.faults.no_answer = 1;
	config.timeout_ms = 20;
	rig_open(&r, &config);
	ck_assert_int_eq(disk_read(r.disk, 0, memory, sizeof(memory)), -EIO);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->resets), SIM_TRIES_MAX);
	ck_assert_uint_ge(clock_now_ns(r.clock), SIM_TRIES_MAX * 20 * NSEC_PER_MSEC);
	rig_close(&r);
}
END_TEST

START_TEST(a_completion_that_comes_twice_hits_nobody)
{
	struct sim_config config = config_of("nvme", (enum sim_mode)_i, SIM_INLINE);
	struct rig r;

	log_set_sink(no_log, NULL);
	config.faults.unknown_tag = 3;
	rig_open(&r, &config);
	exercise(&r, 9, 100);
	ck_assert_uint_gt(stat_of(&simdisk_stats(r.sim)->unknown_tags), 10);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->timeouts), 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_failing_media_is_an_error_of_that_request_only)
{
	struct sim_config config = config_of("ssd", (enum sim_mode)_i, SIM_INLINE);
	unsigned char memory[4096] = {1};
	struct rig r;

	log_set_sink(no_log, NULL);
	rig_open(&r, &config);
	fake_fail(r.fake, BIO_READ, 1, -EIO);
	ck_assert_int_eq(disk_read(r.disk, 0, memory, sizeof(memory)), -EIO);
	ck_assert_int_eq(disk_read(r.disk, 0, memory, sizeof(memory)), 0);
	fake_fail(r.fake, BIO_WRITE, 1, -EIO);
	ck_assert_int_eq(disk_write(r.disk, 0, memory, sizeof(memory), 0), -EIO);
	ck_assert_int_eq(disk_write(r.disk, 0, memory, sizeof(memory), 0), 0);
	rig_close(&r);
}
END_TEST

START_TEST(what_was_flushed_is_durable_below)
{
	struct sim_config config = config_of("ssd", (enum sim_mode)_i, SIM_INLINE);
	unsigned char out[512], got[512];
	struct rig r;

	rig_open(&r, &config);
	memset(out, 0x3c, sizeof(out));
	ck_assert_int_eq(disk_write(r.disk, 1024, out, sizeof(out), 0), 0);
	fake_durable(r.fake, 1024, got, sizeof(got));
	ck_assert_mem_ne(got, out, sizeof(out));
	ck_assert_int_eq(disk_flush(r.disk), 0);
	fake_durable(r.fake, 1024, got, sizeof(got));
	ck_assert_mem_eq(got, out, sizeof(out));
	ck_assert_int_eq(disk_write(r.disk, 2048, out, sizeof(out), BIO_FUA), 0);
	fake_durable(r.fake, 2048, got, sizeof(got));
	ck_assert_mem_eq(got, out, sizeof(out));
	rig_close(&r);
}
END_TEST

/* Stepped: nothing moves but by the steps, and rings keep many under way. */
static void count_end(struct bio *bio)
{
	(*(unsigned *)bio->private)++;
	ck_assert_int_eq(bio->status, 0);
	bio_free(bio);
}

START_TEST(stepped_it_waits_for_the_step_and_stops_at_the_time)
{
	struct sim_config config = config_of("ssd", SIM_RING_IRQ, SIM_STEPPED);
	static unsigned char memory[16][4096];
	unsigned nr_ended = 0;
	struct rig r;

	rig_open(&r, &config);
	for (unsigned i = 0; i < 16; i++) {
		struct bio *bio = bio_alloc(r.disk, BIO_READ, 0, i * 64, 1);

		ck_assert(bio_add(bio, memory[i], sizeof(memory[i])));
		bio->end_io = count_end;
		bio->private = &nr_ended;
		bio_submit(bio);
	}
	ck_assert_uint_eq(nr_ended, 0);
	while (simdisk_step(r.sim, 80000))
		;
	ck_assert_uint_eq(nr_ended, 0);
	ck_assert_uint_ge(clock_now_ns(r.clock), 80000);
	simdisk_run(r.sim);
	ck_assert_uint_eq(nr_ended, 16);
	/* 16 reads on 8 channels: two rounds of 85 us, and the CPU's part. */
	ck_assert_uint_lt(clock_now_ns(r.clock), 350000);
	rig_close(&r);
}
END_TEST

START_TEST(interrupts_are_gathered_by_count_and_never_held_longer_than_the_time)
{
	struct sim_config config = config_of("ssd", SIM_RING_IRQ, SIM_STEPPED);
	static unsigned char memory[9][512];
	unsigned nr_ended = 0;
	struct rig r;

	config.coalesce_count = 8;
	config.coalesce_us = 500;
	rig_open(&r, &config);
	for (unsigned i = 0; i < 9; i++) {
		struct bio *bio = bio_alloc(r.disk, BIO_READ, 0, i * 64, 1);

		ck_assert(bio_add(bio, memory[i], sizeof(memory[i])));
		bio->end_io = count_end;
		bio->private = &nr_ended;
		bio_submit(bio);
	}
	simdisk_run(r.sim);
	ck_assert_uint_eq(nr_ended, 9);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->interrupts), 2);
	/* The ninth waited for nobody: its interrupt came after 500 us. */
	ck_assert_uint_ge(clock_now_ns(r.clock), 660000);
	ck_assert_uint_lt(clock_now_ns(r.clock), 720000);
	rig_close(&r);
}
END_TEST

static void keep_status(struct bio *bio)
{
	*(int *)bio->private = bio->status;
}

static void submit_read(struct rig *r, struct bio *bio, void *memory, void (*end_io)(struct bio *), void *private)
{
	bio_init(bio, r->disk, BIO_READ, 0, 8, 1);
	ck_assert(bio_add(bio, memory, 4096));
	bio->end_io = end_io;
	bio->private = private;
	bio_submit(bio);
}

START_TEST(a_transfer_without_room_is_an_error_and_the_next_one_works)
{
	struct sim_config config = config_of("ssd", (enum sim_mode)_i, SIM_STEPPED);
	struct bio *bio = malloc(sizeof(*bio) + sizeof(struct bio_vec));
	static unsigned char memory[4096];
	struct rig r;
	int status = 1;

	log_set_sink(no_log, NULL);
	rig_open(&r, &config);
	submit_read(&r, bio, memory, keep_status, &status);
	r.sim->descriptors[0].len_bytes = 100;	/* the driver's mistake */
	simdisk_run(r.sim);
	ck_assert_int_eq(status, -EIO);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->faults), 1);
	submit_read(&r, bio, memory, keep_status, &status);
	simdisk_run(r.sim);
	ck_assert_int_eq(status, 0);
	rig_close(&r);
	free(bio);
}
END_TEST

/* The first read's completion comes again, while the second has the same tag. */
START_TEST(a_late_completion_does_not_end_the_tags_next_command)
{
	struct sim_config config = config_of("ssd", SIM_RING_POLL, SIM_STEPPED);
	struct bio *bio = malloc(sizeof(*bio) + sizeof(struct bio_vec));
	static unsigned char memory[4096];
	struct sim_completion *forged;
	int status = 1;
	struct rig r;

	log_set_sink(no_log, NULL);
	rig_open(&r, &config);
	submit_read(&r, bio, memory, keep_status, &status);
	simdisk_run(r.sim);
	ck_assert_int_eq(status, 0);
	status = 1;
	submit_read(&r, bio, memory, keep_status, &status);
	forged = &r.sim->completions[r.sim->cq_head];
	reg_store(&forged->words[COMPLETION_ID], reg_load(&r.sim->completions[0].words[COMPLETION_ID]));
	reg_store(&forged->words[COMPLETION_PHASE], completion_phase(r.sim->cq_head, r.sim->ring_size));
	while (simdisk_step(r.sim, clock_now_ns(r.clock) + 1000) && status == 1)
		;
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->unknown_tags), 1);
	ck_assert_int_eq(status, 1);
	/* The ring is out of step now: the read's own completion is missed, and the reset puts it right. */
	simdisk_run(r.sim);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(stat_of(&simdisk_stats(r.sim)->resets), 1);
	rig_close(&r);
	free(bio);
}
END_TEST

START_TEST(a_clock_that_does_not_fit_is_refused)
{
	struct sim_config config = config_of("nvme", SIM_RING_IRQ, SIM_INLINE);
	struct disk_config dc = {.name = "sim"};
	struct disk *disk;
	char why[200] = "";

	config.size_bytes = DISK_BYTES;
	ck_assert_int_eq(simdisk_open(NULL, &config, &dc, &disk, NULL, why, sizeof(why)), -EINVAL);
	ck_assert_str_ne(why, "");
}
END_TEST

TEST_SUITE(drivers_simdisk)
{
	tcase_add_loop_test(tc, what_was_written_is_read_in_every_mode, 0, SIM_NR_MODES);
	tcase_add_loop_test(tc, what_was_written_is_read_in_real_time, 0, SIM_NR_MODES);
	tcase_add_loop_test(tc, a_run_is_repeated_to_the_nanosecond, 0, SIM_NR_MODES);
	tcase_add_test(tc, the_modes_cost_what_the_books_say);
	tcase_add_loop_test(tc, lost_interrupts_are_found_by_the_time_out, SIM_PIO_IRQ, SIM_RING_POLL);
	tcase_add_loop_test(tc, a_lost_interrupt_is_found_in_real_time, SIM_PIO_IRQ, SIM_RING_POLL);
	tcase_add_loop_test(tc, a_command_without_answer_is_given_again_after_a_reset, 0,
			    2 * SIM_NR_MODES);
	tcase_add_loop_test(tc, a_device_that_never_answers_is_an_error, 0, SIM_NR_MODES);
	tcase_add_loop_test(tc, a_completion_that_comes_twice_hits_nobody, SIM_RING_IRQ, SIM_NR_MODES);
	tcase_add_loop_test(tc, a_failing_media_is_an_error_of_that_request_only, 0, SIM_NR_MODES);
	tcase_add_loop_test(tc, what_was_flushed_is_durable_below, 0, SIM_NR_MODES);
	tcase_add_test(tc, stepped_it_waits_for_the_step_and_stops_at_the_time);
	tcase_add_test(tc, interrupts_are_gathered_by_count_and_never_held_longer_than_the_time);
	tcase_add_loop_test(tc, a_transfer_without_room_is_an_error_and_the_next_one_works, SIM_DMA_IRQ,
			    SIM_NR_MODES);
	tcase_add_test(tc, a_late_completion_does_not_end_the_tags_next_command);
	tcase_add_test(tc, a_clock_that_does_not_fit_is_refused);
}
