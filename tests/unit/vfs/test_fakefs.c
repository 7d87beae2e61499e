/*
 * The fake file system itself: what is made is found, what is removed is gone, and a node that
 * nobody names any more is noticed. The other tests of the vfs rest on it.
 */
#include "fakefs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "harness/runner.h"

const struct cred fake_root = {.uid = 0, .gid = 0, .has_fsetid = true, .may_use_reserved = true};
const struct cred fake_user = {.uid = 1000, .gid = 1000};

static struct fakefs *fs_of(const struct inode *inode)
{
	return fakefs_of(inode->sb);
}

static struct fake_node *node_of(const struct inode *inode)
{
	must(inode->ino < FAKE_NODES);
	return &fs_of(inode)->nodes[inode->ino];
}

/* That somebody holds it; who, only the debug build's ranks could tell. */
static void must_be_locked(struct inode *inode)
{
	must(!rwlock_write_trylock(&inode->lock));
}

/* The disk. Its lock is held. */

static struct fake_entry *entry_find(struct fake_node *dir, const struct name *name)
{
	for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
		struct fake_entry *e = &dir->entries[i];

		if (e->ino && e->len_bytes == name->len_bytes &&
		    memcmp(e->name, name->text, name->len_bytes) == 0)
			return e;
	}
	return NULL;
}

static int entry_add(struct fake_node *dir, const struct name *name, inr_t ino)
{
	must(!entry_find(dir, name));
	must(name->len_bytes > 0 && name->len_bytes <= VFS_NAME_MAX);
	for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
		struct fake_entry *e = &dir->entries[i];

		if (e->ino)
			continue;
		memcpy(e->name, name->text, name->len_bytes);
		e->len_bytes = name->len_bytes;
		e->ino = ino;
		return 0;
	}
	return -ENOSPC;
}

static bool dir_is_empty(const struct fake_node *dir)
{
	for (unsigned i = 0; i < FAKE_ENTRIES; i++)
		if (dir->entries[i].ino)
			return false;
	return true;
}

static inr_t node_alloc(struct fakefs *fs)
{
	for (inr_t ino = FAKE_ROOT; ino < FAKE_NODES; ino++) {
		if (fs->nodes[ino].is_used)
			continue;
		fs->nodes[ino] = (struct fake_node){.is_used = true};
		return ino;
	}
	return 0;
}

static void node_free(struct fake_node *node)
{
	must(node->is_used);
	mem_free(node->entries);
	mem_free(node->symlink);
	*node = (struct fake_node){0};
}

/* Changes the links of an inode and of its node; the inode's lock is held. */
static void add_links(struct inode *inode, int by)
{
	mutex_lock(&inode->attr_lock);
	inode->attr.nlink += (uint32_t)by;
	mutex_unlock(&inode->attr_lock);
	node_of(inode)->attr.nlink = inode->attr.nlink;
}

/* Names. */

static int fake_lookup(struct inode *dir, const struct name *name, inr_t *ret_ino)
{
	struct fakefs *fs = fs_of(dir);
	struct fake_entry *e;

	must_be_locked(dir);
	fs->nr_lookups++;
	mutex_lock(&fs->disk_lock);
	e = entry_find(node_of(dir), name);
	if (e)
		*ret_ino = e->ino;
	mutex_unlock(&fs->disk_lock);
	return e ? 0 : -ENOENT;
}

static const struct inode_ops fake_inode_ops;
static const struct file_ops fake_file_ops;

static void fill_node(struct fake_node *node, const struct inode *dir, const struct new_inode *wish,
		      struct timespec now)
{
	node->attr = (struct inode_attr){.mode = wish->mode, .nlink = S_ISDIR(wish->mode) ? 2 : 1,
					 .uid = wish->uid, .gid = wish->gid, .atime = now, .mtime = now,
					 .ctime = now, .rdev_major = wish->rdev_major,
					 .rdev_minor = wish->rdev_minor};
	node->parent = dir->ino;
	if (S_ISDIR(wish->mode)) {
		node->entries = mem_zalloc(FAKE_ENTRIES * sizeof(*node->entries));
		must(node->entries);
	}
	if (wish->symlink) {
		node->symlink = mem_strdup(wish->symlink);
		must(node->symlink && strlen(node->symlink) == wish->symlink_bytes);
	}
}

static void load(struct inode *inode)
{
	inode->attr = node_of(inode)->attr;
	inode->iops = &fake_inode_ops;
	inode->fops = &fake_file_ops;
}

/* A new inode without a name; the creator's own error leaves it to be evicted unborn. */
static int make_inode(struct inode *dir, const struct new_inode *wish, struct inode **ret_inode)
{
	struct fakefs *fs = fs_of(dir);
	inr_t ino;
	int err;

	mutex_lock(&fs->disk_lock);
	ino = node_alloc(fs);
	if (ino)
		fill_node(&fs->nodes[ino], dir, wish, clock_wall(fs->sb.clock));
	mutex_unlock(&fs->disk_lock);
	if (!ino)
		return -ENOSPC;
	err = inode_create(dir->sb, ino, ret_inode);
	must(err == 0);
	load(*ret_inode);
	if (fs->create_error) {
		inode_put(*ret_inode);
		return fs->create_error;
	}
	return 0;
}

static int fake_create(struct inode *dir, const struct name *name, const struct new_inode *wish,
		       struct inode **ret_inode)
{
	struct fakefs *fs = fs_of(dir);
	struct inode *inode;
	int err;

	must_be_locked(dir);
	must(dir->attr.nlink > 0);
	err = make_inode(dir, wish, &inode);
	if (err)
		return err;
	mutex_lock(&fs->disk_lock);
	err = entry_add(node_of(dir), name, inode->ino);
	if (!err && S_ISDIR(wish->mode))
		add_links(dir, 1);
	mutex_unlock(&fs->disk_lock);
	if (err) {
		inode_put(inode);
		return err;
	}
	inode_set_live(inode);
	*ret_inode = inode;
	return 0;
}

static int fake_link_op(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct fakefs *fs = fs_of(dir);
	int err;

	must_be_locked(dir);
	must_be_locked(inode);
	must(inode->attr.nlink > 0 && inode->attr.nlink < FAKE_LINKS_MAX && !inode_is_dir(inode));
	mutex_lock(&fs->disk_lock);
	err = entry_add(node_of(dir), name, inode->ino);
	if (!err)
		add_links(inode, 1);
	mutex_unlock(&fs->disk_lock);
	return err;
}

static void remove_entry(struct inode *dir, const struct name *name, const struct inode *inode)
{
	struct fake_entry *e = entry_find(node_of(dir), name);

	must(e && e->ino == inode->ino);
	*e = (struct fake_entry){0};
}

static int fake_unlink_op(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct fakefs *fs = fs_of(dir);

	must_be_locked(dir);
	must_be_locked(inode);
	must(!inode_is_dir(inode));
	if (fs->unlink_error)
		return fs->unlink_error;
	mutex_lock(&fs->disk_lock);
	remove_entry(dir, name, inode);
	add_links(inode, -1);
	mutex_unlock(&fs->disk_lock);
	return 0;
}

static void drop_dir(struct inode *parent, struct inode *dir)
{
	add_links(dir, -(int)dir->attr.nlink);
	add_links(parent, -1);
}

static int fake_rmdir_op(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct fakefs *fs = fs_of(dir);
	bool is_empty;

	must_be_locked(dir);
	must_be_locked(inode);
	must(inode_is_dir(inode));
	mutex_lock(&fs->disk_lock);
	is_empty = dir_is_empty(node_of(inode));
	if (is_empty) {
		remove_entry(dir, name, inode);
		drop_dir(dir, inode);
	}
	mutex_unlock(&fs->disk_lock);
	return is_empty ? 0 : -ENOTEMPTY;
}

static void move_dir(struct inode *inode, struct inode *from, struct inode *to)
{
	if (!inode_is_dir(inode) || from == to)
		return;
	node_of(inode)->parent = to->ino;
	add_links(from, -1);
	add_links(to, 1);
}

static void exchange(const struct rename *r)
{
	entry_find(node_of(r->old_dir), r->old_name)->ino = r->target->ino;
	entry_find(node_of(r->new_dir), r->new_name)->ino = r->inode->ino;
	move_dir(r->inode, r->old_dir, r->new_dir);
	move_dir(r->target, r->new_dir, r->old_dir);
}

static int replace(const struct rename *r)
{
	if (r->target && inode_is_dir(r->target) && !dir_is_empty(node_of(r->target)))
		return -ENOTEMPTY;
	remove_entry(r->old_dir, r->old_name, r->inode);
	if (r->target) {
		remove_entry(r->new_dir, r->new_name, r->target);
		if (inode_is_dir(r->target))
			drop_dir(r->new_dir, r->target);
		else
			add_links(r->target, -1);
	}
	move_dir(r->inode, r->old_dir, r->new_dir);
	must(entry_add(node_of(r->new_dir), r->new_name, r->inode->ino) == 0);
	return 0;
}

static int fake_rename_op(const struct rename *r)
{
	struct fakefs *fs = fs_of(r->old_dir);
	int err = 0;

	must_be_locked(r->old_dir);
	must_be_locked(r->new_dir);
	must_be_locked(r->inode);
	must(r->inode != r->target);
	if (r->target)
		must_be_locked(r->target);
	mutex_lock(&fs->disk_lock);
	if (r->flags & RENAME_FLAG_EXCHANGE)
		exchange(r);
	else
		err = replace(r);
	mutex_unlock(&fs->disk_lock);
	return err;
}

static ssize_t fake_readlink(struct inode *inode, char *to, size_t size)
{
	const char *target = node_of(inode)->symlink;
	size_t len = min(size, strlen(target));

	must_be_locked(inode);
	memcpy(to, target, len);
	return (ssize_t)len;
}

static int fake_setattr(struct inode *inode, const struct setattr *sa)
{
	struct fakefs *fs = fs_of(inode);

	must_be_locked(inode);
	fs->nr_setattrs++;
	fs->last_setattr = sa->valid;
	attr_apply(inode, sa);
	mutex_lock(&fs->disk_lock);
	if (sa->valid & SETATTR_SIZE) {
		mutex_lock(&inode->attr_lock);
		inode->attr.size_bytes = sa->size_bytes;
		mutex_unlock(&inode->attr_lock);
	}
	node_of(inode)->attr = inode->attr;
	mutex_unlock(&fs->disk_lock);
	return 0;
}

static int fake_tmpfile(struct inode *dir, const struct new_inode *wish, struct inode **ret_inode)
{
	int err;

	must_be_locked(dir);
	err = make_inode(dir, wish, ret_inode);
	if (err)
		return err;
	mutex_lock(&fs_of(dir)->disk_lock);
	add_links(*ret_inode, -1);
	mutex_unlock(&fs_of(dir)->disk_lock);
	inode_set_live(*ret_inode);
	return 0;
}

static int fake_parent(struct inode *dir, inr_t *ret_ino)
{
	struct fakefs *fs = fs_of(dir);

	must_be_locked(dir);
	must(inode_is_dir(dir));
	mutex_lock(&fs->disk_lock);
	*ret_ino = node_of(dir)->parent;
	mutex_unlock(&fs->disk_lock);
	return 0;
}

static const struct inode_ops fake_inode_ops = {
	.lookup = fake_lookup, .create = fake_create, .link = fake_link_op, .unlink = fake_unlink_op,
	.rmdir = fake_rmdir_op, .rename = fake_rename_op, .readlink = fake_readlink,
	.setattr = fake_setattr, .tmpfile = fake_tmpfile, .parent = fake_parent,
};

/* Bytes: only their number is kept. */

static int fake_read(struct inode *inode, uint64_t pos, size_t len, struct readahead_state *ra,
		     struct filemap_view *view)
{
	must_be_locked(inode);
	must(ra);
	memset(view, 0, sizeof(*view));
	if (pos < inode->attr.size_bytes)
		view->len_bytes = min(len, (size_t)(inode->attr.size_bytes - pos));
	return 0;
}

static ssize_t fake_write(struct inode *inode, uint64_t pos, const void *from, size_t len,
			  const struct cred *cred)
{
	must_be_locked(inode);
	must(from && cred);
	fs_of(inode)->last_write_len = len;
	mutex_lock(&inode->attr_lock);
	inode->attr.size_bytes = max(inode->attr.size_bytes, pos + len);
	mutex_unlock(&inode->attr_lock);
	return (ssize_t)len;
}

static int fake_fsync(struct inode *inode, bool datasync)
{
	struct fakefs *fs = fs_of(inode);

	fs->nr_fsyncs++;
	fs->last_was_datasync = datasync;
	return 0;
}

static int fake_readdir(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg)
{
	struct fake_node *node = node_of(dir);

	must_be_locked(dir);
	for (; pos < FAKE_ENTRIES; pos++) {
		struct name name = {node->entries[pos].name, node->entries[pos].len_bytes};

		if (node->entries[pos].ino && !emit(arg, &name, node->entries[pos].ino, 0, pos + 1))
			break;
	}
	return 0;
}

static const struct file_ops fake_file_ops = {
	.read = fake_read, .write = fake_write, .fsync = fake_fsync, .readdir = fake_readdir,
};

/* The mount. */

static struct inode *fake_alloc_inode(struct super *sb)
{
	struct inode *inode = mem_zalloc(sizeof(*inode));

	if (!inode)
		return NULL;
	inode_init(inode, sb);
	fakefs_of(sb)->nr_alive++;
	return inode;
}

static void fake_free_inode(struct inode *inode)
{
	fs_of(inode)->nr_alive--;
	inode_done(inode);
	mem_free(inode);
}

static int fake_read_inode(struct inode *inode)
{
	struct fakefs *fs = fs_of(inode);
	int err = fs->read_error;

	fs->nr_reads++;
	if (fs->on_read)
		fs->on_read(inode);
	mutex_lock(&fs->disk_lock);
	if (!err && !node_of(inode)->is_used)
		err = -ESTALE;
	if (!err)
		load(inode);
	mutex_unlock(&fs->disk_lock);
	return err;
}

static void fake_evict_inode(struct inode *inode)
{
	struct fakefs *fs = fs_of(inode);

	must(atomic_load(&inode->refs) == 0);
	must(rwlock_write_trylock(&inode->lock));
	rwlock_write_unlock(&inode->lock);
	fs->nr_evicts++;
	if (fs->on_evict)
		fs->on_evict(inode);
	mutex_lock(&fs->disk_lock);
	if (inode->attr.nlink == 0) {
		fs->nr_frees++;
		node_free(node_of(inode));
	} else {
		node_of(inode)->attr = inode->attr;
	}
	mutex_unlock(&fs->disk_lock);
}

static int fake_sync(struct super *sb, bool wait)
{
	(void)wait;
	fakefs_of(sb)->nr_fsyncs++;
	return 0;
}

static int fake_put_super(struct super *sb)
{
	super_drop_inodes(sb);
	super_done(sb);
	return 0;
}

static const struct super_ops fake_super_ops = {
	.alloc_inode = fake_alloc_inode, .free_inode = fake_free_inode, .read_inode = fake_read_inode,
	.evict_inode = fake_evict_inode, .sync = fake_sync, .put_super = fake_put_super,
};

struct fakefs *fakefs_mount(uint32_t unused_max)
{
	struct timespec start = {.tv_sec = 1000000000};
	struct super_config config = {.unused_inodes_max = unused_max, .dentries_max = 64};
	struct fakefs *fs = mem_zalloc(sizeof(*fs));
	struct fake_node *root = &fs->nodes[FAKE_ROOT];

	must(fs);
	config.clock = clock_create_virtual(start);
	must(config.clock);
	mutex_init(&fs->disk_lock, RANK_MAPPING, "fake disk");
	must(super_init(&fs->sb, &fake_super_ops, &config) == 0);
	fs->sb.file_bytes_max = FAKE_BYTES_MAX;
	fs->sb.links_max = FAKE_LINKS_MAX;
	root->is_used = true;
	root->parent = FAKE_ROOT;
	root->attr = (struct inode_attr){.mode = S_IFDIR | 0755, .nlink = 2, .atime = start,
					 .mtime = start, .ctime = start};
	root->entries = mem_zalloc(FAKE_ENTRIES * sizeof(*root->entries));
	must(root->entries);
	must(inode_get(&fs->sb, FAKE_ROOT, &fs->sb.root) == 0);
	return fs;
}

static void count_names(struct fakefs *fs, const struct fake_node *dir, inr_t dir_ino, uint32_t *links)
{
	for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
		inr_t ino = dir->entries[i].ino;

		if (!ino)
			continue;
		must(ino < FAKE_NODES && fs->nodes[ino].is_used);
		links[ino]++;
		if (S_ISDIR(fs->nodes[ino].attr.mode)) {
			must(fs->nodes[ino].parent == dir_ino);
			links[ino]++;
			links[dir_ino]++;
			must(links[ino] < 100);	/* a loop would go on for ever */
			count_names(fs, &fs->nodes[ino], ino, links);
		}
	}
}

void fakefs_check(struct fakefs *fs)
{
	uint32_t links[FAKE_NODES] = {[FAKE_ROOT] = 2};

	mutex_lock(&fs->disk_lock);
	count_names(fs, &fs->nodes[FAKE_ROOT], FAKE_ROOT, links);
	for (inr_t ino = 0; ino < FAKE_NODES; ino++)
		if (fs->nodes[ino].is_used)
			must(fs->nodes[ino].attr.nlink == links[ino]);
		else
			must(links[ino] == 0);
	mutex_unlock(&fs->disk_lock);
}

void fakefs_unmount(struct fakefs *fs)
{
	struct clock *clock = fs->sb.clock;

	must(super_shutdown(&fs->sb) == 0);
	must(fs->nr_alive == 0);
	fakefs_check(fs);
	for (inr_t ino = 0; ino < FAKE_NODES; ino++)
		if (fs->nodes[ino].is_used)
			node_free(&fs->nodes[ino]);
	mutex_done(&fs->disk_lock);
	clock_destroy(clock);
	mem_free(fs);
}

/* By path. */

struct name fake_name(const char *text)
{
	return (struct name){.text = text, .len_bytes = (uint32_t)strlen(text)};
}

static int walk(struct fakefs *fs, const char *path, size_t len, struct inode **ret_inode)
{
	struct inode *at = inode_ref(fs->sb.root), *next;
	const char *end = path + len;
	int err = 0;

	while (!err && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const char *stop = slash ? slash : end;
		struct name name = {path, (uint32_t)(stop - path)};

		err = vfs_lookup(at, &name, &next);
		inode_put(at);
		at = err ? NULL : next;
		path = slash ? slash + 1 : end;
	}
	*ret_inode = at;
	return err;
}

struct inode *fake_get(struct fakefs *fs, const char *path)
{
	struct inode *inode;
	int err = walk(fs, path, strlen(path), &inode);

	if (err)
		ck_abort_msg("%s: %s", path, strerror(-err));
	return inode;
}

bool fake_exists(struct fakefs *fs, const char *path)
{
	struct inode *inode;

	if (walk(fs, path, strlen(path), &inode))
		return false;
	inode_put(inode);
	return true;
}

/* The directory of path, referenced, and its last name. */
static struct inode *split(struct fakefs *fs, const char *path, struct name *ret_name)
{
	const char *slash = strrchr(path, '/');
	struct inode *dir;

	*ret_name = fake_name(slash ? slash + 1 : path);
	must(walk(fs, path, slash ? (size_t)(slash - path) : 0, &dir) == 0);
	return dir;
}

int fake_mknod(struct fakefs *fs, const char *path, mode_t mode)
{
	struct name name;
	struct inode *dir = split(fs, path, &name), *inode;
	int err = vfs_mknod(dir, &name, mode, 0, 0, &fake_root, &inode);

	if (!err)
		inode_put(inode);
	inode_put(dir);
	return err;
}

void fake_make(struct fakefs *fs, const char *path, mode_t mode)
{
	ck_assert_int_eq(fake_mknod(fs, path, mode), 0);
}

int fake_unlink(struct fakefs *fs, const char *path)
{
	struct name name;
	struct inode *dir = split(fs, path, &name);
	int err = vfs_unlink(dir, &name, &fake_root);

	inode_put(dir);
	return err;
}

int fake_rmdir(struct fakefs *fs, const char *path)
{
	struct name name;
	struct inode *dir = split(fs, path, &name);
	int err = vfs_rmdir(dir, &name, &fake_root);

	inode_put(dir);
	return err;
}

int fake_link(struct fakefs *fs, const char *from, const char *to)
{
	struct name name;
	struct inode *inode = fake_get(fs, from), *dir = split(fs, to, &name);
	int err = vfs_link(inode, dir, &name, &fake_root);

	inode_put(dir);
	inode_put(inode);
	return err;
}

int fake_rename_as(struct fakefs *fs, const char *from, const char *to, uint32_t flags,
		   const struct cred *cred)
{
	struct name old_name, new_name;
	struct inode *old_dir = split(fs, from, &old_name), *new_dir = split(fs, to, &new_name);
	int err = vfs_rename(old_dir, &old_name, new_dir, &new_name, flags, cred);

	inode_put(new_dir);
	inode_put(old_dir);
	return err;
}

int fake_rename(struct fakefs *fs, const char *from, const char *to, uint32_t flags)
{
	return fake_rename_as(fs, from, to, flags, &fake_root);
}

void fake_set_flags(struct fakefs *fs, const char *path, uint32_t flags)
{
	struct inode *inode = fake_get(fs, path);

	mutex_lock(&inode->attr_lock);
	inode->attr.flags = flags;
	mutex_unlock(&inode->attr_lock);
	inode_put(inode);
}

START_TEST(what_is_made_is_found_until_it_is_removed)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "d", S_IFDIR | 0755);
	fake_make(fs, "d/f", S_IFREG | 0644);
	ck_assert(fake_exists(fs, "d/f"));
	ck_assert(!fake_exists(fs, "d/g"));
	ck_assert_int_eq(fake_rmdir(fs, "d"), -ENOTEMPTY);
	ck_assert_int_eq(fake_unlink(fs, "d/f"), 0);
	ck_assert_int_eq(fake_rmdir(fs, "d"), 0);
	ck_assert(!fake_exists(fs, "d"));
	ck_assert_uint_eq(fs->nr_frees, 2);
	fakefs_unmount(fs);
}
END_TEST

static void lose_a_name(void)
{
	struct fakefs *fs = fakefs_mount(0);

	fake_make(fs, "f", S_IFREG | 0644);
	fs->nodes[FAKE_ROOT].entries[0].ino = 0;
	fakefs_check(fs);
}

START_TEST(a_lost_node_is_noticed)
{
	char text[4096];

	ck_assert_int_eq(test_run_to_death(lose_a_name, text, sizeof(text)), SIGABRT);
	ck_assert(strstr(text, "nlink == links[ino]"));
}
END_TEST

TEST_SUITE(vfs_fakefs)
{
	tcase_add_test(tc, what_is_made_is_found_until_it_is_removed);
	tcase_add_test(tc, a_lost_node_is_noticed);
}
