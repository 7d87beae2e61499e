/* Inodes between disk and memory. What becomes of them at the end stands in evict.c. */
#include "inode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "balloc.h"
#include "base/assert.h"
#include "base/mem.h"
#include "blockmap.h"
#include "error.h"
#include "group.h"
#include "ialloc.h"
#include "vfs/attr.h"

/* Of an inode table at once, at most: its end is often unused. */
#define INODE_AHEAD_BYTES (128u << 10)

struct inode *ext_alloc_inode(struct super *sb)
{
	struct ext_inode_info *info = mem_zalloc(sizeof(*info));

	if (!info)
		return NULL;
	inode_init(&info->vfs, sb);
	rwlock_init(&info->tree_lock, RANK_TREE, "tree");
	mutex_init(&info->run_lock, RANK_LEAF, "runs");
	list_init(&info->orphan.link);
	journal_inode_init(&info->ordered);
	balloc_init_window(info);
	return &info->vfs;
}

void ext_free_inode(struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);

	must(list_empty(&info->orphan.link));
	mutex_done(&info->run_lock);
	rwlock_done(&info->tree_lock);
	inode_done(inode);
	mem_free(info);
}

bool ext_inode_has_tree(const struct inode *inode)
{
	return S_ISREG(inode->attr.mode) || S_ISDIR(inode->attr.mode) ||
	       (S_ISLNK(inode->attr.mode) && !info_of(inode)->is_fast_symlink);
}

/* ---- the table block ---- */

static struct inode_place place_of(const struct ext *fs, inr_t ino)
{
	return inode_location(&fs->geo, ino, fs->groups[group_of_inode(&fs->geo, ino)].inode_table);
}

fsblk_t ext_inode_block(const struct ext *fs, inr_t ino)
{
	return inode_nr_is_valid(&fs->geo, ino) ? place_of(fs, ino).block : 0;
}

/* Reads the table block of ino, and where in it the inode lies. */
static int table_block(struct ext *fs, inr_t ino, struct buffer **ret_buffer, unsigned *ret_offset)
{
	struct inode_place place = place_of(fs, ino);

	*ret_offset = place.offset;
	return buffer_read(&fs->buffers, place.block, ret_buffer);
}

/*
 * The same as table_block() for a first look at the inode, which often is one of many in a row: programs
 * go through directories, whose files got their numbers one after another.
 */
static int table_block_in_order(struct ext *fs, inr_t ino, struct buffer **ret_buffer, unsigned *ret_offset)
{
	fsblk_t table = fs->groups[group_of_inode(&fs->geo, ino)].inode_table;
	const struct buffer_range range = {
		.first = table,
		.end = table + fs->geo.inode_table_blocks,
		.ahead_max = INODE_AHEAD_BYTES >> fs->geo.block_bits,
	};
	struct inode_place place = place_of(fs, ino);

	*ret_offset = place.offset;
	return buffer_read_in_order(&fs->buffers, &fs->inode_reads, place.block, &range, ret_buffer);
}

static uint32_t attr_flags_of(uint32_t flags)
{
	return (flags & EXT_IMMUTABLE_FL ? INODE_IMMUTABLE : 0) | (flags & EXT_APPEND_FL ? INODE_APPEND : 0) |
	       (flags & EXT_SYNC_FL ? INODE_SYNC : 0) | (flags & EXT_NOATIME_FL ? INODE_NOATIME : 0) |
	       (flags & EXT_DIRSYNC_FL ? INODE_DIRSYNC : 0);
}

static void set_ops(struct inode *inode)
{
	struct ext *fs = ext_of(inode);

	inode->iops = fs->iops;
	inode->fops = S_ISDIR(inode->attr.mode) ? fs->dir_fops : fs->file_fops;
	mapping_init(&inode->mapping, fs->sb.cache, fs->sb.disk, S_ISREG(inode->attr.mode) ? fs->mapping_ops : NULL,
		     inode, inode->ino);
}

static void take_fields(struct inode *inode, const struct inode_fields *f)
{
	struct ext_inode_info *info = info_of(inode);
	struct inode_attr *a = &inode->attr;

	*a = (struct inode_attr){
		.mode = f->mode,
		.nlink = f->links,
		.uid = f->uid,
		.gid = f->gid,
		.rdev_major = major(f->rdev),
		.rdev_minor = minor(f->rdev),
		.size_bytes = f->size,
		.blocks_512 = f->blocks,
		.atime = f->atime,
		.mtime = f->mtime,
		.ctime = f->ctime,
		.flags = attr_flags_of(f->flags),
	};
	if (f->has_crtime)
		a->btime = f->crtime;
	inode->generation = f->generation;
	info->flags = f->flags;
	info->dtime = f->dtime;
	info->file_acl = f->file_acl;
	info->extra_isize = f->extra_isize;
	info->is_fast_symlink = inode_is_fast_symlink(&ext_of(inode)->geo, f);
	memcpy(info->block, f->block, sizeof(info->block));
}

static void give_fields(struct inode *inode, struct inode_fields *f)
{
	struct ext_inode_info *info = info_of(inode);
	struct inode_attr a;

	inode_attr(inode, &a);
	*f = (struct inode_fields){
		.mode = (uint16_t)a.mode,
		.links = (uint16_t)a.nlink,
		.uid = a.uid,
		.gid = a.gid,
		.size = a.size_bytes,
		.blocks = a.blocks_512,
		.flags = info->flags,
		.generation = inode->generation,
		.file_acl = info->file_acl,
		.atime = a.atime,
		.mtime = a.mtime,
		.ctime = a.ctime,
		.crtime = a.btime,
		.has_crtime = true,
		.dtime = info->dtime,
		.rdev = makedev(a.rdev_major, a.rdev_minor),
		.extra_isize = info->extra_isize,
	};
	memcpy(f->block, info->block, sizeof(f->block));
}

/* Decoded and checked. -ESTALE while orphans are cleaned up: it is not in use. */
static int read_fields(struct inode *inode, struct inode_fields *f)
{
	struct ext *fs = ext_of(inode);
	struct buffer *b;
	char why[160];
	unsigned offset;
	int err;

	err = table_block_in_order(fs, inode->ino, &b, &offset);
	if (err)
		return err;
	buffer_lock(b);
	inode_decode(&fs->geo, (uint8_t *)buffer_data(b) + offset, f);
	buffer_unlock(b);
	err = inode_check(&fs->geo, inode->ino, f, why, sizeof(why));
	if (err == -EUCLEAN)
		err = ext_error(fs, inode->ino, buffer_block(b), "%s", why);
	else if ((err == -ESTALE || (!err && f->links == 0)) && !fs->is_recovering)
		/* Only an orphan's clean-up may look at it; names keep their inodes. */
		err = ext_error(fs, inode->ino, buffer_block(b), "it is deleted, but something leads to it");
	buffer_put(b);
	return err;
}

int ext_read_inode(struct inode *inode)
{
	struct ext *fs = ext_of(inode);
	struct ext_inode_info *info = info_of(inode);
	struct inode_fields f;
	int err;

	if (!inode_nr_is_user(&fs->geo, inode->ino))
		return ext_error(fs, inode->ino, 0, "a name leads to it, and it can be no file");
	err = read_fields(inode, &f);
	if (err)
		return err;
	take_fields(inode, &f);
	info->is_allocated = true;
	/* It may have changed and been let go a moment ago: an fsync then waits for what runs now. */
	if (fs->journal)
		info->sync_tid = info->datasync_tid = journal_current_tid(fs->journal);
	set_ops(inode);
	return 0;
}

int ext_read_reserved(struct ext *fs, inr_t ino, struct inode **ret_inode)
{
	struct inode *inode;
	struct inode_fields f;
	int err;

	if (!inode_nr_is_valid(&fs->geo, ino))
		return -EUCLEAN;
	inode = ext_alloc_inode(&fs->sb);
	if (!inode)
		return -ENOMEM;
	inode->ino = ino;
	err = read_fields(inode, &f);
	if (!err && !S_ISREG(f.mode))
		err = -EUCLEAN;
	if (err) {
		ext_free_inode(inode);
		return err == -ESTALE ? -EUCLEAN : err;
	}
	take_fields(inode, &f);
	*ret_inode = inode;
	return 0;
}

void ext_free_reserved(struct inode *inode)
{
	ext_free_inode(inode);
}

/* A file above 2 GiB needs the large_file feature, which revision-1 file systems gain on demand. */
static int need_large_file(struct handle *h, struct ext *fs)
{
	struct ext_super *super;
	int err;

	if (fs->has_large_file || !fs->super_buffer)
		return 0;
	err = meta_begin(h, fs->super_buffer);
	if (err)
		return err;
	super = ext_super_of(fs);
	super->feature_ro_compat = le32_make(le32_get(super->feature_ro_compat) | EXT_RO_COMPAT_LARGE_FILE);
	if (le32_get(super->rev_level) == EXT_GOOD_OLD_REV) {
		super->rev_level = le32_make(EXT_DYNAMIC_REV);
		super->first_ino = le32_make(EXT_GOOD_OLD_FIRST_INO);
		super->inode_size = le16_make(EXT_GOOD_OLD_INODE_SIZE);
	}
	fs->has_large_file = true;
	meta_end(h, fs->super_buffer);
	return 0;
}

static int write_fields(struct handle *h, struct inode *inode, bool is_new)
{
	struct ext *fs = ext_of(inode);
	struct inode_fields f;
	bool needs_large_file;
	struct buffer *b;
	unsigned offset;
	uint8_t *bytes;
	int err = table_block(fs, inode->ino, &b, &offset);

	if (err)
		return err;
	err = meta_begin(h, b);
	if (err)
		goto out_put;
	bytes = (uint8_t *)buffer_data(b) + offset;
	give_fields(inode, &f);
	if (h->journal)
		info_of(inode)->sync_tid = handle_tid(h);
	if (is_new) {
		memset(bytes, 0, fs->geo.inode_size);
		/* Without its name nobody could read its data. */
		info_of(inode)->datasync_tid = info_of(inode)->sync_tid;
	}
	needs_large_file = inode_encode(&fs->geo, &f, bytes);
	meta_end(h, b);
	if (needs_large_file)
		err = need_large_file(h, fs);
out_put:
	buffer_put(b);
	return err;
}

int ext_inode_write(struct handle *h, struct inode *inode)
{
	return write_fields(h, inode, false);
}

int ext_inode_set_dtime(struct handle *h, struct ext *fs, inr_t ino, struct ext_inode_info *info, uint32_t dtime)
{
	struct buffer *b;
	unsigned offset;
	int err = table_block(fs, ino, &b, &offset);

	if (err)
		return err;
	err = meta_begin(h, b);
	if (!err) {
		struct ext_inode *on_disk = (struct ext_inode *)((uint8_t *)buffer_data(b) + offset);

		if (info)
			info->dtime = dtime;
		on_disk->dtime = le32_make(dtime);
		meta_end(h, b);
	}
	buffer_put(b);
	return err;
}

void ext_set_nlink(struct inode *inode, uint32_t nlink)
{
	mutex_lock(&inode->attr_lock);
	inode->attr.nlink = nlink;
	mutex_unlock(&inode->attr_lock);
	attr_touch(inode, SETATTR_CTIME);
}

/* ---- new inodes ---- */

static uint32_t inherited_flags(const struct inode *dir, mode_t mode)
{
	uint32_t flags = info_of(dir)->flags & EXT_FL_INHERITED;

	if (S_ISDIR(mode))
		return flags;
	flags &= ~EXT_DIRSYNC_FL;
	return S_ISREG(mode) ? flags : flags & (EXT_NODUMP_FL | EXT_NOATIME_FL);
}

static void init_new(struct ext *fs, struct inode *dir, const struct new_inode *wish, uint32_t nlink,
		     struct inode *inode)
{
	struct timespec now = inode_clamp_time(clock_wall(fs->sb.clock), inode_default_extra_isize(&fs->geo) != 0);
	struct ext_inode_info *info = info_of(inode);

	info->flags = inherited_flags(dir, wish->mode);
	info->extra_isize = inode_default_extra_isize(&fs->geo);
	inode->attr = (struct inode_attr){
		.mode = wish->mode,
		.nlink = nlink,
		.uid = wish->uid,
		.gid = wish->gid,
		.rdev_major = wish->rdev_major,
		.rdev_minor = wish->rdev_minor,
		.atime = now,
		.mtime = now,
		.ctime = now,
		.flags = attr_flags_of(info->flags),
	};
	if (info->extra_isize)
		inode->attr.btime = now;
	mutex_lock(&fs->state_lock);
	inode->generation = (uint32_t)rand_u64(&fs->rand);
	mutex_unlock(&fs->state_lock);
	set_ops(inode);
}

int ext_inode_new(struct handle *h, struct inode *dir, const struct new_inode *wish, uint32_t nlink,
		  struct inode **ret_inode)
{
	bool dir_is_top = dir->ino == EXT_ROOT_INO || (info_of(dir)->flags & EXT_TOPDIR_FL);
	bool is_dir = S_ISDIR(wish->mode);
	struct ext *fs = ext_of(dir);
	struct inode *inode;
	inr_t ino;
	int err = ialloc_new(h, fs, dir->ino, dir_is_top, is_dir, &ino);

	if (err)
		return err;
	err = inode_create(&fs->sb, ino, &inode);
	if (err) {
		ignore(ialloc_free(h, fs, ino, is_dir), "the first error is the one to tell");
		return err;
	}
	init_new(fs, dir, wish, nlink, inode);
	info_of(inode)->is_allocated = true;
	err = write_fields(h, inode, true);
	if (err) {
		/* Under a handle it cannot be deleted as an inode: there is nothing of it but its number. */
		info_of(inode)->is_allocated = false;
		inode->attr.nlink = 0;
		inode_put(inode);
		ignore(ialloc_free(h, fs, ino, is_dir), "the first error is the one to tell");
		return err;
	}
	*ret_inode = inode;
	return 0;
}
