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

static double percent(uint64_t part, uint64_t of)
{
	return of ? 100.0 * (double)part / (double)of : 0;
}

/* One line of numbers and words, as e2fsck -v has them, so that programs find them again. */
static void count_line(uint64_t nr, const char *what)
{
	printf("%12" PRIu64 " %s\n", nr, what);
}

static void report_files(const struct fsck *f, uint64_t nr_dirs)
{
	count_line(f->nr_reg, f->nr_reg == 1 ? "regular file" : "regular files");
	count_line(nr_dirs, nr_dirs == 1 ? "directory" : "directories");
	count_line(f->nr_chr, "character device files");
	count_line(f->nr_blk, "block device files");
	count_line(f->nr_fifo, "fifos");
	count_line(f->nr_names_more, "links");
	printf("%12" PRIu64 " symbolic links (%" PRIu64 " fast symbolic links)\n", f->nr_link,
	       f->nr_fast_link);
	count_line(f->nr_sock, "sockets");
	puts("------------");
	count_line(f->nr_reg + nr_dirs + f->nr_chr + f->nr_blk + f->nr_fifo + f->nr_names_more +
			   f->nr_link + f->nr_sock,
		   "files");
}

static void report_counts(const struct fsck *f)
{
	uint64_t nr_dirs = 0;
	size_t i;

	for (i = 0; i < f->nr_dirs; i++)
		nr_dirs += f->dirs[i].ino != 0;
	printf("\n%12" PRIu64 " inodes used (%.2f%%, out of %u)\n", f->used_inodes,
	       percent(f->used_inodes, f->geo.inodes_count), f->geo.inodes_count);
	printf("%12" PRIu64 " non-contiguous files (%.1f%%)\n", f->nr_fragmented,
	       percent(f->nr_fragmented, f->used_inodes));
	printf("%12" PRIu64 " non-contiguous directories (%.1f%%)\n", f->nr_fragmented_dirs,
	       percent(f->nr_fragmented_dirs, f->used_inodes));
	printf("%12s # of inodes with ind/dind/tind blocks: %" PRIu64 "/%" PRIu64 "/%" PRIu64 "\n", "",
	       f->nr_ind, f->nr_dind, f->nr_tind);
	printf("%12" PRIu64 " blocks used (%.2f%%, out of %" PRIu64 ")\n", f->used_blocks,
	       percent(f->used_blocks, f->geo.blocks_count), f->geo.blocks_count);
	count_line(f->nr_bad_blocks, "bad blocks");
	count_line(f->nr_large_files, "large files");
	putchar('\n');
	report_files(f, nr_dirs);
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
