/*
 * base/bitmap.h - bit search in little-endian bitmaps, as they lie on disk.
 *
 * Purpose     Block and inode bitmaps: bit n is bit n%8 of byte n/8. Searches go a word at a time.
 * Ownership   The bytes are the caller's; any alignment of the pointer is allowed.
 * Locking     The caller's.
 */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include "base/types.h"

static inline bool bitmap_test(const void *map, uint64_t bit)
{
	return ((const uint8_t *)map)[bit >> 3] >> (bit & 7) & 1;
}

static inline void bitmap_set(void *map, uint64_t bit)
{
	((uint8_t *)map)[bit >> 3] |= (uint8_t)(1u << (bit & 7));
}

static inline void bitmap_clear(void *map, uint64_t bit)
{
	((uint8_t *)map)[bit >> 3] &= (uint8_t)~(1u << (bit & 7));
}

void bitmap_set_range(void *map, uint64_t from, uint64_t count);
void bitmap_clear_range(void *map, uint64_t from, uint64_t count);
/* First clear (set) bit in [from, end), or end. */
uint64_t bitmap_find_clear(const void *map, uint64_t from, uint64_t end);
uint64_t bitmap_find_set(const void *map, uint64_t from, uint64_t end);
/* First bit of a run of at least `count` clear bits within [from, end), or end. */
uint64_t bitmap_find_clear_run(const void *map, uint64_t from, uint64_t end, uint64_t count);
/* Length of the run of clear (set) bits starting at from, not beyond end. */
uint64_t bitmap_run_clear(const void *map, uint64_t from, uint64_t end);
uint64_t bitmap_run_set(const void *map, uint64_t from, uint64_t end);
uint64_t bitmap_count_set(const void *map, uint64_t from, uint64_t end);

#endif
