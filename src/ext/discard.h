/*
 * ext/discard.h - the disk is told which blocks hold nothing any more (`-o discard`).
 *
 * Purpose     Freed blocks become holes of the image file, or are handed back by whatever lies below.
 * Locking     Any thread; waits for I/O.
 * Errors      None: a discard is a hint. A disk that cannot take it is not asked again.
 */
#ifndef EXT_DISCARD_H
#define EXT_DISCARD_H

#include "ext.h"

/* Nobody may have or be given the blocks until it returns. Does nothing without `-o discard`. */
void discard_blocks(struct ext *fs, fsblk_t first, uint64_t count);

#endif
