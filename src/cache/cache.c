/* The cache as a whole: made from its configuration, and taken down. */
#include <errno.h>

#include "base/mem.h"
#include "cache_private.h"

#define SLAB_BYTES_MIN (64u << 10)
#define SLAB_BYTES_MAX (2u << 20)
#define SLABS_WANTED 64u	/* a small cache in small steps, a large one in large pages */

#define AHEAD_SHARE 16u		/* of the cache, at most, for one window */

#define DIRTY_PERCENT 40u
#define BACKGROUND_PERCENT 10u

/* So that 64 threads, each with a batch in its hands, still find pages. */
#define BATCHES_MIN 64u

static int config_check(const struct page_cache_config *config)
{
	uint32_t block = config->block_bytes;

	if (block < 1024 || block > 4096 || !is_power_of_2(block))
		return -EINVAL;
	if (config->size_bytes < PAGE_CACHE_BYTES_MIN || config->size_bytes / block > UINT32_MAX / 128)
		return -EINVAL;
	if (config->dirty_percent > 90 || config->background_percent > 90)
		return -EINVAL;
	return config->clock && config->work ? 0 : -EINVAL;
}

static uint64_t slab_bytes(const struct page_cache_config *config)
{
	uint64_t wanted = 1ull << log2_floor(config->size_bytes / SLABS_WANTED);

	return max((uint64_t)SLAB_BYTES_MIN, min(wanted, (uint64_t)SLAB_BYTES_MAX));
}

static uint32_t percent_of(uint32_t pages, unsigned percent, unsigned by_default)
{
	return pages / 100 * (percent ? percent : by_default);
}

static uint32_t ahead_max(const struct page_cache *cache)
{
	uint64_t wanted = cache->config.readahead_bytes_max;

	wanted = (wanted ? wanted : PAGE_CACHE_READAHEAD_DEFAULT) >> cache->block_bits;
	return (uint32_t)min(wanted, (uint64_t)cache->pages_max / AHEAD_SHARE);
}

static void set_limits(struct page_cache *cache)
{
	const struct page_cache_config *config = &cache->config;

	cache->block_bits = log2_floor(config->block_bytes);
	cache->pages_max = (uint32_t)(config->size_bytes >> cache->block_bits);
	cache->slab_pages = (uint32_t)(slab_bytes(config) >> cache->block_bits);
	cache->batch_max = min(max(cache->pages_max / BATCHES_MIN, 1u), BATCH_PAGES_MAX);
	cache->dirty_max = percent_of(cache->pages_max, config->dirty_percent, DIRTY_PERCENT);
	cache->background_max = min(percent_of(cache->pages_max, config->background_percent, BACKGROUND_PERCENT),
				    cache->dirty_max / 2);
	cache->brake = (cache->background_max + cache->dirty_max) / 2;
	cache->pins_max = cache->pages_max / 2;
	cache->ahead_max = ahead_max(cache);
	cache->is_inline = workqueue_is_inline(config->work);
}

static void set_lists(struct page_cache *cache)
{
	list_init(&cache->slabs);
	list_init(&cache->free);
	list_init(&cache->inactive);
	list_init(&cache->active);
	list_init(&cache->pin_waiters);
	list_init(&cache->throttled);
	list_init(&cache->dirty_data);
	list_init(&cache->dirty_meta);
}

int page_cache_create(const struct page_cache_config *config, struct page_cache **ret_cache)
{
	struct page_cache *cache;
	int err = config_check(config);

	if (err)
		return err;
	cache = mem_zalloc(sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	cache->config = *config;
	set_limits(cache);
	err = shadows_create(cache);
	if (err)
		goto out_free;
	err = write_reserve_create(cache);
	if (err)
		goto out_shadows;
	set_lists(cache);
	mutex_init(&cache->lru_lock, RANK_LRU, "page cache");
	cond_init(&cache->progress);
	cond_init(&cache->flushers_gone);
	cond_init(&cache->sync_progress);
	cond_init(&cache->reserve_back);
	cache_flusher_init(cache);
	*ret_cache = cache;
	return 0;
out_shadows:
	shadows_destroy(cache);
out_free:
	mem_free(cache);
	return err;
}

void page_cache_destroy(struct page_cache *cache)
{
	if (!cache)
		return;
	cache_flusher_stop(cache);
	must(list_empty(&cache->dirty_data));
	must(list_empty(&cache->dirty_meta));
	must(cache->nr_inactive == 0);
	must(cache->nr_active == 0);
	must(atomic_load(&cache->nr_prefetched) == 0);
	slabs_destroy(cache);
	write_reserve_destroy(cache);
	shadows_destroy(cache);
	cond_done(&cache->reserve_back);
	cond_done(&cache->sync_progress);
	cond_done(&cache->flushers_gone);
	cond_done(&cache->progress);
	mutex_done(&cache->lru_lock);
	mem_free(cache);
}

const struct page_cache_stats *page_cache_stats(const struct page_cache *cache)
{
	return &cache->stats;
}

struct reported {
	const char *name;
	size_t offset;	/* of a counter_t in struct page_cache_stats */
};

#define REPORTED(member) {#member, offsetof(struct page_cache_stats, member)}
static const struct reported reported[] = {
	REPORTED(hits), REPORTED(misses), REPORTED(pages_read), REPORTED(read_runs),
	REPORTED(ahead_windows), REPORTED(ahead_pages), REPORTED(ahead_used), REPORTED(ahead_early),
	REPORTED(ahead_late), REPORTED(ahead_wasted),
	REPORTED(pages_written), REPORTED(writeback_runs), REPORTED(throttle_waits), REPORTED(throttle_ns),
	REPORTED(reclaimed), REPORTED(activated), REPORTED(deactivated), REPORTED(refaults),
	REPORTED(refaults_activated), REPORTED(reclaim_waits), REPORTED(reserve_uses),
	REPORTED(bytes_copied_in), REPORTED(bytes_copied_out), REPORTED(bytes_lent),
};

static void report_state(const struct page_cache *cache,
			 void (*line)(void *arg, const char *name, uint64_t value), void *arg)
{
	struct page_cache *changing = (struct page_cache *)(uintptr_t)cache;	/* for its lock */
	uint32_t nr_used, nr_active, nr_inactive;

	mutex_lock(&changing->lru_lock);
	nr_used = cache->nr_carved - cache->nr_free;
	nr_active = cache->nr_active;
	nr_inactive = cache->nr_inactive;
	mutex_unlock(&changing->lru_lock);
	line(arg, "pages_max", cache->pages_max);
	line(arg, "pages", nr_used);
	line(arg, "active", nr_active);
	line(arg, "inactive", nr_inactive);
	line(arg, "dirty", atomic_load(&cache->nr_dirty));
	line(arg, "writeback", atomic_load(&cache->nr_writeback));
	line(arg, "prefetched", atomic_load(&cache->nr_prefetched));
}

void page_cache_report(const struct page_cache *cache,
		       void (*line)(void *arg, const char *name, uint64_t value), void *arg)
{
	report_state(cache, line, arg);
	for (size_t i = 0; i < array_size(reported); i++) {
		const char *stats = (const char *)&cache->stats;

		line(arg, reported[i].name, counter_get((const counter_t *)(stats + reported[i].offset)));
	}
}

uint64_t page_cache_nr_pages(const struct page_cache *cache)
{
	struct page_cache *changing = (struct page_cache *)(uintptr_t)cache;	/* for its lock */
	uint64_t nr;

	mutex_lock(&changing->lru_lock);
	nr = cache->nr_carved - cache->nr_free;
	mutex_unlock(&changing->lru_lock);
	return nr;
}

uint64_t page_cache_nr_dirty(const struct page_cache *cache)
{
	return atomic_load(&cache->nr_dirty);
}

uint64_t page_cache_bytes_copied_in(const struct page_cache *cache)
{
	return counter_get(&cache->stats.bytes_copied_in);
}

uint32_t page_cache_batch_max(const struct page_cache *cache)
{
	return cache->batch_max;
}
