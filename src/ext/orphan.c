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

#include "inode.h"

int orphan_set_head(struct handle *h, struct ext *fs, inr_t ino)
{
	int err = meta_begin(h, fs->super_buffer);

	if (err)
		return err;
	ext_super_of(fs)->last_orphan = le32_make(ino);
	meta_end(h, fs->super_buffer);
	return 0;
}

inr_t orphan_head(const struct ext *fs)
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
	err = ext_inode_set_dtime(h, inode, orphan_head(fs));
	if (!err)
		err = orphan_set_head(h, fs, inode->ino);
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
		err = orphan_set_head(h, fs, info->dtime);
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
