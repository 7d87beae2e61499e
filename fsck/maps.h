/*
 * fsck/maps.h - one block's bit in the bitmap on disk.
 *
 * Purpose     What moves blocks without anything being wrong (-c, -l, -D) takes the bitmaps and counts
 *             along, so that pass 5 does not call it damage. What was wrong before stays wrong, and told.
 * Relies on   Pass 1: f->found says what the bit should be.
 */
#ifndef FSCK_MAPS_H
#define FSCK_MAPS_H

#include "context.h"

/* The bit and the free counts follow f->found, which has changed for this block. */
void maps_follow(struct fsck *f, fsblk_t block);

#endif
