/*
 * The orphan list.
 *
 *     superblock.last_orphan -> inode A (dtime = B) -> inode B (dtime = 0)
 *
 * New ones go to the front, so adding touches the superblock and one inode. Taking one out of the
 * middle rewrites its neighbour's dtime; the list in memory tells who that is. An inode that could
 * not be freed when it left memory keeps its place there (orphan_leave), for a neighbour may go
 * before the next mount tries again.
 */
#include "orphan.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"
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

/* Who is next, on disk and in the inode if it is in memory. [orphan_lock] */
static int set_next(struct handle *h, struct ext *fs, struct orphan *o, inr_t next)
{
	int err = ext_inode_set_dtime(h, fs, o->ino, o->info, next);

	if (!err)
		o->next = next;
	return err;
}

int orphan_add(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	int err = 0;

	mutex_lock(&fs->orphan_lock);
	if (!list_empty(&info->orphan.link))
		goto out;
	info->orphan.ino = inode->ino;
	info->orphan.info = info;
	err = set_next(h, fs, &info->orphan, orphan_head(fs));
	if (!err)
		err = orphan_set_head(h, fs, inode->ino);
	if (!err)
		list_add(&fs->orphans, &info->orphan.link);
out:
	mutex_unlock(&fs->orphan_lock);
	return err;
}

/* Whoever was before o in the list is followed by what follows o. [orphan_lock] */
static int bypass(struct handle *h, struct ext *fs, struct orphan *o)
{
	struct orphan *before;

	if (o->link.prev == &fs->orphans)
		return orphan_set_head(h, fs, o->next);
	before = list_entry(o->link.prev, struct orphan, link);
	return set_next(h, fs, before, o->next);
}

int orphan_del(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	int err = 0;

	mutex_lock(&fs->orphan_lock);
	if (!list_empty(&info->orphan.link)) {
		err = bypass(h, fs, &info->orphan);
		list_del(&info->orphan.link);
		err = first_error(err, ext_inode_set_dtime(h, fs, inode->ino, info, 0));
	}
	mutex_unlock(&fs->orphan_lock);
	return err;
}

int orphan_adopt(struct ext *fs, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct orphan *o = &info->orphan;

	if (!list_empty(&o->link))
		return -EUCLEAN;	/* the list runs in a ring */
	mutex_lock(&fs->orphan_lock);
	o->ino = inode->ino;
	o->info = info;
	o->next = info->dtime;
	list_add(&fs->orphans, &o->link);
	mutex_unlock(&fs->orphan_lock);
	return 0;
}

void orphan_leave(struct ext *fs, struct inode *inode)
{
	struct orphan *o = &info_of(inode)->orphan, *copy = NULL;

	mutex_lock(&fs->orphan_lock);
	if (!list_empty(&o->link)) {
		copy = mem_alloc(sizeof(*copy));
		if (copy) {
			*copy = (struct orphan){.ino = o->ino, .next = o->next};
			list_init(&copy->link);
			list_add(&o->link, &copy->link);
		}
		list_del(&o->link);
	}
	mutex_unlock(&fs->orphan_lock);
}

void orphan_done(struct ext *fs)
{
	while (!list_empty(&fs->orphans)) {
		struct orphan *o = list_first(&fs->orphans, struct orphan, link);

		must(!o->info);
		list_del(&o->link);
		mem_free(o);
	}
}
