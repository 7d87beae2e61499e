/*
 * xoshiro256** (Blackman and Vigna 2018), its state filled by splitmix64 (Steele, Lea, Flood 2014).
 */
#include "base/rand.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void rand_init(struct rand *r, uint64_t seed)
{
	for (size_t i = 0; i < array_size(r->state); i++)
		r->state[i] = splitmix(&seed);
}

static uint64_t rotate_left(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

uint64_t rand_u64(struct rand *r)
{
	uint64_t *s = r->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Draws again while the number lies in the last, incomplete multiple of bound. */
uint64_t rand_below(struct rand *r, uint64_t bound)
{
	uint64_t remainder, v;

	must(bound > 0);
	remainder = -bound % bound;	/* 2^64 modulo bound */
	do
		v = rand_u64(r);
	while (v < remainder);
	return v % bound;
}

bool rand_one_in(struct rand *r, uint32_t n)
{
	return rand_below(r, n) == 0;
}

void rand_fill(struct rand *r, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len > 0) {
		uint64_t word = htole64(rand_u64(r));
		size_t count = min(len, sizeof(word));

		memcpy(at, &word, count);
		at += count;
		len -= count;
	}
}
