/*
 * The fake disk, and that it is the disk that the other tests take it for: content is what was
 * written, durable is only what a flush that began later (or FUA) covered.
 */
#include "unit/block/fakedisk.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "harness/runner.h"

#define EVENTS_MAX 65536u
#define VECS_SEEN_MAX 2048u

struct fake {
	struct fake_config config;
	struct disk *disk;
	struct mutex lock;
	struct cond unstuck, arrived;
	/* [lock] */
	unsigned char *cache, *durable;
	uint64_t *cache_version, *durable_version;	/* by sector */
	uint64_t version;
	struct fake_event *events;
	size_t nr_events;
	struct request **by_tag;
	uint32_t nr_under_way;
	struct list started, committed;
	bool is_stuck, is_stopping, is_closed;
	uint32_t fail_in[BIO_NR_OPS];
	int fail_with[BIO_NR_OPS];
	struct rand rand;
	/* [none] */
	_Atomic bool is_in_start;
	struct thread *threads[2];
};

struct fake_config fake_defaults(enum fake_style style, uint64_t seed)
{
	return (struct fake_config){
		.style = style,
		.seed = seed,
		.limits = {
			.size_bytes = 1 << 20,
			.block_bytes = SECTOR_SIZE,
			.request_bytes_max = 64 << 10,
			.vecs_max = 32,
			.depth = 8,
			.has_discard = true,
		},
	};
}

/* The queue's side of the contract. */
static void check_request(struct fake *fake, const struct request *rq)
{
	const struct disk_limits *limits = &fake->config.limits;
	struct iovec iov[VECS_SEEN_MAX];
	uint64_t bytes = 0;
	size_t nr;

	must(rq->disk == fake->disk);
	must(rq->tag < limits->depth);
	must(!fake->by_tag[rq->tag]);
	must(fake->nr_under_way < limits->depth);
	must(!(rq->flags & BIO_PREFLUSH));
	must(!(rq->flags & BIO_FUA) || limits->has_fua);
	if (rq->op == BIO_FLUSH)
		return;
	must(rq->size_bytes > 0 && rq->size_bytes % limits->block_bytes == 0);
	must((rq->sector << SECTOR_SHIFT) % limits->block_bytes == 0);
	must((rq->sector << SECTOR_SHIFT) + rq->size_bytes <= limits->size_bytes);
	if (rq->op == BIO_DISCARD)
		return;
	must(rq->size_bytes <= limits->request_bytes_max);
	nr = request_fill_iov(rq, 0, iov, VECS_SEEN_MAX);
	must(nr <= limits->vecs_max && nr <= rq->nr_vecs);
	for (size_t i = 0; i < nr; i++)
		bytes += iov[i].iov_len;
	must(bytes == rq->size_bytes);
}

static void note(struct fake *fake, const struct request *rq)
{
	if (fake->nr_events < EVENTS_MAX)
		fake->events[fake->nr_events] =
			(struct fake_event){rq->op, rq->flags, rq->sector, rq->size_bytes};
	fake->nr_events++;
}

static void begin(struct fake *fake, struct request *rq)
{
	mutex_lock(&fake->lock);
	check_request(fake, rq);
	fake->by_tag[rq->tag] = rq;
	fake->nr_under_way++;
	note(fake, rq);
	mutex_unlock(&fake->lock);
}

static void copy_in(struct fake *fake, const struct request *rq)
{
	unsigned char *at = fake->cache + (rq->sector << SECTOR_SHIFT);
	struct iovec iov[VECS_SEEN_MAX];
	size_t nr = request_fill_iov(rq, 0, iov, VECS_SEEN_MAX);

	for (size_t i = 0; i < nr; at += iov[i++].iov_len)
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
	fake->version++;
	for (uint32_t i = 0; i < rq->size_bytes >> SECTOR_SHIFT; i++) {
		fake->cache_version[rq->sector + i] = fake->version;
		if (!(rq->flags & BIO_FUA))
			continue;
		fake->durable_version[rq->sector + i] = fake->version;
		memcpy(fake->durable + ((rq->sector + i) << SECTOR_SHIFT),
		       fake->cache + ((rq->sector + i) << SECTOR_SHIFT), SECTOR_SIZE);
	}
}

static void copy_out(struct fake *fake, const struct request *rq)
{
	unsigned char *at = fake->cache + (rq->sector << SECTOR_SHIFT);
	struct iovec iov[VECS_SEEN_MAX];
	size_t nr = request_fill_iov(rq, 0, iov, VECS_SEEN_MAX);

	for (size_t i = 0; i < nr; at += iov[i++].iov_len)
		memcpy(iov[i].iov_base, at, iov[i].iov_len);
}

/* What a flush found when it began. */
struct snapshot {
	unsigned char *cache;
	uint64_t *version;
};

static struct snapshot snapshot_take(struct fake *fake)
{
	size_t size = fake->config.limits.size_bytes, nr = size >> SECTOR_SHIFT;
	struct snapshot s = {malloc(size), malloc(nr * sizeof(uint64_t))};

	must(s.cache && s.version);
	memcpy(s.cache, fake->cache, size);
	memcpy(s.version, fake->cache_version, nr * sizeof(uint64_t));
	return s;
}

static void snapshot_make_durable(struct fake *fake, struct snapshot *s, bool succeeds)
{
	size_t nr = fake->config.limits.size_bytes >> SECTOR_SHIFT;

	for (size_t i = 0; succeeds && i < nr; i++) {
		if (s->version[i] <= fake->durable_version[i])
			continue;
		fake->durable_version[i] = s->version[i];
		memcpy(fake->durable + (i << SECTOR_SHIFT), s->cache + (i << SECTOR_SHIFT),
		       SECTOR_SIZE);
	}
	free(s->cache);
	free(s->version);
}

static int failure(struct fake *fake, enum bio_op op)
{
	if (fake->fail_in[op] == 0 || --fake->fail_in[op] > 0)
		return 0;
	return fake->fail_with[op];
}

/* All of a request but its beginning; returns its status. */
static int carry_out(struct fake *fake, struct request *rq)
{
	struct snapshot snapshot = {NULL, NULL};
	uint64_t delay_us = 0;
	int status;

	mutex_lock(&fake->lock);
	status = failure(fake, rq->op);
	if (rq->op == BIO_FLUSH)
		snapshot = snapshot_take(fake);
	if (fake->config.delay_us)
		delay_us = rand_below(&fake->rand, fake->config.delay_us);
	while (fake->is_stuck)
		cond_wait(&fake->unstuck, &fake->lock);
	mutex_unlock(&fake->lock);
	if (delay_us)
		usleep((useconds_t)delay_us);

	mutex_lock(&fake->lock);
	if (rq->op == BIO_FLUSH)
		snapshot_make_durable(fake, &snapshot, status == 0);
	else if (rq->op == BIO_WRITE && !status)
		copy_in(fake, rq);
	else if (rq->op == BIO_READ && !status)
		copy_out(fake, rq);
	must(fake->by_tag[rq->tag] == rq);
	fake->by_tag[rq->tag] = NULL;
	fake->nr_under_way--;
	mutex_unlock(&fake->lock);
	return status;
}

static int fake_execute(void *driver, struct request *rq)
{
	begin(driver, rq);
	return carry_out(driver, rq);
}

static void fake_start(void *driver, struct request *rq)
{
	struct fake *fake = driver;

	must(!atomic_exchange(&fake->is_in_start, true));
	begin(fake, rq);
	if (fake->config.style == FAKE_AT_ONCE) {
		disk_complete(rq, carry_out(fake, rq));
	} else {
		mutex_lock(&fake->lock);
		list_add_tail(&fake->started, &rq->queue_link);
		mutex_unlock(&fake->lock);
	}
	atomic_store(&fake->is_in_start, false);
}

/* The doorbell: only now do the threads see what was started. */
static void fake_commit(void *driver)
{
	struct fake *fake = driver;

	must(!atomic_exchange(&fake->is_in_start, true));
	mutex_lock(&fake->lock);
	list_splice_tail(&fake->committed, &fake->started);
	cond_broadcast(&fake->arrived);
	mutex_unlock(&fake->lock);
	atomic_store(&fake->is_in_start, false);
}

static struct request *pick_any(struct fake *fake)
{
	struct list *l = fake->committed.next;
	uint64_t nr = 0, at;

	for (struct list *c = l; c != &fake->committed; c = c->next)
		nr++;
	for (at = rand_below(&fake->rand, nr); at > 0; at--)
		l = l->next;
	list_del(l);
	return list_entry(l, struct request, queue_link);
}

static void fake_thread(void *arg)
{
	struct fake *fake = arg;

	mutex_lock(&fake->lock);
	for (;;) {
		struct request *rq;

		while (list_empty(&fake->committed) && !fake->is_stopping)
			cond_wait(&fake->arrived, &fake->lock);
		if (list_empty(&fake->committed))
			break;
		rq = pick_any(fake);
		mutex_unlock(&fake->lock);
		disk_complete(rq, carry_out(fake, rq));
		mutex_lock(&fake->lock);
	}
	mutex_unlock(&fake->lock);
}

static void fake_attach(void *driver, struct disk *disk)
{
	struct fake *fake = driver;

	fake->disk = disk;
}

static void fake_close(void *driver)
{
	struct fake *fake = driver;

	mutex_lock(&fake->lock);
	must(fake->nr_under_way == 0);
	must(!fake->is_closed);
	fake->is_closed = true;
	fake->is_stopping = true;
	cond_broadcast(&fake->arrived);
	mutex_unlock(&fake->lock);
	for (size_t i = 0; i < array_size(fake->threads); i++) {
		thread_join(fake->threads[i]);
		fake->threads[i] = NULL;
	}
}

static const struct disk_ops ops_by_style[FAKE_NR_STYLES] = {
	[FAKE_EXECUTE] = {.name = "fake", .execute = fake_execute, .attach = fake_attach, .close = fake_close},
	[FAKE_THREADS] = {.name = "fake", .start = fake_start, .commit = fake_commit,
			  .attach = fake_attach, .close = fake_close},
	[FAKE_AT_ONCE] = {.name = "fake", .start = fake_start, .attach = fake_attach, .close = fake_close},
};

struct fake *fake_open(const struct fake_config *fake_config, const struct disk_config *config,
		       struct disk **ret_disk)
{
	size_t size = fake_config->limits.size_bytes, nr = size >> SECTOR_SHIFT;
	struct fake *fake = calloc(1, sizeof(*fake));

	must(fake);
	fake->config = *fake_config;
	fake->is_stuck = fake_config->is_stuck;
	mutex_init(&fake->lock, RANK_DRIVER, "fake disk");
	cond_init(&fake->unstuck);
	cond_init(&fake->arrived);
	list_init(&fake->started);
	list_init(&fake->committed);
	rand_init(&fake->rand, fake_config->seed);
	fake->cache = calloc(1, size);
	fake->durable = calloc(1, size);
	fake->cache_version = calloc(nr, sizeof(uint64_t));
	fake->durable_version = calloc(nr, sizeof(uint64_t));
	fake->events = calloc(EVENTS_MAX, sizeof(*fake->events));
	fake->by_tag = calloc(fake_config->limits.depth, sizeof(*fake->by_tag));
	must(fake->cache && fake->durable && fake->cache_version && fake->durable_version);
	must(fake->events && fake->by_tag);
	for (size_t i = 0; fake_config->style == FAKE_THREADS && i < array_size(fake->threads); i++)
		fake->threads[i] = thread_create("fake-disk", fake_thread, fake);
	ck_assert_int_eq(disk_open_with(&ops_by_style[fake_config->style], fake,
					&fake_config->limits, config, ret_disk), 0);
	return fake;
}

void fake_destroy(struct fake *fake)
{
	must(fake->is_closed);
	free(fake->cache);
	free(fake->durable);
	free(fake->cache_version);
	free(fake->durable_version);
	free(fake->events);
	free(fake->by_tag);
	cond_done(&fake->unstuck);
	cond_done(&fake->arrived);
	mutex_done(&fake->lock);
	free(fake);
}

void fake_stick(struct fake *fake)
{
	mutex_lock(&fake->lock);
	fake->is_stuck = true;
	mutex_unlock(&fake->lock);
}

void fake_unstick(struct fake *fake)
{
	mutex_lock(&fake->lock);
	fake->is_stuck = false;
	cond_broadcast(&fake->unstuck);
	mutex_unlock(&fake->lock);
}

void fake_fail(struct fake *fake, enum bio_op op, uint32_t nth, int err)
{
	mutex_lock(&fake->lock);
	fake->fail_in[op] = nth;
	fake->fail_with[op] = err;
	mutex_unlock(&fake->lock);
}

size_t fake_events(struct fake *fake, struct fake_event *ret_events, size_t max)
{
	size_t nr;

	mutex_lock(&fake->lock);
	nr = fake->nr_events;
	must(nr <= EVENTS_MAX);
	memcpy(ret_events, fake->events, min(nr, max) * sizeof(*ret_events));
	mutex_unlock(&fake->lock);
	return nr;
}

void fake_forget_events(struct fake *fake)
{
	mutex_lock(&fake->lock);
	fake->nr_events = 0;
	mutex_unlock(&fake->lock);
}

size_t fake_nr_begun(struct fake *fake)
{
	size_t nr;

	mutex_lock(&fake->lock);
	nr = fake->nr_events;
	mutex_unlock(&fake->lock);
	return nr;
}

bool fake_is_closed(const struct fake *fake)
{
	return fake->is_closed;
}

void fake_content(struct fake *fake, uint64_t offset_bytes, void *to, size_t len)
{
	mutex_lock(&fake->lock);
	memcpy(to, fake->cache + offset_bytes, len);
	mutex_unlock(&fake->lock);
}

void fake_durable(struct fake *fake, uint64_t offset_bytes, void *to, size_t len)
{
	mutex_lock(&fake->lock);
	memcpy(to, fake->durable + offset_bytes, len);
	mutex_unlock(&fake->lock);
}

START_TEST(fake_is_durable_only_after_a_flush)
{
	struct fake_config fc = fake_defaults((enum fake_style)_i, test_seed());
	struct disk_config config = {.name = "fake"};
	char a[512], b[512], zeros[512] = {0};
	struct disk *disk;
	struct fake *fake = fake_open(&fc, &config, &disk);

	memset(a, 'a', sizeof(a));
	ck_assert_int_eq(disk_write(disk, 1024, a, sizeof(a), 0), 0);
	fake_content(fake, 1024, b, sizeof(b));
	ck_assert_mem_eq(a, b, sizeof(a));
	fake_durable(fake, 1024, b, sizeof(b));
	ck_assert_mem_eq(zeros, b, sizeof(b));
	ck_assert_int_eq(disk_flush(disk), 0);
	fake_durable(fake, 1024, b, sizeof(b));
	ck_assert_mem_eq(a, b, sizeof(a));
	disk_close(disk);
	ck_assert(fake_is_closed(fake));
	fake_destroy(fake);
}
END_TEST

TEST_SUITE(block_fakedisk)
{
	tcase_add_loop_test(tc, fake_is_durable_only_after_a_flush, 0, FAKE_NR_STYLES);
}
