/*
 * Pages and blocks of regular files.
 *
 * Blocks are allocated when a page is written to, not when it is written back: so write-back needs
 * no memory and no log, and cannot run out of space. One handle covers a chunk of a write: its
 * blocks, the size and the times reach the disk together or not at all.
 */
#include "mapping.h"

#include <errno.h>

#include "base/mem.h"
#include "blockmap.h"
#include "datalog.h"
#include "error.h"
#include "inode.h"
#include "vfs/attr.h"

/* One run at a time: the next may need an indirect block that lies behind this one on disk. */
static int map_read(struct mapping *m, struct page **pages, uint32_t nr)
{
	struct block_run run;
	int err = blockmap_find(m->owner, pages[0]->index, nr, &run);

	if (err)
		return err;
	for (uint64_t i = 0; i < run.count; i++)
		pages[i]->block = run.block ? run.block + i : 0;
	return (int)run.count;
}

static int write_begin(struct mapping *m, struct mapping_write *w)
{
	struct inode *inode = m->owner;
	struct handle *h;
	int err = ext_may_write(ext_of(inode));

	if (err)
		return err;
	h = mem_alloc(sizeof(*h));
	if (!h)
		return -ENOMEM;
	err = handle_start(ext_of(inode)->journal, CREDITS_WRITE, h);
	if (!err)
		err = datalog_settle(h, CREDITS_WRITE, inode, w->pos);
	if (err) {
		mem_free(h);
		return err;
	}
	w->owner = h;
	return 0;
}

/* J2: their data is durable before the transaction is; and an fdatasync needs the transaction. */
void ext_note_new_blocks(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);

	if (!h->journal)
		return;
	info->datasync_tid = handle_tid(h);
	if (ext_of(inode)->is_data_writeback)
		return;
	datalog_note_new(h, inode);
	if (handle_add_ordered(h, &info->ordered))
		info->ordered_mark = mapping_error_mark(&inode->mapping);
}

/* Gives blocks to the pages from pages[0] on that have none; *ret_nr pages were served. */
static int map_some(struct inode *inode, struct mapping_write *w, struct page **pages, uint32_t nr,
		    uint32_t *ret_nr)
{
	struct handle *h = w->owner;
	struct block_run run;
	int err = handle_extend(h, CREDITS_BRANCH);

	if (err)
		return err;
	err = blockmap_alloc(h, inode, pages[0]->index, nr, w->may_use_reserved, &run);
	if (err)
		return err;
	if (run.is_new)
		ext_note_new_blocks(h, inode);
	for (uint32_t i = 0; i < run.count; i++) {
		pages[i]->block = run.block + i;
		if (run.is_new)
			page_set(pages[i], PAGE_NEW);
	}
	*ret_nr = (uint32_t)run.count;
	return 0;
}

/* An old block: its page is logged if it has to be. */
static int log_old_block(struct inode *inode, struct mapping_write *w, struct page *page)
{
	bool is_logged;
	int err = datalog_begin_page(w->owner, inode, page, &is_logged);

	if (is_logged) {
		page_set(page, PAGE_LOGGED);
		w->has_logged = true;
	}
	return err;
}

/* The pages from pages[0] on that have no block get one; *ret_nr is 0 when it is an old one after all. */
static int map_hole(struct inode *inode, struct mapping_write *w, struct page **pages, uint32_t nr,
		    uint32_t *ret_nr)
{
	uint32_t without = 1;
	int err;

	while (without < nr && pages[without]->block == 0)
		without++;
	err = map_some(inode, w, pages, without, ret_nr);
	if (!err && !page_test(pages[0], PAGE_NEW))
		*ret_nr = 0;
	return err;
}

static int write_map(struct mapping *m, struct mapping_write *w, struct page **pages, uint32_t nr)
{
	uint32_t done = 0;
	int err = 0;

	while (done < nr && !err) {
		uint32_t served = 0;

		if (pages[done]->block == 0)
			err = map_hole(m->owner, w, pages + done, nr - done, &served);
		if (!err && served == 0) {
			err = log_old_block(m->owner, w, pages[done]);
			served = !err;
		}
		done += served;
	}
	return done ? (int)done : err;
}

static void write_log(struct mapping *m, struct mapping_write *w, struct page *page)
{
	datalog_take_page(w->owner, m->owner, page);
}

static int write_end(struct mapping *m, struct mapping_write *w, uint64_t written)
{
	struct inode *inode = m->owner;
	struct handle *h = w->owner;
	int err = 0;

	mutex_lock(&inode->attr_lock);
	if (written && w->pos + written > inode->attr.size_bytes) {
		inode->attr.size_bytes = w->pos + written;
		if (h->journal)
			info_of(inode)->datasync_tid = handle_tid(h);
	}
	mutex_unlock(&inode->attr_lock);
	if (written && !inode->keeps_times)
		attr_touch(inode, SETATTR_MTIME | SETATTR_CTIME);
	/* Also after a failure: blocks may have been added to the tree. */
	err = ext_inode_write(h, inode);
	err = first_error(err, handle_stop(h));
	mem_free(h);
	return err;
}

const struct mapping_ops ext_mapping_ops = {
	.map_read = map_read,
	.read_memory = datalog_read_page,
	.write_begin = write_begin,
	.write_map = write_map,
	.write_log = write_log,
	.write_end = write_end,
};
