/*
 * fsck/args.h - the command line, as e2fsck has it.
 *
 * Purpose     Options into struct fsck_options. What e2fsck takes and has no meaning here is taken.
 */
#ifndef FSCK_ARGS_H
#define FSCK_ARGS_H

#include "context.h"

enum args_result { ARGS_GO, ARGS_VERSION, ARGS_APPLY_UNDO, ARGS_BAD };

struct args {
	struct fsck_options opt;
	const char *path;
	const char *undo_apply; /* --undo-apply FILE */
	int status; /* with ARGS_BAD */
};

/* With ARGS_BAD the complaint was printed. */
enum args_result args_parse(int argc, char **argv, struct args *ret);

#endif
