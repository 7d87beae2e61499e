/*
 * fsck/optimize.h - -D: directories packed, and indexed where the file system has indexes.
 *
 * Purpose     A directory that had many names once, or was filled without an index, is written anew: in
 *             as few blocks as its names need, with a hash tree from two blocks on.
 * Relies on   A round of all passes that left nothing: directories are whole, f->found is the truth.
 * Leaves      The same, with other blocks. Bitmaps and counts on disk follow.
 */
#ifndef FSCK_OPTIMIZE_H
#define FSCK_OPTIMIZE_H

#include "context.h"

void optimize_dirs(struct fsck *f);

#endif
