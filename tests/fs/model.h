/*
 * fs/model.h - a mount and the oracle side by side, given the same operations.
 *
 * Purpose     Each step does one random operation through the vfs and in the oracle; the answers
 *             must agree, and so must what each step touched. A checkpoint unmounts, asks e2fsck,
 *             mounts again and compares the whole trees.
 * Ownership   The model owns image, stack and oracle.
 * Locking     One thread.
 */
#ifndef FS_MODEL_H
#define FS_MODEL_H

#include "base/rand.h"
#include "harness/image.h"
#include "harness/oracle.h"
#include "harness/stack.h"
#include "harness/tree.h"
#include "vfs/file.h"

#define MODEL_HELD 6
#define MODEL_TOUCHED 6
#define MODEL_LOG 30
#define MODEL_LOG_BYTES 200

struct model_config {
	struct image_recipe recipe;
	struct stack_config stack;
};

/* Opened and kept, so that it outlives its names. */
struct held {
	struct onode *node;
	struct inode *inode;
	struct file *file;	/* of a regular file */
};

struct model {
	struct model_config config;
	int fd;
	struct stack stack;
	struct inode *root;	/* where the oracle's tree begins; the mount's, or a guest's directory */
	struct onode outside;	/* a guest's parent */
	bool is_guest;
	struct oracle *o;
	struct tree_options tree_options;
	struct rand rand;
	uint64_t seed, nr_steps;
	bool is_paranoid;	/* every step compares the attributes of every inode */
	bool is_shrinking;	/* the phase: more is removed than made */
	struct held held[MODEL_HELD];
	struct onode *touched[MODEL_TOUCHED];	/* by this step; held in the oracle */
	unsigned nr_touched;
	unsigned nr_nospace;	/* how often -ENOSPC was the answer */
	char log[MODEL_LOG][MODEL_LOG_BYTES];	/* the latest steps, as a ring */
};

void model_create(struct model *m, const struct model_config *config, uint64_t seed);
/*
 * A model of one directory of a mount that others use too, at the same time and in real time. It
 * takes no checkpoints, and is destroyed before the mount is.
 */
void model_create_guest(struct model *m, const struct model_config *config, const struct stack *stack,
			struct inode *dir, uint64_t seed);
/* The whole tree is the oracle's, now. */
void model_compare(struct model *m);
void model_step(struct model *m);
void model_checkpoint(struct model *m);
void model_destroy(struct model *m);

/* Ends the test, with the seed, the configuration and the last steps. */
void model_fail(struct model *m, const char *fmt, ...) printf_like(2, 3) no_return;
/* Notes what this step does, for the day it fails. */
void model_note(struct model *m, const char *fmt, ...) printf_like(2, 3);
/*
 * The two answers agree, and the operation was done. False when it was not, for want of space: then
 * the oracle must not be asked, and what was touched may have other times.
 */
bool model_had_space(struct model *m, ssize_t got, uint64_t blocks_needed);
void model_expect(struct model *m, ssize_t got, ssize_t want);
/* This step touches node: it is kept, and compared when the step is over. */
void model_touch(struct model *m, struct onode *node);
/* The inode of a node that exists, referenced. */
struct inode *model_inode(struct model *m, const struct onode *node);

/* What compares must not move atime. */
void model_stop_atime(struct model *m);
void model_move_atime(struct model *m);

/* Operations on bytes and attributes, and on names. One is chosen at random. */
void model_step_data(struct model *m);
void model_step_names(struct model *m);

#endif
