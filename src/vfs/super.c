/*
 * One mount: its tables made and unmade, and the operations on the whole of it.
 */
#include <errno.h>

#include "vfs/super.h"

#include "base/assert.h"
#include "known.h"
#include "vfs.h"

#define UNUSED_INODES_DEFAULT 16384u
#define DENTRIES_DEFAULT 65536u
#define INODE_BUCKETS_HINT 1024u

int super_init(struct super *sb, const struct super_ops *ops, const struct super_config *config)
{
	uint32_t dentries_max = config->dentries_max ? config->dentries_max : DENTRIES_DEFAULT;
	int err;

	err = dentry_cache_create(dentries_max, &sb->dentries);
	if (err)
		return err;
	err = hash_init(&sb->inodes, INODE_BUCKETS_HINT);
	if (err)
		goto out_dentries;
	sb->ops = ops;
	sb->disk = config->disk;
	sb->cache = config->cache;
	sb->clock = config->clock;
	sb->work = config->work;
	sb->root = NULL;
	atomic_init(&sb->is_read_only, false);
	sb->is_sync = false;
	sb->atime_mode = ATIME_RELATIME;
	sb->has_bsd_groups = false;
	mutex_init(&sb->rename_lock, RANK_RENAME, "rename");
	mutex_init(&sb->icache_lock, RANK_ICACHE, "inode table");
	list_init(&sb->inode_lru);
	known_init(&sb->known);
	sb->transfers = (struct transfer_stats){0};
	cond_init(&sb->inode_ready);
	sb->nr_unused = 0;
	sb->unused_max = config->unused_inodes_max ? config->unused_inodes_max : UNUSED_INODES_DEFAULT;
	return 0;
out_dentries:
	dentry_cache_destroy(sb->dentries);
	return err;
}

void super_done(struct super *sb)
{
	must(sb->inodes.nr_nodes == 0);	/* S1 */
	must(sb->nr_unused == 0);
	known_done(&sb->known);
	cond_done(&sb->inode_ready);
	mutex_done(&sb->icache_lock);
	mutex_done(&sb->rename_lock);
	hash_done(&sb->inodes);
	dentry_cache_destroy(sb->dentries);
}

void super_drop_inodes(struct super *sb)
{
	inode_drop_all(sb);
	sb->root = NULL;
}

int super_sync(struct super *sb)
{
	return super_is_read_only(sb) ? 0 : sb->ops->sync(sb, true);
}

int super_statfs(struct super *sb, struct statfs_info *ret)
{
	return sb->ops->statfs(sb, ret);
}

int super_trim(struct super *sb, struct trim_range *range)
{
	range->trimmed_bytes = 0;
	return sb->is_read_only ? -EROFS : sb->ops->trim(sb, range);
}

int super_shutdown(struct super *sb)
{
	return sb->ops->put_super(sb);
}
