/*
 * mkfs.extant - makes ext2 and ext3 file systems.
 *
 * Options, then a look at what is there, then the plan, then its report, then the work. Nothing is
 * created or changed before the plan stands.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "detect.h"
#include "image.h"
#include "plan.h"
#include "report.h"
#include "write.h"

#define STATUS_OK     0
#define STATUS_FAILED 1

static int complain(const char *sentence)
{
	fprintf(stderr, "mkfs.extant: %s\n", sentence);
	return STATUS_FAILED;
}

static bool on_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static bool user_agrees(void)
{
	char line[16];

	fputs("Proceed anyway? (y,N) ", stdout);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* True if nothing known is there, or if it may be overwritten. */
static bool may_overwrite(struct image *img, const struct args *args)
{
	struct detected found;

	if (args->force)
		return true;
	if (detect(img, &found)) {
		complain(img->why);
		return false;
	}
	if (!found.what)
		return true;
	fprintf(stderr, "mkfs.extant: %s contains %s%s (seen at byte %llu)\n", img->path, found.what, found.more,
		(unsigned long long)(img->base_bytes + found.offset));
	if (on_terminal())
		return user_agrees();
	fprintf(stderr, "mkfs.extant: nothing was changed; -F overwrites it\n");
	return false;
}

/* How much room there is: as asked for, or what the file or device holds. */
static int choose_size(const struct args *args, const struct image *img, struct mkfs_params *p)
{
	unsigned unit = p->block_size ? p->block_size : EXT_BLOCK_SIZE_MIN;
	unsigned page = (unsigned)sysconf(_SC_PAGESIZE);

	if (args->has_size) {
		unit = args->size.unit_bytes ? 1 : unit;
		p->size_bytes = args->size.count * (args->size.unit_bytes ? args->size.unit_bytes : 1);
		if (__builtin_mul_overflow(p->size_bytes, unit, &p->size_bytes))
			return complain("the size is too large");
		if (img->is_device && p->size_bytes > img->size_bytes)
			return complain("the size is larger than the device");
		return STATUS_OK;
	}
	if (img->fd < 0) {
		fprintf(stderr, "mkfs.extant: %s does not exist; to create it, say how large it is to be\n",
			img->path);
		return STATUS_FAILED;
	}
	if (img->size_bytes == 0) {
		fprintf(stderr, "mkfs.extant: %s is empty; say how large it is to be\n", img->path);
		return STATUS_FAILED;
	}
	p->size_bytes = round_down(img->size_bytes, max(unit, page));
	return STATUS_OK;
}

static int make_plan(struct args *args, const struct image *img, struct plan *plan)
{
	struct mkfs_params *p = &args->params;
	char err[256];
	int status = choose_size(args, img, p);

	if (status)
		return status;
	if (p->block_size && p->block_size < img->sector_bytes)
		return complain("the block size is smaller than the device's sectors");
	p->block_size_min = max(p->block_size_min, img->sector_bytes);
	p->io_min_bytes = img->io_min_bytes;
	p->io_opt_bytes = img->io_opt_bytes;
	if (plan_make(p, plan, err, sizeof(err)) == 0)
		return STATUS_OK;
	fprintf(stderr, "mkfs.extant: %s: %s\n", args->path, err);
	return STATUS_FAILED;
}

static int write_image(const struct args *args, struct image *img, const struct plan *plan)
{
	struct write_options opt = {
		.discard = args->discard,
		.is_prezeroed = args->is_prezeroed,
		.shows_progress = !args->quiet && isatty(STDOUT_FILENO),
	};

	if (write_filesystem(plan, img, &opt))
		return complain(img->why);
	return STATUS_OK;
}

static int run(struct args *args, struct image *img)
{
	struct plan plan;
	int status;

	if (img->fd >= 0 && !args->dry_run) {
		if (image_lock(img))
			return complain(img->why);
		if (!may_overwrite(img, args))
			return STATUS_FAILED;
	}
	status = make_plan(args, img, &plan);
	if (status)
		return status;
	if (img->fd < 0 && !args->dry_run && image_create(img))
		return complain(img->why);
	if (plan.journal_does_not_fit)
		fprintf(stderr, "mkfs.extant: %s is too small for a journal; making it without one\n", img->path);
	if (!args->quiet || args->dry_run) {
		if (img->was_created)
			printf("Created %s\n", img->path);
		report_plan(stdout, img->path, &plan, args->verbose);
		fflush(stdout);
	}
	return args->dry_run ? STATUS_OK : write_image(args, img, &plan);
}

int main(int argc, char **argv)
{
	struct image img;
	struct args args;
	int status;

	/* A file that grows over a limit is an error to report, not a reason to die. */
	signal(SIGXFSZ, SIG_IGN);
	switch (args_parse(argc, argv, &args)) {
	case ARGS_DONE:
		return STATUS_OK;
	case ARGS_BAD:
		return STATUS_FAILED;
	case ARGS_GO:
		break;
	}
	if (image_open(&img, args.path, args.offset_bytes))
		return complain(img.why);
	status = run(&args, &img);
	if (image_close(&img, status != STATUS_OK) && status == STATUS_OK)
		status = complain(img.why);
	return status;
}
