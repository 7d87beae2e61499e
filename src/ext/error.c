/*
 * Damage found on disk, and a journal that gave up.
 *
 * Who finds damage may hold any lock, so what he finds is noted and acted upon at once, and taken to
 * the superblock by a work of its own, a moment later: through the journal, as a change like others; or
 * in place, once there is no journal to go through.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "block/disk.h"

/* ---- into the superblock ---- */

void ext_error_record(struct ext *fs, struct ext_super *super, uint32_t now)
{
	mutex_lock(&fs->state_lock);
	if (fs->error_count) {
		if (le32_get(super->error_count) == 0) {
			super->first_error_time = le32_make(now);
			super->first_error_ino = le32_make(fs->first_error_ino);
			super->first_error_block = le64_make(fs->first_error_block);
			super->first_error_errcode = fs->first_errcode;
			memcpy(super->first_error_func, "extant", sizeof("extant"));
		}
		super->last_error_time = le32_make(now);
		super->last_error_ino = le32_make(fs->last_error_ino);
		super->last_error_block = le64_make(fs->last_error_block);
		super->last_error_errcode = fs->last_errcode;
		memcpy(super->last_error_func, "extant", sizeof("extant"));
		le32_add(&super->error_count, fs->error_count);
		fs->mount_state |= EXT_ERROR_FS;
		fs->error_count = 0;
	}
	mutex_unlock(&fs->state_lock);
	super->state = le16_make(le16_get(super->state) | (fs->mount_state & EXT_ERROR_FS));
}

static uint32_t now_of(const struct ext *fs)
{
	return (uint32_t)clock_wall(fs->sb.clock).tv_sec;
}

/* Durable when this returns, as every other change of metadata. */
static int record_in_order(struct ext *fs)
{
	struct handle h;
	int err = handle_start(fs->journal, 1, &h);

	if (err)
		return err;
	err = meta_begin(&h, fs->super_buffer);
	if (!err) {
		ext_error_record(fs, ext_super_of(fs), now_of(fs));
		meta_end(&h, fs->super_buffer);
	}
	err = first_error(err, handle_stop(&h));
	if (fs->journal)
		return first_error(err, journal_force_commit(fs->journal));
	err = first_error(err, buffer_write(fs->super_buffer));
	return first_error(err, disk_flush(fs->sb.disk));
}

/*
 * Past the journal, which has given up or is about to be left as it is: the superblock as it lies on
 * the disk, with the errors in it, and nothing of what the cache has changed in it.
 */
static int record_in_place(struct ext *fs)
{
	struct ext_super super;
	int err = disk_read(fs->sb.disk, EXT_SUPER_OFFSET, &super, sizeof(super));

	if (err)
		return err;
	ext_error_record(fs, &super, now_of(fs));
	err = disk_write(fs->sb.disk, EXT_SUPER_OFFSET, &super, sizeof(super), BIO_META);
	return first_error(err, disk_flush(fs->sb.disk));
}

static void error_work_fn(struct work *w)
{
	struct ext *fs = container_of(w, struct ext, error_work);
	bool stops = fs->errors == EXT_ON_ERROR_PANIC;
	int err;

	if (stops || (fs->journal && journal_is_aborted(fs->journal)))
		err = record_in_place(fs);
	else
		err = record_in_order(fs);
	if (err)
		log_error("%s: the error could not be recorded in the superblock", disk_name(fs->sb.disk));
	if (stops) {
		log_error("%s: errors=panic, so the daemon stops here", disk_name(fs->sb.disk));
		abort();
	}
}

void ext_error_init(struct ext *fs)
{
	work_init(&fs->error_work, error_work_fn);
}

static void queue_record(struct ext *fs)
{
	if (fs->records_errors && fs->sb.work)
		work_queue(fs->sb.work, &fs->error_work);
}

void ext_error_start(struct ext *fs)
{
	bool has_some;

	fs->records_errors = true;
	mutex_lock(&fs->state_lock);
	has_some = fs->error_count != 0;
	mutex_unlock(&fs->state_lock);
	if (has_some)
		queue_record(fs);
}

void ext_error_stop(struct ext *fs)
{
	fs->records_errors = false;
	if (fs->sb.work)
		work_cancel_sync(fs->sb.work, &fs->error_work);
}

/* ---- told ---- */

struct finding {
	inr_t ino;
	fsblk_t block;
	uint8_t errcode;
	const char *text;
};

static void note(struct ext *fs, const struct finding *f)
{
	mutex_lock(&fs->state_lock);
	fs->error_count++;
	fs->last_error_ino = f->ino;
	fs->last_error_block = f->block;
	fs->last_errcode = f->errcode;
	if (!fs->has_errors) {
		fs->first_error_ino = f->ino;
		fs->first_error_block = f->block;
		fs->first_errcode = f->errcode;
		snprintf(fs->first_error, sizeof(fs->first_error), "inode %u, block %llu: %.100s", f->ino,
			 (unsigned long long)f->block, f->text);
	}
	fs->has_errors = true;
	mutex_unlock(&fs->state_lock);
}

/*
 * Nothing more is changed from here on, but with errors=continue; the rest, which needs the disk, is
 * left to error_work_fn(), for the caller may hold any lock.
 */
static void apply_policy(struct ext *fs)
{
	if (fs->errors != EXT_ON_ERROR_CONTINUE && !atomic_exchange(&fs->sb.is_read_only, true))
		log_error("%s: now read-only; unmount it and run fsck", disk_name(fs->sb.disk));
	queue_record(fs);
}

int ext_error(struct ext *fs, inr_t ino, fsblk_t block, const char *fmt, ...)
{
	static struct log_limit limit;
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	note(fs, &(struct finding){.ino = ino, .block = block, .errcode = EXT_ERRCODE_CORRUPTED, .text = text});
	if (log_limit_allows(&limit))
		log_error("%s: damage at inode %u, block %llu: %s", disk_name(fs->sb.disk), ino,
			  (unsigned long long)block, text);
	trace("ext.error", ino, block);
	apply_policy(fs);
	return -EUCLEAN;
}

void ext_error_aborted(struct ext *fs, const char *why)
{
	note(fs, &(struct finding){.errcode = EXT_ERRCODE_EIO, .text = why});
	fs->sb.is_read_only = true;
	queue_record(fs);
}

int ext_may_write(const struct ext *fs)
{
	return fs->sb.is_read_only ? -EROFS : 0;
}

bool ext_has_errors(struct super *sb, char *text, size_t text_size)
{
	struct ext *fs = ext_of_super(sb);
	bool has_errors;

	mutex_lock(&fs->state_lock);
	has_errors = fs->has_errors;
	if (has_errors && text)
		snprintf(text, text_size, "%s", fs->first_error);
	mutex_unlock(&fs->state_lock);
	return has_errors;
}
