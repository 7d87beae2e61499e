/* The cache as a whole: made from its configuration, and taken down. */
#include <errno.h>

#include "base/mem.h"
#include "cache_private.h"

#define SLAB_BYTES_MIN (64u << 10)
#define SLAB_BYTES_MAX (2u << 20)
#define SLABS_WANTED 64u	/* a small cache in small steps, a large one in large pages */

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
	cache->pins_max = cache->pages_max / 2;
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
	set_lists(cache);
	mutex_init(&cache->lru_lock, RANK_LRU, "page cache");
	cond_init(&cache->progress);
	cond_init(&cache->flushers_gone);
	cond_init(&cache->sync_progress);
	cache_flusher_init(cache);
	*ret_cache = cache;
	return 0;
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
	slabs_destroy(cache);
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

uint32_t page_cache_batch_max(const struct page_cache *cache)
{
	return cache->batch_max;
}
