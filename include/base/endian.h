/*
 * base/endian.h - integers as they lie on disk.
 *
 * Purpose     A little-endian or big-endian integer is a struct of one member, so arithmetic,
 *             comparison and assignment on it do not compile: a missed swap is a build error.
 *             In and out only through the functions here.
 * Ownership   Values.
 * Locking     None.
 * Invariants  Size and alignment are those of the plain integer.
 */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <endian.h>

#include "base/types.h"

#define DISK_INTEGER(order, bits)                                              \
	typedef struct {                                                       \
		uint##bits##_t raw;                                            \
	} order##bits##_t;                                                     \
	static inline uint##bits##_t order##bits##_get(order##bits##_t v)      \
	{                                                                      \
		return order##bits##toh(v.raw);                                \
	}                                                                      \
	static inline order##bits##_t order##bits##_make(uint##bits##_t v)     \
	{                                                                      \
		return (order##bits##_t){hto##order##bits(v)};                 \
	}                                                                      \
	static inline void order##bits##_add(order##bits##_t *v, uint##bits##_t n) \
	{                                                                      \
		*v = order##bits##_make((uint##bits##_t)(order##bits##_get(*v) + n)); \
	}                                                                      \
	_Static_assert(sizeof(order##bits##_t) * 8 == (bits), "a disk integer has its natural size")

DISK_INTEGER(le, 16);
DISK_INTEGER(le, 32);
DISK_INTEGER(le, 64);
DISK_INTEGER(be, 16);
DISK_INTEGER(be, 32);
DISK_INTEGER(be, 64);

#endif
