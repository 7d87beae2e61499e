/* The resize inode and the journal. */
#include "special.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "base/bitmap.h"
#include "dirs.h"
#include "journal/format.h"
#include "layout/feature.h"
#include "layout/super.h"
#include "log.h"

/* ---- resize inode ---- */

/*
 * Its only block is a double indirect one. Slot s of that names the reserved descriptor block that would
 * hold descriptor block s of the larger file system, which as an indirect block names its copies in the
 * groups that have a superblock.
 */
static fsblk_t reserved_block(const struct fsck *f, group_t g, uint32_t nth)
{
	struct group_head head = group_head(&f->geo, g);

	return head.gdt + head.gdt_blocks + nth;
}

static uint32_t dind_slot(const struct fsck *f, uint32_t nth)
{
	return (f->geo.gdt_blocks + nth) % f->geo.addr_per_block;
}

static bool indirect_fits(struct fsck *f, uint32_t nth)
{
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	uint32_t i = 0;
	group_t g;

	if (store_read(&f->store, reserved_block(f, 0, nth), 1, slots))
		return false;
	for (g = super_next_group(&f->geo, 0); g < f->geo.groups_count && i < f->geo.addr_per_block;
	     g = super_next_group(&f->geo, g))
		if (le32_get(slots[i++]) != reserved_block(f, g, nth))
			return false;
	return true;
}

/* Why the inode itself cannot be a resize inode; NULL: it can. */
static const char *inode_fault(const struct fsck *f, const struct ext_inode *raw)
{
	unsigned i;

	for (i = 0; i < EXT_N_BLOCKS; i++)
		if (i != EXT_DIND_BLOCK && le32_get(raw->block[i]))
			return "it has other blocks than one double indirect block";
	if (!pointer_is_possible(f, le32_get(raw->block[EXT_DIND_BLOCK])))
		return "it has no double indirect block";
	if (!le16_get(raw->links_count) || !(le16_get(raw->mode) & S_IFREG))
		return "it is not a regular file";
	return NULL;
}

/*
 * The first quarter of the reserved blocks is what e2fsck looks at; a fault behind it is told and
 * repaired, but the file system is not called damaged for it: nothing reads those blocks before a resize.
 */
static const char *tree_fault(struct fsck *f, const struct ext_inode *raw, bool *ret_is_grave)
{
	le32_t dind[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)];
	uint32_t nth;

	*ret_is_grave = true;
	if (store_read(&f->store, le32_get(raw->block[EXT_DIND_BLOCK]), 1, dind))
		return "its double indirect block cannot be read";
	for (nth = 0; nth < f->geo.reserved_gdt_blocks; nth++) {
		*ret_is_grave = nth < f->geo.reserved_gdt_blocks / 4;
		if (le32_get(dind[dind_slot(f, nth)]) != reserved_block(f, 0, nth) ||
		    !indirect_fits(f, nth))
			return "its blocks are not the reserved descriptor blocks";
	}
	return NULL;
}

static void clear_resize_inode(struct fsck *f)
{
	union inode_buf none;

	memset(&none, 0, sizeof(none));
	fsck_write_inode(f, EXT_RESIZE_INO, &none);
}

static void check_without_feature(struct fsck *f, const struct ext_inode *raw)
{
	unsigned i;

	if (f->geo.reserved_gdt_blocks &&
	    problem(f, SUPER_RESERVED_GDT, (struct where){.num = f->geo.reserved_gdt_blocks})) {
		f->super.reserved_gdt_blocks = le16_make(0);
		f->geo.reserved_gdt_blocks = 0;
		f->super_dirty = true;
		f->backups_dirty = true;
	}
	for (i = 0; i < EXT_N_BLOCKS; i++)
		if (le32_get(raw->block[i])) {
			if (problem(f, RESIZE_INODE_SET, (struct where){0}))
				clear_resize_inode(f);
			return;
		}
}

void special_check_resize_inode(struct fsck *f)
{
	union inode_buf buf;
	const char *fault;
	bool is_grave = true;

	if (!fsck_read_inode(f, EXT_RESIZE_INO, &buf))
		return;
	if (!f->geo.has_resize_inode) {
		check_without_feature(f, &buf.raw);
		return;
	}
	fault = inode_fault(f, &buf.raw);
	if (!fault)
		fault = tree_fault(f, &buf.raw, &is_grave);
	if (!fault)
		return;
	if (problem(f, is_grave ? RESIZE_INODE_BAD : RESIZE_INODE_REST, (struct where){.str = fault})) {
		clear_resize_inode(f);
		f->make_resize_inode = true;
	}
}

static void write_indirect(struct fsck *f, uint32_t nth)
{
	le32_t slots[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)] = {{0}};
	uint32_t i = 0;
	group_t g;

	for (g = super_next_group(&f->geo, 0); g < f->geo.groups_count && i < f->geo.addr_per_block;
	     g = super_next_group(&f->geo, g))
		slots[i++] = le32_make((uint32_t)reserved_block(f, g, nth));
	fsck_write_new_block(f, reserved_block(f, 0, nth), slots);
}

static uint32_t nr_copies(const struct fsck *f)
{
	uint32_t nr = 0;
	group_t g;

	for (g = super_next_group(&f->geo, 0); g < f->geo.groups_count;
	     g = super_next_group(&f->geo, g))
		nr++;
	return nr;
}

void special_make_resize_inode(struct fsck *f)
{
	le32_t dind[EXT_BLOCK_SIZE_MAX / sizeof(le32_t)] = {{0}};
	const struct geometry *geo = &f->geo;
	uint32_t nth, last = 0;
	union inode_buf buf;
	uint64_t size;
	fsblk_t block;

	if (!f->make_resize_inode)
		return;
	f->make_resize_inode = false;
	block = alloc_block(f, geo->first_data_block);
	if (!block)
		return; /* the next round asks again */
	for (nth = 0; nth < geo->reserved_gdt_blocks; nth++) {
		write_indirect(f, nth);
		dind[dind_slot(f, nth)] = le32_make((uint32_t)reserved_block(f, 0, nth));
		last = max(last, dind_slot(f, nth));
	}
	fsck_write_new_block(f, block, dind);
	memset(&buf, 0, sizeof(buf));
	buf.raw.mode = le16_make(S_IFREG | 0600);
	buf.raw.links_count = le16_make(1);
	buf.raw.atime = buf.raw.ctime = buf.raw.mtime = le32_make(f->now);
	/* As mke2fs has it: everything that the double indirect block could reach. */
	size = (EXT_NDIR_BLOCKS + (uint64_t)geo->addr_per_block +
		(uint64_t)geo->addr_per_block * geo->addr_per_block)
	       << geo->block_bits;
	buf.raw.size = le32_make((uint32_t)size);
	buf.raw.size_high = le32_make((uint32_t)(size >> 32));
	buf.raw.blocks = le32_make((1 + geo->reserved_gdt_blocks * (1 + nr_copies(f)))
				   << (geo->block_bits - SECTOR_SHIFT));
	buf.raw.block[EXT_DIND_BLOCK] = le32_make((uint32_t)block);
	fsck_write_inode(f, EXT_RESIZE_INO, &buf);
	f->restart = true;
}

/* ---- journal ---- */

bool special_needs_recovery(const struct fsck *f)
{
	return super_has_incompat(&f->super, EXT_INCOMPAT_RECOVER);
}

#define JOURNAL_INCOMPAT_KNOWN                                                              \
	(JOURNAL_INCOMPAT_REVOKE | JOURNAL_INCOMPAT_64BIT | JOURNAL_INCOMPAT_ASYNC_COMMIT | \
	 JOURNAL_INCOMPAT_CSUM_V2 | JOURNAL_INCOMPAT_CSUM_V3 | JOURNAL_INCOMPAT_FAST_COMMIT)

static void drop_journal(struct fsck *f)
{
	struct ext_super *s = &f->super;

	s->feature_compat = le32_make(le32_get(s->feature_compat) & ~EXT_COMPAT_HAS_JOURNAL);
	s->feature_incompat = le32_make(le32_get(s->feature_incompat) & ~EXT_INCOMPAT_RECOVER);
	s->journal_inum = le32_make(0);
	s->journal_dev = le32_make(0);
	memset(s->journal_uuid, 0, sizeof(s->journal_uuid));
	s->jnl_backup_type = 0;
	memset(s->jnl_blocks, 0, sizeof(s->jnl_blocks));
	f->geo.has_journal = false;
	f->geo.feature_compat = le32_get(s->feature_compat);
	f->geo.feature_incompat = le32_get(s->feature_incompat);
	f->super_dirty = true;
	f->backups_dirty = true;
	f->make_journal = f->opt.mode != MODE_NO;
}

static void make_journal_super(const struct fsck *f, uint32_t blocks, struct journal_super *js)
{
	memset(js, 0, sizeof(*js));
	js->header.magic = be32_make(JOURNAL_MAGIC);
	js->header.blocktype = be32_make(JOURNAL_SUPERBLOCK_V2);
	js->blocksize = be32_make(f->geo.block_size);
	js->maxlen = be32_make(blocks);
	js->first = be32_make(1);
	js->sequence = be32_make(JOURNAL_FIRST_SEQUENCE);
	js->nr_users = be32_make(1);
	memcpy(js->uuid, f->super.uuid, sizeof(js->uuid));
}

static void drop_recover_flag(struct fsck *f)
{
	f->super.feature_incompat =
		le32_make(le32_get(f->super.feature_incompat) & ~EXT_INCOMPAT_RECOVER);
	f->geo.feature_incompat = le32_get(f->super.feature_incompat);
	f->super_dirty = true;
}

static bool has_unknown_features(const struct journal_super *js)
{
	return be32_get(js->header.blocktype) == JOURNAL_SUPERBLOCK_V2 &&
	       be32_get(js->feature_incompat) & ~JOURNAL_INCOMPAT_KNOWN;
}

static void check_journal_super(struct fsck *f, const struct ext_inode *raw)
{
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	struct journal_super *js = (void *)bytes;
	fsblk_t block = dirs_block_at(f, raw, 0);
	struct where w = {.ino = EXT_JOURNAL_INO, .block = block};
	char unknown[32];

	fsck_read_block(f, block, bytes);
	w.str = log_fault(f, raw);
	if (!w.str && has_unknown_features(js)) {
		snprintf(unknown, sizeof(unknown), "features 0x%x", be32_get(js->feature_incompat));
		w.str = unknown;
		if (be32_get(js->start)) {
			problem(f, JOURNAL_FEATURES, w);
			fsck_stop(f, FSCK_ERROR, "the journal cannot be read");
		}
	}
	if (w.str) {
		if (!problem(f, JOURNAL_SUPER_BAD, w))
			return;
		memset(bytes, 0, f->geo.block_size);
		make_journal_super(f, log_claimed_blocks(f, raw), js);
		fsck_write_block(f, block, bytes);
		drop_recover_flag(f); /* what was in the log cannot be found any more */
		return;
	}
	if (be32_get(js->error) && f->opt.mode != MODE_NO)
		f->super.state = le16_make(le16_get(f->super.state) | EXT_ERROR_FS);
}

static bool names_external_journal(const struct ext_super *s)
{
	static const uint8_t none[16];

	return le32_get(s->journal_dev) || memcmp(s->journal_uuid, none, sizeof(none)) != 0;
}

static void set_journal_fields(struct fsck *f, inr_t ino)
{
	struct ext_super *s = &f->super;

	s->journal_inum = le32_make(ino);
	s->journal_dev = le32_make(0);
	memset(s->journal_uuid, 0, sizeof(s->journal_uuid));
	s->feature_compat = le32_make(ino ? le32_get(s->feature_compat) | EXT_COMPAT_HAS_JOURNAL
					  : le32_get(s->feature_compat) & ~EXT_COMPAT_HAS_JOURNAL);
	f->geo.feature_compat = le32_get(s->feature_compat);
	f->geo.has_journal = ino != 0;
	f->super_dirty = true;
	f->backups_dirty = true;
}

static void check_journal_inode(struct fsck *f)
{
	inr_t ino = le32_get(f->super.journal_inum);
	struct where w = {.ino = ino};
	union inode_buf buf, copy;

	if (!inode_nr_is_valid(&f->geo, ino) || !fsck_read_inode(f, ino, &buf)) {
		w.str = "there is no such inode";
		if (log_is_in_usual_inode(f)) {
			if (problem(f, JOURNAL_NUMBER, w))
				set_journal_fields(f, EXT_JOURNAL_INO);
			return;
		}
	} else {
		w.str = log_inode_fault(f, &buf.raw);
		copy = buf;
		if (w.str ? log_copy_of_inode(f, &copy) : log_lies_elsewhere(f, &copy)) {
			w.str = w.str ? w.str : "its blocks hold no log";
			if (problem(f, JOURNAL_INODE_COPY, w)) {
				fsck_write_inode(f, ino, &copy);
				check_journal_super(f, &copy.raw);
			}
			return;
		}
	}
	if (w.str) {
		if (problem(f, JOURNAL_INODE_BAD, w))
			drop_journal(f);
		return;
	}
	/* The device keeps Linux from mounting it, the UUID e2fsck from checking it. */
	if (names_external_journal(&f->super) && problem(f, JOURNAL_TWO, w))
		set_journal_fields(f, ino);
	check_journal_super(f, &buf.raw);
}

/* The feature is off: then nothing may name a journal, or the feature was lost. */
static void check_without_journal(struct fsck *f)
{
	inr_t ino = le32_get(f->super.journal_inum);

	if ((ino || names_external_journal(&f->super)) &&
	    problem(f, JOURNAL_FIELDS, (struct where){.ino = ino}))
		set_journal_fields(f, ino && log_is_in_usual_inode(f) ? EXT_JOURNAL_INO : 0);
	if (!f->geo.has_journal && special_needs_recovery(f) &&
	    problem(f, JOURNAL_RECOVER_SET, (struct where){0}))
		drop_recover_flag(f);
}

void special_check_journal(struct fsck *f)
{
	if (!f->geo.has_journal)
		check_without_journal(f);
	else if (!le32_get(f->super.journal_inum) && names_external_journal(&f->super) &&
		 !log_is_in_usual_inode(f))
		fsck_stop(f, FSCK_ERROR,
			  "its journal lies on another disk, which cannot be checked here");
	else
		check_journal_inode(f);
}

/* ---- a new journal ---- */

/* Blocks of a journal for a file system of this size, as mke2fs chooses; 0: too small for one. */
static uint32_t usual_journal_blocks(fsblk_t blocks)
{
	static const struct {
		fsblk_t below;
		uint32_t blocks;
	} sizes[] = {
		{2048, 0},        {32768, 1024},    {262144, 4096},    {524288, 8192},
		{4194304, 16384}, {8388608, 32768}, {16777216, 65536}, {33554432, 131072},
	};
	unsigned i;

	for (i = 0; i < array_size(sizes); i++)
		if (blocks < sizes[i].below)
			return sizes[i].blocks;
	return 262144;
}

static void backup_journal_inode(struct fsck *f)
{
	union inode_buf buf;
	unsigned i;

	if (!fsck_read_inode(f, EXT_JOURNAL_INO, &buf))
		return;
	for (i = 0; i < EXT_N_BLOCKS; i++)
		f->super.jnl_blocks[i] = buf.raw.block[i];
	f->super.jnl_blocks[15] = buf.raw.size_high;
	f->super.jnl_blocks[16] = buf.raw.size;
	f->super.jnl_backup_type = 1;
}

static bool has_room(const struct fsck *f, uint32_t blocks)
{
	uint64_t all = f->geo.blocks_count - f->geo.first_data_block;

	return all - bitmap_count_set(f->found, 0, all) > 2ull * blocks;
}

void special_make_journal(struct fsck *f)
{
	uint32_t blocks = usual_journal_blocks(f->geo.blocks_count), n;
	uint8_t bytes[EXT_BLOCK_SIZE_MAX] = {0};
	union inode_buf buf;

	if (!f->make_journal || f->restart)
		return;
	f->make_journal = false;
	if (!blocks || !has_room(f, blocks) || !problem(f, JOURNAL_REBUILT, (struct where){0}))
		return;
	memset(&buf, 0, sizeof(buf));
	buf.raw.mode = le16_make(S_IFREG | 0600);
	buf.raw.links_count = le16_make(1);
	buf.raw.atime = buf.raw.ctime = buf.raw.mtime = le32_make(f->now);
	fsck_write_inode(f, EXT_JOURNAL_INO, &buf);
	make_journal_super(f, blocks, (void *)bytes);
	for (n = 0; n < blocks; n++) {
		if (!dirs_add_block(f, EXT_JOURNAL_INO, n, bytes))
			return; /* the next round finds it too short, and drops it again */
		memset(bytes, 0, sizeof(struct journal_super));
	}
	backup_journal_inode(f);
	set_journal_fields(f, EXT_JOURNAL_INO);
	f->restart = true;
}
