/*
 * harness/tree.h - a mounted tree, walked through the vfs.
 *
 * Purpose     Says whether what is mounted is what the oracle holds: names, types, attributes,
 *             links, bytes, holes. And walks a tree of which nothing is known, for damaged images.
 * Ownership   Borrows both.
 * Locking     Nobody changes the tree meanwhile.
 */
#ifndef HARNESS_TREE_H
#define HARNESS_TREE_H

#include "harness/oracle.h"
#include "vfs/super.h"

struct tree_options {
	bool has_nanoseconds;	/* 256-byte inodes: else times agree to the second */
	bool ignores_times;	/* time is real: nobody can say what it was */
};

/* True if one inode is its node: attributes, and with contents also every byte that either has. */
bool tree_same_inode(struct inode *inode, struct onode *node, const struct tree_options *options,
		     bool with_contents, char *why, size_t why_size);
/* True if the whole tree from root on is the oracle's. */
bool tree_same(struct inode *root, struct oracle *o, const struct tree_options *options, char *why,
	       size_t why_size);
/*
 * The two above leave no trace if the mount does not move atime; single-threaded callers may set
 * sb->atime_mode for that.
 */

/*
 * Touches everything that can be reached in at most steps_max inodes: attributes, names, targets,
 * the first bytes. Errors are fine, they are counted. Returns how many inodes it saw.
 */
unsigned tree_walk(struct super *sb, unsigned steps_max, unsigned *ret_errors);

#endif
