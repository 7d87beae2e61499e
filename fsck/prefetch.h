/*
 * fsck/prefetch.h - threads that ask for what the passes will read next.
 *
 * Purpose     Keeps the disk busy while a pass computes: inode tables some groups ahead, with the
 *             indirect blocks that they name; directory blocks in their order.
 * Ownership   prefetch_*() starts, prefetch_end() stops and frees. NULL everywhere is harmless: without
 *             threads everything works, later.
 * Locking     One mutex around how far the pass has come.
 */
#ifndef FSCK_PREFETCH_H
#define FSCK_PREFETCH_H

#include "context.h"

struct prefetch;

struct prefetch *prefetch_tables(struct fsck *f);
struct prefetch *prefetch_dir_blocks(struct fsck *f);
/* The pass has come to this group, or directory block. */
void prefetch_reached(struct prefetch *p, uint64_t at);
void prefetch_end(struct prefetch *p);

#endif
