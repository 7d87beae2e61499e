/*
 * crash/model.h - what the tree should be after each operation, and what a crash may leave.
 *
 * Purpose     The plainest tree that knows its own history: a snapshot after each operation and
 *             each content that a file ever had. A recovered image must be one of the snapshots
 *             that the promises allow, with data that they allow (DESIGN.md 6, CRASH.md).
 * Ownership   The model owns everything; model_destroy() frees it at once.
 * Locking     One thread.
 * Invariants  M1  snapshot k is the tree after operation k; snapshot 0 is where the run began.
 *             M2  a version of a file holds whole blocks, with zeros behind the end.
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include "crash/op.h"
#include "crash/reader.h"

struct model_block {
	uint32_t index;
	uint32_t since;			/* the operation that gave the block to the file */
	uint8_t *bytes;
};

/* A content that a file had after operation `op`. */
struct model_version {
	uint32_t op;
	uint32_t nr;
	struct model_block *blocks;	/* ascending; what is not there is a hole */
};

#define MODEL_TARGET_MAX 200u

/* One file, directory or link, and all that became of it. */
struct model_node {
	struct model_version **versions;
	uint32_t nr_versions;
	uint32_t last_change;		/* operation */
	uint32_t last_reach;		/* the one without which its bytes cannot be reached: size, blocks, name */
	uint32_t nr_held;
	char *target;
};

/* A node in a snapshot. */
struct model_state {
	uint16_t mode, links;
	uint64_t size;
	uint32_t version;		/* index in the node's versions */
	uint32_t mtime;
	uint32_t changed;		/* the operation that changed it last */
};

struct model_entry {
	uint32_t dir, node;
	const char *name;
};

struct snapshot {
	uint32_t nr_states, nr_entries;
	struct model_state *states;	/* by node */
	struct model_entry *entries;	/* by directory and name */
};

struct arena;

struct model {
	struct arena *arena;
	uint32_t block_bytes;
	struct model_node *nodes;
	uint32_t nr_nodes, nodes_max;
	struct snapshot now;
	uint32_t states_max, entries_max;
	struct snapshot *snapshots;
	uint32_t nr_snapshots, snapshots_max;
};

/* What must hold at a crash. */
struct expectation {
	uint32_t begun;			/* operations that were begun: no later one may be seen */
	uint32_t least;			/* the snapshot that must be reached at least */
	const uint32_t *data_since;	/* by node: its data must be that after this operation, or later */
	bool data_may_be_lost;		/* data=writeback: new blocks may hold anything */
	bool data_is_logged;		/* data=journal: each write is there with its operation, or not at all */
};

struct model *model_create(uint32_t block_bytes);
void model_destroy(struct model *m);
/* 0 or the errno that POSIX wants. Nothing is changed on an error. */
int model_try(const struct model *m, const struct op *op);
/*
 * Does an operation that was possible, as number `number`. done_bytes: how much of a write was
 * done. now: seconds, for mtime.
 */
void model_apply(struct model *m, const struct op *op, uint32_t number, uint64_t done_bytes, uint32_t now);
/* The tree is snapshot `number` from now on: the next ones count from there. */
void model_take_snapshot(struct model *m);
/* Node of a path, or UINT32_MAX. */
uint32_t model_find(const struct model *m, const char *path);
/* What an operation that makes things durable promises: the snapshot that must be reached. */
uint32_t model_promise(const struct model *m, const struct op *op, uint32_t number);

/* The first and the last of the snapshots that a tree is like, and why none besides them. */
struct match_range {
	uint32_t first, last;
	char why_not_later[200], why_not_earlier[200];
};

/* True if the tree below that inode is one of those that are expected; else why. */
bool model_matches(const struct model *m, const struct reader *r, const struct expectation *e, uint32_t root_ino,
		   struct match_range *ret_range, char *why, size_t why_size);

#endif
