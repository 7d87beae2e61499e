/*
 * base/rand.h - a seeded generator, so that everything random can be repeated.
 *
 * Purpose     Tests, fault injection, hash seeds. Not for secrets.
 * Ownership   A value. Locking  The caller's.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/types.h"

struct rand {
	uint64_t state[4];
};

void rand_init(struct rand *r, uint64_t seed);
uint64_t rand_u64(struct rand *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t rand_below(struct rand *r, uint64_t bound);
bool rand_one_in(struct rand *r, uint32_t n);
void rand_fill(struct rand *r, void *bytes, size_t len);

#endif
