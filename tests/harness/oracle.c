/*
 * The model: written from POSIX and Linux's manual pages, with nothing shared with src/vfs, so that
 * a mistake must be made twice to stay unseen.
 */
#include "harness/oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define FLAGS_PROTECT (INODE_IMMUTABLE | INODE_APPEND)
#define DAY_SECONDS 86400

/* Memory of the model: the tests make mem.h fail, and the model must not. */
static void *grow(void *old, size_t nr, size_t size)
{
	void *p = realloc(old, nr * size);

	must(p);
	return p;
}

/* Nodes. */

static bool is_dir(const struct onode *node)
{
	return S_ISDIR(node->attr.mode);
}

static struct onode *node_new(struct oracle *o, mode_t mode)
{
	struct onode *node = calloc(1, sizeof(*node));

	must(node);
	node->attr.mode = mode;
	node->attr.atime = node->attr.mtime = node->attr.ctime = o->now;
	o->nodes = grow(o->nodes, o->nr_nodes + 1, sizeof(*o->nodes));
	node->slot = o->nr_nodes;
	o->nodes[o->nr_nodes++] = node;
	return node;
}

static void drop_chunks(struct onode *node, size_t from)
{
	for (size_t i = from; i < node->nr_chunks; i++)
		free(node->chunks[i].bytes);
	node->nr_chunks = min(node->nr_chunks, from);
}

static void node_free(struct oracle *o, struct onode *node)
{
	o->nodes[node->slot] = o->nodes[--o->nr_nodes];
	o->nodes[node->slot]->slot = node->slot;
	drop_chunks(node, 0);
	free(node->chunks);
	free(node->entries);
	free(node->target);
	free(node);
}

static void free_if_gone(struct oracle *o, struct onode *node)
{
	if (node->attr.nlink == 0 && node->nr_held == 0)
		node_free(o, node);
}

void oracle_hold(struct onode *node)
{
	node->nr_held++;
}

void oracle_release(struct oracle *o, struct onode *node)
{
	must(node->nr_held > 0);
	node->nr_held--;
	free_if_gone(o, node);
}

struct oracle *oracle_create(const struct oracle_limits *limits, const struct inode_attr *root_attr)
{
	struct oracle *o = calloc(1, sizeof(*o));

	must(o);
	o->limits = *limits;
	o->root = node_new(o, root_attr->mode);
	o->root->attr = *root_attr;
	o->root->parent = o->root;
	return o;
}

void oracle_destroy(struct oracle *o)
{
	while (o->nr_nodes)
		node_free(o, o->nodes[0]);
	free(o->nodes);
	free(o);
}

static void touch(struct oracle *o, struct onode *node, uint32_t which)
{
	if (which & SETATTR_MTIME)
		node->attr.mtime = o->now;
	if (which & SETATTR_CTIME)
		node->attr.ctime = o->now;
}

static void touch_dir(struct oracle *o, struct onode *dir)
{
	touch(o, dir, SETATTR_MTIME | SETATTR_CTIME);
}

/* Entries. */

static struct oentry *entry_of(const struct onode *dir, const struct name *name)
{
	for (size_t i = 0; i < dir->nr_entries; i++)
		if (dir->entries[i].len_bytes == name->len_bytes &&
		    memcmp(dir->entries[i].name, name->text, name->len_bytes) == 0)
			return &dir->entries[i];
	return NULL;
}

struct onode *oracle_find(const struct onode *dir, const struct name *name)
{
	struct oentry *e = entry_of(dir, name);

	return e ? e->node : NULL;
}

static void entry_add(struct oracle *o, struct onode *dir, const struct name *name, struct onode *node)
{
	struct oentry *e;

	dir->entries = grow(dir->entries, dir->nr_entries + 1, sizeof(*dir->entries));
	e = &dir->entries[dir->nr_entries++];
	memcpy(e->name, name->text, name->len_bytes);
	e->name[name->len_bytes] = 0;
	e->len_bytes = name->len_bytes;
	e->node = node;
	touch_dir(o, dir);
}

static void entry_remove(struct oracle *o, struct onode *dir, const struct name *name)
{
	struct oentry *e = entry_of(dir, name);

	*e = dir->entries[dir->nr_entries - 1];
	dir->nr_entries--;
	touch_dir(o, dir);
}

static bool is_dots(const struct name *name)
{
	return (name->len_bytes == 1 || name->len_bytes == 2) && memcmp(name->text, "..", name->len_bytes) == 0;
}

static int check_name(const struct onode *dir, const struct name *name)
{
	if (!is_dir(dir))
		return -ENOTDIR;
	if (name->len_bytes == 0)
		return -ENOENT;
	return name->len_bytes > ORACLE_NAME_MAX ? -ENAMETOOLONG : 0;
}

int oracle_lookup(const struct onode *dir, const struct name *name, struct onode **ret_node)
{
	int err = check_name(dir, name);

	if (err)
		return err;
	if (name->len_bytes == 1 && name->text[0] == '.')
		*ret_node = (struct onode *)dir;
	else if (dir->attr.nlink == 0)
		return -ENOENT;
	else if (is_dots(name))
		*ret_node = dir->parent;
	else
		*ret_node = oracle_find(dir, name);
	return *ret_node ? 0 : -ENOENT;
}

/* Making. */

static int check_add(const struct onode *dir, const struct name *name)
{
	int err = check_name(dir, name);

	if (err)
		return err;
	if (is_dots(name) || oracle_find(dir, name))
		return -EEXIST;
	if (dir->attr.nlink == 0)
		return -ENOENT;
	return dir->attr.flags & INODE_IMMUTABLE ? -EPERM : 0;
}

static void inherit(const struct onode *dir, struct onode *node, const struct cred *cred)
{
	node->attr.uid = cred->uid;
	node->attr.gid = cred->gid;
	if (!(dir->attr.mode & S_ISGID))
		return;
	node->attr.gid = dir->attr.gid;
	if (is_dir(node))
		node->attr.mode |= S_ISGID;
}

static struct onode *make(struct oracle *o, struct onode *dir, const struct name *name, mode_t mode,
			  const struct cred *cred)
{
	struct onode *node = node_new(o, mode);

	inherit(dir, node, cred);
	node->attr.nlink = 1;
	if (is_dir(node)) {
		node->attr.nlink = 2;
		node->parent = dir;
		dir->attr.nlink++;
	}
	entry_add(o, dir, name, node);
	return node;
}

int oracle_mknod(struct oracle *o, struct onode *dir, const struct name *name, mode_t mode, uint32_t major,
		 uint32_t minor, const struct cred *cred, struct onode **ret_node)
{
	int err = check_add(dir, name);

	if (!err && S_ISDIR(mode) && dir->attr.nlink >= o->limits.links_max)
		err = -EMLINK;
	if (err)
		return err;
	*ret_node = make(o, dir, name, mode, cred);
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		(*ret_node)->attr.rdev_major = major;
		(*ret_node)->attr.rdev_minor = minor;
	}
	return 0;
}

int oracle_symlink(struct oracle *o, struct onode *dir, const struct name *name, const char *target,
		   const struct cred *cred, struct onode **ret_node)
{
	int err;

	if (!*target)
		return -ENOENT;
	if (strlen(target) > 4095)
		return -ENAMETOOLONG;
	err = check_add(dir, name);
	if (!err && strlen(target) > o->limits.symlink_max)
		err = -ENAMETOOLONG;
	if (err)
		return err;
	*ret_node = make(o, dir, name, S_IFLNK | 0777, cred);
	(*ret_node)->target = strdup(target);
	(*ret_node)->attr.size_bytes = strlen(target);
	return 0;
}

int oracle_tmpfile(struct oracle *o, struct onode *dir, mode_t mode, const struct cred *cred,
		   struct onode **ret_node)
{
	struct onode *node;

	if (!is_dir(dir))
		return -ENOTDIR;
	if (dir->attr.nlink == 0)
		return -ENOENT;
	if (dir->attr.flags & INODE_IMMUTABLE)
		return -EPERM;
	node = node_new(o, S_IFREG | mode);
	inherit(dir, node, cred);
	*ret_node = node;
	return 0;
}

int oracle_link(struct oracle *o, struct onode *node, struct onode *dir, const struct name *name)
{
	int err = check_add(dir, name);

	if (err)
		return err;
	if (is_dir(node) || (node->attr.flags & FLAGS_PROTECT))
		return -EPERM;
	if (node->attr.nlink == 0)
		return -ENOENT;
	if (node->attr.nlink >= o->limits.links_max)
		return -EMLINK;
	node->attr.nlink++;
	touch(o, node, SETATTR_CTIME);
	entry_add(o, dir, name, node);
	return 0;
}

/* Removing. */

static int check_delete(const struct onode *dir, const struct onode *victim, const struct cred *cred)
{
	if ((dir->attr.flags | victim->attr.flags) & FLAGS_PROTECT)
		return -EPERM;
	if (!(dir->attr.mode & S_ISVTX) || cred->uid == 0)
		return 0;
	return cred->uid == dir->attr.uid || cred->uid == victim->attr.uid ? 0 : -EPERM;
}

static int find_victim(const struct onode *dir, const struct name *name, const struct cred *cred,
		       struct onode **ret_victim)
{
	int err = check_name(dir, name);

	if (err)
		return err;
	*ret_victim = dir->attr.nlink ? oracle_find(dir, name) : NULL;
	return *ret_victim ? check_delete(dir, *ret_victim, cred) : -ENOENT;
}

static void drop_name(struct oracle *o, struct onode *node)
{
	touch(o, node, SETATTR_CTIME);
	node->attr.nlink = is_dir(node) ? 0 : node->attr.nlink - 1;
}

int oracle_unlink(struct oracle *o, struct onode *dir, const struct name *name, const struct cred *cred)
{
	struct onode *victim;
	int err;

	if (is_dir(dir) && name->len_bytes && is_dots(name))
		return -EISDIR;
	err = find_victim(dir, name, cred, &victim);
	if (!err && is_dir(victim))
		err = -EISDIR;
	if (err)
		return err;
	entry_remove(o, dir, name);
	drop_name(o, victim);
	free_if_gone(o, victim);
	return 0;
}

int oracle_rmdir(struct oracle *o, struct onode *dir, const struct name *name, const struct cred *cred)
{
	struct onode *victim;
	int err;

	if (is_dir(dir) && name->len_bytes && is_dots(name))
		return name->len_bytes == 1 ? -EINVAL : -ENOTEMPTY;
	err = find_victim(dir, name, cred, &victim);
	if (!err && !is_dir(victim))
		err = -ENOTDIR;
	if (!err && victim->nr_entries)
		err = -ENOTEMPTY;
	if (err)
		return err;
	entry_remove(o, dir, name);
	dir->attr.nlink--;
	drop_name(o, victim);
	free_if_gone(o, victim);
	return 0;
}

/* Renaming. */

static bool is_at_or_below(const struct onode *node, const struct onode *dir)
{
	for (;; node = node->parent) {
		if (node == dir)
			return true;
		if (node == node->parent || node->attr.nlink == 0)
			return false;
	}
}

struct orename {
	struct onode *old_dir, *new_dir, *node, *target;
	const struct name *old_name, *new_name;
	uint32_t flags;
};

static int check_rename_names(const struct orename *r)
{
	const uint32_t all = RENAME_FLAG_NOREPLACE | RENAME_FLAG_EXCHANGE | RENAME_FLAG_WHITEOUT;
	int err;

	if ((r->flags & ~all) || ((r->flags & RENAME_FLAG_EXCHANGE) && (r->flags & ~RENAME_FLAG_EXCHANGE)))
		return -EINVAL;
	err = check_name(r->old_dir, r->old_name);
	if (!err)
		err = check_name(r->new_dir, r->new_name);
	if (err)
		return err;
	if (is_dots(r->old_name))
		return -EBUSY;
	if (is_dots(r->new_name))
		return r->flags & RENAME_FLAG_NOREPLACE ? -EEXIST : -EBUSY;
	return 0;
}

static int check_rename_tree(struct orename *r)
{
	bool exchanges = r->flags & RENAME_FLAG_EXCHANGE;

	if (r->old_dir->attr.nlink == 0 || r->new_dir->attr.nlink == 0)
		return -ENOENT;
	r->node = oracle_find(r->old_dir, r->old_name);
	r->target = oracle_find(r->new_dir, r->new_name);
	if (!r->node)
		return -ENOENT;
	if (r->target && (r->flags & RENAME_FLAG_NOREPLACE))
		return -EEXIST;
	if (!r->target && exchanges)
		return -ENOENT;
	if (is_dir(r->node) && is_at_or_below(r->new_dir, r->node))
		return -EINVAL;
	if (r->target && is_dir(r->target) && is_at_or_below(r->old_dir, r->target))
		return exchanges ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_rename_rules(const struct oracle *o, const struct orename *r, const struct cred *cred)
{
	bool exchanges = r->flags & RENAME_FLAG_EXCHANGE;
	bool target_is_dir = r->target && is_dir(r->target);
	int err = check_delete(r->old_dir, r->node, cred);

	if (!err && r->target)
		err = check_delete(r->new_dir, r->target, cred);
	else if (!err && (r->new_dir->attr.flags & INODE_IMMUTABLE))
		err = -EPERM;
	if (err)
		return err;
	if (r->target && !exchanges && is_dir(r->node) != target_is_dir)
		return target_is_dir ? -EISDIR : -ENOTDIR;
	if (r->old_dir != r->new_dir && is_dir(r->node) && !target_is_dir &&
	    r->new_dir->attr.nlink >= o->limits.links_max)
		return -EMLINK;
	if (r->old_dir != r->new_dir && exchanges && !is_dir(r->node) && target_is_dir &&
	    r->old_dir->attr.nlink >= o->limits.links_max)
		return -EMLINK;
	if (!exchanges && target_is_dir && r->target->nr_entries)
		return -ENOTEMPTY;
	return 0;
}

static void set_parent(struct onode *node, struct onode *from, struct onode *to)
{
	if (!is_dir(node) || from == to)
		return;
	node->parent = to;
	from->attr.nlink--;
	to->attr.nlink++;
}

static void do_exchange(struct oracle *o, const struct orename *r)
{
	entry_of(r->old_dir, r->old_name)->node = r->target;
	entry_of(r->new_dir, r->new_name)->node = r->node;
	set_parent(r->node, r->old_dir, r->new_dir);
	set_parent(r->target, r->new_dir, r->old_dir);
	touch(o, r->target, SETATTR_CTIME);
}

static void do_move(struct oracle *o, const struct orename *r, const struct cred *cred)
{
	if (r->target) {
		entry_remove(o, r->new_dir, r->new_name);
		if (is_dir(r->target))
			r->new_dir->attr.nlink--;
		drop_name(o, r->target);
		free_if_gone(o, r->target);
	}
	entry_remove(o, r->old_dir, r->old_name);
	entry_add(o, r->new_dir, r->new_name, r->node);
	set_parent(r->node, r->old_dir, r->new_dir);
	if (r->flags & RENAME_FLAG_WHITEOUT)
		make(o, r->old_dir, r->old_name, S_IFCHR, cred);
}

int oracle_rename(struct oracle *o, struct onode *old_dir, const struct name *old_name, struct onode *new_dir,
		  const struct name *new_name, uint32_t flags, const struct cred *cred)
{
	struct orename r = {.old_dir = old_dir, .new_dir = new_dir, .old_name = old_name,
			    .new_name = new_name, .flags = flags};
	int err = check_rename_names(&r);

	if (!err)
		err = check_rename_tree(&r);
	if (err || r.node == r.target)
		return err;
	err = check_rename_rules(o, &r, cred);
	if (err)
		return err;
	touch(o, r.node, SETATTR_CTIME);
	touch_dir(o, old_dir);
	touch_dir(o, new_dir);
	if (flags & RENAME_FLAG_EXCHANGE)
		do_exchange(o, &r);
	else
		do_move(o, &r, cred);
	return 0;
}

/* Attributes. */

static int check_setattr(const struct oracle *o, const struct onode *node, const struct setattr *sa)
{
	if (node->attr.flags & INODE_IMMUTABLE)
		return -EPERM;
	if ((node->attr.flags & INODE_APPEND) &&
	    (sa->valid & (SETATTR_MODE | SETATTR_UID | SETATTR_GID | SETATTR_SIZE | SETATTR_ATIME | SETATTR_MTIME)))
		return -EPERM;
	if (!(sa->valid & SETATTR_SIZE))
		return 0;
	if (is_dir(node))
		return -EISDIR;
	if (!S_ISREG(node->attr.mode))
		return -EINVAL;
	return sa->size_bytes > o->limits.file_bytes_max ? -EFBIG : 0;
}

static void clear_setid(struct onode *node)
{
	node->attr.mode &= ~(mode_t)S_ISUID;
	if (node->attr.mode & S_IXGRP)
		node->attr.mode &= ~(mode_t)S_ISGID;
}

static struct ochunk *find_chunk(const struct onode *node, uint64_t index, size_t *ret_at)
{
	size_t low = 0, high = node->nr_chunks;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (node->chunks[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_at = low;
	return low < node->nr_chunks && node->chunks[low].index == index ? &node->chunks[low] : NULL;
}

static void set_size(struct onode *node, uint64_t size)
{
	struct ochunk *edge;
	size_t at;

	node->attr.size_bytes = size;
	edge = find_chunk(node, size / ORACLE_CHUNK, &at);
	if (edge) {
		memset(edge->bytes + size % ORACLE_CHUNK, 0, ORACLE_CHUNK - size % ORACLE_CHUNK);
		at++;
	}
	drop_chunks(node, at);
}

int oracle_setattr(struct oracle *o, struct onode *node, const struct setattr *sa, const struct cred *cred)
{
	int err = check_setattr(o, node, sa);

	if (err)
		return err;
	if (!is_dir(node) && ((sa->valid & (SETATTR_UID | SETATTR_GID | SETATTR_KILL_PRIV)) ||
			      ((sa->valid & SETATTR_SIZE) && !cred->has_fsetid)))
		clear_setid(node);
	if (sa->valid & SETATTR_MODE)
		node->attr.mode = (node->attr.mode & S_IFMT) | (sa->mode & 07777);
	if (sa->valid & SETATTR_UID)
		node->attr.uid = sa->uid;
	if (sa->valid & SETATTR_GID)
		node->attr.gid = sa->gid;
	touch(o, node, SETATTR_CTIME);
	if (sa->valid & (SETATTR_SIZE | SETATTR_MTIME_NOW))
		touch(o, node, SETATTR_MTIME);
	if (sa->valid & SETATTR_SIZE)
		set_size(node, sa->size_bytes);
	if (sa->valid & SETATTR_ATIME)
		node->attr.atime = sa->atime;
	if (sa->valid & SETATTR_ATIME_NOW)
		node->attr.atime = o->now;
	if (sa->valid & SETATTR_MTIME)
		node->attr.mtime = sa->mtime;
	return 0;
}

/* Bytes. */

ssize_t oracle_can_write(const struct oracle *o, uint64_t pos, size_t len)
{
	if (pos >= o->limits.file_bytes_max)
		return -EFBIG;
	return (ssize_t)min((uint64_t)len, o->limits.file_bytes_max - pos);
}

static uint8_t *chunk_for_write(struct onode *node, uint64_t index)
{
	struct ochunk *chunk;
	size_t at;

	chunk = find_chunk(node, index, &at);
	if (chunk)
		return chunk->bytes;
	node->chunks = grow(node->chunks, node->nr_chunks + 1, sizeof(*node->chunks));
	chunk = &node->chunks[at];
	memmove(chunk + 1, chunk, (node->nr_chunks - at) * sizeof(*chunk));
	node->nr_chunks++;
	chunk->index = index;
	chunk->bytes = calloc(1, ORACLE_CHUNK);
	must(chunk->bytes);
	return chunk->bytes;
}

void oracle_write(struct oracle *o, struct onode *node, uint64_t pos, const void *from, size_t len)
{
	const uint8_t *bytes = from;

	while (len > 0) {
		uint64_t in_chunk = pos % ORACLE_CHUNK;
		size_t n = (size_t)min((uint64_t)len, ORACLE_CHUNK - in_chunk);

		memcpy(chunk_for_write(node, pos / ORACLE_CHUNK) + in_chunk, bytes, n);
		pos += n;
		bytes += n;
		len -= n;
	}
	node->attr.size_bytes = max(node->attr.size_bytes, pos);
	touch(o, node, SETATTR_MTIME | SETATTR_CTIME);
}

size_t oracle_read(const struct onode *node, uint64_t pos, void *to, size_t len)
{
	uint8_t *bytes = to;
	size_t done = 0, at;

	if (pos >= node->attr.size_bytes)
		return 0;
	len = (size_t)min((uint64_t)len, node->attr.size_bytes - pos);
	while (done < len) {
		uint64_t in_chunk = (pos + done) % ORACLE_CHUNK;
		size_t n = (size_t)min((uint64_t)(len - done), ORACLE_CHUNK - in_chunk);
		struct ochunk *chunk = find_chunk(node, (pos + done) / ORACLE_CHUNK, &at);

		if (chunk)
			memcpy(bytes + done, chunk->bytes + in_chunk, n);
		else
			memset(bytes + done, 0, n);
		done += n;
	}
	return len;
}

static bool is_after(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

void oracle_accessed(struct oracle *o, struct onode *node)
{
	struct inode_attr *a = &node->attr;

	if (is_after(a->atime, a->mtime) && is_after(a->atime, a->ctime) &&
	    o->now.tv_sec - a->atime.tv_sec < DAY_SECONDS)
		return;
	a->atime = o->now;
}
