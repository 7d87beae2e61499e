/*
 * The disks that the journal is replayed on.
 *
 *	-y, -p       the image
 *	--undo       first a copy on write through a tap, which fills the undo file; then the image
 *	-n           a copy on write, which stays: the store reads through it until the end
 */
#include "recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descs.h"
#include "drivers/cowdisk.h"
#include "drivers/filedisk.h"
#include "layout/feature.h"
#include "log.h"
#include "orphans.h"
#include "replay.h"
#include "special.h"
#include "super.h"
#include "tapdisk.h"
#include "undo.h"

/* A longer log could hold more changed blocks than shall lie in memory: a scratch file takes them. */
#define LOG_BYTES_IN_MEMORY (16u << 20)

/* ---- disks ---- */

/* The image, which is open and locked already. */
static struct disk *open_image(struct fsck *f, bool is_read_only)
{
	struct filedisk_config file = {.is_read_only = is_read_only, .takes_lock = false};
	struct disk_config config = {.name = f->store.path};
	struct disk *disk;
	char why[256];
	int fd = fcntl(f->store.fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		fsck_fail(f, "opening the image for its journal", -errno);
	if (filedisk_open_fd(fd, &file, &config, &disk, why, sizeof(why)))
		fsck_stop(f, FSCK_ERROR, why);
	return disk;
}

static bool log_is_long(struct fsck *f)
{
	union inode_buf buf;

	return !log_find(f, &buf) ||
	       le32_get(buf.raw.size_high) || le32_get(buf.raw.size) > LOG_BYTES_IN_MEMORY;
}

/* A disk over the image that may be written, and goes with its close. */
static struct disk *open_copy(struct fsck *f)
{
	const char *dir = getenv("TMPDIR");
	struct cowdisk_config cow = {.owns_lower = true};
	struct disk_config config = {.name = f->store.path};
	struct disk *lower = open_image(f, true), *disk;
	char why[256], path[512];

	snprintf(path, sizeof(path), "%s/fsck.extant.%ld", dir && *dir ? dir : "/tmp", (long)getpid());
	if (log_is_long(f))
		cow.path = path;
	if (cowdisk_open(lower, &cow, &config, NULL, &disk, why, sizeof(why))) {
		disk_close(lower);
		fsck_stop(f, FSCK_ERROR, why);
	}
	return disk;
}

/* ---- replay ---- */

/* What was read before the replay is old. */
static void read_again(struct fsck *f)
{
	struct ext_super super;

	if (store_read_bytes(&f->store, EXT_SUPER_OFFSET, &super, sizeof(super)))
		fsck_fail(f, "reading the superblock", -EIO);
	if (!f->used_backup)
		f->super = super;
	descs_forget(f);
	descs_read(f);
}

static void drop_recover_flag(struct fsck *f)
{
	f->super.feature_incompat =
		le32_make(le32_get(f->super.feature_incompat) & ~EXT_INCOMPAT_RECOVER);
	f->geo.feature_incompat = le32_get(f->super.feature_incompat);
}

/* Fills the undo file with what the replay is going to overwrite. */
static void rehearse(struct fsck *f)
{
	struct disk *copy = open_copy(f), *tap;
	char why[256];
	int err = tapdisk_open(copy, f->store.undo, &tap);

	if (!err) {
		/* A log that cannot be replayed is met again at once, and told then. */
		ignore(replay_journal(f, tap, REPLAY_QUIETLY, why, sizeof(why)), "a rehearsal");
		disk_close(tap);
		err = undo_sync(f->store.undo);
	}
	disk_close(copy);
	if (err)
		fsck_fail(f, "recording what the replay overwrites", err);
}

static void replay_home(struct fsck *f)
{
	struct disk *disk;
	char why[256];
	bool is_done;

	if (f->store.undo)
		rehearse(f);
	disk = open_image(f, false);
	is_done = replay_journal(f, disk, REPLAY_ALOUD, why, sizeof(why));
	disk_close(disk);
	read_again(f);
	if (!is_done) {
		f->super.state = le16_make(le16_get(f->super.state) | EXT_ERROR_FS);
		if (!problem(f, JOURNAL_NOT_REPLAYED, (struct where){.str = why}))
			fsck_stop(f, FSCK_UNCORRECTED, "its journal stays as it is");
	}
	drop_recover_flag(f);
	super_write(f, le16_get(f->super.state));
	f->is_marked = false;
}

/* -n: the check goes on with the image as it is when its log cannot be replayed. */
static void replay_aside(struct fsck *f)
{
	struct disk *disk = open_copy(f);
	char why[256];

	if (!replay_journal(f, disk, REPLAY_ALOUD, why, sizeof(why))) {
		disk_close(disk);
		problem(f, JOURNAL_NOT_REPLAYED, (struct where){.str = why});
		return;
	}
	f->store.over = disk;
	read_again(f);
	drop_recover_flag(f);
}

/*
 * Copies of the superblock do not know whether there is something in the log. The primary does, and yet a log with
 * transactions in it is nothing that a clean unmount leaves.
 */
static bool is_to_run(struct fsck *f)
{
	if (!f->geo.has_journal)
		return false;
	if (special_needs_recovery(f))
		return true;
	if (!log_has_data(f))
		return false;
	if (f->used_backup)
		return true;
	if (problem(f, JOURNAL_HAS_DATA, (struct where){0})) {
		f->opt.force = true;
		return true;
	}
	if (f->opt.mode == MODE_PREEN)
		fsck_stop(f, FSCK_UNCORRECTED, "its journal may have to be replayed; run fsck by hand");
	return false;
}

void recovery_run(struct fsck *f)
{
	if (!is_to_run(f))
		return;
	if (!f->opt.json)
		printf("%s: recovering journal%s\n", f->store.path,
		       fsck_may_write(f) ? "" : " (in memory)");
	if (fsck_may_write(f))
		replay_home(f);
	else
		replay_aside(f);
}

/* ---- orphans ---- */

void recovery_release_orphans(struct fsck *f)
{
	if (f->store.over)
		f->store.is_writable = true; /* what is written goes there */
	orphans_release(f);
	if (!f->store.over)
		return;
	if (f->super_dirty)
		super_write(f, le16_get(f->super.state));
	f->store.is_writable = false;
}

void recovery_done(struct fsck *f)
{
	disk_close(f->store.over);
	f->store.over = NULL;
}
