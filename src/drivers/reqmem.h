/*
 * drivers/reqmem.h - the memory of a request, in parts, filled and copied.
 *
 * Purpose     What drivers do to a scatter list when no system call does it for them.
 * Ownership   Nothing is owned.
 * Locking     None: the caller has the request.
 * Units       Bytes of the request, from its first on.
 */
#ifndef DRIVERS_REQMEM_H
#define DRIVERS_REQMEM_H

#include "block/request.h"

/* As request_fill_iov(), but at most len bytes of memory. */
size_t request_fill_iov_part(const struct request *rq, uint64_t skip, uint64_t len, struct iovec *iov,
			     size_t max);
void request_zero(const struct request *rq, uint64_t skip, uint64_t len);
/* All of it, to or from memory in one piece. */
void request_copy_from(const struct request *rq, void *to);
void request_copy_to(const struct request *rq, const void *from);

#endif
