/*
 * Which file data goes through the log.
 *
 * A block that is new in the running transaction is nobody's to see before that is durable, so its
 * data goes straight home, before the commit block (J2): after a crash it is there with the
 * transaction or not at all, which is what logging it would give, for half the writes. What is logged
 * with data=journal is therefore what is overwritten: it happens with its transaction or not at all.
 *
 * A logged page is copied into the buffer of its block, which the journal treats as any metadata:
 * pinned, logged, home later, revoked when it is freed. The page itself stays clean, so write-back
 * passes it over, and may be reclaimed; until the buffer is home, who reads the block again is
 * given the buffer's bytes (datalog_read_page).
 *
 *	  write --> page --copy--> buffer --commit--> log, then home
 *	              ^-- read --------+
 *
 * An fsync of a few new blocks costs two flushes: their data and the log, then the commit block. With
 * the data in the log too it costs one sequential write and one flush (JOURNAL.md section 3). That
 * holds only if all that the transaction waits for is in it: no page of the file with a new block was
 * written in place meanwhile (nr_writes), none is dirty any more, and none is being written to, for
 * which the inode's lock is tried. If any of that fails, nothing is lost: the commit does it the
 * ordinary way.
 */
#include "datalog.h"

#include <errno.h>
#include <string.h>

#include "blockmap.h"
#include "inode.h"

#define SHORT_BYTES_MAX (64u << 10)	/* beyond it the second copy costs more than a flush */
#define SHORT_FILES_MAX 16u

bool datalog_is_wanted(const struct inode *inode)
{
	const struct ext *fs = ext_of(inode);

	return fs->journal && (fs->is_data_journal || (info_of(inode)->flags & EXT_JOURNAL_DATA_FL));
}

void datalog_note_new(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	tid_t tid = handle_tid(h);
	uint64_t nr_dirty;

	if (info->has_new && info->new_tid == tid)
		return;
	mapping_write_state(&inode->mapping, &nr_dirty, &info->new_since);
	info->has_older_dirty = nr_dirty != 0;
	info->has_new = true;
	info->new_tid = tid;
}

/* ---- writing ---- */

/* Some dirty page is not new in the handle's transaction: it cannot stay so and be changed again. */
static bool has_older_dirty(const struct handle *h, struct inode *inode)
{
	const struct ext_inode_info *info = info_of(inode);
	uint64_t nr_dirty, nr_writes;

	mapping_write_state(&inode->mapping, &nr_dirty, &nr_writes);
	return nr_dirty != 0 &&
	       (!info->has_new || info->new_tid != handle_tid(h) || info->has_older_dirty);
}

int datalog_settle(struct handle *h, uint32_t credits, struct inode *inode, uint64_t pos)
{
	uint64_t end = round_up(inode->attr.size_bytes, (uint64_t)ext_of(inode)->geo.block_size);

	if (pos >= end || !datalog_is_wanted(inode))
		return 0;
	while (has_older_dirty(h, inode)) {
		int err = handle_stop(h);

		err = first_error(err, mapping_write_range(&inode->mapping, 0, UINT64_MAX, WRITEBACK_WAIT));
		info_of(inode)->has_older_dirty = false;
		if (!err)
			err = handle_start(ext_of(inode)->journal, credits, h);
		if (err)
			return err;	/* without a handle */
	}
	return 0;
}

static bool must_log(struct inode *inode, const struct page *page)
{
	struct journal *j = ext_of(inode)->journal;

	if (!j)
		return false;
	return (datalog_is_wanted(inode) && !page_test(page, PAGE_DIRTY)) || journal_has_data(j, page->block);
}

/* The page's buffer becomes part of the transaction; it hangs at the page until it has its bytes. */
static int attach_buffer(struct handle *h, struct ext *fs, struct page *page)
{
	struct buffer *b;
	int err = buffer_get(&fs->buffers, page->block, &b);

	if (err)
		return err;
	err = handle_get_data_access(h, b);
	if (err)
		buffer_put(b);
	else
		page->private = b;
	return err;
}

int datalog_begin_page(struct handle *h, struct inode *inode, struct page *page, bool *ret_is_logged)
{
	int err;

	*ret_is_logged = false;
	if (!must_log(inode, page))
		return 0;
	err = handle_extend(h, CREDITS_BRANCH + CREDITS_INODE + 1);
	if (!err)
		err = attach_buffer(h, ext_of(inode), page);
	*ret_is_logged = !err;
	return err;
}

void datalog_take_page(struct handle *h, struct inode *inode, struct page *page)
{
	struct buffer *b = page->private;

	page->private = NULL;
	buffer_lock(b);
	memcpy(buffer_data(b), page->data, ext_of(inode)->geo.block_size);
	buffer_set_uptodate(b);
	handle_dirty_metadata(h, b);
	buffer_unlock(b);
	buffer_put(b);
	page_cancel_dirty(page);
	info_of(inode)->datasync_tid = handle_tid(h);
}

/* ---- reading ---- */

bool datalog_read_page(struct mapping *m, struct page *page)
{
	struct ext *fs = ext_of(m->owner);
	struct buffer *b;

	if (!fs->journal || !journal_has_data(fs->journal, page->block))
		return false;
	b = buffer_find(&fs->buffers, page->block);
	if (!b)
		return false;	/* home, and reclaimed */
	memcpy(page->data, buffer_data(b), m->block_bytes);
	buffer_put(b);
	return true;
}

/* ---- short commits ---- */

/* One dirty page of a file, if it is still that. */
static int log_dirty_page(struct handle *h, struct inode *inode, struct page *page)
{
	int err = 0;

	page_lock(page);
	if (page->mapping == &inode->mapping && page_test(page, PAGE_DIRTY) && !page_test(page, PAGE_WRITEBACK)) {
		err = attach_buffer(h, ext_of(inode), page);
		if (!err)
			datalog_take_page(h, inode, page);
	}
	page_unlock(page);
	return err;
}

static int log_dirty_pages(struct handle *h, struct inode *inode, uint32_t nr_max)
{
	struct page *pages[SHORT_BYTES_MAX / EXT_BLOCK_SIZE_MIN];
	uint32_t nr = mapping_find_dirty(&inode->mapping, pages, nr_max);
	int err = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (!err)
			err = log_dirty_page(h, inode, pages[i]);
		page_put(pages[i]);
	}
	return err;
}

/* None of it was written in place since it has blocks that are new in the running transaction. */
static bool is_all_in_memory(struct inode *inode, uint64_t *ret_dirty)
{
	uint64_t nr_writes;

	mapping_write_state(&inode->mapping, ret_dirty, &nr_writes);
	return info_of(inode)->has_new && nr_writes == info_of(inode)->new_since;
}

/* The inode's lock is held, so nobody is about to make a page dirty. */
static void log_new_blocks(struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	uint64_t nr_dirty;
	struct handle h;

	if (!is_all_in_memory(inode, &nr_dirty) || nr_dirty == 0 ||
	    nr_dirty > SHORT_BYTES_MAX >> fs->geo.block_bits || nr_dirty > journal_tx_blocks_max(fs->journal) / 4)
		return;
	if (handle_start(fs->journal, (uint32_t)nr_dirty, &h))
		return;		/* the commit will tell */
	if (info->new_tid == handle_tid(&h) && handle_may_drop_ordered(&h, &info->ordered) &&
	    log_dirty_pages(&h, inode, (uint32_t)nr_dirty) == 0 && is_all_in_memory(inode, &nr_dirty) && nr_dirty == 0)
		handle_drop_ordered(&h, &info->ordered);
	ignore(handle_stop(&h), "the commit will tell");
}

static void visit(struct inode *inode)
{
	if (!rwlock_write_trylock(&inode->lock))
		return;
	log_new_blocks(inode);
	rwlock_write_unlock(&inode->lock);
}

static void visit_ordered(struct journal_inode *ji)
{
	visit(&container_of(ji, struct ext_inode_info, ordered)->vfs);
}

void datalog_shorten_commit(struct inode *inode, tid_t tid)
{
	struct journal *j = ext_of(inode)->journal;

	if (!journal_has_short_commit(j) || journal_is_committed(j, tid))
		return;
	if (info_of(inode)->has_new)
		visit(inode);
	journal_visit_ordered(j, tid, SHORT_FILES_MAX, visit_ordered);
}

/* ---- what changes a block otherwise ---- */

bool datalog_has_tail(struct inode *inode, uint64_t pos)
{
	struct ext *fs = ext_of(inode);
	struct block_run run;

	if (!fs->journal || (!datalog_is_wanted(inode) && !journal_logs_data(fs->journal)))
		return false;
	if (blockmap_find(inode, pos >> fs->geo.block_bits, 1, &run) || run.block == 0)
		return false;
	return datalog_is_wanted(inode) || journal_has_data(fs->journal, run.block);
}

uint64_t datalog_limit_run(const struct ext *fs, fsblk_t first, uint64_t count, uint32_t nr_max)
{
	uint32_t nr = 0;

	if (!fs->journal || !journal_logs_data(fs->journal))
		return count;
	for (uint64_t i = 0; i < count; i++)
		if (journal_has_data(fs->journal, first + i) && ++nr > nr_max)
			return i;
	return count;
}

int datalog_forget(struct handle *h, struct ext *fs, fsblk_t first, uint64_t count)
{
	int err = 0;

	if (!fs->journal || !journal_logs_data(fs->journal))
		return 0;
	for (uint64_t i = 0; i < count && !err; i++)
		if (journal_has_data(fs->journal, first + i))
			err = handle_forget(h, &fs->buffers, first + i);
	return err;
}
