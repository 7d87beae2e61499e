/* Telling the disk what is free. */
#include "discard.h"

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

/* Only whole units of the disk: one opened with O_DIRECT may have larger ones than ours. */
int discard_blocks(struct ext *fs, fsblk_t first, uint64_t count)
{
	uint32_t unit = disk_limits(fs->sb.disk)->block_bytes;
	uint64_t at = round_up(first << fs->geo.block_bits, unit);
	uint64_t end = round_down((first + count) << fs->geo.block_bits, unit);
	int err = 0;

	while (!err && at < end) {
		uint64_t n = min(end - at, BYTES_MAX);

		err = discard_bytes(fs->sb.disk, at, (uint32_t)n);
		at += n;
	}
	return err;
}

void discard_freed(struct ext *fs, fsblk_t first, uint64_t count)
{
	int err;

	if (!fs->config.has_discard || atomic_load_explicit(&fs->lacks_discard, memory_order_relaxed))
		return;
	err = discard_blocks(fs, first, count);
	if (err && !atomic_exchange(&fs->lacks_discard, true))
		log_notice("option discard is without effect from here on: %s", strerror(-err));
}
