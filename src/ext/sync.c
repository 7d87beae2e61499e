/*
 * What fsync and sync do, with a journal and without.
 */
#include "sync.h"

#include <errno.h>

#include "block/disk.h"
#include "cache/cache.h"
#include "datalog.h"
#include "error.h"

/* Metadata is little, and which of it belongs to one file is not recorded anywhere. */
static int sync_without_journal(struct ext *fs)
{
	int err = buffer_sync(&fs->buffers);

	/* What was written is durable from here on: the promise of fsync. */
	return first_error(err, disk_flush(fs->sb.disk));
}

/*
 * The transaction that changed the inode last: its commit flushes the data that was written
 * before. When it is durable already, or came too far to wait for our data, that needs a flush of
 * its own.
 */
static int sync_with_journal(struct ext *fs, tid_t tid)
{
	bool is_flushed = journal_will_flush(fs->journal, tid);
	int err = journal_commit_wait(fs->journal, tid);

	return is_flushed || err ? err : disk_flush(fs->sb.disk);
}

int ext_fsync(struct inode *inode, bool datasync)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	tid_t tid;
	int err;

	if (fs->config.is_read_only)
		return 0;
	/* A directory's data are its names. */
	datasync = datasync && !inode_is_dir(inode);
	tid = datasync ? info->datasync_tid : info->sync_tid;
	if (fs->journal)
		datalog_shorten_commit(inode, tid);
	err = mapping_write_range(&inode->mapping, 0, UINT64_MAX, WRITEBACK_WAIT);
	if (!fs->journal)
		return first_error(err, sync_without_journal(fs));
	if (journal_is_aborted(fs->journal))
		return -EIO;
	return first_error(err, sync_with_journal(fs, tid));
}

/* The superblock's totals lag behind the groups' while mounted; a sync brings them up. */
static int write_totals(struct ext *fs)
{
	struct ext_super *super;
	struct handle h;
	int err = handle_start(fs->journal, 1, &h);

	if (err)
		return err;
	err = meta_begin(&h, fs->super_buffer);
	if (!err) {
		super = ext_super_of(fs);
		super->free_blocks_count = le32_make((uint32_t)fs->free_blocks);
		super->free_inodes_count = le32_make((uint32_t)fs->free_inodes);
		super->wtime = le32_make((uint32_t)clock_wall(fs->sb.clock).tv_sec);
		meta_end(&h, fs->super_buffer);
	}
	return first_error(err, handle_stop(&h));
}

int ext_sync(struct super *sb, bool wait)
{
	struct ext *fs = ext_of_super(sb);
	int err;

	if (fs->config.is_read_only)
		return 0;
	err = write_totals(fs);
	err = first_error(err, page_cache_sync(sb->cache));
	if (fs->journal && wait)
		err = first_error(err, journal_force_commit(fs->journal));
	if (wait)
		err = first_error(err, disk_flush(sb->disk));
	return err;
}

int ext_finish_names(struct inode *dir, int err)
{
	if (err || !(dir->sb->is_sync || (dir->attr.flags & (INODE_SYNC | INODE_DIRSYNC))))
		return err;
	return ext_fsync(dir, false);
}
