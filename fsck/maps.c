/* One block's bit in the bitmap on disk, with the counts of its group and of the superblock. */
#include "maps.h"

#include "base/bitmap.h"

void maps_follow(struct fsck *f, fsblk_t block)
{
	group_t g = group_of_block(&f->geo, block);
	uint64_t bit = block - group_first_block(&f->geo, g);
	bool is_used = bitmap_test(f->found, block_bit(f, block));
	struct ext_group_desc *d = &f->desc[g];
	uint8_t bytes[EXT_BLOCK_SIZE_MAX];
	uint16_t free_blocks = le16_get(d->free_blocks_count);
	uint32_t all_free = le32_get(f->super.free_blocks_count);

	if (bitmap_test(f->bad_block_bitmaps, g) ||
	    store_read(&f->store, le32_get(d->block_bitmap), 1, bytes) ||
	    bitmap_test(bytes, bit) == is_used)
		return;
	if (is_used)
		bitmap_set(bytes, bit);
	else
		bitmap_clear(bytes, bit);
	fsck_write_block(f, le32_get(d->block_bitmap), bytes);
	d->free_blocks_count = le16_make((uint16_t)(is_used ? free_blocks - 1 : free_blocks + 1));
	f->super.free_blocks_count = le32_make(is_used ? all_free - 1 : all_free + 1);
	f->desc_dirty = true;
	f->super_dirty = true;
}
