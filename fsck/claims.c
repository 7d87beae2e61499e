/* Who claims a block first has it; what is claimed again is looked into later. */
#include "claims.h"

#include "base/bitmap.h"

void claim_bad_block(struct fsck *f, fsblk_t block)
{
	uint64_t bit = block_bit(f, block);

	if (!f->bad_blocks)
		f->bad_blocks = fsck_block_map(f);
	bitmap_set(f->bad_blocks, bit);
	bitmap_set(f->found, bit);
	bitmap_set(f->meta, bit);
	f->nr_bad_blocks++;
}

bool block_is_metadata(const struct fsck *f, fsblk_t block)
{
	uint64_t bit = block_bit(f, block);

	return bitmap_test(f->meta, bit) && !(f->bad_blocks && bitmap_test(f->bad_blocks, bit));
}

void claim_block(struct fsck *f, fsblk_t block)
{
	uint64_t bit = block_bit(f, block);

	if (!bitmap_test(f->found, bit)) {
		bitmap_set(f->found, bit);
		return;
	}
	if (!f->dup)
		f->dup = fsck_block_map(f);
	bitmap_set(f->dup, bit);
}
