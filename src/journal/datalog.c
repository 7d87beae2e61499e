/*
 * File data in the log.
 *
 * Metadata is always logged, so a newer copy of it is in the log again before it is changed at
 * home. Data is logged now and then: with data=journal when it is overwritten, otherwise when a
 * small fsync becomes cheaper by it. A block that was logged as data and is written in place
 * afterwards would be overwritten by recovery, or by its buffer that goes home late, with what it
 * held before. So it is remembered here which blocks of data the log may still hold, and changes
 * of those go through the log again (J8). A block is forgotten
 *
 *	when the tail that has passed its last copy is durable: nothing replays it any more; or
 *	when it is freed: the revoke stops its copies, and J6 keeps the block until that is durable.
 *
 * The list is in the order of the tids, for a block goes to its end when it is logged again.
 */
#include <errno.h>

#include "base/mem.h"
#include "journal_private.h"

struct logged_block {
	struct hash_node node;		/* in journal->data_blocks, by block */
	struct list link;		/* on journal->data_list, by tid */
	fsblk_t block;
	tid_t tid;			/* of its newest copy */
};

int datalog_init(struct journal *j)
{
	return hash_init(&j->data_blocks, 64);
}

static struct logged_block *find(struct journal *j, fsblk_t block)
{
	for (struct hash_node *n = hash_first(&j->data_blocks, hash_u64(block)); n; n = hash_next_same(n))
		if (container_of(n, struct logged_block, node)->block == block)
			return container_of(n, struct logged_block, node);
	return NULL;
}

static void drop(struct journal *j, struct logged_block *d)
{
	hash_remove(&j->data_blocks, &d->node);
	list_del(&d->link);
	mem_free(d);
	atomic_fetch_sub(&j->nr_data, 1);
}

void datalog_done(struct journal *j)
{
	while (!list_empty(&j->data_list))
		drop(j, list_first(&j->data_list, struct logged_block, link));
	hash_done(&j->data_blocks);
}

int datalog_add(struct journal *j, fsblk_t block, tid_t tid)
{
	struct logged_block *d = find(j, block);

	if (!d) {
		d = mem_alloc(sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->block = block;
		list_init(&d->link);
		hash_insert(&j->data_blocks, &d->node, hash_u64(block));
		atomic_fetch_add(&j->nr_data, 1);
	}
	d->tid = tid;
	list_move_tail(&j->data_list, &d->link);
	return 0;
}

void datalog_remove(struct journal *j, fsblk_t block)
{
	struct logged_block *d = atomic_load(&j->nr_data) ? find(j, block) : NULL;

	if (d)
		drop(j, d);
}

void datalog_passed(struct journal *j, tid_t tid)
{
	while (!list_empty(&j->data_list)) {
		struct logged_block *d = list_first(&j->data_list, struct logged_block, link);

		if (!tid_geq(tid, d->tid))
			return;
		drop(j, d);
	}
}

bool journal_logs_data(const struct journal *j)
{
	return atomic_load(&j->nr_data) != 0;
}

bool journal_has_data(struct journal *j, fsblk_t block)
{
	bool has;

	if (!journal_logs_data(j))
		return false;
	mutex_lock(&j->lock);
	has = find(j, block) != NULL;
	mutex_unlock(&j->lock);
	return has;
}
