/*
 * Committing a transaction.
 *
 *	lock      no new handle; wait for the open ones
 *	copy out  all changed buffers into one piece of memory, laid out as the log will have it;
 *	          from here on a new transaction may run and change the same buffers
 *	data      write the files whose blocks it allocated (J2)
 *	log       revokes, descriptors and blocks, then the commit block (J1)
 *	durable   who waited for this tid goes on; from here on a crash replays it
 *	finish    buffers may go home (J3), freed blocks may be used again (J6)
 *
 * There is no thread for it: whoever needs the commit carries it out, and those who come meanwhile
 * wait and share the next one. So one fsync alone costs no wake-up, and many at once cost few
 * commits.
 *
 * Which flushes (J1, J2):
 *
 *	ordered data in it      data, log | flush | commit block | flush
 *	none, with checksum     log, commit block | flush
 *
 * In the second form the commit block may survive a power cut that its blocks did not. Its checksum
 * shows that, and the async_commit feature, set while the journal is used so, tells every reader
 * to take a last transaction with a wrong checksum for one that never was. The checksum leaves
 * out revoke blocks. One that is missing ends the transaction, as its header is; one that was torn
 * behind its first sector would not be noticed, so the first form is used where that matters.
 */
#include <errno.h>
#include <string.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "journal_private.h"

struct commit {
	struct journal *journal;
	struct transaction *tx;
	uint32_t nr_data;		/* blocks to be logged */
	uint32_t nr_blocks;		/* all that goes into the log */
	uint32_t nr_before_sum;		/* leading revoke blocks, which the checksum leaves out */
	bool has_ordered;
	uint32_t log_start;
};

static uint8_t *log_block_at(const struct commit *c, uint32_t i)
{
	return c->journal->log_memory + (size_t)i * c->journal->config.block_bytes;
}

/* ---- lock ---- */

/* In which of the two places a link lies depends on the parity. */
static struct journal_head *head_at(struct list *l, unsigned p)
{
	return p ? container_of(l, struct journal_head, in[1].link) : container_of(l, struct journal_head, in[0].link);
}

static uint32_t count_dirty(const struct transaction *tx)
{
	unsigned p = parity(tx->tid);
	uint32_t nr = 0;

	for (struct list *l = tx->heads.next; l != &tx->heads; l = l->next)
		nr += head_at(l, p)->in[p].is_dirty;
	return nr;
}

/* No handle is open any more, and none is let in. False: there is nothing to commit. [lock] */
static bool lock_transaction(struct commit *c)
{
	struct journal *j = c->journal;
	struct transaction *tx = j->running;

	c->tx = tx;
	tx->state = TX_LOCKED;
	while (tx->nr_handles)
		cond_wait(&j->changed, &j->lock);
	c->nr_data = count_dirty(tx);
	c->has_ordered = tx->has_ordered || !list_empty(&tx->ordered);
	if (tx->nr_heads || tx->revokes.nr)
		return true;
	tx->state = TX_RUNNING;
	tx->started_ns = clock_now_ns(j->config.clock);
	cond_broadcast(&j->changed);
	return false;
}

/* The space was reserved handle by handle; this only covers what went beyond its credits. */
static int reserve_log(struct commit *c)
{
	struct journal *j = c->journal;

	c->nr_blocks = log_blocks_needed(j, c->nr_data, c->tx->revokes.nr);
	while (c->nr_blocks > j->log_free) {
		int err;

		mutex_unlock(&j->lock);
		err = checkpoint_run(j);
		mutex_lock(&j->lock);
		if (err)
			return err == -EAGAIN ? -ENOSPC : err;
	}
	if (c->nr_blocks > j->log_memory_blocks) {
		uint8_t *memory = mem_alloc_aligned((size_t)c->nr_blocks * j->config.block_bytes, 4096);

		if (!memory)
			return -ENOMEM;
		mem_free(j->log_memory);
		j->log_memory = memory;
		j->log_memory_blocks = c->nr_blocks;
	}
	return 0;
}

/* ---- copy out ---- */

static void put_header(const struct commit *c, uint8_t *block, uint32_t type)
{
	struct journal_header *header = (struct journal_header *)block;

	memset(block, 0, c->journal->config.block_bytes);
	header->magic = be32_make(JOURNAL_MAGIC);
	header->blocktype = be32_make(type);
	header->sequence = be32_make(c->tx->tid);
}

struct revoke_writer {
	struct commit *c;
	uint32_t next;		/* block of the log memory to begin */
	uint8_t *block;		/* the one being filled, or NULL */
	uint32_t used_bytes;
};

static void put_revoke(void *arg, fsblk_t block)
{
	struct revoke_writer *w = arg;
	be32_t record = be32_make((uint32_t)block);

	if (!w->block || w->used_bytes + sizeof(record) > w->c->journal->config.block_bytes) {
		w->block = log_block_at(w->c, w->next++);
		put_header(w->c, w->block, JOURNAL_REVOKE_BLOCK);
		w->used_bytes = sizeof(struct journal_revoke);
	}
	memcpy(w->block + w->used_bytes, &record, sizeof(record));
	w->used_bytes += sizeof(record);
	((struct journal_revoke *)w->block)->count = be32_make(w->used_bytes);
}

struct tag_writer {
	uint8_t *descriptor;	/* NULL: begin one */
	uint32_t used_bytes, nr_tags;
	struct journal_tag *last;
};

static void close_descriptor(struct tag_writer *w)
{
	if (w->last)
		w->last->flags = be16_make(be16_get(w->last->flags) | JOURNAL_TAG_LAST);
	*w = (struct tag_writer){0};
}

static void put_tag(const struct commit *c, struct tag_writer *w, fsblk_t block, bool is_escaped)
{
	uint32_t tag_bytes = (uint32_t)journal_tag_bytes(c->journal->features_incompat);
	struct journal_tag *tag = (struct journal_tag *)(w->descriptor + w->used_bytes);
	uint16_t flags = is_escaped ? JOURNAL_TAG_ESCAPE : 0;

	tag->blocknr = be32_make((uint32_t)block);
	if (w->nr_tags)
		flags |= JOURNAL_TAG_SAME_UUID;
	else
		memcpy(w->descriptor + w->used_bytes + tag_bytes, c->journal->super.uuid, JOURNAL_UUID_BYTES);
	tag->flags = be16_make(flags);
	w->used_bytes += tag_bytes + (w->nr_tags ? 0 : JOURNAL_UUID_BYTES);
	w->last = tag;
	w->nr_tags++;
}

/* A block that begins with the journal's magic would look like one of the log's own. */
static bool escape(uint8_t *copy)
{
	const be32_t magic = be32_make(JOURNAL_MAGIC);

	if (memcmp(copy, &magic, sizeof(magic)) != 0)
		return false;
	memset(copy, 0, sizeof(magic));
	return true;
}

/* Descriptors and copies of the buffers, from log memory block `next` on; returns the block behind. */
static uint32_t copy_buffers(struct commit *c, uint32_t next)
{
	struct transaction *tx = c->tx;
	struct tag_writer w = {0};
	unsigned p = parity(tx->tid);

	for (struct list *l = tx->heads.next; l != &tx->heads; l = l->next) {
		struct journal_head *jh = head_at(l, p);
		uint8_t *copy;

		if (!jh->in[p].is_dirty)
			continue;
		if (w.nr_tags == c->journal->tags_per_block)
			close_descriptor(&w);
		if (!w.descriptor) {
			w.descriptor = log_block_at(c, next++);
			put_header(c, w.descriptor, JOURNAL_DESCRIPTOR_BLOCK);
			w.used_bytes = sizeof(struct journal_header);
		}
		copy = log_block_at(c, next++);
		memcpy(copy, buffer_data(jh->buffer), c->journal->config.block_bytes);
		put_tag(c, &w, buffer_block(jh->buffer), escape(copy));
	}
	close_descriptor(&w);
	return next;
}

static void put_commit_block(struct commit *c, uint32_t at)
{
	struct timespec now = clock_wall(c->journal->config.clock);
	struct journal_commit *block = (struct journal_commit *)log_block_at(c, at);

	put_header(c, (uint8_t *)block, JOURNAL_COMMIT_BLOCK);
	block->commit_sec = be64_make((uint64_t)now.tv_sec);
	block->commit_nsec = be32_make((uint32_t)now.tv_nsec);
}

/* The checksum is computed later, without the lock. */
static void copy_out(struct commit *c)
{
	struct journal *j = c->journal;
	struct revoke_writer revokes = {.c = c};
	uint32_t next;

	revoke_for_each(&c->tx->revokes, put_revoke, &revokes);
	c->nr_before_sum = revokes.next;
	next = copy_buffers(c, revokes.next);
	put_commit_block(c, next);
	c->nr_blocks = next + 1;
	c->log_start = j->log_head;
	c->tx->log_start = j->log_head;
	c->tx->log_blocks = c->nr_blocks;
	j->log_head = log_next(j, j->log_head, c->nr_blocks);
	j->log_free -= c->nr_blocks;
	c->tx->state = TX_COMMITTING;
	j->committing = c->tx;
	j->running = NULL;
	transaction_check(c->tx);
	cond_broadcast(&j->changed);
}

/* ---- data ---- */

static struct journal_inode *next_ordered(struct commit *c)
{
	struct list *list = &c->tx->ordered;
	unsigned p = parity(c->tx->tid);
	struct journal_inode *ji;

	if (list_empty(list))
		return NULL;
	ji = p ? container_of(list->next, struct journal_inode, link[1])
	       : container_of(list->next, struct journal_inode, link[0]);
	list_del(&ji->link[p]);
	ji->is_writing = true;
	return ji;
}

/* J2. The first error stops the commit, not the writing. */
static int write_ordered(struct commit *c)
{
	struct journal *j = c->journal;
	struct journal_inode *ji;
	int err = 0;

	mutex_lock(&j->lock);
	while ((ji = next_ordered(c)) != NULL) {
		mutex_unlock(&j->lock);
		err = first_error(err, j->config.ops->write_ordered(ji));
		mutex_lock(&j->lock);
		ji->is_writing = false;
		cond_broadcast(&j->changed);
	}
	mutex_unlock(&j->lock);
	return err;
}

/* ---- log ---- */

static void seal(struct commit *c)
{
	struct journal_commit *block = (struct journal_commit *)log_block_at(c, c->nr_blocks - 1);
	size_t bytes = (size_t)(c->nr_blocks - 1 - c->nr_before_sum) * c->journal->config.block_bytes;

	if (!(c->journal->features_compat & JOURNAL_COMPAT_CHECKSUM))
		return;
	block->chksum_type = JOURNAL_CHKSUM_CRC32;
	block->chksum_size = JOURNAL_CRC32_SIZE;
	block->chksum[0] = be32_make(crc32_be(CRC32_BE_SEED, log_block_at(c, c->nr_before_sum), bytes));
}

/*
 * A log that the superblock calls empty begins here: it must say so before this is durable. A tail
 * that is just being moved may be about to call it empty: that is waited for.
 */
static int open_log(struct commit *c)
{
	struct journal *j = c->journal;
	bool was_empty;

	mutex_lock(&j->lock);
	while (j->is_moving_tail)
		cond_wait(&j->changed, &j->lock);
	was_empty = j->is_empty_on_disk;
	j->is_empty_on_disk = false;
	mutex_unlock(&j->lock);
	return was_empty ? log_write_super(j, c->log_start, c->tx->tid, 0) : 0;
}

/* From here on the flush may miss what others write (journal_will_flush). */
static void begin_flush(struct commit *c)
{
	mutex_lock(&c->journal->lock);
	c->tx->has_begun_flush = true;
	mutex_unlock(&c->journal->lock);
}

static int write_with_one_flush(struct commit *c)
{
	int err = ring_write(c->journal, c->log_start, log_block_at(c, 0), c->nr_blocks, 0);

	if (err)
		return err;
	begin_flush(c);
	/* J1: durable from here on; until then the checksum decides. */
	return log_flush(c->journal);
}

static int write_with_two_flushes(struct commit *c)
{
	struct journal *j = c->journal;
	uint32_t last = c->nr_blocks - 1;
	uint32_t flags = j->config.flush == COMMIT_NO_FLUSH ? 0 : BIO_PREFLUSH | BIO_FUA;
	int err = last ? ring_write(j, c->log_start, log_block_at(c, 0), last, 0) : 0;

	if (err)
		return err;
	begin_flush(c);
	counter_add(&j->stats.flushes, flags ? 2 : 0);
	/* J1, J2: the preflush makes data and log durable before the commit block is written. */
	return ring_write(j, log_next(j, c->log_start, last), log_block_at(c, last), 1, flags);
}

/* How many revokes fit into the first sector of a block: no tear can part them from its header. */
#define REVOKES_WITHOUT_TEAR ((SECTOR_SIZE - (uint32_t)sizeof(struct journal_revoke)) / (uint32_t)sizeof(be32_t))

static bool may_use_one_flush(const struct commit *c)
{
	return journal_has_short_commit(c->journal) && !c->has_ordered && c->tx->revokes.nr <= REVOKES_WITHOUT_TEAR;
}

static int write_log(struct commit *c)
{
	int err;

	seal(c);
	err = open_log(c);
	if (err)
		return err;
	counter_add(&c->journal->stats.blocks_logged, c->nr_blocks);
	return may_use_one_flush(c) ? write_with_one_flush(c) : write_with_two_flushes(c);
}

/* ---- finish ---- */

static void drop_revoked(void *arg, fsblk_t block)
{
	checkpoint_drop(arg, block);
}

/* One buffer of a durable transaction. Its page is locked. */
static int release_head(struct commit *c, struct journal_head *jh, bool is_durable)
{
	struct journal *j = c->journal;
	struct buffer *b = jh->buffer;
	unsigned p = parity(c->tx->tid);
	bool is_forgotten = jh->in[p].is_forgotten;
	bool goes_home = jh->in[p].is_dirty && is_durable;
	bool is_last;
	int err = 0;

	if (goes_home)
		buffer_mark_dirty(b);	/* pinned, if the running transaction has it: then it goes home later */
	mutex_lock(&j->lock);
	is_last = jh->in[!p].tx == NULL;
	if (goes_home)
		err = checkpoint_add(c->tx, buffer_block(b));
	if (is_last && (is_forgotten || !is_durable))
		page_cancel_dirty(&b->page);
	transaction_detach(c->tx, jh);
	mutex_unlock(&j->lock);
	return err;
}

static struct journal_head *first_head(struct commit *c)
{
	struct journal_head *jh = NULL;

	mutex_lock(&c->journal->lock);
	if (!list_empty(&c->tx->heads))
		jh = head_at(c->tx->heads.next, parity(c->tx->tid));
	mutex_unlock(&c->journal->lock);
	return jh;
}

static int release_heads(struct commit *c, bool is_durable)
{
	struct journal_head *jh;
	int err = 0;

	while ((jh = first_head(c)) != NULL) {
		struct buffer *b = buffer_ref(jh->buffer);

		page_lock(&b->page);
		page_wait_writeback(&b->page);
		err = first_error(err, release_head(c, jh, is_durable));
		page_unlock(&b->page);
		buffer_put(b);
	}
	return err;
}

/* Durable: who waits for the tid goes on. */
static void announce(struct commit *c)
{
	struct journal *j = c->journal;

	mutex_lock(&j->lock);
	j->committed_tid = c->tx->tid;
	revoke_for_each(&c->tx->revokes, drop_revoked, j);
	cond_broadcast(&j->changed);
	mutex_unlock(&j->lock);
	counter_add(&j->stats.commits, 1);
	trace("journal.commit", c->tx->tid, c->nr_blocks);
}

static void file_committed(struct commit *c)
{
	struct journal *j = c->journal;

	mutex_lock(&j->lock);
	c->tx->state = TX_COMMITTED;
	j->committing = NULL;
	list_add_tail(&j->committed, &c->tx->link);
	/* A quarter free is when space is made, in the background, before somebody waits for it. */
	if (j->config.work && j->log_free < journal_log_blocks(j) / 4)
		work_queue(j->config.work, &j->checkpoint_work);
	mutex_unlock(&j->lock);
}

static int finish(struct commit *c)
{
	struct journal *j = c->journal;
	tid_t tid = c->tx->tid;
	int err;

	announce(c);
	err = release_heads(c, true);
	file_committed(c);
	if (j->config.ops && j->config.ops->committed)
		j->config.ops->committed(j->config.ops_arg, tid);
	return err;
}

/* The commit failed: nothing of it goes home, ever (J7). */
static void give_up(struct commit *c, int err)
{
	struct journal *j = c->journal;

	journal_abort(j, err, "a transaction could not be written");
	ignore(release_heads(c, false), "the journal is aborted");
	mutex_lock(&j->lock);
	for (struct journal_inode *ji; (ji = next_ordered(c)) != NULL;)
		ji->is_writing = false;
	j->committing = NULL;
	list_del(&c->tx->link);
	transaction_free(c->tx);
	cond_broadcast(&j->changed);
	mutex_unlock(&j->lock);
}

/* ---- the whole ---- */

/* 0, or the error that aborted the journal. *ret_empty: there was nothing to commit. */
static int commit_run(struct journal *j, bool *ret_empty)
{
	struct commit c = {.journal = j};
	int err;

	*ret_empty = false;
	mutex_lock(&j->lock);
	if (!j->running || !lock_transaction(&c)) {
		mutex_unlock(&j->lock);
		counter_add(&j->stats.empty_commits, 1);
		*ret_empty = true;
		return 0;
	}
	err = reserve_log(&c);
	if (err) {
		/* Never begun: the transaction stays, locked, and nobody will ask for it again. */
		c.tx->state = TX_RUNNING;
		mutex_unlock(&j->lock);
		journal_abort(j, err, "no room for a transaction");
		return err;
	}
	copy_out(&c);
	mutex_unlock(&j->lock);

	err = journal_error(j);
	if (!err && c.has_ordered)
		err = write_ordered(&c);
	if (!err)
		err = write_log(&c);
	if (err) {
		give_up(&c, err);
		return err;
	}
	err = finish(&c);
	/* Durable, but what has to go home before the tail may pass it is not known any more. */
	if (err)
		journal_abort(j, err, "a durable transaction could not be kept track of");
	return err;
}

int commit_until(struct journal *j, tid_t tid)
{
	bool is_empty = false;
	int err = 0;

	mutex_lock(&j->lock);
	while (!tid_geq(j->committed_tid, tid) && !err && !is_empty) {
		err = journal_error(j);
		if (err)
			break;
		if (j->is_committing) {
			cond_wait(&j->changed, &j->lock);
			continue;
		}
		if (!j->running)
			break;	/* it never came to be */
		j->is_committing = true;
		mutex_unlock(&j->lock);
		err = commit_run(j, &is_empty);
		mutex_lock(&j->lock);
		j->is_committing = false;
		cond_broadcast(&j->changed);
	}
	mutex_unlock(&j->lock);
	return err;
}

bool journal_will_flush(struct journal *j, tid_t tid)
{
	bool will = false;

	mutex_lock(&j->lock);
	/* A transaction without a buffer may never be committed. */
	if (j->running && j->running->tid == tid)
		will = j->running->nr_heads != 0;
	else if (j->committing && j->committing->tid == tid)
		will = !j->committing->has_begun_flush;
	mutex_unlock(&j->lock);
	return will;
}

int journal_commit_wait(struct journal *j, tid_t tid)
{
	counter_add(&j->stats.commits_by_sync, 1);
	return commit_until(j, tid);
}

int journal_force_commit(struct journal *j)
{
	tid_t tid;

	mutex_lock(&j->lock);
	tid = j->running ? j->running->tid : j->next_tid - 1;
	mutex_unlock(&j->lock);
	return commit_until(j, tid);
}
