/*
 * ext/dax.h - file data straight from and to the disk's own memory (`-o dax`).
 *
 * Purpose     On a disk that is mapped into memory file data is copied between the caller and the
 *             mapping: no page of it lies in our cache. Metadata goes through the cache as ever.
 * Ownership   A view borrows the mapping's bytes; nothing is held for them but the inode lock.
 * Locking     The inode lock: shared to read, until the view is done; exclusive to write.
 * Errors      -EIO where a page of the mapping cannot be had, else as the block map's and handles'.
 * Context     May sleep; touching the mapping may wait for the host's disk.
 */
#ifndef EXT_DAX_H
#define EXT_DAX_H

#include <sys/types.h>

#include "cache/filemap.h"
#include "ext.h"

static inline bool ext_is_dax(const struct inode *inode)
{
	return ext_of(inode)->config.has_dax && inode->mapping.ops;
}

int dax_read(struct inode *inode, uint64_t pos, size_t len, struct filemap_view *view) must_check;
/* The bytes written, perhaps fewer, or a negative errno when there are none. */
ssize_t dax_write(struct inode *inode, uint64_t pos, const void *from, size_t len, bool may_use_reserved) must_check;
/* Zeroes [pos, end), which lies in one block, if it has a block. */
int dax_zero(struct inode *inode, uint64_t pos, uint64_t end) must_check;
/* Zeroes what lies behind pos in its block. */
int dax_zero_tail(struct inode *inode, uint64_t pos) must_check;

#endif
