/*
 * The journal of a mount.
 *
 * Data is ordered: before a transaction commits, the files that got blocks in it are written, so
 * that a block's old content never shows up in a new file. Blocks that a transaction freed wait
 * until it is durable before they are given away again (balloc.c).
 */
#include "log.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "block/disk.h"
#include "blockmap.h"
#include "error.h"
#include "held.h"
#include "inode.h"

#define COMMIT_INTERVAL_MS_DEFAULT 5000u
#define SPACE_TRIES 3u		/* other writers may take what a commit set free */

/* ---- what the journal asks of us ---- */

/* Also an error that somebody was told long ago: what was lost then is what the disk would show now. */
int log_write_ordered(struct ext_inode_info *info)
{
	uint32_t mark = info->ordered_mark;
	int err = mapping_write_range(&info->vfs.mapping, 0, UINT64_MAX, WRITEBACK_WAIT);

	return first_error(err, mapping_error_since(&info->vfs.mapping, &mark));
}

static int write_ordered(struct journal_inode *ji)
{
	return log_write_ordered(container_of(ji, struct ext_inode_info, ordered));
}

static void committed(void *arg, tid_t tid)
{
	held_release_freed(arg, tid);
}

static void aborted(void *arg, int err, const char *why)
{
	(void)err;
	ext_error_aborted(arg, why);
}

static const struct journal_ops ops = {
	.write_ordered = write_ordered,
	.committed = committed,
	.aborted = aborted,
};

/* ---- where the log lies ---- */

struct extent_list {
	struct journal_extent *extents;
	uint32_t nr, nr_max;
};

static int add_extent(struct extent_list *list, uint32_t log_block, const struct block_run *run)
{
	struct journal_extent *last = list->nr ? &list->extents[list->nr - 1] : NULL;

	if (last && last->block + last->count == run->block) {
		last->count += (uint32_t)run->count;
		return 0;
	}
	if (list->nr == list->nr_max) {
		uint32_t more = list->nr_max ? list->nr_max * 2 : 16;
		struct journal_extent *extents = mem_realloc(list->extents, more * sizeof(*extents));

		if (!extents)
			return -ENOMEM;
		list->extents = extents;
		list->nr_max = more;
	}
	list->extents[list->nr++] = (struct journal_extent){log_block, (uint32_t)run->count, run->block};
	return 0;
}

static int map_log(struct inode *inode, struct extent_list *list, char *why, size_t why_size)
{
	struct ext *fs = ext_of(inode);
	lblk_t end = inode->attr.size_bytes >> fs->geo.block_bits;
	lblk_t lblk = 0;

	if (end == 0 || end > fs->geo.blocks_count) {
		snprintf(why, why_size, "the journal inode has an impossible size; run fsck");
		return -EUCLEAN;
	}
	while (lblk < end) {
		struct block_run run;
		int err = blockmap_find(inode, lblk, end - lblk, &run);

		if (!err && run.block == 0)
			err = -EUCLEAN;
		if (!err)
			err = add_extent(list, (uint32_t)lblk, &run);
		if (err) {
			snprintf(why, why_size, "the journal cannot be mapped at its block %llu; run fsck",
				 (unsigned long long)lblk);
			return err;
		}
		lblk += run.count;
	}
	return 0;
}

static struct journal_config journal_config_of(struct ext *fs, const struct extent_list *list)
{
	uint64_t cache_pages = page_cache_batch_max(fs->sb.cache);

	return (struct journal_config){
		.disk = fs->sb.disk,
		.block_bytes = fs->geo.block_size,
		.extents = list->extents,
		.nr_extents = list->nr,
		.clock = fs->sb.clock,
		.buffers = &fs->buffers,
		.work = fs->sb.work,
		.commit_interval_ms = fs->config.commit_interval_ms ? fs->config.commit_interval_ms
								      : COMMIT_INTERVAL_MS_DEFAULT,
		/* Running and committing one pin their buffers: together a part of the cache. */
		.tx_blocks_max = (uint32_t)min(cache_pages * 8, (uint64_t)UINT32_MAX),
		.flush = fs->config.no_barrier ? COMMIT_NO_FLUSH : COMMIT_ASYNC,
		.has_checksum = !fs->config.no_journal_checksum,
		.ops = &ops,
		.ops_arg = fs,
	};
}

int log_open(struct ext *fs, struct journal **ret_journal, char *why, size_t why_size)
{
	inr_t ino = le32_get(ext_super_of(fs)->journal_inum);
	struct extent_list list = {0};
	struct journal_config config;
	struct inode *inode;
	int err;

	if (ino == 0) {
		snprintf(why, why_size, "an external journal (device %#x) is not supported",
			 le32_get(ext_super_of(fs)->journal_dev));
		return -EOPNOTSUPP;
	}
	err = ext_read_reserved(fs, ino, &inode);
	if (err) {
		snprintf(why, why_size, "the journal inode %u cannot be read; run fsck", ino);
		return err;
	}
	err = map_log(inode, &list, why, why_size);
	/* The journal's own blocks are not files' to have, and count as overhead. */
	fs->journal_blocks = inode->attr.size_bytes >> fs->geo.block_bits;
	ext_free_reserved(inode);
	if (!err) {
		config = journal_config_of(fs, &list);
		err = journal_load(&config, ret_journal, why, why_size);
	}
	mem_free(list.extents);
	return err;
}

/* ---- start and stop ---- */

/* needs_recovery: from here on others must replay the log before they trust the file system. */
static int mark_recovery(struct ext *fs, bool needs_recovery)
{
	struct ext_super *super;
	uint32_t incompat;
	int err;

	buffer_lock(fs->super_buffer);
	super = ext_super_of(fs);
	incompat = le32_get(super->feature_incompat) & ~EXT_INCOMPAT_RECOVER;
	super->feature_incompat = le32_make(incompat | (needs_recovery ? EXT_INCOMPAT_RECOVER : 0));
	buffer_mark_dirty(fs->super_buffer);
	buffer_unlock(fs->super_buffer);
	err = buffer_write(fs->super_buffer);
	return first_error(err, disk_flush(fs->sb.disk));
}

int log_start(struct ext *fs, struct journal *j, char *why, size_t why_size)
{
	int err = mark_recovery(fs, true);

	if (!err)
		err = journal_start(j);
	if (err) {
		snprintf(why, why_size, "the journal cannot be started");
		return err;
	}
	fs->journal = j;
	return 0;
}

int log_stop(struct ext *fs)
{
	struct journal *j = fs->journal;
	int err;

	if (!j)
		return 0;
	fs->journal = NULL;
	err = journal_destroy(j);
	held_release_all_freed(fs);
	return err ? err : mark_recovery(fs, false);
}

bool log_frees_space(struct ext *fs, int err, unsigned *tries)
{
	if (err != -ENOSPC || !fs->journal || fs->nr_freed == 0 || (*tries)++ >= SPACE_TRIES)
		return false;
	return journal_force_commit(fs->journal) == 0;
}

int log_ensure(struct handle *h, struct inode *inode, uint32_t credits)
{
	int err = handle_extend(h, credits);

	if (err != -EAGAIN)
		return err;
	err = ext_inode_write(h, inode);
	return first_error(err, handle_restart(h, credits));
}
