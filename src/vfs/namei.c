/*
 * Operations on names, but for rename, which has a file of its own: look up, create, link, remove.
 *
 * Each has the same shape: what can be said without a lock; the directory's lock; what can be
 * said of the name; the victim's lock, below the directory's; the file system's own work; what
 * the dentry table learns; unlock; the sync that the mount asks for; and only then references
 * are dropped, since the last one may free a file. src/LOCKING.md has the order of the locks.
 */
#include "vfs/namei.h"

#include <errno.h>

#include "vfs.h"
#include "vfs/attr.h"

/* Inner answer: the victim is locked by another. Never leaves this file. */
#define VICTIM_IS_BUSY (-EAGAIN)

/* Look-up. */

static int lookup_parent(struct inode *dir, struct inode **ret_inode)
{
	inr_t ino;
	int err;

	if (dir == dir->sb->root) {
		*ret_inode = inode_ref(dir);
		return 0;
	}
	rwlock_read_lock(&dir->lock);
	err = dir->attr.nlink ? dir->iops->parent(dir, &ino) : -ENOENT;
	if (!err)
		err = inode_get(dir->sb, ino, ret_inode);
	rwlock_read_unlock(&dir->lock);
	return err == -ESTALE ? -EUCLEAN : err;
}

int vfs_lookup(struct inode *dir, const struct name *name, struct inode **ret_inode)
{
	int err;

	err = name_check(dir, name);
	if (err)
		return err;
	if (name_is_dotdot(name))
		return lookup_parent(dir, ret_inode);
	if (name_is_dot(name)) {
		*ret_inode = inode_ref(dir);
		return 0;
	}
	rwlock_read_lock(&dir->lock);
	err = name_find(dir, name, ret_inode);
	rwlock_read_unlock(&dir->lock);
	return err;
}

/* Create. */

/* What a change of names owes to -o sync and to the sync flags of the directory. */
static int sync_names(struct inode *dir, struct inode *inode)
{
	int err;

	err = inode_sync_if_asked(dir, INODE_SYNC | INODE_DIRSYNC);
	if (inode)
		err = first_error(err, inode_sync_if_asked(inode, INODE_SYNC));
	return err;
}

static int check_new_links(const struct inode *dir, mode_t mode)
{
	return S_ISDIR(mode) && dir->attr.nlink >= dir->sb->links_max ? -EMLINK : 0;
}

static int create_locked(struct inode *dir, const struct name *name, struct new_inode *wish,
			 const struct cred *cred, struct inode **ret_inode)
{
	int err;

	err = name_check_free(dir, name);
	if (!err)
		err = check_new_links(dir, wish->mode);
	if (err)
		return err;
	attr_inherit(dir, wish->mode, cred, wish);
	err = dir->iops->create(dir, name, wish, ret_inode);
	if (err)
		dentry_forget(dir->sb->dentries, dir->ino, name);
	else
		dentry_set(dir->sb->dentries, dir->ino, name, (*ret_inode)->ino);
	return err;
}

static int create(struct inode *dir, const struct name *name, struct new_inode *wish,
		  const struct cred *cred, struct inode **ret_inode)
{
	struct inode *inode;
	int err;

	err = name_check_change(dir, name);
	if (err)
		return err;
	rwlock_write_lock(&dir->lock);
	err = create_locked(dir, name, wish, cred, &inode);
	rwlock_write_unlock(&dir->lock);
	if (err)
		return err;
	err = sync_names(dir, inode);
	if (err)
		inode_put(inode);
	else
		*ret_inode = inode;
	return err;
}

int vfs_mknod(struct inode *dir, const struct name *name, mode_t mode, uint32_t rdev_major,
	      uint32_t rdev_minor, const struct cred *cred, struct inode **ret_inode)
{
	struct new_inode wish = {.mode = mode};

	switch (mode & S_IFMT) {
	case 0:
		wish.mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		wish.rdev_major = rdev_major;
		wish.rdev_minor = rdev_minor;
		break;
	default:
		return -EINVAL;
	}
	return create(dir, name, &wish, cred, ret_inode);
}

int vfs_symlink(struct inode *dir, const struct name *name, const char *target,
		const struct cred *cred, struct inode **ret_inode)
{
	struct new_inode wish = {.mode = S_IFLNK | 0777, .symlink = target};
	size_t len = strlen(target);

	if (len == 0)
		return -ENOENT;
	if (len > VFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	wish.symlink_bytes = (uint32_t)len;
	return create(dir, name, &wish, cred, ret_inode);
}

int vfs_tmpfile(struct inode *dir, mode_t mode, const struct cred *cred, struct inode **ret_inode)
{
	struct new_inode wish;
	int err = 0;

	if (!inode_is_dir(dir))
		return -ENOTDIR;
	if (super_is_read_only(dir->sb))
		return -EROFS;
	if (!dir->iops->tmpfile)
		return -EOPNOTSUPP;
	rwlock_write_lock(&dir->lock);
	if (dir->attr.nlink == 0)
		err = -ENOENT;
	else if (dir->attr.flags & INODE_IMMUTABLE)
		err = -EPERM;
	if (!err) {
		wish = (struct new_inode){0};
		attr_inherit(dir, S_IFREG | (mode & 07777), cred, &wish);
		err = dir->iops->tmpfile(dir, &wish, ret_inode);
	}
	rwlock_write_unlock(&dir->lock);
	return err;
}

/* Link. */

static int check_link(const struct inode *inode)
{
	if (inode->attr.flags & (INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if (inode->attr.nlink == 0)
		return -ENOENT;
	return inode->attr.nlink >= inode->sb->links_max ? -EMLINK : 0;
}

/* dir is locked; inode is no directory, so that its lock comes after dir's. */
static int link_locked(struct inode *dir, const struct name *name, struct inode *inode)
{
	int err;

	err = check_link(inode);
	if (err)
		return err;
	err = dir->iops->link(dir, name, inode);
	if (err)
		dentry_forget(dir->sb->dentries, dir->ino, name);
	else
		dentry_set(dir->sb->dentries, dir->ino, name, inode->ino);
	return err;
}

int vfs_link(struct inode *inode, struct inode *dir, const struct name *name, const struct cred *cred)
{
	int err;

	(void)cred;
	err = name_check_change(dir, name);
	if (err)
		return err;
	rwlock_write_lock(&dir->lock);
	err = name_check_free(dir, name);
	if (!err && inode_is_dir(inode))
		err = -EPERM;
	if (!err) {
		rwlock_write_lock_nested(&inode->lock);	/* a directory, then what is none */
		err = link_locked(dir, name, inode);
		rwlock_write_unlock(&inode->lock);
	}
	rwlock_write_unlock(&dir->lock);
	return err ? err : sync_names(dir, inode);
}

/* Remove. */

/* An unlink or rmdir: the two differ in the victim's type and in the file system's function. */
struct removal {
	struct inode *dir;
	const struct name *name;
	const struct cred *cred;
	int (*check_type)(const struct inode *victim);
	int (*remove)(struct inode *dir, const struct name *name, struct inode *victim);
};

static int check_unlink(const struct inode *victim)
{
	return inode_is_dir(victim) ? -EISDIR : 0;
}

static int check_rmdir(const struct inode *victim)
{
	if (!inode_is_dir(victim))
		return -ENOTDIR;
	return victim == victim->sb->root ? -EUCLEAN : 0;
}

/* dir and victim are locked. */
static int check_removal(const struct removal *rm, struct inode *victim)
{
	int err;

	err = attr_may_delete(rm->dir, victim, rm->cred);
	if (!err)
		err = rm->check_type(victim);
	return err ? err : name_check_child(rm->dir, victim);
}

static int remove_locked(const struct removal *rm, struct inode *victim)
{
	struct dentry_cache *dc = rm->dir->sb->dentries;
	int err;

	err = check_removal(rm, victim);
	if (err)
		return err;
	err = rm->remove(rm->dir, rm->name, victim);
	if (err) {
		dentry_forget(dc, rm->dir->ino, rm->name);
		return err;
	}
	dentry_set(dc, rm->dir->ino, rm->name, 0);
	if (inode_is_dir(victim))
		dentry_forget_dir(dc, victim->ino);
	return 0;
}

/*
 * The victim's lock, under its directory's. Nobody waits for a directory while he holds another,
 * but for a rename that is alone in doing so: then no damage of the tree can make two threads wait
 * for each other.
 */
static int lock_victim(const struct inode *dir, struct inode *victim)
{
	if (victim == dir)
		return -EUCLEAN;
	if (inode_is_dir(victim))
		return rwlock_write_trylock(&victim->lock) ? 0 : VICTIM_IS_BUSY;
	rwlock_write_lock_nested(&victim->lock);	/* a directory, then what is none */
	return 0;
}

/* dir is locked. The victim comes back with its reference, for the caller to drop unlocked. */
static int find_and_remove(const struct removal *rm, struct inode **ret_victim)
{
	struct inode *victim;
	int err;

	err = name_find(rm->dir, rm->name, &victim);
	if (err)
		return err;
	err = lock_victim(rm->dir, victim);
	if (!err) {
		err = remove_locked(rm, victim);
		rwlock_write_unlock(&victim->lock);
	}
	*ret_victim = victim;
	return err;
}

static void wait_for(struct inode *inode)
{
	rwlock_write_lock(&inode->lock);
	rwlock_write_unlock(&inode->lock);
}

static int remove_name(const struct removal *rm)
{
	struct inode *victim;
	int err;

	err = name_check_change(rm->dir, rm->name);
	if (err)
		return err;
	do {
		victim = NULL;
		rwlock_write_lock(&rm->dir->lock);
		err = find_and_remove(rm, &victim);
		rwlock_write_unlock(&rm->dir->lock);
		if (err == VICTIM_IS_BUSY)
			wait_for(victim);
		else if (!err)
			err = sync_names(rm->dir, NULL);
		inode_put(victim);
	} while (err == VICTIM_IS_BUSY);
	return err;
}

int vfs_unlink(struct inode *dir, const struct name *name, const struct cred *cred)
{
	const struct removal rm = {dir, name, cred, check_unlink, dir->iops->unlink};

	if (inode_is_dir(dir) && name_is_special(name))
		return -EISDIR;
	return remove_name(&rm);
}

int vfs_rmdir(struct inode *dir, const struct name *name, const struct cred *cred)
{
	const struct removal rm = {dir, name, cred, check_rmdir, dir->iops->rmdir};

	if (inode_is_dir(dir) && name_is_special(name))
		return name_is_dot(name) ? -EINVAL : -ENOTEMPTY;
	return remove_name(&rm);
}

/* One inode. */

ssize_t vfs_readlink(struct inode *inode, char *to, size_t size)
{
	struct inode_attr attr;
	bool is_due;
	ssize_t len;

	inode_attr(inode, &attr);
	if (!S_ISLNK(attr.mode))
		return -EINVAL;
	rwlock_read_lock(&inode->lock);
	len = inode->iops->readlink(inode, to, size);
	is_due = len >= 0 && attr_atime_is_due(inode, clock_wall(inode->sb->clock));
	rwlock_read_unlock(&inode->lock);
	if (is_due)
		inode_accessed(inode);
	return len;
}

int vfs_setattr(struct inode *inode, struct setattr *sa, const struct cred *cred)
{
	int err;

	if (super_is_read_only(inode->sb))
		return -EROFS;
	rwlock_write_lock(&inode->lock);
	err = attr_prepare(inode, sa, cred);
	if (!err)
		err = inode->iops->setattr(inode, sa);
	rwlock_write_unlock(&inode->lock);
	return err ? err : inode_sync_if_asked(inode, INODE_SYNC);
}
