/*
 * Rename: which locks, in which order, and the rules.
 *
 * A rename may hold four inode locks, where everybody else waits for a second one only when that
 * is no directory (src/LOCKING.md). So no ring of waiters can close as long as
 *
 * C1  a rename between two directories, and one that moves or replaces a directory, holds the
 *     mount's rename lock: one thread at a time waits for a directory while it holds another.
 * C2  directories are locked before what is none, and the latter by number. Among directories an
 *     ancestor comes first, then the lower number: not needed by C1, but it costs nothing.
 * C3  with the rename lock held nobody else changes which directory lies below which, so what
 *     the walk up from a directory found is still true when the locks are held.
 *
 * Whether a directory is involved is known only after a look-up under the parent's lock. So a
 * rename inside one directory starts without the rename lock, and begins again with it when it
 * meets a directory.
 */
#include <errno.h>

#include "base/assert.h"
#include "vfs.h"
#include "vfs/attr.h"
#include "vfs/namei.h"

#define FLAGS_KNOWN (RENAME_FLAG_NOREPLACE | RENAME_FLAG_EXCHANGE | RENAME_FLAG_WHITEOUT)

/* Inner answer: begin again with the rename lock. Never leaves this file. */
#define NEEDS_RENAME_LOCK (-EAGAIN)

struct rename_work {
	struct rename r;
	bool has_rename_lock;
	/*
	 * Of a rename between two directories, the one of them that lies above the other has a
	 * child that leads there: moving it would make a loop, replacing it would cut off a tree.
	 * 0: there is none.
	 */
	inr_t above_new_dir, above_old_dir;
};

static bool has_flag(const struct rename_work *w, uint32_t flag)
{
	return w->r.flags & flag;
}

/* The walk upwards. */

/* The parent of dir, referenced; the rename lock is held. */
static int get_parent(struct inode *dir, struct inode **ret_parent)
{
	struct inode *parent;
	inr_t ino;
	int err;

	rwlock_read_lock(&dir->lock);
	err = dir->attr.nlink ? dir->iops->parent(dir, &ino) : -ENOENT;
	rwlock_read_unlock(&dir->lock);
	if (!err)
		err = inode_get(dir->sb, ino, &parent);
	if (err)
		return err == -ESTALE ? -EUCLEAN : err;
	if (!inode_is_dir(parent)) {
		inode_put(parent);
		return -EUCLEAN;
	}
	*ret_parent = parent;
	return 0;
}

/*
 * Looks for `above` among the ancestors of `start`, and gives the number of its child on the way
 * down to start (perhaps start itself), or 0. The rename lock is held. A damaged disk may lead in
 * a circle; the mark, moved on after 1, 2, 4, ... steps, is then met again (Brent 1980).
 */
static int find_way_down(struct inode *start, const struct inode *above, inr_t *ret_child)
{
	struct inode *at = inode_ref(start), *parent;
	uint64_t nr_steps = 0, next_mark = 1;
	inr_t mark = 0, child = 0;
	int err = 0;

	while (at != at->sb->root) {
		err = get_parent(at, &parent);
		if (err)
			break;
		if (parent == above)
			child = at->ino;
		if (parent->ino == mark)
			err = -EUCLEAN;
		inode_put(at);
		at = parent;
		if (child || err)
			break;
		if (++nr_steps == next_mark) {
			mark = at->ino;
			next_mark *= 2;
		}
	}
	inode_put(at);
	if (!err)
		*ret_child = child;
	return err;
}

static int find_relation(struct rename_work *w)
{
	int err;

	err = find_way_down(w->r.new_dir, w->r.old_dir, &w->above_new_dir);
	if (!err && !w->above_new_dir)
		err = find_way_down(w->r.old_dir, w->r.new_dir, &w->above_old_dir);
	return err;
}

/* The rules. */

static int check_kinds(const struct rename_work *w)
{
	bool moves_dir = inode_is_dir(w->r.inode);

	if (has_flag(w, RENAME_FLAG_EXCHANGE) || moves_dir == inode_is_dir(w->r.target))
		return 0;
	return moves_dir ? -ENOTDIR : -EISDIR;
}

/* Directories come and go: their parents' link counts have a bound. */
static int check_links(const struct rename_work *w)
{
	bool moves_dir = inode_is_dir(w->r.inode);
	bool replaces_dir = w->r.target && inode_is_dir(w->r.target);
	uint32_t links_max = w->r.old_dir->sb->links_max;

	if (w->r.old_dir == w->r.new_dir)
		return 0;
	if (moves_dir && !replaces_dir && w->r.new_dir->attr.nlink >= links_max)
		return -EMLINK;
	if (has_flag(w, RENAME_FLAG_EXCHANGE) && !moves_dir && replaces_dir &&
	    w->r.old_dir->attr.nlink >= links_max)
		return -EMLINK;
	return 0;
}

static int check_target(const struct rename_work *w)
{
	int err;

	if (!w->r.target)
		return w->r.new_dir->attr.flags & INODE_IMMUTABLE ? -EPERM : 0;
	err = attr_may_delete(w->r.new_dir, w->r.target, w->r.cred);
	return err ? err : check_kinds(w);
}

/* On a sound disk this follows from the tree. On a damaged one a name may lead anywhere. */
static int check_distinct(const struct rename *r)
{
	if (r->inode == r->old_dir || r->inode == r->new_dir)
		return -EUCLEAN;
	if (r->target && (r->target == r->old_dir || r->target == r->new_dir))
		return -EUCLEAN;
	return 0;
}

/* The same one step further, when all four are locked. */
static int check_children(const struct rename *r)
{
	int err;

	err = name_check_child(r->old_dir, r->inode);
	if (!err && r->target)
		err = name_check_child(r->new_dir, r->target);
	return err;
}

/* All four are locked. */
static int check_rules(const struct rename_work *w)
{
	int err;

	err = attr_may_delete(w->r.old_dir, w->r.inode, w->r.cred);
	if (!err)
		err = check_target(w);
	if (!err)
		err = check_links(w);
	if (!err)
		err = check_children(&w->r);
	return err;
}

/* Both directories are locked. Loops, and targets that are there or not against the flags' wish. */
static int check_tree(const struct rename_work *w)
{
	const struct rename *r = &w->r;

	if (r->target && has_flag(w, RENAME_FLAG_NOREPLACE))
		return -EEXIST;
	if (!r->target && has_flag(w, RENAME_FLAG_EXCHANGE))
		return -ENOENT;
	if (w->above_new_dir && r->inode->ino == w->above_new_dir)
		return -EINVAL;
	if (w->above_old_dir && r->target && r->target->ino == w->above_old_dir)
		return has_flag(w, RENAME_FLAG_EXCHANGE) ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* The work. */

static void update_dentries(const struct rename *r)
{
	struct dentry_cache *dc = r->old_dir->sb->dentries;

	if (r->flags & RENAME_FLAG_EXCHANGE)
		dentry_set(dc, r->old_dir->ino, r->old_name, r->target->ino);
	else if (r->flags & RENAME_FLAG_WHITEOUT)
		dentry_forget(dc, r->old_dir->ino, r->old_name);
	else
		dentry_set(dc, r->old_dir->ino, r->old_name, 0);
	dentry_set(dc, r->new_dir->ino, r->new_name, r->inode->ino);
	if (r->target && inode_is_dir(r->target) && !(r->flags & RENAME_FLAG_EXCHANGE))
		dentry_forget_dir(dc, r->target->ino);
}

static void forget_dentries(const struct rename *r)
{
	struct dentry_cache *dc = r->old_dir->sb->dentries;

	dentry_forget(dc, r->old_dir->ino, r->old_name);
	dentry_forget(dc, r->new_dir->ino, r->new_name);
}

/* C2: which of the two is locked first. */
static bool goes_first(const struct inode *a, const struct inode *b)
{
	if (inode_is_dir(a) != inode_is_dir(b))
		return inode_is_dir(a);
	return a->ino < b->ino;
}

static void lock_children(const struct rename *r)
{
	bool target_first = r->target && goes_first(r->target, r->inode);

	if (target_first)
		rwlock_write_lock_nested(&r->target->lock);
	rwlock_write_lock_nested(&r->inode->lock);
	if (r->target && !target_first)
		rwlock_write_lock_nested(&r->target->lock);
}

static void unlock_children(const struct rename *r)
{
	if (r->target)
		rwlock_write_unlock(&r->target->lock);
	rwlock_write_unlock(&r->inode->lock);
}

static int carry_out(const struct rename_work *w)
{
	int err;

	lock_children(&w->r);
	err = check_rules(w);
	if (!err)
		err = w->r.old_dir->iops->rename(&w->r);
	if (err)
		forget_dentries(&w->r);
	else
		update_dentries(&w->r);
	unlock_children(&w->r);
	return err;
}

static bool involves_dir(const struct rename_work *w)
{
	return inode_is_dir(w->r.inode) || (w->r.target && inode_is_dir(w->r.target));
}

/* Both directories are locked. Leaves references in w->r, on failure too. */
static int rename_locked(struct rename_work *w)
{
	int err;

	err = name_find(w->r.old_dir, w->r.old_name, &w->r.inode);
	if (err)
		return err;
	err = name_find(w->r.new_dir, w->r.new_name, &w->r.target);
	if (err == -ENOENT && w->r.new_dir->attr.nlink > 0)
		err = 0;
	if (!err)
		err = check_tree(w);
	if (err || w->r.inode == w->r.target)
		return err;
	if (involves_dir(w) && !w->has_rename_lock)
		return NEEDS_RENAME_LOCK;
	err = check_distinct(&w->r);
	return err ? err : carry_out(w);
}

static void put_inodes(struct rename_work *w)
{
	inode_put(w->r.inode);
	inode_put(w->r.target);
	w->r.inode = w->r.target = NULL;
}

static int rename_within(struct rename_work *w)
{
	int err;

	rwlock_write_lock(&w->r.old_dir->lock);
	err = rename_locked(w);
	rwlock_write_unlock(&w->r.old_dir->lock);
	return err;
}

static int rename_between(struct rename_work *w)
{
	struct inode *first = w->r.old_dir, *second = w->r.new_dir;
	int err;

	err = find_relation(w);
	if (err)
		return err;
	if (w->above_old_dir || (!w->above_new_dir && second->ino < first->ino)) {
		first = w->r.new_dir;
		second = w->r.old_dir;
	}
	rwlock_write_lock(&first->lock);
	rwlock_write_lock_nested(&second->lock);	/* C2 */
	err = rename_locked(w);
	rwlock_write_unlock(&second->lock);
	rwlock_write_unlock(&first->lock);
	return err;
}

static int rename_alone(struct rename_work *w)
{
	struct super *sb = w->r.old_dir->sb;
	int err;

	mutex_lock(&sb->rename_lock);
	w->has_rename_lock = true;
	err = w->r.old_dir == w->r.new_dir ? rename_within(w) : rename_between(w);
	mutex_unlock(&sb->rename_lock);
	return err;
}

static int check_request(const struct rename *r)
{
	uint32_t flags = r->flags;
	int err;

	if ((flags & ~FLAGS_KNOWN) ||
	    ((flags & RENAME_FLAG_EXCHANGE) && (flags & (RENAME_FLAG_NOREPLACE | RENAME_FLAG_WHITEOUT))))
		return -EINVAL;
	err = name_check_change(r->old_dir, r->old_name);
	if (!err)
		err = name_check_change(r->new_dir, r->new_name);
	if (err)
		return err;
	if (name_is_special(r->old_name))
		return -EBUSY;
	if (name_is_special(r->new_name))
		return flags & RENAME_FLAG_NOREPLACE ? -EEXIST : -EBUSY;
	return 0;
}

static int sync_dirs(const struct rename *r)
{
	int err;

	err = inode_sync_if_asked(r->new_dir, INODE_SYNC | INODE_DIRSYNC);
	if (r->old_dir != r->new_dir)
		err = first_error(err, inode_sync_if_asked(r->old_dir, INODE_SYNC | INODE_DIRSYNC));
	return err;
}

int vfs_rename(struct inode *old_dir, const struct name *old_name, struct inode *new_dir,
	       const struct name *new_name, uint32_t flags, const struct cred *cred)
{
	struct rename_work w = {.r = {.old_dir = old_dir, .new_dir = new_dir, .old_name = old_name,
				      .new_name = new_name, .flags = flags, .cred = cred}};
	int err;

	err = check_request(&w.r);
	if (err)
		return err;
	err = old_dir == new_dir ? rename_within(&w) : NEEDS_RENAME_LOCK;
	if (err == NEEDS_RENAME_LOCK) {
		put_inodes(&w);
		err = rename_alone(&w);
		must(err != NEEDS_RENAME_LOCK);
	}
	if (!err)
		err = sync_dirs(&w.r);
	put_inodes(&w);
	return err;
}
