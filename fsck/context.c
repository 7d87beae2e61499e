/* What all passes need of an image: inodes, blocks, tables that grow, the way out, the progress. */
#include "context.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "base/mem.h"
#include "layout/feature.h"
#include "layout/super.h"
#include "prefetch.h"
#include "refs.h"
#include "undo.h"
#include "scan.h"

/* ---- the way out ---- */

void fsck_stop(struct fsck *f, int status, const char *why)
{
	fsck_progress_clear(f);
	fflush(stdout);
	if (why)
		fprintf(stderr, "fsck.extant: %s: %s\n", f->store.path, why);
	snprintf(f->stop_why, sizeof(f->stop_why), "%s", why ? why : "");
	f->stop_status = status;
	longjmp(f->stop, 1);
}

void fsck_cancel(struct fsck *f)
{
	/* Half repaired is not repaired: the disk says so, and so does the status. */
	fsck_stop(f, FSCK_CANCELLED | (f->is_marked || f->nr_left ? FSCK_UNCORRECTED : 0), "interrupted");
}

void fsck_fail(struct fsck *f, const char *doing, int err)
{
	char why[256];

	if (f->store.undo && undo_has_failed(f->store.undo))
		doing = "writing the undo file";
	snprintf(why, sizeof(why), "%s: %s", doing, strerror(-err));
	fsck_stop(f, FSCK_ERROR, why);
}

/* ---- memory ---- */

void *fsck_alloc(struct fsck *f, size_t bytes)
{
	void *p = mem_zalloc(bytes ? bytes : 1);

	if (!p)
		fsck_fail(f, "memory", -ENOMEM);
	return p;
}

uint8_t *fsck_block_map(struct fsck *f)
{
	return fsck_alloc(f, (size_t)(f->geo.blocks_count / 8 + 16));
}

uint8_t *fsck_inode_map(struct fsck *f)
{
	return fsck_alloc(f, f->geo.inodes_count / 8 + 16);
}

static void free_and_null(void *field)
{
	void **p = field;

	mem_free(*p);
	*p = NULL;
}

void fsck_release_pieces(struct fsck *f)
{
	free_and_null(&f->piece);
	free_and_null(&f->piece2);
}

void fsck_forget(struct fsck *f)
{
	prefetch_end(f->ahead);
	f->ahead = NULL;
	scan_end(f->scan);
	f->scan = NULL;
	fsck_release_pieces(f);
	free_and_null(&f->found);
	free_and_null(&f->meta);
	free_and_null(&f->bad_blocks);
	free_and_null(&f->dup);
	free_and_null(&f->indirect);
	free_and_null(&f->mend);
	free_and_null(&f->xattr);
	free_and_null(&f->ino_used);
	free_and_null(&f->ino_dir);
	free_and_null(&f->ino_reg);
	free_and_null(&f->links);
	free_and_null(&f->counted);
	free_and_null(&f->dirs);
	free_and_null(&f->dir_blocks);
	refs_destroy(f->refs);
	f->refs = NULL;
	f->nr_dirs = f->room_dirs = f->nr_dir_blocks = f->room_dir_blocks = 0;
	f->restart = false;
	f->nr_large_files = f->nr_bad_blocks = 0;
	free_and_null(&f->lost_names);
	f->lost_found = f->dirs_unlisted = 0;
	f->lost_found_at = 0;
	f->alloc_at = 0;
	f->is_full = false;
	f->nr_files = f->nr_reg = f->nr_chr = f->nr_blk = f->nr_fifo = f->nr_sock = 0;
	f->nr_link = f->nr_fast_link = f->nr_ind = f->nr_dind = f->nr_tind = 0;
	f->nr_fragmented = f->nr_fragmented_dirs = f->nr_names_more = 0;
}

/* ---- changing ---- */

bool fsck_may_write(const struct fsck *f)
{
	return f->store.is_writable;
}

void fsck_identify_undo(struct fsck *f)
{
	int err = f->store.undo ? undo_identify(f->store.undo, f->super.uuid) : 0;

	if (err)
		fsck_fail(f, "writing the undo file", err);
}

void fsck_begin_changes(struct fsck *f)
{
	struct ext_super mark = f->super;
	int err;

	if (f->is_marked || !fsck_may_write(f))
		return;
	f->is_marked = true;
	fsck_identify_undo(f);
	mark.state = le16_make((uint16_t)((le16_get(mark.state) & ~EXT_VALID_FS) | EXT_ERROR_FS));
	err = store_write_bytes(&f->store, EXT_SUPER_OFFSET, &mark, sizeof(mark));
	if (!err)
		err = store_flush(&f->store);
	if (err)
		fsck_fail(f, "writing the superblock", err);
}

void fsck_flush(struct fsck *f)
{
	int err = store_flush(&f->store);

	if (err)
		fsck_fail(f, "writing", err);
}

/* ---- blocks ---- */

void fsck_read_block(struct fsck *f, fsblk_t block, void *buf)
{
	int err = store_read(&f->store, block, 1, buf);

	if (err)
		fsck_fail(f, "reading a block", err);
}

void fsck_write_block(struct fsck *f, fsblk_t block, const void *buf)
{
	int err;

	fsck_begin_changes(f);
	err = store_write(&f->store, block, buf);
	if (err)
		fsck_fail(f, "writing a block", err);
}

void fsck_write_new_block(struct fsck *f, fsblk_t block, const void *buf)
{
	int err;

	fsck_begin_changes(f);
	err = store_write_new(&f->store, block, buf);
	if (err)
		fsck_fail(f, "writing a block", err);
}

/* ---- inodes ---- */

bool fsck_read_inode(struct fsck *f, inr_t ino, union inode_buf *ret)
{
	group_t g = group_of_inode(&f->geo, ino);
	struct inode_place place = inode_location(&f->geo, ino, le32_get(f->desc[g].inode_table));
	uint8_t block[EXT_BLOCK_SIZE_MAX];

	if (bitmap_test(f->bad_tables, g) || store_read(&f->store, place.block, 1, block))
		return false;
	memcpy(ret->bytes, block + place.offset, f->geo.inode_size);
	return true;
}

void fsck_write_inode(struct fsck *f, inr_t ino, const union inode_buf *buf)
{
	group_t g = group_of_inode(&f->geo, ino);
	struct inode_place place = inode_location(&f->geo, ino, le32_get(f->desc[g].inode_table));
	uint8_t block[EXT_BLOCK_SIZE_MAX];

	if (bitmap_test(f->bad_tables, g))
		return;
	fsck_read_block(f, place.block, block);
	memcpy(block + place.offset, buf->bytes, f->geo.inode_size);
	fsck_write_block(f, place.block, block);
}

void fsck_clear_inode(struct fsck *f, inr_t ino, union inode_buf *buf)
{
	if (ino < f->geo.first_ino && ino != EXT_ROOT_INO)
		memset(buf->bytes, 0, f->geo.inode_size);
	buf->raw.flags = le32_make(0);
	buf->raw.links_count = le16_make(0);
	if (ino >= f->geo.first_ino)
		buf->raw.dtime = le32_make(f->now);
	else
		memset(buf->raw.block, 0, sizeof(buf->raw.block));
	if (f->links)
		f->links[ino - 1] = 0;
	if (f->ino_used) {
		bitmap_clear(f->ino_used, ino - 1);
		bitmap_clear(f->ino_dir, ino - 1);
		bitmap_clear(f->ino_reg, ino - 1);
	}
	fsck_write_inode(f, ino, buf);
}

/* ---- tables that grow with what is found (K1) ---- */

/* 24 MiB of them; one directory has no more than 2 Mi blocks. */
#define DIR_BLOCKS_MAX ((2u << 20) + 1)

static void *grow(struct fsck *f, void *table, size_t *room, size_t count, size_t each)
{
	size_t more = *room + *room / 2 + 256;
	void *grown;

	if (count < *room)
		return table;
	grown = mem_realloc(table, more * each);
	if (!grown)
		fsck_fail(f, "memory", -ENOMEM);
	*room = more;
	return grown;
}

void fsck_add_dir(struct fsck *f, inr_t ino)
{
	must(f->nr_dirs == 0 || f->dirs[f->nr_dirs - 1].ino < ino);
	f->dirs = grow(f, f->dirs, &f->room_dirs, f->nr_dirs, sizeof(*f->dirs));
	f->dirs[f->nr_dirs++] = (struct dir_info){.ino = ino};
}

void fsck_add_dir_block(struct fsck *f, inr_t ino, uint32_t lblk, uint32_t block)
{
	if (f->dirs_unlisted)
		return;
	if (f->nr_dir_blocks == DIR_BLOCKS_MAX) {
		/* A list of whole directories: pass 2 makes the rest, one by one. */
		while (f->nr_dir_blocks && f->dir_blocks[f->nr_dir_blocks - 1].ino == ino)
			f->nr_dir_blocks--;
		f->dirs_unlisted = ino;
		return;
	}
	f->dir_blocks =
		grow(f, f->dir_blocks, &f->room_dir_blocks, f->nr_dir_blocks, sizeof(*f->dir_blocks));
	f->dir_blocks[f->nr_dir_blocks++] = (struct dir_block){ino, lblk, block};
}

struct dir_info *fsck_find_dir(const struct fsck *f, inr_t ino)
{
	size_t low = 0, high = f->nr_dirs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->dirs[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->nr_dirs && f->dirs[low].ino == ino ? &f->dirs[low] : NULL;
}

/* ---- progress ---- */

/* Percent of the whole at which each pass begins. */
static const unsigned pass_begins[] = {0, 0, 70, 90, 92, 95, 100};

#define BAR_WIDTH 50u

static void draw_bar(struct fsck *f, unsigned percent)
{
	char bar[BAR_WIDTH + 1];
	unsigned filled = percent * BAR_WIDTH / 100;

	if (f->progress_shown && percent == f->progress_percent)
		return;
	memset(bar, '=', filled);
	memset(bar + filled, ' ', BAR_WIDTH - filled);
	bar[BAR_WIDTH] = '\0';
	printf("\r%s: |%s| %3u%% ", f->store.path, bar, percent);
	fflush(stdout);
	f->progress_shown = true;
	f->progress_percent = percent;
}

void fsck_progress(struct fsck *f, unsigned pass, uint64_t done, uint64_t of)
{
	char line[256];
	int len;

	if (f->cancelled)
		fsck_cancel(f);
	if (f->bar_wanted && (f->opt.progress_fd || !f->opt.json)) {
		f->opt.progress_on = f->bar_wanted > 0;
		f->bar_wanted = 0;
		fsck_progress_clear(f);
	}
	if (!f->opt.progress_on)
		return;
	if (f->opt.progress_fd == 0) {
		draw_bar(f, pass_begins[pass] + (unsigned)((pass_begins[pass + 1] - pass_begins[pass]) *
							   done / max(of, (uint64_t)1)));
		return;
	}
	len = snprintf(line, sizeof(line), "%u %llu %llu %s\n", pass, (unsigned long long)done,
		       (unsigned long long)of, f->store.path);
	ignore(write(f->opt.progress_fd, line, (size_t)len), "who listens may have gone");
}

void fsck_progress_clear(struct fsck *f)
{
	if (!f->progress_shown)
		return;
	printf("\r%*s\r", (int)(strlen(f->store.path) + BAR_WIDTH + 12), "");
	f->progress_shown = false;
}
