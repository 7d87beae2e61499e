/*
 * Pass 5: bitmaps and totals.
 *
 * What passes 1 to 4 found is the truth. Each group's bitmap is made from it and compared with the
 * one on disk; all differences are told in one line, as ranges, before anything is written.
 */
#include "pass5.h"

#include <stdio.h>
#include <string.h>

#include "base/bitmap.h"
#include "prefetch.h"

#define DIFFERENCES_BYTES 600

enum which { BLOCKS, INODES };

/* What both kinds of bitmaps have of their own. */
struct bitmap_kind {
	enum which which;
	enum problem_code differs, padding;
	const uint8_t *map; /* the truth */
	uint32_t per_group;
	uint64_t first; /* number of bit 0: first_data_block, or inode 1 */
};

struct differences {
	char text[DIFFERENCES_BYTES];
	size_t len;
	uint64_t nr;
};

static uint32_t bits_in_group(const struct fsck *f, const struct bitmap_kind *k, group_t g)
{
	return k->which == BLOCKS ? group_blocks(&f->geo, g) : f->geo.inodes_per_group;
}

static fsblk_t place_of(const struct fsck *f, const struct bitmap_kind *k, group_t g)
{
	const struct ext_group_desc *d = &f->desc[g];

	return le32_get(k->which == BLOCKS ? d->block_bitmap : d->inode_bitmap);
}

static bool is_placed(const struct fsck *f, const struct bitmap_kind *k, group_t g)
{
	return !bitmap_test(k->which == BLOCKS ? f->bad_block_bitmaps : f->bad_inode_bitmaps, g);
}

/* The group's bitmap as it should be, padding included. */
static void make_truth(const struct fsck *f, const struct bitmap_kind *k, group_t g, uint8_t *bytes)
{
	uint64_t from = (uint64_t)g * k->per_group, i;
	uint32_t count = bits_in_group(f, k, g);

	memset(bytes, 0xff, f->geo.block_size);
	if (from % 8 == 0) {
		memcpy(bytes, k->map + from / 8, count / 8);
		for (i = round_down(count, 8); i < count; i++)
			if (!bitmap_test(k->map, from + i))
				bitmap_clear(bytes, i);
		return;
	}
	for (i = 0; i < count; i++)
		if (!bitmap_test(k->map, from + i))
			bitmap_clear(bytes, i);
}

/* ---- telling ---- */

/* "-12" is marked and in no use, "+(20--25)" in use and not marked. */
static void add_range(struct differences *d, char sign, uint64_t from, uint64_t to)
{
	d->nr++;
	if (d->len > DIFFERENCES_BYTES - 60) {
		if (d->len < DIFFERENCES_BYTES - 6) {
			strcpy(d->text + d->len, " ...");
			d->len = DIFFERENCES_BYTES - 5;
		}
		return;
	}
	if (from == to)
		d->len += (size_t)sprintf(d->text + d->len, " %c%llu", sign, (unsigned long long)from);
	else
		d->len += (size_t)sprintf(d->text + d->len, " %c(%llu--%llu)", sign,
					  (unsigned long long)from, (unsigned long long)to);
}

static void collect(struct differences *d, const struct bitmap_kind *k, uint64_t base,
		    const uint8_t *truth, const uint8_t *disk, uint32_t count)
{
	uint32_t i = 0, start;

	while (i < count) {
		bool is_used = bitmap_test(truth, i);

		start = i++;
		if (bitmap_test(disk, start) == is_used)
			continue;
		while (i < count && bitmap_test(truth, i) == is_used && bitmap_test(disk, i) != is_used)
			i++;
		add_range(d, is_used ? '+' : '-', k->first + base + start, k->first + base + i - 1);
	}
}

/* Reads the group's bitmap; what cannot be read is taken as all wrong. */
static void read_disk(struct fsck *f, const struct bitmap_kind *k, group_t g, const uint8_t *truth,
		      uint8_t *disk)
{
	unsigned i;

	if (is_placed(f, k, g) && !store_read(&f->store, place_of(f, k, g), 1, disk))
		return;
	for (i = 0; i < f->geo.block_size; i++)
		disk[i] = (uint8_t)~truth[i];
}

static bool padding_is_wrong(const struct fsck *f, const uint8_t *disk, uint32_t count)
{
	return bitmap_find_clear(disk, count, f->geo.block_size * 8) != f->geo.block_size * 8;
}

/* ---- one kind of bitmaps ---- */

static void write_truth(struct fsck *f, const struct bitmap_kind *k)
{
	uint8_t truth[EXT_BLOCK_SIZE_MAX], disk[EXT_BLOCK_SIZE_MAX];
	group_t g;

	for (g = 0; g < f->geo.groups_count; g++) {
		make_truth(f, k, g, truth);
		read_disk(f, k, g, truth, disk);
		if (is_placed(f, k, g) && memcmp(truth, disk, f->geo.block_size) != 0)
			fsck_write_block(f, place_of(f, k, g), truth);
	}
}

static void check_bitmaps(struct fsck *f, const struct bitmap_kind *k)
{
	uint8_t truth[EXT_BLOCK_SIZE_MAX], disk[EXT_BLOCK_SIZE_MAX];
	struct differences d = {.len = 0};
	bool write = false, told_padding = false;
	group_t g;

	for (g = 0; g < f->geo.groups_count; g++) {
		uint32_t count = bits_in_group(f, k, g);

		prefetch_reached(f->ahead, g);
		make_truth(f, k, g, truth);
		read_disk(f, k, g, truth, disk);
		if (memcmp(truth, disk, f->geo.block_size) == 0)
			continue;
		collect(&d, k, (uint64_t)g * k->per_group, truth, disk, count);
		if (padding_is_wrong(f, disk, count) && !told_padding) {
			write |= problem(f, k->padding, (struct where){.group = g});
			told_padding = true;
		}
	}
	if (d.nr)
		write |= problem(f, k->differs, (struct where){.str = d.text});
	if (write)
		write_truth(f, k);
}

/* ---- totals ---- */

static void check_count(struct fsck *f, group_t g, le16_t *field, uint64_t should,
			enum problem_code code)
{
	struct where w = {.group = g, .num = le16_get(*field), .num2 = should};

	if (w.num == should || !problem(f, code, w))
		return;
	*field = le16_make((uint16_t)should);
	f->desc_dirty = true;
}

static uint64_t count_free(const struct bitmap_kind *k, group_t g, uint32_t count)
{
	uint64_t from = (uint64_t)g * k->per_group;

	return count - bitmap_count_set(k->map, from, from + count);
}

static uint64_t count_dirs(const struct fsck *f, group_t g)
{
	uint64_t from = (uint64_t)g * f->geo.inodes_per_group;

	return bitmap_count_set(f->ino_dir, from, from + f->geo.inodes_per_group);
}

static void check_total(struct fsck *f, le32_t *field, uint64_t should, enum problem_code code)
{
	struct where w = {.num = le32_get(*field), .num2 = should};

	if (w.num == should || !problem(f, code, w))
		return;
	*field = le32_make((uint32_t)should);
	f->super_dirty = true;
}

static void check_totals(struct fsck *f, const struct bitmap_kind *blocks,
			 const struct bitmap_kind *inodes)
{
	uint64_t free_blocks = 0, free_inodes = 0;
	group_t g;

	for (g = 0; g < f->geo.groups_count; g++) {
		struct ext_group_desc *d = &f->desc[g];
		uint64_t b = count_free(blocks, g, bits_in_group(f, blocks, g));
		uint64_t i = count_free(inodes, g, bits_in_group(f, inodes, g));

		check_count(f, g, &d->free_blocks_count, b, GROUP_FREE_BLOCKS);
		check_count(f, g, &d->free_inodes_count, i, GROUP_FREE_INODES);
		check_count(f, g, &d->used_dirs_count, count_dirs(f, g), GROUP_DIRS);
		free_blocks += b;
		free_inodes += i;
		fsck_progress(f, 5, g + 1, f->geo.groups_count);
	}
	check_total(f, &f->super.free_blocks_count, free_blocks, FREE_BLOCKS);
	check_total(f, &f->super.free_inodes_count, free_inodes, FREE_INODES);
	f->used_blocks = f->geo.blocks_count - free_blocks;
	f->used_inodes = f->geo.inodes_count - free_inodes;
}

void pass5(struct fsck *f)
{
	struct bitmap_kind blocks = {
		.which = BLOCKS,
		.differs = BLOCK_BITMAP_DIFFERS,
		.padding = BLOCK_BITMAP_PADDING,
		.map = f->found,
		.per_group = f->geo.blocks_per_group,
		.first = f->geo.first_data_block,
	};
	struct bitmap_kind inodes = {
		.which = INODES,
		.differs = INODE_BITMAP_DIFFERS,
		.padding = INODE_BITMAP_PADDING,
		.map = f->ino_used,
		.per_group = f->geo.inodes_per_group,
		.first = 1,
	};

	f->pass_name = "5";
	f->ahead = prefetch_bitmaps(f);
	check_bitmaps(f, &blocks);
	prefetch_end(f->ahead);
	f->ahead = NULL;
	check_bitmaps(f, &inodes);
	check_totals(f, &blocks, &inodes);
}
