/* What everybody in the room may have to do: say that it is over. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "block/disk.h"
#include "journal_private.h"

bool journal_is_aborted(const struct journal *j)
{
	return atomic_load(&j->is_aborted);
}

int journal_error(const struct journal *j)
{
	return journal_is_aborted(j) ? -EROFS : 0;
}

void journal_abort(struct journal *j, int err, const char *why)
{
	if (atomic_exchange(&j->is_aborted, true))
		return;
	mutex_lock(&j->lock);
	j->abort_error = err;
	cond_broadcast(&j->changed);
	mutex_unlock(&j->lock);
	trace("journal.abort", (uint64_t)-err, j->committed_tid);
	log_error("%s: the journal gave up: %s (%s); what was synced up to transaction %u is safe on disk",
		  disk_name(j->config.disk), why, strerror(-err), j->committed_tid);
	if (j->config.ops && j->config.ops->aborted)
		j->config.ops->aborted(j->config.ops_arg, err, why);
}

bool journal_has_short_commit(const struct journal *j)
{
	return j->config.flush == COMMIT_ASYNC && (j->features_incompat & JOURNAL_INCOMPAT_ASYNC_COMMIT);
}

const struct journal_stats *journal_stats(const struct journal *j)
{
	return &j->stats;
}

bool journal_is_committed(struct journal *j, tid_t tid)
{
	bool is_committed;

	mutex_lock(&j->lock);
	is_committed = tid_geq(j->committed_tid, tid);
	mutex_unlock(&j->lock);
	return is_committed;
}

tid_t journal_current_tid(struct journal *j)
{
	tid_t tid;

	mutex_lock(&j->lock);
	tid = j->running ? j->running->tid : j->next_tid;
	mutex_unlock(&j->lock);
	return tid;
}

uint32_t journal_log_blocks(const struct journal *j)
{
	return j->log_end - j->log_first;
}

uint32_t journal_log_free(struct journal *j)
{
	uint32_t nr;

	mutex_lock(&j->lock);
	nr = j->log_free;
	mutex_unlock(&j->lock);
	return nr;
}
