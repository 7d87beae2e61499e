/*
 * Block allocation.
 *
 * The search goes group by group from the goal's group on, and in a group from the goal on:
 *
 *   1. A file with a window takes the next free blocks of its window.
 *   2. When the window is used up it gets a new one: the first place from the goal on that is free
 *      in the bitmap and in nobody's window. Each window that was used well doubles the next.
 *   3. Everybody else (directories, trees of small things) takes free blocks outside all windows.
 *   4. When the whole disk offered nothing, windows are disregarded: they are a wish, not a right.
 *
 * The bitmap's buffer lock is held over search and marking, so two callers never take one block
 * (A2). Windows are looked at under the reserve lock inside it; a window that appears a moment
 * later costs contiguity at worst.
 */
#include "balloc.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "discard.h"
#include "error.h"
#include "group.h"
#include "held.h"

#define WINDOW_BLOCKS_MIN 8u		/* a small file closes before it needs more */
#define WINDOW_BLOCKS_MAX 2048u		/* beyond 8 MiB a seek costs less than the transfer */

static int window_cmp(const struct rbnode *a, const struct rbnode *b)
{
	fsblk_t first_a = container_of(a, struct reserve_window, node)->first;
	fsblk_t first_b = container_of(b, struct reserve_window, node)->first;

	return first_a < first_b ? -1 : first_a > first_b;
}

static int window_key_cmp(const void *key, const struct rbnode *n)
{
	fsblk_t block = *(const fsblk_t *)key;
	fsblk_t first = container_of(n, struct reserve_window, node)->first;

	return block < first ? -1 : block > first;
}

void balloc_init(struct ext *fs)
{
	mutex_init(&fs->reserve_lock, RANK_RESERVE, "reserve");
	rbtree_init(&fs->reserves, window_cmp);
}

void balloc_done(struct ext *fs)
{
	must(rbtree_first(&fs->reserves) == NULL);
	mutex_done(&fs->reserve_lock);
}

void balloc_init_window(struct ext_inode_info *info)
{
	info->window = (struct reserve_window){.want_blocks = WINDOW_BLOCKS_MIN};
}

static void drop_window_locked(struct ext *fs, struct reserve_window *w)
{
	if (rbnode_is_linked(&w->node))
		rbtree_remove(&fs->reserves, &w->node);
	w->first = w->last = 0;
	w->used_blocks = 0;
}

void balloc_drop_window(struct ext *fs, struct ext_inode_info *info)
{
	mutex_lock(&fs->reserve_lock);
	drop_window_locked(fs, &info->window);
	mutex_unlock(&fs->reserve_lock);
	info->window.want_blocks = WINDOW_BLOCKS_MIN;
}

/* The window of another file that holds block or is the next behind it; NULL when there is none. */
static const struct reserve_window *window_at_or_after(const struct ext *fs, fsblk_t block,
						       const struct reserve_window *except)
{
	struct rbnode *n = rbtree_upper_below(&fs->reserves, &block, window_key_cmp);

	if (n && container_of(n, struct reserve_window, node)->last < block)
		n = rbtree_next(n);
	else if (!n)
		n = rbtree_first(&fs->reserves);
	if (n && container_of(n, struct reserve_window, node) == except)
		n = rbtree_next(n);
	return n ? container_of(n, struct reserve_window, node) : NULL;
}

/* A group's bitmap under its lock, and where in it to look. */
struct search {
	struct ext *fs;
	group_t group;
	fsblk_t base;			/* the group's first block */
	const void *bitmap;
	uint32_t from, end;		/* bits */
};

/*
 * The first free bit from s->from on that lies in no window but `own`, and how many follow it that
 * are free and unreserved, at most max. 0 when there is none. [reserve_lock]
 */
static uint32_t find_unreserved(const struct search *s, const struct reserve_window *own, uint32_t max,
				uint32_t *ret_bit)
{
	uint64_t bit = s->from;

	while ((bit = bitmap_find_clear(s->bitmap, bit, s->end)) < s->end) {
		const struct reserve_window *w = window_at_or_after(s->fs, s->base + bit, own);
		uint64_t end = min((uint64_t)s->end, bit + max);

		if (w && w->first <= s->base + bit) {
			bit = w->last + 1 - s->base;
			continue;
		}
		if (w && w->first < s->base + end)
			end = w->first - s->base;
		*ret_bit = (uint32_t)bit;
		return (uint32_t)bitmap_run_clear(s->bitmap, bit, end);
	}
	return 0;
}

/* Free blocks of the window from the goal on, else from its start on. */
static uint32_t find_in_window(const struct search *s, const struct reserve_window *w, fsblk_t goal,
			       uint32_t max, uint32_t *ret_bit)
{
	uint64_t first = w->first - s->base;
	uint64_t end = min((uint64_t)s->end, w->last + 1 - s->base);
	uint64_t bit = goal > w->first && goal <= w->last ? goal - s->base : first;

	bit = bitmap_find_clear(s->bitmap, bit, end);
	if (bit >= end)
		return 0;
	*ret_bit = (uint32_t)bit;
	return (uint32_t)bitmap_run_clear(s->bitmap, bit, min(end, bit + max));
}

/* The first place from s->from on where a whole window fits, else the first free block. */
static bool find_window_place(const struct search *s, const struct reserve_window *own, uint32_t want,
			      uint32_t *ret_bit)
{
	struct search rest = *s;
	uint32_t found;

	while ((found = find_unreserved(&rest, own, want, ret_bit)) != 0) {
		if (found >= want)
			return true;
		rest.from = *ret_bit + found;
	}
	return find_unreserved(s, own, 1, ret_bit) != 0;
}

/* Places a new window for the file at the first free, unreserved place from s->from on. */
static bool place_window(const struct search *s, struct reserve_window *w, uint32_t want)
{
	const struct reserve_window *next;
	uint32_t bit;
	fsblk_t last;

	if (w->used_blocks * 2 >= w->want_blocks && w->last)
		w->want_blocks = min(w->want_blocks * 2, WINDOW_BLOCKS_MAX);
	drop_window_locked(s->fs, w);
	if (!find_window_place(s, w, max(w->want_blocks, want), &bit))
		return false;
	last = s->base + min((uint64_t)s->end, (uint64_t)bit + max(w->want_blocks, want)) - 1;
	next = window_at_or_after(s->fs, s->base + bit, w);
	if (next && next->first <= last)
		last = next->first - 1;
	w->first = s->base + bit;
	w->last = last;
	rbtree_insert(&s->fs->reserves, &w->node);
	return true;
}

static bool window_is_in_group(const struct search *s, const struct reserve_window *w)
{
	return w->last && w->first >= s->base && w->last < s->base + s->end;
}

enum window_use { USE_WINDOWS, IGNORE_WINDOWS };

/* Bits to take in this group: their count, or 0. Bitmap locked. */
static uint32_t choose_bits(const struct search *s, const struct alloc_request *r, uint32_t count,
			    enum window_use use, uint32_t *ret_bit)
{
	struct reserve_window *w = r->info ? &r->info->window : NULL;
	uint32_t found = 0;

	if (use == IGNORE_WINDOWS) {
		uint64_t bit = bitmap_find_clear(s->bitmap, s->from, s->end);

		*ret_bit = (uint32_t)bit;
		return bit < s->end ? (uint32_t)bitmap_run_clear(s->bitmap, bit, min((uint64_t)s->end, bit + count))
				    : 0;
	}
	mutex_lock(&s->fs->reserve_lock);
	if (!w) {
		found = find_unreserved(s, NULL, count, ret_bit);
	} else {
		if (window_is_in_group(s, w))
			found = find_in_window(s, w, r->goal, count, ret_bit);
		if (!found && place_window(s, w, count))
			found = find_in_window(s, w, w->first, count, ret_bit);
		w->used_blocks += found;
	}
	mutex_unlock(&s->fs->reserve_lock);
	return found;
}

/* Tries one group. 0 with *ret_count 0 when it has nothing for us. */
static int alloc_in_group(struct handle *h, struct ext *fs, group_t g, const struct alloc_request *r,
			  uint32_t count, enum window_use use, fsblk_t *ret_first, uint32_t *ret_count)
{
	struct search s = {.fs = fs, .group = g, .base = group_first_block(&fs->geo, g)};
	uint64_t merged[EXT_BLOCK_SIZE_MAX / sizeof(uint64_t)];
	struct buffer *bitmap;
	uint32_t bit = 0, found;
	int err;

	*ret_count = 0;
	if (fs->groups[g].free_blocks == 0)
		return 0;
	err = group_block_bitmap(fs, g, &bitmap);
	if (err == -EUCLEAN)
		return 0;	/* told already; other groups may do */
	if (err)
		return err;
	err = meta_begin(h, bitmap);
	if (err)
		goto out_put;
	s.bitmap = held_merge(fs, g, buffer_data(bitmap), merged);
	s.end = group_blocks(&fs->geo, g);
	s.from = r->goal >= s.base && r->goal < s.base + s.end ? (uint32_t)(r->goal - s.base) : 0;
	found = choose_bits(&s, r, count, use, &bit);
	if (!found && s.from) {
		s.from = 0;
		found = choose_bits(&s, r, count, use, &bit);
	}
	if (!found) {
		buffer_unlock(bitmap);
		goto out_put;
	}
	bitmap_set_range(buffer_data(bitmap), bit, found);
	meta_end(h, bitmap);
	*ret_first = s.base + bit;
	*ret_count = found;
	err = group_account(h, fs, g, &(struct group_change){.free_blocks = -(int32_t)found});
out_put:
	buffer_put(bitmap);
	return err;
}

/* How many of the wanted blocks the caller may have: the last ones are root's. */
static uint32_t blocks_allowed(const struct ext *fs, const struct alloc_request *r)
{
	uint64_t free = fs->free_blocks;
	uint64_t kept = r->may_use_reserved ? 0 : fs->reserved_blocks;

	if (free <= kept)
		return 0;
	return (uint32_t)min((uint64_t)r->count, free - kept);
}

/* One round over all groups, from the goal's on. */
static int search_groups(struct handle *h, struct ext *fs, const struct alloc_request *request, uint32_t count,
			 fsblk_t *ret_first, uint32_t *ret_count)
{
	group_t start = block_is_valid(&fs->geo, request->goal) ? group_of_block(&fs->geo, request->goal) : 0;

	for (enum window_use use = USE_WINDOWS; use <= IGNORE_WINDOWS; use++) {
		for (group_t i = 0; i < fs->geo.groups_count; i++) {
			group_t g = (group_t)(((uint64_t)start + i) % fs->geo.groups_count);
			fsblk_t first = 0;
			uint32_t found;
			int err = alloc_in_group(h, fs, g, request, count, use, &first, &found);

			if (err)
				return err;
			if (!found)
				continue;
			if (!ext_blocks_are_for_files(fs, first, found))
				return ext_error(fs, 0, first, "the block bitmap offers blocks of metadata");
			*ret_first = first;
			*ret_count = found;
			trace("ext.balloc", first, found);
			return 0;
		}
	}
	return -ENOSPC;
}

int balloc_new(struct handle *h, struct ext *fs, const struct alloc_request *request, fsblk_t *ret_first,
	       uint32_t *ret_count)
{
	uint32_t count = blocks_allowed(fs, request), trims_seen;
	int err;

	if (count == 0)
		return -ENOSPC;
	do {
		trims_seen = held_count_trims(fs);
		err = search_groups(h, fs, request, count, ret_first, ret_count);
	} while (err == -ENOSPC && held_wait_for_trims(fs, trims_seen));
	return err;
}

/* Clears the used bits among [bit, bit + count) and returns how many those were. */
static uint32_t clear_used(void *bitmap, uint32_t bit, uint32_t count)
{
	uint32_t used = (uint32_t)bitmap_count_set(bitmap, bit, bit + count);

	bitmap_clear_range(bitmap, bit, count);
	return used;
}

static int free_in_group(struct handle *h, struct ext *fs, inr_t ino, group_t g, fsblk_t first, uint32_t count)
{
	struct buffer *bitmap;
	uint32_t used;
	int err = group_block_bitmap(fs, g, &bitmap);

	if (err)
		return err;
	err = held_add_freed(h, fs, g, block_in_group(&fs->geo, first), count);
	/* Without a journal nothing tells when it is durable: as the kernel does, before they can be given away. */
	if (!err && !h->journal)
		discard_freed(fs, first, count);
	if (!err)
		err = meta_begin(h, bitmap);
	if (err)
		goto out_put;
	used = clear_used(buffer_data(bitmap), block_in_group(&fs->geo, first), count);
	meta_end(h, bitmap);
	err = group_account(h, fs, g, &(struct group_change){.free_blocks = (int32_t)used});
	if (!err && used != count)
		err = ext_error(fs, ino, first, "%u of %u freed blocks were free already", count - used, count);
out_put:
	buffer_put(bitmap);
	return err;
}

int balloc_free(struct handle *h, struct ext *fs, inr_t ino, fsblk_t first, uint64_t count)
{
	if (!ext_blocks_are_for_files(fs, first, count))
		return ext_error(fs, ino, first, "%llu blocks to be freed are no file's",
				 (unsigned long long)count);
	trace("ext.bfree", first, count);
	while (count) {
		group_t g = group_of_block(&fs->geo, first);
		grpblk_t bit = block_in_group(&fs->geo, first);
		uint32_t here = (uint32_t)min(count, (uint64_t)group_blocks(&fs->geo, g) - bit);
		int err = free_in_group(h, fs, ino, g, first, here);

		if (err)
			return err;
		first += here;
		count -= here;
	}
	return 0;
}
