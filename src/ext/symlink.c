/*
 * Symlinks. A long target lies in one block that is treated as metadata, so that it appears
 * together with its inode and its name.
 */
#include "symlink.h"

#include <errno.h>
#include <string.h>

#include "blockmap.h"
#include "error.h"

static void set_fast(struct ext_inode_info *info, const char *target, uint32_t len)
{
	struct inode_fields f = {0};

	inode_set_symlink_target(&f, target, len);
	memcpy(info->block, f.block, sizeof(info->block));
	info->is_fast_symlink = true;
}

static int set_slow(struct handle *h, struct inode *inode, const char *target, uint32_t len, bool may_use_reserved)
{
	struct ext *fs = ext_of(inode);
	struct block_run run;
	struct buffer *b;
	int err = blockmap_alloc(h, inode, 0, 1, may_use_reserved, &run);

	if (err)
		return err;
	err = buffer_get(&fs->buffers, run.block, &b);
	if (err)
		return err;
	err = handle_get_create_access(h, b);
	if (!err) {
		buffer_lock(b);
		page_clear(&b->page, PAGE_CHECKED);
		memset(buffer_data(b), 0, fs->geo.block_size);
		memcpy(buffer_data(b), target, len);
		buffer_set_uptodate(b);
		meta_end(h, b);
	}
	buffer_put(b);
	return err;
}

int symlink_set(struct handle *h, struct inode *inode, const char *target, uint32_t len, bool may_use_reserved)
{
	int err = 0;

	if (len > ext_of(inode)->geo.max_symlink_bytes)
		return -ENAMETOOLONG;
	if (len <= EXT_FAST_SYMLINK_MAX)
		set_fast(info_of(inode), target, len);
	else
		err = set_slow(h, inode, target, len, may_use_reserved);
	inode->attr.size_bytes = len;
	return err;
}

static ssize_t read_fast(struct inode *inode, char *to, size_t size)
{
	struct inode_fields f = {.size = min(inode->attr.size_bytes, (uint64_t)EXT_FAST_SYMLINK_MAX)};
	char target[EXT_FAST_SYMLINK_MAX + 1];
	size_t len = min((size_t)f.size, size);

	memcpy(f.block, info_of(inode)->block, sizeof(f.block));
	inode_symlink_target(&f, target);
	memcpy(to, target, len);
	return (ssize_t)len;
}

ssize_t symlink_read(struct inode *inode, char *to, size_t size)
{
	struct ext *fs = ext_of(inode);
	struct block_run run;
	struct buffer *b;
	size_t len;
	int err;

	if (info_of(inode)->is_fast_symlink)
		return read_fast(inode, to, size);
	err = blockmap_find(inode, 0, 1, &run);
	if (err)
		return err;
	if (run.block == 0 || inode->attr.size_bytes > fs->geo.block_size)
		return ext_error(fs, inode->ino, run.block, "a symlink without its target");
	err = buffer_read(&fs->buffers, run.block, &b);
	if (err)
		return err;
	len = min((size_t)inode->attr.size_bytes, size);
	memcpy(to, buffer_data(b), len);
	buffer_put(b);
	return (ssize_t)strnlen(to, len);
}
