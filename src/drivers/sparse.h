/*
 * drivers/sparse.h - which sectors of a large disk were written, and, if asked, their bytes.
 *
 * Purpose     Memory for a disk that is mostly empty: nothing is spent on what was never written.
 *             A disk in memory keeps its bytes here; a copy-on-write disk also asks which
 *             sectors are its own.
 * Ownership   A member of its disk; sparse_done() frees what it holds.
 * Locking     The caller's.
 * Invariants  s1  a sector is owned when it was written, or marked, and not dropped since.
 *             s2  bytes of sectors that are not owned read as zeros.
 * Units       Offsets and lengths in bytes; whole sectors, but that a write or a read may come
 *             in pieces of any length.
 * Errors      -ENOMEM; what was stored before it ran out stays.
 */
#ifndef DRIVERS_SPARSE_H
#define DRIVERS_SPARSE_H

#include "base/radix.h"
#include "base/types.h"

struct sparse {
	struct radix chunks;
	_Atomic uint64_t used_bytes;	/* of pages that hold bytes; any thread may look */
};

void sparse_init(struct sparse *s);
void sparse_clear(struct sparse *s);	/* as new */
void sparse_done(struct sparse *s);

int sparse_write(struct sparse *s, uint64_t offset, const void *from, size_t len) must_check;
/* The sectors are owned, their bytes lie elsewhere. */
int sparse_mark(struct sparse *s, uint64_t offset, size_t len) must_check;
void sparse_read(const struct sparse *s, uint64_t offset, void *to, size_t len);
/* The sectors are not owned any more; whole pages of them are given back. */
void sparse_drop(struct sparse *s, uint64_t offset, uint64_t len);
/* How many of the len bytes from offset on are all owned, or all not. len > 0. */
size_t sparse_run(const struct sparse *s, uint64_t offset, size_t len, bool *ret_is_owned);

#endif
