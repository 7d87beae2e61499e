/*
 * vfs/inode.h - inodes in memory, and the tables through which the file system serves them.
 *
 * Purpose     What every file system has: one struct inode for each inode in use, found by
 *             number, counted, locked, evicted.
 * Ownership   References: one for each borrower (inode_get, inode_ref). At zero an inode with
 *             links stays cached up to the bound. One without is evicted, but not before the
 *             kernel has given back what it knows of it (inode_remember, inode_forget).
 * Locking     inode->lock (RANK_INODE): a directory's names; a file's size and block map against
 *             truncate. Attributes are written under it exclusively, read under it shared or
 *             through inode_attr() (attr_lock, a leaf).  Table: sb->icache lock (RANK_ICACHE).
 * Invariants  I1  one struct inode for a (mount, ino).
 *             I2  an inode found through the table is fully read, or its reader is waited for.
 *             I3  evict_inode is called once, with no reference and no lock held.
 * Errors      -EIO, -ENOMEM, -EUCLEAN (impossible inode), -ESTALE (free, or another generation).
 * Context     May sleep.
 */
#ifndef VFS_INODE_H
#define VFS_INODE_H

#include <sys/stat.h>
#include <time.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/types.h"
#include "cache/mapping.h"

struct super;
struct inode;
struct file;
struct filemap_view;
struct readahead_state;

struct name {
	const char *text;	/* not terminated */
	uint32_t len_bytes;
};

/* Who asks. */
struct cred {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool has_fsetid;	/* may keep set-group-id of a foreign group (root) */
	bool may_use_reserved;	/* root, resuid, resgid: filled in by the file system when it matters */
};

enum inode_attr_flags {
	INODE_IMMUTABLE = 1u << 0,
	INODE_APPEND = 1u << 1,
	INODE_SYNC = 1u << 2,
	INODE_NOATIME = 1u << 3,
	INODE_DIRSYNC = 1u << 4,
};

/* The attributes, as one value. */
struct inode_attr {
	mode_t mode;
	uint32_t nlink;
	uid_t uid;
	gid_t gid;
	uint32_t rdev_major, rdev_minor;
	uint64_t size_bytes;
	uint64_t blocks_512;
	struct timespec atime, mtime, ctime, btime;	/* btime 0: unknown */
	uint32_t flags;		/* enum inode_attr_flags */
};

enum setattr_valid {
	SETATTR_MODE = 1u << 0,
	SETATTR_UID = 1u << 1,
	SETATTR_GID = 1u << 2,
	SETATTR_SIZE = 1u << 3,
	SETATTR_ATIME = 1u << 4,
	SETATTR_MTIME = 1u << 5,
	SETATTR_CTIME = 1u << 6,
	SETATTR_ATIME_NOW = 1u << 7,
	SETATTR_MTIME_NOW = 1u << 8,
	SETATTR_KILL_PRIV = 1u << 9,	/* clear setuid, and setgid where group-execute is set */
};

struct setattr {
	uint32_t valid;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size_bytes;
	struct timespec atime, mtime, ctime;
};

/* Called by readdir for each entry; false: it did not fit, stop before it. next: where to go on behind it. */
typedef bool (*dir_emit_fn)(void *arg, const struct name *name, inr_t ino, unsigned d_type, uint64_t next);

#define RENAME_FLAG_NOREPLACE (1u << 0)
#define RENAME_FLAG_EXCHANGE (1u << 1)
#define RENAME_FLAG_WHITEOUT (1u << 2)

/*
 * The rest of a rename, gathered by vfs/namei.c: all inodes referenced and locked as LOCKING.md
 * says, rules checked (types, empty target left to the file system, loops).
 */
struct rename {
	struct inode *old_dir, *new_dir;
	const struct name *old_name, *new_name;
	struct inode *inode;		/* what moves */
	struct inode *target;		/* what is there already, or NULL */
	uint32_t flags;
	const struct cred *cred;
};

/* A new inode's wish, settled by vfs/attr.c (owner, group, set-group-id inheritance). */
struct new_inode {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint32_t rdev_major, rdev_minor;
	const char *symlink;		/* target, when mode says S_IFLNK */
	uint32_t symlink_bytes;
	const struct cred *cred;
};

/*
 * Names. dir->lock is held: shared for lookup, exclusive for the rest; the other inodes that
 * change are locked too. The vfs has checked that names are free or there, and updates the
 * dentry cache afterwards.
 */
struct inode_ops {
	int (*lookup)(struct inode *dir, const struct name *name, inr_t *ret_ino);	/* -ENOENT */
	/* Any type: file, directory, symlink, device. ret_inode is referenced and not locked. */
	int (*create)(struct inode *dir, const struct name *name, const struct new_inode *wish,
		      struct inode **ret_inode);
	int (*link)(struct inode *dir, const struct name *name, struct inode *inode);
	int (*unlink)(struct inode *dir, const struct name *name, struct inode *inode);
	int (*rmdir)(struct inode *dir, const struct name *name, struct inode *inode);	/* -ENOTEMPTY */
	int (*rename)(const struct rename *r);
	/* The target's bytes into to (at most size), their count returned. */
	ssize_t (*readlink)(struct inode *inode, char *to, size_t size);
	/* inode->lock held exclusively. */
	int (*setattr)(struct inode *inode, const struct setattr *sa);
	/* A nameless file, an orphan from birth. */
	int (*tmpfile)(struct inode *dir, const struct new_inode *wish, struct inode **ret_inode);
	/* The parent of a directory, from its "..". */
	int (*parent)(struct inode *dir, inr_t *ret_ino);
};

/* Bytes. inode->lock is held: shared for read, readdir, seek; exclusive for write and fallocate. */
struct file_ops {
	/* ra: what the open file remembers of its reads. */
	int (*read)(struct inode *inode, uint64_t pos, size_t len, struct readahead_state *ra,
		    struct filemap_view *view);
	ssize_t (*write)(struct inode *inode, uint64_t pos, const void *from, size_t len, const struct cred *cred);
	/* Makes data (and with !datasync all metadata) durable. Lock not held. */
	int (*fsync)(struct inode *inode, bool datasync);
	/* From *pos on; -ENOTDIR. dir->lock held shared. */
	int (*readdir)(struct inode *dir, uint64_t pos, dir_emit_fn emit, void *arg);
	/* SEEK_DATA or SEEK_HOLE from pos: -ENXIO at or beyond the end. */
	int (*seek)(struct inode *inode, uint64_t pos, int whence, uint64_t *ret_pos);
	int (*fallocate)(struct inode *inode, int mode, uint64_t pos, uint64_t len);
	/* A file that was open for writing was closed. May be NULL. Lock not held. */
	void (*release)(struct inode *inode);
};

enum inode_state {
	INODE_NEW,	/* in the table, being read: wait */
	INODE_LIVE,
	INODE_EVICTING,	/* wait until it is gone, then look again */
};

struct inode {
	struct super *sb;
	inr_t ino;
	uint32_t generation;
	const struct inode_ops *iops;
	const struct file_ops *fops;

	struct rwlock lock;
	struct mutex attr_lock;		/* RANK_LEAF: attr against readers that hold no lock */
	struct inode_attr attr;		/* [lock exclusive and attr_lock to change; either to read] */
	struct mapping mapping;
	bool keeps_times;		/* the write under way is told its times apart [lock exclusive] */

	/* the table's */
	struct hash_node hash;		/* [icache lock] */
	struct list lru;		/* [icache lock] unreferenced ones, oldest first */
	enum inode_state state;		/* [icache lock] */
	_Atomic uint32_t refs;		/* from 0 to 1 and back only under the icache lock */
	_Atomic uint64_t lookups;	/* how often the kernel was given it; down under the icache lock */
};

/* Referenced. Waits for one that is being read or evicted. */
int inode_get(struct super *sb, inr_t ino, struct inode **ret_inode) must_check;
struct inode *inode_ref(struct inode *inode);	/* the caller has a reference */
/*
 * NULL is harmless. The last reference may evict this inode or, over the bound, another one: the
 * caller holds no handle, no page and no lock of this inode.
 */
void inode_put(struct inode *inode);
/*
 * The file system allocated ino on disk and makes its struct inode: in the table, referenced, and
 * waited for by others until inode_set_live(). On failure of the rest, inode_put() without it:
 * nlink is then set to 0 and evict_inode() called. Waits while an inode of that number is still
 * being evicted: evict_inode() frees the number last, and waits for nothing after that. -EUCLEAN
 * when an inode of that number is alive.
 */
int inode_create(struct super *sb, inr_t ino, struct inode **ret_inode) must_check;
void inode_set_live(struct inode *inode);

/*
 * The kernel is given inode once more; the caller has a reference, and keeps it. What the kernel
 * knows costs no memory for long: an inode with links may leave it all the same, and is read again
 * when it is asked for.
 */
void inode_remember(struct inode *inode);
/*
 * The kernel gives back `by` of its givings. Returns the inode if it is in memory, referenced, else
 * NULL. As with inode_put(), what the caller holds must not be what an eviction waits for.
 */
struct inode *inode_forget(struct super *sb, inr_t ino, uint64_t by) must_check;

/* A consistent copy of the attributes; no lock needed. */
void inode_attr(struct inode *inode, struct inode_attr *ret_attr);

/* For the file system, in alloc_inode and free_inode. */
void inode_init(struct inode *inode, struct super *sb);
void inode_done(struct inode *inode);

/* Needs no lock: the type never changes, and attr_apply() stores a mode in one piece. */
static inline bool inode_is_dir(const struct inode *inode)
{
	return S_ISDIR(__atomic_load_n(&inode->attr.mode, __ATOMIC_RELAXED));
}

#endif
