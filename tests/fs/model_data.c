/*
 * Random operations on bytes, attributes and open files.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "base/assert.h"
#include "model.h"
#include "vfs/namei.h"

#define WRITE_MAX (200u << 10)
#define TREE_BLOCKS 12		/* what a write may need besides its data */

static struct onode *choose_of(struct model *m, mode_t type)
{
	struct onode *node = NULL;

	for (int i = 0; i < 30 && (!node || (node->attr.mode & S_IFMT) != type); i++)
		node = m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];
	return (node->attr.mode & S_IFMT) == type ? node : NULL;
}

/* Where blocks are found in another way: the first through each further level of the tree. */
static uint64_t border(const struct model *m, uint64_t which)
{
	uint64_t block = m->config.recipe.block_bytes, per_block = block / 4;
	const uint64_t borders[] = {12, 12 + per_block, 12 + per_block + per_block * per_block,
				    m->o->limits.file_bytes_max / block};

	return borders[which] * block;
}

static uint64_t choose_pos(struct model *m, const struct onode *node)
{
	uint64_t block = m->config.recipe.block_bytes, pos;

	switch (rand_below(&m->rand, 12)) {
	case 0 ... 3:
		return rand_below(&m->rand, node->attr.size_bytes + 1);
	case 4 ... 5:
		return node->attr.size_bytes;
	case 6 ... 7:
		return rand_below(&m->rand, 40 * block);
	case 8:
		return rand_below(&m->rand, 8) * block;
	case 9 ... 10:
		pos = border(m, rand_below(&m->rand, 4)) + rand_below(&m->rand, 4 * block);
		return pos - min(pos, 2 * block);
	default:
		return rand_below(&m->rand, m->o->limits.file_bytes_max + 10);
	}
}

static size_t choose_len(struct model *m)
{
	switch (rand_below(&m->rand, 4)) {
	case 0:
		return 1 + (size_t)rand_below(&m->rand, 100);
	case 1:
		return (size_t)m->config.recipe.block_bytes << rand_below(&m->rand, 3);
	case 2:
		return 1 + (size_t)rand_below(&m->rand, 20000);
	default:
		return 1 + (size_t)rand_below(&m->rand, WRITE_MAX);
	}
}

/* An open file of the node: one that is held already, or opened for this step. */
static struct file *open_node(struct model *m, struct onode *node, bool *ret_is_mine)
{
	struct inode *inode;
	struct file *file;

	for (unsigned i = 0; i < MODEL_HELD; i++) {
		*ret_is_mine = false;
		if (m->held[i].node == node && m->held[i].file)
			return m->held[i].file;
	}
	inode = model_inode(m, node);
	if (file_open(inode, O_RDWR, &stack_root, &file))
		model_fail(m, "inode %u cannot be opened", node->ino);
	inode_put(inode);
	*ret_is_mine = true;
	return file;
}

static void step_write(struct model *m)
{
	static _Thread_local uint8_t bytes[WRITE_MAX + 8192];
	struct onode *node = choose_of(m, S_IFREG);
	bool kills = rand_one_in(&m->rand, 8), is_mine;
	struct setattr kill = {.valid = SETATTR_KILL_PRIV};
	struct file *file;
	ssize_t got, most;
	uint64_t pos;
	size_t len;

	if (!node)
		return;
	pos = choose_pos(m, node);
	len = choose_len(m);
	rand_fill(&m->rand, bytes, len);
	model_note(m, "write %zu at %llu to %u", len, (unsigned long long)pos, node->ino);
	model_touch(m, node);
	file = open_node(m, node, &is_mine);
	got = file_write(file, pos, bytes, len, kills);
	if (is_mine)
		file_close(file);
	most = oracle_can_write(m->o, pos, len);
	if (most > 0 && kills)
		must(oracle_setattr(m->o, node, &kill, &stack_root) == 0);
	if (most > 0 && got > 0 && got < most)	/* a partial write is a lack of space that counts */
		model_had_space(m, -ENOSPC, (uint64_t)most / m->config.recipe.block_bytes + TREE_BLOCKS);
	else if (model_had_space(m, got, (uint64_t)len / m->config.recipe.block_bytes + TREE_BLOCKS))
		model_expect(m, got, most);
	if (got > 0)
		oracle_write(m->o, node, pos, bytes, (size_t)got);
}

static void step_read(struct model *m)
{
	static _Thread_local uint8_t want[WRITE_MAX + 8192];
	struct onode *node = choose_of(m, S_IFREG);
	struct filemap_view view;
	struct file *file;
	size_t len, done = 0;
	uint64_t pos;
	bool is_mine;
	int err;

	if (!node)
		return;
	pos = choose_pos(m, node);
	len = choose_len(m);
	model_note(m, "read %zu at %llu of %u", len, (unsigned long long)pos, node->ino);
	model_touch(m, node);
	file = open_node(m, node, &is_mine);
	err = file_read(file, pos, len, &view);
	if (err)
		model_fail(m, "read: %s", strerror(-err));
	model_expect(m, (ssize_t)view.len_bytes, (ssize_t)oracle_read(node, pos, want, len));
	for (uint32_t i = 0; i < view.nr_iov; i++) {
		if (memcmp(view.iov[i].iov_base, want + done, view.iov[i].iov_len))
			model_fail(m, "other bytes, between %zu and %zu of what was read", done,
				   done + view.iov[i].iov_len);
		done += view.iov[i].iov_len;
	}
	file_read_done(file, &view);
	if (is_mine)
		file_close(file);
	oracle_accessed(m->o, node);
}

static void setattr_both(struct model *m, struct onode *node, const struct setattr *wish, const struct cred *cred)
{
	struct inode *inode = model_inode(m, node);
	struct setattr sa = *wish;
	int got;

	model_touch(m, node);
	got = vfs_setattr(inode, &sa, cred);
	inode_put(inode);
	if (model_had_space(m, got, TREE_BLOCKS))
		model_expect(m, got, oracle_setattr(m->o, node, wish, cred));
}

static void step_truncate(struct model *m)
{
	struct onode *node = rand_one_in(&m->rand, 30) ? m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)]
						       : choose_of(m, S_IFREG);
	struct setattr sa = {.valid = SETATTR_SIZE};

	if (!node)
		return;
	sa.size_bytes = rand_one_in(&m->rand, 4) ? 0 : choose_pos(m, node);
	model_note(m, "truncate %u to %llu", node->ino, (unsigned long long)sa.size_bytes);
	setattr_both(m, node, &sa, rand_one_in(&m->rand, 3) ? &stack_user : &stack_root);
}

static struct timespec choose_time(struct model *m)
{
	struct timespec t = {.tv_sec = (time_t)rand_below(&m->rand, 1u << 31)};

	if (m->tree_options.has_nanoseconds) {
		t.tv_sec = (time_t)rand_below(&m->rand, 4ull << 32) - (1ll << 31);
		t.tv_nsec = (long)rand_below(&m->rand, 1000000000);
	}
	return t;
}

static void step_setattr(struct model *m)
{
	struct onode *node = m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];
	struct setattr sa = {
		.valid = (uint32_t)rand_below(&m->rand, SETATTR_KILL_PRIV << 1) & ~(SETATTR_SIZE | SETATTR_CTIME),
		.mode = (mode_t)rand_below(&m->rand, 010000),
		.uid = (uid_t)rand_u64(&m->rand) & 0x7fffffff,
		.gid = (gid_t)rand_u64(&m->rand) & 0x7fffffff,
		.atime = choose_time(m),
		.mtime = choose_time(m),
	};

	if (sa.valid & SETATTR_ATIME)
		sa.valid &= ~SETATTR_ATIME_NOW;
	if (sa.valid & SETATTR_MTIME)
		sa.valid &= ~SETATTR_MTIME_NOW;
	model_note(m, "setattr %x of %u", sa.valid, node->ino);
	setattr_both(m, node, &sa, rand_one_in(&m->rand, 3) ? &stack_user : &stack_root);
}

static void punch_oracle(struct model *m, struct onode *node, uint64_t pos, uint64_t len)
{
	static const uint8_t zeros[ORACLE_CHUNK];
	uint64_t end = min(pos + len, node->attr.size_bytes);

	for (size_t i = 0; i < node->nr_chunks; i++) {
		uint64_t from = max(pos, node->chunks[i].index * ORACLE_CHUNK);
		uint64_t to = min(end, (node->chunks[i].index + 1) * ORACLE_CHUNK);

		if (from < to)
			oracle_write(m->o, node, from, zeros, (size_t)(to - from));
	}
	node->attr.mtime = node->attr.ctime = m->o->now;
}

static void step_punch(struct model *m)
{
	struct onode *node = choose_of(m, S_IFREG);
	struct file *file;
	uint64_t pos, len;
	bool is_mine;
	int got;

	if (!node)
		return;
	pos = choose_pos(m, node);
	len = choose_len(m) * (rand_one_in(&m->rand, 3) ? 1000 : 1);
	if (pos + len > m->o->limits.file_bytes_max)
		return;
	model_note(m, "punch %llu at %llu of %u", (unsigned long long)len, (unsigned long long)pos, node->ino);
	model_touch(m, node);
	file = open_node(m, node, &is_mine);
	got = file_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos, len);
	if (is_mine)
		file_close(file);
	model_expect(m, got, 0);
	if (pos < node->attr.size_bytes)
		punch_oracle(m, node, pos, len);
}

static bool skip_entry(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	(void)arg, (void)name, (void)ino, (void)d_type, (void)next;
	return true;
}

static void step_visit(struct model *m)
{
	struct onode *node = choose_of(m, rand_one_in(&m->rand, 2) ? S_IFDIR : S_IFLNK);
	struct inode *inode;
	char target[VFS_SYMLINK_MAX];

	if (!node)
		return;
	model_note(m, "visit %u", node->ino);
	model_touch(m, node);
	inode = model_inode(m, node);
	if (S_ISDIR(node->attr.mode))
		model_expect(m, dir_read(inode, 0, skip_entry, NULL), 0);
	else
		model_expect(m, vfs_readlink(inode, target, sizeof(target)), (ssize_t)node->attr.size_bytes);
	inode_put(inode);
	oracle_accessed(m->o, node);
}

/* Holds a node, or gives up one that is held. */
static void step_hold(struct model *m)
{
	struct held *h = &m->held[rand_below(&m->rand, MODEL_HELD)];
	struct onode *node = m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];

	if (h->node) {
		model_note(m, "release %u, %u links", h->node->ino, h->node->attr.nlink);
		file_close(h->file);
		inode_put(h->inode);
		oracle_release(m->o, h->node);
		*h = (struct held){0};
		return;
	}
	model_note(m, "hold %u", node->ino);
	h->node = node;
	h->inode = model_inode(m, node);
	oracle_hold(node);
	if (S_ISREG(node->attr.mode) && file_open(h->inode, O_RDWR, &stack_root, &h->file))
		model_fail(m, "inode %u cannot be opened", node->ino);
}

static void step_tmpfile(struct model *m)
{
	struct held *h = &m->held[rand_below(&m->rand, MODEL_HELD)];
	struct onode *dir = choose_of(m, S_IFDIR), *node;
	struct inode *parent, *inode;
	int got;

	if (h->node || !dir)
		return;
	model_note(m, "tmpfile in %u", dir->ino);
	model_touch(m, dir);
	parent = model_inode(m, dir);
	got = vfs_tmpfile(parent, 0600, &stack_user, &inode);
	inode_put(parent);
	if (!model_had_space(m, got, TREE_BLOCKS))
		return;
	model_expect(m, got, oracle_tmpfile(m->o, dir, 0600, &stack_user, &node));
	if (got)
		return;
	node->ino = inode->ino;
	h->node = node;
	h->inode = inode;
	oracle_hold(node);
	if (file_open(inode, O_RDWR, &stack_root, &h->file))
		model_fail(m, "a nameless file cannot be opened");
}

static void step_sync(struct model *m)
{
	struct onode *node = m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];
	struct inode *inode;
	bool is_mine;
	struct file *file;

	model_note(m, "sync %u", node->ino);
	if (rand_one_in(&m->rand, 3)) {
		model_expect(m, super_sync(m->stack.sb), 0);
	} else if (S_ISREG(node->attr.mode)) {
		file = open_node(m, node, &is_mine);
		model_expect(m, file_fsync(file, rand_one_in(&m->rand, 2)), 0);
		if (is_mine)
			file_close(file);
	} else if (S_ISDIR(node->attr.mode)) {
		inode = model_inode(m, node);
		model_expect(m, dir_fsync(inode, false), 0);
		inode_put(inode);
	}
}

static void compare_contents(struct model *m)
{
	struct onode *node = m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];
	struct inode *inode = model_inode(m, node);
	char why[300];

	model_note(m, "compare %u", node->ino);
	model_stop_atime(m);
	if (!tree_same_inode(inode, node, &m->tree_options, true, why, sizeof(why)))
		model_fail(m, "%s", why);
	model_move_atime(m);
	inode_put(inode);
}

void model_step_data(struct model *m)
{
	uint64_t kind = rand_below(&m->rand, 100);

	if (kind < (m->is_shrinking ? 12 : 38))
		step_write(m);
	else if (kind < 52)
		step_truncate(m);
	else if (kind < 64)
		step_read(m);
	else if (kind < 72)
		step_setattr(m);
	else if (kind < 78)
		step_punch(m);
	else if (kind < 82)
		step_visit(m);
	else if (kind < 92)
		step_hold(m);
	else if (kind < 94)
		step_tmpfile(m);
	else if (kind < 97)
		step_sync(m);
	else
		compare_contents(m);
}
