/*
 * fsck/index.h - the hash tree of one directory, as pass 2 walks its blocks.
 *
 * Purpose     Collects the range of hashes that each block really holds and the range that the tree gives
 *             it, and compares both when the last block was seen.
 * Ownership   index_begin() makes, index_end() frees.
 */
#ifndef FSCK_INDEX_H
#define FSCK_INDEX_H

#include "context.h"

struct index;

/* For a directory with so many blocks; NULL: it has no index. */
struct index *index_begin(struct fsck *f, inr_t ino, uint32_t nr_blocks);
/* Before a block's entries: notes what it is. */
void index_block(struct index *x, uint32_t lblk, const uint8_t *block);
/* An entry in use of that block. */
void index_name(struct index *x, uint32_t lblk, const char *name, unsigned name_len);
/* After a block's entries: reads the tree's own entries in it. */
void index_node(struct index *x, uint32_t lblk, const uint8_t *block);
/* Entries were moved or renamed: the tree does not fit any more. */
void index_spoil(struct index *x);
/* True: the directory's index is to be dropped. Frees. */
bool index_end(struct index *x);

#endif
