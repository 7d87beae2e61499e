/*
 * The file system does what the oracle says over every driver and every scheduler: the model's random
 * operations, fewer of them, with e2fsck and a new mount in between. Simulated disks run in virtual time.
 *
 * EXTANT_TEST_DRIVER=file|uring|mmap|dax|sim in the environment puts all other tests of this folder, which do
 * not say what they want, on that driver.
 */
#include "block/elevator.h"
#include "harness/runner.h"
#include "model.h"
#include "sched/sched.h"

#define STEPS_EACH 1400
#define STEPS_TO_CHECKPOINT 700

static const enum stack_driver drivers[] = {STACK_FILE, STACK_URING, STACK_MMAP, STACK_DAX, STACK_SIM};
static const unsigned block_sizes[] = {1024, 2048, 4096};

static void run_model(enum stack_driver driver, const struct elevator_ops *elevator, int kind, uint64_t seed)
{
	unsigned block = block_sizes[kind % 3];
	bool is_ext3 = kind / 3 % 2;
	struct model_config config = {
		.recipe = {
			.size_bytes = (uint64_t)block * (is_ext3 ? 4400 : 3300),
			.block_bytes = block,
			.inode_bytes = kind & 1 ? 256 : 128,
			.is_ext3 = is_ext3,
			.has_dir_index = kind & 1,
			.seed = seed,
		},
		.stack = {
			.driver = driver,
			.elevator = elevator,
			.block_bytes = block,
			.unused_inodes_max = 50,
			.dentries_max = 500,
			.seed = seed,
		},
	};
	static struct model m;

	model_create(&m, &config, seed);
	for (uint64_t i = 1; i <= STEPS_EACH; i++) {
		model_step(&m);
		if (i % STEPS_TO_CHECKPOINT == 0)
			model_checkpoint(&m);
	}
	model_destroy(&m);
}

START_TEST(every_driver_serves_the_file_system)
{
	int nr = (int)array_size(drivers);

	run_model(drivers[_i % nr], NULL, _i / nr, test_seed() + (uint64_t)_i);
}
END_TEST

START_TEST(every_scheduler_serves_the_file_system)
{
	run_model(_i % 2 ? STACK_SIM : STACK_URING, sched_at((size_t)_i / 2), 5, test_seed() + (uint64_t)_i);
}
END_TEST

TEST_SUITE(fs_drivers)
{
	tcase_add_loop_test(tc, every_driver_serves_the_file_system, 0, 6 * (int)array_size(drivers));
	tcase_add_loop_test(tc, every_scheduler_serves_the_file_system, 0, 10);
}
