/* The attribute block of an inode: given up when the inode goes. */
#include "xattr.h"

#include <errno.h>

#include "balloc.h"
#include "error.h"
#include "group.h"
#include "log.h"

static int count_down(struct handle *h, struct ext *fs, inr_t ino, struct buffer *b, bool *ret_was_last)
{
	struct ext_xattr_header *header = buffer_data(b);
	uint32_t refs;
	int err = meta_begin(h, b);

	if (err)
		return err;
	refs = le32_get(header->refcount);
	if (le32_get(header->magic) != EXT_XATTR_MAGIC || refs == 0 || refs > EXT_XATTR_REFCOUNT_MAX) {
		buffer_unlock(b);
		return ext_error(fs, ino, buffer_block(b), "not an attribute block");
	}
	*ret_was_last = refs == 1;
	if (refs > 1)
		header->refcount = le32_make(refs - 1);
	meta_end(h, b);
	return 0;
}

int ext_xattr_release(struct handle *h, struct inode *inode)
{
	struct ext_inode_info *info = info_of(inode);
	struct ext *fs = ext_of(inode);
	fsblk_t block = info->file_acl;
	bool was_last = false;
	struct buffer *b;
	int err;

	if (block == 0)
		return 0;
	info->file_acl = 0;
	if (!ext_blocks_are_for_files(fs, block, 1))
		return ext_error(fs, inode->ino, block, "an attribute block cannot lie there");
	err = log_ensure(h, inode, CREDITS_ALLOC + CREDITS_INODE + 1);
	if (!err)
		err = buffer_read(&fs->buffers, block, &b);
	if (err)
		return err;
	err = count_down(h, fs, inode->ino, b, &was_last);
	buffer_put(b);
	if (err || !was_last)
		return err;
	err = handle_forget(h, &fs->buffers, block);
	return first_error(err, balloc_free(h, fs, inode->ino, block, 1));
}
