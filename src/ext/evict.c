/*
 * Inodes at their end.
 *
 * An inode without a name is emptied and its number given back; one with names only leaves memory,
 * its data written before. At mount the orphan list is gone through: each inode on it is read, and
 * either put, which deletes it here, or its interrupted truncation is finished.
 */
#include "evict.h"

#include <errno.h>
#include <string.h>

#include "balloc.h"
#include "base/log.h"
#include "block/disk.h"
#include "error.h"
#include "ialloc.h"
#include "inode.h"
#include "log.h"
#include "orphan.h"
#include "truncate.h"
#include "xattr.h"

/* Frees everything that a nameless inode has, and the inode. */
static int delete_inode(struct inode *inode)
{
	struct ext *fs = ext_of(inode);
	bool is_dir = S_ISDIR(inode->attr.mode);
	struct handle h;
	int err = handle_start(fs->journal, CREDITS_TRUNCATE_STEP, &h);

	if (err)
		return err;
	inode->attr.size_bytes = 0;
	err = ext_free_range(&h, inode, 0, fs->geo.max_file_blocks);
	if (!err || err == -EUCLEAN)
		err = first_error(err, ext_xattr_release(&h, inode));
	if (err && err != -EUCLEAN) {
		/* It stays on the list of orphans, with what could not be freed, for the next mount. */
		ignore(ext_inode_write(&h, inode), "the first error is the one to tell");
		return first_error(err, handle_stop(&h));
	}
	err = first_error(err, log_ensure(&h, inode, CREDITS_ORPHAN + CREDITS_NEW_INODE));
	err = first_error(err, orphan_del(&h, inode));
	info_of(inode)->dtime = (uint32_t)clock_wall(fs->sb.clock).tv_sec;
	err = first_error(err, ext_inode_write(&h, inode));
	if (is_dir)
		dentry_forget_dir(fs->sb.dentries, inode->ino);
	/* Last: from here on the number may be somebody else's. */
	err = first_error(err, ialloc_free(&h, fs, inode->ino, is_dir));
	return first_error(err, handle_stop(&h));
}

/* The file leaves the journal's lists: what it could not write, no commit will ask for any more. */
static int write_last_data(struct ext_inode_info *info)
{
	struct journal *j = ext_of(&info->vfs)->journal;
	int err;

	if (!j || !journal_inode_is_ordered(j, &info->ordered))
		return mapping_write_range(&info->vfs.mapping, 0, UINT64_MAX, WRITEBACK_WAIT);
	err = log_write_ordered(info);
	if (err)
		journal_abort(j, err, "data of new blocks could not be written");
	return err;
}

void ext_evict_inode(struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	int err = 0;

	if (!inode->mapping.cache)
		return;		/* it was never read, or never became one */
	if (inode->attr.nlink == 0 && info->is_allocated && !fs->sb.is_read_only) {
		ext_wait_ordered(inode);
		mapping_truncate(&inode->mapping, 0);
		err = delete_inode(inode);
	} else {
		err = write_last_data(info);
		mapping_truncate(&inode->mapping, 0);
	}
	if (err && err != -EUCLEAN)
		log_error_limited("%s: inode %u: %s while it was let go", disk_name(fs->sb.disk),
				  inode->ino, strerror(-err));
	orphan_leave(fs, inode);
	if (fs->journal)
		journal_inode_forget(fs->journal, &info->ordered);
	balloc_drop_window(fs, info);
	mapping_done(&inode->mapping);
}

/* ---- orphans at mount ---- */

/* A file with names was being truncated: finish that. One without is freed as it is put. */
static int finish_orphan(struct ext *fs, struct inode *inode, unsigned *nr_freed, unsigned *nr_truncated)
{
	uint64_t block_size = fs->geo.block_size;
	struct handle h;
	int err;

	if (inode->attr.nlink == 0) {
		(*nr_freed)++;
		return 0;
	}
	(*nr_truncated)++;
	err = handle_start(fs->journal, CREDITS_TRUNCATE_STEP, &h);
	if (err)
		return err;
	if (S_ISREG(inode->attr.mode) || S_ISDIR(inode->attr.mode))
		err = ext_free_range(&h, inode, div_round_up(inode->attr.size_bytes, block_size),
				     fs->geo.max_file_blocks);
	err = first_error(err, orphan_del(&h, inode));
	return first_error(err, handle_stop(&h));
}

static int cut_list(struct ext *fs, inr_t at)
{
	struct handle h;
	int err = ext_error(fs, at, 0, "the orphan list is damaged here; it is cut");

	ignore(err, "told; the mount goes on without the rest of the list");
	err = handle_start(fs->journal, CREDITS_ORPHAN, &h);
	if (!err)
		err = orphan_set_head(&h, fs, 0);
	orphan_done(fs);
	return first_error(err, handle_stop(&h));
}

int orphan_cleanup(struct ext *fs)
{
	unsigned nr_freed = 0, nr_truncated = 0;
	int err = 0;

	while (orphan_head(fs) && !err) {
		inr_t ino = orphan_head(fs);
		struct inode *inode;
		bool is_used;

		if (!inode_nr_is_user(&fs->geo, ino) || ino == EXT_ROOT_INO ||
		    ialloc_is_used(fs, ino, &is_used) || !is_used)
			return cut_list(fs, ino);
		err = inode_get(&fs->sb, ino, &inode);
		if (err == -EUCLEAN || err == -ESTALE)
			return cut_list(fs, ino);
		if (err)
			return err;
		err = orphan_adopt(fs, inode);
		if (!err)
			err = finish_orphan(fs, inode, &nr_freed, &nr_truncated);
		inode_put(inode);
		if (!err && orphan_head(fs) == ino)
			return cut_list(fs, ino);
	}
	if (nr_freed || nr_truncated)
		log_notice("%s: %u unlinked files freed, %u truncations finished", disk_name(fs->sb.disk), nr_freed,
			   nr_truncated);
	return err;
}
