/* Blocks that are free in the bitmap, and not to be given away yet. */
#include "held.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "base/mem.h"
#include "discard.h"
#include "group.h"

void held_init(struct ext *fs)
{
	mutex_init(&fs->held_lock, RANK_RESERVE, "held blocks");
	cond_init(&fs->trimmed);
	list_init(&fs->freed);
}

void held_done(struct ext *fs)
{
	must(list_empty(&fs->freed) && fs->nr_trimming == 0);
	cond_done(&fs->trimmed);
	mutex_done(&fs->held_lock);
}

static int set_held(struct ext *fs, const struct held_run *run) needs(fs->held_lock)
{
	struct ext_group *group = &fs->groups[run->group];

	if (!group->held)
		group->held = mem_zalloc(fs->geo.block_size);
	if (!group->held)
		return -ENOMEM;
	group->nr_held += run->count - (uint32_t)bitmap_count_set(group->held, run->bit, run->bit + run->count);
	bitmap_set_range(group->held, run->bit, run->count);
	return 0;
}

static void clear_held(struct ext *fs, const struct held_run *run) needs(fs->held_lock)
{
	struct ext_group *group = &fs->groups[run->group];

	/* On a damaged disk two runs may overlap, and all bits be clear before the last run is gone. */
	if (group->held) {
		group->nr_held -= (uint32_t)bitmap_count_set(group->held, run->bit, run->bit + run->count);
		bitmap_clear_range(group->held, run->bit, run->count);
	}
	if (group->nr_held == 0) {
		mem_free(group->held);
		group->held = NULL;
	}
}

const void *held_merge(struct ext *fs, group_t g, const void *bitmap, uint64_t *merged)
{
	const struct ext_group *group = &fs->groups[g];
	const void *found = bitmap;

	mutex_lock(&fs->held_lock);
	if (group->held) {
		const uint64_t *words = bitmap, *held = (const uint64_t *)(const void *)group->held;

		for (unsigned i = 0; i < fs->geo.block_size / sizeof(*merged); i++)
			merged[i] = words[i] | held[i];
		found = merged;
	}
	mutex_unlock(&fs->held_lock);
	return found;
}

/* ---- freed, but not durably ---- */

struct freed_run {
	struct list link;
	tid_t tid;
	struct held_run run;
};

int held_add_freed(struct handle *h, struct ext *fs, group_t g, grpblk_t bit, uint32_t count)
{
	struct freed_run *freed;
	int err;

	if (!h->journal)
		return 0;
	freed = mem_alloc(sizeof(*freed));
	if (!freed)
		return -ENOMEM;
	*freed = (struct freed_run){.tid = handle_tid(h), .run = {g, bit, count}};
	mutex_lock(&fs->held_lock);
	err = set_held(fs, &freed->run);
	if (!err) {
		list_add_tail(&fs->freed, &freed->link);
		fs->nr_freed += count;
	}
	mutex_unlock(&fs->held_lock);
	if (err)
		mem_free(freed);
	return err;
}

static void release_freed(struct ext *fs, struct freed_run *freed) needs(fs->held_lock)
{
	clear_held(fs, &freed->run);
	fs->nr_freed -= freed->run.count;
	mem_free(freed);
}

/* The oldest run, off the list, if transaction tid or one before it freed it; else NULL. */
static struct freed_run *take_freed(struct ext *fs, tid_t tid) needs(fs->held_lock)
{
	struct freed_run *freed;

	if (list_empty(&fs->freed))
		return NULL;
	freed = list_first(&fs->freed, struct freed_run, link);
	if (!tid_geq(tid, freed->tid))
		return NULL;
	list_del(&freed->link);
	return freed;
}

void held_release_freed(struct ext *fs, tid_t tid)
{
	struct freed_run *freed;

	mutex_lock(&fs->held_lock);
	while ((freed = take_freed(fs, tid))) {
		const struct held_run *run = &freed->run;

		/* Its bits stay set meanwhile: nobody is given what is being discarded. */
		mutex_unlock(&fs->held_lock);
		discard_freed(fs, group_first_block(&fs->geo, run->group) + run->bit, run->count);
		mutex_lock(&fs->held_lock);
		release_freed(fs, freed);
	}
	mutex_unlock(&fs->held_lock);
}

void held_release_all_freed(struct ext *fs)
{
	mutex_lock(&fs->held_lock);
	while (!list_empty(&fs->freed)) {
		struct freed_run *freed = list_first(&fs->freed, struct freed_run, link);

		list_del(&freed->link);
		release_freed(fs, freed);
	}
	mutex_unlock(&fs->held_lock);
}

/* ---- being trimmed ---- */

static bool find_free(const void *bitmap, grpblk_t from, grpblk_t end, uint32_t count_min, struct held_run *run)
{
	uint64_t bit = from;

	while ((bit = bitmap_find_clear(bitmap, bit, end)) < end) {
		uint64_t count = bitmap_run_clear(bitmap, bit, end);

		if (count >= count_min) {
			run->bit = (grpblk_t)bit;
			run->count = (uint32_t)count;
			return true;
		}
		bit += count;
	}
	return false;
}

int held_take_free(struct ext *fs, group_t g, grpblk_t from, grpblk_t end, uint32_t count_min,
		   struct held_run *ret)
{
	uint64_t merged[EXT_BLOCK_SIZE_MAX / sizeof(uint64_t)];
	struct buffer *bitmap;
	int err = group_block_bitmap(fs, g, &bitmap);

	*ret = (struct held_run){.group = g};
	if (err)
		return err;
	buffer_lock(bitmap);
	if (find_free(held_merge(fs, g, buffer_data(bitmap), merged), from, end, count_min, ret)) {
		mutex_lock(&fs->held_lock);
		err = set_held(fs, ret);
		if (!err)
			fs->nr_trimming++;
		mutex_unlock(&fs->held_lock);
	}
	buffer_unlock(bitmap);
	buffer_put(bitmap);
	return err;
}

void held_release(struct ext *fs, const struct held_run *run)
{
	mutex_lock(&fs->held_lock);
	clear_held(fs, run);
	fs->nr_trimming--;
	fs->nr_trimmed++;
	cond_broadcast(&fs->trimmed);
	mutex_unlock(&fs->held_lock);
}

uint32_t held_count_trims(struct ext *fs)
{
	uint32_t trims;

	mutex_lock(&fs->held_lock);
	trims = fs->nr_trimmed;
	mutex_unlock(&fs->held_lock);
	return trims;
}

/* A trim waits for the disk only, never for us, whatever locks we come with. */
bool held_wait_for_trims(struct ext *fs, uint32_t trims_seen)
{
	bool is_worth_it;

	mutex_lock(&fs->held_lock);
	while (fs->nr_trimming && fs->nr_trimmed == trims_seen)
		cond_wait(&fs->trimmed, &fs->held_lock);
	is_worth_it = fs->nr_trimmed != trims_seen;
	mutex_unlock(&fs->held_lock);
	return is_worth_it;
}
