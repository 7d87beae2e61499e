/*
 * The file that names the file system; disks.c beside it names drivers and schedulers.
 *
 * Built from the bottom: clock, disk (with the image's lock), work queue, cache, super. Taken down
 * in reverse, so that the lock is held until everything is durable.
 */
#include "wiring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "cache/cache.h"
#include "disks.h"
#include "ext/super.h"
#include "journal/journal.h"
#include "layout/super.h"

#define CACHE_BYTES_DEFAULT_MAX (256ull << 20)
/* The flusher, and one beside it for what must not wait behind it. */
#define WORK_THREADS 2

struct stack {
	struct mount_options options;	/* the strings stay the caller's */
	struct geometry geometry;
	struct clock *clock;
	struct disks disks;
	struct workqueue *work;
	struct page_cache *cache;
	struct super *sb;
};

static int say(char *why, size_t why_size, const char *image, const char *what, int err)
{
	snprintf(why, why_size, "%s: %s", image, what);
	return err;
}

/* ---- superblock: what must be known before there is a cache ---- */

static int explain_no_magic(struct stack *st, const char *image, char *why, size_t why_size)
{
	char partitions[400];

	disks_describe_partitions(st->disks.top, partitions, sizeof(partitions));
	if (!partitions[0])
		return say(why, why_size, image, "not an ext2 or ext3 file system", -ENODEV);
	snprintf(why, why_size, "%s: a whole disk with partitions, not a file system; choose one with -o part=: %s",
		 image, partitions);
	return -ENODEV;
}

/* A disk that is opened past the host's page cache takes whole blocks of its own only. */
static int read_bytes(struct disk *disk, uint64_t at, void *to, size_t len)
{
	uint64_t unit = disk_limits(disk)->block_bytes;
	uint64_t from = round_down(at, unit);
	size_t size = round_up(at + len, unit) - from;
	char *bytes = mem_alloc_aligned(size, unit);
	int err;

	if (!bytes)
		return -ENOMEM;
	err = disk_read(disk, from, bytes, (uint32_t)size);
	if (!err)
		memcpy(to, bytes + (at - from), len);
	mem_free(bytes);
	return err;
}

static int check_unit(struct stack *st, const char *image, char *why, size_t why_size)
{
	uint32_t unit = disk_limits(st->disks.top)->block_bytes;

	if (st->geometry.block_size >= unit)
		return 0;
	snprintf(why, why_size, "%s: option direct: the host transfers %u bytes at a time, more than a block of %u",
		 image, unit, st->geometry.block_size);
	return -EINVAL;
}

static int read_geometry(struct stack *st, const char *image, char *why, size_t why_size)
{
	uint64_t at = st->options.super_block ? st->options.super_block * 1024 : 1024;
	uint64_t size_bytes = disk_limits(st->disks.top)->size_bytes;
	struct ext_super super;
	char clause[256] = "";
	int err;

	if (at + sizeof(super) > size_bytes)
		return say(why, why_size, image, "too small for a file system", -ENODEV);
	err = read_bytes(st->disks.top, at, &super, sizeof(super));
	if (err)
		return say(why, why_size, image, "cannot read the superblock", err);
	err = super_check(&super, size_bytes, &st->geometry, clause, sizeof(clause));
	if (err == -EINVAL)
		return explain_no_magic(st, image, why, why_size);
	if (err)
		return say(why, why_size, image, clause, err);
	return check_unit(st, image, why, why_size);
}

/* ---- cache ---- */

static uint64_t cache_bytes(const struct mount_options *o)
{
	uint64_t memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (o->cache_bytes)
		return o->cache_bytes;
	return max(min(memory_bytes / 8, CACHE_BYTES_DEFAULT_MAX), (uint64_t)PAGE_CACHE_BYTES_MIN);
}

/* The image's own disk moves the bytes, whatever lies on it. */
static void memory_made(void *arg, void *base, size_t len)
{
	struct stack *st = arg;

	disk_register_memory(st->disks.image, base, len);
}

static void memory_gone(void *arg, void *base)
{
	struct stack *st = arg;

	disk_unregister_memory(st->disks.image, base);
}

static int create_cache(struct stack *st)
{
	const struct mount_options *o = &st->options;
	const struct page_cache_config config = {
		.block_bytes = st->geometry.block_size,
		.size_bytes = cache_bytes(o),
		.dirty_percent = (unsigned)o->dirty_percent,
		.background_percent = (unsigned)o->background_percent,
		.dirty_expire_ms = o->commit_seconds ? (uint32_t)o->commit_seconds * 1000 : 5000,
		.flush_interval_ms = 1000,
		.readahead_bytes_max = max(o->readahead_bytes, (uint64_t)1),	/* there, 0 is the default */
		.memory_made = memory_made,
		.memory_gone = memory_gone,
		.memory_arg = st,
		.clock = st->clock,
		.work = st->work,
	};

	return page_cache_create(&config, &st->cache);
}

/* ---- file system ---- */

static enum atime_mode atime_mode(const struct mount_options *o)
{
	if (o->has_strict_atime)
		return ATIME_STRICT;
	return o->has_no_atime ? ATIME_NONE : ATIME_RELATIME;
}

static enum ext_errors_policy errors_policy(const struct mount_options *o)
{
	switch ((enum errors_choice)o->errors) {
	case ERRORS_CONTINUE:
		return EXT_ON_ERROR_CONTINUE;
	case ERRORS_REMOUNT_RO:
		return EXT_ON_ERROR_RO;
	case ERRORS_PANIC:
		return EXT_ON_ERROR_PANIC;
	case ERRORS_UNSAID:
		break;
	}
	return EXT_ON_ERROR_DEFAULT;
}

static enum ext_data_mode data_mode(const struct mount_options *o)
{
	switch (o->data_mode) {
	case DATA_ORDERED:
		return EXT_DATA_ORDERED;
	case DATA_WRITEBACK:
		return EXT_DATA_WRITEBACK;
	case DATA_JOURNAL:
		return EXT_DATA_JOURNAL;
	}
	return EXT_DATA_DEFAULT;
}

/* A journal that is replayed into memory lies between us and the mapping. */
static bool may_use_dax(struct stack *st, const struct mount_options *o)
{
	if (!o->has_dax || disk_has_map(st->disks.top))
		return o->has_dax;
	log_notice("option dax is without effect: the image is not read as it is");
	return false;
}

static int try_mount(struct stack *st, const char *mountpoint, bool has_scratch, char *why, size_t why_size)
{
	const struct mount_options *o = &st->options;
	const struct ext_mount_config config = {
		.is_read_only = o->is_read_only,
		.no_load = o->has_no_load,
		.errors = errors_policy(o),
		.super_block = o->super_block,
		.resuid = (uid_t)o->resuid,
		.resgid = (gid_t)o->resgid,
		.atime_mode = atime_mode(o),
		.is_sync = o->is_sync,
		.has_bsd_groups = o->has_bsd_groups,
		.has_minix_df = o->has_minix_df,
		.may_replay_read_only = has_scratch,
		.data_mode = data_mode(o),
		.has_discard = o->has_discard,
		.has_dax = may_use_dax(st, o),
		.no_barrier = !o->has_barrier || !o->barrier,
		.no_journal_checksum = !o->has_journal_checksum,
		.commit_interval_ms = (uint32_t)o->commit_seconds * 1000,
		.mounted_on = mountpoint,
	};
	const struct super_config super_config = {
		.disk = st->disks.top,
		.cache = st->cache,
		.clock = st->clock,
		.work = st->work,
		.unused_inodes_max = (uint32_t)o->inodes_max,
		.dentries_max = (uint32_t)o->dentries_max,
	};

	return ext_mount(&config, &super_config, &st->sb, why, why_size);
}

/*
 * Read-only, with a journal that needs recovery: it is replayed into memory, so that the tree is
 * the recovered one and the image stays as it is.
 */
static int mount_ext(struct stack *st, const char *image, const char *mountpoint, char *why, size_t why_size)
{
	const struct mount_options *o = &st->options;
	bool has_scratch = o->has_cow || o->cow_path;
	char clause[512] = "";
	int err = try_mount(st, mountpoint, has_scratch, clause, sizeof(clause));

	if (err == -EBUSY && o->is_read_only && !has_scratch) {
		err = disks_add_scratch(&st->disks, image, st->clock, clause, sizeof(clause));
		if (!err)
			err = try_mount(st, mountpoint, true, clause, sizeof(clause));
	}
	return err ? say(why, why_size, image, clause[0] ? clause : strerror(-err), err) : 0;
}

/* ---- the whole ---- */

/* Also of a stack that was built in part. */
static void free_stack(struct stack *st)
{
	if (st->cache)
		page_cache_destroy(st->cache);
	if (st->work)
		workqueue_destroy(st->work);
	disks_close(&st->disks);
	if (st->clock)
		clock_destroy(st->clock);
	mem_free(st);
}

static int build(struct stack *st, const char *image, const char *mountpoint, char *why, size_t why_size)
{
	int err;

	st->clock = clock_create_real();
	if (!st->clock)
		return say(why, why_size, image, "out of memory", -ENOMEM);
	err = disks_open(image, &st->options, st->clock, &st->disks, why, why_size);
	if (err)
		return err;
	err = read_geometry(st, image, why, why_size);
	if (err)
		return err;
	st->work = workqueue_create("extant work", WORK_THREADS, st->clock, 0);
	if (!st->work || create_cache(st) != 0)
		return say(why, why_size, image, "not enough memory for the cache", -ENOMEM);
	return mount_ext(st, image, mountpoint, why, why_size);
}

int stack_open(const char *image, const char *mountpoint, const struct mount_options *options,
	       struct stack **ret_stack, char *why, size_t why_size)
{
	struct stack *st = mem_zalloc(sizeof(*st));
	int err;

	if (!st)
		return say(why, why_size, image, "out of memory", -ENOMEM);
	st->options = *options;
	err = build(st, image, mountpoint, why, why_size);
	if (err) {
		free_stack(st);
		return err;
	}
	*ret_stack = st;
	return 0;
}

struct super *stack_super(struct stack *stack)
{
	return stack->sb;
}

uint32_t stack_time_gran_ns(const struct stack *stack)
{
	return stack->geometry.inode_size > EXT_GOOD_OLD_INODE_SIZE ? 1 : (uint32_t)NSEC_PER_SEC;
}

int stack_close(struct stack *stack)
{
	int err = super_shutdown(stack->sb);

	free_stack(stack);
	return err;
}

/* ---- while it is mounted ---- */

static void print_counter(FILE *to, const char *name, uint64_t value)
{
	fprintf(to, "%s %" PRIu64 "\n", name, value);
}

#define PRINT(room, stats, name) print_counter(to, room "." #name, counter_get(&(stats)->name))

static void print_disk(const struct disk *disk, FILE *to)
{
	static const char *const kinds[] = {"read", "write", "flush", "discard"};
	const struct disk_stats *s = disk_stats(disk);

	for (size_t i = 0; i < array_size(kinds); i++)
		fprintf(to, "disk.%s_requests %" PRIu64 "\ndisk.%s_bytes %" PRIu64 "\n", kinds[i],
			counter_get(&s->ios[i]), kinds[i], counter_get(&s->bytes[i]));
	PRINT("disk", s, errors);
	PRINT("disk", s, merges);
	PRINT("disk", s, splits);
	PRINT("disk", s, direct);
	PRINT("disk", s, backpressure_waits);
	print_counter(to, "disk.depth", atomic_load(&s->depth_now));
	print_counter(to, "disk.depth_most", atomic_load(&s->depth_most));
	print_counter(to, "disk.wait_ns_mean", histogram_mean(&s->wait_ns));
	print_counter(to, "disk.wait_ns_99", histogram_quantile(&s->wait_ns, 990));
	print_counter(to, "disk.service_ns_mean", histogram_mean(&s->service_ns));
	print_counter(to, "disk.service_ns_99", histogram_quantile(&s->service_ns, 990));
}

static void print_cache_line(void *arg, const char *name, uint64_t value)
{
	char full[64];

	snprintf(full, sizeof(full), "cache.%s", name);
	print_counter(arg, full, value);
}

static void print_journal(const struct journal_stats *s, FILE *to)
{
	PRINT("journal", s, handles);
	PRINT("journal", s, commits);
	PRINT("journal", s, commits_by_age);
	PRINT("journal", s, commits_by_sync);
	PRINT("journal", s, blocks_logged);
	PRINT("journal", s, revokes);
	PRINT("journal", s, checkpoints);
	PRINT("journal", s, tail_updates);
	PRINT("journal", s, flushes);
	PRINT("journal", s, waits_locked);
	PRINT("journal", s, waits_size);
	PRINT("journal", s, waits_space);
}

/* Of one direction: the copies of each byte, and the system calls for each MiB, FUSE's and the disk's. */
static void print_efficiency(FILE *to, const char *direction, uint64_t bytes, uint64_t copied_bytes, uint64_t calls)
{
	double mib = (double)bytes / (1 << 20);

	fprintf(to, "data.%s_copies_per_mib %.2f\n", direction, mib > 0 ? (double)copied_bytes / (1 << 20) / mib : 0.0);
	fprintf(to, "data.%s_calls_per_mib %.2f\n", direction, mib > 0 ? (double)calls / mib : 0.0);
}

/*
 * What reads hand out is copied by the reply itself, out of the pages; what writes bring is copied
 * into pages. A request is one system call in and one out; a bio of the disk is one.
 */
static void print_transfers(struct stack *stack, FILE *to)
{
	const struct disk_stats *disk = disk_stats(stack->disks.top);
	const struct transfer_stats *t = &stack->sb->transfers;
	uint64_t read_bytes = counter_get(&t->read_bytes), write_bytes = counter_get(&t->write_bytes);

	PRINT("data", t, reads);
	PRINT("data", t, read_bytes);
	PRINT("data", t, writes);
	PRINT("data", t, write_bytes);
	PRINT("data", t, gathered_bytes);
	print_efficiency(to, "read", read_bytes, read_bytes + counter_get(&t->gathered_bytes),
			 2 * counter_get(&t->reads) + counter_get(&disk->ios[BIO_READ]));
	print_efficiency(to, "write", write_bytes, page_cache_bytes_copied_in(stack->cache),
			 2 * counter_get(&t->writes) + counter_get(&disk->ios[BIO_WRITE]));
}

void stack_print_counters(struct stack *stack, FILE *to)
{
	const struct journal_stats *journal = ext_journal_stats(stack->sb);
	char damage[256] = "";

	print_disk(stack->disks.top, to);
	PRINT("disk", disk_stats(stack->disks.image), registered_bytes);
	PRINT("disk", disk_stats(stack->disks.image), register_refused_bytes);
	page_cache_report(stack->cache, print_cache_line, to);
	print_transfers(stack, to);
	if (journal)
		print_journal(journal, to);
	if (ext_has_errors(stack->sb, damage, sizeof(damage)))
		fprintf(to, "damage %s\n", damage);
}

int stack_set_scheduler(struct stack *stack, const char *name, char *why, size_t why_size)
{
	return disks_set_scheduler(&stack->disks, name, why, why_size);
}

int stack_set_iolog(struct stack *stack, const char *path, char *why, size_t why_size)
{
	return disks_set_iolog(&stack->disks, path, why, why_size);
}

int stack_sync(struct stack *stack)
{
	return super_sync(stack->sb);
}

static void print_counters(void *arg, FILE *to)
{
	stack_print_counters(arg, to);
}

void stack_report(struct stack *stack)
{
	log_printed(print_counters, stack);
}
