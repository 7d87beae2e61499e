/*
 * What must hold: the same letters mean what mount(8) wants of a helper when called as one, and
 * what our own manual says otherwise; a command that is not understood is status 1 and mounts
 * nothing; paths become absolute.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/command.h"
#include "harness/runner.h"

static char dir[] = "/tmp/extant-command-XXXXXX";
static char last_line[512];
static struct command c;
static enum mount_status status;

static void remember_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

/* A directory with a file "image" and a directory "mnt". */
static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkdir("mnt", 0700), 0);
	fclose(fopen("image", "w"));
	ck_assert_int_eq(symlink("image", "link"), 0);
	log_set_sink(remember_line, NULL);
}

static void teardown(void)
{
	log_set_sink(NULL, NULL);
	command_done(&c);
	unlink("link");
	unlink("image");
	rmdir("mnt");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}

/* words: the command line, separated by blanks. */
static bool parse(const char *words)
{
	static char copy[512];
	char *argv[32], *rest = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	while (rest && argc < 31)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;
	optind = 0;	/* getopt starts afresh */
	last_line[0] = '\0';
	return command_parse(&c, argc, argv, &status);
}

START_TEST(paths_become_absolute_and_real)
{
	char path[600];

	ck_assert(parse("extant link mnt"));
	snprintf(path, sizeof(path), "%s/image", dir);
	ck_assert_str_eq(c.image, path);
	snprintf(path, sizeof(path), "%s/mnt", dir);
	ck_assert_str_eq(c.mountpoint, path);
	ck_assert(!c.is_foreground && !c.is_debug && !c.is_fake);
}
END_TEST

START_TEST(f_is_foreground_for_us_and_fake_for_mount)
{
	ck_assert(parse("extant -f image mnt"));
	ck_assert(c.is_foreground && !c.is_fake);
	command_done(&c);
	ck_assert(parse("/sbin/mount.extant -f image mnt"));
	ck_assert(!c.is_foreground && c.is_fake);
}
END_TEST

START_TEST(d_is_foreground_and_debug)
{
	ck_assert(parse("extant -d image mnt"));
	ck_assert(c.is_foreground && c.is_debug);
}
END_TEST

START_TEST(a_helper_is_called_in_many_ways)
{
	ck_assert(parse("mount.extant image mnt -n -v -t extant -o rw,noexec,user -o ro"));
	ck_assert(c.options.is_read_only && c.options.has_no_exec);
	command_done(&c);
	ck_assert(parse("mount.extant -nv image mnt -o ro"));
	ck_assert(c.options.is_read_only);
}
END_TEST

START_TEST(sloppy_holds_wherever_it_stands)
{
	ck_assert(parse("mount.extant image mnt -o frobnicate,ro -s"));
	ck_assert(c.options.is_read_only);
	command_done(&c);
	ck_assert(parse("mount.extant image mnt -ns -o frobnicate"));
	command_done(&c);
	ck_assert(!parse("mount.extant image mnt -n -o frobnicate"));
	command_done(&c);
	/* The value of an option is not a flag. */
	ck_assert(!parse("mount.extant image mnt -t -s -o frobnicate"));
}
END_TEST

START_TEST(wrong_use_is_status_1_and_says_why)
{
	static const char *const commands[] = {
		"extant", "extant image", "extant image mnt more", "extant -o frobnicate image mnt",
		"extant -o noload image mnt",
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		ck_assert(!parse(commands[i]));
		ck_assert_int_eq(status, STATUS_USAGE);
		ck_assert_msg(last_line[0], "%s: nothing was said", commands[i]);
		command_done(&c);
	}
	ck_assert(parse("extant image mnt"));
}
END_TEST

START_TEST(missing_paths_are_named)
{
	ck_assert(!parse("extant nothing mnt"));
	ck_assert_int_eq(status, STATUS_FAILED);
	ck_assert_msg(strstr(last_line, "nothing"), "%s", last_line);
	command_done(&c);
	ck_assert(!parse("extant image nowhere"));
	ck_assert_int_eq(status, STATUS_FAILED);
	ck_assert_msg(strstr(last_line, "nowhere"), "%s", last_line);
	command_done(&c);
	ck_assert(!parse("extant image image"));
	ck_assert_msg(strstr(last_line, "not a directory"), "%s", last_line);
}
END_TEST

TEST_SUITE(daemon_command)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, paths_become_absolute_and_real);
	tcase_add_test(tc, f_is_foreground_for_us_and_fake_for_mount);
	tcase_add_test(tc, d_is_foreground_and_debug);
	tcase_add_test(tc, a_helper_is_called_in_many_ways);
	tcase_add_test(tc, sloppy_holds_wherever_it_stands);
	tcase_add_test(tc, wrong_use_is_status_1_and_says_why);
	tcase_add_test(tc, missing_paths_are_named);
}
