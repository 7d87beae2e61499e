/*
 * A disk integer lies in memory byte by byte in the order its type names, whatever the machine's,
 * and comes back unchanged; adding wraps as the plain integer does.
 */
#include "base/endian.h"

#include <string.h>

#include "harness/runner.h"

#define ASSERT_BYTES(disk_integer, ...)                                        \
	do {                                                                   \
		const uint8_t bytes_[] = {__VA_ARGS__};                        \
		ck_assert_uint_eq(sizeof(disk_integer), sizeof(bytes_));       \
		ck_assert_mem_eq(&(disk_integer), bytes_, sizeof(bytes_));     \
	} while (0)

START_TEST(little_endian_has_the_low_byte_first)
{
	le16_t a = le16_make(0x0102);
	le32_t b = le32_make(0x01020304);
	le64_t c = le64_make(0x0102030405060708);

	ASSERT_BYTES(a, 2, 1);
	ASSERT_BYTES(b, 4, 3, 2, 1);
	ASSERT_BYTES(c, 8, 7, 6, 5, 4, 3, 2, 1);
	ck_assert_uint_eq(le16_get(a), 0x0102);
	ck_assert_uint_eq(le32_get(b), 0x01020304);
	ck_assert_uint_eq(le64_get(c), 0x0102030405060708);
}
END_TEST

START_TEST(big_endian_has_the_high_byte_first)
{
	be16_t a = be16_make(0x0102);
	be32_t b = be32_make(0x01020304);
	be64_t c = be64_make(0x0102030405060708);

	ASSERT_BYTES(a, 1, 2);
	ASSERT_BYTES(b, 1, 2, 3, 4);
	ASSERT_BYTES(c, 1, 2, 3, 4, 5, 6, 7, 8);
	ck_assert_uint_eq(be16_get(a), 0x0102);
	ck_assert_uint_eq(be32_get(b), 0x01020304);
	ck_assert_uint_eq(be64_get(c), 0x0102030405060708);
}
END_TEST

START_TEST(adding_carries_and_wraps)
{
	le16_t a = le16_make(0x00ff);
	be16_t b = be16_make(0x00ff);
	le32_t c = le32_make(5);
	be32_t d = be32_make(0xffffffff);

	le16_add(&a, 1);
	be16_add(&b, 1);
	le32_add(&c, (uint32_t)-6);
	be32_add(&d, 1);
	ASSERT_BYTES(a, 0, 1);
	ASSERT_BYTES(b, 1, 0);
	ck_assert_uint_eq(le32_get(c), 0xffffffff);
	ck_assert_uint_eq(be32_get(d), 0);
}
END_TEST

TEST_SUITE(base_endian)
{
	tcase_add_test(tc, little_endian_has_the_low_byte_first);
	tcase_add_test(tc, big_endian_has_the_high_byte_first);
	tcase_add_test(tc, adding_carries_and_wraps);
}
