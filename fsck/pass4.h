/*
 * fsck/pass4.h - link counts, and files without a name.
 *
 * Relies on   links (pass 1), counted (pass 2 and 3).
 * Leaves      links of every inode right on disk; files without a name in lost+found.
 * Frees       counted, links.
 */
#ifndef FSCK_PASS4_H
#define FSCK_PASS4_H

#include "context.h"

void pass4(struct fsck *f);

#endif
