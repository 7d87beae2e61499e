/* The laboratory's rooms: the image on which workloads begin. */
#include "crash/lab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crash/need.h"
#include "crash/run.h"
#include "plan.h"
#include "write.h"

#define MADE_AT 1700000000

void need(bool is_there, const char *what)
{
	if (is_there)
		return;
	fprintf(stderr, "crash: cannot go on without %s\n", what);
	exit(2);
}

void *need_memory(void *p)
{
	need(p != NULL, "memory");
	return p;
}

struct mount_config lab_mount_config(const struct lab *lab)
{
	return (struct mount_config){
		.block_bytes = lab->config.block_bytes,
		.unused_inodes_max = lab->config.unused_inodes_max,
		.data_mode = lab->config.data_mode,
		.has_no_checksum = lab->config.has_no_checksum,
		.has_discard = lab->config.has_discard,
		.seed = lab->config.seed,
	};
}

/* ---- the image ---- */

static void plan_image(const struct lab_config *config, struct plan *plan)
{
	struct mkfs_params params = {
		.is_ext3 = true,
		.size_bytes = config->size_bytes,
		.block_size = config->block_bytes,
		.inode_size = 256,
		.rev_level = 1,
		.now = MADE_AT,
	};
	struct rand r;
	char err[256];

	rand_init(&r, config->seed);
	rand_fill(&r, params.uuid, sizeof(params.uuid));
	rand_fill(&r, params.hash_seed, sizeof(params.hash_seed));
	need(plan_make(&params, plan, err, sizeof(err)) == 0, err);
	need(plan->journal_blocks != 0, "room for a journal");
}

/* What our mkfs makes of a file in memory. */
static void make_fresh(const struct lab_config *config, uint8_t *to)
{
	struct write_options options = {.is_prezeroed = true};
	int fd = memfd_create("crash-fresh", 0);
	struct image image;
	struct plan plan;
	char path[64];

	need(fd >= 0 && ftruncate(fd, (off_t)config->size_bytes) == 0, "a file in memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	plan_image(config, &plan);
	need(!image_open(&image, path, 0) && !image_lock(&image) && !write_filesystem(&plan, &image, &options) &&
		     !image_close(&image, false),
	     "a fresh file system");
	need(pread(fd, to, config->size_bytes, 0) == (ssize_t)config->size_bytes, "the fresh image");
	close(fd);
}

/* What lies in free space must never show up in a file: it is made to be known. */
static void fill_free_space(struct lab *lab, uint8_t *image)
{
	for (uint32_t b = 0; b < lab->reader.blocks; b++)
		if (reader_is_free(&lab->reader, b))
			memset(image + (size_t)b * lab->reader.block_bytes, 0xfb, lab->reader.block_bytes);
}

static void note_log(void *arg, uint32_t first, uint32_t count)
{
	struct lab *lab = arg;
	uint32_t block = first / (lab->config.block_bytes / SECTOR_SIZE);

	lab->log_blocks[lab->nr_log_blocks++] = block;
	lab->log_index[block] = lab->nr_log_blocks;
	flat_set_log(lab->flat, first, count);
	flat_set_log(lab->live, first, count);
}

void lab_apply_setup(const struct lab *lab, struct model *m)
{
	struct op lost = {.kind = OP_MKDIR, .path = "lost+found"};

	model_apply(m, &lost, 0, 0, 0);
	lost = (struct op){.kind = OP_CHMOD, .path = "lost+found", .len = 0700};
	model_apply(m, &lost, 0, 0, 0);
	for (uint32_t i = 0; i < lab->setup.nr; i++)
		model_apply(m, &lab->setup.ops[i], 0, lab->setup.ops[i].len, 0);
}

static void do_setup(struct lab *lab)
{
	struct mount_config config = lab_mount_config(lab);
	struct ground ground;
	struct mount mount;

	ground_init(&ground, &config);
	need(mount_start(&mount, &ground, lab->live->disk, &config) == 0, mount.why);
	for (uint32_t i = 0; i < lab->setup.nr; i++) {
		uint64_t done;

		need(mount_do(&mount, &lab->setup.ops[i], 0, &done) == 0, "the setup's operations");
	}
	need(mount_stop(&mount) == 0, "a clean end of the setup");
	ground_done(&ground);
}

static void make_images(struct lab *lab)
{
	make_fresh(&lab->config, lab->fresh);
	need(reader_init(&lab->reader, lab->fresh, lab->config.size_bytes), lab->reader.why);
	lab->room = lab->reader.free_blocks + lab->reader.table[READER_ROOT].units / (lab->config.block_bytes / 512);
	reader_log(&lab->reader, note_log, lab);
	fill_free_space(lab, lab->fresh);
	flat_load(lab->live, lab->fresh);
	do_setup(lab);
	flat_keep(lab->live);	/* each run begins here again */
	memcpy(lab->fresh, lab->live->bytes, lab->config.size_bytes);
	need(reader_parse(&lab->reader, lab->fresh), lab->reader.why);
}

struct lab *lab_create(const struct lab_config *config)
{
	struct lab *lab = need_memory(calloc(1, sizeof(*lab)));
	struct mount_config mount_config;

	lab->config = *config;
	lab->flat = flat_create(config->size_bytes);
	lab->live = flat_create(config->size_bytes);
	lab->fresh = need_memory(malloc(config->size_bytes));
	lab->scratch = need_memory(malloc(config->size_bytes));
	lab->log_blocks = need_memory(calloc(config->size_bytes / config->block_bytes, sizeof(lab->log_blocks[0])));
	lab->log_index = need_memory(calloc(config->size_bytes / config->block_bytes, sizeof(lab->log_index[0])));
	lab->seen = seen_create();
	rand_init(&lab->rand, config->seed);
	need(op_list_parse(&lab->setup, config->setup ? config->setup : ""), "a setup that can be read");
	for (uint32_t i = 0; i < lab->setup.nr; i++)
		lab->setup.ops[i].fill = 100 + i;
	mount_config = lab_mount_config(lab);
	ground_init(&lab->ground, &mount_config);
	make_images(lab);
	return lab;
}

void lab_destroy(struct lab *lab)
{
	ground_done(&lab->ground);
	flat_destroy(lab->flat);
	flat_destroy(lab->live);
	seen_destroy(lab->seen);
	reader_done(&lab->reader);
	op_list_done(&lab->setup);
	state_done(&lab->finding.state);
	free(lab->log_blocks);
	free(lab->log_index);
	free(lab->fresh);
	free(lab->scratch);
	free(lab);
}
