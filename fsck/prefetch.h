/*
 * fsck/prefetch.h - threads that ask for what the passes will read next.
 *
 * Purpose     Keeps the disk busy while a pass computes: directory blocks and bitmaps, some way ahead
 *             of it. Inode tables are scan.c's.
 * Ownership   prefetch_*() starts, prefetch_end() stops and frees. NULL everywhere is harmless: without
 *             threads everything works, later.
 * Locking     One mutex around how far the pass has come.
 */
#ifndef FSCK_PREFETCH_H
#define FSCK_PREFETCH_H

#include "context.h"

struct prefetch;

struct prefetch *prefetch_dir_blocks(struct fsck *f);
struct prefetch *prefetch_bitmaps(struct fsck *f);
/* The pass has come to this directory block, or group. It says so for each. */
void prefetch_reached(struct prefetch *p, uint64_t at);
void prefetch_end(struct prefetch *p);

#endif
