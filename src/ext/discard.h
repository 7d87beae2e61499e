/*
 * ext/discard.h - the disk is told which blocks hold nothing any more.
 *
 * Purpose     Free blocks become holes of the image file, or are handed back by whatever lies below: as
 *             they become free (`-o discard`), or all at once (trim.h).
 * Locking     Any thread; waits for I/O.
 * Errors      The disk's, -EOPNOTSUPP among them.
 */
#ifndef EXT_DISCARD_H
#define EXT_DISCARD_H

#include "ext.h"

/* Of blocks that nobody has or is given until it returns. */
int discard_blocks(struct ext *fs, fsblk_t first, uint64_t count) must_check;
/* The same by the way, with `-o discard`. A disk that cannot take it is not asked again. */
void discard_freed(struct ext *fs, fsblk_t first, uint64_t count);

#endif
