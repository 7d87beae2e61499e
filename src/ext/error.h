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
 * continue, turn read-only, or stop. Always returns -EUCLEAN. `where` is "subject: detail".
 */
int ext_error(struct ext *fs, inr_t ino, fsblk_t block, const char *fmt, ...) printf_like(4, 5);

/* 0, or -EROFS: mounted read-only, or turned so by an error. */
int ext_may_write(const struct ext *fs) must_check;

#endif
