/*
 * fsck/tables.h - what the file system itself occupies.
 *
 * Purpose     Superblocks, descriptors, bitmaps and inode tables are claimed before any inode is
 *             looked at, and found wherever they meet each other. After pass 1 those without a good
 *             place get one.
 * Relies on   Descriptors as super.h left them.
 * Leaves      f->meta, and the same blocks in f->found.
 */
#ifndef FSCK_TABLES_H
#define FSCK_TABLES_H

#include "context.h"

void tables_claim(struct fsck *f);
/* Gives a place to what has none. Sets f->restart when an inode table was made anew. */
void tables_place(struct fsck *f);

#endif
