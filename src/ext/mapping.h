/*
 * ext/mapping.h - a file's bytes between the page cache and its blocks.
 *
 * Purpose     The mapping_ops of regular files: where pages lie, and what belongs together in a
 *             write: blocks, size and times change under one handle.
 * Locking     As cache/mapping.h says; write_begin starts the handle before pages are locked.
 */
#ifndef EXT_MAPPING_H
#define EXT_MAPPING_H

#include "ext.h"

extern const struct mapping_ops ext_mapping_ops;

/* The handle gave a file blocks whose data is written, or in the cache, before it is stopped. */
void ext_note_new_blocks(struct handle *h, struct inode *inode);

#endif
