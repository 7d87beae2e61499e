/*
 * Handles.
 *
 * A handle promises not to touch more than its credits. The sum of what the running transaction
 * has and has promised always fits into the free part of the log, so that a commit never waits for
 * space half-way: who would break that waits here, before it holds any page.
 *
 * Without a journal a handle only keeps the order of calls and hands each changed buffer to
 * write-back: the image is marked as not clean while it is mounted, and a crash costs a full
 * check, as with any ext2.
 */
#include "journal/handle.h"

#include <errno.h>

#include "journal_private.h"

/* ---- room for a handle ---- */

enum room { ROOM_YES, ROOM_LOCKED, ROOM_TX_FULL, ROOM_LOG_FULL };

static enum room look_for_room(struct journal *j, uint32_t credits)
{
	const struct transaction *tx = j->running;
	uint32_t needed;

	if (tx && tx->state == TX_LOCKED)
		return ROOM_LOCKED;
	if (tx && tx->nr_heads + tx->credits + credits > j->tx_blocks_max && tx->nr_heads + tx->credits)
		return ROOM_TX_FULL;
	needed = tx ? transaction_needs(tx, credits) : log_blocks_needed(j, credits, credits);
	return needed <= j->log_free ? ROOM_YES : ROOM_LOG_FULL;
}

/* Lock dropped meanwhile. The running transaction is committed, here and now. */
static int commit_running(struct journal *j)
{
	tid_t tid = j->running ? j->running->tid : j->next_tid - 1;
	int err;

	mutex_unlock(&j->lock);
	err = commit_until(j, tid);
	mutex_lock(&j->lock);
	return err;
}

static int make_room_in_log(struct journal *j)
{
	int err;

	counter_add(&j->stats.waits_space, 1);
	mutex_unlock(&j->lock);
	err = checkpoint_run(j);
	mutex_lock(&j->lock);
	if (err != -EAGAIN)
		return err;
	/* The running transaction holds the oldest one up: in the log again, it will not. */
	return commit_running(j);
}

static int wait_for_room(struct journal *j, uint32_t credits)
{
	for (;;) {
		int err = journal_error(j);

		if (err)
			return err;
		switch (look_for_room(j, credits)) {
		case ROOM_YES:
			return 0;
		case ROOM_LOCKED:
			counter_add(&j->stats.waits_locked, 1);
			cond_wait(&j->changed, &j->lock);
			break;
		case ROOM_TX_FULL:
			counter_add(&j->stats.waits_size, 1);
			err = commit_running(j);
			break;
		case ROOM_LOG_FULL:
			err = make_room_in_log(j);
			break;
		}
		if (err)
			return journal_is_aborted(j) ? -EROFS : err;
	}
}

static int join(struct journal *j, uint32_t credits, struct handle *h)
{
	struct transaction *tx;
	int err;

	if (credits > j->tx_blocks_max)
		return -ENOSPC;
	mutex_lock(&j->lock);
	err = wait_for_room(j, credits);
	if (!err)
		err = transaction_get_running(j, &tx);
	if (!err) {
		tx->nr_handles++;
		tx->credits += credits;
		h->tx = tx;
		h->credits = credits;
		counter_add(&j->stats.handles, 1);
	}
	mutex_unlock(&j->lock);
	return err;
}

static void leave(struct handle *h)
{
	struct transaction *tx = h->tx;
	struct journal *j = h->journal;

	mutex_lock(&j->lock);
	tx->credits -= h->credits;
	if (--tx->nr_handles == 0 && tx->state == TX_LOCKED)
		cond_broadcast(&j->changed);
	else if (tx->nr_heads > j->tx_blocks_max / 2 && j->config.work && tx->state == TX_RUNNING)
		work_queue(j->config.work, &j->commit_work);	/* before somebody has to wait for it */
	mutex_unlock(&j->lock);
	h->tx = NULL;
	h->credits = 0;
}

int handle_start(struct journal *journal, uint32_t credits, struct handle *h)
{
	*h = (struct handle){.journal = journal, .credits = credits};
	return journal ? join(journal, credits, h) : 0;
}

int handle_stop(struct handle *h)
{
	int err = h->error;

	if (h->journal) {
		leave(h);
		err = first_error(err, journal_error(h->journal));
	}
	return err;
}

int handle_extend(struct handle *h, uint32_t credits)
{
	struct journal *j = h->journal;
	struct transaction *tx = h->tx;
	uint32_t more;
	int err = 0;

	if (!j || h->credits >= credits)
		return 0;
	more = credits - h->credits;
	mutex_lock(&j->lock);
	if (tx->state != TX_RUNNING || tx->nr_heads + tx->credits + more > j->tx_blocks_max ||
	    transaction_needs(tx, more) > j->log_free) {
		err = -EAGAIN;
	} else {
		tx->credits += more;
		h->credits += more;
	}
	mutex_unlock(&j->lock);
	return err;
}

int handle_restart(struct handle *h, uint32_t credits)
{
	struct journal *j = h->journal;
	int err = h->error;

	if (!j) {
		h->credits = credits;
		return err;
	}
	leave(h);
	err = first_error(err, join(j, credits, h));
	return err;
}

tid_t handle_tid(const struct handle *h)
{
	return h->tx->tid;
}

/* ---- buffers ---- */

/* Is it in the handle's transaction already, and not as a freed one? */
static bool has_access(struct handle *h, const struct buffer *b)
{
	const struct journal_head *jh;
	unsigned p = parity(h->tx->tid);
	bool has;

	mutex_lock(&h->journal->lock);
	jh = head_of(b);
	has = jh && jh->in[p].tx == h->tx && !jh->in[p].is_forgotten;
	mutex_unlock(&h->journal->lock);
	return has;
}

/* One more block of the transaction is this handle's. [lock] */
static void use_credit(struct handle *h)
{
	must_debug(h->credits > 0);
	if (h->credits) {
		h->credits--;
		h->tx->credits--;
	}
}

enum access { ACCESS_WRITE, ACCESS_CREATE, ACCESS_DATA };

/* Takes the buffer into the transaction. Page lock taken here. */
static int get_access(struct handle *h, struct buffer *b, enum access kind)
{
	struct transaction *tx = h->tx;
	unsigned p = parity(tx->tid);
	struct journal_head *jh;
	uint32_t before;
	int err = 0;

	page_lock(&b->page);
	mutex_lock(&h->journal->lock);
	before = tx->nr_heads;
	if (kind == ACCESS_DATA)
		err = datalog_add(h->journal, buffer_block(b), tx->tid);
	jh = err ? NULL : transaction_attach(tx, b);
	if (!jh) {
		err = first_error(err, -ENOMEM);
	} else {
		if (tx->nr_heads != before) {
			use_credit(h);
			jh->in[p].is_new = kind == ACCESS_CREATE;
		}
		if (jh->in[p].is_forgotten) {
			/* Freed and allocated again in one transaction: the revoke would stop the new copy. */
			jh->in[p].is_forgotten = false;
			revoke_cancel(&tx->revokes, buffer_block(b));
		} else if (kind != ACCESS_WRITE) {
			revoke_cancel(&tx->revokes, buffer_block(b));
		}
	}
	mutex_unlock(&h->journal->lock);
	page_unlock(&b->page);
	return err;
}

int handle_get_write_access(struct handle *h, struct buffer *b)
{
	int err = h->error;

	/* On a damaged disk a block may have two owners, and was freed by the other while we hold it. */
	if (!err && !page_test(&b->page, PAGE_UPTODATE))
		err = -EUCLEAN;
	if (err || !h->journal || has_access(h, b))
		return err;
	err = journal_error(h->journal);
	return err ? err : get_access(h, b, ACCESS_WRITE);
}

int handle_get_create_access(struct handle *h, struct buffer *b)
{
	int err = h->error;

	must(buffer_block(b) != 0);
	if (err || !h->journal)
		return err;
	err = journal_error(h->journal);
	return err ? err : get_access(h, b, ACCESS_CREATE);
}

int handle_get_data_access(struct handle *h, struct buffer *b)
{
	int err = h->error;

	must(h->journal != NULL);
	if (!err)
		err = journal_error(h->journal);
	return err ? err : get_access(h, b, ACCESS_DATA);
}

void handle_dirty_metadata(struct handle *h, struct buffer *b)
{
	struct journal_head *jh;

	if (!h->journal) {
		buffer_mark_dirty(b);
		return;
	}
	mutex_lock(&h->journal->lock);
	jh = head_of(b);
	must(jh && jh->in[parity(h->tx->tid)].tx == h->tx);	/* H1 of handle.h */
	jh->in[parity(h->tx->tid)].is_dirty = true;
	mutex_unlock(&h->journal->lock);
}

/*
 * Notes in the transaction that the block is free. Its buffer, if cached, stays pinned until the
 * transaction is durable: if it never becomes so, the older content still counts. Page lock held.
 */
static int forget_in_tx(struct handle *h, struct buffer *b)
{
	struct transaction *tx = h->tx;
	unsigned p = parity(tx->tid);
	uint32_t before = tx->nr_heads;
	struct journal_head *jh = transaction_attach(tx, b);

	if (!jh)
		return -ENOMEM;
	if (tx->nr_heads != before)
		use_credit(h);
	jh->in[p].is_dirty = false;
	jh->in[p].is_forgotten = true;
	return 0;
}

/* A block that came and went within this transaction has no copy that a revoke would have to stop. */
static bool was_never_logged(const struct handle *h, const struct page *page, fsblk_t block)
{
	const struct journal_head *jh = page ? page->private : NULL;
	unsigned p = parity(h->tx->tid);

	return jh && jh->in[p].tx == h->tx && jh->in[p].is_new && !jh->in[!p].tx &&
	       !checkpoint_has(h->journal, block);
}

int handle_forget(struct handle *h, struct buffer_cache *bc, fsblk_t block)
{
	struct journal *j = h->journal;
	bool needs_revoke;
	struct page *page;
	int err = 0;

	if (!j) {
		buffer_forget(bc, block);
		return h->error;
	}
	page = mapping_find(&bc->mapping, block);
	if (page)
		page_lock(page);
	mutex_lock(&j->lock);
	needs_revoke = !was_never_logged(h, page, block);
	if (page)
		err = forget_in_tx(h, container_of(page, struct buffer, page));
	if (!err && needs_revoke)
		err = revoke_add(&h->tx->revokes, block);
	if (!err)
		datalog_remove(j, block);
	mutex_unlock(&j->lock);
	if (page) {
		page_unlock(page);
		page_put(page);
	}
	if (!err)
		counter_add(&j->stats.revokes, needs_revoke);
	else
		h->error = first_error(h->error, err);
	return first_error(h->error, err);
}

/* ---- ordered data ---- */

void journal_inode_init(struct journal_inode *ji)
{
	list_init(&ji->link[0]);
	list_init(&ji->link[1]);
	ji->is_writing = false;
	ji->nr_visits = 0;
}

static bool is_ordered(const struct journal_inode *ji)
{
	return ji->is_writing || !list_empty(&ji->link[0]) || !list_empty(&ji->link[1]);
}

bool handle_add_ordered(struct handle *h, struct journal_inode *ji)
{
	struct list *link = &ji->link[parity(h->tx->tid)];
	bool is_first;

	mutex_lock(&h->journal->lock);
	is_first = !is_ordered(ji);
	if (list_empty(link))
		list_add_tail(&h->tx->ordered, link);
	mutex_unlock(&h->journal->lock);
	return is_first;
}

bool handle_may_drop_ordered(struct handle *h, struct journal_inode *ji)
{
	bool may;

	/* No earlier transaction can take the file up from here on: the handle keeps its own running. */
	mutex_lock(&h->journal->lock);
	may = !ji->is_writing && list_empty(&ji->link[!parity(h->tx->tid)]);
	mutex_unlock(&h->journal->lock);
	return may;
}

void handle_drop_ordered(struct handle *h, struct journal_inode *ji)
{
	mutex_lock(&h->journal->lock);
	list_del(&ji->link[parity(h->tx->tid)]);
	mutex_unlock(&h->journal->lock);
}

/* How many files it waits for; beyond nr_max it does not matter how many. */
static uint32_t count_ordered(const struct transaction *tx, uint32_t nr_max)
{
	uint32_t nr = 0;

	for (const struct list *l = tx->ordered.next; l != &tx->ordered && nr <= nr_max; l = l->next)
		nr++;
	return nr;
}

/* The first of the list, which goes to its end. [lock] */
static struct journal_inode *rotate_ordered(struct transaction *tx)
{
	struct list *l = tx->ordered.next;

	list_move_tail(&tx->ordered, l);
	return parity(tx->tid) ? container_of(l, struct journal_inode, link[1])
			       : container_of(l, struct journal_inode, link[0]);
}

void journal_visit_ordered(struct journal *j, tid_t tid, uint32_t nr_max, void (*visit)(struct journal_inode *ji))
{
	uint32_t nr;

	mutex_lock(&j->lock);
	nr = j->running && j->running->tid == tid ? count_ordered(j->running, nr_max) : 0;
	for (uint32_t i = 0; i < nr && nr <= nr_max; i++) {
		struct journal_inode *ji;

		if (!j->running || j->running->tid != tid || list_empty(&j->running->ordered))
			break;
		ji = rotate_ordered(j->running);
		ji->nr_visits++;
		mutex_unlock(&j->lock);
		visit(ji);
		mutex_lock(&j->lock);
		if (--ji->nr_visits == 0)
			cond_broadcast(&j->changed);
	}
	mutex_unlock(&j->lock);
}

bool journal_inode_is_ordered(struct journal *j, struct journal_inode *ji)
{
	bool is;

	mutex_lock(&j->lock);
	is = is_ordered(ji);
	mutex_unlock(&j->lock);
	return is;
}

void journal_inode_wait_ordered(struct journal *j, struct journal_inode *ji)
{
	mutex_lock(&j->lock);
	while (ji->is_writing || (j->committing && !list_empty(&ji->link[parity(j->committing->tid)])))
		cond_wait(&j->changed, &j->lock);
	mutex_unlock(&j->lock);
}

void journal_inode_forget(struct journal *j, struct journal_inode *ji)
{
	mutex_lock(&j->lock);
	while (ji->is_writing || ji->nr_visits)
		cond_wait(&j->changed, &j->lock);
	/* Its data was just written, not durably: the commit flushes before its commit block. */
	if (j->running && !list_empty(&ji->link[parity(j->running->tid)]))
		j->running->has_ordered = true;
	list_del(&ji->link[0]);
	list_del(&ji->link[1]);
	mutex_unlock(&j->lock);
}
