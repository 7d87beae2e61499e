/*
 * vfs/namei.h - operations on names, with their lock order.
 *
 * Purpose     Look up, create, link, remove, rename. Permission of the caller was checked by the
 *             kernel (default_permissions); everything else is checked here.
 * Ownership   Directories are the caller's references; ret_inode is a new reference.
 * Locking     Takes inode locks as src/LOCKING.md says: the mount's rename lock, parents before
 *             children, else by inode number.
 * Errors      POSIX's: -ENOENT, -EEXIST, -ENOTDIR, -EISDIR, -ENOTEMPTY, -ENAMETOOLONG, -EINVAL,
 *             -EMLINK, -EPERM, -EXDEV never, -EROFS, -ENOSPC.
 */
#ifndef VFS_NAMEI_H
#define VFS_NAMEI_H

#include "vfs/inode.h"
#include "vfs/super.h"

#define VFS_NAME_MAX 255u
#define VFS_SYMLINK_MAX 4095u

/* "." and ".." work too. */
int vfs_lookup(struct inode *dir, const struct name *name, struct inode **ret_inode) must_check;
/* mode carries the type: regular, directory, device, fifo, socket. The umask was applied by the caller. */
int vfs_mknod(struct inode *dir, const struct name *name, mode_t mode, uint32_t rdev_major,
	      uint32_t rdev_minor, const struct cred *cred, struct inode **ret_inode) must_check;
int vfs_symlink(struct inode *dir, const struct name *name, const char *target,
		const struct cred *cred, struct inode **ret_inode) must_check;
int vfs_link(struct inode *inode, struct inode *dir, const struct name *name, const struct cred *cred) must_check;
int vfs_unlink(struct inode *dir, const struct name *name, const struct cred *cred) must_check;
int vfs_rmdir(struct inode *dir, const struct name *name, const struct cred *cred) must_check;
int vfs_rename(struct inode *old_dir, const struct name *old_name, struct inode *new_dir,
	       const struct name *new_name, uint32_t flags, const struct cred *cred) must_check;
ssize_t vfs_readlink(struct inode *inode, char *to, size_t size) must_check;
int vfs_setattr(struct inode *inode, struct setattr *sa, const struct cred *cred) must_check;
int vfs_tmpfile(struct inode *dir, mode_t mode, const struct cred *cred, struct inode **ret_inode) must_check;

#endif
