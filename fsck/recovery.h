/*
 * fsck/recovery.h - first of all: the journal is replayed, and orphans are released.
 *
 * Purpose     Brings home what was committed. With -n into a copy-on-write disk over the image, from which
 *             everything is read afterwards: the check sees the tree that a mount would see, and no byte
 *             of the image changes.
 * Relies on   A geometry and descriptors.
 * Leaves      The superblock and descriptors as they are after the replay.
 */
#ifndef FSCK_RECOVERY_H
#define FSCK_RECOVERY_H

#include "context.h"

/* Replays the journal if it has to be. */
void recovery_run(struct fsck *f);
/* Finishes what was deleted or truncated while in use. */
void recovery_release_orphans(struct fsck *f);
/* Before the store is closed. */
void recovery_done(struct fsck *f);

#endif
