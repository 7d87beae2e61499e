/*
 * A file system in memory behind the vfs's tables, for the unit tests of the vfs.
 *
 * Its "disk" is an array of nodes, apart from the inodes in memory: an inode that was evicted and
 * read again comes from its node. It stops the test when the vfs breaks its side of the bargain:
 * a lock that is not held, a name that should be free, an eviction too many.
 */
#ifndef TESTS_UNIT_VFS_FAKEFS_H
#define TESTS_UNIT_VFS_FAKEFS_H

#include "base/clock.h"
#include "vfs/attr.h"
#include "vfs/file.h"
#include "vfs/namei.h"
#include "vfs/super.h"

#define FAKE_NODES 512
#define FAKE_ENTRIES 64
#define FAKE_ROOT 2
#define FAKE_BYTES_MAX 1000u
#define FAKE_LINKS_MAX 5u

struct fake_entry {
	char name[VFS_NAME_MAX + 1];
	uint32_t len_bytes;
	inr_t ino;
};

struct fake_node {
	bool is_used;
	struct inode_attr attr;
	inr_t parent;			/* of a directory */
	struct fake_entry *entries;	/* of a directory: FAKE_ENTRIES, ino 0 is free */
	char *symlink;
};

struct fakefs {
	struct super sb;
	struct mutex disk_lock;		/* a leaf; guards nodes */
	struct fake_node nodes[FAKE_NODES];	/* by number */
	/* what the vfs called */
	_Atomic unsigned nr_alive, nr_reads, nr_evicts, nr_frees, nr_lookups, nr_setattrs, nr_fsyncs;
	_Atomic unsigned last_setattr;		/* its valid bits */
	_Atomic uint64_t last_write_len;
	_Atomic bool last_was_datasync;
	/* what the test wants */
	void (*on_read)(struct inode *inode);	/* inside read_inode */
	void (*on_evict)(struct inode *inode);	/* inside evict_inode, before the number is free */
	int read_error, create_error, unlink_error;
};

extern const struct cred fake_root, fake_user;

/* A mount with an empty root directory, in virtual time. */
struct fakefs *fakefs_mount(uint32_t unused_max);
/* Unmounts, checks that every node is reachable as often as it says, and frees all. */
void fakefs_unmount(struct fakefs *fs);
/* The same checks while mounted. No other thread is at work. */
void fakefs_check(struct fakefs *fs);
static inline struct fakefs *fakefs_of(struct super *sb)
{
	return container_of(sb, struct fakefs, sb);
}

struct name fake_name(const char *text);
/* The rest stop the test on failure. Paths: "a/b/c" from the root, "" is the root. */
struct inode *fake_get(struct fakefs *fs, const char *path);
bool fake_exists(struct fakefs *fs, const char *path);
void fake_make(struct fakefs *fs, const char *path, mode_t mode);
void fake_set_flags(struct fakefs *fs, const char *path, uint32_t flags);
/* Operations by path, as root unless cred is given: what the vfs said. */
int fake_mknod(struct fakefs *fs, const char *path, mode_t mode);
int fake_unlink(struct fakefs *fs, const char *path);
int fake_rmdir(struct fakefs *fs, const char *path);
int fake_link(struct fakefs *fs, const char *from, const char *to);
int fake_rename(struct fakefs *fs, const char *from, const char *to, uint32_t flags);
int fake_rename_as(struct fakefs *fs, const char *from, const char *to, uint32_t flags,
		   const struct cred *cred);

#endif
