/*
 * ext/error.h - damage found on disk: told once, recorded, acted upon.
 *
 * Purpose     Whoever meets an impossible block or inode says so here and still returns -EUCLEAN:
 *             nothing that failed its check is used. This file lies on the room's ground floor:
 *             it sets state; the operations ask whether they may still write.
 * Locking     fs->state_lock (leaf). May be called under any lock.
 */
#ifndef EXT_ERROR_H
#define EXT_ERROR_H

#include "ext.h"

/*
 * Counts the finding, keeps the first one's text, logs it (rate-limited) and applies the policy:
 * continue, turn read-only, or stop. Always returns -EUCLEAN. `where` is "subject: detail". What was
 * found gets into the superblock in the background, once that may be written.
 */
int ext_error(struct ext *fs, inr_t ino, fsblk_t block, const char *fmt, ...) printf_like(4, 5);
/* The journal gave up: recorded as well, and nothing is written any more. */
void ext_error_aborted(struct ext *fs, const char *why);

/* Mount and unmount: findings are recorded between start and stop; before, they are kept for it. */
void ext_error_init(struct ext *fs);
void ext_error_start(struct ext *fs);
void ext_error_stop(struct ext *fs);
/* What was found since the last time, into a superblock: its counts, first and last, and its state. */
void ext_error_record(struct ext *fs, struct ext_super *super, uint32_t now);

/* 0, or -EROFS: mounted read-only, or turned so by an error. */
int ext_may_write(const struct ext *fs) must_check;

#endif
