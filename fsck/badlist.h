/*
 * fsck/badlist.h - a new list of bad blocks: -c, -l and -L.
 *
 * Purpose     The blocks come from a test of all blocks, from a file of numbers, and from the list that
 *             there is. They are claimed in pass 1 before any file, so that files which use one of them
 *             get a copy; after pass 1 the list is written.
 * Ownership   f->bad is made by badlist_gather() and freed by badlist_forget().
 * Leaves      Inode 1 with the list, and a count in f->nr_bad_blocks.
 */
#ifndef FSCK_BADLIST_H
#define FSCK_BADLIST_H

#include "claims.h"

/* Before the first round: where an option asks for it, f->bad is the new list. Ends the check on errors. */
void badlist_gather(struct fsck *f);
/* Pass 1 met inode 1: its old tree goes, what the new list names is claimed. False: there is no new list. */
bool badlist_claim(struct inode_check *c);
/* After pass 1: writes it. */
void badlist_write(struct fsck *f);
void badlist_forget(struct fsck *f);

#endif
