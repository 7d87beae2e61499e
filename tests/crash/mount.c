/* Operations by path, through the vfs as the front end calls it. */
#include "crash/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/need.h"
#include "vfs/namei.h"

#define VIRTUAL_START 1700000000
#define CACHE_BYTES (8u << 20)

static const struct cred root_cred = {.has_fsetid = true, .may_use_reserved = true};

/* ---- the stack ---- */

void ground_init(struct ground *g, const struct mount_config *config)
{
	struct timespec start = {.tv_sec = VIRTUAL_START};
	struct page_cache_config cache_config = {
		.block_bytes = config->block_bytes,
		.size_bytes = CACHE_BYTES,
		.dirty_percent = 40,
		.background_percent = 10,
		.dirty_expire_ms = 5000,
		.flush_interval_ms = 1000,
	};

	g->clock = need_memory(config->nr_threads ? clock_create_real() : clock_create_virtual(start));
	g->work = need_memory(workqueue_create("crash", config->nr_threads, g->clock, config->seed));
	cache_config.clock = g->clock;
	cache_config.work = g->work;
	need(page_cache_create(&cache_config, &g->cache) == 0, "a page cache");
}

void ground_done(struct ground *g)
{
	page_cache_destroy(g->cache);
	workqueue_destroy(g->work);
	clock_destroy(g->clock);
}

static enum ext_data_mode data_mode_of(const struct mount_config *config)
{
	static const enum ext_data_mode modes[] = {
		[DATA_ORDERED] = EXT_DATA_ORDERED, [DATA_WRITEBACK] = EXT_DATA_WRITEBACK, [DATA_JOURNAL] = EXT_DATA_JOURNAL};

	return modes[config->data_mode];
}

int mount_start(struct mount *mount, struct ground *g, struct disk *disk, const struct mount_config *config)
{
	struct ext_mount_config mount_config = {
		.resuid = (uid_t)-1,
		.resgid = (gid_t)-1,
		.seed = config->seed | 1,
		.data_mode = data_mode_of(config),
		.is_read_only = config->is_read_only,
		.no_journal_checksum = config->has_no_checksum,
		.has_discard = config->has_discard,
	};
	struct super_config super_config = {
		.disk = disk,
		.cache = g->cache,
		.clock = g->clock,
		.work = g->work,
		.unused_inodes_max = config->unused_inodes_max,
		.dentries_max = 256,
	};

	int err;

	*mount = (struct mount){.ground = g};
	err = ext_mount(&mount_config, &super_config, &mount->sb, mount->why, sizeof(mount->why));
	if (!err)
		mount->top = mount->sb->root;
	return err;
}

static void release(struct mount *mount, unsigned i)
{
	if (mount->held[i].file)
		file_close(mount->held[i].file);
	inode_put(mount->held[i].inode);
	mount->held[i].file = NULL;
	mount->held[i].inode = NULL;
}

static void release_all(struct mount *mount)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (mount->held[i].inode)
			release(mount, i);
}

int mount_stop(struct mount *mount)
{
	int err;

	release_all(mount);
	err = super_shutdown(mount->sb);
	mount->sb = NULL;
	return err;
}

void mount_pass_time(struct mount *mount, uint64_t ms)
{
	if (clock_is_virtual(mount->ground->clock))
		clock_advance(mount->ground->clock, ms * NSEC_PER_MSEC);
	work_run_pending(mount->ground->work);
}

/* ---- paths ---- */

/* The directory of a path, referenced, and the last name. */
static int find_parent(struct mount *mount, const char *path, struct inode **ret_dir, struct name *ret_name)
{
	struct inode *dir = inode_ref(mount->top);
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		struct name part = {path, (uint32_t)(slash - path)};
		struct inode *next;
		int err = vfs_lookup(dir, &part, &next);

		inode_put(dir);
		if (err)
			return err;
		dir = next;
		path = slash + 1;
	}
	*ret_dir = dir;
	*ret_name = (struct name){path, (uint32_t)strlen(path)};
	return 0;
}

static int find(struct mount *mount, const char *path, struct inode **ret_inode)
{
	struct inode *dir;
	struct name name;
	int err;

	if (!*path) {
		*ret_inode = inode_ref(mount->top);
		return 0;
	}
	err = find_parent(mount, path, &dir, &name);
	if (err)
		return err;
	err = vfs_lookup(dir, &name, ret_inode);
	inode_put(dir);
	return err;
}

int mount_enter(struct mount *mount, const char *path)
{
	return find(mount, path, &mount->top);
}

void mount_leave(struct mount *mount)
{
	release_all(mount);
	inode_put(mount->top);
	mount->top = mount->sb->root;
}

/* ---- operations ---- */

static int make(struct mount *mount, const struct op *op)
{
	struct inode *dir, *inode = NULL;
	struct name name;
	int err = find_parent(mount, op->path, &dir, &name);

	if (err)
		return err;
	switch (op->kind) {
	case OP_CREAT:
		err = vfs_mknod(dir, &name, S_IFREG | 0644, 0, 0, &root_cred, &inode);
		break;
	case OP_MKDIR:
		err = vfs_mknod(dir, &name, S_IFDIR | 0755, 0, 0, &root_cred, &inode);
		break;
	case OP_MKFIFO:
		err = vfs_mknod(dir, &name, S_IFIFO | 0644, 0, 0, &root_cred, &inode);
		break;
	case OP_SYMLINK:
		err = vfs_symlink(dir, &name, op->other, &root_cred, &inode);
		break;
	case OP_UNLINK:
		err = vfs_unlink(dir, &name, &root_cred);
		break;
	default:
		err = vfs_rmdir(dir, &name, &root_cred);
		break;
	}
	inode_put(inode);
	inode_put(dir);
	return err;
}

static int link_or_rename(struct mount *mount, const struct op *op)
{
	struct inode *from_dir, *to_dir, *inode = NULL;
	struct name from, to;
	int err = find_parent(mount, op->path, &from_dir, &from);

	if (err)
		return err;
	err = find_parent(mount, op->other, &to_dir, &to);
	if (err) {
		inode_put(from_dir);
		return err;
	}
	if (op->kind == OP_LINK) {
		err = vfs_lookup(from_dir, &from, &inode);
		if (!err)
			err = vfs_link(inode, to_dir, &to, &root_cred);
		inode_put(inode);
	} else {
		err = vfs_rename(from_dir, &from, to_dir, &to,
				 op->kind == OP_EXCHANGE ? RENAME_FLAG_EXCHANGE : 0, &root_cred);
	}
	inode_put(from_dir);
	inode_put(to_dir);
	return err;
}

static int write_file(struct file *file, const struct op *op, uint32_t number, uint64_t *ret_done)
{
	uint8_t *bytes = need_memory(malloc(op->len ? op->len : 1));
	ssize_t n = 0;

	op_fill(op->fill ? op->fill : number, op->pos, bytes, op->len);
	while (*ret_done < op->len) {
		n = file_write(file, op->pos + *ret_done, bytes + *ret_done, op->len - *ret_done, false);
		if (n <= 0)
			break;
		*ret_done += (uint64_t)n;
	}
	free(bytes);
	return n < 0 ? (int)n : 0;
}

static int with_file(struct mount *mount, struct inode *inode, const struct op *op, uint32_t number,
		     uint64_t *ret_done)
{
	struct file *file;
	int err = file_open(inode, O_RDWR, &root_cred, &file);

	(void)mount;
	if (err)
		return err;
	switch (op->kind) {
	case OP_WRITE:
		err = write_file(file, op, number, ret_done);
		break;
	case OP_PUNCH:
		err = file_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->pos, op->len);
		break;
	default:
		err = file_fsync(file, op->kind == OP_FDATASYNC);
		break;
	}
	file_close(file);
	return err;
}

static int hold(struct mount *mount, struct inode *inode, const char *path)
{
	for (unsigned i = 0; i < HELD_MAX; i++) {
		if (mount->held[i].inode)
			continue;
		mount->held[i].inode = inode_ref(inode);
		strcpy(mount->held[i].path, path);
		return file_open(inode, O_RDWR, &root_cred, &mount->held[i].file);
	}
	return -EMFILE;
}

static int with_inode(struct mount *mount, const struct op *op, uint32_t number, uint64_t *ret_done)
{
	struct setattr sa = {0};
	struct inode *inode;
	int err = find(mount, op->path, &inode);

	if (err)
		return err;
	switch (op->kind) {
	case OP_TRUNCATE:
		sa.valid = SETATTR_SIZE;
		sa.size_bytes = op->len;
		err = vfs_setattr(inode, &sa, &root_cred);
		break;
	case OP_CHMOD:
		sa.valid = SETATTR_MODE;
		sa.mode = (inode->attr.mode & S_IFMT) | (mode_t)op->len;
		err = vfs_setattr(inode, &sa, &root_cred);
		break;
	case OP_HOLD:
		err = hold(mount, inode, op->path);
		break;
	case OP_FSYNC:
	case OP_FDATASYNC:
		err = inode_is_dir(inode) ? dir_fsync(inode, op->kind == OP_FDATASYNC)
					  : with_file(mount, inode, op, number, ret_done);
		break;
	default:
		err = with_file(mount, inode, op, number, ret_done);
		break;
	}
	inode_put(inode);
	return err;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static int trim_all(struct mount *mount)
{
	struct trim_range range = {.len_bytes = UINT64_MAX, .is_stopped = never};

	return super_trim(mount->sb, &range);
}

int mount_do(struct mount *mount, const struct op *op, uint32_t number, uint64_t *ret_done)
{
	*ret_done = 0;
	switch (op->kind) {
	case OP_CREAT:
	case OP_MKDIR:
	case OP_MKFIFO:
	case OP_SYMLINK:
	case OP_UNLINK:
	case OP_RMDIR:
		return make(mount, op);
	case OP_LINK:
	case OP_RENAME:
	case OP_EXCHANGE:
		return link_or_rename(mount, op);
	case OP_SYNC:
		return super_sync(mount->sb);
	case OP_TRIM:
		return trim_all(mount);
	case OP_WAIT:
		mount_pass_time(mount, op->len);
		return 0;
	case OP_RELEASE:
		for (unsigned i = 0; i < HELD_MAX; i++)
			if (mount->held[i].inode && strcmp(mount->held[i].path, op->path) == 0)
				release(mount, i);
		return 0;
	default:
		return with_inode(mount, op, number, ret_done);
	}
}

int mount_do_split(struct mount *mount, const struct op *op, uint32_t number, uint64_t *ret_done)
{
	struct op step = *op;
	int err;

	if (op->kind != OP_RENAME)
		return mount_do(mount, op, number, ret_done);
	step.kind = OP_LINK;
	err = mount_do(mount, &step, number, ret_done);
	if (!err)
		err = super_sync(mount->sb);
	step.kind = OP_UNLINK;
	return err ? err : mount_do(mount, &step, number, ret_done);
}

/* ---- removing everything ---- */

struct listing {
	struct {
		char name[256];
		uint32_t len;
		bool is_dir;
	} items[64];
	unsigned nr;
};

static bool list_one(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next)
{
	struct listing *l = arg;

	(void)ino;
	(void)next;
	if (name->text[0] == '.' && (name->len_bytes == 1 || (name->len_bytes == 2 && name->text[1] == '.')))
		return true;
	if (name->len_bytes == 10 && memcmp(name->text, "lost+found", 10) == 0)
		return true;
	memcpy(l->items[l->nr].name, name->text, name->len_bytes);
	l->items[l->nr].len = name->len_bytes;
	l->items[l->nr].is_dir = d_type == 4;
	return ++l->nr < 64;
}

static int remove_below(struct inode *dir)
{
	struct listing *l = need_memory(malloc(sizeof(*l)));
	int err = 0;

	do {
		l->nr = 0;
		err = dir_read(dir, 0, list_one, l);
		for (unsigned i = 0; i < l->nr && !err; i++) {
			struct name name = {l->items[i].name, l->items[i].len};
			struct inode *child;

			if (!l->items[i].is_dir) {
				err = vfs_unlink(dir, &name, &root_cred);
				continue;
			}
			err = vfs_lookup(dir, &name, &child);
			if (!err) {
				err = remove_below(child);
				inode_put(child);
			}
			if (!err)
				err = vfs_rmdir(dir, &name, &root_cred);
		}
	} while (!err && l->nr);
	free(l);
	return err;
}

int mount_remove_all(struct mount *mount)
{
	return remove_below(mount->sb->root);
}
