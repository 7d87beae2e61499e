/* The journal as its mounter sees it: loaded, started, destroyed. */
#include "journal/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "block/disk.h"
#include "journal_private.h"

#define FEATURES_KNOWN                                                                    \
	(JOURNAL_INCOMPAT_REVOKE | JOURNAL_INCOMPAT_64BIT | JOURNAL_INCOMPAT_ASYNC_COMMIT | \
	 JOURNAL_INCOMPAT_CSUM_V2 | JOURNAL_INCOMPAT_CSUM_V3)
#define TX_BLOCKS_MAX 4096u		/* the copy of one transaction in memory: 16 MiB at 4 KiB */
#define TX_BLOCKS_MIN 128u		/* less, and a rename would not fit */
#define DESTROY_TRIES 16u

/* ---- load ---- */

static int copy_extents(struct journal *j)
{
	size_t bytes = j->config.nr_extents * sizeof(struct journal_extent);

	j->extents = mem_alloc(bytes ? bytes : 1);
	if (!j->extents)
		return -ENOMEM;
	memcpy(j->extents, j->config.extents, bytes);
	j->config.extents = j->extents;
	return 0;
}

static uint32_t mapped_blocks(const struct journal *j)
{
	const struct journal_extent *last = &j->extents[j->config.nr_extents - 1];

	return last->log_block + last->count;
}

/* The gate: nothing else reads the journal superblock before it said 0. */
static int check_super(const struct journal *j, char *why, size_t why_size)
{
	const struct journal_super *s = &j->super;
	uint32_t type = be32_get(s->header.blocktype), first = be32_get(s->first), maxlen = be32_get(s->maxlen);
	uint32_t start = be32_get(s->start), unknown;

	if (be32_get(s->header.magic) != JOURNAL_MAGIC ||
	    (type != JOURNAL_SUPERBLOCK_V1 && type != JOURNAL_SUPERBLOCK_V2)) {
		snprintf(why, why_size, "the journal has no superblock");
		return -EUCLEAN;
	}
	if (be32_get(s->blocksize) != j->config.block_bytes || maxlen > mapped_blocks(j) || first == 0 ||
	    first >= maxlen || maxlen - first < 8 || (start && (start < first || start >= maxlen))) {
		snprintf(why, why_size, "the journal superblock is impossible (%u blocks of %u, first %u, start %u)",
			 maxlen, be32_get(s->blocksize), first, start);
		return -EUCLEAN;
	}
	if (type == JOURNAL_SUPERBLOCK_V1)
		return 0;
	unknown = be32_get(s->feature_incompat) & ~FEATURES_KNOWN;
	if (unknown || be32_get(s->feature_ro_compat)) {
		snprintf(why, why_size, "the journal has features that are not supported (incompat %#x, ro_compat %#x)",
			 unknown, be32_get(s->feature_ro_compat));
		return -EOPNOTSUPP;
	}
	return 0;
}

static bool sum_is_right(const struct journal *j)
{
	uint32_t incompat = be32_get(j->super.feature_incompat);
	struct journal_super copy = j->super;

	if (be32_get(copy.header.blocktype) == JOURNAL_SUPERBLOCK_V1 ||
	    !(incompat & (JOURNAL_INCOMPAT_CSUM_V2 | JOURNAL_INCOMPAT_CSUM_V3)))
		return true;
	copy.checksum = be32_make(0);
	return crc32c(~0u, &copy, sizeof(copy)) == be32_get(j->super.checksum);
}

static int load_super(struct journal *j, char *why, size_t why_size)
{
	uint8_t *block = mem_alloc_aligned(j->config.block_bytes, 4096);
	int err;

	snprintf(why, why_size, "out of memory");
	if (!block)
		return -ENOMEM;
	j->log_end = mapped_blocks(j);
	err = ring_read(j, 0, 1, block);
	memcpy(&j->super, block, sizeof(j->super));
	mem_free(block);
	if (err) {
		snprintf(why, why_size, "cannot read the journal superblock");
		return err;
	}
	err = check_super(j, why, why_size);
	if (!err && !sum_is_right(j)) {
		snprintf(why, why_size, "the journal superblock has a wrong checksum");
		err = -EUCLEAN;
	}
	return err;
}

static void init_ring(struct journal *j)
{
	uint32_t size = j->config.block_bytes;
	uint32_t tag = (uint32_t)journal_tag_bytes(0);

	j->log_first = be32_get(j->super.first);
	j->log_end = be32_get(j->super.maxlen);
	j->log_head = j->log_tail = j->log_first;
	j->log_free = j->log_end - j->log_first - 1;	/* K3: a full ring is not an empty one */
	/* As Linux counts: a tag is begun when a tag and a UUID would still fit. */
	j->tags_per_block = 2 + (size - (uint32_t)sizeof(struct journal_header) - 2 * (tag + JOURNAL_UUID_BYTES)) / tag;
	j->records_per_block = (size - (uint32_t)sizeof(struct journal_revoke)) / (uint32_t)sizeof(be32_t);
	j->features_compat = be32_get(j->super.feature_compat);
	j->features_incompat = be32_get(j->super.feature_incompat);
	j->is_empty_on_disk = be32_get(j->super.start) == 0;
}

static void commit_work_fn(struct work *w)
{
	struct journal *j = container_of(w, struct journal, commit_work);

	counter_add(&j->stats.commits_by_age, 1);
	ignore(journal_force_commit(j), "it aborted the journal, which everybody is told");
}

static void checkpoint_work_fn(struct work *w)
{
	ignore(checkpoint_run(container_of(w, struct journal, checkpoint_work)), "as above; -EAGAIN: later");
}

static void destroy(struct journal *j)
{
	datalog_done(j);
	hash_done(&j->checkpoints);
	pool_destroy(j->heads);
	mem_free(j->log_memory);
	mem_free(j->extents);
	cond_done(&j->changed);
	mutex_done(&j->lock);
	mem_free(j);
}

int journal_load(const struct journal_config *config, struct journal **ret_journal, char *why, size_t why_size)
{
	struct journal *j = mem_zalloc(sizeof(*j));
	int err;

	snprintf(why, why_size, "out of memory");
	if (!j)
		return -ENOMEM;
	j->config = *config;
	mutex_init(&j->lock, RANK_JOURNAL, "journal");
	cond_init(&j->changed);
	list_init(&j->committed);
	list_init(&j->data_list);
	work_init(&j->commit_work, commit_work_fn);
	work_init(&j->checkpoint_work, checkpoint_work_fn);
	j->heads = pool_create("journal heads", sizeof(struct journal_head), 16, 0, 1024);
	err = hash_init(&j->checkpoints, 256);
	if (!err)
		err = datalog_init(j);
	if (!err && !j->heads)
		err = -ENOMEM;
	if (!err)
		err = copy_extents(j);
	if (!err)
		err = load_super(j, why, why_size);
	if (err) {
		destroy(j);
		return err;
	}
	init_ring(j);
	*ret_journal = j;
	return 0;
}

bool journal_needs_recovery(const struct journal *j)
{
	return be32_get(j->super.start) != 0;
}

int journal_recorded_error(const struct journal *j)
{
	return abs((int32_t)be32_get(j->super.error));
}

/* ---- start ---- */

static uint32_t choose_tx_max(const struct journal *j)
{
	uint32_t blocks = min((j->log_end - j->log_first) / 4, TX_BLOCKS_MAX);

	if (j->config.tx_blocks_max)
		blocks = min(blocks, j->config.tx_blocks_max);
	return max(blocks, TX_BLOCKS_MIN);
}

/* The log is empty, so its format may change: to what is written here. */
static void set_features(struct journal *j)
{
	bool is_async = j->config.flush == COMMIT_ASYNC && j->config.has_checksum;

	j->super.header.blocktype = be32_make(JOURNAL_SUPERBLOCK_V2);
	j->features_compat = j->config.has_checksum ? JOURNAL_COMPAT_CHECKSUM : 0;
	j->features_incompat = JOURNAL_INCOMPAT_REVOKE | (is_async ? JOURNAL_INCOMPAT_ASYNC_COMMIT : 0);
	j->super.checksum_type = 0;
	j->super.checksum = be32_make(0);
	j->super.head = be32_make(0);
	j->super.error = be32_make(0);
}

int journal_start(struct journal *j)
{
	tid_t next = be32_get(j->super.sequence);
	int err;

	must(!journal_needs_recovery(j));
	set_features(j);
	j->tx_blocks_max = choose_tx_max(j);
	j->log_memory_blocks = log_blocks_needed(j, j->tx_blocks_max, j->tx_blocks_max);
	j->log_memory = mem_alloc_aligned((size_t)j->log_memory_blocks * j->config.block_bytes, 4096);
	if (!j->log_memory)
		return -ENOMEM;
	j->next_tid = next ? next : 1;
	j->committed_tid = j->next_tid - 1;
	j->error_seen = mapping_error_mark(&j->config.buffers->mapping);
	err = log_write_super(j, 0, j->next_tid, 0);
	if (!err)
		j->is_started = true;
	return err;
}

uint32_t journal_tx_blocks_max(const struct journal *j)
{
	return j->tx_blocks_max;
}

/* ---- destroy ---- */

static int write_all_home(struct journal *j)
{
	int err = journal_force_commit(j);

	for (unsigned i = 0; !err && i < DESTROY_TRIES && !list_empty(&j->committed); i++) {
		err = checkpoint_run(j);
		if (err == -EAGAIN)
			err = 0;
	}
	if (!err && !list_empty(&j->committed))
		err = -EIO;
	/* PREFLUSH: all is durable at home before the log says that nothing needs it. */
	if (!err && !j->is_empty_on_disk)
		err = log_write_super(j, 0, j->next_tid, BIO_PREFLUSH | BIO_FUA);
	return err;
}

/* The next mounter and e2fsck shall know, even if replaying the log undoes what the superblock says. */
static void record_abort(struct journal *j)
{
	uint32_t start = be32_get(j->super.start);

	j->super.error = be32_make((uint32_t)j->abort_error);
	ignore(log_write_super(j, start, be32_get(j->super.sequence), BIO_FUA), "the disk failed before");
}

static void drop_checkpoints(struct journal *j, struct transaction *tx)
{
	while (!list_empty(&tx->checkpoints))
		checkpoint_drop(j, list_first(&tx->checkpoints, struct checkpoint, link)->block);
}

/* What never became durable, or could not go home: its buffers are let go, not written. */
static void drop_running(struct journal *j, struct transaction *tx)
{
	unsigned p = parity(tx->tid);

	while (!list_empty(&tx->heads)) {
		struct journal_head *jh = p ? container_of(tx->heads.next, struct journal_head, in[1].link)
					    : container_of(tx->heads.next, struct journal_head, in[0].link);
		struct buffer *b = buffer_ref(jh->buffer);

		page_lock(&b->page);
		page_wait_writeback(&b->page);
		page_cancel_dirty(&b->page);
		mutex_lock(&j->lock);
		transaction_detach(tx, jh);
		mutex_unlock(&j->lock);
		page_unlock(&b->page);
		buffer_put(b);
	}
	while (!list_empty(&tx->ordered))
		list_del(tx->ordered.next);
	transaction_free(tx);
}

static void drop_all(struct journal *j)
{
	if (j->running)
		drop_running(j, j->running);
	j->running = NULL;
	while (!list_empty(&j->committed)) {
		struct transaction *tx = list_first(&j->committed, struct transaction, link);

		drop_checkpoints(j, tx);
		list_del(&tx->link);
		transaction_free(tx);
	}
}

int journal_destroy(struct journal *j)
{
	int err = 0;

	if (!j)
		return 0;
	if (j->is_started) {
		if (j->config.work) {
			work_cancel_sync(j->config.work, &j->commit_work);
			work_cancel_sync(j->config.work, &j->checkpoint_work);
		}
		err = journal_error(j);
		if (!err)
			err = write_all_home(j);
		else
			record_abort(j);
	}
	drop_all(j);
	destroy(j);
	return err;
}
