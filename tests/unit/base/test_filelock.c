/*
 * One image has one writer or many readers; who is refused is told by whom, whatever the holder did
 * since (fork, as a daemon does). A file or device that the kernel uses is refused as well. Where
 * a machine's /proc and /sys matter, the test makes its own; one test attaches a real loop device.
 */
#include "base/filelock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/filelock_private.h"
#include "harness/runner.h"

#define NAME_BYTES_MAX 200

static char dir[NAME_BYTES_MAX / 4];
static char image[NAME_BYTES_MAX / 2], proc[NAME_BYTES_MAX / 2], sys[NAME_BYTES_MAX / 2];
static char why[500];
static struct machine_view view = {.proc = proc, .sys = sys};
static int fd;

static void run(const char *fmt, const char *arg)
{
	char command[2 * NAME_BYTES_MAX];

	snprintf(command, sizeof(command), fmt, arg);
	ck_assert_int_eq(system(command), 0);
}

static int open_image(void)
{
	int new_fd = open(image, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(new_fd, 0);
	return new_fd;
}

static void setup(void)
{
	strcpy(dir, "/tmp/extant-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/disk image", dir);
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	run("truncate -s 1M '%s'", image);
	fd = open_image();
	why[0] = '\0';
}

static void teardown(void)
{
	close(fd);
	run("rm -r '%s'", dir);
}

/* Writes a file below dir, with its folders. */
static void write_file(const char *name, const char *content)
{
	char path[NAME_BYTES_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*strrchr(path, '/') = '\0';
	run("mkdir -p '%s'", path);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	fclose(f);
}

static int take(int on, enum filelock_mode mode)
{
	return filelock_take(on, "disk.img", mode, why, sizeof(why));
}

static void assert_why_names(const char *part)
{
	ck_assert_msg(strstr(why, part), "\"%s\" does not say \"%s\"", why, part);
}

START_TEST(readers_share_and_a_writer_is_alone)
{
	int second = open_image(), third = open_image();

	ck_assert_int_eq(take(fd, FILELOCK_SHARED), 0);
	ck_assert_int_eq(take(second, FILELOCK_SHARED), 0);
	ck_assert_int_eq(take(third, FILELOCK_EXCLUSIVE), -EBUSY);
	assert_why_names("disk.img is in use by this process already");
	close(fd);
	close(second);
	ck_assert_int_eq(take(third, FILELOCK_EXCLUSIVE), 0);
	fd = open_image();
	ck_assert_int_eq(take(fd, FILELOCK_SHARED), -EBUSY);
	close(third);
	ck_assert_int_eq(take(fd, FILELOCK_EXCLUSIVE), 0);
}
END_TEST

/* Starts a process that locks the image; with a middleman that takes the lock and goes. Returns its pid. */
static pid_t start_holder(enum filelock_mode mode, bool forks, int *ret_end)
{
	int ready[2], end[2];
	pid_t pid, child;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(end), 0);
	child = fork();
	if (child == 0) {
		char byte;
		int own = open_image();

		close(end[1]);
		close(fd);
		if (take(own, mode))
			_exit(1);
		if (forks && fork() != 0)
			_exit(0);
		pid = getpid();
		if (write(ready[1], &pid, sizeof(pid)) != sizeof(pid) || read(end[0], &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	close(end[0]);
	if (forks)
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(read(ready[0], &pid, sizeof(pid)), sizeof(pid));
	close(ready[0]);
	close(ready[1]);
	*ret_end = end[1];
	return pid;
}

static void assert_holder_is_named(bool forks)
{
	char expected[100];
	int end;
	pid_t pid = start_holder(FILELOCK_EXCLUSIVE, forks, &end);

	ck_assert_int_eq(take(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	snprintf(expected, sizeof(expected), "disk.img is in use by process %d (%s)", pid, program_invocation_short_name);
	ck_assert_str_eq(why, expected);
	ck_assert_int_eq(take(fd, FILELOCK_SHARED), -EBUSY);
	ck_assert_str_eq(why, expected);
	close(end);
}

START_TEST(the_holder_is_named)
{
	assert_holder_is_named(false);
	wait(NULL);
	ck_assert_int_eq(take(fd, FILELOCK_EXCLUSIVE), 0);
}
END_TEST

START_TEST(a_daemon_is_named_and_not_its_dead_parent)
{
	assert_holder_is_named(true);
}
END_TEST

START_TEST(a_reader_that_stops_a_writer_is_named)
{
	char expected[100];
	int end;
	pid_t pid = start_holder(FILELOCK_SHARED, false, &end);

	ck_assert_int_eq(take(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	snprintf(expected, sizeof(expected), "process %d (", pid);
	assert_why_names(expected);
	close(end);
	wait(NULL);
}
END_TEST

/* A line of /proc/locks about the image; device and pid as told. */
static void write_locks(const char *kind, const char *access, int pid, bool same_device)
{
	char line[200];
	struct stat st;

	fstat(fd, &st);
	snprintf(line, sizeof(line),
		 "1: POSIX  ADVISORY  WRITE 77 08:01:1 0 EOF\n"
		 "2: %s  ADVISORY  %s %d %02x:%02x:%llu 0 EOF\n",
		 kind, access, pid, same_device ? major(st.st_dev) : 0, same_device ? minor(st.st_dev) : 99,
		 (unsigned long long)st.st_ino);
	write_file("proc/locks", line);
}

static void assert_named(enum filelock_mode mode, const char *expected)
{
	filelock_name_holder(&view, fd, "disk.img", mode, why, sizeof(why));
	ck_assert_str_eq(why, expected);
}

START_TEST(the_lock_table_serves_where_descriptors_cannot_be_read)
{
	write_file("proc/1234/comm", "mkfs.extant\n");
	write_locks("FLOCK", "WRITE", 1234, true);
	assert_named(FILELOCK_SHARED, "disk.img is in use by process 1234 (mkfs.extant)");
	write_locks("FLOCK", "WRITE", 1234, false);	/* btrfs, overlay */
	assert_named(FILELOCK_SHARED, "disk.img is in use by process 1234 (mkfs.extant)");
	write_locks("FLOCK", "READ", 1234, true);
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by process 1234 (mkfs.extant)");
}
END_TEST

START_TEST(who_is_not_known_is_another_process)
{
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");	/* no /proc */
	write_file("proc/1234/comm", "mkfs.extant\n");
	write_locks("FLOCK", "READ", 1234, true);	/* would not stop a reader */
	assert_named(FILELOCK_SHARED, "disk.img is in use by another process");
	write_locks("-> FLOCK", "WRITE", 1234, true);	/* waits itself */
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");
	write_locks("POSIX", "WRITE", 1234, true);
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");
	write_locks("FLOCK", "WRITE", 999, true);	/* gone */
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");
	write_locks("FLOCK", "WRITE", -1, true);	/* of another pid namespace */
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");
	write_file("proc/locks", "\n1:\nnonsense : : :\n");
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by another process");
}
END_TEST

START_TEST(a_living_holder_comes_before_the_table)
{
	char line[200];
	struct stat st;

	fstat(fd, &st);
	write_locks("FLOCK", "WRITE", 1234, true);
	snprintf(line, sizeof(line),
		 "pos:\t0\nflags:\t02\nlock:\t1: FLOCK  ADVISORY  WRITE 1234 %02x:%02x:%llu 0 EOF\n",
		 major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
	write_file("proc/1235/fdinfo/3", line);
	write_file("proc/1235/comm", "extant\n");
	assert_named(FILELOCK_EXCLUSIVE, "disk.img is in use by process 1235 (extant)");
}
END_TEST

/* The kernel's side, on a machine of our making. */

static int check(int on, enum filelock_mode mode)
{
	why[0] = '\0';
	return filelock_check_view(&view, on, "disk.img", mode, why, sizeof(why));
}

static void attach(const char *backing_file, const char *ro)
{
	char line[NAME_BYTES_MAX];

	snprintf(line, sizeof(line), "%s\n", backing_file);
	write_file("sys/block/loop3/loop/backing_file", line);
	write_file("sys/block/loop3/ro", ro);
	write_file("sys/block/loop3/dev", "7:3\n");
}

START_TEST(nothing_to_see_means_free)
{
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), 0);
	write_file("sys/block/sda/ro", "0\n");
	write_file("sys/block/loop0/ro", "0\n");	/* attached to nothing */
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), 0);
	attach("/etc/passwd", "0\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), 0);
	ck_assert_str_eq(why, "");
}
END_TEST

START_TEST(an_attached_image_is_refused)
{
	attach(image, "0\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	ck_assert_str_eq(why, "disk.img is attached to /dev/loop3");
	ck_assert_int_eq(check(fd, FILELOCK_SHARED), -EBUSY);
	attach(image, "1\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	ck_assert_int_eq(check(fd, FILELOCK_SHARED), 0);
	ck_assert_str_eq(why, "");
}
END_TEST

START_TEST(the_mount_of_an_attached_image_is_named)
{
	attach(image, "0\n");
	write_file("proc/self/mountinfo",
		   "25 1 8:3 / /wrong rw - ext4 /dev/sda3 rw\n"
		   "40 25 7:3 / /mnt/my\\040disk rw,nosuid shared:20 - ext3 /dev/loop3 rw,errors=continue\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	ck_assert_str_eq(why, "disk.img is attached to /dev/loop3, mounted at /mnt/my disk");
}
END_TEST

START_TEST(other_names_of_the_image_are_the_image)
{
	char other[NAME_BYTES_MAX - 1], deleted[NAME_BYTES_MAX - 1];

	snprintf(other, sizeof(other), "%s.link", image);
	ck_assert_int_eq(link(image, other), 0);
	attach(other, "0\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", image);
	attach(deleted, "0\n");
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	ck_assert_int_eq(unlink(image), 0);
	run("truncate -s 1M '%s'", image);	/* another file in its place */
	ck_assert_int_eq(check(fd, FILELOCK_EXCLUSIVE), 0);
}
END_TEST

START_TEST(a_real_loop_device_is_noticed)
{
	struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
	char name[40], expected[100];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number, exclusive, loop = -1;

	if (control < 0)
		test_skip("no /dev/loop-control to open");
	for (unsigned tries = 0; tries < 20 && loop < 0; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(name, sizeof(name), "/dev/loop%d", number);
		loop = open(name, O_RDWR | O_CLOEXEC);
		if (loop >= 0 && ioctl(loop, LOOP_SET_FD, fd) != 0) {
			close(loop);	/* another was faster */
			loop = -1;
		}
	}
	close(control);
	if (loop < 0)
		test_skip("no loop device to be had");
	ck_assert_int_eq(ioctl(loop, LOOP_SET_STATUS64, &info), 0);	/* goes when we close it */
	ck_assert_int_eq(take(fd, FILELOCK_EXCLUSIVE), -EBUSY);
	snprintf(expected, sizeof(expected), "disk.img is attached to %s", name);
	ck_assert_str_eq(why, expected);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);	/* what was refused holds no lock */
	ck_assert_int_eq(filelock_check_kernel(loop, name, FILELOCK_EXCLUSIVE, why, sizeof(why)), 0);
	exclusive = open(name, O_RDONLY | O_EXCL | O_CLOEXEC);	/* as a mount has it */
	ck_assert_int_ge(exclusive, 0);
	ck_assert_int_eq(filelock_check_kernel(loop, name, FILELOCK_SHARED, why, sizeof(why)), -EBUSY);
	assert_why_names("in use by the kernel");
	close(exclusive);
	close(loop);
}
END_TEST

/* Any block device will do: it is only asked for its number. */
START_TEST(a_mounted_device_is_refused)
{
	char line[200];
	struct stat st;
	int device = open("/dev/loop0", O_RDONLY | O_CLOEXEC);

	if (device < 0)
		test_skip("no block device to open");
	fstat(device, &st);
	snprintf(line, sizeof(line), "40 25 %u:%u / /mnt rw - ext3 /dev/x rw\n", major(st.st_rdev), minor(st.st_rdev));
	write_file("proc/self/mountinfo", line);
	ck_assert_int_eq(check(device, FILELOCK_EXCLUSIVE), -EBUSY);
	ck_assert_str_eq(why, "disk.img is mounted at /mnt");
	ck_assert_int_eq(check(device, FILELOCK_SHARED), -EBUSY);
	/* Read-only for this mount, but the file system may write. */
	snprintf(line, sizeof(line), "40 25 %u:%u / /mnt ro - ext3 /dev/x rw\n", major(st.st_rdev), minor(st.st_rdev));
	write_file("proc/self/mountinfo", line);
	ck_assert_int_eq(check(device, FILELOCK_SHARED), -EBUSY);
	snprintf(line, sizeof(line), "40 25 %u:%u / /mnt ro shared:1 - ext3 /dev/x ro,errors=remount-ro\n",
		 major(st.st_rdev), minor(st.st_rdev));
	write_file("proc/self/mountinfo", line);
	ck_assert_int_eq(check(device, FILELOCK_SHARED), 0);
	ck_assert_int_eq(check(device, FILELOCK_EXCLUSIVE), -EBUSY);
	close(device);
}
END_TEST

START_TEST(what_is_no_descriptor_is_an_error)
{
	ck_assert_int_eq(filelock_take(-1, "disk.img", FILELOCK_SHARED, why, sizeof(why)), -EBADF);
	assert_why_names("disk.img");
	why[0] = '\0';
	ck_assert_int_eq(check(-1, FILELOCK_SHARED), -EBADF);
	assert_why_names("disk.img");
}
END_TEST

TEST_SUITE(base_filelock)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, readers_share_and_a_writer_is_alone);
	tcase_add_test(tc, the_holder_is_named);
	tcase_add_test(tc, a_daemon_is_named_and_not_its_dead_parent);
	tcase_add_test(tc, a_reader_that_stops_a_writer_is_named);
	tcase_add_test(tc, the_lock_table_serves_where_descriptors_cannot_be_read);
	tcase_add_test(tc, who_is_not_known_is_another_process);
	tcase_add_test(tc, a_living_holder_comes_before_the_table);
	tcase_add_test(tc, nothing_to_see_means_free);
	tcase_add_test(tc, an_attached_image_is_refused);
	tcase_add_test(tc, the_mount_of_an_attached_image_is_named);
	tcase_add_test(tc, other_names_of_the_image_are_the_image);
	tcase_add_test(tc, a_real_loop_device_is_noticed);
	tcase_add_test(tc, a_mounted_device_is_refused);
	tcase_add_test(tc, what_is_no_descriptor_is_an_error);
}
