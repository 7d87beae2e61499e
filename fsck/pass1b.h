/*
 * fsck/pass1b.h - blocks claimed twice.
 *
 * Relies on   Pass 1 has found dup; alloc.h.
 * Leaves      Each block with one owner: the first keeps it, every other has a copy. Metadata of the file
 *             system and bad blocks keep theirs, and all files that claim them get a copy. f->restart is
 *             set, as pass 1's claims do not hold any more.
 */
#ifndef FSCK_PASS1B_H
#define FSCK_PASS1B_H

#include "context.h"

void pass1b(struct fsck *f);

#endif
