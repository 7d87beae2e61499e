/*
 * The reply to READDIR and READDIRPLUS.
 */
#include "dirbuf.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "node.h"
#include "vfs/namei.h"

/* The least that an entry takes in the plus form: its header and one rounded-up name. */
#define PLUS_ENTRY_BYTES_MIN 152u
/* The kernel asks for 4 KiB to 1 MiB; more than that would only be waste. */
#define DIRBUF_BYTES_MAX (1u << 20)

int dirbuf_init(struct dirbuf *d, fuse_req_t req, struct super *sb, size_t size_bytes, bool is_plus)
{
	memset(d, 0, sizeof(*d));
	d->req = req;
	d->sb = sb;
	d->size_bytes = min(size_bytes, (size_t)DIRBUF_BYTES_MAX);
	d->bytes = mem_alloc(max(d->size_bytes, (size_t)1));
	if (!d->bytes)
		return -ENOMEM;
	if (!is_plus)
		return 0;
	d->given_max = d->size_bytes / PLUS_ENTRY_BYTES_MIN + 1;
	d->given = mem_alloc(d->given_max * sizeof(*d->given));
	if (!d->given) {
		mem_free(d->bytes);
		return -ENOMEM;
	}
	return 0;
}

void dirbuf_done(struct dirbuf *d)
{
	mem_free(d->given);
	mem_free(d->bytes);
}

void dirbuf_undo(struct dirbuf *d)
{
	for (size_t i = 0; i < d->nr_given; i++)
		node_forget(d->sb, d->given[i], 1);
	d->nr_given = 0;
}

static bool is_dot(const struct name *name)
{
	return (name->len_bytes == 1 && name->text[0] == '.') ||
	       (name->len_bytes == 2 && name->text[0] == '.' && name->text[1] == '.');
}

/* Only number and type: all that READDIR tells, and what READDIRPLUS tells of the dots. */
static void plain_entry(inr_t ino, unsigned d_type, struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->attr.st_ino = ino;
	ret->attr.st_mode = (mode_t)d_type << 12;	/* as DTTOIF() has it */
}

static bool add_plain(struct dirbuf *d, const char *text, const struct fuse_entry_param *e, uint64_t next)
{
	size_t left = d->size_bytes - d->used_bytes;
	size_t need;

	if (d->given)
		need = fuse_add_direntry_plus(d->req, d->bytes + d->used_bytes, left, text, e, (off_t)next);
	else
		need = fuse_add_direntry(d->req, d->bytes + d->used_bytes, left, text, &e->attr, (off_t)next);
	if (need > left)
		return false;
	d->used_bytes += need;
	return true;
}

/* With attributes, and the inode given to the kernel. */
static bool add_given(struct dirbuf *d, const char *text, struct inode *inode, uint64_t next)
{
	struct fuse_entry_param e;

	node_entry(inode, &e);
	if (d->nr_given == d->given_max || !add_plain(d, text, &e, next)) {
		inode_put(inode);
		return false;
	}
	node_remember(inode);
	d->given[d->nr_given++] = e.ino;
	return true;
}

bool dirbuf_emit(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	char text[VFS_NAME_MAX + 1];
	struct fuse_entry_param e;
	struct dirbuf *d = arg;
	struct inode *inode;

	must(name->len_bytes <= VFS_NAME_MAX);
	memcpy(text, name->text, name->len_bytes);
	text[name->len_bytes] = '\0';
	if (d->given && fuse_add_direntry_plus(d->req, NULL, 0, text, NULL, 0) > d->size_bytes - d->used_bytes)
		return false;	/* before an inode is read for nothing */
	/* An inode that cannot be read is listed all the same; the error comes to who looks it up. */
	if (d->given && !is_dot(name) && inode_get(d->sb, ino, &inode) == 0)
		return add_given(d, text, inode, next);
	plain_entry(ino, d_type, &e);
	return add_plain(d, text, &e, next);
}
