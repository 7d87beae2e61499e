/*
 * fsck/super.h - pass 0: the superblock.
 *
 * Purpose     Finds a superblock that passes the gate, in a copy if need be (superfind.c); judges its fields.
 * Ownership   Fills f->super and f->geo.
 * Relies on   Nothing.
 * Leaves      A geometry (layout/super.h G1..G4).
 */
#ifndef FSCK_SUPER_H
#define FSCK_SUPER_H

#include "context.h"

/* Opens and reads the superblock, by -b, or the primary, or a copy. Does not come back without one. */
void super_find(struct fsck *f);
/* The descriptors were read (descs.h): goes over to a copy of the superblock if they speak for it. */
void super_weigh(struct fsck *f);
/* Fields of the superblock that a full check judges, and the descriptors (descs.h). */
void super_check_fields(struct fsck *f);
/* True if a copy of the superblock tells another file system: reason for a full check. */
bool super_backups_differ(struct fsck *f);
/* Marks the copies to be written if one of them differs in what they should share. */
void super_check_backups(struct fsck *f);

/* Writes descriptors, then the superblock, as state says; with the copies when they are dirty. */
void super_write(struct fsck *f, uint16_t state);

#endif
