/*
 * Checkpoints: blocks of durable transactions go home, and the tail follows (J4, J5).
 *
 * Each block with a copy in the log that is not home yet has one struct checkpoint, under the
 * newest durable transaction that holds it; when a later one logs it again, the entry moves there.
 * So a transaction without entries is not needed any more, and when it is the oldest the tail
 * passes it.
 *
 * A block is home when its buffer is clean and not under write-back, or was reclaimed, which only
 * clean pages are. The order is: write what is dirty; see what is home; flush, which makes it
 * durable; write the new tail; only then count the space as free. What became home after the look
 * is found the next time.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/log.h"
#include "block/disk.h"
#include "journal_private.h"

static struct checkpoint *find(struct journal *j, fsblk_t block)
{
	for (struct hash_node *n = hash_first(&j->checkpoints, hash_u64(block)); n; n = hash_next_same(n))
		if (container_of(n, struct checkpoint, node)->block == block)
			return container_of(n, struct checkpoint, node);
	return NULL;
}

int checkpoint_add(struct transaction *tx, fsblk_t block)
{
	struct journal *j = tx->journal;
	struct checkpoint *cp = find(j, block);

	if (!cp) {
		cp = mem_alloc(sizeof(*cp));
		if (!cp)
			return -ENOMEM;
		cp->block = block;
		list_init(&cp->link);
		hash_insert(&j->checkpoints, &cp->node, hash_u64(block));
	}
	cp->tx = tx;
	list_move_tail(&tx->checkpoints, &cp->link);
	return 0;
}

static void drop(struct journal *j, struct checkpoint *cp)
{
	hash_remove(&j->checkpoints, &cp->node);
	list_del(&cp->link);
	mem_free(cp);
}

bool checkpoint_has(struct journal *j, fsblk_t block)
{
	return find(j, block) != NULL;
}

void checkpoint_drop(struct journal *j, fsblk_t block)
{
	struct checkpoint *cp = find(j, block);

	if (cp)
		drop(j, cp);
}

static bool is_home(struct journal *j, fsblk_t block)
{
	struct page *page = mapping_find(&j->config.buffers->mapping, block);
	bool is_clean;

	if (!page)
		return true;
	is_clean = !page_test(page, PAGE_DIRTY | PAGE_WRITEBACK);
	page_put(page);
	return is_clean;
}

/* Forgets the entries of tx that are home; true when none is left. */
static bool reap(struct journal *j, struct transaction *tx)
{
	struct checkpoint *cp, *tmp;

	list_for_each_safe(cp, tmp, &tx->checkpoints, link)
		if (is_home(j, cp->block))
			drop(j, cp);
	return list_empty(&tx->checkpoints);
}

/* Where recovery would have to begin, and with which transaction. [lock] */
static void oldest(const struct journal *j, uint32_t *ret_start, tid_t *ret_tid)
{
	const struct transaction *tx = NULL;

	if (!list_empty(&j->committed))
		tx = list_first(&j->committed, struct transaction, link);
	else if (j->committing && j->committing->log_blocks)
		tx = j->committing;
	*ret_start = tx ? tx->log_start : 0;
	*ret_tid = tx ? tx->tid : j->running ? j->running->tid : j->next_tid;
}

/* Takes transactions that nobody needs off the front. [lock] */
static void reap_all(struct journal *j, struct list *done)
{
	while (!list_empty(&j->committed)) {
		struct transaction *tx = list_first(&j->committed, struct transaction, link);

		if (!reap(j, tx))
			return;
		list_move_tail(done, &tx->link);
	}
}

static void free_space(struct journal *j, struct list *done)
{
	while (!list_empty(done)) {
		struct transaction *tx = list_first(done, struct transaction, link);

		j->log_free += tx->log_blocks;
		j->log_tail = log_next(j, tx->log_start, tx->log_blocks);
		datalog_passed(j, tx->tid);
		list_del(&tx->link);
		transaction_free(tx);
	}
	must(j->log_free <= j->log_end - j->log_first);	/* K3 */
}

/* Some transactions are home: makes that durable, moves the tail, then gives their space back. */
static int move_tail(struct journal *j, struct list *done)
{
	uint32_t start;
	tid_t tid;
	int err;

	/* A commit that begins now may need the log opened again: it waits until this is on disk. */
	mutex_lock(&j->lock);
	j->is_moving_tail = true;
	oldest(j, &start, &tid);
	mutex_unlock(&j->lock);
	/*
	 * PREFLUSH: what is home is durable before the tail says so (J4). FUA: the tail is durable
	 * before its space is used again (J5).
	 */
	err = log_write_super(j, start, tid, j->config.flush == COMMIT_NO_FLUSH ? 0 : BIO_PREFLUSH | BIO_FUA);
	mutex_lock(&j->lock);
	j->is_moving_tail = false;
	if (!err) {
		free_space(j, done);
		j->is_empty_on_disk = start == 0;
	}
	cond_broadcast(&j->changed);
	mutex_unlock(&j->lock);
	if (err) {
		journal_abort(j, err, "the log's tail could not be written");
		return err;
	}
	trace("journal.tail", start, tid);
	return 0;
}

static int write_home(struct journal *j)
{
	struct mapping *m = &j->config.buffers->mapping;
	int err = buffer_sync(j->config.buffers);

	err = first_error(err, mapping_error_since(m, &j->error_seen));
	if (err)
		journal_abort(j, err, "a block could not be written home");
	return err;
}

/* After an abort the space is never used again; only the objects go. */
static void discard(struct journal *j, struct list *done)
{
	mutex_lock(&j->lock);
	free_space(j, done);
	mutex_unlock(&j->lock);
}

static int run_once(struct journal *j)
{
	struct list done = LIST_INIT(done);
	bool had_some, moved;
	int err = write_home(j);

	if (err)
		return err;
	counter_add(&j->stats.checkpoints, 1);
	mutex_lock(&j->lock);
	had_some = !list_empty(&j->committed);
	reap_all(j, &done);
	moved = !list_empty(&done);
	mutex_unlock(&j->lock);
	if (!moved)
		return had_some ? -EAGAIN : 0;
	err = move_tail(j, &done);
	if (err)
		discard(j, &done);
	return err;
}

int checkpoint_run(struct journal *j)
{
	int err;

	mutex_lock(&j->lock);
	while (j->is_checkpointing)
		cond_wait(&j->changed, &j->lock);
	j->is_checkpointing = true;
	mutex_unlock(&j->lock);
	err = journal_error(j);
	if (!err)
		err = run_once(j);
	mutex_lock(&j->lock);
	j->is_checkpointing = false;
	cond_broadcast(&j->changed);
	mutex_unlock(&j->lock);
	return err;
}
