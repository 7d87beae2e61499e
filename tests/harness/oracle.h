/*
 * harness/oracle.h - a model of what a file system must answer and hold.
 *
 * Purpose     The plainest possible tree in memory: no cache, no locks, no limits but those it is
 *             told. It takes the same operations as the vfs and gives POSIX's answers in Linux's
 *             order; harness/tree.h compares the two trees.
 * Ownership   The oracle owns its nodes. A node without links lives as long as somebody holds it.
 * Locking     None: one thread.
 * Errors      0 or negative errno. It never runs out of space: whoever compares decides when
 *             -ENOSPC is right, and does not ask the oracle then.
 */
#ifndef HARNESS_ORACLE_H
#define HARNESS_ORACLE_H

#include "vfs/inode.h"

#define ORACLE_CHUNK 1024u
#define ORACLE_NAME_MAX 255u

struct onode;

struct oentry {
	char name[ORACLE_NAME_MAX + 1];
	uint32_t len_bytes;
	struct onode *node;
};

/* A piece of a file; what no chunk covers is zeros. */
struct ochunk {
	uint64_t index;
	uint8_t *bytes;		/* ORACLE_CHUNK */
};

struct onode {
	inr_t ino;			/* where the file system put it: the caller's to set */
	struct inode_attr attr;		/* without blocks and btime; size of regular files and symlinks only */
	unsigned nr_held;
	bool times_are_vague;		/* an operation failed half-way: any time will do */
	struct onode *parent;		/* of a directory */
	struct oentry *entries;
	size_t nr_entries;
	struct ochunk *chunks;		/* ascending */
	size_t nr_chunks;
	char *target;			/* of a symlink */
	size_t slot;			/* in oracle->nodes */
};

struct oracle_limits {
	uint32_t links_max, symlink_max;
	uint64_t file_bytes_max;
};

struct oracle {
	struct oracle_limits limits;
	struct timespec now;		/* the caller keeps it up to date */
	struct onode *root;
	struct onode **nodes;		/* all that exist, in no order */
	size_t nr_nodes;
};

struct oracle *oracle_create(const struct oracle_limits *limits, const struct inode_attr *root_attr);
void oracle_destroy(struct oracle *o);

struct onode *oracle_find(const struct onode *dir, const struct name *name);	/* or NULL */
void oracle_hold(struct onode *node);
void oracle_release(struct oracle *o, struct onode *node);	/* frees it if it was the last and has no links */

int oracle_lookup(const struct onode *dir, const struct name *name, struct onode **ret_node);
int oracle_mknod(struct oracle *o, struct onode *dir, const struct name *name, mode_t mode, uint32_t major,
		 uint32_t minor, const struct cred *cred, struct onode **ret_node);
int oracle_symlink(struct oracle *o, struct onode *dir, const struct name *name, const char *target,
		   const struct cred *cred, struct onode **ret_node);
int oracle_tmpfile(struct oracle *o, struct onode *dir, mode_t mode, const struct cred *cred,
		   struct onode **ret_node);
int oracle_link(struct oracle *o, struct onode *node, struct onode *dir, const struct name *name);
int oracle_unlink(struct oracle *o, struct onode *dir, const struct name *name, const struct cred *cred);
int oracle_rmdir(struct oracle *o, struct onode *dir, const struct name *name, const struct cred *cred);
int oracle_rename(struct oracle *o, struct onode *old_dir, const struct name *old_name, struct onode *new_dir,
		  const struct name *new_name, uint32_t flags, const struct cred *cred);
int oracle_setattr(struct oracle *o, struct onode *node, const struct setattr *sa, const struct cred *cred);
/* What a write of len bytes at pos would take at most, or why none. Changes nothing. */
ssize_t oracle_can_write(const struct oracle *o, uint64_t pos, size_t len);
void oracle_write(struct oracle *o, struct onode *node, uint64_t pos, const void *from, size_t len);
/* The bytes [pos, pos + len) cut at the size, holes as zeros; how many. */
size_t oracle_read(const struct onode *node, uint64_t pos, void *to, size_t len);
/* A read, listing or readlink by relatime's rule. */
void oracle_accessed(struct oracle *o, struct onode *node);

#endif
