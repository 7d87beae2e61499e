/*
 * Bit search, 64 bits at a step.
 *
 * A step loads the 64 bits that start at a byte, however it is aligned, and never a byte beyond
 * the one that holds the last bit asked for. "Clear" searches look for set bits of the inverse.
 */
#include "base/bitmap.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

#define ALL_ONES (~0ull)

/* The lowest n bits set; n in 0..64. */
static uint64_t low_bits(uint64_t n)
{
	return n >= 64 ? ALL_ONES : (1ull << n) - 1;
}

/*
 * Bits [from, end) of the map xor flip, from being bit 0, as many as one load holds: at least 57
 * or all there are. The others are 0. ret_count gets how many are meant.
 */
static uint64_t load_bits(const void *map, uint64_t from, uint64_t end, uint64_t flip, uint64_t *ret_count)
{
	uint64_t first_byte = from >> 3;
	uint64_t end_byte = (end + 7) >> 3;
	uint64_t word = 0;
	uint64_t count = min(64 - (from & 7), end - from);

	memcpy(&word, (const uint8_t *)map + first_byte, min((uint64_t)8, end_byte - first_byte));
	*ret_count = count;
	return (le64toh(word) ^ flip) >> (from & 7) & low_bits(count);
}

static uint64_t find(const void *map, uint64_t from, uint64_t end, uint64_t flip)
{
	uint64_t bits, count;

	while (from < end) {
		bits = load_bits(map, from, end, flip, &count);
		if (bits)
			return from + (uint64_t)__builtin_ctzll(bits);
		from += count;
	}
	return end;
}

uint64_t bitmap_find_clear(const void *map, uint64_t from, uint64_t end)
{
	return find(map, from, end, ALL_ONES);
}

uint64_t bitmap_find_set(const void *map, uint64_t from, uint64_t end)
{
	return find(map, from, end, 0);
}

uint64_t bitmap_run_clear(const void *map, uint64_t from, uint64_t end)
{
	return from < end ? find(map, from, end, 0) - from : 0;
}

uint64_t bitmap_run_set(const void *map, uint64_t from, uint64_t end)
{
	return from < end ? find(map, from, end, ALL_ONES) - from : 0;
}

uint64_t bitmap_find_clear_run(const void *map, uint64_t from, uint64_t end, uint64_t count)
{
	uint64_t run;

	must(count > 0);
	for (from = bitmap_find_clear(map, from, end); from < end && end - from >= count;
	     from = bitmap_find_clear(map, from + run, end)) {
		run = bitmap_run_clear(map, from, from + count);
		if (run == count)
			return from;
	}
	return end;
}

uint64_t bitmap_count_set(const void *map, uint64_t from, uint64_t end)
{
	uint64_t total = 0;
	uint64_t count;

	for (; from < end; from += count)
		total += (uint64_t)__builtin_popcountll(load_bits(map, from, end, 0, &count));
	return total;
}

/* Sets (fill 0xff) or clears (fill 0) the bits of one byte that mask names. */
static void fill_byte(uint8_t *byte, uint8_t mask, uint8_t fill)
{
	*byte = (uint8_t)((*byte & ~mask) | (fill & mask));
}

static void fill_range(void *map, uint64_t from, uint64_t count, uint8_t fill)
{
	uint8_t *bytes = map;
	uint64_t end = from + count;
	uint64_t first = from >> 3;
	uint64_t last = end >> 3;
	uint8_t head = (uint8_t)~low_bits(from & 7);	/* the bits of `first` from `from` on */
	uint8_t tail = (uint8_t)low_bits(end & 7);	/* the bits of `last` before `end` */

	if (first == last) {
		if (head & tail)
			fill_byte(&bytes[first], head & tail, fill);
		return;
	}
	fill_byte(&bytes[first], head, fill);
	memset(&bytes[first + 1], fill, last - first - 1);
	if (tail)
		fill_byte(&bytes[last], tail, fill);
}

void bitmap_set_range(void *map, uint64_t from, uint64_t count)
{
	fill_range(map, from, count, 0xff);
}

void bitmap_clear_range(void *map, uint64_t from, uint64_t count)
{
	fill_range(map, from, count, 0);
}
