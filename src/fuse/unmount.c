/*
 * Unmounting by umount2() where we may, and by the set-user-id fusermount3 where we may not.
 */
#include "unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int run_fusermount(const char *mountpoint, const char *how)
{
	const char *argv[] = {"fusermount3", how, "--", mountpoint, NULL};
	int status;
	pid_t pid;

	/* The strings are not written to; POSIX's signature is older than const. */
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		return -EBUSY;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -EBUSY;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int unmount_idle(const char *mountpoint)
{
	if (umount2(mountpoint, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(mountpoint, "-uq");
}

static int unmount_lazily(const char *mountpoint)
{
	if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(mountpoint, "-uqz");
}

int unmount_served(const char *mountpoint)
{
	int err = unmount_idle(mountpoint);
	int fd;

	if (err != -EBUSY)
		return err;
	/* Out of the tree first, so that nobody else comes in; then what is dirty, through the old door. */
	fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = unmount_lazily(mountpoint);
	if (fd >= 0) {
		ignore(syncfs(fd), "each file's owner hears of its own failed pages");
		close(fd);
	}
	return err;
}
