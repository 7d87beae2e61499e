/*
 * Attributes, wishes and errors across the border to libfuse.
 */
#include "convert.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/assert.h"

int convert_error(int err)
{
	switch (err) {
	case 0:
	case -EPERM:
	case -ENOENT:
	case -EIO:
	case -ENXIO:
	case -EBADF:
	case -ENOMEM:
	case -EACCES:
	case -EBUSY:
	case -EEXIST:
	case -ENOTTY:
	case -EXDEV:
	case -ENODEV:
	case -ENOTDIR:
	case -EISDIR:
	case -EINVAL:
	case -EFBIG:
	case -ENOSPC:
	case -EROFS:
	case -EMLINK:
	case -ERANGE:
	case -ENAMETOOLONG:
	case -ENOTEMPTY:
	case -ELOOP:
	case -ENODATA:
	case -EOVERFLOW:
	case -EOPNOTSUPP:
	case -ESTALE:
	case -EUCLEAN:
	case -E2BIG:
	case -EINTR:
	case -ENOSYS:
		return -err;
	default:
		must(!"an error that no caller may see");
		return EIO;
	}
}

void convert_attr(const struct inode *inode, const struct inode_attr *attr, struct stat *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->st_ino = inode->ino;
	ret->st_mode = attr->mode;
	ret->st_nlink = attr->nlink;
	ret->st_uid = attr->uid;
	ret->st_gid = attr->gid;
	ret->st_rdev = makedev(attr->rdev_major, attr->rdev_minor);
	ret->st_size = (off_t)attr->size_bytes;
	ret->st_blocks = (blkcnt_t)attr->blocks_512;
	ret->st_blksize = inode->sb->block_bytes;
	ret->st_atim = attr->atime;
	ret->st_mtim = attr->mtime;
	ret->st_ctim = attr->ctime;
}

void convert_inode(struct inode *inode, struct stat *ret)
{
	struct inode_attr attr;

	inode_attr(inode, &attr);
	convert_attr(inode, &attr, ret);
}

static bool is_time(struct timespec t)
{
	return t.tv_nsec >= 0 && t.tv_nsec < (long)NSEC_PER_SEC;
}

int convert_setattr(const struct stat *st, int to_set, struct setattr *ret)
{
	static const struct { int theirs; uint32_t ours; } bits[] = {
		{FUSE_SET_ATTR_MODE, SETATTR_MODE},
		{FUSE_SET_ATTR_UID, SETATTR_UID},
		{FUSE_SET_ATTR_GID, SETATTR_GID},
		{FUSE_SET_ATTR_SIZE, SETATTR_SIZE},
		{FUSE_SET_ATTR_ATIME, SETATTR_ATIME},
		{FUSE_SET_ATTR_MTIME, SETATTR_MTIME},
		{FUSE_SET_ATTR_CTIME, SETATTR_CTIME},
		{FUSE_SET_ATTR_ATIME_NOW, SETATTR_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, SETATTR_MTIME_NOW},
	};
	struct setattr sa = {
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size_bytes = (uint64_t)st->st_size,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};

	for (size_t i = 0; i < array_size(bits); i++)
		if (to_set & bits[i].theirs)
			sa.valid |= bits[i].ours;
	/* The kernel sets the plain bit beside NOW; the time is then ours to take. */
	if (sa.valid & SETATTR_ATIME_NOW)
		sa.valid &= ~(uint32_t)SETATTR_ATIME;
	if (sa.valid & SETATTR_MTIME_NOW)
		sa.valid &= ~(uint32_t)SETATTR_MTIME;
	if (((sa.valid & SETATTR_ATIME) && !is_time(sa.atime)) ||
	    ((sa.valid & SETATTR_MTIME) && !is_time(sa.mtime)) ||
	    ((sa.valid & SETATTR_CTIME) && !is_time(sa.ctime)))
		return -EINVAL;
	*ret = sa;
	return 0;
}

void convert_statfs(const struct statfs_info *info, struct statvfs *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->f_bsize = info->block_bytes;
	ret->f_frsize = info->block_bytes;
	ret->f_blocks = info->blocks;
	ret->f_bfree = info->blocks_free;
	ret->f_bavail = info->blocks_available;
	ret->f_files = info->files;
	ret->f_ffree = info->files_free;
	ret->f_favail = info->files_free;
	ret->f_fsid = info->fsid;
	ret->f_namemax = info->name_max;
}

void convert_cred(const struct fuse_ctx *ctx, struct cred *ret)
{
	*ret = (struct cred){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.umask = ctx->umask,
		.has_fsetid = ctx->uid == 0,
	};
}

struct name convert_name(const char *text)
{
	return (struct name){.text = text, .len_bytes = (uint32_t)strlen(text)};
}
