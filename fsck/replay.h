/*
 * fsck/replay.h - the journal first.
 *
 * Purpose     Brings home what the log holds, through the journal room's own recovery, before anything
 *             else is believed.
 * Relies on   Superblock and descriptors (super.h); store holds nothing back.
 * Leaves      An empty log and a superblock that does not ask for recovery; superblock and descriptors
 *             are to be read again.
 */
#ifndef FSCK_REPLAY_H
#define FSCK_REPLAY_H

#include "context.h"

struct disk;

/* A rehearsal tells nobody what it finds. */
enum replay_voice { REPLAY_ALOUD, REPLAY_QUIETLY };

/*
 * True: it was replayed. False: it cannot be; why names the reason, and the check of the journal inode
 * (special.h) goes on from there.
 */
bool replay_journal(struct fsck *f, struct disk *disk, enum replay_voice voice, char *why,
		    size_t why_size);

#endif
