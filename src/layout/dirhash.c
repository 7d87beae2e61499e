/*
 * The hashes of indexed directories.
 *
 * A name is cut into pieces that are packed into words; each piece stirs a state of four words, and
 * two of these are the hash. Half-MD4 is the three rounds of MD4 (Rivest 1990) over 8 words instead
 * of 16; TEA is the cipher of Wheeler and Needham (1994) with the name as its key; the legacy hash
 * goes byte by byte. FORMAT.md 7.4.
 */
#include "layout/dirhash.h"

#include <errno.h>
#include <string.h>

#define MD4_WORDS 8u
#define TEA_WORDS 4u

/* A byte of a name as the number that the hash adds: some machines' char is signed, and so were their disks. */
typedef uint32_t byte_value(char c);

static uint32_t signed_value(char c)
{
	return (uint32_t)(int32_t)(signed char)c;
}

static uint32_t unsigned_value(char c)
{
	return (unsigned char)c;
}

/* Packs up to nr_words * 4 bytes big end first; what is missing is filled with the length of what is left. */
static void pack(const char *name, unsigned len, uint32_t *words, unsigned nr_words, byte_value *value)
{
	uint32_t filler = (len & 0xff) * 0x01010101u;
	unsigned w, i = 0;

	for (w = 0; w < nr_words; w++) {
		unsigned end = min(i + 4, len);

		words[w] = filler;
		for (; i < end; i++)
			words[w] = (words[w] << 8) + value(name[i]);
	}
}

static uint32_t rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
	return z ^ (x & (y ^ z));
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) | (z & (x | y));
}

static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
	return x ^ y ^ z;
}

/* A round of MD4: eight steps, each with a word of the message and one of four rotations. */
struct md4_round {
	uint32_t (*mix)(uint32_t x, uint32_t y, uint32_t z);
	uint32_t constant;
	uint8_t word[MD4_WORDS];
	uint8_t rotation[4];
};

static const struct md4_round md4_rounds[] = {
	{choose, 0, {0, 1, 2, 3, 4, 5, 6, 7}, {3, 7, 11, 19}},
	{majority, 0x5a827999, {1, 3, 5, 7, 0, 2, 4, 6}, {3, 5, 9, 13}},
	{parity, 0x6ed9eba1, {3, 7, 2, 6, 1, 5, 0, 4}, {3, 9, 11, 15}},
};

static void half_md4_stir(uint32_t state[4], const uint32_t words[MD4_WORDS])
{
	uint32_t s[4];
	unsigned r, step;

	memcpy(s, state, sizeof(s));
	for (r = 0; r < array_size(md4_rounds); r++) {
		const struct md4_round *round = &md4_rounds[r];

		for (step = 0; step < MD4_WORDS; step++) {
			/* The state's words take turns: a, d, c, b, a ... */
			uint32_t *t = &s[(4 - step % 4) % 4];
			uint32_t x = s[(5 - step % 4) % 4];
			uint32_t y = s[(6 - step % 4) % 4];
			uint32_t z = s[(7 - step % 4) % 4];

			*t = rotate(*t + round->mix(x, y, z) + words[round->word[step]] + round->constant,
				    round->rotation[step % 4]);
		}
	}
	for (r = 0; r < 4; r++)
		state[r] += s[r];
}

static void tea_stir(uint32_t state[4], const uint32_t key[TEA_WORDS])
{
	uint32_t y = state[0], z = state[1], sum = 0;
	unsigned i;

	for (i = 0; i < 16; i++) {
		sum += 0x9e3779b9u;
		y += ((z << 4) + key[0]) ^ (z + sum) ^ ((z >> 5) + key[1]);
		z += ((y << 4) + key[2]) ^ (y + sum) ^ ((y >> 5) + key[3]);
	}
	state[0] += y;
	state[1] += z;
}

/* The words that MD4 starts with, unless the file system has a seed of its own. */
static void start_state(uint32_t state[4], const uint32_t seed[4])
{
	static const uint32_t md4_start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	bool has_seed = seed[0] | seed[1] | seed[2] | seed[3];

	memcpy(state, has_seed ? seed : md4_start, sizeof(md4_start));
}

static struct dirhash half_md4(const uint32_t seed[4], const char *name, unsigned len, byte_value *value)
{
	uint32_t state[4], words[MD4_WORDS];
	unsigned at;

	start_state(state, seed);
	for (at = 0; at < len; at += sizeof(words)) {
		pack(name + at, len - at, words, MD4_WORDS, value);
		half_md4_stir(state, words);
	}
	return (struct dirhash){.major = state[1], .minor = state[2]};
}

static struct dirhash tea(const uint32_t seed[4], const char *name, unsigned len, byte_value *value)
{
	uint32_t state[4], words[TEA_WORDS];
	unsigned at;

	start_state(state, seed);
	for (at = 0; at < len; at += sizeof(words)) {
		pack(name + at, len - at, words, TEA_WORDS, value);
		tea_stir(state, words);
	}
	return (struct dirhash){.major = state[0], .minor = state[1]};
}

static struct dirhash legacy(const char *name, unsigned len, byte_value *value)
{
	uint32_t now = 0x12a3fe2d, before = 0x37abe8f9, next;
	unsigned i;

	for (i = 0; i < len; i++) {
		next = before + (now ^ (value(name[i]) * 7152373u));
		if (next & 0x80000000u)
			next -= 0x7fffffffu;
		before = now;
		now = next;
	}
	return (struct dirhash){.major = now << 1};
}

int dirhash(unsigned version, const uint32_t seed[4], const char *name, unsigned name_len,
	    struct dirhash *ret)
{
	switch (version) {
	case EXT_HASH_LEGACY:
		*ret = legacy(name, name_len, signed_value);
		break;
	case EXT_HASH_LEGACY_UNSIGNED:
		*ret = legacy(name, name_len, unsigned_value);
		break;
	case EXT_HASH_HALF_MD4:
		*ret = half_md4(seed, name, name_len, signed_value);
		break;
	case EXT_HASH_HALF_MD4_UNSIGNED:
		*ret = half_md4(seed, name, name_len, unsigned_value);
		break;
	case EXT_HASH_TEA:
		*ret = tea(seed, name, name_len, signed_value);
		break;
	case EXT_HASH_TEA_UNSIGNED:
		*ret = tea(seed, name, name_len, unsigned_value);
		break;
	default:
		return -EINVAL;
	}

	/* The lowest bit is the tree's to mark a hash that goes on in the next block. */
	ret->major &= ~1u;
	if (ret->major == DIRHASH_EOF)
		ret->major = DIRHASH_EOF - 2;
	return 0;
}

unsigned dirhash_version(const struct ext_super *super, unsigned version_on_disk)
{
	bool is_unsigned = le32_get(super->flags) & EXT_FLAGS_UNSIGNED_HASH;

	if (is_unsigned && version_on_disk <= EXT_HASH_TEA)
		return version_on_disk + EXT_HASH_LEGACY_UNSIGNED;
	return version_on_disk;
}

void dirhash_seed(const struct ext_super *super, uint32_t ret[4])
{
	unsigned i;

	for (i = 0; i < 4; i++)
		ret[i] = le32_get(super->hash_seed[i]);
}
