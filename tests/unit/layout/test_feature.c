/*
 * The verdict follows the three words: unknown incompat refuses, unknown ro_compat reads only,
 * unknown compat is nobody's business; the reason names the culprit. Names go both ways for every bit.
 */
#include "layout/feature.h"

#include <errno.h>
#include <string.h>

#include "unit/layout/fixture.h"

static enum mount_verdict verdict(uint32_t compat, uint32_t incompat, uint32_t ro_compat, char *why)
{
	struct ext_super s;

	make_super(&s, 1024, 128, 1);
	s.feature_compat = le32_make(compat);
	s.feature_incompat = le32_make(incompat);
	s.feature_ro_compat = le32_make(ro_compat);
	return feature_check(&s, why, WHY_SIZE);
}

START_TEST(supported_features_may_be_written)
{
	char why[WHY_SIZE];

	ck_assert_int_eq(verdict(0, 0, 0, why), FEATURE_RW);
	ck_assert_int_eq(verdict(FEATURE_COMPAT_SUPPORTED, FEATURE_INCOMPAT_SUPPORTED,
				 FEATURE_RO_COMPAT_SUPPORTED, why), FEATURE_RW);
	ck_assert_str_eq(why, "");
	ck_assert_int_eq(verdict(0xffffffff, EXT_INCOMPAT_RECOVER, 0, why), FEATURE_RW);
}
END_TEST

START_TEST(each_unknown_incompat_bit_refuses_by_name)
{
	char why[WHY_SIZE], name[WHY_SIZE];
	unsigned n;

	for (n = 0; n < 32; n++) {
		uint32_t bit = UINT32_C(1) << n;

		if (bit & FEATURE_INCOMPAT_SUPPORTED)
			continue;
		ck_assert_int_eq(verdict(0, bit | EXT_INCOMPAT_FILETYPE, 0, why), FEATURE_REFUSE);
		feature_describe(FEATURE_INCOMPAT, bit, name, sizeof(name));
		ck_assert_msg(strstr(why, name) != NULL, "bit %u: %s in: %s", n, name, why);
	}
	ck_assert_int_eq(verdict(0, EXT_INCOMPAT_EXTENTS | EXT_INCOMPAT_64BIT, 0, why), FEATURE_REFUSE);
	ck_assert_str_eq(why, "unsupported features: extent 64bit");
}
END_TEST

START_TEST(each_unknown_ro_compat_bit_reads_only_by_name)
{
	char why[WHY_SIZE], name[WHY_SIZE];
	unsigned n;

	for (n = 0; n < 32; n++) {
		uint32_t bit = UINT32_C(1) << n;
		enum mount_verdict wanted = bit == EXT_RO_COMPAT_BIGALLOC ? FEATURE_REFUSE : FEATURE_RO;

		if (bit & FEATURE_RO_COMPAT_SUPPORTED)
			continue;
		ck_assert_int_eq(verdict(0, 0, bit, why), wanted);
		feature_describe(FEATURE_RO_COMPAT, bit, name, sizeof(name));
		ck_assert_msg(strstr(why, name) != NULL, "bit %u: %s in: %s", n, name, why);
	}
}
END_TEST

START_TEST(a_later_revision_is_refused)
{
	struct ext_super s;
	char why[WHY_SIZE];

	make_super(&s, 1024, 128, 1);
	s.rev_level = le32_make(2);
	ck_assert_int_eq(feature_check(&s, why, sizeof(why)), FEATURE_REFUSE);
	ck_assert_ptr_nonnull(strstr(why, "revision 2"));
}
END_TEST

START_TEST(every_bit_has_a_name_that_parses_back)
{
	enum feature_class class, parsed_class;
	uint32_t parsed_bit;
	char name[64];
	unsigned n;

	for (class = FEATURE_COMPAT; class <= FEATURE_RO_COMPAT; class++)
		for (n = 0; n < 32; n++) {
			feature_describe(class, UINT32_C(1) << n, name, sizeof(name));
			ck_assert_int_eq(feature_parse(name, &parsed_class, &parsed_bit), 0);
			ck_assert_int_eq(parsed_class, class);
			ck_assert_uint_eq(parsed_bit, UINT32_C(1) << n);
		}
}
END_TEST

START_TEST(other_spellings_are_taken_and_nonsense_is_not)
{
	static const char *const nonsense[] = {"", "journal", "FEATURE_", "FEATURE_I", "FEATURE_X1",
					       "FEATURE_I32", "FEATURE_I1x", "FEATURE_I-1", "feature"};
	enum feature_class class;
	uint32_t bit;
	size_t i;

	ck_assert_int_eq(feature_parse("extents", &class, &bit), 0);
	ck_assert_uint_eq(bit, EXT_INCOMPAT_EXTENTS);
	ck_assert_int_eq(feature_parse("Dir_Index", &class, &bit), 0);
	ck_assert_uint_eq(bit, EXT_COMPAT_DIR_INDEX);
	ck_assert_int_eq(feature_parse("feature_r31", &class, &bit), 0);
	ck_assert_uint_eq(bit, UINT32_C(1) << 31);
	for (i = 0; i < array_size(nonsense); i++)
		ck_assert_int_eq(feature_parse(nonsense[i], &class, &bit), -ENOENT);
}
END_TEST

START_TEST(a_short_buffer_is_cut_not_overrun)
{
	char buf[12];
	size_t size;

	for (size = 0; size <= sizeof(buf) - 1; size++) {
		memset(buf, '#', sizeof(buf));
		feature_describe(FEATURE_INCOMPAT, 0xffffffff, buf, size);
		ck_assert_int_eq(buf[size], '#');
		if (size)
			ck_assert_uint_lt(strlen(buf), size);
	}
}
END_TEST

/* dumpe2fs prints the features of an image that has as many as mke2fs gives. */
START_TEST(names_are_those_of_dumpe2fs)
{
	struct e2fs_image image = make_image("-t ext4 -O has_journal,quota,project,inline_data,"
					     "large_dir,encrypt,ea_inode,sparse_super2,"
					     "^resize_inode,mmp,metadata_csum_seed,bigalloc",
					     64 << 20);
	char line[1024], theirs[1024] = "", ours[1024], part[512];
	FILE *out = e2fs_run("dumpe2fs -h %s 2>/dev/null", image.path);
	struct ext_super s;

	while (fgets(line, sizeof(line), out))
		sscanf(line, "Filesystem features: %[^\n]", theirs);
	pclose(out);
	image_read(&image, EXT_SUPER_OFFSET, &s, sizeof(s));
	feature_describe(FEATURE_COMPAT, le32_get(s.feature_compat), ours, sizeof(ours));
	feature_describe(FEATURE_INCOMPAT, le32_get(s.feature_incompat), part, sizeof(part));
	strcat(strcat(ours, " "), part);
	feature_describe(FEATURE_RO_COMPAT, le32_get(s.feature_ro_compat), part, sizeof(part));
	strcat(strcat(ours, " "), part);
	ck_assert_str_eq(ours, theirs);
}
END_TEST

TEST_SUITE(layout_feature)
{
	tcase_add_test(tc, supported_features_may_be_written);
	tcase_add_test(tc, each_unknown_incompat_bit_refuses_by_name);
	tcase_add_test(tc, each_unknown_ro_compat_bit_reads_only_by_name);
	tcase_add_test(tc, a_later_revision_is_refused);
	tcase_add_test(tc, every_bit_has_a_name_that_parses_back);
	tcase_add_test(tc, other_spellings_are_taken_and_nonsense_is_not);
	tcase_add_test(tc, a_short_buffer_is_cut_not_overrun);
	tcase_add_test(tc, names_are_those_of_dumpe2fs);
}
