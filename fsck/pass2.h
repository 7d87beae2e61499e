/*
 * fsck/pass2.h - every block of every directory.
 *
 * Relies on   Pass 1: dirs, dir_blocks, ino_used and the types of inodes; alloc.h.
 * Leaves      counted, and in dirs who names each directory and what its '..' names.
 * Frees       dir_blocks.
 */
#ifndef FSCK_PASS2_H
#define FSCK_PASS2_H

#include "context.h"

void pass2(struct fsck *f);

#endif
