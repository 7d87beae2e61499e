/*
 * The attribute rules: inheritance, set-id bits, times, flags, sticky directories.
 *
 * Whether the caller may do a thing at all (owner, mode bits, ACLs, membership in groups) is the
 * kernel's to say and was said before. What is left are the consequences, and the rules that the
 * kernel cannot apply for a FUSE file system because it does not see our inode flags.
 */
#include "vfs/attr.h"

#include <errno.h>

#include "base/assert.h"
#include "vfs.h"

#define RELATIME_SECONDS (24 * 60 * 60)

void attr_inherit(const struct inode *dir, mode_t mode, const struct cred *cred, struct new_inode *wish)
{
	bool is_setgid = dir->attr.mode & S_ISGID;

	wish->mode = mode;
	wish->uid = cred->uid;
	wish->gid = is_setgid || dir->sb->has_bsd_groups ? dir->attr.gid : cred->gid;
	if (is_setgid && S_ISDIR(mode))
		wish->mode |= S_ISGID;
	wish->cred = cred;
}

mode_t attr_without_setid(mode_t mode)
{
	mode &= ~(mode_t)S_ISUID;
	/* Set-group-id without group-execute once marked mandatory locking: it gives nobody rights. */
	if (mode & S_IXGRP)
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

/*
 * A request for mtime and ctime alone, both given: the kernel's, telling the times of writes that
 * it cached. It comes for append-only files as well, and refusing it would fail their fsync.
 */
static bool is_cached_times(uint32_t valid)
{
	return valid == (SETATTR_MTIME | SETATTR_CTIME);
}

static int check_flags(const struct inode *inode, uint32_t valid)
{
	const uint32_t append_may = SETATTR_ATIME_NOW | SETATTR_MTIME_NOW | SETATTR_CTIME | SETATTR_KILL_PRIV;

	if (is_cached_times(valid))
		return 0;
	if (inode->attr.flags & INODE_IMMUTABLE)
		return -EPERM;
	if ((inode->attr.flags & INODE_APPEND) && (valid & ~append_may))
		return -EPERM;
	return 0;
}

static int check_size(const struct inode *inode, uint64_t size_bytes)
{
	if (S_ISDIR(inode->attr.mode))
		return -EISDIR;
	if (!S_ISREG(inode->attr.mode))
		return -EINVAL;
	return size_bytes > inode->sb->file_bytes_max ? -EFBIG : 0;
}

/* A change of owner, a truncate without privilege, or a plain demand takes set-id bits away. */
static bool kills_setid(const struct inode *inode, const struct setattr *sa, const struct cred *cred)
{
	if (S_ISDIR(inode->attr.mode))
		return false;
	if (sa->valid & (SETATTR_UID | SETATTR_GID | SETATTR_KILL_PRIV))
		return true;
	return (sa->valid & SETATTR_SIZE) && !cred->has_fsetid;
}

static void settle_mode(const struct inode *inode, struct setattr *sa, const struct cred *cred)
{
	if (sa->valid & SETATTR_MODE) {
		/* An explicit mode is what the caller wants to see afterwards. */
		sa->mode = (inode->attr.mode & S_IFMT) | (sa->mode & 07777);
	} else if (kills_setid(inode, sa, cred) &&
		   attr_without_setid(inode->attr.mode) != inode->attr.mode) {
		sa->mode = attr_without_setid(inode->attr.mode);
		sa->valid |= SETATTR_MODE;
	}
	sa->valid &= ~SETATTR_KILL_PRIV;
}

static void settle_times(const struct inode *inode, struct setattr *sa)
{
	struct timespec now = clock_wall(inode->sb->clock);

	if (sa->valid & SETATTR_ATIME_NOW)
		sa->atime = now;
	if ((sa->valid & SETATTR_MTIME_NOW) ||
	    (sa->valid & (SETATTR_SIZE | SETATTR_MTIME)) == SETATTR_SIZE)
		sa->mtime = now;
	if (!(sa->valid & SETATTR_CTIME))
		sa->ctime = now;
	if (sa->valid & SETATTR_ATIME_NOW)
		sa->valid |= SETATTR_ATIME;
	if (sa->valid & (SETATTR_MTIME_NOW | SETATTR_SIZE))
		sa->valid |= SETATTR_MTIME;
	sa->valid |= SETATTR_CTIME;
	sa->valid &= ~(SETATTR_ATIME_NOW | SETATTR_MTIME_NOW);
}

int attr_prepare(struct inode *inode, struct setattr *sa, const struct cred *cred)
{
	int err = check_flags(inode, sa->valid);

	if (!err && (sa->valid & SETATTR_SIZE))
		err = check_size(inode, sa->size_bytes);
	if (err)
		return err;
	settle_mode(inode, sa, cred);
	settle_times(inode, sa);
	return 0;
}

void attr_apply(struct inode *inode, const struct setattr *sa)
{
	struct inode_attr *attr = &inode->attr;

	mutex_lock(&inode->attr_lock);
	if (sa->valid & SETATTR_MODE)	/* atomic: inode_is_dir() reads it without a lock */
		__atomic_store_n(&attr->mode, sa->mode, __ATOMIC_RELAXED);
	if (sa->valid & SETATTR_UID)
		attr->uid = sa->uid;
	if (sa->valid & SETATTR_GID)
		attr->gid = sa->gid;
	if (sa->valid & SETATTR_ATIME)
		attr->atime = sa->atime;
	if (sa->valid & SETATTR_MTIME)
		attr->mtime = sa->mtime;
	if (sa->valid & SETATTR_CTIME)
		attr->ctime = sa->ctime;
	mutex_unlock(&inode->attr_lock);
}

static bool is_before_or_at(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

bool attr_atime_is_due(const struct inode *inode, struct timespec now)
{
	const struct inode_attr *attr = &inode->attr;

	if (super_is_read_only(inode->sb) || (attr->flags & INODE_NOATIME))
		return false;
	switch (inode->sb->atime_mode) {
	case ATIME_NONE:
		return false;
	case ATIME_STRICT:
		return !(attr->atime.tv_sec == now.tv_sec && attr->atime.tv_nsec == now.tv_nsec);
	case ATIME_RELATIME:
		break;
	}
	return is_before_or_at(attr->atime, attr->mtime) || is_before_or_at(attr->atime, attr->ctime) ||
	       now.tv_sec - attr->atime.tv_sec >= RELATIME_SECONDS;
}

int attr_may_delete(const struct inode *dir, const struct inode *victim, const struct cred *cred)
{
	if (dir->attr.flags & (INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if (victim->attr.flags & (INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if ((dir->attr.mode & S_ISVTX) && cred->uid != 0 && cred->uid != victim->attr.uid &&
	    cred->uid != dir->attr.uid)
		return -EPERM;
	return 0;
}

void attr_touch(struct inode *inode, uint32_t which)
{
	struct timespec now = clock_wall(inode->sb->clock);
	struct setattr sa = {.valid = which, .atime = now, .mtime = now, .ctime = now};

	must((which & ~(SETATTR_ATIME | SETATTR_MTIME | SETATTR_CTIME)) == 0);
	attr_apply(inode, &sa);
}

void inode_accessed(struct inode *inode)
{
	struct setattr sa = {.valid = SETATTR_ATIME, .atime = clock_wall(inode->sb->clock)};

	rwlock_write_lock(&inode->lock);
	/* Another reader may have been here first. */
	if (attr_atime_is_due(inode, sa.atime))
		ignore(inode->iops->setattr(inode, &sa), "a read succeeds even if its time cannot be kept");
	rwlock_write_unlock(&inode->lock);
}

int inode_sync_if_asked(struct inode *inode, uint32_t flags)
{
	struct inode_attr attr;

	inode_attr(inode, &attr);
	if (!inode->sb->is_sync && !(attr.flags & flags))
		return 0;
	return inode->fops->fsync(inode, false);
}
