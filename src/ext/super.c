/*
 * Mounting and unmounting.
 *
 * Mounting goes up a ladder whose steps are undone in reverse: superblock checked, its journal
 * looked at, descriptors loaded, root read; then, read-write only, the superblock says on disk
 * that the file system is in use, and orphans are freed. Unmounting writes everything, then the
 * totals and the state it was mounted with, then flushes: whoever opens the image afterwards finds
 * it whole.
 */
#include "ext/super.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "balloc.h"
#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "error.h"
#include "evict.h"
#include "file.h"
#include "group.h"
#include "held.h"
#include "inode.h"
#include "layout/feature.h"
#include "layout/super.h"
#include "log.h"
#include "mapping.h"
#include "namei.h"
#include "orphan.h"
#include "sync.h"
#include "trim.h"

/* What a mount in progress carries. */
struct mounting {
	struct ext *fs;
	struct disk *disk;
	struct ext_super super;		/* a copy, before its buffer exists */
	struct journal *journal;	/* loaded, not started */
	char *why;
	size_t why_size;
};

static int refuse(struct mounting *m, int err, const char *fmt, ...) printf_like(3, 4);

static int refuse(struct mounting *m, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(m->why, m->why_size, fmt, args);
	va_end(args);
	return err;
}

/* ---- the superblock ---- */

static uint64_t super_position(const struct ext_mount_config *config)
{
	return config->super_block ? (uint64_t)config->super_block * 1024 : EXT_SUPER_OFFSET;
}

static int read_super(struct mounting *m)
{
	const struct ext_mount_config *config = &m->fs->config;
	uint64_t disk_bytes = disk_limits(m->disk)->size_bytes;
	uint64_t pos = super_position(config);
	char clause[200];
	int err;

	if (pos + EXT_SUPER_SIZE > disk_bytes)
		return refuse(m, -EINVAL, "too small for a superblock at byte %llu", (unsigned long long)pos);
	err = disk_read(m->disk, pos, &m->super, sizeof(m->super));
	if (err)
		return refuse(m, err, "cannot read the superblock: %s", strerror(-err));
	err = super_check(&m->super, disk_bytes, &m->fs->geo, clause, sizeof(clause));
	if (err == -EINVAL)
		return refuse(m, -ENODEV, "not an ext2 or ext3 file system: %s", clause);
	if (err == -EUCLEAN)
		return refuse(m, err, "the superblock is damaged (%s); run fsck, or try -o ro,sb= with a backup",
			      clause);
	return err ? refuse(m, err, "%s", clause) : 0;
}

/* Whether what was asked for is possible with these features; may turn the mount read-only. */
static int check_features(struct mounting *m)
{
	struct ext_mount_config *config = &m->fs->config;
	char clause[200];
	enum mount_verdict verdict = feature_check(&m->super, clause, sizeof(clause));

	if (verdict == FEATURE_REFUSE)
		return refuse(m, -EOPNOTSUPP, "%s", clause);
	if (!config->is_read_only && config->super_block)
		return refuse(m, -EINVAL, "sb= needs -o ro: repairs belong to fsck");
	if (config->data_mode == EXT_DATA_JOURNAL && !super_has_compat(&m->super, EXT_COMPAT_HAS_JOURNAL))
		return refuse(m, -EINVAL, "data=journal needs a journal, and this file system has none");
	if (!config->is_read_only && disk_limits(m->disk)->is_read_only)
		return refuse(m, -EROFS, "the image cannot be written; mount it with -o ro");
	if (verdict == FEATURE_RO && !config->is_read_only) {
		log_warning("%s: mounted read-only: %s", disk_name(m->disk), clause);
		config->is_read_only = true;
	}
	return 0;
}

static int open_buffers(struct mounting *m)
{
	struct ext *fs = m->fs;
	uint64_t pos = super_position(&fs->config);
	int err;

	if (fs->buffers.mapping.block_bytes != fs->geo.block_size)
		return refuse(m, -EINVAL, "the cache was made for blocks of %u bytes, not of %u",
			      fs->buffers.mapping.block_bytes, fs->geo.block_size);
	fs->super_offset = (uint32_t)(pos % fs->geo.block_size);
	err = buffer_read(&fs->buffers, pos / fs->geo.block_size, &fs->super_buffer);
	return err ? refuse(m, err, "cannot read the block of the superblock") : 0;
}

/* ---- the journal ---- */

static bool ignores_journal(const struct mounting *m)
{
	return !super_has_compat(&m->super, EXT_COMPAT_HAS_JOURNAL) ||
	       (m->fs->config.is_read_only && m->fs->config.no_load);
}

static int check_may_replay(struct mounting *m)
{
	const struct ext_mount_config *config = &m->fs->config;

	if (disk_limits(m->disk)->is_read_only || (config->is_read_only && !config->may_replay_read_only))
		return refuse(m, -EBUSY,
			      "the journal needs recovery, which writes to the image: mount it read-write once, or run "
			      "e2fsck (-o ro,noload shows the tree without what the journal holds)");
	return 0;
}

/* Damage in the middle of the log is remembered on disk, so that every checker looks in full. */
static void mark_errors(struct mounting *m)
{
	struct ext *fs = m->fs;

	if (fs->config.is_read_only)
		return;
	buffer_lock(fs->super_buffer);
	ext_super_of(fs)->state = le16_make(le16_get(ext_super_of(fs)->state) | EXT_ERROR_FS);
	buffer_mark_dirty(fs->super_buffer);
	buffer_unlock(fs->super_buffer);
	ignore(buffer_write(fs->super_buffer), "the mount is refused anyway");
}

static int replay(struct mounting *m, struct journal *j)
{
	const char *name = disk_name(m->disk);
	struct journal_recovery r;
	int err = journal_recover(j, &r);

	if (r.is_corrupt) {
		mark_errors(m);
		if (!m->fs->config.is_read_only)
			return refuse(m, -EUCLEAN, "%s; replayed up to it; run fsck, or look with -o ro", r.text);
		log_warning("%s: %s; this is the tree before it", name, r.text);
		return 0;
	}
	if (err)
		return refuse(m, err, "recovery of the journal failed: %s", strerror(-err));
	log_notice("%s: recovered: %u transactions, %u blocks%s", name, r.nr_transactions, r.nr_blocks,
		   r.was_torn ? "; the last one was cut off and dropped" : "");
	return 0;
}

/* The steps that recovery needs, and their undoing: what they read may be older than the log. */
static int recover_if_needed(struct mounting *m)
{
	struct ext *fs = m->fs;
	struct journal *j = NULL;
	int err;

	if (ignores_journal(m) || !super_has_incompat(&m->super, EXT_INCOMPAT_RECOVER))
		return 0;
	err = check_may_replay(m);
	if (err)
		return err;
	err = open_buffers(m);
	if (!err)
		err = groups_load(fs, m->why, m->why_size);
	if (!err)
		err = log_open(fs, &j, m->why, m->why_size);
	if (!err)
		err = replay(m, j);
	ignore(journal_destroy(j), "it was not started");
	if (fs->groups || fs->gdt)
		groups_drop(fs);
	buffer_put(fs->super_buffer);
	fs->super_buffer = NULL;
	fs->free_blocks = fs->free_inodes = fs->used_dirs = 0;
	buffer_cache_done(&fs->buffers);
	err = first_error(err, buffer_cache_init(&fs->buffers, fs->sb.cache, fs->sb.disk));
	return err ? err : read_super(m);
}

/* A log that needs_recovery does not speak for is dropped, as Linux does. */
static int open_journal(struct mounting *m)
{
	int err;

	if (ignores_journal(m))
		return 0;
	err = log_open(m->fs, &m->journal, m->why, m->why_size);
	if (!err && journal_recorded_error(m->journal)) {
		log_warning("%s: the journal gave up when it was last used (%s); run fsck", disk_name(m->disk),
			    strerror(journal_recorded_error(m->journal)));
		m->fs->mount_state |= EXT_ERROR_FS;
	}
	if (err || m->fs->config.is_read_only || !journal_needs_recovery(m->journal))
		return err;
	if (!super_has_incompat(&m->super, EXT_INCOMPAT_RECOVER))
		log_warning("%s: a journal that nobody asks to recover is dropped", disk_name(m->disk));
	err = journal_wipe(m->journal);
	return err ? refuse(m, err, "the journal cannot be emptied") : 0;
}

/* ---- building the mount ---- */

static void init_data_mode(struct ext *fs, uint32_t defaults)
{
	enum ext_data_mode mode = fs->config.data_mode;

	defaults &= EXT_DEFM_JMODE;
	if (mode == EXT_DATA_DEFAULT && defaults == EXT_DEFM_JMODE_DATA)
		mode = EXT_DATA_JOURNAL;
	if (mode == EXT_DATA_DEFAULT && defaults == EXT_DEFM_JMODE_WBACK)
		mode = EXT_DATA_WRITEBACK;
	fs->is_data_journal = mode == EXT_DATA_JOURNAL;
	fs->is_data_writeback = mode == EXT_DATA_WRITEBACK;
}

static void init_config(struct ext *fs, const struct ext_super *super)
{
	const struct ext_mount_config *config = &fs->config;
	uint64_t reserved = le32_get(super->r_blocks_count);
	uint16_t policy = le16_get(super->errors);

	fs->reserved_blocks = min(reserved, fs->geo.blocks_count / 2);
	fs->resuid = config->resuid == (uid_t)-1 ? le16_get(super->def_resuid) : config->resuid;
	fs->resgid = config->resgid == (gid_t)-1 ? le16_get(super->def_resgid) : config->resgid;
	fs->errors = config->errors;
	if (fs->errors == EXT_ON_ERROR_DEFAULT)
		fs->errors = policy == EXT_ERRORS_RO	  ? EXT_ON_ERROR_RO
			     : policy == EXT_ERRORS_PANIC ? EXT_ON_ERROR_PANIC
							  : EXT_ON_ERROR_CONTINUE;
	init_data_mode(fs, le32_get(super->default_mount_opts));
	fs->has_large_file = fs->geo.has_large_file;
	fs->mount_state = le16_get(super->state);
	fs->overhead_blocks = geometry_overhead(&fs->geo);
	fs->sb.is_read_only = config->is_read_only;
	fs->sb.is_sync = config->is_sync;
	fs->sb.atime_mode = config->atime_mode;
	fs->sb.has_bsd_groups =
		config->has_bsd_groups || (le32_get(super->default_mount_opts) & EXT_DEFM_BSDGROUPS);
	fs->sb.block_bytes = fs->geo.block_size;
	fs->sb.file_bytes_max = fs->geo.max_file_size_bytes;
	fs->sb.links_max = EXT_LINK_MAX;
}

static int seed_generations(struct ext *fs)
{
	uint64_t seed = fs->config.seed;

	if (seed == 0 && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -EIO;
	rand_init(&fs->rand, seed);
	return 0;
}

static void init_state(struct ext *fs)
{
	readahead_init(&fs->inode_reads);
	mutex_init(&fs->orphan_lock, RANK_ORPHAN, "orphan list");
	mutex_init(&fs->state_lock, RANK_LEAF, "mount state");
	ext_error_init(fs);
	list_init(&fs->orphans);
	balloc_init(fs);
	held_init(fs);
	fs->iops = &ext_inode_ops;
	fs->mapping_ops = &ext_mapping_ops;
	fs->file_fops = &ext_file_ops;
	fs->dir_fops = &ext_dir_ops;
}

static void done_state(struct ext *fs)
{
	orphan_done(fs);
	held_done(fs);
	balloc_done(fs);
	mutex_done(&fs->state_lock);
	readahead_done(&fs->inode_reads);
	mutex_done(&fs->orphan_lock);
}

static int read_root(struct mounting *m)
{
	struct ext *fs = m->fs;
	char text[160] = "it is not in use";
	int err = inode_get(&fs->sb, EXT_ROOT_INO, &fs->sb.root);

	if (err) {
		ext_has_errors(&fs->sb, text, sizeof(text));
		return refuse(m, err == -ESTALE ? -EUCLEAN : err, "cannot read the root directory (%s); run fsck", text);
	}
	if (!inode_is_dir(fs->sb.root) || fs->sb.root->attr.nlink == 0)
		return refuse(m, -EUCLEAN, "the root inode is not a directory; run fsck");
	return 0;
}

/* ---- what the superblock on disk says of us ---- */

static bool super_has_journal(const struct ext_super *super)
{
	return super_has_compat(super, EXT_COMPAT_HAS_JOURNAL);
}

enum super_state { SUPER_IN_USE, SUPER_LEFT };

static void set_super_state(struct ext *fs, struct ext_super *super, enum super_state to)
{
	uint32_t now = (uint32_t)clock_wall(fs->sb.clock).tv_sec;

	ext_error_record(fs, super, now);
	/* Also an error that the log, or what it was replayed over, knew of. */
	super->state = le16_make(le16_get(super->state) | (fs->mount_state & EXT_ERROR_FS));
	super->wtime = le32_make(now);
	super->free_blocks_count = le32_make((uint32_t)fs->free_blocks);
	super->free_inodes_count = le32_make((uint32_t)fs->free_inodes);
	if (to == SUPER_LEFT) {
		super->state = le16_make(fs->mount_state);
		return;
	}
	/* With a journal needs_recovery marks it instead; without VALID_FS Linux would warn. */
	if (!super_has_journal(super))
		super->state = le16_make(fs->mount_state & (uint16_t)~EXT_VALID_FS);
	super->mtime = le32_make(now);
	le16_add(&super->mnt_count, 1);
	if (fs->config.mounted_on) {
		memset(super->last_mounted, 0, sizeof(super->last_mounted));
		snprintf(super->last_mounted, sizeof(super->last_mounted), "%s", fs->config.mounted_on);
	}
}

/* On disk and durable before this returns. */
static int write_super_state(struct ext *fs, enum super_state to)
{
	struct handle h;
	int err = handle_start(fs->journal, 1, &h);

	if (err)
		return err;
	err = meta_begin(&h, fs->super_buffer);
	if (!err) {
		set_super_state(fs, ext_super_of(fs), to);
		meta_end(&h, fs->super_buffer);
	}
	err = first_error(err, handle_stop(&h));
	err = first_error(err, buffer_write(fs->super_buffer));
	return first_error(err, disk_flush(fs->sb.disk));
}

static int go_read_write(struct mounting *m)
{
	struct ext *fs = m->fs;
	const char *name = disk_name(m->disk);
	int err;

	if (fs->config.is_read_only)
		return 0;
	if (!(fs->mount_state & EXT_VALID_FS))
		log_warning("%s: was not unmounted cleanly; run fsck soon", name);
	else if (fs->mount_state & EXT_ERROR_FS)
		log_warning("%s: has recorded errors; run fsck soon", name);
	err = write_super_state(fs, SUPER_IN_USE);
	if (err)
		return refuse(m, err, "cannot mark the file system as in use");
	if (m->journal) {
		err = log_start(fs, m->journal, m->why, m->why_size);
		if (err)
			return err;
		m->journal = NULL;	/* the mount's now */
	}
	fs->is_recovering = true;
	err = orphan_cleanup(fs);
	fs->is_recovering = false;
	ext_error_start(fs);
	return err == -EUCLEAN || !err ? 0 : refuse(m, err, "cannot clean up the orphan list");
}

/* ---- super_ops ---- */

static int ext_statfs(struct super *sb, struct statfs_info *ret)
{
	struct ext *fs = ext_of_super(sb);
	uint64_t overhead = fs->config.has_minix_df ? 0 : fs->overhead_blocks + fs->journal_blocks;
	uint64_t free = fs->free_blocks;
	uint64_t id[2];

	memcpy(id, ext_super_of(fs)->uuid, sizeof(id));
	*ret = (struct statfs_info){
		.blocks = fs->geo.blocks_count - min(overhead, fs->geo.blocks_count),
		.blocks_free = free,
		.blocks_available = free > fs->reserved_blocks ? free - fs->reserved_blocks : 0,
		.files = fs->geo.inodes_count,
		.files_free = fs->free_inodes,
		.block_bytes = fs->geo.block_size,
		.name_max = EXT_NAME_LEN,
		.fsid = id[0] ^ id[1],
	};
	return 0;
}

const struct journal_stats *ext_journal_stats(struct super *sb)
{
	const struct journal *j = ext_of_super(sb)->journal;

	return j ? journal_stats(j) : NULL;
}

/* Everything but the disk and the cache, which are the mounter's. */
static void teardown(struct ext *fs)
{
	held_release_all_freed(fs);
	if (fs->groups || fs->gdt)
		groups_drop(fs);
	ignore(buffer_sync(&fs->buffers), "all that could be written was; what failed was told");
	buffer_put(fs->super_buffer);
	buffer_cache_done(&fs->buffers);
	super_done(&fs->sb);
	done_state(fs);
	mem_free(fs);
}

static int ext_put_super(struct super *sb)
{
	struct ext *fs = ext_of_super(sb);
	int err = 0;

	inode_put(sb->root);
	sb->root = NULL;
	super_drop_inodes(sb);
	ext_error_stop(fs);
	if (!fs->config.is_read_only) {
		err = ext_sync(sb, true);
		err = first_error(err, log_stop(fs));
		/* A state that could not be written stays as it is: in use, so to be checked. */
		if (!err)
			err = write_super_state(fs, SUPER_LEFT);
	}
	teardown(fs);
	return err;
}

static const struct super_ops ext_super_ops = {
	.alloc_inode = ext_alloc_inode,
	.free_inode = ext_free_inode,
	.read_inode = ext_read_inode,
	.evict_inode = ext_evict_inode,
	.sync = ext_sync,
	.statfs = ext_statfs,
	.trim = ext_trim,
	.put_super = ext_put_super,
};

/* ---- the ladder ---- */

static int climb(struct mounting *m)
{
	struct ext *fs = m->fs;
	int err = recover_if_needed(m);

	/* What the log made of the state counts, and an error that it had not heard of as well. */
	fs->mount_state = le16_get(m->super.state) | (fs->mount_state & EXT_ERROR_FS);
	if (!err)
		err = open_buffers(m);
	if (!err)
		err = groups_load(fs, m->why, m->why_size);
	if (!err)
		err = open_journal(m);
	if (!err)
		err = seed_generations(fs);
	if (!err)
		err = read_root(m);
	if (!err)
		err = go_read_write(m);
	return err;
}

int ext_mount(const struct ext_mount_config *config, const struct super_config *super_config,
	      struct super **ret_sb, char *why, size_t why_size)
{
	struct ext *fs = mem_zalloc(sizeof(*fs));
	struct mounting m = {.fs = fs, .disk = super_config->disk, .why = why, .why_size = why_size};
	int err;

	snprintf(why, why_size, "out of memory");
	if (!fs)
		return -ENOMEM;
	fs->config = *config;
	err = read_super(&m);
	if (!err)
		err = check_features(&m);
	if (err)
		goto out_free;
	init_state(fs);
	err = super_init(&fs->sb, &ext_super_ops, super_config);
	if (err)
		goto out_state;
	init_config(fs, &m.super);
	err = buffer_cache_init(&fs->buffers, super_config->cache, super_config->disk);
	if (err)
		goto out_super;
	err = climb(&m);
	ignore(journal_destroy(m.journal), "it was not started");
	if (err) {
		inode_put(fs->sb.root);
		super_drop_inodes(&fs->sb);
		ext_error_stop(fs);
		ignore(log_stop(fs), "the mount failed already");
		teardown(fs);
		return err;
	}
	*ret_sb = &fs->sb;
	return 0;
out_super:
	super_done(&fs->sb);
out_state:
	done_state(fs);
out_free:
	mem_free(fs);
	return err;
}
