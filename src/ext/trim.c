/*
 * Trim: all free blocks of a range are discarded, group by group, each run held while that lasts.
 */
#include "trim.h"

#include <errno.h>

#include "block/disk.h"
#include "discard.h"
#include "error.h"
#include "group.h"
#include "held.h"
#include "sync.h"

#define HOST_PAGE_BYTES 4096u	/* a host gives nothing back for less */

struct trim {
	struct ext *fs;
	struct trim_range *range;
	fsblk_t first, end;		/* blocks to look at */
	uint32_t count_min;		/* shorter runs are left */
};

/* From bytes to blocks. -EINVAL for a range that no file system can have, as Linux answers. */
static int trim_init(struct trim *t, struct ext *fs, struct trim_range *range)
{
	const struct geometry *geo = &fs->geo;
	uint64_t start = range->start_bytes >> geo->block_bits, count = range->len_bytes >> geo->block_bits;
	uint64_t count_min = max(range->run_bytes_min, (uint64_t)HOST_PAGE_BYTES) >> geo->block_bits;

	if (start >= geo->blocks_count || count == 0 || count_min > geo->blocks_per_group)
		return -EINVAL;
	*t = (struct trim){
		.fs = fs,
		.range = range,
		.first = max(start, (uint64_t)geo->first_data_block),
		.end = start + min(count, geo->blocks_count - start),
		.count_min = (uint32_t)max(count_min, (uint64_t)1),
	};
	return 0;
}

static int trim_group(struct trim *t, group_t g)
{
	struct ext *fs = t->fs;
	fsblk_t base = group_first_block(&fs->geo, g);
	grpblk_t bit = t->first > base ? (grpblk_t)(t->first - base) : 0;
	grpblk_t end = (grpblk_t)min((uint64_t)group_blocks(&fs->geo, g), t->end - base);
	int err = 0;

	while (!err && bit < end && !t->range->is_stopped(t->range->arg)) {
		struct held_run run;

		err = held_take_free(fs, g, bit, end, t->count_min, &run);
		if (err || run.count == 0)
			break;
		if (ext_blocks_are_for_files(fs, base + run.bit, run.count))
			err = discard_blocks(fs, base + run.bit, run.count);
		else
			err = ext_error(fs, 0, base + run.bit, "the block bitmap has blocks of metadata as free");
		held_release(fs, &run);
		if (!err)
			t->range->trimmed_bytes += (uint64_t)run.count << fs->geo.block_bits;
		bit = run.bit + run.count;
	}
	return err;
}

int ext_trim(struct super *sb, struct trim_range *range)
{
	struct ext *fs = ext_of_super(sb);
	struct trim t;
	int err = trim_init(&t, fs, range);

	if (err || t.first >= t.end)
		return err;
	/* What was removed a moment ago is free for the disk, too, when that is durable. */
	err = ext_sync(sb, true);
	if (err)
		return err;
	for (group_t g = group_of_block(&fs->geo, t.first); g <= group_of_block(&fs->geo, t.end - 1); g++) {
		err = trim_group(&t, g);
		if (err && err != -EUCLEAN)	/* a damaged group was told of, and holds nothing to trim */
			return err;
	}
	return range->is_stopped(range->arg) ? -EINTR : 0;
}
