/*
 * crc32_be() is the plain shift register of polynomial 0x04C11DB7, for any seed, length and
 * alignment, and may be taken in pieces.
 */
#include "base/crc.h"

#include "base/rand.h"
#include "harness/runner.h"

static uint32_t slow_crc(uint32_t crc, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= (uint32_t)bytes[i] << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
	}
	return crc;
}

START_TEST(agrees_with_the_shift_register)
{
	static uint8_t bytes[5000];
	struct rand r;

	rand_init(&r, test_seed());
	rand_fill(&r, bytes, sizeof(bytes));
	for (unsigned round = 0; round < 300; round++) {
		size_t from = rand_below(&r, 16);
		size_t len = rand_below(&r, round < 100 ? 40 : sizeof(bytes) - 16);
		uint32_t seed = (uint32_t)rand_u64(&r);

		ck_assert_uint_eq(crc32_be(seed, bytes + from, len), slow_crc(seed, bytes + from, len));
	}
}
END_TEST

START_TEST(known_values)
{
	/* CRC-32/MPEG-2 of "123456789", and nothing changes nothing. */
	ck_assert_uint_eq(crc32_be(CRC32_BE_SEED, "123456789", 9), 0x0376e6e7);
	ck_assert_uint_eq(crc32_be(CRC32_BE_SEED, "", 0), CRC32_BE_SEED);
}
END_TEST

START_TEST(pieces_make_the_whole)
{
	static uint8_t bytes[4096];
	struct rand r;
	uint32_t crc = CRC32_BE_SEED;
	size_t at = 0;

	rand_init(&r, test_seed());
	rand_fill(&r, bytes, sizeof(bytes));
	while (at < sizeof(bytes)) {
		size_t len = 1 + rand_below(&r, sizeof(bytes) - at);

		crc = crc32_be(crc, bytes + at, len);
		at += len;
	}
	ck_assert_uint_eq(crc, crc32_be(CRC32_BE_SEED, bytes, sizeof(bytes)));
}
END_TEST

TEST_SUITE(base_crc)
{
	tcase_add_test(tc, agrees_with_the_shift_register);
	tcase_add_test(tc, known_values);
	tcase_add_test(tc, pieces_make_the_whole);
}
