/*
 * The flusher: writes behind everybody's back, by age and by amount; and sync.
 *
 * One work item on the mount's queue. It runs when its bell is rung (too much is dirty, or somebody
 * waits for a page) and, while anything is dirty, every flush_interval_ms. A run goes round the
 * dirty mappings, data before metadata, and gives each a slice, so that one large file does not keep
 * the small ones waiting:
 *
 *	all mappings in turn   while more than three quarters of the background limit is dirty (it
 *	                       starts at the limit itself; the gap makes for fewer, larger runs), or
 *	                       while somebody waits for a page or at the throttle
 *	those that are old     their oldest dirty page is older than dirty_expire_ms
 *
 * The flusher never sleeps for a page: one that is locked or under writeback is left for the next
 * round. So it never waits for anybody who may be waiting for it. If it could do nothing though
 * somebody waits, it comes again after RETRY_MS.
 *
 * Age: a mapping knows when its oldest dirty page became dirty. A pass over it goes from
 * writeback_index to the end in slices; when a pass that began at index 0 reaches the end, all that
 * was dirty when it began is written, so what is dirty now is younger than the pass.
 *
 * Sync visits each mapping that was dirty when it began (sync_seq), starts its writes, and then
 * waits for the epoch to empty: one wait for all of them, and none for what began later.
 */
#include "cache_private.h"

#define SLICE_PAGES 2048u	/* 8 MiB of 4 KiB blocks: long enough to stream, short enough to share */
#define ROUNDS_MAX 8u		/* then the queue's other works get their turn */
#define RETRY_MS 5u

/* Which mappings. */

/* m may be gone afterwards. */
static void drop_ref(struct page_cache *cache, struct mapping *m)
{
	mutex_lock(&cache->lru_lock);
	if (--m->nr_flushers == 0)
		cond_broadcast(&cache->flushers_gone);
	mutex_unlock(&cache->lru_lock);
}

/* The next in turn, which becomes the last; NULL when nothing is dirty. */
static struct mapping *pick(struct page_cache *cache, struct list *list)
{
	struct mapping *m = NULL;

	mutex_lock(&cache->lru_lock);
	if (!list_empty(list)) {
		m = list_first(list, struct mapping, dirty_link);
		m->nr_flushers++;	/* until drop_ref(): mapping_done() waits */
		list_move_tail(list, &m->dirty_link);
	}
	mutex_unlock(&cache->lru_lock);
	return m;
}

static bool somebody_waits(struct page_cache *cache)
{
	return atomic_load(&cache->nr_alloc_waiters) > 0 || atomic_load(&cache->nr_throttled) > 0;
}

static bool is_over(struct page_cache *cache)
{
	return atomic_load(&cache->nr_dirty) > cache->background_max / 4 * 3;
}

static bool is_expired(struct mapping *m)
{
	const struct page_cache_config *config = &m->cache->config;
	uint64_t now = clock_now_ns(config->clock);
	bool answer;

	mutex_lock(&m->lock);
	answer = m->nr_dirty > 0 && now - m->dirtied_ns >= config->dirty_expire_ms * NSEC_PER_MSEC;
	mutex_unlock(&m->lock);
	return answer;
}

/* One slice of one mapping. */

static uint64_t slice_begin(struct mapping *m)
{
	uint64_t from;

	mutex_lock(&m->lock);
	from = m->writeback_index;
	if (from == 0)
		m->pass_ns = clock_now_ns(m->cache->config.clock);
	mutex_unlock(&m->lock);
	return from;
}

static void slice_end(struct mapping *m, uint64_t next)
{
	mutex_lock(&m->lock);
	if (next == UINT64_MAX) {	/* a pass is complete */
		m->writeback_index = 0;
		m->dirtied_ns = max(m->dirtied_ns, m->pass_ns);
	} else {
		m->writeback_index = next;
	}
	mutex_unlock(&m->lock);
}

/* Returns whether more of it is left for this pass. */
static bool write_slice(struct writeout *w, struct mapping *m)
{
	uint64_t from = slice_begin(m);
	uint64_t next = writeout_range(w, m, from, UINT64_MAX - 1, MAPPING_TAG_DIRTY, SLICE_PAGES);

	slice_end(m, next);
	return next != UINT64_MAX;
}

/* Rounds. */

enum round_kind { ROUND_NEEDED, ROUND_EVERYTHING };

struct round {
	uint64_t nr_written;
	bool has_more;		/* a mapping's pass was cut off, or the limit is still passed */
};

/* Each mapping of the list once. */
static void visit_list(struct page_cache *cache, struct list *list, uint32_t nr, enum round_kind kind,
		       struct writeout *w, struct round *round)
{
	for (; nr > 0; nr--) {
		struct mapping *m = pick(cache, list);

		if (!m)
			return;
		if (kind == ROUND_EVERYTHING || is_over(cache) || somebody_waits(cache) || is_expired(m))
			round->has_more |= write_slice(w, m);
		drop_ref(cache, m);
	}
}

static struct round run_round(struct page_cache *cache, enum round_kind kind)
{
	struct round round = {0};
	struct writeout w;
	uint32_t nr_data, nr_meta;

	mutex_lock(&cache->lru_lock);
	nr_data = cache->nr_dirty_data;
	nr_meta = cache->nr_dirty_meta;
	mutex_unlock(&cache->lru_lock);
	writeout_start(&w, WRITEBACK_START);
	visit_list(cache, &cache->dirty_data, nr_data, kind, &w, &round);
	visit_list(cache, &cache->dirty_meta, nr_meta, kind, &w, &round);
	ignore(writeout_finish(&w), "what found no memory is dirty again and gets its next turn");
	round.nr_written = w.nr_written;
	round.has_more |= is_over(cache);
	return round;
}

/* For allocators and writers that have no flusher thread behind them. */
static uint32_t flush_some(struct page_cache *cache)
{
	return (uint32_t)min(run_round(cache, ROUND_EVERYTHING).nr_written, (uint64_t)UINT32_MAX);
}

static void arm_timer(struct page_cache *cache)
{
	bool has_dirty;

	mutex_lock(&cache->lru_lock);
	has_dirty = cache->nr_dirty_data + cache->nr_dirty_meta > 0;
	mutex_unlock(&cache->lru_lock);
	if (!has_dirty || atomic_load(&cache->is_stopping))
		return;
	if (!cache->is_inline && somebody_waits(cache))
		work_queue_delayed(cache->config.work, &cache->flush_work, RETRY_MS);
	else if (cache->config.flush_interval_ms > 0)
		work_queue_delayed(cache->config.work, &cache->flush_work, cache->config.flush_interval_ms);
}

static void flush_work_fn(struct work *work)
{
	struct page_cache *cache = container_of(work, struct page_cache, flush_work);
	struct round round;
	uint32_t left = ROUNDS_MAX;

	atomic_store(&cache->is_kicked, false);
	do {
		round = run_round(cache, ROUND_NEEDED);
	} while (round.nr_written > 0 && round.has_more && --left > 0);
	if (round.nr_written > 0 && round.has_more)
		cache_kick_flusher(cache);
	else
		arm_timer(cache);
}

void cache_flusher_init(struct page_cache *cache)
{
	work_init(&cache->flush_work, flush_work_fn);
	cache->flush_some = flush_some;
}

void cache_flusher_stop(struct page_cache *cache)
{
	atomic_store(&cache->is_stopping, true);
	work_cancel_sync(cache->config.work, &cache->flush_work);
}

/* Sync. */

/* The next mapping that this sync has not visited; NULL when there is none. */
static struct mapping *pick_unvisited(struct page_cache *cache, struct list *list, uint64_t seq)
{
	struct mapping *m;

	mutex_lock(&cache->lru_lock);
	list_for_each(m, list, dirty_link) {
		if (m->sync_seq == seq)
			continue;
		m->sync_seq = seq;
		list_move_tail(list, &m->dirty_link);
		m->nr_flushers++;
		mutex_unlock(&cache->lru_lock);
		return m;
	}
	mutex_unlock(&cache->lru_lock);
	return NULL;
}

static int start_list(struct page_cache *cache, struct list *list, uint64_t seq)
{
	struct writeout w;
	struct mapping *m;

	writeout_start(&w, WRITEBACK_WAIT);
	while ((m = pick_unvisited(cache, list, seq)) != NULL) {
		uint64_t last = mapping_tag_towrite(m, 0, UINT64_MAX - 1);

		ignore(writeout_range(&w, m, 0, last, MAPPING_TAG_TOWRITE, UINT64_MAX), "the whole of it");
		drop_ref(cache, m);
	}
	return writeout_finish(&w);
}

static uint64_t next_seq(struct page_cache *cache)
{
	uint64_t seq;

	mutex_lock(&cache->lru_lock);
	seq = ++cache->sync_seq;
	mutex_unlock(&cache->lru_lock);
	return seq;
}

/* Waits for every write that began before now. */
static void wait_epoch(struct page_cache *cache)
{
	unsigned old;

	mutex_lock(&cache->lru_lock);
	old = cache->epoch;
	cache->epoch = !old;
	while (cache->nr_in_epoch[old] > 0)
		cond_wait(&cache->sync_progress, &cache->lru_lock);
	mutex_unlock(&cache->lru_lock);
}

static int sync_list(struct page_cache *cache, struct list *list)
{
	int err = start_list(cache, list, next_seq(cache));

	wait_epoch(cache);
	return err;
}

static void sync_begin(struct page_cache *cache)
{
	mutex_lock(&cache->lru_lock);
	while (cache->is_syncing)
		cond_wait(&cache->sync_progress, &cache->lru_lock);
	cache->is_syncing = true;
	mutex_unlock(&cache->lru_lock);
}

static void sync_end(struct page_cache *cache)
{
	mutex_lock(&cache->lru_lock);
	cache->is_syncing = false;
	cond_broadcast(&cache->sync_progress);
	mutex_unlock(&cache->lru_lock);
}

int page_cache_sync(struct page_cache *cache)
{
	uint32_t seq;
	int err;

	sync_begin(cache);
	seq = atomic_load(&cache->error_seq);
	err = sync_list(cache, &cache->dirty_data);
	err = first_error(err, sync_list(cache, &cache->dirty_meta));
	if (!err && atomic_load(&cache->error_seq) != seq)
		err = atomic_load(&cache->error);
	sync_end(cache);
	return err;
}
