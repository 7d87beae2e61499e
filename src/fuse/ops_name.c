/*
 * Operations on names.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "convert.h"
#include "node.h"
#include "ops.h"
#include "vfs/namei.h"

static struct cred cred_of(fuse_req_t req)
{
	struct cred cred;

	convert_cred(fuse_req_ctx(req), &cred);
	return cred;
}

/* A look-up that found nothing is an answer too, and worth remembering. */
static void reply_negative(fuse_req_t req)
{
	struct fuse_entry_param e;

	node_negative_entry(&e);
	fuse_reply_entry(req, &e);
}

/* "." is asked of any inode, to find out whether a number from an old handle still means one. */
static int lookup(struct inode *dir, const char *text, struct inode **ret_inode)
{
	struct name name = convert_name(text);

	if (strcmp(text, ".") == 0) {
		*ret_inode = inode_ref(dir);
		return 0;
	}
	return vfs_lookup(dir, &name, ret_inode);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir, *inode;
	int err;

	if (!node_of(req, parent, &dir))
		return;
	err = lookup(dir, name, &inode);
	inode_put(dir);
	if (err == -ENOENT)
		reply_negative(req);
	else if (err)
		reply_error(req, err);
	else
		reply_entry(req, inode);
}

void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t nr)
{
	node_forget(front_of(req)->sb, id, nr);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(front_of(req)->sb, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t id)
{
	char target[VFS_SYMLINK_MAX + 1];
	struct inode *inode;
	ssize_t len;

	if (!node_of(req, id, &inode))
		return;
	len = vfs_readlink(inode, target, sizeof(target) - 1);
	inode_put(inode);
	if (len < 0) {
		reply_error(req, (int)len);
		return;
	}
	target[len] = '\0';
	fuse_reply_readlink(req, target);
}

/* The common end of all that make a name: err, or inode for the kernel. */
static void reply_made(fuse_req_t req, int err, struct inode *inode)
{
	if (err)
		reply_error(req, err);
	else
		reply_entry(req, inode);
}

static void make_node(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, dev_t rdev)
{
	struct name name = convert_name(text);
	struct cred cred = cred_of(req);
	struct inode *dir, *inode = NULL;
	int err;

	if (!node_of(req, parent, &dir))
		return;
	err = vfs_mknod(dir, &name, mode, major(rdev), minor(rdev), &cred, &inode);
	inode_put(dir);
	reply_made(req, err, inode);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_node(req, parent, name, mode, rdev);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_node(req, parent, name, S_IFDIR | (mode & 07777), 0);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *text)
{
	struct name name = convert_name(text);
	struct cred cred = cred_of(req);
	struct inode *dir, *inode = NULL;
	int err;

	if (!node_of(req, parent, &dir))
		return;
	err = vfs_symlink(dir, &name, target, &cred, &inode);
	inode_put(dir);
	reply_made(req, err, inode);
}

void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *text)
{
	struct name name = convert_name(text);
	struct cred cred = cred_of(req);
	struct inode *inode, *dir;
	int err;

	if (!node_of(req, id, &inode))
		return;
	if (!node_of(req, parent, &dir)) {
		inode_put(inode);
		return;
	}
	err = vfs_link(inode, dir, &name, &cred);
	inode_put(dir);
	if (err)
		inode_put(inode);
	reply_made(req, err, inode);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *text,
			int (*remove)(struct inode *dir, const struct name *name, const struct cred *cred))
{
	struct name name = convert_name(text);
	struct cred cred = cred_of(req);
	struct inode *dir;
	int err;

	if (!node_of(req, parent, &dir))
		return;
	err = remove(dir, &name, &cred);
	inode_put(dir);
	reply_error(req, err);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, vfs_unlink);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, vfs_rmdir);
}

void op_rename(fuse_req_t req, fuse_ino_t old_parent, const char *old_text, fuse_ino_t new_parent,
	       const char *new_text, unsigned flags)
{
	struct name old_name = convert_name(old_text);
	struct name new_name = convert_name(new_text);
	struct cred cred = cred_of(req);
	struct inode *old_dir, *new_dir;
	int err;

	if (!node_of(req, old_parent, &old_dir))
		return;
	if (!node_of(req, new_parent, &new_dir)) {
		inode_put(old_dir);
		return;
	}
	/* The flags' values are renameat2's own, and RENAME_FLAG_* are the same. */
	err = vfs_rename(old_dir, &old_name, new_dir, &new_name, flags, &cred);
	inode_put(new_dir);
	inode_put(old_dir);
	reply_error(req, err);
}
