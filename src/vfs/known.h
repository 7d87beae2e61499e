/*
 * src/vfs/known.h - how often the front end's kernel was given inodes that are not in memory.
 *
 * Purpose     The kernel remembers as many inodes as its own memory allows, and takes each giving
 *             back one day. Of one that is in use by nobody else only this number is worth keeping:
 *             4 bytes in place of a thousand.
 * Ownership   The table owns its pieces; a piece goes with its last count.
 * Locking     The caller's: sb->icache_lock.
 * Errors      -ENOMEM.
 */
#ifndef SRC_VFS_KNOWN_H
#define SRC_VFS_KNOWN_H

#include "base/radix.h"

void known_init(struct radix *known);
void known_done(struct radix *known);		/* whatever it holds */
/* Keeps the count of ino, which has none there yet. -ENOMEM also for one too large to be kept. */
int known_put(struct radix *known, inr_t ino, uint64_t count) must_check;
/* Takes it out: 0 when there is none. */
uint64_t known_take(struct radix *known, inr_t ino);
/* Lowers it, to 0 at the least. */
void known_lower(struct radix *known, inr_t ino, uint64_t by);

#endif
