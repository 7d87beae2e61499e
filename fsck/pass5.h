/*
 * fsck/pass5.h - bitmaps and totals.
 *
 * Relies on   found, ino_used and ino_dir as all passes before have left them.
 * Leaves      Bitmaps, descriptors and the superblock's totals right.
 */
#ifndef FSCK_PASS5_H
#define FSCK_PASS5_H

#include "context.h"

void pass5(struct fsck *f);

#endif
