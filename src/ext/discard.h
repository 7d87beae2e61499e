/*
 * ext/discard.h - the disk is told which blocks hold nothing any more.
 *
 * Purpose     Free blocks become holes of the image file, or are handed back by whatever lies below: as
 *             they become free (`-o discard`), or all at once (fstrim).
 * Locking     Any thread; waits for I/O.
 * Errors      The disk's, to who asked; a discard by the way is a hint, and has none.
 */
#ifndef EXT_DISCARD_H
#define EXT_DISCARD_H

#include "ext.h"

/*
 * With `-o discard`, tells of blocks that nobody has or is given until it returns. A disk that cannot
 * take it is not asked again.
 */
void discard_freed(struct ext *fs, fsblk_t first, uint64_t count);

/* super_ops.trim */
int ext_trim(struct super *sb, struct trim_range *range) must_check;

#endif
