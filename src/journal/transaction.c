/*
 * Transactions and the buffers in them.
 *
 *	           first handle        locked            copied out          durable
 *	(none) ---------------> RUNNING -----> LOCKED ------------> COMMITTING -----> COMMITTED
 *	                           ^              | nothing in it                        | all home
 *	                           +--------------+                                      v (freed)
 *
 * At most one transaction is RUNNING or LOCKED and one COMMITTING; they have neighbouring tids
 * (K1). What goes into the log is copied out of the buffers in one piece while the transaction is
 * LOCKED and no handle is open: some microseconds a block, for which the next transaction may
 * change them at once, without copying anything.
 */
#include <errno.h>

#include "base/mem.h"
#include "journal_private.h"

int transaction_get_running(struct journal *j, struct transaction **ret_tx)
{
	struct transaction *tx = j->running;

	if (tx) {
		*ret_tx = tx;
		return 0;
	}
	tx = mem_zalloc(sizeof(*tx));
	if (!tx)
		return -ENOMEM;
	if (revoke_set_init(&tx->revokes)) {
		mem_free(tx);
		return -ENOMEM;
	}
	tx->journal = j;
	tx->tid = j->next_tid++;
	tx->state = TX_RUNNING;
	tx->started_ns = clock_now_ns(j->config.clock);
	list_init(&tx->heads);
	list_init(&tx->ordered);
	list_init(&tx->checkpoints);
	list_init(&tx->link);
	j->running = tx;
	if (j->config.work && j->config.commit_interval_ms)
		work_queue_delayed(j->config.work, &j->commit_work, j->config.commit_interval_ms);
	*ret_tx = tx;
	return 0;
}

void transaction_free(struct transaction *tx)
{
	must(list_empty(&tx->heads));
	must(list_empty(&tx->checkpoints));
	must(list_empty(&tx->ordered));
	revoke_set_done(&tx->revokes);
	mem_free(tx);
}

uint32_t transaction_needs(const struct transaction *tx, uint32_t more)
{
	return log_blocks_needed(tx->journal, tx->nr_heads + tx->credits + more, tx->revokes.nr + more);
}

struct journal_head *transaction_attach(struct transaction *tx, struct buffer *b)
{
	struct journal_head *jh = head_of(b);
	unsigned p = parity(tx->tid);

	if (!jh) {
		/*
		 * An operation that has changed half of what it must change cannot be told that there
		 * is no memory for the rest. The pool has no bound, so only memory is waited for.
		 */
		jh = pool_get_wait(tx->journal->heads);
		*jh = (struct journal_head){.buffer = buffer_ref(b)};
		list_init(&jh->in[0].link);
		list_init(&jh->in[1].link);
		b->page.private = jh;
		page_set(&b->page, PAGE_PINNED);
	}
	if (jh->in[p].tx)
		return jh;
	jh->in[p].tx = tx;
	jh->in[p].is_dirty = jh->in[p].is_forgotten = jh->in[p].is_new = false;
	list_add_tail(&tx->heads, &jh->in[p].link);
	tx->nr_heads++;
	return jh;
}

void transaction_detach(struct transaction *tx, struct journal_head *jh)
{
	unsigned p = parity(tx->tid);
	struct buffer *b = jh->buffer;

	must(jh->in[p].tx == tx);
	list_del(&jh->in[p].link);
	jh->in[p].tx = NULL;
	tx->nr_heads--;
	if (jh->in[!p].tx)
		return;
	b->page.private = NULL;
	page_clear(&b->page, PAGE_PINNED);
	pool_put(tx->journal->heads, jh);
	buffer_put(b);
}

void transaction_check(const struct transaction *tx)
{
	switch (tx->state) {
	case TX_RUNNING:
		must(tx->log_blocks == 0);	/* nothing of it is in the log */
		break;
	case TX_LOCKED:
		must(tx->journal->running == tx);
		break;
	case TX_COMMITTING:
	case TX_COMMITTED:
		must(tx->nr_handles == 0);
		must(tx->credits == 0);
		must(tx->log_blocks > 0);	/* the commit block */
		break;
	}
}
