/* Telling the disk what is free. */
#include "discard.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "block/disk.h"

#define BYTES_MAX (1ull << 30)	/* a bio counts its bytes in 32 bits */

static int discard_bytes(struct disk *disk, uint64_t offset, uint32_t len)
{
	struct bio bio;

	bio_init(&bio, disk, BIO_DISCARD, 0, offset >> SECTOR_SHIFT, 0);
	bio.size_bytes = len;
	return bio_submit_wait(&bio);
}

void discard_blocks(struct ext *fs, fsblk_t first, uint64_t count)
{
	uint64_t at = first << fs->geo.block_bits, left = count << fs->geo.block_bits;

	while (left && fs->config.has_discard && !atomic_load_explicit(&fs->lacks_discard, memory_order_relaxed)) {
		uint64_t n = min(left, BYTES_MAX);
		int err = discard_bytes(fs->sb.disk, at, (uint32_t)n);

		if (err && !atomic_exchange(&fs->lacks_discard, true))
			log_notice("option discard is without effect from here on: %s", strerror(-err));
		at += n;
		left -= n;
	}
}
