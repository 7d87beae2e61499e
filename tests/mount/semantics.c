/*
 * mount/semantics.c - what system calls do on a mounted ext2 or ext3, as a program sees it.
 *
 * What must hold stands in each test's name. They run in a fresh directory below $DIR, against any
 * driver: Linux's own must pass them too, which is how we know that a test asks for the right
 * thing. They try to break the mount at its limits (names, links, sizes, symlinks), with files that
 * are open while their names go, and where a cache can hide a mistake (truncate, mmap, times).
 *
 *	DIR=/mnt semantics [-s SUITE]
 */
#include "harness/runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"

#define USER_ID 1000	/* somebody who is not root */
#define OTHER_ID 1001
#define DIR_FILES 3000	/* more than one getdents can hold */
#define PAGE 4096
#define MIB (1 << 20)

/* A call that must succeed, and one that must fail in one way. */
#define ok(call) ck_assert_msg((call) >= 0, "%s: %s", #call, strerror(errno))
#define fails(call, err)                                                                     \
	do {                                                                                 \
		errno = 0;                                                                   \
		ck_assert_msg((call) < 0, "%s succeeded", #call);                            \
		ck_assert_msg(errno == (err), "%s: %s, not %s", #call, strerror(errno), #err); \
	} while (0)

/* ---- helpers ---- */

/* Each test is a process, and works in a directory of its own that everybody may use. */
static void enter(void)
{
	const char *top = getenv("DIR");
	char name[64];

	ck_assert_msg(top != NULL, "DIR is not set");
	ok(chdir(top));
	umask(0);
	snprintf(name, sizeof(name), "test.%d", getpid());
	ok(mkdir(name, 0777));
	ok(chdir(name));
	umask(022);
}

static void leave(void)
{
	char command[PATH_MAX + 32], path[PATH_MAX];

	ok(getcwd(path, sizeof(path)) ? 0 : -1);
	ok(chdir(".."));
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	ck_assert_int_eq(system(command), 0);
}

static void need_root(void)
{
	if (geteuid() != 0)
		test_skip("needs root");
}

static int create(const char *name, mode_t mode)
{
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR, mode);

	ck_assert_msg(fd >= 0, "create %s: %s", name, strerror(errno));
	ok(fchmod(fd, mode));
	return fd;
}

static void touch(const char *name)
{
	ok(close(create(name, 0644)));
}

static void create_with(const char *name, const void *bytes, size_t len)
{
	int fd = create(name, 0644);

	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	ok(close(fd));
}

static bool has(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_msg(lstat(name, &st) == 0, "stat %s: %s", name, strerror(errno));
	return st;
}

static void check_content(const char *name, const void *bytes, size_t len)
{
	char *found = malloc(len + 1);
	int fd = open(name, O_RDONLY);

	ok(fd);
	ck_assert_int_eq(read(fd, found, len + 1), (ssize_t)len);
	ck_assert_msg(memcmp(found, bytes, len) == 0, "%s has other content", name);
	free(found);
	ok(close(fd));
}

static bool all_zero(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static int compare_times(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec < b.tv_sec ? -1 : 1;
	return a.tv_nsec < b.tv_nsec ? -1 : a.tv_nsec > b.tv_nsec;
}

/* Longer than the coarse clock with which file systems stamp. */
static void let_time_pass(void)
{
	usleep(30000);
}

/* What `body` says as another user: its result becomes the child's status. */
static int as_user(uid_t uid, int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(uid) || setuid(uid))
			_exit(99);
		_exit(body());
	}
	ok(waitpid(pid, &status, 0));
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static unsigned block_size(void)
{
	struct statvfs fs;

	ok(statvfs(".", &fs));
	return (unsigned)fs.f_bsize;
}

/* The kernel tells a FUSE daemon late of what it forgot: wait until what went before is freed. */
static void settle(struct statvfs *ret)
{
	struct statvfs last;

	ok(statvfs(".", ret));
	do {
		last = *ret;
		usleep(200000);
		ok(statvfs(".", ret));
	} while (last.f_bfree != ret->f_bfree || last.f_ffree != ret->f_ffree);
}

/* ---- names ---- */

static char name255[256], name256[257];

static void make_long_names(void)
{
	memset(name255, 'n', 255);
	memset(name256, 'n', 256);
}

START_TEST(names_of_255_bytes_work_everywhere)
{
	char other[256];

	enter();
	make_long_names();
	memcpy(other, name255, 256);
	other[0] = 'm';
	touch(name255);
	ok(rename(name255, other));
	ok(link(other, name255));
	ok(unlink(name255));
	ok(symlink(other, name255));
	check_content(name255, "", 0);
	ok(unlink(name255));
	ok(mkdir(name255, 0755));
	ok(rmdir(name255));
	ok(mkfifo(name255, 0644));
	leave();
}
END_TEST

START_TEST(names_of_256_bytes_are_too_long_for_every_call)
{
	enter();
	make_long_names();
	touch("f");
	fails(open(name256, O_RDONLY), ENAMETOOLONG);
	fails(open(name256, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	fails(access(name256, F_OK), ENAMETOOLONG);
	fails(mkdir(name256, 0755), ENAMETOOLONG);
	fails(rmdir(name256), ENAMETOOLONG);
	fails(unlink(name256), ENAMETOOLONG);
	fails(symlink("f", name256), ENAMETOOLONG);
	fails(link("f", name256), ENAMETOOLONG);
	fails(rename("f", name256), ENAMETOOLONG);
	fails(rename(name256, "f"), ENAMETOOLONG);
	fails(mkfifo(name256, 0644), ENAMETOOLONG);
	leave();
}
END_TEST

START_TEST(names_may_hold_any_byte_but_slash_and_nul)
{
	char name[2] = "";

	enter();
	for (int c = 1; c < 256; c++) {
		if (c == '/' || c == '.')
			continue;
		name[0] = (char)c;
		touch(name);
	}
	for (int c = 1; c < 256; c++) {
		if (c == '/' || c == '.')
			continue;
		name[0] = (char)c;
		ck_assert_msg(has(name), "byte %d", c);
		ok(unlink(name));
	}
	leave();
}
END_TEST

START_TEST(missing_and_wrong_kinds_have_their_errors)
{
	enter();
	touch("f");
	ok(mkdir("d", 0755));
	touch("d/inside");
	ok(symlink("loop", "loop"));
	fails(open("no", O_RDONLY), ENOENT);
	fails(open("f/x", O_RDONLY), ENOTDIR);
	fails(open("d", O_WRONLY), EISDIR);
	fails(open("d", O_CREAT | O_RDWR, 0644), EISDIR);
	fails(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	fails(open("loop", O_RDONLY), ELOOP);
	fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	fails(mkdir("d", 0755), EEXIST);
	fails(mkdir("f", 0755), EEXIST);
	fails(symlink("x", "f"), EEXIST);
	fails(link("f", "d"), EEXIST);
	fails(link("d", "hard"), EPERM);
	fails(link("no", "hard"), ENOENT);
	fails(rmdir("d"), ENOTEMPTY);
	fails(rmdir("f"), ENOTDIR);
	fails(rmdir("no"), ENOENT);
	fails(rmdir("d/."), EINVAL);
	fails(rmdir("d/.."), ENOTEMPTY);
	fails(unlink("d"), EISDIR);
	fails(unlink("no"), ENOENT);
	fails(readlink("f", name255, sizeof(name255)), EINVAL);
	leave();
}
END_TEST

/* ---- directories ---- */

/* Everything that readdir gives, sorted away: how often each of DIR_FILES was seen. */
struct seen {
	unsigned times[DIR_FILES];
	unsigned others, dots;
};

static void note(struct seen *seen, const char *name)
{
	unsigned i;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		seen->dots++;
	else if (sscanf(name, "file-%u", &i) == 1 && i < DIR_FILES)
		seen->times[i]++;
	else
		seen->others++;
}

static const char *file_name(unsigned i)
{
	static char name[32];

	snprintf(name, sizeof(name), "file-%u", i);
	return name;
}

static void fill_dir(const char *dir)
{
	ok(mkdir(dir, 0755));
	ok(chdir(dir));
	for (unsigned i = 0; i < DIR_FILES; i++)
		touch(file_name(i));
	ok(chdir(".."));
}

START_TEST(readdir_gives_every_name_once_with_number_and_type)
{
	struct seen seen = {0};
	struct dirent *de;
	DIR *dir;

	enter();
	fill_dir("d");
	dir = opendir("d");
	ck_assert(dir != NULL);
	while ((de = readdir(dir))) {
		struct stat st;

		note(&seen, de->d_name);
		ok(fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW));
		if (strcmp(de->d_name, "..") != 0)
			ck_assert_uint_eq(de->d_ino, st.st_ino);
		if (de->d_type != DT_UNKNOWN)
			ck_assert_uint_eq(de->d_type, IFTODT(st.st_mode));
	}
	ck_assert_uint_eq(seen.dots, 2);
	for (unsigned i = 0; i < DIR_FILES; i++)
		ck_assert_msg(seen.times[i] == 1, "%s seen %u times", file_name(i), seen.times[i]);
	closedir(dir);
	leave();
}
END_TEST

START_TEST(readdir_stays_in_place_while_names_behind_it_go)
{
	struct seen seen = {0};
	struct dirent *de;
	unsigned nr = 0;
	DIR *dir;

	enter();
	fill_dir("d");
	dir = opendir("d");
	ck_assert(dir != NULL);
	while ((de = readdir(dir))) {
		note(&seen, de->d_name);
		if (de->d_name[0] == 'f' && nr++ % 3)
			ok(unlinkat(dirfd(dir), de->d_name, 0));
	}
	for (unsigned i = 0; i < DIR_FILES; i++)
		ck_assert_msg(seen.times[i] == 1, "%s seen %u times", file_name(i), seen.times[i]);
	closedir(dir);
	leave();
}
END_TEST

/* A linear directory may show what was added, so the adding ends at some time. */
START_TEST(readdir_ends_while_names_are_added)
{
	struct seen seen = {0};
	struct dirent *de;
	unsigned nr = 0;
	char name[32];
	DIR *dir;
	int fd;

	enter();
	fill_dir("d");
	dir = opendir("d");
	ck_assert(dir != NULL);
	while ((de = readdir(dir))) {
		note(&seen, de->d_name);
		if (nr == DIR_FILES)
			continue;
		snprintf(name, sizeof(name), "added-%u", nr++);
		fd = openat(dirfd(dir), name, O_CREAT | O_WRONLY, 0644);
		ok(fd);
		ok(close(fd));
	}
	for (unsigned i = 0; i < DIR_FILES; i++)
		ck_assert_msg(seen.times[i] == 1, "%s seen %u times", file_name(i), seen.times[i]);
	closedir(dir);
	leave();
}
END_TEST

START_TEST(seekdir_returns_to_where_telldir_was)
{
	char names[50][NAME_MAX + 1];
	struct dirent *de;
	long place[50];
	DIR *dir;

	enter();
	fill_dir("d");
	dir = opendir("d");
	ck_assert(dir != NULL);
	for (int i = 0; i < 500; i++)
		ck_assert(readdir(dir) != NULL);
	for (int i = 0; i < 50; i++) {
		place[i] = telldir(dir);
		de = readdir(dir);
		ck_assert(de != NULL);
		snprintf(names[i], sizeof(names[i]), "%s", de->d_name);
	}
	for (int i = 49; i >= 0; i -= 7) {
		seekdir(dir, place[i]);
		de = readdir(dir);
		ck_assert(de != NULL);
		ck_assert_str_eq(de->d_name, names[i]);
	}
	rewinddir(dir);
	de = readdir(dir);
	ck_assert(de != NULL);
	closedir(dir);
	leave();
}
END_TEST

START_TEST(link_counts_of_directories_count_their_children)
{
	enter();
	ok(mkdir("d", 0755));
	ck_assert_uint_eq(stat_of("d").st_nlink, 2);
	ok(mkdir("d/a", 0755));
	ok(mkdir("d/b", 0755));
	touch("d/file");
	ck_assert_uint_eq(stat_of("d").st_nlink, 4);
	ok(rmdir("d/a"));
	ck_assert_uint_eq(stat_of("d").st_nlink, 3);
	leave();
}
END_TEST

START_TEST(a_removed_open_directory_stays_usable)
{
	struct dirent *de;
	struct stat st;
	DIR *dir;

	enter();
	ok(mkdir("d", 0755));
	dir = opendir("d");
	ck_assert(dir != NULL);
	ok(rmdir("d"));
	ok(fstat(dirfd(dir), &st));
	ck_assert_uint_eq(st.st_nlink, 0);
	while ((de = readdir(dir)))
		ck_assert_int_eq(de->d_name[0], '.');
	fails(openat(dirfd(dir), "new", O_CREAT | O_RDWR, 0644), ENOENT);
	fails(mkdirat(dirfd(dir), "new", 0755), ENOENT);
	closedir(dir);
	leave();
}
END_TEST

/* ---- rename ---- */

START_TEST(rename_replaces_a_file_and_leaves_the_old_one_to_who_has_it_open)
{
	char bytes[8];
	int fd;

	enter();
	create_with("old", "old", 3);
	create_with("new", "new!", 4);
	fd = open("old", O_RDONLY);
	ok(fd);
	ok(rename("new", "old"));
	check_content("old", "new!", 4);
	ck_assert(!has("new"));
	ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), 3);
	ck_assert_int_eq(memcmp(bytes, "old", 3), 0);
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(rename_refuses_what_cannot_replace)
{
	enter();
	touch("f");
	ok(mkdir("d", 0755));
	ok(mkdir("d/sub", 0755));
	ok(mkdir("empty", 0755));
	fails(rename("f", "d"), EISDIR);
	fails(rename("d", "f"), ENOTDIR);
	fails(rename("empty", "d"), ENOTEMPTY);
	fails(rename("d", "d/sub/inside"), EINVAL);
	fails(rename("d", "d/sub"), EINVAL);
	fails(rename("no", "f"), ENOENT);
	fails(rename("d/.", "x"), EBUSY);
	ok(rename("d/sub", "empty"));
	leave();
}
END_TEST

START_TEST(rename_of_one_inode_onto_itself_does_nothing)
{
	enter();
	touch("a");
	ok(link("a", "b"));
	ok(rename("a", "b"));
	ck_assert(has("a") && has("b"));
	ok(rename("a", "a"));
	ck_assert_uint_eq(stat_of("a").st_nlink, 2);
	leave();
}
END_TEST

START_TEST(a_directory_that_moves_takes_its_dotdot_along)
{
	enter();
	ok(mkdir("from", 0755));
	ok(mkdir("to", 0755));
	ok(mkdir("from/d", 0755));
	ok(rename("from/d", "to/e"));
	ck_assert_uint_eq(stat_of("from").st_nlink, 2);
	ck_assert_uint_eq(stat_of("to").st_nlink, 3);
	ck_assert_uint_eq(stat_of("to/e/..").st_ino, stat_of("to").st_ino);
	ok(mkdir("from/empty", 0755));
	ok(rename("to/e", "from/empty"));
	ck_assert_uint_eq(stat_of("to").st_nlink, 2);
	ck_assert_uint_eq(stat_of("from").st_nlink, 3);
	ck_assert_uint_eq(stat_of("from/empty/..").st_ino, stat_of("from").st_ino);
	leave();
}
END_TEST

START_TEST(rename_noreplace_never_replaces)
{
	enter();
	create_with("a", "a", 1);
	create_with("b", "b", 1);
	fails(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
	check_content("b", "b", 1);
	ok(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	check_content("c", "a", 1);
	ck_assert(!has("a"));
	fails(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE), ENOENT);
	leave();
}
END_TEST

START_TEST(rename_exchange_swaps_even_a_file_and_a_directory)
{
	enter();
	ok(mkdir("one", 0755));
	ok(mkdir("two", 0755));
	ok(mkdir("one/d", 0755));
	touch("one/d/inside");
	create_with("two/f", "file", 4);
	ok(renameat2(AT_FDCWD, "one/d", AT_FDCWD, "two/f", RENAME_EXCHANGE));
	check_content("one/d", "file", 4);
	ck_assert(has("two/f/inside"));
	ck_assert_uint_eq(stat_of("one").st_nlink, 2);
	ck_assert_uint_eq(stat_of("two").st_nlink, 3);
	ck_assert_uint_eq(stat_of("two/f/..").st_ino, stat_of("two").st_ino);
	fails(renameat2(AT_FDCWD, "one/d", AT_FDCWD, "no", RENAME_EXCHANGE), ENOENT);
	fails(renameat2(AT_FDCWD, "one/d", AT_FDCWD, "two", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	fails(renameat2(AT_FDCWD, "two", AT_FDCWD, "two/f", RENAME_EXCHANGE), EINVAL);
	leave();
}
END_TEST

/* ---- open files without a name ---- */

START_TEST(an_unlinked_open_file_stays_usable)
{
	static char bytes[3 * MIB], found[3 * MIB];
	struct stat st;
	struct dirent *de;
	DIR *dir;
	int fd;

	enter();
	memset(bytes, 'u', sizeof(bytes));
	fd = create("f", 0644);
	ck_assert_int_eq(write(fd, bytes, MIB), MIB);
	ok(unlink("f"));
	ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), MIB / 2), sizeof(bytes));
	ok(fsync(fd));
	ok(fchmod(fd, 0600));
	ok(fstat(fd, &st));
	ck_assert_uint_eq(st.st_nlink, 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, MIB / 2 + (off_t)sizeof(bytes));
	ck_assert_int_eq(pread(fd, found, MIB, 0), MIB);
	ck_assert_int_eq(memcmp(bytes, found, MIB), 0);
	ok(ftruncate(fd, 100));
	ck_assert_int_eq(pread(fd, found, sizeof(found), 0), 100);
	dir = opendir(".");
	ck_assert(dir != NULL);
	while ((de = readdir(dir)))
		ck_assert_msg(strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0,
			      "left behind: %s", de->d_name);
	closedir(dir);
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(the_space_of_an_unlinked_file_comes_back_when_it_is_closed)
{
	static char bytes[8 * MIB];
	struct statvfs before, during, after;
	int fd;

	enter();
	memset(bytes, 1, sizeof(bytes));
	touch("warm"); /* the directory's own block */
	settle(&before);
	fd = create("f", 0644);
	ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	ok(fsync(fd));
	ok(unlink("f"));
	ok(statvfs(".", &during));
	ck_assert_uint_ge(before.f_bfree - during.f_bfree, sizeof(bytes) / before.f_bsize);
	ok(close(fd));
	/* The kernel tells a FUSE daemon of the last close a moment later. */
	for (int i = 0; i < 100; i++) {
		ok(statvfs(".", &after));
		if (after.f_bfree == before.f_bfree && after.f_ffree == before.f_ffree)
			break;
		usleep(50000);
	}
	ck_assert_uint_eq(after.f_bfree, before.f_bfree);
	ck_assert_uint_eq(after.f_ffree, before.f_ffree);
	leave();
}
END_TEST

/* ---- owners and modes ---- */

static int user_creates(void)
{
	umask(0);
	if (mkdir("g/d", 0755) || mknod("g/f", S_IFREG | 0644, 0))
		return 1;
	return symlink("x", "g/l") ? 2 : 0;
}

START_TEST(a_setgid_directory_hands_down_its_group)
{
	enter();
	need_root();
	ok(mkdir("g", 0777));
	ok(chown("g", 0, 4321));
	ok(chmod("g", 02777));
	ck_assert_int_eq(as_user(USER_ID, user_creates), 0);
	ck_assert_uint_eq(stat_of("g/f").st_gid, 4321);
	ck_assert_uint_eq(stat_of("g/f").st_uid, USER_ID);
	ck_assert_uint_eq(stat_of("g/l").st_gid, 4321);
	ck_assert_uint_eq(stat_of("g/d").st_gid, 4321);
	ck_assert_int_eq(stat_of("g/d").st_mode & 07777, 02755);
	ck_assert_int_eq(stat_of("g/f").st_mode & 07777, 0644);
	leave();
}
END_TEST

static int user_appends(void)
{
	int fd = open("f", O_WRONLY | O_APPEND);

	return fd < 0 || write(fd, "x", 1) != 1 || close(fd);
}

static int user_truncates(void)
{
	return truncate("f", 1) ? 1 : 0;
}

static int user_truncates_open(void)
{
	int fd = open("f", O_WRONLY | O_TRUNC);

	return fd < 0 || close(fd);
}

/* The mode of a file of that group after `body` did something to it as another user. */
static mode_t mode_after_of(gid_t group, mode_t mode, int (*body)(void))
{
	mode_t found;

	create_with("f", "content", 7);
	ok(chown("f", 0, group));
	ok(chmod("f", mode));
	ck_assert_int_eq(as_user(USER_ID, body), 0);
	found = stat_of("f").st_mode & 07777;
	ok(unlink("f"));
	return found;
}

static mode_t mode_after(mode_t mode, int (*body)(void))
{
	return mode_after_of(0, mode, body);
}

START_TEST(a_users_write_takes_setuid_and_setgid_away)
{
	enter();
	need_root();
	ck_assert_int_eq(mode_after(06777, user_appends), 0777);
	ck_assert_int_eq(mode_after(04766, user_appends), 0766);
	/* Without group-execute the bit means mandatory locking: members of the group keep it. */
	ck_assert_int_eq(mode_after_of(USER_ID, 02766, user_appends), 02766);
	leave();
}
END_TEST

START_TEST(a_users_truncate_takes_setuid_and_setgid_away)
{
	enter();
	need_root();
	ck_assert_int_eq(mode_after(06777, user_truncates), 0777);
	ck_assert_int_eq(mode_after(06777, user_truncates_open), 0777);
	leave();
}
END_TEST

static int user_chowns(void)
{
	return chown("f", (uid_t)-1, USER_ID) ? 1 : 0;
}

START_TEST(chown_takes_setuid_and_setgid_away)
{
	enter();
	need_root();
	touch("f");
	ok(chown("f", USER_ID, USER_ID));
	ok(chmod("f", 06755));
	ck_assert_int_eq(as_user(USER_ID, user_chowns), 0);
	ck_assert_int_eq(stat_of("f").st_mode & 07777, 0755);
	ok(chmod("f", 06755));
	ok(chown("f", OTHER_ID, OTHER_ID));
	ck_assert_int_eq(stat_of("f").st_mode & 07777, 0755);
	ok(mkdir("d", 0755));
	ok(chmod("d", 06755));
	ok(chown("d", OTHER_ID, OTHER_ID));
	ck_assert_int_eq(stat_of("d").st_mode & 07777, 06755);
	leave();
}
END_TEST

static int user_chmods_setgid(void)
{
	return chmod("f", 02755) ? 1 : 0;
}

START_TEST(chmod_by_somebody_outside_the_group_loses_setgid)
{
	enter();
	need_root();
	touch("f");
	ok(chown("f", USER_ID, 4321));
	ck_assert_int_eq(as_user(USER_ID, user_chmods_setgid), 0);
	ck_assert_int_eq(stat_of("f").st_mode & 07777, 0755);
	leave();
}
END_TEST

START_TEST(owners_have_32_bits)
{
	enter();
	need_root();
	touch("f");
	ok(chown("f", 0x12345678, 0xfedcba98));
	ck_assert_uint_eq(stat_of("f").st_uid, 0x12345678);
	ck_assert_uint_eq(stat_of("f").st_gid, 0xfedcba98);
	ok(symlink("f", "l"));
	ok(lchown("l", 70000, 80000));
	ck_assert_uint_eq(stat_of("l").st_uid, 70000);
	ck_assert_uint_eq(stat_of("f").st_uid, 0x12345678);
	leave();
}
END_TEST

static int user_is_kept_out(void)
{
	if (open("none", O_RDONLY) >= 0 || errno != EACCES)
		return 1;
	if (unlink("sticky/f") == 0 || errno != EPERM)
		return 2;
	if (rename("sticky/f", "sticky/g") == 0 || errno != EPERM)
		return 3;
	if (mkdir("private/d", 0755) == 0 || errno != EACCES)
		return 4;
	if (chmod("sticky/f", 0777) == 0 || errno != EPERM)
		return 5;
	if (chown("sticky/f", USER_ID, USER_ID) == 0 || errno != EPERM)
		return 6;
	return 0;
}

START_TEST(permissions_and_sticky_directories_hold)
{
	enter();
	need_root();
	ok(close(create("none", 0600)));
	ok(mkdir("private", 0755));
	ok(mkdir("sticky", 0777));
	ok(chmod("sticky", 01777));
	ok(close(create("sticky/f", 0666)));
	ck_assert_int_eq(as_user(USER_ID, user_is_kept_out), 0);
	leave();
}
END_TEST

static int user_writes_what_it_may_not_open(void)
{
	int fd = open("mine", O_CREAT | O_EXCL | O_WRONLY, 0);

	if (fd < 0)
		return 1;
	if (write(fd, "content", 7) != 7 || fsync(fd) || close(fd))
		return 2;
	return open("mine", O_RDONLY) < 0 && errno == EACCES ? 0 : 3;
}

START_TEST(a_file_of_mode_0_works_for_who_created_it)
{
	enter();
	need_root();
	ck_assert_int_eq(as_user(USER_ID, user_writes_what_it_may_not_open), 0);
	check_content("mine", "content", 7);
	leave();
}
END_TEST

static int user_executes(void)
{
	int status;
	pid_t pid;

	if (open("program", O_RDONLY) >= 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		execl("./program", "program", NULL);
		_exit(98);
	}
	return waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

START_TEST(a_program_of_mode_0111_runs_without_being_readable)
{
	enter();
	need_root();
	ck_assert_int_eq(system("cp /bin/true program && chmod 0111 program"), 0);
	ck_assert_int_eq(as_user(USER_ID, user_executes), 0);
	leave();
}
END_TEST

/* ---- times ---- */

START_TEST(each_change_moves_the_times_it_should)
{
	struct stat before, after;
	char byte;
	int fd;

	enter();
	fd = create("f", 0644);
	before = stat_of("f");
	let_time_pass();
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ok(fsync(fd));
	after = stat_of("f");
	ck_assert_int_gt(compare_times(after.st_mtim, before.st_mtim), 0);
	ck_assert_int_gt(compare_times(after.st_ctim, before.st_ctim), 0);

	before = after;
	let_time_pass();
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	after = stat_of("f");
	ck_assert_int_eq(compare_times(after.st_mtim, before.st_mtim), 0);
	ck_assert_int_eq(compare_times(after.st_ctim, before.st_ctim), 0);

	let_time_pass();
	ok(chmod("f", 0600));
	after = stat_of("f");
	ck_assert_int_eq(compare_times(after.st_mtim, before.st_mtim), 0);
	ck_assert_int_gt(compare_times(after.st_ctim, before.st_ctim), 0);

	before = after;
	let_time_pass();
	ok(link("f", "g"));
	after = stat_of("f");
	ck_assert_int_gt(compare_times(after.st_ctim, before.st_ctim), 0);

	before = after;
	let_time_pass();
	ok(rename("g", "h"));
	after = stat_of("f");
	ck_assert_int_gt(compare_times(after.st_ctim, before.st_ctim), 0);

	before = after;
	let_time_pass();
	ok(ftruncate(fd, 100));
	after = stat_of("f");
	ck_assert_int_gt(compare_times(after.st_mtim, before.st_mtim), 0);
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(names_that_come_and_go_move_the_directorys_times)
{
	struct stat before, after;

	enter();
	ok(mkdir("d", 0755));
	for (int step = 0; step < 5; step++) {
		before = stat_of("d");
		let_time_pass();
		switch (step) {
		case 0: touch("d/f"); break;
		case 1: ok(rename("d/f", "d/g")); break;
		case 2: ok(mkdir("d/sub", 0755)); break;
		case 3: ok(rmdir("d/sub")); break;
		case 4: ok(unlink("d/g")); break;
		}
		after = stat_of("d");
		ck_assert_msg(compare_times(after.st_mtim, before.st_mtim) > 0, "mtime at step %d", step);
		ck_assert_msg(compare_times(after.st_ctim, before.st_ctim) > 0, "ctime at step %d", step);
	}
	leave();
}
END_TEST

START_TEST(utimens_sets_omits_and_takes_now)
{
	struct timespec times[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
	struct stat st, before;

	enter();
	touch("f");
	ok(utimensat(AT_FDCWD, "f", times, 0));
	st = stat_of("f");
	ck_assert_int_eq(compare_times(st.st_atim, times[0]), 0);
	ck_assert_int_eq(compare_times(st.st_mtim, times[1]), 0);

	times[0] = (struct timespec){0, UTIME_OMIT};
	times[1] = (struct timespec){1600000000, 1};
	ok(utimensat(AT_FDCWD, "f", times, 0));
	st = stat_of("f");
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	ck_assert_int_eq(compare_times(st.st_mtim, times[1]), 0);

	before = st;
	times[0] = (struct timespec){0, UTIME_NOW};
	times[1] = (struct timespec){0, UTIME_OMIT};
	ok(utimensat(AT_FDCWD, "f", times, 0));
	st = stat_of("f");
	ck_assert_int_gt(compare_times(st.st_atim, before.st_atim), 0);
	ck_assert_int_eq(compare_times(st.st_mtim, before.st_mtim), 0);

	before = st;
	let_time_pass();
	times[0] = times[1] = (struct timespec){0, UTIME_OMIT};
	ok(utimensat(AT_FDCWD, "f", times, 0));
	st = stat_of("f");
	ck_assert_int_eq(compare_times(st.st_ctim, before.st_ctim), 0);
	leave();
}
END_TEST

START_TEST(times_before_1970_and_after_2038_are_kept)
{
	static const time_t seconds[] = {-2147483647ll, -1, 0, 2147483647ll, 2147483648ll, 4294967296ll,
					 15032385534ll};
	struct timespec times[2];
	struct stat st;

	enter();
	touch("f");
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		times[0] = times[1] = (struct timespec){seconds[i], 999999999};
		ok(utimensat(AT_FDCWD, "f", times, 0));
		st = stat_of("f");
		ck_assert_int_eq(st.st_mtim.tv_sec, seconds[i]);
		ck_assert_int_eq(st.st_mtim.tv_nsec, 999999999);
		ck_assert_int_eq(st.st_atim.tv_sec, seconds[i]);
	}
	leave();
}
END_TEST

static int user_touches_foreign(void)
{
	struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	struct timespec then[2] = {{5, 5}, {5, 5}};

	if (utimensat(AT_FDCWD, "open", now, 0))
		return 1;
	if (utimensat(AT_FDCWD, "open", then, 0) == 0 || errno != EPERM)
		return 2;
	if (utimensat(AT_FDCWD, "shut", now, 0) == 0 || errno != EACCES)
		return 3;
	return 0;
}

START_TEST(who_may_write_may_set_the_times_to_now_only)
{
	enter();
	need_root();
	ok(close(create("open", 0666)));
	ok(close(create("shut", 0644)));
	ck_assert_int_eq(as_user(USER_ID, user_touches_foreign), 0);
	leave();
}
END_TEST

/* ---- data ---- */

START_TEST(holes_read_as_zeros_and_are_found)
{
	static char bytes[64 * 1024];
	off_t at = 1 << 20;
	int fd;

	enter();
	memset(bytes, 'd', sizeof(bytes));
	fd = create("f", 0644);
	ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), at), sizeof(bytes));
	ok(ftruncate(fd, 4 * at));
	ok(fsync(fd));
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), at);
	ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 0);
	ck_assert_int_eq(lseek(fd, at, SEEK_HOLE), at + (off_t)sizeof(bytes));
	ck_assert_int_eq(lseek(fd, at + 100, SEEK_DATA), at + 100);
	fails(lseek(fd, 2 * at, SEEK_DATA), ENXIO);
	ck_assert_int_eq(lseek(fd, 2 * at, SEEK_HOLE), 2 * at);
	fails(lseek(fd, 4 * at, SEEK_HOLE), ENXIO);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 2 * at), sizeof(bytes));
	ck_assert(all_zero(bytes, sizeof(bytes)));
	ok(close(fd));
	leave();
}
END_TEST

/* Under FUSE's write-back cache the kernel learns of blocks within a second; a close tells it at once. */
static blkcnt_t blocks_soon(int fd, bool some)
{
	struct stat st;

	for (int i = 0; i < 40; i++) {
		ok(fstat(fd, &st));
		if ((st.st_blocks != 0) == some)
			break;
		usleep(50000);
	}
	return st.st_blocks;
}

START_TEST(blocks_count_what_is_allocated)
{
	static char bytes[256 * 1024];
	blkcnt_t blocks;
	int fd;

	enter();
	memset(bytes, 'd', sizeof(bytes));
	fd = create("f", 0644);
	ok(ftruncate(fd, 1 << 30));
	ok(fsync(fd));
	blocks = blocks_soon(fd, false);
	ck_assert_int_eq(blocks, 0);
	ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), 512 << 20), sizeof(bytes));
	ok(fsync(fd));
	blocks = blocks_soon(fd, true);
	ck_assert_int_ge(blocks * 512, (blkcnt_t)sizeof(bytes));
	ck_assert_int_le(blocks * 512, (blkcnt_t)sizeof(bytes) + 8 * PAGE);
	ok(ftruncate(fd, 0));
	ok(fsync(fd));
	blocks = blocks_soon(fd, false);
	ck_assert_int_eq(blocks, 0);
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(what_truncate_cut_off_comes_back_as_zeros)
{
	static char bytes[3 * PAGE], found[3 * PAGE];
	static const off_t cuts[] = {0, 1, 511, 1023, 1024, 4095, 4096, 5000, 8191};
	int fd;

	enter();
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		for (int synced = 0; synced < 2; synced++) {
			fd = create("f", 0644);
			ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
			if (synced)
				ok(fsync(fd));
			ok(ftruncate(fd, cuts[i]));
			ok(ftruncate(fd, sizeof(bytes)));
			ck_assert_int_eq(pread(fd, found, sizeof(found), 0), sizeof(found));
			ck_assert_int_eq(memcmp(found, bytes, (size_t)cuts[i]), 0);
			ck_assert_msg(all_zero(found + cuts[i], sizeof(found) - (size_t)cuts[i]),
				      "cut at %lld, %s", (long long)cuts[i], synced ? "synced" : "cached");
			ok(close(fd));
			ok(unlink("f"));
		}
	}
	leave();
}
END_TEST

START_TEST(truncate_cuts_what_was_mapped_beyond_the_end)
{
	char *map, found[PAGE];
	int fd;

	enter();
	fd = create("f", 0644);
	ok(ftruncate(fd, 100));
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(map != MAP_FAILED);
	memset(map, 'm', PAGE);
	ok(msync(map, PAGE, MS_SYNC));
	ok(ftruncate(fd, PAGE));
	ck_assert_int_eq(pread(fd, found, PAGE, 0), PAGE);
	ck_assert(found[0] == 'm' && found[99] == 'm');
	ck_assert_msg(all_zero(found + 100, PAGE - 100), "bytes past the old end came to light");
	ok(munmap(map, PAGE));
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(mapped_and_ordinary_access_agree)
{
	size_t len = 64 * PAGE;
	char *map, byte;
	int fd;

	enter();
	fd = create("f", 0644);
	ok(ftruncate(fd, (off_t)len));
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(map != MAP_FAILED);
	for (size_t at = 7; at < len; at += PAGE + 13) {
		ck_assert_int_eq(pwrite(fd, "w", 1, (off_t)at), 1);
		ck_assert_int_eq(map[at], 'w');
		map[at] = 'm';
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
		ck_assert_int_eq(byte, 'm');
	}
	ok(munmap(map, len));
	ok(fsync(fd));
	for (size_t at = 7; at < len; at += PAGE + 13) {
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
		ck_assert_int_eq(byte, 'm');
	}
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(direct_and_buffered_access_agree)
{
	char *bytes;
	int fd, direct;

	enter();
	ck_assert_int_eq(posix_memalign((void **)&bytes, PAGE, 4 * PAGE), 0);
	fd = create("f", 0644);
	direct = open("f", O_RDWR | O_DIRECT);
	if (direct < 0 && errno == EINVAL)
		test_skip("no O_DIRECT here");
	ok(direct);
	memset(bytes, 'b', 4 * PAGE);
	ck_assert_int_eq(write(fd, bytes, 4 * PAGE), 4 * PAGE);
	memset(bytes, 0, 4 * PAGE);
	ck_assert_int_eq(pread(direct, bytes, 4 * PAGE, 0), 4 * PAGE);
	ck_assert(bytes[0] == 'b' && bytes[4 * PAGE - 1] == 'b');
	memset(bytes, 'd', PAGE);
	ck_assert_int_eq(pwrite(direct, bytes, PAGE, PAGE), PAGE);
	ck_assert_int_eq(pread(fd, bytes, 4 * PAGE, 0), 4 * PAGE);
	ck_assert(bytes[PAGE - 1] == 'b' && bytes[PAGE] == 'd' && bytes[2 * PAGE] == 'b');
	free(bytes);
	ok(close(direct));
	ok(close(fd));
	leave();
}
END_TEST

START_TEST(append_writes_at_the_end_whoever_else_writes)
{
	struct stat st;
	int a, b;

	enter();
	touch("f");
	a = open("f", O_WRONLY | O_APPEND);
	b = open("f", O_WRONLY | O_APPEND);
	ok(a);
	ok(b);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(write(a, "aaa", 3), 3);
		ck_assert_int_eq(write(b, "bbbbb", 5), 5);
	}
	ok(fstat(a, &st));
	ck_assert_int_eq(st.st_size, 8000);
	ok(close(a));
	ok(close(b));
	leave();
}
END_TEST

START_TEST(opening_with_trunc_empties_the_file)
{
	int fd;

	enter();
	create_with("f", "content", 7);
	fd = open("f", O_RDWR | O_TRUNC);
	ok(fd);
	ck_assert_int_eq(stat_of("f").st_size, 0);
	ck_assert_int_eq(write(fd, "new", 3), 3);
	ok(close(fd));
	check_content("f", "new", 3);
	leave();
}
END_TEST

START_TEST(a_file_of_5_gib_with_holes_keeps_its_pieces)
{
	static const off_t places[] = {0, (1ll << 31) - 2, (1ll << 32) - 2, (5ll << 30) - 4};
	char found[4];
	int fd;

	enter();
	fd = create("f", 0644);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pwrite(fd, "abcd", 4, places[i]), 4);
	ok(fsync(fd));
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(pread(fd, found, 4, places[i]), 4);
		ck_assert_int_eq(memcmp(found, "abcd", 4), 0);
	}
	ck_assert_int_eq(stat_of("f").st_size, 5ll << 30);
	ok(close(fd));
	leave();
}
END_TEST

/* The last byte that a file may have, as the indirect tree (and i_blocks in sectors) bound it. */
static off_t file_size_max(void)
{
	unsigned size = block_size();
	uint64_t per = size / 4, tree = 12 + per + per * per + per * per * per;
	uint64_t sectors_max = 0xffffffffull, blocks = sectors_max / (size / 512);
	/* The indirect blocks of a full file take sectors, too. */
	uint64_t meta = 1 + 1 + per + 1 + per + per * per;

	if (tree + meta > blocks) {
		uint64_t left = blocks - (1 + 1 + per);
		uint64_t data = left - div_round_up(left - 12, per) - div_round_up(left, per * per) - 2;

		return (off_t)(data * size);
	}
	return (off_t)(tree * size);
}

START_TEST(truncate_beyond_the_formats_limit_is_refused_and_harmless)
{
	off_t limit;
	int fd;

	enter();
	limit = file_size_max();
	create_with("f", "content", 7);
	fd = open("f", O_RDWR);
	ok(fd);
	fails(ftruncate(fd, limit + (limit >> 3)), EFBIG);
	fails(ftruncate(fd, 1ll << 50), EFBIG);
	ck_assert_int_eq(stat_of("f").st_size, 7);
	/* A little below it a byte can be written. */
	limit -= limit >> 8;
	ck_assert_int_eq(pwrite(fd, "x", 1, limit), 1);
	ok(fsync(fd));
	ck_assert_int_eq(stat_of("f").st_size, limit + 1);
	ok(ftruncate(fd, 7));
	ok(close(fd));
	check_content("f", "content", 7);
	leave();
}
END_TEST

/* Writes until the disk is full; the error that said so. */
static int fill_disk(int fd)
{
	static char bytes[MIB];

	memset(bytes, 'f', sizeof(bytes));
	for (;;) {
		ssize_t n = write(fd, bytes, sizeof(bytes));

		if (n < 0)
			return errno;
		/* A cache may take what the disk cannot: the flush says it. */
		if (fdatasync(fd))
			return errno;
	}
}

START_TEST(a_full_disk_says_enospc_and_gives_everything_back)
{
	struct statvfs before, after;
	int fd;

	enter();
	touch("warm");
	settle(&before);
	if (before.f_bfree * before.f_bsize > 1ull << 30)
		test_skip("the disk is too large to fill");
	fd = create("f", 0644);
	ck_assert_int_eq(fill_disk(fd), ENOSPC);
	close(fd); /* may tell the error once more */
	fd = open(".", O_RDONLY | O_DIRECTORY);
	ok(fd);
	syncfs(fd); /* nor shall the next one who asks hear of it */
	ok(close(fd));
	ok(unlink("f"));
	for (int i = 0; i < 100; i++) {
		ok(statvfs(".", &after));
		if (after.f_bfree == before.f_bfree)
			break;
		usleep(50000);
	}
	ck_assert_uint_eq(after.f_bfree, before.f_bfree);
	ck_assert_uint_eq(after.f_ffree, before.f_ffree);
	create_with("g", "room again", 10);
	check_content("g", "room again", 10);
	leave();
}
END_TEST

/* ---- kinds ---- */

START_TEST(symlinks_hold_up_to_a_block_less_one)
{
	size_t limit;
	char target[PATH_MAX + 1], found[PATH_MAX + 1];
	static const size_t lengths[] = {1, 59, 60, 61, 1000};

	enter();
	limit = block_size() - 1;
	memset(target, 't', sizeof(target));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		target[lengths[i]] = '\0';
		ok(symlink(target, "l"));
		ck_assert_int_eq(readlink("l", found, sizeof(found)), (ssize_t)lengths[i]);
		ck_assert_int_eq(memcmp(found, target, lengths[i]), 0);
		ck_assert_int_eq(stat_of("l").st_size, (off_t)lengths[i]);
		ok(unlink("l"));
		target[lengths[i]] = 't';
	}
	if (limit > PATH_MAX - 1)
		limit = PATH_MAX - 1;
	target[limit] = '\0';
	ok(symlink(target, "l"));
	ck_assert_int_eq(readlink("l", found, sizeof(found)), (ssize_t)limit);
	target[limit] = 't';
	target[limit + 1] = '\0';
	fails(symlink(target, "m"), ENAMETOOLONG);
	leave();
}
END_TEST

START_TEST(device_nodes_keep_large_numbers)
{
	static const struct { unsigned major, minor; } devices[] = {
		{0, 0}, {1, 3}, {255, 255}, {256, 0}, {8, 256}, {4095, 1048575},
	};

	enter();
	need_root();
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		dev_t dev = makedev(devices[i].major, devices[i].minor);

		ok(mknod("c", S_IFCHR | 0600, dev));
		ok(mknod("b", S_IFBLK | 0600, dev));
		ck_assert_uint_eq(stat_of("c").st_rdev, dev);
		ck_assert_uint_eq(stat_of("b").st_rdev, dev);
		ck_assert(S_ISCHR(stat_of("c").st_mode) && S_ISBLK(stat_of("b").st_mode));
		ok(unlink("c"));
		ok(unlink("b"));
	}
	leave();
}
END_TEST

START_TEST(fifos_and_sockets_are_made)
{
	enter();
	ok(mkfifo("p", 0600));
	ok(mknod("s", S_IFSOCK | 0600, 0));
	ck_assert(S_ISFIFO(stat_of("p").st_mode));
	ck_assert(S_ISSOCK(stat_of("s").st_mode));
	ck_assert_int_eq(system("echo through >p & read line <p && [ \"$line\" = through ]"), 0);
	leave();
}
END_TEST

START_TEST(links_end_at_the_formats_limit)
{
	unsigned made = 1;
	char name[32];

	enter();
	touch("f");
	for (;; made++) {
		snprintf(name, sizeof(name), "link-%u", made);
		if (link("f", name))
			break;
		ck_assert_uint_lt(made, 65600);
	}
	ck_assert_int_eq(errno, EMLINK);
	ck_assert_uint_ge(made, 32000);
	ck_assert_uint_eq(stat_of("f").st_nlink, made);
	leave();
}
END_TEST

START_TEST(statfs_counts_what_is_used)
{
	static char bytes[MIB];
	struct statvfs before, after;
	int fd;

	enter();
	touch("warm");
	memset(bytes, 1, sizeof(bytes));
	settle(&before);
	ck_assert_uint_eq(before.f_namemax, 255);
	ck_assert_uint_eq(before.f_frsize, before.f_bsize);
	ck_assert_uint_lt(before.f_bavail, before.f_bfree); /* some are reserved */
	ck_assert_uint_lt(before.f_bfree, before.f_blocks);
	fd = create("f", 0644);
	ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	ok(fsync(fd));
	ok(close(fd));
	ok(statvfs(".", &after));
	ck_assert_uint_eq(before.f_ffree - after.f_ffree, 1);
	ck_assert_uint_ge(before.f_bfree - after.f_bfree, MIB / before.f_bsize);
	ck_assert_uint_le(before.f_bfree - after.f_bfree, MIB / before.f_bsize + 16);
	leave();
}
END_TEST

/* ---- syncing and locks ---- */

START_TEST(files_and_directories_can_be_synced)
{
	int fd, dir;

	enter();
	fd = create("f", 0644);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ok(fsync(fd));
	ok(fdatasync(fd));
	dir = open(".", O_RDONLY | O_DIRECTORY);
	ok(dir);
	ok(fsync(dir));
	ok(syncfs(dir));
	ok(close(dir));
	ok(close(fd));
	leave();
}
END_TEST

static int user_tries_lock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	int fd = open("f", O_RDWR);

	if (fd < 0)
		return 1;
	if (fcntl(fd, F_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
		return 2;
	lock.l_start = 100;
	return fcntl(fd, F_SETLK, &lock) ? 3 : 0;
}

START_TEST(record_locks_hold_between_processes)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	int fd;

	enter();
	need_root();
	fd = create("f", 0666);
	ok(fcntl(fd, F_SETLK, &lock));
	ck_assert_int_eq(as_user(USER_ID, user_tries_lock), 0);
	ok(close(fd));
	leave();
}
END_TEST

TEST_SUITE(names)
{
	tcase_add_test(tc, names_of_255_bytes_work_everywhere);
	tcase_add_test(tc, names_of_256_bytes_are_too_long_for_every_call);
	tcase_add_test(tc, names_may_hold_any_byte_but_slash_and_nul);
	tcase_add_test(tc, missing_and_wrong_kinds_have_their_errors);
}

TEST_SUITE(directories)
{
	tcase_add_test(tc, readdir_gives_every_name_once_with_number_and_type);
	tcase_add_test(tc, readdir_stays_in_place_while_names_behind_it_go);
	tcase_add_test(tc, readdir_ends_while_names_are_added);
	tcase_add_test(tc, seekdir_returns_to_where_telldir_was);
	tcase_add_test(tc, link_counts_of_directories_count_their_children);
	tcase_add_test(tc, a_removed_open_directory_stays_usable);
}

TEST_SUITE(renaming)
{
	tcase_add_test(tc, rename_replaces_a_file_and_leaves_the_old_one_to_who_has_it_open);
	tcase_add_test(tc, rename_refuses_what_cannot_replace);
	tcase_add_test(tc, rename_of_one_inode_onto_itself_does_nothing);
	tcase_add_test(tc, a_directory_that_moves_takes_its_dotdot_along);
	tcase_add_test(tc, rename_noreplace_never_replaces);
	tcase_add_test(tc, rename_exchange_swaps_even_a_file_and_a_directory);
}

TEST_SUITE(unlinked)
{
	tcase_add_test(tc, an_unlinked_open_file_stays_usable);
	tcase_add_test(tc, the_space_of_an_unlinked_file_comes_back_when_it_is_closed);
}

TEST_SUITE(owners)
{
	tcase_add_test(tc, a_setgid_directory_hands_down_its_group);
	tcase_add_test(tc, a_users_write_takes_setuid_and_setgid_away);
	tcase_add_test(tc, a_users_truncate_takes_setuid_and_setgid_away);
	tcase_add_test(tc, chown_takes_setuid_and_setgid_away);
	tcase_add_test(tc, chmod_by_somebody_outside_the_group_loses_setgid);
	tcase_add_test(tc, owners_have_32_bits);
	tcase_add_test(tc, permissions_and_sticky_directories_hold);
	tcase_add_test(tc, a_file_of_mode_0_works_for_who_created_it);
	tcase_add_test(tc, a_program_of_mode_0111_runs_without_being_readable);
}

TEST_SUITE(times)
{
	tcase_add_test(tc, each_change_moves_the_times_it_should);
	tcase_add_test(tc, names_that_come_and_go_move_the_directorys_times);
	tcase_add_test(tc, utimens_sets_omits_and_takes_now);
	tcase_add_test(tc, times_before_1970_and_after_2038_are_kept);
	tcase_add_test(tc, who_may_write_may_set_the_times_to_now_only);
}

TEST_SUITE(data)
{
	tcase_add_test(tc, holes_read_as_zeros_and_are_found);
	tcase_add_test(tc, blocks_count_what_is_allocated);
	tcase_add_test(tc, what_truncate_cut_off_comes_back_as_zeros);
	tcase_add_test(tc, truncate_cuts_what_was_mapped_beyond_the_end);
	tcase_add_test(tc, mapped_and_ordinary_access_agree);
	tcase_add_test(tc, direct_and_buffered_access_agree);
	tcase_add_test(tc, append_writes_at_the_end_whoever_else_writes);
	tcase_add_test(tc, opening_with_trunc_empties_the_file);
	tcase_add_test(tc, a_file_of_5_gib_with_holes_keeps_its_pieces);
	tcase_add_test(tc, truncate_beyond_the_formats_limit_is_refused_and_harmless);
	tcase_add_test(tc, a_full_disk_says_enospc_and_gives_everything_back);
}

TEST_SUITE(kinds)
{
	tcase_add_test(tc, symlinks_hold_up_to_a_block_less_one);
	tcase_add_test(tc, device_nodes_keep_large_numbers);
	tcase_add_test(tc, fifos_and_sockets_are_made);
	tcase_add_test(tc, links_end_at_the_formats_limit);
	tcase_add_test(tc, statfs_counts_what_is_used);
}

TEST_SUITE(syncing)
{
	tcase_add_test(tc, files_and_directories_can_be_synced);
	tcase_add_test(tc, record_locks_hold_between_processes);
}
