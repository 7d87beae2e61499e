/*
 * Pass 3: every directory reaches the root.
 *
 * From each directory the parents are followed until one is met that is known to reach the root. A
 * directory without a parent, or one that is met again on the way, goes to lost+found.
 */
#include "pass3.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "base/bitmap.h"
#include "dirs.h"
#include "layout/dirblock.h"
#include "layout/inode.h"

static void add_count(struct fsck *f, inr_t ino, int by)
{
	if (inode_nr_is_valid(&f->geo, ino) && f->counted[ino - 1] + by >= 0)
		f->counted[ino - 1] = (uint16_t)(f->counted[ino - 1] + by);
}

/* ---- new directories ---- */

/* A directory of one block at this inode, for pass 4 with the links that it will have. */
static bool make_dir(struct fsck *f, inr_t ino, inr_t parent, unsigned mode)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	union inode_buf buf;
	fsblk_t block = alloc_block(f, group_first_block(&f->geo, group_of_inode(&f->geo, ino)));

	if (!block)
		return false;
	dirblock_init_dots(&f->geo, bytes, ino, parent);
	fsck_write_new_block(f, block, bytes);
	memset(&buf, 0, sizeof(buf));
	buf.raw.mode = le16_make((uint16_t)(S_IFDIR | mode));
	buf.raw.links_count = le16_make(2);
	buf.raw.size = le32_make(f->geo.block_size);
	buf.raw.blocks = le32_make(f->geo.block_size / SECTOR_SIZE);
	buf.raw.block[0] = le32_make((uint32_t)block);
	buf.raw.atime = buf.raw.mtime = buf.raw.ctime = le32_make(f->now);
	if (f->geo.inode_size > EXT_GOOD_OLD_INODE_SIZE)
		buf.raw.extra_isize = le16_make(inode_default_extra_isize(&f->geo));
	fsck_write_inode(f, ino, &buf);
	bitmap_set(f->ino_used, ino - 1);
	bitmap_set(f->ino_dir, ino - 1);
	bitmap_clear(f->ino_reg, ino - 1);
	f->links[ino - 1] = 2;
	f->counted[ino - 1] = 0;
	add_count(f, ino, 1); /* its '.' */
	add_count(f, parent, 1); /* its '..' */
	return true;
}

static void check_root(struct fsck *f)
{
	struct dir_info *root;

	if (bitmap_test(f->ino_dir, EXT_ROOT_INO - 1) && bitmap_test(f->ino_used, EXT_ROOT_INO - 1)) {
		root = fsck_find_dir(f, EXT_ROOT_INO);
		if (root)
			root->parent = EXT_ROOT_INO;
		return;
	}
	if (!problem(f, ROOT_MISSING, (struct where){0}))
		fsck_stop(f, FSCK_UNCORRECTED | (f->opt.mode == MODE_NO ? 0 : FSCK_ERROR),
			  "without a root directory the check cannot go on");
	if (!make_dir(f, EXT_ROOT_INO, EXT_ROOT_INO, 0755))
		fsck_stop(f, FSCK_UNCORRECTED | FSCK_ERROR, "no free block for the root directory");
	/* Everything that was below it is to be found again from the start. */
	f->restart = true;
}

/* ---- lost+found ---- */

static const char lost_found_name[] = "lost+found";

/* What stands in lost+found's way keeps its content under another name. */
static bool move_away(struct fsck *f, inr_t ino)
{
	if (!problem(f, LOST_FOUND_NOT_DIR, (struct where){.ino = ino}))
		return false;
	/* Its entry will name the new directory; the inode itself then goes into it, in pass 4. */
	add_count(f, ino, -1);
	return true;
}

static bool make_lost_found(struct fsck *f, inr_t in_the_way)
{
	inr_t ino;
	int err;

	if (!problem(f, LOST_FOUND_MISSING, (struct where){0}))
		return false;
	ino = alloc_inode(f, EXT_ROOT_INO);
	if (!ino || !make_dir(f, ino, EXT_ROOT_INO, 0700))
		return false;
	err = in_the_way ? dirs_set_entry(f, EXT_ROOT_INO, lost_found_name, ino)
			 : dirs_add_entry(f, EXT_ROOT_INO, lost_found_name, ino, EXT_FT_DIR);
	if (err)
		return false;
	add_count(f, ino, 1);
	f->lost_found = ino;
	return true;
}

static bool find_lost_found(struct fsck *f)
{
	inr_t ino;

	if (f->lost_found)
		return true;
	ino = dirs_lookup(f, EXT_ROOT_INO, lost_found_name);
	if (ino && inode_nr_is_user(&f->geo, ino) && bitmap_test(f->ino_used, ino - 1)) {
		if (bitmap_test(f->ino_dir, ino - 1)) {
			f->lost_found = ino;
			return true;
		}
		return move_away(f, ino) && make_lost_found(f, ino);
	}
	return make_lost_found(f, 0);
}

/* "#NUMBER", as it stands there from an earlier check. */
static void note_lost_name(struct fsck *f, const char *name, unsigned name_len)
{
	uint64_t number = 0;
	unsigned i;

	if (name_len < 2 || name_len > 11 || name[0] != '#')
		return;
	for (i = 1; i < name_len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return;
		number = number * 10 + (unsigned)(name[i] - '0');
	}
	if (number && number <= f->geo.inodes_count)
		bitmap_set(f->lost_names, number - 1);
}

/* The directory is read once, however many names it is to get. */
static bool is_lost_name(struct fsck *f, inr_t ino)
{
	if (!f->lost_names) {
		f->lost_names = fsck_inode_map(f);
		dirs_for_each(f, f->lost_found, note_lost_name);
	}
	return bitmap_test(f->lost_names, ino - 1);
}

static uint8_t type_of(struct fsck *f, inr_t ino)
{
	union inode_buf buf;

	return fsck_read_inode(f, ino, &buf) ? dirblock_type_of_mode(le16_get(buf.raw.mode)) : 0;
}

bool pass3_reconnect(struct fsck *f, inr_t ino)
{
	struct where w = {.ino = ino};
	char name[32];
	int err = -EIO;

	if (find_lost_found(f) && f->lost_found != ino) {
		snprintf(name, sizeof(name), "#%u", ino);
		if (is_lost_name(f, ino))
			snprintf(name, sizeof(name), "#%u~%u", ino, f->now);
		err = dirs_add_entry(f, f->lost_found, name, ino, type_of(f, ino));
	}
	if (err) {
		w.str = f->lost_found ? strerror(-err) : "there is none";
		problem(f, LOST_FOUND_FAILED, w);
		return false;
	}
	add_count(f, ino, 1);
	return true;
}

/* ---- '..' ---- */

static void set_dotdot(struct fsck *f, struct dir_info *dir, inr_t parent)
{
	if (dirs_set_entry(f, dir->ino, "..", parent))
		return; /* pass 2 left no '..' because it was told to */
	if (inode_nr_is_user(&f->geo, dir->dotdot) && bitmap_test(f->ino_used, dir->dotdot - 1))
		add_count(f, dir->dotdot, -1);
	add_count(f, parent, 1);
	dir->dotdot = parent;
}

static void check_dotdot(struct fsck *f, struct dir_info *dir)
{
	struct where w = {.ino = dir->ino, .num = dir->dotdot, .num2 = dir->parent};

	if (!dir->parent || dir->dotdot == dir->parent || !problem(f, DOTDOT_WRONG, w))
		return;
	set_dotdot(f, dir, dir->parent);
}

/* ---- the way to the root ---- */

static void connect(struct fsck *f, struct dir_info *dir, enum problem_code code)
{
	if (!problem(f, code, (struct where){.ino = dir->ino, .dir = dir->dotdot}) ||
	    !pass3_reconnect(f, dir->ino))
		return;
	dir->parent = f->lost_found;
	if (dir->dotdot != dir->parent)
		set_dotdot(f, dir, dir->parent);
}

/*
 * A loop that hangs on nothing: the directory leaves its parent for lost+found. Its old entry would be
 * a second name, so the next round removes one of them; the entry in lost+found is the one to keep,
 * which is why the old one goes first.
 */
static void break_loop(struct fsck *f, struct dir_info *dir)
{
	if (!problem(f, DIR_LOOP, (struct where){.ino = dir->ino, .dir = dir->parent}))
		return;
	dirs_drop_child(f, dir->parent, dir->ino);
	add_count(f, dir->ino, -1);
	if (!pass3_reconnect(f, dir->ino))
		return;
	dir->parent = f->lost_found;
	set_dotdot(f, dir, dir->parent);
}

/* done: directories that reach the root. seen: those met on the present way. */
static void check_way(struct fsck *f, struct dir_info *dir, uint8_t *done, uint8_t *seen)
{
	struct dir_info *at = dir;
	size_t steps;

	for (steps = 0; at && !bitmap_test(done, at->ino - 1); steps++) {
		if (steps && at->parent && bitmap_test(seen, at->ino - 1)) {
			break_loop(f, at);
			break;
		}
		bitmap_set(seen, at->ino - 1);
		if (!at->parent) {
			connect(f, at, DIR_UNCONNECTED);
			break;
		}
		at = fsck_find_dir(f, at->parent);
	}
	/* The whole way is settled now, whether or not somebody wanted it repaired. */
	for (at = dir; at && !bitmap_test(done, at->ino - 1); at = fsck_find_dir(f, at->parent)) {
		bitmap_set(done, at->ino - 1);
		bitmap_clear(seen, at->ino - 1);
	}
}

void pass3(struct fsck *f)
{
	uint8_t *done, *seen;
	size_t i;

	f->pass_name = "3";
	check_root(f);
	if (f->restart)
		return;
	done = fsck_inode_map(f);
	f->piece = done; /* freed by fsck_forget() when the check ends in the middle */
	seen = fsck_inode_map(f);
	f->piece2 = seen;
	bitmap_set(done, EXT_ROOT_INO - 1);
	for (i = 0; i < f->nr_dirs; i++) {
		struct dir_info *dir = &f->dirs[i];

		if (!bitmap_test(f->ino_used, dir->ino - 1) || !bitmap_test(f->ino_dir, dir->ino - 1))
			continue;
		check_way(f, dir, done, seen);
		check_dotdot(f, dir);
	}
	fsck_progress(f, 3, 1, 1);
	fsck_release_pieces(f);
}
