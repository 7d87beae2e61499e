/* The blocks of the file system itself: claimed first, placed anew where they have no good place. */
#include "tables.h"

#include <string.h>

#include "alloc.h"
#include "base/bitmap.h"

static void claim(struct fsck *f, fsblk_t block)
{
	bitmap_set(f->found, block_bit(f, block));
	bitmap_set(f->meta, block_bit(f, block));
}

static bool is_claimed(const struct fsck *f, fsblk_t block)
{
	return bitmap_test(f->found, block_bit(f, block));
}

static void claim_heads(struct fsck *f)
{
	group_t g;
	fsblk_t b;

	for (g = 0; g < f->geo.groups_count; g++) {
		fsblk_t first = group_first_block(&f->geo, g);
		uint32_t blocks = group_overhead(&f->geo, g);

		for (b = first; b < first + blocks; b++)
			claim(f, b);
	}
}

static void claim_table(struct fsck *f, group_t g)
{
	fsblk_t first = le32_get(f->desc[g].inode_table), b;
	bool told = false;

	if (bitmap_test(f->bad_tables, g))
		return;
	for (b = first; b < first + f->geo.inode_table_blocks; b++) {
		if (is_claimed(f, b) && !told) {
			told = true;
			if (problem(f, TABLE_CONFLICT, (struct where){.group = g, .block = b})) {
				bitmap_set(f->bad_tables, g);
				return;
			}
		}
		claim(f, b);
	}
}

static void claim_bitmap(struct fsck *f, group_t g, fsblk_t block, uint8_t *bad, enum problem_code code)
{
	if (bitmap_test(bad, g))
		return;
	if (is_claimed(f, block) && problem(f, code, (struct where){.group = g, .block = block})) {
		bitmap_set(bad, g);
		return;
	}
	claim(f, block);
}

void tables_claim(struct fsck *f)
{
	group_t g;

	claim_heads(f);
	for (g = 0; g < f->geo.groups_count; g++) {
		claim_table(f, g);
		claim_bitmap(f, g, le32_get(f->desc[g].block_bitmap), f->bad_block_bitmaps,
			     BLOCK_BITMAP_CONFLICT);
		claim_bitmap(f, g, le32_get(f->desc[g].inode_bitmap), f->bad_inode_bitmaps,
			     INODE_BITMAP_CONFLICT);
	}
}

/* ---- new places ---- */

static void zero_run(struct fsck *f, fsblk_t first, uint32_t count)
{
	static const uint8_t zero[EXT_BLOCK_SIZE_MAX];
	uint32_t i;

	for (i = 0; i < count; i++)
		fsck_write_new_block(f, first + i, zero);
}

/* A zeroed run in group g for what; false: no room. */
static bool place(struct fsck *f, group_t g, uint32_t count, const char *what, uint8_t *bad,
		  le32_t *field)
{
	fsblk_t first;

	if (!bitmap_test(bad, g))
		return true;
	first = alloc_run_in_group(f, g, count);
	if (!first) {
		problem(f, TABLE_NO_ROOM, (struct where){.group = g, .str = what});
		return false;
	}
	zero_run(f, first, count);
	bitmap_set_range(f->meta, block_bit(f, first), count);
	*field = le32_make((uint32_t)first);
	bitmap_clear(bad, g);
	f->desc_dirty = true;
	f->backups_dirty = true;
	problem(f, TABLE_RELOCATED, (struct where){.group = g, .block = first, .str = what});
	return true;
}

void tables_place(struct fsck *f)
{
	bool table_is_new = false, all_placed = true;
	group_t g;

	if (!fsck_may_write(f))
		return;
	for (g = 0; g < f->geo.groups_count; g++) {
		struct ext_group_desc *d = &f->desc[g];

		table_is_new |= bitmap_test(f->bad_tables, g);
		all_placed &= place(f, g, f->geo.inode_table_blocks, "inode table", f->bad_tables,
				    &d->inode_table);
		all_placed &= place(f, g, 1, "block bitmap", f->bad_block_bitmaps, &d->block_bitmap);
		all_placed &= place(f, g, 1, "inode bitmap", f->bad_inode_bitmaps, &d->inode_bitmap);
	}
	if (!all_placed)
		fsck_stop(f, FSCK_UNCORRECTED | FSCK_ERROR, "a group has no room for its own metadata");
	f->restart |= table_is_new;
}
