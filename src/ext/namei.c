/*
 * Operations on names.
 *
 * Each is one handle: after a crash it happened or it did not. Inodes that lose their last name go
 * on the orphan list under the same handle, so that whoever recovers frees them. The order inside
 * a handle is chosen so that an error half-way leaves the tree as it was: what can fail for want
 * of space comes first.
 */
#include "namei.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cred.h"
#include "dir.h"
#include "error.h"
#include "inode.h"
#include "log.h"
#include "orphan.h"
#include "symlink.h"
#include "sync.h"
#include "truncate.h"
#include "vfs/attr.h"

static int ext_lookup(struct inode *dir, const struct name *name, inr_t *ret_ino)
{
	struct dir_slot slot;
	int err = dir_find(dir, name, &slot);

	if (err)
		return err;
	*ret_ino = slot.ino;
	dir_slot_put(&slot);
	if (!inode_nr_is_user(&ext_of(dir)->geo, *ret_ino))
		return ext_error(ext_of(dir), dir->ino, 0, "an entry names the reserved inode %u", *ret_ino);
	return 0;
}

/* The slot of a name that the vfs has just looked up. */
static int find_slot(struct inode *dir, const struct name *name, const struct inode *inode, struct dir_slot *ret_slot)
{
	int err = dir_find(dir, name, ret_slot);

	if (err)
		return err;
	if (ret_slot->ino == inode->ino)
		return 0;
	dir_slot_put(ret_slot);
	return -ENOENT;
}

static int start(struct inode *dir, uint32_t credits, struct handle *h)
{
	int err = ext_may_write(ext_of(dir));

	return err ? err : handle_start(ext_of(dir)->journal, credits, h);
}

/* ---- creating ---- */

/* What a new inode has besides its fields: the dots of a directory, the target of a symlink. */
static int fill_new(struct handle *h, struct inode *dir, struct inode *inode, const struct new_inode *wish,
		    bool may_use_reserved)
{
	if (S_ISDIR(wish->mode))
		return dir_make(h, inode, dir->ino, may_use_reserved);
	if (S_ISLNK(wish->mode))
		return symlink_set(h, inode, wish->symlink, wish->symlink_bytes, may_use_reserved);
	return 0;
}

/* A new inode that could not be finished: an orphan, freed by the put after the handle stopped. */
static void disown(struct handle *h, struct inode *inode)
{
	ext_set_nlink(inode, 0);
	ignore(orphan_add(h, inode), "the first error is the one to tell");
	ignore(ext_inode_write(h, inode), "as above");
}

static int make_named(struct handle *h, struct inode *dir, const struct name *name, const struct new_inode *wish,
		      struct inode *inode)
{
	bool may_use_reserved = ext_may_use_reserved(ext_of(dir), wish->cred);
	int err = fill_new(h, dir, inode, wish, may_use_reserved);

	if (!err)
		err = ext_inode_write(h, inode);
	if (!err && S_ISDIR(wish->mode))
		ext_set_nlink(dir, dir->attr.nlink + 1);
	if (err)
		return err;
	err = dir_add(h, dir, name, inode, may_use_reserved);
	if (err && S_ISDIR(wish->mode)) {
		/* It was written with the link of the child that did not come. */
		ext_set_nlink(dir, dir->attr.nlink - 1);
		ignore(ext_inode_write(h, dir), "the first error is the one to tell");
	}
	return err;
}

static int create_once(struct inode *dir, const struct name *name, const struct new_inode *wish,
		       struct inode **ret_inode)
{
	bool is_device = S_ISCHR(wish->mode) || S_ISBLK(wish->mode);
	struct inode *inode = NULL;
	struct handle h;
	int err;

	if (is_device && !device_is_encodable(makedev(wish->rdev_major, wish->rdev_minor)))
		return -EINVAL;
	err = start(dir, CREDITS_CREATE, &h);
	if (err)
		return err;
	err = ext_inode_new(&h, dir, wish, S_ISDIR(wish->mode) ? 2 : 1, &inode);
	if (!err) {
		err = make_named(&h, dir, name, wish, inode);
		if (err)
			disown(&h, inode);
		inode_set_live(inode);
	}
	err = first_error(err, handle_stop(&h));
	err = ext_finish_names(dir, err);
	if (err)
		inode_put(inode);
	else
		*ret_inode = inode;
	return err;
}

static int ext_create(struct inode *dir, const struct name *name, const struct new_inode *wish,
		      struct inode **ret_inode)
{
	unsigned tries = 0;
	int err;

	do
		err = create_once(dir, name, wish, ret_inode);
	while (log_frees_space(ext_of(dir), err, &tries));
	return err;
}

static int ext_tmpfile(struct inode *dir, const struct new_inode *wish, struct inode **ret_inode)
{
	struct inode *inode = NULL;
	struct handle h;
	int err = start(dir, CREDITS_CREATE, &h);

	if (err)
		return err;
	err = ext_inode_new(&h, dir, wish, 0, &inode);
	if (!err) {
		err = orphan_add(&h, inode);
		inode_set_live(inode);
	}
	err = first_error(err, handle_stop(&h));
	if (err)
		inode_put(inode);
	else
		*ret_inode = inode;
	return err;
}

/* ---- linking and removing ---- */

static int link_once(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct handle h;
	int err = start(dir, CREDITS_DIR_ADD + CREDITS_INODE + CREDITS_ORPHAN, &h);

	if (err)
		return err;
	err = dir_add(&h, dir, name, inode, false);
	if (err)
		goto out_stop;
	ext_set_nlink(inode, inode->attr.nlink + 1);
	err = ext_inode_write(&h, inode);
	if (!err && inode->attr.nlink == 1)
		err = orphan_del(&h, inode);
out_stop:
	return ext_finish_names(dir, first_error(err, handle_stop(&h)));
}

static int ext_link(struct inode *dir, const struct name *name, struct inode *inode)
{
	unsigned tries = 0;
	int err;

	do
		err = link_once(dir, name, inode);
	while (log_frees_space(ext_of(dir), err, &tries));
	return err;
}

/* The inode lost a name; without any it becomes an orphan. */
static int drop_link(struct handle *h, struct inode *inode, uint32_t nlink)
{
	int err = 0;

	ext_set_nlink(inode, nlink);
	if (nlink == 0)
		err = orphan_add(h, inode);
	return first_error(err, ext_inode_write(h, inode));
}

/* A damaged link count of 0 must not become four thousand millions. */
static uint32_t one_less(const struct inode *inode)
{
	return inode->attr.nlink ? inode->attr.nlink - 1 : 0;
}

static int ext_unlink(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct dir_slot slot;
	struct handle h;
	int err = find_slot(dir, name, inode, &slot);

	if (err)
		return err;
	err = start(dir, CREDITS_UNLINK, &h);
	if (err)
		goto out_put;
	err = dir_remove(&h, dir, &slot);
	if (!err)
		err = drop_link(&h, inode, one_less(inode));
	err = first_error(err, handle_stop(&h));
out_put:
	dir_slot_put(&slot);
	return ext_finish_names(dir, err);
}

static int must_be_empty(struct inode *dir)
{
	bool is_empty;
	int err = dir_is_empty(dir, &is_empty);

	return err ? err : is_empty ? 0 : -ENOTEMPTY;
}

static int ext_rmdir(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct dir_slot slot;
	struct handle h;
	int err = must_be_empty(inode);

	if (!err)
		err = find_slot(dir, name, inode, &slot);
	if (err)
		return err;
	err = start(dir, CREDITS_UNLINK, &h);
	if (err)
		goto out_put;
	err = dir_remove(&h, dir, &slot);
	if (!err) {
		ext_set_nlink(dir, max(one_less(dir), 2u));
		err = ext_inode_write(&h, dir);
	}
	if (!err)
		err = drop_link(&h, inode, 0);
	err = first_error(err, handle_stop(&h));
out_put:
	dir_slot_put(&slot);
	return ext_finish_names(dir, err);
}

/* ---- renaming ---- */

/* A directory that changes its parent: "..", and the parents' link counts. */
static int move_dir(struct handle *h, struct inode *dir, struct inode *from, struct inode *to)
{
	int err = dir_set_parent(h, dir, to);

	if (err)
		return err;
	ext_set_nlink(from, max(one_less(from), 2u));
	ext_set_nlink(to, to->attr.nlink + 1);
	err = ext_inode_write(h, from);
	return first_error(err, ext_inode_write(h, to));
}

static int touch_moved(struct handle *h, struct inode *inode)
{
	attr_touch(inode, SETATTR_CTIME);
	return ext_inode_write(h, inode);
}

static int exchange(struct handle *h, const struct rename *r, const struct dir_slot *old, const struct dir_slot *new)
{
	bool crosses = r->old_dir != r->new_dir;
	int err = dir_replace(h, r->old_dir, old, r->target);

	if (!err)
		err = dir_replace(h, r->new_dir, new, r->inode);
	if (!err && crosses && inode_is_dir(r->inode))
		err = move_dir(h, r->inode, r->old_dir, r->new_dir);
	if (!err && crosses && inode_is_dir(r->target))
		err = move_dir(h, r->target, r->new_dir, r->old_dir);
	if (!err)
		err = touch_moved(h, r->inode);
	return err ? err : touch_moved(h, r->target);
}

/* What was under the new name loses it. */
static int drop_target(struct handle *h, const struct rename *r)
{
	int err;

	if (!inode_is_dir(r->target))
		return drop_link(h, r->target, one_less(r->target));
	ext_set_nlink(r->new_dir, max(one_less(r->new_dir), 2u));
	err = ext_inode_write(h, r->new_dir);
	return err ? err : drop_link(h, r->target, 0);
}

/* The whiteout that takes the old name: a character device 0:0. */
static int make_whiteout(struct handle *h, const struct rename *r, struct inode **ret_inode)
{
	struct new_inode wish;
	int err;

	attr_inherit(r->old_dir, S_IFCHR, r->cred, &wish);
	wish.rdev_major = wish.rdev_minor = 0;
	err = ext_inode_new(h, r->old_dir, &wish, 1, ret_inode);
	if (!err)
		inode_set_live(*ret_inode);
	return err;
}

/* *ret_whiteout is the caller's to put, after the handle stopped: the last put may start one. */
static int move(struct handle *h, const struct rename *r, const struct dir_slot *old, const struct dir_slot *new,
		struct inode **ret_whiteout)
{
	bool may_use_reserved = ext_may_use_reserved(ext_of(r->old_dir), r->cred);
	struct inode *whiteout = NULL;
	int err = 0;

	if (r->flags & RENAME_FLAG_WHITEOUT)
		err = make_whiteout(h, r, &whiteout);
	*ret_whiteout = whiteout;
	if (!err && r->target)
		err = dir_replace(h, r->new_dir, new, r->inode);
	else if (!err)
		err = dir_add(h, r->new_dir, r->new_name, r->inode, may_use_reserved);
	if (err) {
		if (whiteout)
			disown(h, whiteout);
		return err;
	}
	err = whiteout ? dir_replace(h, r->old_dir, old, whiteout) : dir_remove(h, r->old_dir, old);
	if (!err && inode_is_dir(r->inode) && r->old_dir != r->new_dir)
		err = move_dir(h, r->inode, r->old_dir, r->new_dir);
	if (!err && r->target)
		err = drop_target(h, r);
	return err ? err : touch_moved(h, r->inode);
}

static int rename_once(const struct rename *r)
{
	struct dir_slot old = {0}, new = {0};
	bool exchanges = r->flags & RENAME_FLAG_EXCHANGE;
	struct inode *whiteout = NULL;
	struct handle h;
	int err = 0;

	if (r->target && !exchanges && inode_is_dir(r->target))
		err = must_be_empty(r->target);
	if (!err)
		err = find_slot(r->old_dir, r->old_name, r->inode, &old);
	if (!err && r->target)
		err = find_slot(r->new_dir, r->new_name, r->target, &new);
	if (err)
		goto out_put;
	err = start(r->old_dir, CREDITS_RENAME, &h);
	if (err)
		goto out_put;
	err = exchanges ? exchange(&h, r, &old, &new) : move(&h, r, &old, &new, &whiteout);
	err = first_error(err, handle_stop(&h));
	inode_put(whiteout);
out_put:
	dir_slot_put(&old);
	dir_slot_put(&new);
	err = ext_finish_names(r->old_dir, err);
	return r->old_dir == r->new_dir ? err : ext_finish_names(r->new_dir, err);
}

static int ext_rename(const struct rename *r)
{
	unsigned tries = 0;
	int err;

	do
		err = rename_once(r);
	while (log_frees_space(ext_of(r->old_dir), err, &tries));
	return err;
}

/* ---- attributes ---- */

static int ext_setattr(struct inode *inode, const struct setattr *sa)
{
	struct setattr settled = *sa;
	bool has_extra = info_of(inode)->extra_isize != 0;
	struct handle h;
	int err = ext_may_write(ext_of(inode));

	if (!err && (sa->valid & SETATTR_SIZE))
		err = ext_truncate(inode, sa->size_bytes);
	if (err)
		return err;
	settled.atime = inode_clamp_time(sa->atime, has_extra);
	settled.mtime = inode_clamp_time(sa->mtime, has_extra);
	settled.ctime = inode_clamp_time(sa->ctime, has_extra);
	err = handle_start(ext_of(inode)->journal, CREDITS_INODE, &h);
	if (err)
		return err;
	attr_apply(inode, &settled);
	err = ext_inode_write(&h, inode);
	return ext_finish_names(inode, first_error(err, handle_stop(&h)));
}

const struct inode_ops ext_inode_ops = {
	.lookup = ext_lookup,
	.create = ext_create,
	.link = ext_link,
	.unlink = ext_unlink,
	.rmdir = ext_rmdir,
	.rename = ext_rename,
	.readlink = symlink_read,
	.setattr = ext_setattr,
	.tmpfile = ext_tmpfile,
	.parent = dir_parent,
};
