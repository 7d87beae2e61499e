/*
 * Images in memory: mkfs's plan and write over a memfd, e2fsck as a child that inherits it.
 */
#include "harness/image.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "harness/runner.h"
#include "plan.h"
#include "write.h"

#define MADE_AT 1700000000	/* any moment will do, if it is always the same */

static int new_memfd(uint64_t size_bytes)
{
	int fd = memfd_create("extant-test-image", 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	return fd;
}

static void plan_image(const struct image_recipe *recipe, struct plan *plan)
{
	struct mkfs_params params = {
		.is_ext3 = recipe->is_ext3,
		.size_bytes = recipe->size_bytes,
		.block_size = recipe->block_bytes,
		.inode_size = recipe->inode_bytes,
		.nr_inodes = recipe->nr_inodes,
		.reserved_percent = recipe->reserved_percent,
		.rev_level = 1,
		.now = MADE_AT,
	};
	struct rand r;
	char err[256];

	rand_init(&r, recipe->seed);
	rand_fill(&r, params.uuid, sizeof(params.uuid));
	rand_fill(&r, params.hash_seed, sizeof(params.hash_seed));
	if (!recipe->has_dir_index)
		params.feature_clear[FEATURE_COMPAT] = EXT_COMPAT_DIR_INDEX;
	if (plan_make(&params, plan, err, sizeof(err)))
		ck_abort_msg("no such file system: %s", err);
	ck_assert_msg(!recipe->is_ext3 || plan->journal_blocks, "too small for the journal that the test wants");
}

int temp_image_make(const struct image_recipe *recipe)
{
	struct write_options options = {.is_prezeroed = true};
	int fd = new_memfd(recipe->size_bytes);
	struct image img;
	struct plan plan;
	char path[64];

	plan_image(recipe, &plan);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (image_open(&img, path, 0) || image_lock(&img) || write_filesystem(&plan, &img, &options) ||
	    image_close(&img, false))
		ck_abort_msg("mkfs: %s", img.why);
	return fd;
}

int temp_image_copy(int fd)
{
	struct stat st;
	off_t at = 0;
	int copy;

	ck_assert_int_eq(fstat(fd, &st), 0);
	copy = new_memfd((uint64_t)st.st_size);
	while (at < st.st_size)
		ck_assert_int_gt(sendfile(copy, fd, &at, (size_t)(st.st_size - at)), 0);
	return copy;
}

static const char *find_e2fsck(void)
{
	static const char *const places[] = {"/sbin/e2fsck", "/usr/sbin/e2fsck", "/usr/local/sbin/e2fsck"};

	for (size_t i = 0; i < array_size(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	test_skip("there is no e2fsck");
}

int temp_image_fsck(int fd, char *report, size_t size)
{
	char command[128];
	size_t len;
	int status;
	FILE *out;

	snprintf(command, sizeof(command), "%s -fn /proc/self/fd/%d 2>&1", find_e2fsck(), fd);
	out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	len = fread(report, 1, size - 1, out);
	report[len] = 0;
	while (fgetc(out) != EOF)
		;
	status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
