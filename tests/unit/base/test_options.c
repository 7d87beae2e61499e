/*
 * A list of options fills its struct exactly or is refused with a sentence that names the word at
 * fault. Numbers are taken whole, in range, without overflow, or not at all.
 */
#include "base/options.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "harness/runner.h"

struct settings {
	bool read_only, verbose;
	uint64_t count, cache_bytes;
	char *label;
	int mode;
};

static const struct option_row rows[] = {
	{.key = "ro", .kind = OPTION_FLAG, .offset = offsetof(struct settings, read_only), .value = 1},
	{.key = "rw", .kind = OPTION_FLAG, .offset = offsetof(struct settings, read_only), .value = 0},
	{.key = "verbose", .kind = OPTION_FLAG, .offset = offsetof(struct settings, verbose), .value = 1},
	{.key = "count", .kind = OPTION_U64, .offset = offsetof(struct settings, count), .min = 2, .max = 50},
	{.key = "cache", .kind = OPTION_SIZE, .offset = offsetof(struct settings, cache_bytes)},
	{.key = "label", .kind = OPTION_STRING, .offset = offsetof(struct settings, label)},
	{.key = "mode", .kind = OPTION_CHOICE, .offset = offsetof(struct settings, mode),
	 .choices = "plain|ordered|full"},
	{.key = "auto", .kind = OPTION_IGNORE},
};

static struct settings settings;
static char err[200];
static char offered[100];

static void setup(void)
{
	settings = (struct settings){.mode = -1};
	err[0] = offered[0] = '\0';
}

static void teardown(void)
{
	options_done(rows, array_size(rows), &settings);
	ck_assert_ptr_null(settings.label);
	ck_assert_uint_eq(mem_live_count(), 0);
}

static int parse(const char *list)
{
	return options_parse(rows, array_size(rows), list, &settings, NULL, NULL, err, sizeof(err));
}

static void assert_refused(const char *list, const char *named)
{
	ck_assert_int_eq(parse(list), -EINVAL);
	ck_assert_msg(strstr(err, named), "\"%s\" does not name %s", err, named);
}

START_TEST(a_good_list_fills_the_struct)
{
	ck_assert_int_eq(parse("ro,verbose,count=7,cache=64k,label=a=b,mode=ordered,auto,auto=1"), 0);
	ck_assert(settings.read_only && settings.verbose);
	ck_assert_uint_eq(settings.count, 7);
	ck_assert_uint_eq(settings.cache_bytes, 65536);
	ck_assert_str_eq(settings.label, "a=b");
	ck_assert_int_eq(settings.mode, 1);
}
END_TEST

START_TEST(the_later_of_two_counts)
{
	ck_assert_int_eq(parse("ro,rw,label=first,label=second,mode=full,mode=plain"), 0);
	ck_assert(!settings.read_only);
	ck_assert_str_eq(settings.label, "second");
	ck_assert_int_eq(settings.mode, 0);
}
END_TEST

START_TEST(empty_words_are_nothing)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert_int_eq(parse(",,ro,"), 0);
	ck_assert(settings.read_only);
	ck_assert_int_eq(parse("label="), 0);
	ck_assert_str_eq(settings.label, "");
}
END_TEST

START_TEST(faults_are_named)
{
	assert_refused("ro,wrong", "wrong");
	assert_refused("wrong=1", "wrong=1");
	assert_refused("r", "\"r\"");
	assert_refused("ro=1", "ro");
	assert_refused("count", "count");
	assert_refused("label", "label");
	assert_refused("mode", "mode");
	assert_refused("count=", "count");
	assert_refused("count=x", "\"x\"");
	assert_refused("count=7k", "\"7k\"");
	assert_refused("count=1", "less than 2");
	assert_refused("count=51", "more than 50");
	assert_refused("cache=1X", "\"1X\"");
	assert_refused("mode=ful", "\"ful\"");
	assert_refused("mode=full|", "\"full|\"");
	assert_refused("mode=", "plain|ordered|full");
	ck_assert_uint_eq(settings.count, 0);
	ck_assert_int_eq(settings.mode, -1);
}
END_TEST

static int take_unknown(void *arg, const char *word, char *text, size_t text_size)
{
	ck_assert_ptr_eq(arg, offered);
	strncpy(offered, word, sizeof(offered) - 1);
	if (strcmp(word, "bad") == 0) {
		strncpy(text, "bad it is", text_size);
		return -EPERM;
	}
	return strcmp(word, "theirs=1") == 0;
}

static int parse_with_other(const char *list)
{
	return options_parse(rows, array_size(rows), list, &settings, take_unknown, offered, err, sizeof(err));
}

START_TEST(unknown_words_are_offered_whole)
{
	ck_assert_int_eq(parse_with_other("ro,theirs=1,verbose"), 0);
	ck_assert_str_eq(offered, "theirs=1");
	ck_assert(settings.verbose);
	ck_assert_int_eq(parse_with_other("neither=2"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "neither=2"));
	ck_assert_int_eq(parse_with_other("bad"), -EPERM);
	ck_assert_str_eq(err, "bad it is");
}
END_TEST

START_TEST(without_memory_it_says_so_and_leaks_nothing)
{
	for (unsigned n = 1; n <= 2; n++) {
		mem_fail_nth(n, false);
		ck_assert_int_eq(parse("ro,label=x"), -ENOMEM);
	}
	mem_fail_nth(0, false);
	ck_assert_ptr_null(settings.label);
}
END_TEST

static void assert_size(const char *text, uint64_t expected)
{
	uint64_t v = 0;

	ck_assert_msg(parse_size(text, &v) == 0, "%s is refused", text);
	ck_assert_uint_eq(v, expected);
}

static void assert_no_size(const char *text)
{
	uint64_t v = 77;

	ck_assert_msg(parse_size(text, &v) == -EINVAL, "%s is taken", text);
	ck_assert_uint_eq(v, 77);
}

START_TEST(sizes_are_exact)
{
	assert_size("0", 0);
	assert_size("010", 10);
	assert_size("0x10", 16);
	assert_size("0XfFk", 255 * 1024);
	assert_size("1k", 1024);
	assert_size("1K", 1024);
	assert_size("3M", 3ull << 20);
	assert_size("5g", 5ull << 30);
	assert_size("7T", 7ull << 40);
	assert_size("18446744073709551615", UINT64_MAX);
	assert_size("16777215T", 16777215ull << 40);
	assert_size("0xffffffffffffffff", UINT64_MAX);
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const wrong[] = {
		"", "k", "-1", "+1", " 1", "1 ", "1kk", "1kB", "1.5M", "0x", "0xg", "x10", "1e3", "1P", "1\v",
		"18446744073709551616", "99999999999999999999", "16777216T", "0x10000000000000000",
	};

	for (unsigned i = 0; i < array_size(wrong); i++)
		assert_no_size(wrong[i]);
}
END_TEST

START_TEST(plain_numbers_have_no_unit)
{
	uint64_t v;

	ck_assert_int_eq(parse_u64("123", &v), 0);
	ck_assert_uint_eq(v, 123);
	ck_assert_int_eq(parse_u64("0x7f", &v), 0);
	ck_assert_uint_eq(v, 127);
	ck_assert_int_eq(parse_u64("1k", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("", &v), -EINVAL);
	ck_assert_uint_eq(v, 127);
}
END_TEST

TEST_SUITE(base_options)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_good_list_fills_the_struct);
	tcase_add_test(tc, the_later_of_two_counts);
	tcase_add_test(tc, empty_words_are_nothing);
	tcase_add_test(tc, faults_are_named);
	tcase_add_test(tc, unknown_words_are_offered_whole);
	tcase_add_test(tc, without_memory_it_says_so_and_leaks_nothing);
	tcase_add_test(tc, sizes_are_exact);
	tcase_add_test(tc, what_is_no_size_is_refused);
	tcase_add_test(tc, plain_numbers_have_no_unit);
}
