/*
 * One name in one directory: checked, found, free. The steps that all operations on names share.
 */
#include "vfs.h"

#include <errno.h>

#include "vfs/namei.h"

int name_check(const struct inode *dir, const struct name *name)
{
	if (!inode_is_dir(dir))
		return -ENOTDIR;
	if (name->len_bytes == 0)
		return -ENOENT;
	return name->len_bytes > VFS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int name_check_change(const struct inode *dir, const struct name *name)
{
	int err = name_check(dir, name);

	if (!err && super_is_read_only(dir->sb))
		err = -EROFS;
	return err;
}

/* The number behind a name, from the table or from the file system, which then teaches the table. */
static int find_ino(struct inode *dir, const struct name *name, inr_t *ret_ino)
{
	struct dentry_cache *dc = dir->sb->dentries;
	int err;

	if (dir->attr.nlink == 0)
		return -ENOENT;
	switch (dentry_find(dc, dir->ino, name, ret_ino)) {
	case DENTRY_POSITIVE:
		return 0;
	case DENTRY_NEGATIVE:
		return -ENOENT;
	case DENTRY_UNKNOWN:
		break;
	}
	err = dir->iops->lookup(dir, name, ret_ino);
	if (!err)
		dentry_set(dc, dir->ino, name, *ret_ino);
	else if (err == -ENOENT)
		dentry_set(dc, dir->ino, name, 0);
	return err;
}

int name_find(struct inode *dir, const struct name *name, struct inode **ret_inode)
{
	inr_t ino;
	int err;

	err = find_ino(dir, name, &ino);
	if (err)
		return err;
	/* The directory's lock keeps the inode's link, so the number cannot change its owner. */
	err = inode_get(dir->sb, ino, ret_inode);
	return err == -ESTALE ? -EUCLEAN : err;
}

int name_check_free(struct inode *dir, const struct name *name)
{
	inr_t ino;
	int err;

	if (name_is_special(name))
		return -EEXIST;
	err = find_ino(dir, name, &ino);
	if (!err)
		return -EEXIST;
	if (err != -ENOENT || dir->attr.nlink == 0)
		return err;
	return dir->attr.flags & INODE_IMMUTABLE ? -EPERM : 0;
}

int name_check_child(const struct inode *dir, struct inode *child)
{
	inr_t parent;
	int err;

	if (!inode_is_dir(child))
		return 0;
	err = child->iops->parent(child, &parent);
	if (!err && parent != dir->ino)
		err = -EUCLEAN;
	return err;
}
