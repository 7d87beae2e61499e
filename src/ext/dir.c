/*
 * Directories as a row of blocks.
 *
 * A look-up begins at the block where the last one succeeded and goes once round: programs ask for
 * names in the order in which they lie. An addition begins at the first block that may have room;
 * a removal moves that mark back. Positions given to readers are byte positions; a reader that
 * comes back walks its block from the start to the first entry at or behind its position, so
 * entries that vanished meanwhile do no harm.
 *
 * Read-ahead. Blocks that are gone through in order, to list them or to search them, are read some at a
 * time. Who lists a directory for the first time usually wants to know the inodes that it names:
 * while a block of it is handed on, the blocks of the inode tables where they lie are on their way.
 */
#include "dir.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "blockmap.h"
#include "error.h"
#include "inode.h"
#include "layout/dirblock.h"
#include "vfs/attr.h"

#define DIR_READ_AHEAD_BLOCKS 16u	/* read at once by who goes through all */
#define DIR_INODE_BLOCKS_MAX 64u	/* of inode tables, read ahead for one directory block */

static lblk_t nr_blocks(const struct inode *dir)
{
	return dir->attr.size_bytes >> ext_of(dir)->geo.block_bits;
}

static int check_block(struct inode *dir, struct buffer *b)
{
	struct ext *fs = ext_of(dir);
	char why[120] = "";
	int err = 0;

	buffer_lock(b);
	if (!page_test(&b->page, PAGE_CHECKED)) {
		err = dirblock_check(&fs->geo, buffer_data(b), why, sizeof(why));
		if (!err)
			page_set(&b->page, PAGE_CHECKED);
	}
	buffer_unlock(b);
	return err ? ext_error(fs, dir->ino, buffer_block(b), "directory block: %s", why) : 0;
}

/* The run's blocks are wanted one after another; if the first is not here, all are read at once. */
static void read_run_ahead(struct ext *fs, const struct block_run *run)
{
	struct buffer *b;

	if (run->count < 2)
		return;
	b = buffer_find(&fs->buffers, run->block);
	if (b)
		buffer_put(b);
	else
		buffer_read_ahead(&fs->buffers, run->block, (uint32_t)run->count);
}

/* Block lblk of the directory, read and checked; perhaps with some of those behind it. */
static int read_block_of(struct inode *dir, lblk_t lblk, uint64_t nr_ahead, struct buffer **ret_buffer)
{
	struct ext *fs = ext_of(dir);
	struct block_run run;
	struct buffer *b;
	int err = blockmap_find(dir, lblk, nr_ahead, &run);

	if (err)
		return err;
	if (run.block == 0)
		return ext_error(fs, dir->ino, 0, "directory block %llu is a hole", (unsigned long long)lblk);
	read_run_ahead(fs, &run);
	err = buffer_read(&fs->buffers, run.block, &b);
	if (err)
		return err;
	if (!page_test(&b->page, PAGE_CHECKED)) {
		err = check_block(dir, b);
		if (err) {
			buffer_put(b);
			return err;
		}
	}
	*ret_buffer = b;
	return 0;
}

static int read_block(struct inode *dir, lblk_t lblk, struct buffer **ret_buffer)
{
	return read_block_of(dir, lblk, 1, ret_buffer);
}

/* The same for who goes on to the block behind it, and so to the last one. */
static int read_block_in_order(struct inode *dir, lblk_t lblk, struct buffer **ret_buffer)
{
	return read_block_of(dir, lblk, min(nr_blocks(dir) - lblk, (uint64_t)DIR_READ_AHEAD_BLOCKS), ret_buffer);
}

void dir_slot_put(struct dir_slot *slot)
{
	buffer_put(slot->buffer);
	*slot = (struct dir_slot){0};
}

/* A racing reader may store another value: each is a block to begin with, none is wrong. */
static lblk_t find_hint(struct ext_inode_info *info)
{
	return __atomic_load_n(&info->dir_find_hint, __ATOMIC_RELAXED);
}

static void set_find_hint(struct ext_inode_info *info, lblk_t lblk)
{
	__atomic_store_n(&info->dir_find_hint, lblk, __ATOMIC_RELAXED);
}

int dir_find(struct inode *dir, const struct name *name, struct dir_slot *ret_slot)
{
	struct ext *fs = ext_of(dir);
	lblk_t blocks = nr_blocks(dir);
	lblk_t start = find_hint(info_of(dir));
	int first_damage = 0;

	if (start >= blocks)
		start = 0;
	for (lblk_t i = 0; i < blocks; i++) {
		lblk_t lblk = start + i < blocks ? start + i : start + i - blocks;
		struct dirblock_entry e;
		struct buffer *b;
		int err = i > 0 ? read_block_in_order(dir, lblk, &b) : read_block(dir, lblk, &b);

		if (err == -EUCLEAN) {
			first_damage = err;	/* the name may be in a good block */
			continue;
		}
		if (err)
			return err;
		if (dirblock_find(&fs->geo, buffer_data(b), name->text, name->len_bytes, &e) == 0) {
			set_find_hint(info_of(dir), lblk);
			*ret_slot = (struct dir_slot){.buffer = b, .lblk = lblk, .offset = e.offset, .ino = e.ino};
			return 0;
		}
		buffer_put(b);
	}
	return first_damage ? first_damage : -ENOENT;
}

static int touch_and_write(struct handle *h, struct inode *dir)
{
	attr_touch(dir, SETATTR_MTIME | SETATTR_CTIME);
	return ext_inode_write(h, dir);
}

/*
 * Puts the entry into a block that is there already: -ENOSPC when it does not fit. A full block
 * takes no credit, since a search for room may pass over any number of them.
 */
static int insert_into(struct handle *h, struct inode *dir, struct buffer *b, const struct name *name,
		       const struct inode *inode)
{
	const struct geometry *geo = &ext_of(dir)->geo;
	int err, full;

	if (dirblock_room(geo, buffer_data(b)) < name->len_bytes)
		return -ENOSPC;
	err = meta_begin(h, b);
	if (err)
		return err;
	full = dirblock_insert(geo, buffer_data(b), name->text, name->len_bytes, inode->ino,
			       dirblock_type_of_mode(inode->attr.mode));
	if (full)
		buffer_unlock(b);
	else
		meta_end(h, b);
	return full;
}

/* Appends an empty block; the caller writes the inode. */
static int append_block(struct handle *h, struct inode *dir, bool may_use_reserved, struct buffer **ret_buffer)
{
	struct ext *fs = ext_of(dir);
	struct block_run run;
	struct buffer *b;
	int err = blockmap_alloc(h, dir, nr_blocks(dir), 1, may_use_reserved, &run);

	if (err)
		return err;
	err = buffer_get(&fs->buffers, run.block, &b);
	if (err)
		return err;
	err = handle_get_create_access(h, b);
	if (err) {
		buffer_put(b);
		return err;
	}
	buffer_lock(b);
	dirblock_init_empty(&fs->geo, buffer_data(b));
	buffer_set_uptodate(b);
	page_set(&b->page, PAGE_CHECKED);
	meta_end(h, b);
	mutex_lock(&dir->attr_lock);
	dir->attr.size_bytes += fs->geo.block_size;
	mutex_unlock(&dir->attr_lock);
	*ret_buffer = b;
	return 0;
}

static int add_to_some_block(struct handle *h, struct inode *dir, const struct name *name,
			     const struct inode *inode, bool may_use_reserved)
{
	struct ext_inode_info *info = info_of(dir);
	struct buffer *b;
	int err;

	for (lblk_t lblk = info->dir_room_hint; lblk < nr_blocks(dir); lblk++) {
		err = read_block_in_order(dir, lblk, &b);
		if (err == -EUCLEAN)
			continue;
		if (err)
			return err;
		err = insert_into(h, dir, b, name, inode);
		buffer_put(b);
		if (err != -ENOSPC)
			return err;
		/* Only what has no room for the shortest name is passed over for good. */
		if (lblk == info->dir_room_hint && name->len_bytes <= 16)
			info->dir_room_hint = lblk + 1;
	}
	err = append_block(h, dir, may_use_reserved, &b);
	if (err)
		return err;
	err = insert_into(h, dir, b, name, inode);
	buffer_put(b);
	return err;
}

int dir_add(struct handle *h, struct inode *dir, const struct name *name, const struct inode *inode,
	    bool may_use_reserved)
{
	int err = add_to_some_block(h, dir, name, inode, may_use_reserved);

	if (!err && (info_of(dir)->flags & EXT_INDEX_FL))
		info_of(dir)->flags &= ~EXT_INDEX_FL;
	return first_error(err, touch_and_write(h, dir));
}

int dir_remove(struct handle *h, struct inode *dir, const struct dir_slot *slot)
{
	int err = meta_begin(h, slot->buffer), missing;

	if (err)
		return err;
	missing = dirblock_remove(&ext_of(dir)->geo, buffer_data(slot->buffer), slot->offset);
	if (missing)
		buffer_unlock(slot->buffer);
	else
		meta_end(h, slot->buffer);
	if (missing)
		return ext_error(ext_of(dir), dir->ino, buffer_block(slot->buffer), "an entry vanished");
	info_of(dir)->dir_room_hint = min(info_of(dir)->dir_room_hint, slot->lblk);
	return touch_and_write(h, dir);
}

static int set_entry(struct handle *h, struct inode *dir, const struct dir_slot *slot, inr_t ino, mode_t mode)
{
	int err = meta_begin(h, slot->buffer), missing;

	if (err)
		return err;
	missing = dirblock_set_inode(&ext_of(dir)->geo, buffer_data(slot->buffer), slot->offset, ino,
				     dirblock_type_of_mode(mode));
	if (missing)
		buffer_unlock(slot->buffer);
	else
		meta_end(h, slot->buffer);
	return missing ? ext_error(ext_of(dir), dir->ino, buffer_block(slot->buffer), "an entry vanished") : 0;
}

int dir_replace(struct handle *h, struct inode *dir, const struct dir_slot *slot, const struct inode *inode)
{
	int err = set_entry(h, dir, slot, inode->ino, inode->attr.mode);

	return err ? err : touch_and_write(h, dir);
}

int dir_is_empty(struct inode *dir, bool *ret_is_empty)
{
	*ret_is_empty = true;
	for (lblk_t lblk = 0; lblk < nr_blocks(dir) && *ret_is_empty; lblk++) {
		struct buffer *b;
		int err = read_block_in_order(dir, lblk, &b);

		if (err)
			return err;
		*ret_is_empty = dirblock_is_empty(&ext_of(dir)->geo, buffer_data(b));
		buffer_put(b);
	}
	return 0;
}

int dir_make(struct handle *h, struct inode *dir, inr_t parent, bool may_use_reserved)
{
	struct buffer *b;
	int err = append_block(h, dir, may_use_reserved, &b);

	if (err)
		return err;
	err = meta_begin(h, b);
	if (!err) {
		dirblock_init_dots(&ext_of(dir)->geo, buffer_data(b), dir->ino, parent);
		meta_end(h, b);
	}
	buffer_put(b);
	return err;
}

/* The first block, with its two first entries checked. */
static int read_dots(struct inode *dir, struct buffer **ret_buffer, inr_t *ret_parent)
{
	struct ext *fs = ext_of(dir);
	char why[120];
	int err;

	if (nr_blocks(dir) == 0)
		return ext_error(fs, dir->ino, 0, "a directory without a block");
	err = read_block(dir, 0, ret_buffer);
	if (err)
		return err;
	if (dirblock_check_dots(&fs->geo, buffer_data(*ret_buffer), dir->ino, ret_parent, why, sizeof(why))) {
		err = ext_error(fs, dir->ino, buffer_block(*ret_buffer), "directory block: %s", why);
		buffer_put(*ret_buffer);
	}
	return err;
}

int dir_parent(struct inode *dir, inr_t *ret_ino)
{
	struct buffer *b;
	int err = read_dots(dir, &b, ret_ino);

	if (!err)
		buffer_put(b);
	return err;
}

int dir_set_parent(struct handle *h, struct inode *dir, const struct inode *parent)
{
	struct dir_slot slot = {.offset = DIRBLOCK_DOTDOT_OFFSET};
	inr_t old_parent;
	int err = read_dots(dir, &slot.buffer, &old_parent);

	if (err)
		return err;
	err = set_entry(h, dir, &slot, parent->ino, S_IFDIR);
	buffer_put(slot.buffer);
	return err;
}

/* ---- listing ---- */

static unsigned d_type_of(const struct dirblock_entry *e)
{
	mode_t mode = dirblock_mode_of_type(e->file_type);

	return mode ? IFTODT(mode) : DT_UNKNOWN;
}

/* Hands on the entries of one block from byte `from` on; false when the reader has enough. */
static int list_block(struct inode *dir, const struct buffer *b, uint64_t base, unsigned from, dir_emit_fn emit,
		      void *arg, bool *ret_go_on)
{
	const struct geometry *geo = &ext_of(dir)->geo;
	struct dirblock_entry e;
	unsigned offset = 0;
	int more;

	*ret_go_on = true;
	while ((more = dirblock_next(geo, buffer_data(b), &offset, &e)) > 0) {
		struct name name = {e.name, e.name_len};

		if (e.offset < from || e.ino == 0)
			continue;
		if (!emit(arg, &name, e.ino, d_type_of(&e), base + e.offset + e.rec_len)) {
			*ret_go_on = false;
			return 0;
		}
	}
	return more;
}

/* The table blocks of the inodes that this block names. */
static void read_inodes_ahead(struct ext *fs, const struct buffer *b)
{
	fsblk_t blocks[DIR_INODE_BLOCKS_MAX];
	struct dirblock_entry e;
	unsigned offset = 0;
	uint32_t nr = 0;

	while (nr < DIR_INODE_BLOCKS_MAX && dirblock_next(&fs->geo, buffer_data(b), &offset, &e) > 0) {
		fsblk_t block = ext_inode_block(fs, e.ino);

		if (block && (nr == 0 || blocks[nr - 1] != block))
			blocks[nr++] = block;
	}
	buffer_read_ahead_list(&fs->buffers, blocks, nr);
}

/* For a listing: was it handed on since it was read? Racy, as both answers do no harm. */
static bool take_first_listing(struct buffer *b)
{
	if (page_test(&b->page, PAGE_LISTED))
		return false;
	page_set(&b->page, PAGE_LISTED);
	return true;
}

int dir_list(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg)
{
	struct ext *fs = ext_of(dir);
	unsigned from = (unsigned)(pos & (fs->geo.block_size - 1));

	for (lblk_t lblk = pos >> fs->geo.block_bits; lblk < nr_blocks(dir); lblk++, from = 0) {
		struct buffer *b;
		bool go_on;
		int err = read_block_in_order(dir, lblk, &b);

		if (err == -EUCLEAN)
			continue;	/* told; what can be listed is listed */
		if (err)
			return err;
		if (take_first_listing(b))
			read_inodes_ahead(fs, b);
		err = list_block(dir, b, (uint64_t)lblk << fs->geo.block_bits, from, emit, arg, &go_on);
		buffer_put(b);
		if (err || !go_on)
			return err;
	}
	return 0;
}
