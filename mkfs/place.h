/*
 * mkfs/place.h - where the blocks of a plan lie: the half of plan.h that plan.c asks for.
 *
 * Purpose     Groups' tables, and the few files of a new file system, placed one after another.
 * Ownership   Plain values.
 * Locking     None: pure.
 */
#ifndef MKFS_PLACE_H
#define MKFS_PLACE_H

#include "plan.h"

/* Blocks that no metadata of the groups takes. Needs super and geo only. */
uint64_t place_free_blocks(const struct plan *plan);
/*
 * Places root, lost+found, resize inode and journal and fills the counts of super. -ENOSPC with a
 * sentence in err.
 */
int place_files(struct plan *plan, char *err, size_t err_size) must_check;

#endif
