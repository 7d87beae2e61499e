/*
 * The orphan list.
 *
 *     superblock.last_orphan -> inode A (dtime = B) -> inode B (dtime = 0)
 *
 * New ones go to the front, so adding touches the superblock and one inode. Taking one out of the
 * middle rewrites its neighbour's dtime; the list in memory tells who that is.
 */
#include "orphan.h"

#include <errno.h>

#include "base/log.h"
#include "block/disk.h"
#include "error.h"
#include "ialloc.h"
#include "inode.h"
#include "truncate.h"

static int set_head(struct handle *h, struct ext *fs, inr_t ino)
{
	int err = meta_begin(h, fs->super_buffer);

	if (err)
		return err;
	ext_super_of(fs)->last_orphan = le32_make(ino);
	meta_end(h, fs->super_buffer);
	return 0;
}

static inr_t head(const struct ext *fs)
{
	return le32_get(ext_super_of(fs)->last_orphan);
}

int orphan_add(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	int err = 0;

	mutex_lock(&fs->orphan_lock);
	if (!list_empty(&info->orphan_link))
		goto out;
	err = ext_inode_set_dtime(h, inode, head(fs));
	if (!err)
		err = set_head(h, fs, inode->ino);
	if (!err)
		list_add(&fs->orphans, &info->orphan_link);
out:
	mutex_unlock(&fs->orphan_lock);
	return err;
}

int orphan_del(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	int err = 0;

	mutex_lock(&fs->orphan_lock);
	if (list_empty(&info->orphan_link))
		goto out;
	if (info->orphan_link.prev == &fs->orphans) {
		err = set_head(h, fs, info->dtime);
	} else {
		struct ext_inode_info *before = list_entry(info->orphan_link.prev, struct ext_inode_info, orphan_link);

		err = ext_inode_set_dtime(h, &before->vfs, info->dtime);
	}
	list_del(&info->orphan_link);
	err = first_error(err, ext_inode_set_dtime(h, inode, 0));
out:
	mutex_unlock(&fs->orphan_lock);
	return err;
}

/* The next orphan after this one, as the disk has it, put on the list in memory. */
static int adopt(struct ext *fs, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);

	if (!list_empty(&info->orphan_link))
		return -EUCLEAN;	/* the list runs in a ring */
	mutex_lock(&fs->orphan_lock);
	list_add(&fs->orphans, &info->orphan_link);
	mutex_unlock(&fs->orphan_lock);
	return 0;
}

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
		err = set_head(&h, fs, 0);
	return first_error(err, handle_stop(&h));
}

int orphan_cleanup(struct ext *fs)
{
	unsigned nr_freed = 0, nr_truncated = 0;
	int err = 0;

	while (head(fs) && !err) {
		inr_t ino = head(fs);
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
		err = adopt(fs, inode);
		if (!err)
			err = finish_orphan(fs, inode, &nr_freed, &nr_truncated);
		inode_put(inode);
		if (!err && head(fs) == ino)
			return cut_list(fs, ino);
	}
	if (nr_freed || nr_truncated)
		log_notice("%s: %u unlinked files freed, %u truncations finished", disk_name(fs->sb.disk), nr_freed,
			   nr_truncated);
	return err;
}
