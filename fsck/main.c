/*
 * fsck.extant - checks and repairs ext2 and ext3 file systems.
 *
 * Options, the image and its lock, superblock and journal, then: is there a reason to check at all?
 * If so, rounds of passes. A round that repaired something is followed by another, which must find
 * nothing; so the next run finds nothing either.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "badlist.h"
#include "base/bitmap.h"
#include "base/filelock.h"
#include "base/mem.h"
#include "descs.h"
#include "optimize.h"
#include "pass1.h"
#include "pass1b.h"
#include "pass2.h"
#include "pass3.h"
#include "pass4.h"
#include "pass5.h"
#include "recovery.h"
#include "report.h"
#include "special.h"
#include "super.h"
#include "undo.h"

/* Rounds until nothing is left to repair; a tree needs four at most, and some repairs show others. */
#define ROUNDS_MAX   12u
#define RESTARTS_MAX 16u

/* The signal's only way to the check. */
static struct fsck *cancel_target;

static void on_signal(int signal_number)
{
	if (!cancel_target)
		return;
	switch (signal_number) {
	case SIGUSR1: cancel_target->bar_wanted = 1; break;
	case SIGUSR2: cancel_target->bar_wanted = -1; break;
	default: cancel_target->cancelled = 1; break;
	}
}

/* ---- the image ---- */

static int complain(const char *path, const char *why)
{
	fprintf(stderr, "fsck.extant: %s: %s\n", path, why);
	return FSCK_ERROR;
}

/* For the end of a report. */
static int refuse(struct fsck *f, const char *path, const char *why)
{
	f->store.path = path;
	snprintf(f->stop_why, sizeof(f->stop_why), "%s", why);
	return FSCK_ERROR;
}

static int open_image(struct fsck *f, const char *path)
{
	bool is_writable = f->opt.mode != MODE_NO;
	char why[256];
	int err = store_open(&f->store, path, is_writable);

	if (err) {
		complain(path, strerror(-err));
		return refuse(f, path, strerror(-err));
	}
	err = filelock_take(f->store.fd, path, is_writable ? FILELOCK_EXCLUSIVE : FILELOCK_SHARED, why,
			    sizeof(why));
	if (!err)
		return FSCK_OK;
	if (!is_writable) {
		/* Reading is harmless; what is read may be half of a change. */
		fprintf(stderr, "fsck.extant: warning: %s; the result may be wrong\n", why);
		return FSCK_OK;
	}
	fprintf(stderr, "fsck.extant: %s\n", why);
	store_close(&f->store);
	return refuse(f, path, why);
}

/* What is cached of the image may be older than the disk, or newer. */
static void forget_cached(struct fsck *f)
{
	int err = f->store.is_device ? ioctl(f->store.fd, BLKFLSBUF, 0) : fsync(f->store.fd);

	if (!err && !f->store.is_device)
		err = posix_fadvise(f->store.fd, 0, 0, POSIX_FADV_DONTNEED);
	if (err)
		fsck_fail(f, "flushing what is cached", -errno);
}

static void close_image(struct fsck *f)
{
	fsck_forget(f);
	badlist_forget(f);
	descs_forget(f);
	undo_close(f->store.undo);
	recovery_done(f);
	store_close(&f->store);
}

static void open_undo(struct fsck *f)
{
	uint8_t uuid[16] = {0};
	int err;

	if (!f->opt.undo_path)
		return;
	ignore(store_read_bytes(&f->store, EXT_SUPER_OFFSET + offsetof(struct ext_super, uuid), uuid,
				sizeof(uuid)),
	       "what cannot be read is met again at once");
	err = undo_create(f->opt.undo_path, f->store.size_bytes, uuid, &f->store.undo);
	if (err)
		fsck_fail(f, f->opt.undo_path, err);
}

/* ---- is there a reason to check? ---- */

#define DAY_S 86400u

/* Why the file system is checked although nobody insists; NULL: it is clean. */
static const char *reason_to_check(struct fsck *f, char *text, size_t size)
{
	const struct ext_super *s = &f->super;
	int16_t max_mounts = (int16_t)le16_get(s->max_mnt_count);
	uint32_t lastcheck = le32_get(s->lastcheck), interval = le32_get(s->checkinterval);

	if (f->used_backup)
		return "is opened by a copy of its superblock";
	if (le16_get(s->state) & EXT_ERROR_FS)
		return "contains a file system with errors";
	if (!(le16_get(s->state) & EXT_VALID_FS))
		return "was not cleanly unmounted";
	if (super_backups_differ(f))
		return "has a superblock that differs from its copy";
	if (max_mounts > 0 && le16_get(s->mnt_count) > (uint16_t)max_mounts) {
		snprintf(text, size, "has been mounted %u times without being checked",
			 le16_get(s->mnt_count));
		return text;
	}
	if (interval && lastcheck > f->now)
		return "was last checked in the future";
	if (interval && f->now - lastcheck >= interval) {
		snprintf(text, size, "has gone %u days without being checked",
			 (f->now - lastcheck) / DAY_S);
		return text;
	}
	return NULL;
}

/* True: clean, and said so. */
static bool may_skip(struct fsck *f)
{
	const char *reason;
	char text[96];

	if (f->opt.force || f->opt.backup_block || f->bad)
		return false;
	reason = reason_to_check(f, text, sizeof(text));
	if (!reason) {
		report_clean(f);
		return true;
	}
	if (!f->opt.json)
		printf("%s %s, check forced.\n", f->store.path, reason);
	return false;
}

/* ---- passes ---- */

static void announce(const struct fsck *f, unsigned round, const char *text)
{
	if (round == 0 && f->opt.mode != MODE_PREEN && !f->opt.json)
		printf("%s\n", text);
}

/* Passes 1 and 1B until what they counted holds. */
static void run_pass1(struct fsck *f, unsigned round)
{
	unsigned restarts;

	for (restarts = 0; restarts < RESTARTS_MAX; restarts++) {
		fsck_forget(f);
		special_check_resize_inode(f);
		announce(f, round + restarts, "Pass 1: inodes, blocks and sizes");
		pass1(f);
		report_pass_time(f);
		badlist_write(f);
		special_make_resize_inode(f);
		if (!f->dup)
			special_make_journal(f);
		if (f->dup && !f->restart) {
			announce(f, round + restarts, "Pass 1B: blocks claimed more than once");
			pass1b(f);
		}
		if (f->dup && f->is_full && fsck_may_write(f))
			break; /* another round finds no room either */
		fsck_flush(f);
		if (!f->restart || !fsck_may_write(f))
			return;
	}
	fsck_stop(f, FSCK_UNCORRECTED, "the blocks of inodes cannot be brought into order");
}

static void run_passes(struct fsck *f, unsigned round)
{
	do {
		run_pass1(f, round);
		announce(f, round, "Pass 2: directories");
		pass2(f);
		report_pass_time(f);
		fsck_flush(f);
		announce(f, round, "Pass 3: connectivity");
		pass3(f);
		fsck_flush(f);
	} while (f->restart);
	announce(f, round, "Pass 4: link counts");
	pass4(f);
	fsck_flush(f);
	announce(f, round, "Pass 5: bitmaps and totals");
	pass5(f);
	report_pass_time(f);
	fsck_flush(f);
	fsck_progress_clear(f);
}

static void run_rounds(struct fsck *f)
{
	uint64_t repaired_before;
	unsigned round;

	for (round = 0; round < ROUNDS_MAX; round++) {
		repaired_before = round ? f->nr_repaired : 0;
		f->nr_left = round ? 0 : f->nr_left;
		special_check_journal(f);
		run_passes(f, round);
		if (f->nr_repaired == repaired_before || f->opt.mode == MODE_NO ||
		    (f->opt.mode == MODE_ASK && f->nr_left))
			return;
	}
}

/* ---- the end ---- */

/* After everything is durable: pass 5 has shown that the maps are right. */
static void discard_free(struct fsck *f)
{
	uint64_t end = f->geo.blocks_count - f->geo.first_data_block, bit = 0;

	while ((bit = bitmap_find_clear(f->found, bit, end)) < end) {
		uint64_t count = bitmap_run_clear(f->found, bit, end);

		store_discard(&f->store, bit + f->geo.first_data_block, count);
		bit += count;
	}
}

static void finish(struct fsck *f)
{
	uint16_t state = le16_get(f->super.state);

	super_check_backups(f);
	if (!fsck_may_write(f))
		return;
	if (f->nr_left) {
		state = (uint16_t)((state & ~EXT_VALID_FS) | EXT_ERROR_FS);
	} else {
		state = (uint16_t)((state & ~EXT_ERROR_FS) | EXT_VALID_FS);
		f->super.mnt_count = le16_make(0);
		f->super.lastcheck = le32_make(f->now);
		f->super.lastcheck_hi = 0;
		f->super.error_count = le32_make(0);
	}
	f->super.last_orphan = le32_make(0);
	super_write(f, state);
	if (f->opt.discard && !f->nr_left)
		discard_free(f);
}

/* Who names a copy of the superblock gets it as the superblock, which is a repair even of a whole one. */
static int status_of(const struct fsck *f)
{
	bool took_copy = f->opt.backup_block && fsck_may_write(f);

	return (f->nr_repaired || took_copy ? FSCK_CORRECTED : 0) | (f->nr_left ? FSCK_UNCORRECTED : 0);
}

/* The whole check; every way out but this function's end is a fsck_stop(). */
static void check(struct fsck *f)
{
	if (f->opt.flush_first)
		forget_cached(f);
	open_undo(f);
	super_find(f);
	descs_read(f);
	super_weigh(f);
	recovery_run(f);
	if (f->opt.journal_only) {
		/* A superblock that was not usable is still there. */
		f->stop_status = f->used_backup ? FSCK_UNCORRECTED : FSCK_OK;
		return;
	}
	recovery_release_orphans(f);
	descs_take_totals(f);
	badlist_gather(f);
	if (may_skip(f)) {
		if (f->super_dirty)
			super_write(f, le16_get(f->super.state));
		return;
	}
	report_start(f);
	super_check_fields(f);
	run_rounds(f);
	if (f->opt.optimize_dirs && !f->nr_left)
		optimize_dirs(f);
	finish(f);
	report_totals(f);
	f->stop_status = status_of(f);
}

static int run(const struct args *args)
{
	struct fsck *f = mem_zalloc(sizeof(*f));
	int status;

	if (!f)
		return complain(args->path, strerror(ENOMEM));
	f->opt = args->opt;
	f->now = (uint32_t)time(NULL);
	status = open_image(f, args->path);
	if (status) {
		problem_report_begin(f);
		problem_report_end(f, status);
		mem_free(f);
		return status;
	}
	cancel_target = f;
	problem_report_begin(f);
	if (setjmp(f->stop) == 0)
		check(f);
	status = f->stop_status;
	problem_report_end(f, status);
	cancel_target = NULL;
	close_image(f);
	mem_free(f);
	return status;
}

/* ---- --undo-apply ---- */

static int apply_undo(const struct args *args)
{
	struct fsck f = {.opt.mode = MODE_YES};
	uint64_t nr_records = 0;
	char why[256];
	int err, status = open_image(&f, args->path);

	if (status)
		return status;
	err = undo_apply(args->undo_apply, f.store.fd, f.store.size_bytes, &nr_records, why, sizeof(why));
	store_close(&f.store);
	if (err)
		return complain(args->undo_apply, why);
	printf("%s: %" PRIu64 " blocks written back\n", args->path, nr_records);
	return FSCK_OK;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct args args;
	int status = FSCK_OK;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	switch (args_parse(argc, argv, &args)) {
	case ARGS_VERSION: fprintf(stderr, "fsck.extant %s\n", EXTANT_VERSION); break;
	case ARGS_BAD: status = args.status; break;
	case ARGS_APPLY_UNDO: status = apply_undo(&args); break;
	case ARGS_GO: status = run(&args); break;
	}
	if (fflush(stdout) != 0)
		status |= FSCK_ERROR;
	return status;
}
