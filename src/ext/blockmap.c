/*
 * The indirect tree of a file.
 *
 * A walk goes along the path that layout/blockpath.h computes and stops at the first zero: there
 * the hole begins. Growing fills the path from that level down:
 *
 *     inode slot -> [indirect] -> [indirect] -> data data data
 *        old           old           new          new
 *
 * New indirect blocks are completed first and linked by one change of the lowest old block (or of
 * the inode), so a reader sees the whole branch or none.
 *
 * The last mapped runs are remembered in the inode: a sequential reader or writer walks the tree
 * once in a run, not once in a request. They are right as long as the tree only grows, and
 * truncate forgets them.
 */
#include "blockmap.h"

#include <errno.h>
#include <string.h>

#include "balloc.h"
#include "base/assert.h"
#include "error.h"
#include "group.h"
#include "layout/blockpath.h"

/* ---- remembered runs ---- */

static bool find_remembered(struct ext_inode_info *info, lblk_t lblk, uint64_t max, struct block_run *ret_run)
{
	bool found = false;

	mutex_lock(&info->run_lock);
	for (unsigned i = 0; i < EXT_RUNS_CACHED && !found; i++) {
		const struct mapped_run *r = &info->runs[i];

		if (lblk < r->lblk || lblk - r->lblk >= r->count)
			continue;
		ret_run->block = r->block + (lblk - r->lblk);
		ret_run->count = min(max, r->count - (lblk - r->lblk));
		ret_run->is_new = false;
		found = true;
	}
	mutex_unlock(&info->run_lock);
	return found;
}

static void remember(struct ext_inode_info *info, lblk_t lblk, const struct block_run *run)
{
	mutex_lock(&info->run_lock);
	for (unsigned i = 0; i < EXT_RUNS_CACHED; i++) {
		struct mapped_run *r = &info->runs[i];

		if (r->count && r->lblk + r->count == lblk && r->block + r->count == run->block &&
		    r->count + run->count <= UINT32_MAX) {
			r->count += (uint32_t)run->count;
			goto out;
		}
		if (r->count && lblk >= r->lblk && lblk + run->count <= r->lblk + r->count)
			goto out;
	}
	info->runs[info->next_run] = (struct mapped_run){lblk, run->block, (uint32_t)min(run->count, (uint64_t)UINT32_MAX)};
	info->next_run = (info->next_run + 1) % EXT_RUNS_CACHED;
out:
	mutex_unlock(&info->run_lock);
}

void blockmap_forget_runs(struct ext_inode_info *info)
{
	mutex_lock(&info->run_lock);
	memset(info->runs, 0, sizeof(info->runs));
	mutex_unlock(&info->run_lock);
}

/* Where the file's data before lblk ends, if that is remembered: the best goal there is. */
static fsblk_t remembered_end(struct ext_inode_info *info, lblk_t lblk)
{
	fsblk_t goal = 0;

	mutex_lock(&info->run_lock);
	for (unsigned i = 0; i < EXT_RUNS_CACHED; i++)
		if (info->runs[i].count && info->runs[i].lblk + info->runs[i].count == lblk)
			goal = info->runs[i].block + info->runs[i].count;
	mutex_unlock(&info->run_lock);
	return goal;
}

/* ---- walking ---- */

struct path {
	unsigned depth;					/* levels, data slot included */
	unsigned level;					/* of the lowest slot that could be read */
	unsigned offsets[BLOCKPATH_DEPTH_MAX];
	struct buffer *buffers[BLOCKPATH_DEPTH_MAX];	/* [i] holds the slot of level i; [0] NULL */
	fsblk_t value;					/* of the slot at `level`; 0: a hole from there on */
};

static fsblk_t slot_value(const struct ext_inode_info *info, const struct path *p, unsigned level, unsigned slot)
{
	if (level == 0)
		return info->block[slot];
	return le32_get(((const le32_t *)buffer_data(p->buffers[level]))[slot]);
}

static unsigned slots_at(const struct ext *fs, unsigned depth, unsigned level)
{
	if (level == 0)
		return depth == 1 ? EXT_NDIR_BLOCKS : EXT_N_BLOCKS;
	return fs->geo.addr_per_block;
}

static void path_put(struct path *p)
{
	for (unsigned i = 1; i < BLOCKPATH_DEPTH_MAX; i++)
		buffer_put(p->buffers[i]);
}

static int walk(struct inode *inode, lblk_t lblk, struct path *p)
{
	struct ext *fs = ext_of(inode);
	int depth;

	*p = (struct path){0};
	depth = blockpath(&fs->geo, lblk, p->offsets);
	if (depth < 0)
		return depth;
	p->depth = (unsigned)depth;
	for (;;) {
		int err;

		p->value = slot_value(info_of(inode), p, p->level, p->offsets[p->level]);
		if (p->value == 0 || p->level + 1 == p->depth)
			return 0;
		if (!ext_blocks_are_for_files(fs, p->value, 1))
			return ext_error(fs, inode->ino, p->value, "an indirect block cannot lie there");
		err = buffer_read(&fs->buffers, p->value, &p->buffers[p->level + 1]);
		if (err)
			return err;
		p->level++;
	}
}

/* Zero slots from the path's own on: at least 1, at most max, within its leaf. */
static uint64_t hole_length(const struct ext *fs, const struct ext_inode_info *info, const struct path *p,
			    lblk_t lblk, uint64_t max)
{
	unsigned first[BLOCKPATH_DEPTH_MAX] = {0};
	uint64_t n = 1, span;

	if (p->level + 1 == p->depth) {
		unsigned slot = p->offsets[p->level];

		while (n < max && slot + n < slots_at(fs, p->depth, p->level) &&
		       slot_value(info, p, p->level, slot + (unsigned)n) == 0)
			n++;
		return n;
	}
	memcpy(first, p->offsets, (p->level + 1) * sizeof(first[0]));
	span = blockpath_span(&fs->geo, p->depth, p->level);
	return min(max, span - (lblk - blockpath_lblk(&fs->geo, first, p->depth)));
}

static uint64_t run_length(const struct ext *fs, const struct ext_inode_info *info, const struct path *p,
			   uint64_t max)
{
	unsigned slot = p->offsets[p->level];
	uint64_t n = 1;

	while (n < max && slot + n < slots_at(fs, p->depth, p->level) &&
	       slot_value(info, p, p->level, slot + (unsigned)n) == p->value + n)
		n++;
	return n;
}

/* The run at the end of a complete walk, checked. */
static int mapped_run(struct inode *inode, const struct path *p, uint64_t max, struct block_run *ret_run)
{
	struct ext *fs = ext_of(inode);

	ret_run->block = p->value;
	ret_run->count = run_length(fs, info_of(inode), p, max);
	ret_run->is_new = false;
	if (!ext_blocks_are_for_files(fs, ret_run->block, ret_run->count))
		return ext_error(fs, inode->ino, p->value, "a data block cannot lie there");
	return 0;
}

int blockmap_find(struct inode *inode, lblk_t lblk, uint64_t max, struct block_run *ret_run)
{
	struct ext_inode_info *info = info_of(inode);
	struct path p;
	int err;

	if (find_remembered(info, lblk, max, ret_run))
		return 0;
	rwlock_read_lock(&info->tree_lock);
	err = walk(inode, lblk, &p);
	if (err)
		goto out;
	if (p.value == 0) {
		*ret_run = (struct block_run){.count = hole_length(ext_of(inode), info, &p, lblk, max)};
		goto out;
	}
	err = mapped_run(inode, &p, max, ret_run);
	if (!err)
		remember(info, lblk, ret_run);
out:
	path_put(&p);
	rwlock_read_unlock(&info->tree_lock);
	return err;
}

/* ---- growing ---- */

/* A new branch before it is linked: the missing indirect blocks, top down, and the data run. */
struct branch {
	unsigned nr_indirect;
	fsblk_t indirect[BLOCKPATH_DEPTH_MAX];
	fsblk_t data;
	uint32_t nr_data;
};

/* Near the data before it, else near its indirect block, else in the inode's group. */
static fsblk_t find_goal(const struct ext *fs, struct ext_inode_info *info, const struct path *p, lblk_t lblk)
{
	fsblk_t goal = remembered_end(info, lblk);
	unsigned slot = p->offsets[p->level];

	if (goal)
		return goal;
	if (p->level + 1 == p->depth) {
		for (unsigned back = 1; back <= slot; back++) {
			fsblk_t before = slot_value(info, p, p->level, slot - back);

			if (before)
				return before + back;
		}
	}
	if (p->level)
		return buffer_block(p->buffers[p->level]) + 1;
	if (p->depth > 1 && info->block[EXT_NDIR_BLOCKS - 1])
		return info->block[EXT_NDIR_BLOCKS - 1] + 1;
	return group_first_block(&fs->geo, group_of_inode(&fs->geo, info->vfs.ino));
}

static int free_branch(struct handle *h, struct inode *inode, const struct branch *br)
{
	struct ext *fs = ext_of(inode);
	int err = 0;

	for (unsigned i = 0; i < br->nr_indirect; i++) {
		err = first_error(err, handle_forget(h, &fs->buffers, br->indirect[i]));
		err = first_error(err, balloc_free(h, fs, inode->ino, br->indirect[i], 1));
	}
	if (br->nr_data)
		err = first_error(err, balloc_free(h, fs, inode->ino, br->data, br->nr_data));
	return err;
}

static int alloc_branch(struct handle *h, struct inode *inode, unsigned nr_indirect, uint32_t nr_data,
			fsblk_t goal, bool may_use_reserved, struct branch *br)
{
	struct ext *fs = ext_of(inode);
	struct alloc_request r = {
		.info = S_ISREG(inode->attr.mode) ? info_of(inode) : NULL,
		.goal = goal,
		.may_use_reserved = may_use_reserved,
	};
	uint32_t got;
	int err;

	*br = (struct branch){0};
	r.count = 1;
	while (br->nr_indirect < nr_indirect) {
		err = balloc_new(h, fs, &r, &br->indirect[br->nr_indirect], &got);
		if (err)
			goto out_free;
		r.goal = br->indirect[br->nr_indirect++] + 1;
	}
	r.count = nr_data;
	err = balloc_new(h, fs, &r, &br->data, &br->nr_data);
	if (err)
		goto out_free;
	return 0;
out_free:
	ignore(free_branch(h, inode, br), "the first error is the one to tell");
	return err;
}

static void fill_slots(le32_t *slots, unsigned from, fsblk_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		slots[from + i] = le32_make((uint32_t)(first + i));
}

/* Makes the i-th new indirect block: zeros, and the slots that lead on. */
static int init_indirect(struct handle *h, struct ext *fs, const struct path *p, const struct branch *br, unsigned i)
{
	unsigned level = p->level + 1 + i;
	bool is_last = i + 1 == br->nr_indirect;
	struct buffer *b;
	int err = buffer_get(&fs->buffers, br->indirect[i], &b);

	if (err)
		return err;
	err = handle_get_create_access(h, b);
	if (!err) {
		buffer_lock(b);
		page_clear(&b->page, PAGE_CHECKED);
		memset(buffer_data(b), 0, fs->geo.block_size);
		fill_slots(buffer_data(b), p->offsets[level], is_last ? br->data : br->indirect[i + 1],
			   is_last ? br->nr_data : 1);
		buffer_set_uptodate(b);
		meta_end(h, b);
	}
	buffer_put(b);
	return err;
}

/* Hangs the complete branch into the tree at the path's lowest slot. */
static int link_branch(struct handle *h, struct ext_inode_info *info, const struct path *p, const struct branch *br)
{
	fsblk_t first = br->nr_indirect ? br->indirect[0] : br->data;
	uint32_t count = br->nr_indirect ? 1 : br->nr_data;
	unsigned slot = p->offsets[p->level];
	int err;

	if (p->level == 0) {
		for (uint32_t i = 0; i < count; i++)
			info->block[slot + i] = (uint32_t)(first + i);
		return 0;
	}
	err = meta_begin(h, p->buffers[p->level]);
	if (err)
		return err;
	fill_slots(buffer_data(p->buffers[p->level]), slot, first, count);
	meta_end(h, p->buffers[p->level]);
	return 0;
}

static void add_blocks(struct inode *inode, uint64_t nr_blocks)
{
	mutex_lock(&inode->attr_lock);
	inode->attr.blocks_512 += nr_blocks << (ext_of(inode)->geo.block_bits - SECTOR_SHIFT);
	mutex_unlock(&inode->attr_lock);
}

static int grow(struct handle *h, struct inode *inode, lblk_t lblk, const struct path *p, uint32_t max,
		bool may_use_reserved, struct block_run *ret_run)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	unsigned nr_indirect = p->depth - 1 - p->level;
	uint32_t want = (uint32_t)min((uint64_t)max, (uint64_t)blockpath_leaf_left(&fs->geo, p->offsets, p->depth));
	struct branch br;
	int err;

	if (nr_indirect == 0)
		want = (uint32_t)hole_length(fs, info, p, lblk, want);
	err = alloc_branch(h, inode, nr_indirect, want, find_goal(fs, info, p, lblk), may_use_reserved, &br);
	if (err)
		return err;
	for (unsigned i = nr_indirect; !err && i-- > 0;)
		err = init_indirect(h, fs, p, &br, i);
	if (!err)
		err = link_branch(h, info, p, &br);
	if (err) {
		ignore(free_branch(h, inode, &br), "the first error is the one to tell");
		return err;
	}
	add_blocks(inode, br.nr_indirect + br.nr_data);
	*ret_run = (struct block_run){.block = br.data, .count = br.nr_data, .is_new = true};
	remember(info, lblk, ret_run);
	return 0;
}

int blockmap_alloc(struct handle *h, struct inode *inode, lblk_t lblk, uint32_t max, bool may_use_reserved,
		   struct block_run *ret_run)
{
	struct ext_inode_info *info = info_of(inode);
	struct path p;
	int err;

	if (find_remembered(info, lblk, max, ret_run))
		return 0;
	rwlock_write_lock(&info->tree_lock);
	err = walk(inode, lblk, &p);
	if (err)
		goto out;
	if (p.value)
		err = mapped_run(inode, &p, max, ret_run);
	else
		err = grow(h, inode, lblk, &p, max, may_use_reserved, ret_run);
out:
	path_put(&p);
	rwlock_write_unlock(&info->tree_lock);
	return err;
}
