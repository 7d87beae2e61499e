/*
 * What must hold: each option sets what it says and nothing else, the later of two words counts,
 * what is not known is refused by its name, and what the kernel is told follows from the options
 * and from who mounts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "harness/runner.h"

static struct mount_options opts;
static char err[256];

static int parse(const char *list)
{
	mount_options_done(&opts);
	mount_options_init(&opts);
	err[0] = '\0';
	return mount_options_parse(&opts, list, false, err, sizeof(err));
}

static void setup(void)
{
	memset(&opts, 0, sizeof(opts));
}

static void teardown(void)
{
	mount_options_done(&opts);
}

START_TEST(defaults_are_the_documented_ones)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert(!opts.is_read_only && !opts.is_sync && !opts.has_no_atime && !opts.may_others);
	ck_assert_int_eq(opts.errors, ERRORS_UNSAID);
	ck_assert_uint_eq(opts.resuid, UINT32_MAX);
	ck_assert_uint_eq(opts.resgid, UINT32_MAX);
	ck_assert_uint_eq(opts.cache_bytes, 0);
	ck_assert_uint_eq(opts.readahead_bytes, 8u << 20);
	ck_assert_uint_eq(opts.dirty_percent, 40);
	ck_assert_uint_eq(opts.background_percent, 10);
	ck_assert_uint_eq(opts.commit_seconds, 5);
	ck_assert_uint_eq(opts.nr_threads, 16);
	ck_assert_uint_eq(opts.nr_workers, 4);
	ck_assert_uint_eq(opts.queue_depth, 256);
	ck_assert_int_eq(mount_options_check(&opts, err, sizeof(err)), 0);
}
END_TEST

START_TEST(the_later_word_counts)
{
	ck_assert_int_eq(parse("ro,rw,sync,async,grpid,nogrpid,minixdf,bsddf,nosuid,suid,noexec,exec,nodev,dev"), 0);
	ck_assert(!opts.is_read_only && !opts.is_sync && !opts.has_bsd_groups && !opts.has_minix_df);
	ck_assert(!opts.has_no_suid && !opts.has_no_exec && !opts.has_no_dev);
	ck_assert_int_eq(parse("rw,ro,async,sync,sysvgroups,bsdgroups,suid,nosuid,fsname=a,fsname=b"), 0);
	ck_assert(opts.is_read_only && opts.is_sync && opts.has_bsd_groups && opts.has_no_suid);
	ck_assert_str_eq(opts.fsname, "b");
}
END_TEST

START_TEST(values_arrive)
{
	ck_assert_int_eq(parse("errors=remount-ro,sb=32768,resuid=7,resgid=0,cache=64M,dirty=50,dirty_background=5,readahead=0,"
			       "commit=30,threads=3,workers=2,queue=9,inodes=100,dentries=200,max_read=128k,"
			       "subtype=x"), 0);
	ck_assert_int_eq(opts.errors, ERRORS_REMOUNT_RO);
	ck_assert_uint_eq(opts.super_block, 32768);
	ck_assert_uint_eq(opts.resuid, 7);
	ck_assert_uint_eq(opts.resgid, 0);
	ck_assert_uint_eq(opts.cache_bytes, 64u << 20);
	ck_assert_uint_eq(opts.readahead_bytes, 0);
	ck_assert_uint_eq(opts.dirty_percent, 50);
	ck_assert_uint_eq(opts.background_percent, 5);
	ck_assert_uint_eq(opts.commit_seconds, 30);
	ck_assert_uint_eq(opts.nr_threads, 3);
	ck_assert_uint_eq(opts.nr_workers, 2);
	ck_assert_uint_eq(opts.queue_depth, 9);
	ck_assert_uint_eq(opts.inodes_max, 100);
	ck_assert_uint_eq(opts.dentries_max, 200);
	ck_assert_uint_eq(opts.max_read_bytes, 128u << 10);
	ck_assert_str_eq(opts.subtype, "x");
	ck_assert_int_eq(parse("errors=continue"), 0);
	ck_assert_int_eq(opts.errors, ERRORS_CONTINUE);
	ck_assert_int_eq(parse("errors=panic"), 0);
	ck_assert_int_eq(opts.errors, ERRORS_PANIC);
}
END_TEST

START_TEST(unknown_words_are_refused_by_name)
{
	static const char *const lists[] = {
		"frobnicate", "rw,frobnicate,ro", "frobnicate=3", "errors=frobnicate", "threads=frobnicate",
	};

	for (size_t i = 0; i < array_size(lists); i++) {
		ck_assert_int_eq(parse(lists[i]), -EINVAL);
		ck_assert_msg(strstr(err, "frobnicate"), "\"%s\" does not name the word", err);
	}
}
END_TEST

START_TEST(impossible_values_are_refused)
{
	static const char *const lists[] = {
		"threads=0", "threads=100000", "cache=1k", "cache=x", "dirty=0", "dirty=100", "resuid=4294967295",
		"ro=1", "threads", "sb=", "barrier=2", "commit=-1", "data=both",
		"sched=lifo", "part", "offset=x",
	};

	for (size_t i = 0; i < array_size(lists); i++)
		ck_assert_msg(parse(lists[i]) == -EINVAL && err[0], "%s was taken", lists[i]);
}
END_TEST

/* A promise that is not kept must not be taken, and the word alone would not tell why. */
START_TEST(what_is_not_there_yet_is_refused_with_the_reason)
{
	static const char *const lists[] = {
		"remount", "usrquota", "blkdev",
	};

	for (size_t i = 0; i < array_size(lists); i++) {
		ck_assert_int_eq(parse(lists[i]), -EINVAL);
		ck_assert_msg(strstr(err, lists[i]) && strchr(err, ':'), "\"%s\" gives no reason", err);
	}
}
END_TEST

/* A word that is a flag by itself and takes a value besides. */
START_TEST(one_key_may_be_a_flag_and_take_a_value)
{
	ck_assert_int_eq(parse("cow"), 0);
	ck_assert(opts.has_cow && !opts.cow_path);
	ck_assert_int_eq(parse("cow=scratch"), 0);
	ck_assert(!opts.has_cow);
	ck_assert_str_eq(opts.cow_path, "scratch");
	ck_assert_int_eq(parse("nobarrier,barrier"), 0);
	ck_assert(opts.has_barrier && opts.barrier);
	ck_assert_int_eq(parse("barrier=0"), 0);
	ck_assert(opts.has_barrier && !opts.barrier);
}
END_TEST

START_TEST(words_of_fstab_are_taken_without_effect)
{
	struct mount_options before;

	ck_assert_int_eq(parse(""), 0);
	before = opts;
	ck_assert_int_eq(mount_options_parse(&opts, "defaults,auto,noauto,user,users,nouser,owner,group,_netdev,nofail,"
					     "x-systemd.automount,x-gvfs-name=a b,X-mount.mkdir,comment=hello,"
					     "default_permissions,barrier,barrier=1,lazytime,loop,nodiscard,silent,,",
					     false, err, sizeof(err)), 0);
	ck_assert(memcmp(&before, &opts, sizeof(opts)) == 0);
}
END_TEST

START_TEST(sloppy_passes_over_the_unknown_only)
{
	mount_options_init(&opts);
	ck_assert_int_eq(mount_options_parse(&opts, "frobnicate,ro,what=ever", true, err, sizeof(err)), 0);
	ck_assert(opts.is_read_only);
	ck_assert_int_eq(mount_options_parse(&opts, "data=both", true, err, sizeof(err)), -EINVAL);
	ck_assert_int_eq(mount_options_parse(&opts, "threads=0", true, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(contradictions_are_refused)
{
	static const char *const lists[] = {
		"noload", "rw,norecovery", "nodiratime", "allow_other,allow_root", "dirty=10,dirty_background=20",
	};
	static const char *const fine[] = {"noload,ro", "noatime,nodiratime", "dirty=10,dirty_background=10"};

	for (size_t i = 0; i < array_size(lists); i++) {
		ck_assert_int_eq(parse(lists[i]), 0);
		ck_assert_int_eq(mount_options_check(&opts, err, sizeof(err)), -EINVAL);
		ck_assert(err[0]);
	}
	for (size_t i = 0; i < array_size(fine); i++) {
		ck_assert_int_eq(parse(fine[i]), 0);
		ck_assert_int_eq(mount_options_check(&opts, err, sizeof(err)), 0);
	}
}
END_TEST

static const char *for_fuse(const char *list, bool is_root)
{
	static char words[256];

	ck_assert_int_eq(parse(list), 0);
	mount_options_for_fuse(&opts, is_root, words, sizeof(words));
	return words;
}

START_TEST(the_kernel_is_told_what_follows)
{
	ck_assert_str_eq(for_fuse("", true), "rw,suid,dev,allow_other");
	ck_assert_str_eq(for_fuse("", false), "rw");
	ck_assert_str_eq(for_fuse("suid,dev", false), "rw");
	ck_assert_str_eq(for_fuse("ro,nosuid,nodev,noexec", true), "ro,nosuid,nodev,noexec,allow_other");
	ck_assert_str_eq(for_fuse("nosuid,nodev,allow_other", false), "rw,nosuid,nodev,allow_other");
	ck_assert_str_eq(for_fuse("allow_root", true), "rw,suid,dev,allow_root");
	ck_assert_str_eq(for_fuse("sync,noatime", false), "rw,sync,noatime");
	ck_assert_str_eq(for_fuse("noatime,strictatime", false), "rw");
	ck_assert_str_eq(for_fuse("auto_unmount,max_read=64k", false), "rw,auto_unmount,max_read=65536");
}
END_TEST

START_TEST(what_does_not_fit_is_cut_and_never_overruns)
{
	char small[9];

	ck_assert_int_eq(parse("ro,sync,noatime"), 0);
	small[8] = '!';
	mount_options_for_fuse(&opts, true, small, 8);
	ck_assert_uint_lt(strlen(small), 8);
	ck_assert_int_eq(small[8], '!');
}
END_TEST

/* Each line of the help names an option that is taken, in the form in which it stands there. */
START_TEST(the_help_speaks_of_real_options)
{
	char *text = NULL, *rest, *line, word[64];
	unsigned nr = 0;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	mount_options_help(f);
	fclose(f);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *bar;

		if (sscanf(line, " %63s", word) != 1)
			continue;
		if ((bar = strchr(word, '|')))
			*bar = '\0';
		else if (strstr(word, "=N") || strstr(word, "=SIZE"))
			snprintf(strchr(word, '=') + 1, 16, "%s", strstr(word, "max_read") ? "8192" :
				 strstr(word, "cache") ? "8M" : "20");
		ck_assert_msg(parse(word) == 0, "%s: %s", word, err);
		nr++;
	}
	ck_assert_uint_gt(nr, 30);
	free(text);
}
END_TEST

TEST_SUITE(daemon_config)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, defaults_are_the_documented_ones);
	tcase_add_test(tc, the_later_word_counts);
	tcase_add_test(tc, values_arrive);
	tcase_add_test(tc, unknown_words_are_refused_by_name);
	tcase_add_test(tc, impossible_values_are_refused);
	tcase_add_test(tc, what_is_not_there_yet_is_refused_with_the_reason);
	tcase_add_test(tc, one_key_may_be_a_flag_and_take_a_value);
	tcase_add_test(tc, words_of_fstab_are_taken_without_effect);
	tcase_add_test(tc, sloppy_passes_over_the_unknown_only);
	tcase_add_test(tc, contradictions_are_refused);
	tcase_add_test(tc, the_kernel_is_told_what_follows);
	tcase_add_test(tc, what_does_not_fit_is_cut_and_never_overruns);
	tcase_add_test(tc, the_help_speaks_of_real_options);
}
