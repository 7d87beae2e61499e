/*
 * extantctl recover: what the next mount would do first, without mounting.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/types.h"
#include "base/work.h"
#include "block/disk.h"
#include "cache/cache.h"
#include "ctl.h"
#include "drivers/filedisk.h"
#include "ext/super.h"
#include "layout/super.h"

#define CACHE_BYTES (32u << 20)

struct recovery {
	struct clock *clock;
	struct disk *disk;
	struct workqueue *work;
	struct page_cache *cache;
	uint32_t block_bytes;
};

static int read_block_size(struct recovery *r, char *why, size_t why_size)
{
	uint64_t disk_bytes = disk_limits(r->disk)->size_bytes;
	struct ext_super super;
	struct geometry geo;
	int err = -EINVAL;

	if (disk_bytes >= EXT_SUPER_OFFSET + sizeof(super))
		err = disk_read(r->disk, EXT_SUPER_OFFSET, &super, sizeof(super));
	if (err) {
		snprintf(why, why_size, "cannot read the superblock");
		return err;
	}
	err = super_check(&super, disk_bytes, &geo, why, why_size);
	if (!err)
		r->block_bytes = geo.block_size;
	return err;
}

static int create_cache(struct recovery *r)
{
	const struct page_cache_config config = {
		.block_bytes = r->block_bytes,
		.size_bytes = CACHE_BYTES,
		.dirty_percent = 40,
		.background_percent = 10,
		.clock = r->clock,
		.work = r->work,
	};

	return page_cache_create(&config, &r->cache);
}

static int mount_and_leave(struct recovery *r, char *why, size_t why_size)
{
	const struct ext_mount_config config = {.resuid = (uid_t)-1, .resgid = (gid_t)-1};
	const struct super_config super_config = {
		.disk = r->disk, .cache = r->cache, .clock = r->clock, .work = r->work,
		.unused_inodes_max = 64, .dentries_max = 64,
	};
	struct super *sb;
	int err = ext_mount(&config, &super_config, &sb, why, why_size);

	if (err)
		return err;
	snprintf(why, why_size, "not everything could be written");
	return super_shutdown(sb);
}

static int build(struct recovery *r, const char *image, char *why, size_t why_size)
{
	const struct filedisk_config file = {.takes_lock = true};
	struct disk_config config = {.name = image};
	int err;

	snprintf(why, why_size, "out of memory");
	r->clock = clock_create_real();
	if (!r->clock)
		return -ENOMEM;
	config.clock = r->clock;
	err = filedisk_open(image, &file, &config, &r->disk, why, why_size);
	if (!err)
		err = read_block_size(r, why, why_size);
	if (err)
		return err;
	snprintf(why, why_size, "out of memory");
	r->work = workqueue_create("recover", 1, r->clock, 0);
	return r->work ? create_cache(r) : -ENOMEM;
}

static void take_down(struct recovery *r)
{
	if (r->cache)
		page_cache_destroy(r->cache);
	if (r->work)
		workqueue_destroy(r->work);
	disk_close(r->disk);
	if (r->clock)
		clock_destroy(r->clock);
}

int ctl_recover(int argc, char **argv)
{
	struct recovery r = {0};
	char why[512];
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: extantctl recover IMAGE\n");
		return CTL_USAGE;
	}
	err = build(&r, argv[1], why, sizeof(why));
	if (!err)
		err = mount_and_leave(&r, why, sizeof(why));
	take_down(&r);
	if (err)
		fprintf(stderr, "extantctl: %s: %s\n", argv[1], why);
	return err ? CTL_FAILED : 0;
}
