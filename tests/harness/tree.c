/*
 * Two ways through a mounted tree: one that knows what must be there, one that trusts nothing.
 */
#include "harness/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "harness/stack.h"
#include "vfs/file.h"
#include "vfs/namei.h"

#define READ_BYTES 65536u

struct compare {
	struct super *sb;
	const struct tree_options *options;
	char *why;
	size_t why_size;
};

static bool differs(struct compare *c, const char *fmt, ...) printf_like(2, 3);

static bool differs(struct compare *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->why, c->why_size, fmt, args);
	va_end(args);
	return false;
}

/* Attributes. */

static bool same_time(struct compare *c, const char *which, inr_t ino, struct timespec is, struct timespec want)
{
	if (is.tv_sec == want.tv_sec && (is.tv_nsec == want.tv_nsec || !c->options->has_nanoseconds))
		return true;
	return differs(c, "inode %u: %s is %lld.%09ld, not %lld.%09ld", ino, which, (long long)is.tv_sec,
		       is.tv_nsec, (long long)want.tv_sec, want.tv_nsec);
}

static bool same_times(struct compare *c, const struct inode_attr *is, struct onode *node)
{
	if (node->times_are_vague || c->options->ignores_times) {
		node->attr.atime = is->atime;
		node->attr.mtime = is->mtime;
		node->attr.ctime = is->ctime;
		node->times_are_vague = false;
		return true;
	}
	return same_time(c, "atime", node->ino, is->atime, node->attr.atime) &&
	       same_time(c, "mtime", node->ino, is->mtime, node->attr.mtime) &&
	       same_time(c, "ctime", node->ino, is->ctime, node->attr.ctime);
}

static bool same_attr(struct compare *c, struct inode *inode, struct onode *node)
{
	const struct inode_attr *want = &node->attr;
	struct inode_attr is;

	inode_attr(inode, &is);
	if (inode->ino != node->ino)
		return differs(c, "inode %u where %u was", inode->ino, node->ino);
	if (is.mode != want->mode)
		return differs(c, "inode %u: mode %o, not %o", node->ino, is.mode, want->mode);
	if (is.nlink != want->nlink)
		return differs(c, "inode %u: %u links, not %u", node->ino, is.nlink, want->nlink);
	if (is.uid != want->uid || is.gid != want->gid)
		return differs(c, "inode %u: owned by %u:%u, not %u:%u", node->ino, is.uid, is.gid, want->uid,
			       want->gid);
	if (is.rdev_major != want->rdev_major || is.rdev_minor != want->rdev_minor)
		return differs(c, "inode %u: device %u:%u, not %u:%u", node->ino, is.rdev_major, is.rdev_minor,
			       want->rdev_major, want->rdev_minor);
	if (!S_ISDIR(is.mode) && is.size_bytes != want->size_bytes)
		return differs(c, "inode %u: %llu bytes, not %llu", node->ino, (unsigned long long)is.size_bytes,
			       (unsigned long long)want->size_bytes);
	return same_times(c, &is, node);
}

/* Contents. */

static size_t read_bytes(struct file *file, uint64_t pos, uint8_t *to, size_t len, int *ret_err)
{
	struct filemap_view view;
	size_t done = 0;

	*ret_err = file_read(file, pos, len, &view);
	if (*ret_err)
		return 0;
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		memcpy(to + done, view.iov[i].iov_base, view.iov[i].iov_len);
		done += view.iov[i].iov_len;
	}
	must(done == view.len_bytes);
	file_read_done(file, &view);
	return done;
}

static bool same_bytes(struct compare *c, struct file *file, const struct onode *node, uint64_t pos, size_t len)
{
	static _Thread_local uint8_t is[READ_BYTES], want[READ_BYTES];
	size_t n, want_n;
	int err;

	must(len <= READ_BYTES);
	n = read_bytes(file, pos, is, len, &err);
	want_n = oracle_read(node, pos, want, len);
	if (err)
		return differs(c, "inode %u: reading at %llu: %s", node->ino, (unsigned long long)pos,
			       strerror(-err));
	if (n != want_n)
		return differs(c, "inode %u: reading %zu bytes at %llu gave %zu, not %zu", node->ino, len,
			       (unsigned long long)pos, n, want_n);
	for (size_t i = 0; i < n; i++)
		if (is[i] != want[i])
			return differs(c, "inode %u: byte %llu is %02x, not %02x", node->ino,
				       (unsigned long long)pos + i, is[i], want[i]);
	return true;
}

/* Everything that the file system calls data. */
static bool same_data_ranges(struct compare *c, struct file *file, const struct onode *node)
{
	uint64_t pos = 0, end;
	int err;

	while ((err = file_seek(file, pos, SEEK_DATA, &pos)) == 0) {
		err = file_seek(file, pos, SEEK_HOLE, &end);
		if (err || end <= pos)
			return differs(c, "inode %u: no end of the data at %llu", node->ino, (unsigned long long)pos);
		for (; pos < end; pos += READ_BYTES)
			if (!same_bytes(c, file, node, pos, (size_t)min(end - pos, (uint64_t)READ_BYTES)))
				return false;
		pos = end;
	}
	return err == -ENXIO || differs(c, "inode %u: SEEK_DATA: %s", node->ino, strerror(-err));
}

static bool same_contents(struct compare *c, struct inode *inode, const struct onode *node)
{
	struct file *file;
	bool same;

	if (file_open(inode, O_RDONLY, &stack_root, &file))
		return differs(c, "inode %u: cannot be opened", node->ino);
	same = same_data_ranges(c, file, node);
	for (size_t i = 0; same && i < node->nr_chunks; i++)
		same = same_bytes(c, file, node, node->chunks[i].index * ORACLE_CHUNK, ORACLE_CHUNK);
	if (same)	/* what lies at and behind the end */
		same = same_bytes(c, file, node, node->attr.size_bytes > 100 ? node->attr.size_bytes - 100 : 0, 1000);
	file_close(file);
	return same;
}

static bool same_target(struct compare *c, struct inode *inode, const struct onode *node)
{
	char target[VFS_SYMLINK_MAX + 1];
	ssize_t len = vfs_readlink(inode, target, sizeof(target));

	if (len < 0)
		return differs(c, "inode %u: readlink: %s", node->ino, strerror((int)-len));
	if ((size_t)len != strlen(node->target) || memcmp(target, node->target, (size_t)len))
		return differs(c, "inode %u: another target", node->ino);
	return true;
}

/* Directories. */

struct listing {
	struct compare *c;
	const struct onode *dir;
	size_t nr_seen, nr_dots;
	uint64_t last;
	bool is_same;
};

static unsigned d_type_of(mode_t mode)
{
	return IFTODT(mode);
}

static bool same_entry(struct listing *l, const struct name *name, inr_t ino, unsigned d_type)
{
	bool is_dot = name->len_bytes == 1 && name->text[0] == '.';
	bool is_dotdot = name->len_bytes == 2 && memcmp(name->text, "..", 2) == 0;
	const struct onode *want = is_dot ? l->dir : is_dotdot ? l->dir->parent : oracle_find(l->dir, name);

	l->nr_dots += is_dot || is_dotdot;
	l->nr_seen++;
	if (!want)
		return differs(l->c, "inode %u: entry %.*s should not be there", l->dir->ino, (int)name->len_bytes,
			       name->text);
	if (want->ino != ino || d_type != d_type_of(want->attr.mode))
		return differs(l->c, "inode %u: entry %.*s is inode %u of type %u, not %u of type %u", l->dir->ino,
			       (int)name->len_bytes, name->text, ino, d_type, want->ino,
			       d_type_of(want->attr.mode));
	return true;
}

static bool list_entry_seen(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	struct listing *l = arg;

	l->last = next;
	l->is_same = l->is_same && same_entry(l, name, ino, d_type);
	return l->is_same;
}

static bool same_listing(struct compare *c, struct inode *inode, const struct onode *node)
{
	struct listing l = {.c = c, .dir = node, .is_same = true};
	int err = dir_read(inode, 0, list_entry_seen, &l);

	if (err)
		return differs(c, "inode %u: readdir: %s", node->ino, strerror(-err));
	if (!l.is_same)
		return false;
	if (node->attr.nlink == 0)
		return l.nr_seen == 0 || differs(c, "inode %u: removed, but it lists", node->ino);
	if (l.nr_dots != 2 || l.nr_seen != node->nr_entries + 2)
		return differs(c, "inode %u: %zu entries listed, not %zu", node->ino, l.nr_seen, node->nr_entries + 2);
	return true;
}

static bool same_inode(struct compare *c, struct inode *inode, struct onode *node, bool with_contents)
{
	if (!same_attr(c, inode, node))
		return false;
	if (!with_contents)
		return true;
	if (S_ISREG(node->attr.mode))
		return same_contents(c, inode, node);
	if (S_ISLNK(node->attr.mode))
		return same_target(c, inode, node);
	return !S_ISDIR(node->attr.mode) || same_listing(c, inode, node);
}

bool tree_same_inode(struct inode *inode, struct onode *node, const struct tree_options *options,
		     bool with_contents, char *why, size_t why_size)
{
	struct compare c = {.sb = inode->sb, .options = options, .why = why, .why_size = why_size};

	return same_inode(&c, inode, node, with_contents);
}

static bool same_below(struct compare *c, struct inode *inode, struct onode *node);

static bool same_child(struct compare *c, struct inode *dir, const struct oentry *e)
{
	struct name name = {e->name, e->len_bytes};
	struct inode *inode;
	int err = vfs_lookup(dir, &name, &inode);
	bool same;

	if (err)
		return differs(c, "inode %u: %s is not found: %s", dir->ino, e->name, strerror(-err));
	same = same_below(c, inode, e->node);
	inode_put(inode);
	return same;
}

static bool same_below(struct compare *c, struct inode *inode, struct onode *node)
{
	if (!same_inode(c, inode, node, true))
		return false;
	for (size_t i = 0; i < node->nr_entries; i++)
		if (!same_child(c, inode, &node->entries[i]))
			return false;
	return true;
}

bool tree_same(struct inode *root, struct oracle *o, const struct tree_options *options, char *why,
	       size_t why_size)
{
	struct compare c = {.sb = root->sb, .options = options, .why = why, .why_size = why_size};

	return same_below(&c, root, o->root);
}

/* A tree of which nothing is known. */

#define WALK_ENTRIES_MAX 512u

struct found {
	char name[VFS_NAME_MAX];
	uint32_t len_bytes;
};

struct walk {
	unsigned steps_left, nr_errors, nr_seen;
};

struct gather {
	struct found *found;
	unsigned nr;
};

static bool gather_entry(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	struct gather *g = arg;

	(void)ino, (void)d_type, (void)next;
	must(name->len_bytes >= 1 && name->len_bytes <= VFS_NAME_MAX);
	if (name->len_bytes <= 2 && memcmp(name->text, "..", name->len_bytes) == 0)
		return true;
	if (g->nr == WALK_ENTRIES_MAX)
		return false;
	memcpy(g->found[g->nr].name, name->text, name->len_bytes);
	g->found[g->nr++].len_bytes = name->len_bytes;
	return true;
}

static void look_at_file(struct walk *w, struct inode *inode)
{
	static _Thread_local uint8_t bytes[READ_BYTES];
	struct file *file;
	uint64_t pos;
	int err;

	err = file_open(inode, O_RDONLY, &stack_root, &file);
	w->nr_errors += err != 0;
	if (err)
		return;
	read_bytes(file, 0, bytes, READ_BYTES, &err);
	w->nr_errors += err != 0;
	if (inode->attr.size_bytes > READ_BYTES)
		read_bytes(file, inode->attr.size_bytes - READ_BYTES, bytes, READ_BYTES, &err);
	ignore(file_seek(file, 0, SEEK_DATA, &pos), "any answer will do");
	file_close(file);
}

static void walk_below(struct walk *w, struct inode *inode, unsigned depth);

static void walk_dir(struct walk *w, struct inode *dir, unsigned depth)
{
	struct gather g = {.found = malloc(WALK_ENTRIES_MAX * sizeof(struct found))};
	struct inode *child;

	must(g.found);
	w->nr_errors += dir_read(dir, 0, gather_entry, &g) != 0;
	for (unsigned i = 0; i < g.nr && w->steps_left; i++) {
		struct name name = {g.found[i].name, g.found[i].len_bytes};

		if (vfs_lookup(dir, &name, &child)) {
			w->nr_errors++;
			w->steps_left--;
			continue;
		}
		walk_below(w, child, depth + 1);
		inode_put(child);
	}
	free(g.found);
}

static void walk_below(struct walk *w, struct inode *inode, unsigned depth)
{
	char target[VFS_SYMLINK_MAX + 1];
	struct inode_attr attr;

	if (w->steps_left == 0)
		return;
	w->steps_left--;
	w->nr_seen++;
	inode_attr(inode, &attr);
	if (S_ISREG(attr.mode))
		look_at_file(w, inode);
	else if (S_ISLNK(attr.mode))
		w->nr_errors += vfs_readlink(inode, target, sizeof(target)) < 0;
	else if (S_ISDIR(attr.mode) && depth < 16)
		walk_dir(w, inode, depth);
}

unsigned tree_walk(struct super *sb, unsigned steps_max, unsigned *ret_errors)
{
	struct walk w = {.steps_left = steps_max};

	walk_below(&w, sb->root, 0);
	*ret_errors = w.nr_errors;
	return w.nr_seen;
}
