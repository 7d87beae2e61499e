/*
 * The file system does what the oracle says: random operations on names, bytes and attributes, on
 * every kind of image, with caches so small that everything is read again and again, and images so
 * small that space runs out. At each checkpoint the image passes e2fsck and the trees are the same
 * before and after a new mount. Inline and in virtual time, so a seed repeats a run exactly.
 *
 * MODEL_STEPS=N in the environment makes each run longer; MODEL_PARANOID=1 compares all attributes
 * after every step, which tells the step that did the damage.
 */
#include <stdlib.h>

#include "harness/runner.h"
#include "model.h"

#define STEPS_EACH 8400		/* 15 kinds of images: 126,000 in all */
#define STEPS_TO_CHECKPOINT 1400

static const unsigned block_sizes[] = {1024, 2048, 4096};

static struct model_config config_of(int kind, uint64_t seed)
{
	unsigned block = block_sizes[kind % 3];
	bool is_data_journal = kind >= 12, is_ext3 = is_data_journal || kind / 3 % 2;
	struct model_config config = {
		.recipe = {
			/* 1024 blocks of journal, and a little room besides */
			.size_bytes = (uint64_t)block * (is_ext3 ? 4400 : 3300),
			.block_bytes = block,
			.inode_bytes = kind / 6 ? 256 : 128,
			.is_ext3 = is_ext3,
			.has_dir_index = kind & 1,
			.nr_inodes = kind == 4 ? 64 : 0,
			.reserved_percent = kind == 7 ? 10 : 0,
			.seed = seed,
		},
		.stack = {
			.block_bytes = block,
			.unused_inodes_max = kind % 4 == 3 ? 2 : 50,
			.dentries_max = kind % 4 == 2 ? 5 : 500,
			.data_mode = is_data_journal ? EXT_DATA_JOURNAL : EXT_DATA_ORDERED,
			.seed = seed,
		},
	};

	return config;
}

static uint64_t steps_wanted(void)
{
	const char *text = getenv("MODEL_STEPS");

	return text ? strtoull(text, NULL, 10) : STEPS_EACH;
}

START_TEST(the_mount_is_what_the_oracle_says)
{
	struct model_config config = config_of(_i, test_seed());
	static struct model m;

	model_create(&m, &config, test_seed() + (uint64_t)_i);
	for (uint64_t i = 1; i <= steps_wanted(); i++) {
		model_step(&m);
		if (i % STEPS_TO_CHECKPOINT == 0)
			model_checkpoint(&m);
	}
	model_destroy(&m);
}
END_TEST

TEST_SUITE(fs_model)
{
	tcase_add_loop_test(tc, the_mount_is_what_the_oracle_says, 0, 15);
}
