/*
 * mkfs/journal.h - an empty journal, and the tree of the inode that holds it.
 *
 * Purpose     The journal is a file without holes: blocks and indirect blocks alternate in the order
 *             in which the tree is walked from the root, each in the next free block.
 * Ownership   Plain values.
 * Locking     None.
 */
#ifndef MKFS_JOURNAL_H
#define MKFS_JOURNAL_H

#include "image.h"
#include "layout/inode.h"
#include "plan.h"

/*
 * Writes the journal's indirect blocks and its superblock, and fills size, blocks and block[] of
 * fields. The other log blocks must read as zero. The plan has a journal.
 */
int write_journal(const struct plan *plan, struct image *img, struct inode_fields *fields) must_check;

#endif
