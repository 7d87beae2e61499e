/* Regular files and directories, opened. */
#include "file.h"

#include <errno.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "balloc.h"
#include "blockmap.h"
#include "cache/filemap.h"
#include "cred.h"
#include "dax.h"
#include "dir.h"
#include "error.h"
#include "log.h"
#include "sync.h"
#include "truncate.h"

static int ext_read(struct inode *inode, uint64_t pos, size_t len, struct readahead_state *ra,
		    struct filemap_view *view)
{
	if (ext_is_dax(inode))
		return dax_read(inode, pos, len, view);
	return filemap_read(&inode->mapping, pos, len, inode->attr.size_bytes, ra, view);
}

static ssize_t write_some(struct inode *inode, uint64_t pos, const void *from, size_t len, bool may_use_reserved)
{
	if (ext_is_dax(inode))
		return dax_write(inode, pos, from, len, may_use_reserved);
	return filemap_write(&inode->mapping, pos, from, len, inode->attr.size_bytes, may_use_reserved);
}

static ssize_t ext_write(struct inode *inode, uint64_t pos, const void *from, size_t len, const struct cred *cred)
{
	struct ext *fs = ext_of(inode);
	ssize_t done = 0, n;
	unsigned tries = 0;
	int err = ext_may_write(fs);

	if (err)
		return err;
	do {
		n = write_some(inode, pos + (size_t)done, (const char *)from + done, len - (size_t)done,
			       ext_may_use_reserved(fs, cred));
		if (n > 0)
			done += n;
	} while ((size_t)done < len && log_frees_space(fs, n < 0 ? (int)n : -ENOSPC, &tries));
	return done ? done : n;
}

/* Goes run by run from pos on until one of the wanted kind; the end of the file is a hole. */
static int ext_seek(struct inode *inode, uint64_t pos, int whence, uint64_t *ret_pos)
{
	unsigned bits = ext_of(inode)->geo.block_bits;
	uint64_t size = inode->attr.size_bytes;
	bool wants_data = whence == SEEK_DATA;
	lblk_t end = (size + ext_of(inode)->geo.block_size - 1) >> bits;
	lblk_t lblk = pos >> bits;

	if (pos >= size)
		return -ENXIO;
	while (lblk < end) {
		struct block_run run;
		int err = blockmap_find(inode, lblk, end - lblk, &run);

		if (err)
			return err;
		if ((run.block != 0) == wants_data) {
			*ret_pos = max(pos, (uint64_t)lblk << bits);
			return 0;
		}
		lblk += run.count;
	}
	*ret_pos = size;
	return wants_data ? -ENXIO : 0;
}

/* The format has no unwritten blocks: holes can be punched, space cannot be set aside. */
static int ext_fallocate(struct inode *inode, int mode, uint64_t pos, uint64_t len)
{
	int err = ext_may_write(ext_of(inode));

	if (err)
		return err;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	return ext_punch_hole(inode, pos, len);
}

/* Closed after writing: what it reserved is for others now. */
static void ext_release(struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);

	rwlock_write_lock(&info->tree_lock);
	balloc_drop_window(ext_of(inode), info);
	rwlock_write_unlock(&info->tree_lock);
}

const struct file_ops ext_file_ops = {
	.read = ext_read,
	.write = ext_write,
	.fsync = ext_fsync,
	.seek = ext_seek,
	.fallocate = ext_fallocate,
	.release = ext_release,
};

const struct file_ops ext_dir_ops = {
	.fsync = ext_fsync,
	.readdir = dir_list,
};
