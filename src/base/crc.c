/*
 * crc32_be() by zlib's crc32().
 *
 * zlib takes the lowest bit of a byte first and keeps its register mirrored and inverted. So the
 * bytes are mirrored, a chunk at a time, and the register on its way in and out:
 *
 *	be(seed, data) = mirror(~zlib(~mirror(seed), mirrored data))
 */
#include "base/crc.h"

#include <string.h>
#include <zlib.h>

#define CHUNK_BYTES 1024u	/* on the stack; a multiple of 8 */

/* Mirrors the bits within each byte of v. */
static uint64_t mirror_bytes(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
	v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
	return (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
}

static uint32_t mirror32(uint32_t v)
{
	return __builtin_bswap32((uint32_t)mirror_bytes(v));
}

uint32_t crc32_be(uint32_t seed, const void *bytes, size_t len)
{
	uint64_t words[CHUNK_BYTES / 8];
	const uint8_t *at = bytes;
	uint32_t crc = ~mirror32(seed);

	while (len > 0) {
		size_t count = min(len, sizeof(words));
		size_t nr_words = div_round_up(count, 8);

		words[nr_words - 1] = 0;	/* its end may lie behind the last byte */
		memcpy(words, at, count);
		for (size_t i = 0; i < nr_words; i++)
			words[i] = mirror_bytes(words[i]);
		crc = (uint32_t)crc32(crc, (const Bytef *)words, (uInt)count);
		at += count;
		len -= count;
	}
	return mirror32(~crc);
}

/* One byte of the table, bit by bit. */
static uint32_t crc32c_byte(uint32_t crc)
{
	for (int i = 0; i < 8; i++)
		crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
	return crc;
}

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t table[256];

	for (uint32_t i = 0; i < array_size(table); i++)
		table[i] = crc32c_byte(i);
	while (len-- > 0)
		seed = seed >> 8 ^ table[(seed ^ *at++) & 0xff];
	return seed;
}
