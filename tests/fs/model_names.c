/*
 * Random operations on names.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "vfs/namei.h"

#define NAMES_OFTEN 14
#define METADATA_BLOCKS 12	/* what a change of names may need at most */

struct name_text {
	char text[ORACLE_NAME_MAX + 8];
	struct name name;
};

/* Mostly one of a few, so that names meet; some as long as can be, some impossible. */
static void choose_name(struct model *m, struct name_text *n)
{
	unsigned which = (unsigned)rand_below(&m->rand, NAMES_OFTEN);
	uint64_t kind = rand_below(&m->rand, 100);

	memset(n->text, 'x', sizeof(n->text));
	n->name.text = n->text;
	if (kind < 70) {
		n->name.len_bytes = (uint32_t)snprintf(n->text, sizeof(n->text), "n%u", which);
	} else if (kind < 94) {
		n->text[0] = (char)('a' + which);
		n->text[1] = (char)('a' + rand_below(&m->rand, 4));
		n->name.len_bytes = 200 + (uint32_t)rand_below(&m->rand, 3);
	} else {
		static const uint32_t lengths[] = {0, 1, 2, 255, 256, 3};

		n->name.len_bytes = lengths[kind - 94];
		if (n->name.len_bytes <= 2)
			n->text[0] = n->text[1] = '.';
	}
}

static struct onode *choose_node(struct model *m)
{
	return m->o->nodes[rand_below(&m->rand, m->o->nr_nodes)];
}

/* A directory as a rule; now and then something that is none. */
static struct onode *choose_dir(struct model *m)
{
	struct onode *node = choose_node(m);

	if (rand_one_in(&m->rand, 40))
		return node;
	for (int i = 0; i < 30 && !S_ISDIR(node->attr.mode); i++)
		node = choose_node(m);
	return S_ISDIR(node->attr.mode) ? node : m->o->root;
}

static const struct cred *choose_cred(struct model *m)
{
	return rand_one_in(&m->rand, 4) ? &stack_user : &stack_root;
}

#define NAME_ARGS(n) (int)min((n)->name.len_bytes, 12u), (n)->name.text, (n)->name.len_bytes

/* The new inode is where the oracle's new node is. */
static void meet(struct model *m, struct onode *node, struct inode *inode)
{
	node->ino = inode->ino;
	model_touch(m, node);
	inode_put(inode);
}

static mode_t choose_mode(struct model *m)
{
	static const mode_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

	return types[rand_below(&m->rand, array_size(types))] | (mode_t)rand_below(&m->rand, 010000);
}

static void step_mknod(struct model *m)
{
	struct onode *dir = choose_dir(m), *node;
	struct inode *parent = model_inode(m, dir), *inode;
	const struct cred *cred = choose_cred(m);
	uint32_t major = (uint32_t)rand_below(&m->rand, rand_one_in(&m->rand, 2) ? 256 : 4096);
	uint32_t minor = (uint32_t)rand_below(&m->rand, rand_one_in(&m->rand, 2) ? 256 : 1u << 20);
	mode_t mode = choose_mode(m);
	struct name_text n;
	int got, want;

	choose_name(m, &n);
	model_note(m, "mknod %o in %u, %.*s (%u)", mode, dir->ino, NAME_ARGS(&n));
	model_touch(m, dir);
	got = vfs_mknod(parent, &n.name, mode, major, minor, cred, &inode);
	inode_put(parent);
	if (!model_had_space(m, got, METADATA_BLOCKS))
		return;
	want = oracle_mknod(m->o, dir, &n.name, mode, major, minor, cred, &node);
	model_expect(m, got, want);
	if (!got)
		meet(m, node, inode);
}

static void choose_target(struct model *m, char *target, size_t size)
{
	static const size_t lengths[] = {0, 1, 20, 58, 59, 60, 61, 300, 1022, 1023, 1024, 2047, 2048, 4095, 4096};
	size_t len = lengths[rand_below(&m->rand, array_size(lengths))];

	memset(target, 0, size);
	memset(target, 'a' + (int)rand_below(&m->rand, 26), min(len, size - 1));
}

static void step_symlink(struct model *m)
{
	struct onode *dir = choose_dir(m), *node;
	struct inode *parent = model_inode(m, dir), *inode;
	const struct cred *cred = choose_cred(m);
	char target[4100];
	struct name_text n;
	int got, want;

	choose_name(m, &n);
	choose_target(m, target, sizeof(target));
	model_note(m, "symlink of %zu in %u, %.*s (%u)", strlen(target), dir->ino, NAME_ARGS(&n));
	model_touch(m, dir);
	got = vfs_symlink(parent, &n.name, target, cred, &inode);
	inode_put(parent);
	if (!model_had_space(m, got, METADATA_BLOCKS))
		return;
	want = oracle_symlink(m->o, dir, &n.name, target, cred, &node);
	model_expect(m, got, want);
	if (!got)
		meet(m, node, inode);
}

static void step_link(struct model *m)
{
	struct onode *dir = choose_dir(m), *node = choose_node(m);
	struct inode *parent = model_inode(m, dir), *inode = model_inode(m, node);
	struct name_text n;
	int got;

	choose_name(m, &n);
	model_note(m, "link %u in %u, %.*s (%u)", node->ino, dir->ino, NAME_ARGS(&n));
	model_touch(m, dir);
	model_touch(m, node);
	got = vfs_link(inode, parent, &n.name, &stack_root);
	inode_put(parent);
	inode_put(inode);
	if (model_had_space(m, got, METADATA_BLOCKS))
		model_expect(m, got, oracle_link(m->o, node, dir, &n.name));
}

/* Usually a name that is there. */
static void choose_victim(struct model *m, const struct onode *dir, struct name_text *n)
{
	const struct oentry *e;

	choose_name(m, n);
	if (dir->nr_entries == 0 || rand_one_in(&m->rand, 5))
		return;
	e = &dir->entries[rand_below(&m->rand, dir->nr_entries)];
	if (strcmp(e->name, "lost+found") == 0)
		return;
	memcpy(n->text, e->name, e->len_bytes);
	n->name.len_bytes = e->len_bytes;
}

static void touch_victim(struct model *m, struct onode *dir, const struct name_text *n)
{
	struct onode *victim = S_ISDIR(dir->attr.mode) ? oracle_find(dir, &n->name) : NULL;

	model_touch(m, dir);
	if (victim)
		model_touch(m, victim);
}

static void step_remove(struct model *m)
{
	struct onode *dir = choose_dir(m), *victim;
	struct inode *parent = model_inode(m, dir);
	const struct cred *cred = choose_cred(m);
	struct name_text n;
	bool by_rmdir;

	choose_victim(m, dir, &n);
	victim = S_ISDIR(dir->attr.mode) ? oracle_find(dir, &n.name) : NULL;
	by_rmdir = victim && S_ISDIR(victim->attr.mode);
	if (rand_one_in(&m->rand, 20))
		by_rmdir = !by_rmdir;
	model_note(m, "%s in %u, %.*s (%u)", by_rmdir ? "rmdir" : "unlink", dir->ino, NAME_ARGS(&n));
	touch_victim(m, dir, &n);
	if (by_rmdir)
		model_expect(m, vfs_rmdir(parent, &n.name, cred), oracle_rmdir(m->o, dir, &n.name, cred));
	else
		model_expect(m, vfs_unlink(parent, &n.name, cred), oracle_unlink(m->o, dir, &n.name, cred));
	inode_put(parent);
}

/* A whiteout was made by the oracle too: it learns where the file system put it. */
static void meet_whiteout(struct model *m, struct onode *dir, const struct name *name)
{
	struct onode *node = oracle_find(dir, name);
	struct inode *parent, *inode;

	if (!node || node->ino)
		return;
	parent = model_inode(m, dir);
	if (vfs_lookup(parent, name, &inode))
		model_fail(m, "no whiteout");
	inode_put(parent);
	meet(m, node, inode);
}

static void step_rename(struct model *m)
{
	static const uint32_t flags_often[] = {0, 0, 0, 0, RENAME_FLAG_NOREPLACE, RENAME_FLAG_EXCHANGE,
					       RENAME_FLAG_EXCHANGE, RENAME_FLAG_WHITEOUT,
					       RENAME_FLAG_NOREPLACE | RENAME_FLAG_WHITEOUT};
	struct onode *from = choose_dir(m), *to = rand_one_in(&m->rand, 3) ? from : choose_dir(m);
	struct inode *old_dir = model_inode(m, from), *new_dir = model_inode(m, to);
	uint32_t flags = flags_often[rand_below(&m->rand, array_size(flags_often))];
	const struct cred *cred = choose_cred(m);
	struct name_text old, new;
	int got;

	if (rand_one_in(&m->rand, 50))
		flags = (uint32_t)rand_below(&m->rand, 16);
	choose_victim(m, from, &old);
	choose_victim(m, to, &new);
	model_note(m, "rename %u, %.*s (%u) to %u, %.*s (%u), flags %x", from->ino, NAME_ARGS(&old), to->ino,
		   NAME_ARGS(&new), flags);
	touch_victim(m, from, &old);
	touch_victim(m, to, &new);
	got = vfs_rename(old_dir, &old.name, new_dir, &new.name, flags, cred);
	inode_put(old_dir);
	inode_put(new_dir);
	if (!model_had_space(m, got, METADATA_BLOCKS))
		return;
	model_expect(m, got, oracle_rename(m->o, from, &old.name, to, &new.name, flags, cred));
	if (!got && (flags & RENAME_FLAG_WHITEOUT))
		meet_whiteout(m, from, &old.name);
}

static void step_lookup(struct model *m)
{
	struct onode *dir = choose_dir(m), *node;
	struct inode *parent = model_inode(m, dir), *inode;
	struct name_text n;
	int got;

	choose_victim(m, dir, &n);
	model_note(m, "lookup in %u, %.*s (%u)", dir->ino, NAME_ARGS(&n));
	got = vfs_lookup(parent, &n.name, &inode);
	model_expect(m, got, oracle_lookup(dir, &n.name, &node));
	if (!got) {
		model_expect(m, inode->ino, node->ino);
		inode_put(inode);
	}
	inode_put(parent);
}

void model_step_names(struct model *m)
{
	uint64_t kind = rand_below(&m->rand, 100);

	if (kind < (m->is_shrinking ? 15 : 40))
		step_mknod(m);
	else if (kind < (m->is_shrinking ? 18 : 48))
		step_symlink(m);
	else if (kind < (m->is_shrinking ? 20 : 54))
		step_link(m);
	else if (kind < 75)
		step_remove(m);
	else if (kind < 93)
		step_rename(m);
	else
		step_lookup(m);
}
