/*
 * fsck/pass3.h - every directory reaches the root.
 *
 * Relies on   Pass 2: who names each directory, what its '..' names, counted.
 * Leaves      A root; each directory below it, those without a name in lost+found; right '..' entries.
 *             Entries that it adds and removes are reflected in counted.
 * Frees       Nothing; pass 4 may still put files into lost+found.
 */
#ifndef FSCK_PASS3_H
#define FSCK_PASS3_H

#include "context.h"

void pass3(struct fsck *f);

/* Gives an inode the name "#number" in lost+found, which is made if there is none. False: it was not possible. */
bool pass3_reconnect(struct fsck *f, inr_t ino);

#endif
