/* The lines around the problems. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void report_start(struct fsck *f)
{
	f->started = f->pass_started = seconds_now();
	if (!f->opt.debug || f->opt.json)
		return;
	printf("%s: %u groups of %u blocks and %u inodes, blocks of %u bytes, inodes of %u\n",
	       f->store.path, f->geo.groups_count, f->geo.blocks_per_group, f->geo.inodes_per_group,
	       f->geo.block_size, f->geo.inode_size);
}

void report_clean(const struct fsck *f)
{
	if (f->opt.json)
		return;
	printf("%s: clean, %u/%u files, %" PRIu64 "/%" PRIu64 " blocks\n", f->store.path,
	       f->geo.inodes_count - le32_get(f->super.free_inodes_count), f->geo.inodes_count,
	       f->geo.blocks_count - le32_get(f->super.free_blocks_count), f->geo.blocks_count);
}

void report_pass_time(struct fsck *f)
{
	double now = seconds_now();

	if (f->opt.timing > 1 && !f->opt.json)
		printf("Pass %s: %.3f s, %" PRIu64 " MiB read, %" PRIu64 " MiB written\n", f->pass_name,
		       now - f->pass_started, f->store.bytes_read >> 20, f->store.bytes_written >> 20);
	f->pass_started = now;
}

static void report_counts(const struct fsck *f)
{
	uint64_t nr_dirs = 0;
	size_t i;

	for (i = 0; i < f->nr_dirs; i++)
		nr_dirs += f->dirs[i].ino != 0;
	printf("\n%12" PRIu64 " inodes used (%.2f%%, out of %u)\n", f->used_inodes,
	       100.0 * (double)f->used_inodes / f->geo.inodes_count, f->geo.inodes_count);
	printf("%12" PRIu64 " non-contiguous files\n", f->nr_fragmented);
	printf("%12" PRIu64 " non-contiguous directories\n", f->nr_fragmented_dirs);
	printf("%12" PRIu64 " inodes with indirect, %" PRIu64 " with double, %" PRIu64
	       " with triple indirect blocks\n",
	       f->nr_ind, f->nr_dind, f->nr_tind);
	printf("%12" PRIu64 " blocks used (%.2f%%, out of %" PRIu64 ")\n", f->used_blocks,
	       100.0 * (double)f->used_blocks / (double)f->geo.blocks_count, f->geo.blocks_count);
	printf("%12" PRIu64 " bad blocks\n\n", f->nr_bad_blocks);
	printf("%12" PRIu64 " regular files\n", f->nr_reg);
	printf("%12" PRIu64 " directories\n", nr_dirs);
	printf("%12" PRIu64 " character devices\n", f->nr_chr);
	printf("%12" PRIu64 " block devices\n", f->nr_blk);
	printf("%12" PRIu64 " fifos\n", f->nr_fifo);
	printf("%12" PRIu64 " additional links\n", f->nr_names_more);
	printf("%12" PRIu64 " symbolic links (%" PRIu64 " in the inode)\n", f->nr_link,
	       f->nr_fast_link);
	printf("%12" PRIu64 " sockets\n", f->nr_sock);
}

void report_totals(struct fsck *f)
{
	double fragmented = 0;

	if (f->opt.json)
		return;
	if ((f->nr_repaired || f->was_modified) && f->opt.mode != MODE_PREEN)
		printf("\n%s: ***** FILE SYSTEM WAS MODIFIED *****\n", f->store.path);
	if (f->nr_left)
		printf("\n%s: ***** FILE SYSTEM STILL HAS ERRORS *****\n", f->store.path);
	if (f->used_inodes)
		fragmented = 100.0 * (double)(f->nr_fragmented + f->nr_fragmented_dirs) /
			     (double)f->used_inodes;
	if (f->opt.verbose)
		report_counts(f);
	else
		printf("%s: %" PRIu64 "/%u files (%.1f%% non-contiguous), %" PRIu64 "/%" PRIu64
		       " blocks\n",
		       f->store.path, f->used_inodes, f->geo.inodes_count, fragmented, f->used_blocks,
		       f->geo.blocks_count);
	if (f->opt.timing)
		printf("%s: %.3f s, %" PRIu64 " MiB read, %" PRIu64 " MiB written\n", f->store.path,
		       seconds_now() - f->started, f->store.bytes_read >> 20,
		       f->store.bytes_written >> 20);
}
