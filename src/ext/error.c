/* Damage found on disk. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "block/disk.h"

int ext_error(struct ext *fs, inr_t ino, fsblk_t block, const char *fmt, ...)
{
	static struct log_limit limit;
	char text[160];
	va_list args;
	bool is_first;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	mutex_lock(&fs->state_lock);
	is_first = !fs->has_errors;
	fs->has_errors = true;
	fs->error_count++;
	fs->last_error_ino = ino;
	fs->last_error_block = block;
	if (is_first) {
		fs->first_error_ino = ino;
		fs->first_error_block = block;
		snprintf(fs->first_error, sizeof(fs->first_error), "inode %u, block %llu: %.100s", ino,
			 (unsigned long long)block, text);
	}
	mutex_unlock(&fs->state_lock);

	if (log_limit_allows(&limit))
		log_error("%s: damage at inode %u, block %llu: %s", disk_name(fs->sb.disk), ino,
			  (unsigned long long)block, text);
	trace("ext.error", ino, block);
	if (fs->errors == EXT_ON_ERROR_PANIC) {
		log_error("%s: errors=panic, so the daemon stops here", disk_name(fs->sb.disk));
		abort();
	}
	if (fs->errors == EXT_ON_ERROR_RO && !atomic_exchange(&fs->sb.is_read_only, true))
		log_error("%s: now read-only; unmount it and run fsck", disk_name(fs->sb.disk));
	return -EUCLEAN;
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
