/*
 * Faults on purpose.
 *
 * A request's fate is chosen when it comes, under the lock, so that it depends on nothing but the
 * settings, the seed and the order of requests:
 *
 *	fails  --> ends at once, nothing arrives
 *	lost   --> ends at once with 0, nothing arrives
 *	torn   --> the first sectors go down; ends with torn_status, or the lower disk's error
 *	else   --> goes down, and ends with the lower disk's status
 *
 * What is to end late waits in a list with its date; a thread of our own ends it. That thread is not
 * inside the lower disk, so what it sets free to go is submitted directly (stack.c).
 */
#include "drivers/faultydisk.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "stack.h"

enum fate { FATE_PASSES, FATE_FAILS, FATE_LOST, FATE_TORN };

/* A rule and how far it came. */
struct rule {
	struct fault_when when;
	uint64_t nr_seen;
	bool has_acted;
};

/* By the request's tag. */
struct delay {
	struct request *rq;
	int status;
	uint64_t due_ns;
	struct list link;
};

struct faultydisk {
	struct stack stack;
	struct clock *clock;	/* real */
	struct delay *delays;

	struct mutex lock;
	/* [lock] */
	struct faultydisk_config config;
	struct rule fails[FAULTY_NR_KINDS], tears, loses;
	struct rand rand;
	struct faultydisk_stats stats;
	struct list late;		/* of struct delay, in no order: there are few */
	bool is_stopping;
	struct cond changed;
	struct thread *thread;
};

/* Choosing. */

static bool rule_acts(struct rule *rule, struct rand *rand)
{
	bool acts;

	rule->nr_seen++;
	acts = rule->nr_seen == rule->when.nth ||
	       (rule->when.one_in && rand_one_in(rand, rule->when.one_in)) ||
	       (rule->when.is_sticky && rule->has_acted);
	rule->has_acted |= acts;
	return acts;
}

static bool touches_bad(const struct faultydisk_config *config, const struct request *rq)
{
	sector_t end = rq->sector + (rq->size_bytes >> SECTOR_SHIFT);

	return rq->op == BIO_READ && rq->sector < config->bad_to && end > config->bad_from;
}

/* A disk maps a bad sector to a good one when it is written. Cuts the range where that is simple. */
static void heal(struct faultydisk_config *config, const struct request *rq)
{
	sector_t end = rq->sector + (rq->size_bytes >> SECTOR_SHIFT);

	if (rq->op != BIO_WRITE || rq->sector >= config->bad_to || end <= config->bad_from)
		return;
	if (rq->sector <= config->bad_from)
		config->bad_from = min(end, config->bad_to);
	else
		config->bad_to = rq->sector;	/* what lies behind a write into the middle heals too */
}

static enum fate choose_fate(struct faultydisk *f, const struct request *rq) needs(f->lock)
{
	bool fails;

	f->stats.seen[rq->op]++;
	f->stats.seen[FAULTY_ANY]++;
	/* Each rule counts every request of its kind, whatever the others say. */
	fails = rule_acts(&f->fails[rq->op], &f->rand);
	fails |= rule_acts(&f->fails[FAULTY_ANY], &f->rand);
	if (fails || touches_bad(&f->config, rq)) {
		f->stats.failed++;
		return FATE_FAILS;
	}
	if (rq->op != BIO_WRITE)
		return FATE_PASSES;
	if (rule_acts(&f->loses, &f->rand)) {
		f->stats.lost++;
		return FATE_LOST;
	}
	if (rule_acts(&f->tears, &f->rand)) {
		f->stats.torn++;
		return FATE_TORN;
	}
	heal(&f->config, rq);
	return FATE_PASSES;
}

/* How much of a torn write arrives: less than all, and whole blocks of the lower disk's. */
static uint32_t torn_bytes(struct faultydisk *f, const struct request *rq) needs(f->lock)
{
	uint32_t block_bytes = disk_limits(f->stack.lower)->block_bytes;
	uint32_t nr = rq->size_bytes / block_bytes;
	uint64_t asked_bytes = (uint64_t)f->config.torn_sectors << SECTOR_SHIFT;

	if (f->config.torn_sectors == FAULTY_RANDOM_SECTORS)
		return (uint32_t)rand_below(&f->rand, nr) * block_bytes;
	return (uint32_t)min(asked_bytes / block_bytes, (uint64_t)nr - 1) * block_bytes;
}

/* Ending, now or late. */

static void end_late(struct faultydisk *f, struct request *rq, int status, uint64_t ms)
	needs(f->lock)
{
	struct delay *delay = &f->delays[rq->tag];

	delay->rq = rq;
	delay->status = status;
	delay->due_ns = clock_now_ns(f->clock) + ms * NSEC_PER_MSEC;
	list_add_tail(&f->late, &delay->link);
	f->stats.delayed++;
	cond_signal(&f->changed);
}

static void end(struct faultydisk *f, struct request *rq, int status)
{
	bool is_late;

	mutex_lock(&f->lock);
	is_late = f->config.delay_one_in && f->config.delay_ms_max &&
		  rand_one_in(&f->rand, f->config.delay_one_in);
	if (is_late)
		end_late(f, rq, status, 1 + rand_below(&f->rand, f->config.delay_ms_max));
	mutex_unlock(&f->lock);
	if (!is_late)
		disk_complete(rq, status);
}

static void lower_ended(struct stack *s, struct request *rq, int status)
{
	struct faultydisk *f = container_of(s, struct faultydisk, stack);
	int torn_status = (int)(intptr_t)rq->driver_private;

	end(f, rq, first_error(status, torn_status));
}

static struct delay *earliest(struct faultydisk *f) needs(f->lock)
{
	struct delay *first = NULL, *delay;

	list_for_each(delay, &f->late, link)
		if (!first || delay->due_ns < first->due_ns)
			first = delay;
	return first;
}

/* The next that is due, taken off the list; NULL when the disk closes. Sleeps. */
static struct delay *next_due(struct faultydisk *f) needs(f->lock)
{
	for (;;) {
		struct delay *delay = earliest(f);
		uint64_t now = clock_now_ns(f->clock);

		if (delay && delay->due_ns <= now) {
			list_del(&delay->link);
			return delay;
		}
		if (delay)
			ignore(cond_wait_ms(&f->changed, &f->lock,
					    div_round_up(delay->due_ns - now, NSEC_PER_MSEC)),
			       "the dates are looked at again either way");
		else if (f->is_stopping)
			return NULL;
		else
			cond_wait(&f->changed, &f->lock);
	}
}

static void late_main(void *arg)
{
	struct faultydisk *f = arg;
	struct delay *delay;

	mutex_lock(&f->lock);
	while ((delay = next_due(f))) {
		struct request *rq = delay->rq;
		int status = delay->status;

		mutex_unlock(&f->lock);
		disk_complete(rq, status);
		mutex_lock(&f->lock);
	}
	mutex_unlock(&f->lock);
}

/* The driver. */

static void faultydisk_start(void *driver, struct request *rq)
{
	struct faultydisk *f = driver;
	uint32_t len_bytes = rq->size_bytes;
	int status = 0;
	enum fate fate;

	mutex_lock(&f->lock);
	fate = choose_fate(f, rq);
	if (fate == FATE_FAILS)
		status = f->config.error ? f->config.error : -EIO;
	if (fate == FATE_TORN) {
		len_bytes = torn_bytes(f, rq);
		status = f->config.torn_status;
	}
	mutex_unlock(&f->lock);

	rq->driver_private = (void *)(intptr_t)status;
	if (fate == FATE_FAILS || fate == FATE_LOST || (fate == FATE_TORN && len_bytes == 0))
		end(f, rq, status);
	else
		stack_submit(&f->stack, rq, rq->sector, len_bytes);
}

static void faulty_free(struct faultydisk *f)
{
	if (f->clock)
		clock_destroy(f->clock);
	mem_free(f->delays);
	cond_done(&f->changed);
	mutex_done(&f->lock);
	mem_free(f);
}

static void thread_stop(struct faultydisk *f)
{
	mutex_lock(&f->lock);
	f->is_stopping = true;
	cond_signal(&f->changed);
	mutex_unlock(&f->lock);
	thread_join(f->thread);
}

static void faultydisk_close(void *driver)
{
	struct faultydisk *f = driver;

	thread_stop(f);
	stack_done(&f->stack);
	faulty_free(f);
}

static const struct disk_ops faultydisk_ops = {
	.name = "faulty",
	.start = faultydisk_start,
	.close = faultydisk_close,
};

static struct faultydisk *faulty_create(uint32_t depth)
{
	struct faultydisk *f = mem_zalloc(sizeof(*f));

	if (!f)
		return NULL;
	mutex_init(&f->lock, RANK_DRIVER, "faulty");
	cond_init(&f->changed);
	list_init(&f->late);
	f->clock = clock_create_real();
	f->delays = mem_zalloc(depth * sizeof(*f->delays));
	if (!f->clock || !f->delays) {
		faulty_free(f);
		return NULL;
	}
	return f;
}

int faultydisk_open(struct disk *lower, bool owns_lower, const struct faultydisk_config *faults,
		    const struct disk_config *config, struct faultydisk **ret_faulty,
		    struct disk **ret_disk)
{
	static const struct faultydisk_config none;
	struct disk_limits limits = stack_limits(lower);
	struct faultydisk *f = faulty_create(limits.depth);
	int err;

	if (!f)
		return -ENOMEM;
	faultydisk_set(f, faults ? faults : &none);
	err = stack_init(&f->stack, lower, owns_lower, lower_ended);
	if (err)
		goto out_free;
	f->thread = thread_create("faulty-late", late_main, f);
	if (!f->thread) {
		err = -EAGAIN;
		goto out_stack;
	}
	err = disk_open_with(&faultydisk_ops, f, &limits, config, ret_disk);
	if (err)
		goto out_thread;
	if (ret_faulty)
		*ret_faulty = f;
	return 0;

out_thread:
	thread_stop(f);
out_stack:
	f->stack.owns_lower = false;	/* it stays the caller's */
	stack_done(&f->stack);
out_free:
	faulty_free(f);
	return err;
}

void faultydisk_set(struct faultydisk *f, const struct faultydisk_config *faults)
{
	mutex_lock(&f->lock);
	f->config = *faults;
	for (int i = 0; i < FAULTY_NR_KINDS; i++)
		f->fails[i] = (struct rule){.when = faults->fails[i]};
	f->tears = (struct rule){.when = faults->tears};
	f->loses = (struct rule){.when = faults->loses};
	rand_init(&f->rand, faults->seed);
	f->stats = (struct faultydisk_stats){.failed = 0};
	mutex_unlock(&f->lock);
}

struct faultydisk_stats faultydisk_stats(struct faultydisk *f)
{
	struct faultydisk_stats stats;

	mutex_lock(&f->lock);
	stats = f->stats;
	mutex_unlock(&f->lock);
	return stats;
}
