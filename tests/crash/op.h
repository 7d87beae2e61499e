/*
 * crash/op.h - one operation of a workload, as text and as a value.
 *
 * Purpose     Workloads are lists of these; a finding is printed as such a list and read again.
 * Ownership   Plain values.
 * Locking     None.
 *
 *	creat P      mkdir P       mkfifo P        link P Q      symlink P TARGET
 *	unlink P     rmdir P       rename P Q      exchange P Q  chmod P OCTAL
 *	write P OFFSET LENGTH      truncate P SIZE punch P OFFSET LENGTH
 *	fsync P      fdatasync P   sync            hold P        release P
 *	wait MS
 */
#ifndef CRASH_OP_H
#define CRASH_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind {
	OP_CREAT, OP_MKDIR, OP_MKFIFO, OP_LINK, OP_SYMLINK, OP_UNLINK, OP_RMDIR, OP_RENAME, OP_EXCHANGE, OP_CHMOD,
	OP_WRITE, OP_TRUNCATE, OP_PUNCH, OP_FSYNC, OP_FDATASYNC, OP_SYNC, OP_HOLD, OP_RELEASE, OP_WAIT, OP_TRIM,
	OP_NR_KINDS
};

#define OP_PATH_MAX 64u
#define OP_TARGET_MAX 128u

struct op {
	enum op_kind kind;
	char path[OP_PATH_MAX];		/* from the root, without the first slash; "" is the root */
	char other[OP_TARGET_MAX];	/* the second name, or a symlink's target */
	uint64_t pos, len;		/* of writes; len is also the size, the mode, the milliseconds */
	uint32_t fill;			/* what a write writes (op_fill); 0: by the operation's number */
};

/* A list of operations, as long as memory lasts. */
struct op_list {
	struct op *ops;
	uint32_t nr, nr_max;
};

/* Reads "op args; op args; ..." behind what is there. False: a word of it is not known. */
bool op_list_parse(struct op_list *list, const char *text);
void op_list_add(struct op_list *list, const struct op *op);
void op_list_addf(struct op_list *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void op_list_done(struct op_list *list);
void op_print(const struct op *op, char *to, size_t size);
bool op_makes_durable(const struct op *op);
/* The bytes that operation number `number` writes at pos: nobody else ever writes the same. */
void op_fill(uint32_t number, uint64_t pos, void *to, size_t len);

#endif
