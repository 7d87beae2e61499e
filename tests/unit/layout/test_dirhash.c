/*
 * The three hashes give what e2fsprogs gives, for names of all lengths around the pieces that are hashed,
 * with and without a seed, and with bytes above 127 in both readings.
 */
#include "layout/dirhash.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "unit/layout/fixture.h"

static const uint32_t no_seed[4];

/* Known answers, so that something is tested where debugfs is missing; taken from debugfs dx_hash. */
struct answer {
	unsigned version;
	const char *name;
	uint32_t major, minor;
};

static const struct answer answers[] = {
	{0, "a",
	 0xe74b53e2, 0x00000000},
	{0, "hello",
	 0x32252546, 0x00000000},
	{0, "lost+found",
	 0x5e2aba24, 0x00000000},
	{0, "a-name-of-exactly-32-bytes-here!",
	 0x487bb684, 0x00000000},
	{0, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x89c49be0, 0x00000000},
	{0, "h\303\244user\303\277",
	 0xe89bf474, 0x00000000},
	{1, "a",
	 0xd5fa7d7a, 0xacb48187},
	{1, "hello",
	 0x1746da32, 0x420013b5},
	{1, "lost+found",
	 0x591de422, 0x6ffc56e0},
	{1, "a-name-of-exactly-32-bytes-here!",
	 0xe4a49a50, 0x55566606},
	{1, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x8f487956, 0x2ae294f5},
	{1, "h\303\244user\303\277",
	 0xb54211f8, 0x5c4e2636},
	{2, "a",
	 0x6d0ea4c0, 0xc18922df},
	{2, "hello",
	 0x6f5bb1a8, 0x231917c2},
	{2, "lost+found",
	 0x2dbf9e80, 0xbfebee4f},
	{2, "a-name-of-exactly-32-bytes-here!",
	 0x6470eb14, 0xc6135a45},
	{2, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x3f2a0b9a, 0x5172a330},
	{2, "h\303\244user\303\277",
	 0x6693128e, 0x09cadd3a},
	{3, "a",
	 0xe74b53e2, 0x00000000},
	{3, "hello",
	 0x32252546, 0x00000000},
	{3, "lost+found",
	 0x5e2aba24, 0x00000000},
	{3, "a-name-of-exactly-32-bytes-here!",
	 0x487bb684, 0x00000000},
	{3, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x89c49be0, 0x00000000},
	{3, "h\303\244user\303\277",
	 0xf715e870, 0x00000000},
	{4, "a",
	 0xd5fa7d7a, 0xacb48187},
	{4, "hello",
	 0x1746da32, 0x420013b5},
	{4, "lost+found",
	 0x591de422, 0x6ffc56e0},
	{4, "a-name-of-exactly-32-bytes-here!",
	 0xe4a49a50, 0x55566606},
	{4, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x8f487956, 0x2ae294f5},
	{4, "h\303\244user\303\277",
	 0x51d2be54, 0xa67072a1},
	{5, "a",
	 0x6d0ea4c0, 0xc18922df},
	{5, "hello",
	 0x6f5bb1a8, 0x231917c2},
	{5, "lost+found",
	 0x2dbf9e80, 0xbfebee4f},
	{5, "a-name-of-exactly-32-bytes-here!",
	 0x6470eb14, 0xc6135a45},
	{5, "a-longer-name-that-goes-over-the-32-bytes-of-one-piece",
	 0x3f2a0b9a, 0x5172a330},
	{5, "h\303\244user\303\277",
	 0x5e8c0588, 0x090802d0},
};

START_TEST(known_answers)
{
	struct dirhash h;

	ck_assert_int_eq(dirhash(answers[_i].version, no_seed, answers[_i].name,
				 (unsigned)strlen(answers[_i].name), &h), 0);
	ck_assert_uint_eq(h.major, answers[_i].major);
	ck_assert_uint_eq(h.minor, answers[_i].minor);
}
END_TEST

#define NR_NAMES 120

/* Letters, digits and bytes above 127; nothing that a shell or debugfs would take apart. */
static void random_name(struct rand *r, char name[EXT_NAME_LEN + 1], unsigned len)
{
	static const char plain[] = "abcXYZ019._-";
	unsigned i;

	for (i = 0; i < len; i++)
		name[i] = rand_one_in(r, 4) ? (char)(0xa1 + rand_below(r, 90))
					    : plain[rand_below(r, sizeof(plain) - 1)];
	name[0] = 'n';		/* not an option */
	name[len] = '\0';
}

static void seed_from_uuid(const uint8_t bytes[16], uint32_t seed[4])
{
	le32_t raw[4];
	unsigned i;

	memcpy(raw, bytes, 16);
	for (i = 0; i < 4; i++)
		seed[i] = le32_get(raw[i]);
}

static void uuid_text(const uint8_t b[16], char text[40])
{
	snprintf(text, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

START_TEST(hashes_are_those_of_debugfs)
{
	char names[NR_NAMES][EXT_NAME_LEN + 1], script[] = "/tmp/extant-dirhash-XXXXXX", line[600];
	uint32_t seed[4], major, minor;
	uint8_t uuid[16];
	char uuid_name[40];
	struct rand r;
	FILE *out;
	unsigned i, seen = 0;

	need_e2fsprogs();
	rand_init(&r, test_seed());
	rand_fill(&r, uuid, sizeof(uuid));
	uuid_text(uuid, uuid_name);
	seed_from_uuid(uuid, seed);
	out = fdopen(mkstemp(script), "w");
	for (i = 0; i < NR_NAMES; i++) {
		random_name(&r, names[i], i < 70 ? i + 1 : 1 + (unsigned)rand_below(&r, 120));
		fprintf(out, "dx_hash -h %d -s %s %s\n", _i, uuid_name, names[i]);
	}
	fclose(out);

	out = e2fs_run("debugfs -f %s 2>/dev/null", script);
	while (fgets(line, sizeof(line), out)) {
		char *at = strstr(line, " is 0x");
		struct dirhash h;

		if (!at || line[0] != 'H')
			continue;
		ck_assert_int_eq(sscanf(at, " is 0x%x (minor 0x%x)", &major, &minor), 2);
		ck_assert_int_eq(dirhash((unsigned)_i, seed, names[seen],
					 (unsigned)strlen(names[seen]), &h), 0);
		ck_assert_msg(h.major == major && h.minor == minor, "%s: %08x %08x, not %08x %08x",
			      names[seen], h.major, h.minor, major, minor);
		seen++;
	}
	pclose(out);
	unlink(script);
	ck_assert_uint_eq(seen, NR_NAMES);
}
END_TEST

START_TEST(the_mark_and_the_end_are_never_a_hash)
{
	struct dirhash h;
	struct rand r;
	char name[EXT_NAME_LEN + 1];
	unsigned n, version;

	rand_init(&r, test_seed());
	for (n = 0; n < 20000; n++) {
		unsigned len = 1 + (unsigned)rand_below(&r, EXT_NAME_LEN);

		random_name(&r, name, len);
		for (version = 0; version < 6; version++) {
			ck_assert_int_eq(dirhash(version, no_seed, name, len, &h), 0);
			ck_assert_uint_eq(h.major & 1, 0);
			ck_assert_uint_lt(h.major, DIRHASH_EOF);
		}
	}
	ck_assert_int_eq(dirhash(6, no_seed, "x", 1, &h), -EINVAL);
	ck_assert_int_eq(dirhash(77, no_seed, "x", 1, &h), -EINVAL);
}
END_TEST

START_TEST(the_superblock_says_signed_or_unsigned)
{
	struct ext_super s;
	uint32_t seed[4];

	make_super(&s, 1024, 128, 1);
	s.hash_seed[2] = le32_make(0x01020304);
	dirhash_seed(&s, seed);
	ck_assert_uint_eq(seed[2], 0x01020304);
	s.flags = le32_make(EXT_FLAGS_SIGNED_HASH);
	ck_assert_uint_eq(dirhash_version(&s, EXT_HASH_TEA), EXT_HASH_TEA);
	s.flags = le32_make(EXT_FLAGS_UNSIGNED_HASH);
	ck_assert_uint_eq(dirhash_version(&s, EXT_HASH_LEGACY), EXT_HASH_LEGACY_UNSIGNED);
	ck_assert_uint_eq(dirhash_version(&s, EXT_HASH_TEA), EXT_HASH_TEA_UNSIGNED);
	ck_assert_uint_eq(dirhash_version(&s, EXT_HASH_SIPHASH), EXT_HASH_SIPHASH);
}
END_TEST

TEST_SUITE(layout_dirhash)
{
	tcase_add_loop_test(tc, known_answers, 0, array_size(answers));
	tcase_add_loop_test(tc, hashes_are_those_of_debugfs, 0, EXT_HASH_SIPHASH);
	tcase_add_test(tc, the_mark_and_the_end_are_never_a_hash);
	tcase_add_test(tc, the_superblock_says_signed_or_unsigned);
}
