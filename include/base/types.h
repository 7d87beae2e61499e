/*
 * base/types.h - scalars that carry a unit, and the few macros everybody uses.
 *
 * Purpose     A number on a disk is a block, a sector, an inode number or a byte count, and
 *             mixing them is how file systems lose data. Each has a type here, named for its
 *             unit; conversion is by a named helper in the room that knows both units.
 * Ownership   Nothing is owned.
 * Locking     None.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint64_t fsblk_t;	/* a block of the file system, counted from its start */
typedef uint64_t lblk_t;	/* a block of a file, counted from its start */
typedef uint32_t grpblk_t;	/* a block of a group, counted from the group's first */
typedef uint32_t group_t;	/* a block group */
typedef uint32_t inr_t;		/* an inode number; 0 is none */
typedef uint64_t sector_t;	/* 512 bytes of a disk */

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  512u

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define no_return __attribute__((noreturn))
#define maybe_unused __attribute__((unused))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

/* The object of TYPE whose MEMBER is at ptr. */
#define container_of(ptr, type, member)                                        \
	({                                                                     \
		const __typeof__(((type *)0)->member) *member_ptr_ = (ptr);    \
		(type *)((char *)(uintptr_t)member_ptr_ - offsetof(type, member)); \
	})

#define min(a, b)                                       \
	({                                              \
		__typeof__(a) min_a_ = (a);             \
		__typeof__(b) min_b_ = (b);             \
		min_a_ < min_b_ ? min_a_ : min_b_;      \
	})
#define max(a, b)                                       \
	({                                              \
		__typeof__(a) max_a_ = (a);             \
		__typeof__(b) max_b_ = (b);             \
		max_a_ > max_b_ ? max_a_ : max_b_;      \
	})

#define div_round_up(n, d) (((n) + (d) - 1) / (d))
#define round_up(n, d) (div_round_up(n, d) * (d))
#define round_down(n, d) ((n) / (d) * (d))

static inline bool is_power_of_2(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Floor of the binary logarithm; n must not be 0. */
static inline unsigned log2_floor(uint64_t n)
{
	return 63u - (unsigned)__builtin_clzll(n);
}

/* The first error of a function and its clean-up is the one to tell (STYLE: errors). */
static inline int first_error(int first, int second)
{
	return first ? first : second;
}

/* A result that is disregarded on purpose, with the reason. */
#define ignore(expr, why) ((void)!(expr))

#endif
