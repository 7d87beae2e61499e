/*
 * fsck/tapdisk.h - a disk that notes the old bytes of whatever is written through it.
 *
 * Purpose     The journal is replayed by the journal room, which knows disks and no undo file. Through a
 *             tap over a copy-on-write disk the replay is rehearsed: what it would overwrite stands in the
 *             undo file, durably, before the real one begins.
 * Ownership   The lower disk and the undo file are the caller's, and outlive the tap.
 * Locking     One thread: the queue is inline.
 * Errors      Those of the lower disk and of the undo file.
 */
#ifndef FSCK_TAPDISK_H
#define FSCK_TAPDISK_H

#include "block/disk.h"

struct undo;

/* disk_close() ends it; the lower disk stays open. */
int tapdisk_open(struct disk *lower, struct undo *undo, struct disk **ret_disk) must_check;

#endif
