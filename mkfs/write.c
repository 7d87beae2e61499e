/*
 * From the plan to the disk.
 *
 * A fresh sparse file reads as zero, and most of a new file system is zero; so zeros are asked for
 * (image_zero), which costs nothing where they are known to be there, and only the rest is
 * written: two bitmaps a group, descriptors, a dozen inodes, two directories, the resize inode's and
 * the journal's block numbers, superblocks.
 */
#include "write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "detect.h"
#include "journal.h"
#include "layout/blockpath.h"
#include "layout/dirblock.h"
#include "layout/inode.h"
#include "layout/super.h"

#define TAIL_BYTES   65536u	/* at the end of a disk: RAID and GPT keep things there */
#define ZAP_OFFSET   1024u	/* the boot block before it is left alone */
#define ZAP_BYTES    3072u

static int no_memory(struct image *img)
{
	snprintf(img->why, sizeof(img->why), "out of memory");
	return -ENOMEM;
}

static int write_block(const struct plan *plan, struct image *img, fsblk_t block, const void *bytes)
{
	return image_write(img, block << plan->geo.block_bits, bytes, plan->geo.block_size);
}

static int zero_blocks(const struct plan *plan, struct image *img, fsblk_t first, uint64_t count)
{
	return image_zero(img, first << plan->geo.block_bits, count << plan->geo.block_bits);
}

/* ---- zeros ---- */

static void show_progress(const struct write_options *opt, group_t g, group_t groups)
{
	if (!opt->shows_progress || (g % 64 && g != groups))
		return;
	printf("\rZeroing inode tables: group %u of %u%s", g, groups, g == groups ? "\n" : "");
	fflush(stdout);
}

static int zero_tables(const struct plan *plan, struct image *img, const struct write_options *opt)
{
	group_t groups = plan->geo.groups_count;
	int err = 0;

	for (group_t g = 0; g < groups && !err; g++) {
		fsblk_t first = group_first_block(&plan->geo, g);

		show_progress(opt, g, groups);
		err = zero_blocks(plan, img, plan_group_places(plan, g).inode_table,
				  plan->geo.inode_table_blocks);
		/* The superblock's block is whole only in copies; the boot block is not ours. */
		if (!err && g)
			err = zero_blocks(plan, img, first, group_overhead(&plan->geo, g));
	}
	show_progress(opt, groups, groups);
	return err;
}

/* Directories, the resize inode's block, the journal: old log blocks must not look like new ones. */
static int zero_files(const struct plan *plan, struct image *img)
{
	fsblk_t at = plan->geo.first_data_block;
	uint64_t len;
	int err = 0;

	while (!err && (at = plan_free_run(plan, at, &len)) < plan->data_end) {
		err = zero_blocks(plan, img, at, min(len, plan->data_end - at));
		at += len;
	}
	return err;
}

static int zero_tail(const struct plan *plan, struct image *img)
{
	uint64_t end = plan->geo.blocks_count << plan->geo.block_bits;
	uint64_t start = round_down(end, (uint64_t)TAIL_BYTES);

	/* At least 64 KiB, from a multiple of 64 KiB on, as RAID counts; a tiny disk is all tail. */
	if (start > TAIL_BYTES)
		start -= TAIL_BYTES;
	return start ? image_zero(img, start, end - start) : 0;
}

static int zero_all(const struct plan *plan, struct image *img, const struct write_options *opt)
{
	int err = 0;

	if (img->is_zero || opt->is_prezeroed)
		return 0;
	err = zero_tail(plan, img);
	if (!err)
		err = zero_tables(plan, img, opt);
	if (!err)
		err = zero_files(plan, img);
	return err;
}

/* ---- bitmaps ---- */

static int write_bitmaps(const struct plan *plan, struct image *img)
{
	unsigned size = plan->geo.block_size;
	uint8_t *maps = mem_alloc(2 * (size_t)size);
	int err = 0;

	if (!maps)
		return no_memory(img);
	for (group_t g = 0; g < plan->geo.groups_count && !err; g++) {
		plan_block_bitmap(plan, g, maps);
		plan_inode_bitmap(plan, g, maps + size);
		/* One lies behind the other, always (place.c). */
		err = image_write(img, plan_group_places(plan, g).block_bitmap << plan->geo.block_bits,
				  maps, 2 * (size_t)size);
	}
	mem_free(maps);
	return err;
}

/* ---- directories ---- */

static int write_root(const struct plan *plan, struct image *img, void *block)
{
	static const char name[] = "lost+found";

	dirblock_init_dots(&plan->geo, block, EXT_ROOT_INO, EXT_ROOT_INO);
	ignore(dirblock_insert(&plan->geo, block, name, sizeof(name) - 1, EXT_GOOD_OLD_FIRST_INO, EXT_FT_DIR),
	       "a new directory block of 1 KiB takes a name of ten bytes");
	return write_block(plan, img, plan->root_block, block);
}

static int write_lost_found(const struct plan *plan, struct image *img, void *block)
{
	int err;

	dirblock_init_dots(&plan->geo, block, EXT_GOOD_OLD_FIRST_INO, EXT_ROOT_INO);
	err = write_block(plan, img, plan->lpf_blocks[0], block);
	dirblock_init_empty(&plan->geo, block);
	for (unsigned i = 1; i < plan->nr_lpf_blocks && !err; i++)
		err = write_block(plan, img, plan->lpf_blocks[i], block);
	return err;
}

static int write_directories(const struct plan *plan, struct image *img)
{
	void *block = mem_zalloc(plan->geo.block_size);
	int err;

	if (!block)
		return no_memory(img);
	err = write_root(plan, img, block);
	memset(block, 0, plan->geo.block_size);
	if (!err)
		err = write_lost_found(plan, img, block);
	mem_free(block);
	return err;
}

/* ---- the resize inode ---- */

/*
 * Its double indirect block names the reserved descriptor blocks of group 0, at the slots that
 * follow the descriptors in use; each of those names its copies in the groups with a superblock.
 */
static unsigned fill_copies(const struct geometry *geo, fsblk_t primary, le32_t *slots)
{
	unsigned nr = 0;

	for (group_t g = super_next_group(geo, 0); g < geo->groups_count; g = super_next_group(geo, g))
		slots[nr++] = le32_make((uint32_t)(primary + (fsblk_t)g * geo->blocks_per_group));
	return nr;
}

static int write_resize_inode(const struct plan *plan, struct image *img, uint64_t *ret_blocks)
{
	const struct geometry *geo = &plan->geo;
	uint32_t nr = geo->reserved_gdt_blocks;
	fsblk_t first = geo->first_data_block + 1 + geo->gdt_blocks;
	le32_t *slots = mem_zalloc((size_t)(nr + 1) << geo->block_bits);	/* the dind block comes last */
	le32_t *dind;
	unsigned copies = 0;
	int err = 0;

	if (!slots)
		return no_memory(img);
	dind = slots + (size_t)nr * geo->addr_per_block;
	for (uint32_t i = 0; i < nr; i++) {
		dind[(geo->gdt_blocks + i) % geo->addr_per_block] = le32_make((uint32_t)(first + i));
		copies = fill_copies(geo, first + i, slots + (size_t)i * geo->addr_per_block);
	}
	if (nr)
		err = image_write(img, first << geo->block_bits, slots, (size_t)nr << geo->block_bits);
	if (!err)
		err = write_block(plan, img, plan->resize_block, dind);
	*ret_blocks = 1 + (uint64_t)nr * (1 + copies);
	mem_free(slots);
	return err;
}

/* ---- inodes ---- */

static struct inode_fields new_inode(const struct plan *plan, unsigned mode, unsigned links, uint64_t blocks)
{
	struct timespec now = {.tv_sec = plan->now};
	struct inode_fields f;

	memset(&f, 0, sizeof(f));
	f.mode = (uint16_t)mode;
	f.links = (uint16_t)links;
	f.blocks = blocks << (plan->geo.block_bits - SECTOR_SHIFT);
	f.size = blocks << plan->geo.block_bits;
	f.atime = f.mtime = f.ctime = f.crtime = now;
	f.extra_isize = inode_default_extra_isize(&plan->geo);
	return f;
}

static void put_inode(const struct plan *plan, uint8_t *inodes, inr_t ino, const struct inode_fields *f)
{
	ignore(inode_encode(&plan->geo, f, inodes + (size_t)(ino - 1) * plan->geo.inode_size),
	       "large_file was decided with the plan");
}

static void put_directories(const struct plan *plan, uint8_t *inodes)
{
	struct inode_fields root = new_inode(plan, S_IFDIR | 0755, 3, 1);
	struct inode_fields lpf = new_inode(plan, S_IFDIR | 0700, 2, plan->nr_lpf_blocks);

	root.uid = plan->root_uid;
	root.gid = plan->root_gid;
	root.block[0] = (uint32_t)plan->root_block;
	for (unsigned i = 0; i < plan->nr_lpf_blocks; i++)
		lpf.block[i] = (uint32_t)plan->lpf_blocks[i];
	put_inode(plan, inodes, EXT_ROOT_INO, &root);
	put_inode(plan, inodes, EXT_GOOD_OLD_FIRST_INO, &lpf);
}

/* The list of bad blocks: empty, and of the old size whatever the others have. */
static void put_bad_blocks(const struct plan *plan, uint8_t *inodes)
{
	struct inode_fields bad = new_inode(plan, 0, 0, 0);

	bad.extra_isize = 0;
	put_inode(plan, inodes, EXT_BAD_INO, &bad);
}

static int put_resize(const struct plan *plan, struct image *img, uint8_t *inodes)
{
	struct inode_fields f;
	uint64_t blocks;
	int err;

	if (!plan->geo.has_resize_inode)
		return 0;
	err = write_resize_inode(plan, img, &blocks);
	if (err)
		return err;
	f = new_inode(plan, S_IFREG | 0600, 1, blocks);
	f.size = blockpath_slot_start(&plan->geo, EXT_TIND_BLOCK) << plan->geo.block_bits;
	f.block[EXT_DIND_BLOCK] = (uint32_t)plan->resize_block;
	put_inode(plan, inodes, EXT_RESIZE_INO, &f);
	return 0;
}

/* Also keeps a copy of the inode's block numbers in the superblock, for the day the inode is lost. */
static int put_journal(const struct plan *plan, struct image *img, uint8_t *inodes, struct ext_super *super)
{
	struct inode_fields f = new_inode(plan, S_IFREG | 0600, 1, 0);
	int err;

	if (!plan->journal_blocks)
		return 0;
	err = write_journal(plan, img, &f);
	if (err)
		return err;
	put_inode(plan, inodes, EXT_JOURNAL_INO, &f);
	for (unsigned i = 0; i < EXT_N_BLOCKS; i++)
		super->jnl_blocks[i] = le32_make(f.block[i]);
	super->jnl_blocks[EXT_N_BLOCKS] = le32_make((uint32_t)(f.size >> 32));
	super->jnl_blocks[EXT_N_BLOCKS + 1] = le32_make((uint32_t)f.size);
	super->jnl_backup_type = 1;
	return 0;
}

/* The used inodes lie at the start of the first group's table, or of the first two where groups are tiny. */
static int write_inodes(const struct plan *plan, struct image *img, const uint8_t *inodes)
{
	size_t done = 0;
	int err = 0;

	for (group_t g = 0; g < plan->geo.groups_count && plan_used_inodes(plan, g) && !err; g++) {
		size_t len = (size_t)plan_used_inodes(plan, g) * plan->geo.inode_size;

		err = image_write(img, plan_group_places(plan, g).inode_table << plan->geo.block_bits,
				  inodes + done, len);
		done += len;
	}
	return err;
}

static int write_files(const struct plan *plan, struct image *img, struct ext_super *super)
{
	uint8_t *inodes = mem_zalloc((size_t)EXT_GOOD_OLD_FIRST_INO * plan->geo.inode_size);
	int err;

	if (!inodes)
		return no_memory(img);
	put_directories(plan, inodes);
	put_bad_blocks(plan, inodes);
	err = write_directories(plan, img);
	if (!err)
		err = put_resize(plan, img, inodes);
	if (!err)
		err = put_journal(plan, img, inodes, super);
	if (!err)
		err = write_inodes(plan, img, inodes);
	mem_free(inodes);
	return err;
}

/* ---- superblocks and descriptors ---- */

/*
 * Copies say neither clean nor in use: fsck, when it needs one, is to look at everything.
 */
static void make_copy(const struct ext_super *super, group_t g, void *block)
{
	struct ext_super copy = *super;

	copy.state = le16_make((uint16_t)(le16_get(super->state) & ~EXT_VALID_FS));
	copy.block_group_nr = le16_make((uint16_t)min(g, 0xffffu));	/* a hint; it has no more bits */
	memcpy(block, &copy, sizeof(copy));
}

/* buf: one block for a superblock, then the whole descriptor table. */
static int write_head(const struct plan *plan, struct image *img, const struct ext_super *super, group_t g,
		      uint8_t *buf)
{
	const struct geometry *geo = &plan->geo;
	struct group_head head = group_head(geo, g);
	uint8_t *gdt = buf + ((size_t)(1 + head.gdt_index) << geo->block_bits);
	int err = 0;

	if (head.has_super && g) {
		make_copy(super, g, buf);
		err = write_block(plan, img, head.super, buf);
	}
	if (!err && head.gdt_blocks)
		err = image_write(img, head.gdt << geo->block_bits, gdt,
				  (size_t)head.gdt_blocks << geo->block_bits);
	return err;
}

static int write_heads(const struct plan *plan, struct image *img, const struct ext_super *super)
{
	const struct geometry *geo = &plan->geo;
	uint8_t *buf = mem_zalloc((size_t)(1 + geo->gdt_blocks) << geo->block_bits);
	struct ext_group_desc *descs;
	int err = 0;

	if (!buf)
		return no_memory(img);
	descs = (struct ext_group_desc *)(void *)(buf + geo->block_size);
	for (group_t g = 0; g < geo->groups_count; g++)
		plan_group_desc(plan, g, &descs[g]);
	for (group_t g = 0; g < geo->groups_count && !err; g++)
		err = write_head(plan, img, super, g, buf);
	mem_free(buf);
	return err;
}

int write_filesystem(const struct plan *plan, struct image *img, const struct write_options *opt)
{
	uint64_t size = plan->geo.blocks_count << plan->geo.block_bits;
	struct ext_super super = plan->super;
	int err;

	if (opt->discard && !plan->super_only)
		image_discard(img, size);
	err = image_extend(img, size);
	if (!err)
		err = image_zero(img, ZAP_OFFSET, ZAP_BYTES);		/* W1 */
	if (!err && !plan->super_only) {
		err = detect_wipe(img);
		if (!err)
			err = zero_all(plan, img, opt);
		if (!err)
			err = write_bitmaps(plan, img);
		if (!err)
			err = write_files(plan, img, &super);
	}
	if (!err)
		err = write_heads(plan, img, &super);
	if (!err)
		err = image_sync(img);
	if (!err)
		err = image_write(img, EXT_SUPER_OFFSET, &super, sizeof(super));	/* W1 */
	if (!err)
		err = image_sync(img);
	return err;
}
