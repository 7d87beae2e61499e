/*
 * fsck/context.h - one check of one image: its settings, the image, and what passes hand on.
 *
 * Purpose     Passes are functions over struct fsck. Each states in its header what it relies on and
 *             what it leaves; the data itself stands here.
 * Ownership   main.c creates and destroys it. Bitmaps and tables are freed with it.
 * Locking     One thread, but for scan.c and prefetch.c, which only read what they were given.
 * Invariants  K1  Memory is bounded by bits per block, bytes per inode and the directory blocks that
 *                 were really found, never by a number that the image merely claims.
 *             K2  After pass 1, found has a bit for every block that somebody claims, and alloc.c
 *                 never gives such a block away.
 * Units       Blocks, inodes; bitmaps have bit (block - first_data_block) and bit (inode - 1).
 * Sources     FSCK.md.
 */
#ifndef FSCK_CONTEXT_H
#define FSCK_CONTEXT_H

#include <setjmp.h>

#include "layout/geometry.h"
#include "problem.h"
#include "store.h"

/* Exit status bits, those of e2fsck. */
#define FSCK_OK          0
#define FSCK_CORRECTED   1
#define FSCK_UNCORRECTED 4
#define FSCK_ERROR       8
#define FSCK_USAGE       16
#define FSCK_CANCELLED   32

enum answer_mode { MODE_ASK, MODE_YES, MODE_NO, MODE_PREEN };

struct fsck_options {
	enum answer_mode mode;
	bool force; /* -f: also a clean file system is checked */
	bool verbose;
	bool debug;
	bool journal_only;
	bool discard; /* free blocks are given back to whoever stores the image */
	bool json;
	bool fragcheck; /* each place where a file's blocks are not in a row is told */
	bool flush_first; /* -F */
	bool optimize_dirs; /* -D */
	unsigned scan; /* -c: all blocks are read; -cc: and written back */
	const char *bad_list_path; /* -l, -L: a file of numbers of bad blocks */
	bool bad_list_replaces; /* -L: the list is this file's and nothing else */
	bool bad_list_stays; /* -k: what the list has stays also with -c */
	unsigned timing; /* -t, -tt */
	int progress_fd; /* 0 a bar on the terminal; else lines to this descriptor */
	bool progress_on; /* -C; signals turn it on and off */
	fsblk_t backup_block; /* -b; 0: the primary */
	unsigned backup_block_size; /* -B; 0: to be found out */
	const char *undo_path;
};

/* A directory, as pass 1 finds it and pass 2 learns about it. Sorted by ino. */
struct dir_info {
	inr_t ino;
	inr_t parent; /* the directory that names it; 0 not found yet */
	inr_t dotdot; /* what its '..' names; 0 unknown */
	uint32_t index_blocks; /* blocks of the directory if it has an index, else 0 */
};

/* A block of a directory; block 0 is a hole. Of one directory in ascending order, one after another. */
struct dir_block {
	inr_t ino;
	uint32_t lblk;
	uint32_t block;
};

struct fsck {
	/* settings */
	struct fsck_options opt;
	uint32_t now;

	/* the image */
	struct store store;
	struct ext_super super;
	struct geometry geo;
	struct ext_group_desc *desc; /* one a group */
	bool super_dirty;
	bool desc_dirty;
	bool backups_dirty; /* write the copies too at the end */
	bool is_marked; /* the disk says "not checked": changes may go there */
	bool used_backup;
	bool make_resize_inode; /* after pass 1 */
	bool make_journal; /* after the last pass: it was lost */

	/* pass 1 */
	uint8_t *found; /* blocks that somebody claims */
	uint8_t *meta; /* those that belong to the file system itself */
	uint8_t *bad_blocks; /* those of the list of bad blocks, which are in meta too; NULL: none */
	uint8_t *dup; /* claimed more than once; NULL: none */
	uint8_t *indirect; /* claimed as an indirect block by some inode; NULL: none */
	uint8_t *mend; /* inodes with pointers to be cleared in indirect blocks; NULL: none */
	uint8_t *xattr; /* attribute blocks; NULL: none */
	uint64_t alloc_at; /* bit where alloc.c goes on to search */
	bool is_full; /* alloc.c found no free block any more */
	bool restart; /* what pass 1 counted is no longer so: it runs again */
	uint8_t *ino_used, *ino_dir, *ino_reg;
	uint8_t *bad_tables; /* bit a group: its inode table cannot be read or is to be made anew */
	uint8_t *bad_block_bitmaps, *bad_inode_bitmaps; /* bit a group: to be placed anew */
	uint16_t *links; /* as inodes say */
	uint16_t *counted; /* as directories say (pass 2 on) */
	struct dir_info *dirs;
	size_t nr_dirs, room_dirs;
	struct dir_block *dir_blocks;
	size_t nr_dir_blocks, room_dir_blocks;
	struct bad_list *bad; /* the list of bad blocks that is to be written after pass 1, or NULL */
	struct xattr_refs *refs; /* attribute blocks and who counts them */
	uint64_t nr_large_files;
	uint64_t nr_bad_blocks;
	inr_t lost_found; /* 0: not known */
	lblk_t lost_found_at; /* its block that took the last name */
	uint8_t *lost_names; /* inodes whose number is a name in it already */
	inr_t dirs_unlisted; /* blocks of directories from this one on are not in dir_blocks; 0: all are */
	struct prefetch *ahead; /* threads that ask for what the present pass will read, or NULL */
	struct scan *scan; /* threads that read the inode tables for pass 1, or NULL */
	uint8_t *piece, *piece2; /* buffers of the present pass */

	/* totals for the last line and -v */
	uint64_t nr_files, nr_reg, nr_chr, nr_blk, nr_fifo, nr_sock, nr_link, nr_fast_link;
	uint64_t nr_ind, nr_dind, nr_tind, nr_fragmented, nr_fragmented_dirs, nr_names_more;
	uint64_t used_blocks, used_inodes;

	/* problems */
	const char *pass_name;
	uint64_t nr_found, nr_repaired, nr_reported;
	uint64_t nr_left; /* in the present round */
	bool was_modified; /* by what is no repair: -c, -l, -L, -D */
	unsigned progress_percent;
	bool progress_shown;
	volatile int cancelled;
	volatile int bar_wanted; /* by signal: 1 draw a bar from now on, -1 do not, 0 nothing was said */
	double started, pass_started; /* seconds */

	/* the way out of any depth */
	jmp_buf stop;
	int stop_status;
	char stop_why[256]; /* for the end of a report; empty: it came to its end by itself */
};

/* Ends the check with this status; why goes to standard error. Nothing held back is written. */
void fsck_stop(struct fsck *f, int status, const char *why) no_return;
/* The same because somebody wants it so. */
void fsck_cancel(struct fsck *f) no_return;
/* For errors of our own means: no memory, no reading. err is negative. */
void fsck_fail(struct fsck *f, const char *doing, int err) no_return;

/*
 * Before the first change: the superblock on disk says "errors, not checked", durably, so that an
 * interruption at any later moment leads to a full check and not to a mount.
 */
void fsck_begin_changes(struct fsck *f);
/* Before the superblock is written: the undo file knows the image by it. */
void fsck_identify_undo(struct fsck *f);
bool fsck_may_write(const struct fsck *f);

/* Memory or no return; zeroed. */
void *fsck_alloc(struct fsck *f, size_t bytes);
uint8_t *fsck_block_map(struct fsck *f);
uint8_t *fsck_inode_map(struct fsck *f);
/* Frees the buffers of the present pass. */
void fsck_release_pieces(struct fsck *f);
/* Frees what passes have gathered, so that they can run again. */
void fsck_forget(struct fsck *f);

/* ---- inodes and blocks; errors end the check ---- */

union inode_buf {
	struct ext_inode raw;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
};

/* False: its table is not readable. */
bool fsck_read_inode(struct fsck *f, inr_t ino, union inode_buf *ret);
void fsck_write_inode(struct fsck *f, inr_t ino, const union inode_buf *buf);
void fsck_read_block(struct fsck *f, fsblk_t block, void *buf);
void fsck_write_block(struct fsck *f, fsblk_t block, const void *buf);
void fsck_write_new_block(struct fsck *f, fsblk_t block, const void *buf);
void fsck_flush(struct fsck *f);

/* Takes an inode out of use: links 0, time of deletion, and of reserved ones everything. */
void fsck_clear_inode(struct fsck *f, inr_t ino, union inode_buf *buf);

static inline uint64_t block_bit(const struct fsck *f, fsblk_t block)
{
	return block - f->geo.first_data_block;
}

/* Blocks a pointer of a file may name; the first is the superblock's at 1 KiB blocks and never free. */
static inline bool pointer_is_possible(const struct fsck *f, fsblk_t block)
{
	return block >= f->geo.first_data_block && block != 0 && block < f->geo.blocks_count;
}

void fsck_add_dir(struct fsck *f, inr_t ino);
void fsck_add_dir_block(struct fsck *f, inr_t ino, uint32_t lblk, uint32_t block);
/* The directory's entry in dirs, or NULL. */
struct dir_info *fsck_find_dir(const struct fsck *f, inr_t ino);

/* ---- progress ---- */

void fsck_progress(struct fsck *f, unsigned pass, uint64_t done, uint64_t of);
void fsck_progress_clear(struct fsck *f);

#endif
