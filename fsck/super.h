/*
 * fsck/super.h - pass 0: superblock, descriptors, and the inodes that describe the file system.
 *
 * Purpose     Finds a superblock that passes the gate, in a copy if need be, and descriptors whose
 *             places are possible, group by group from the copies if need be. After it the geometry
 *             holds and every place in f->desc lies inside the file system or is marked bad.
 * Ownership   Fills f->super, f->geo, f->desc and the bad_* maps.
 * Relies on   Nothing.
 * Leaves      A geometry (layout/super.h G1..G4), descriptors that pass 1 may follow.
 */
#ifndef FSCK_SUPER_H
#define FSCK_SUPER_H

#include "context.h"

/* Opens and reads the superblock, by -b, or the primary, or a copy. Does not come back without one. */
void super_find(struct fsck *f);
/* Reads the descriptors and judges them. */
void super_read_descriptors(struct fsck *f);
/*
 * The superblock's totals lag behind the groups' while a journal is in use, and nobody calls that damage:
 * before a check that may write they are set to the sums.
 */
void super_take_totals(struct fsck *f);
void super_forget_descriptors(struct fsck *f);
/* Fields of the superblock that a full check judges. */
void super_check_fields(struct fsck *f);
/* True if a copy of the superblock tells another file system: reason for a full check. */
bool super_backups_differ(struct fsck *f);
/* Marks the copies to be written if one of them differs in what they should share. */
void super_check_backups(struct fsck *f);

/* Writes descriptors, then the superblock, as state says; with the copies when they are dirty. */
void super_write(struct fsck *f, uint16_t state);

#endif
