/* Who claims a block first has it; what is claimed again is looked into later. */
#include "claims.h"

#include "base/bitmap.h"

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
