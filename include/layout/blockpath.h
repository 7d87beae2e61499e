/*
 * layout/blockpath.h - from a block of a file to slots of its tree.
 *
 * Purpose     The path of a logical block: the slot of the inode's block[], then the slot in each
 *             indirect block below it.
 *
 *                 block[0..11]   data                                     depth 1
 *                 block[12]      -> slots of data                         depth 2
 *                 block[13]      -> slots -> slots of data                depth 3
 *                 block[14]      -> slots -> slots -> slots of data       depth 4
 * Ownership   Values.
 * Locking     None.
 * Context     Of geo only addr_per_block, addr_bits and max_file_blocks are read.
 * Sources     FORMAT.md 6.
 */
#ifndef LAYOUT_BLOCKPATH_H
#define LAYOUT_BLOCKPATH_H

#include "layout/geometry.h"

#define BLOCKPATH_DEPTH_MAX 4u

/*
 * Fills offsets[0..depth-1] and returns the depth, 1 to 4; offsets[0] is a slot of the inode, the last
 * one the slot that names the data block. -EFBIG: behind what the tree reaches.
 */
must_check int blockpath(const struct geometry *geo, lblk_t lblk, unsigned offsets[BLOCKPATH_DEPTH_MAX]);

/* The logical block that a path leads to: the reverse of blockpath(). */
lblk_t blockpath_lblk(const struct geometry *geo, const unsigned *offsets, unsigned depth);

/*
 * Data blocks that hang below one slot at this level of a path of this depth: 1 at the last level
 * (depth - 1), addr_per_block above it, and so on.
 */
uint64_t blockpath_span(const struct geometry *geo, unsigned depth, unsigned level);

/* Logical blocks from this path's to the end of its leaf (indirect block or direct slots), itself included. */
unsigned blockpath_leaf_left(const struct geometry *geo, const unsigned *offsets, unsigned depth);

/* The first logical block below the inode's slot (0..14), and the depth of its paths. */
lblk_t blockpath_slot_start(const struct geometry *geo, unsigned slot);
unsigned blockpath_slot_depth(unsigned slot);

/* Indirect blocks that a file of nr_blocks without holes needs. */
uint64_t blockpath_indirect_blocks(const struct geometry *geo, lblk_t nr_blocks);

#endif
