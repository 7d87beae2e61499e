/*
 * base/options.h - `-o key,key=value` lists and numbers with units, parsed by a table.
 *
 * Purpose     One parser for mount options and for -E style extended options: each option is a
 *             row of a table, so that help, checks and documents come from one place. An unknown
 *             word is refused by name, unless the caller offers it to another (unknown()).
 * Ownership   String values are duplicated; options_done() frees them.
 * Locking     None.
 * Errors      -EINVAL with a sentence for the user in err.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/types.h"

enum option_kind {
	OPTION_FLAG,	/* key: sets *(bool *) to `value` (so that "ro" and "rw" can share one) */
	OPTION_U64,	/* key=N within [min, max] */
	OPTION_SIZE,	/* key=N[k|M|G|T], bytes, within [min, max] */
	OPTION_STRING,	/* key=text, into *(char **) */
	OPTION_CHOICE,	/* key=word of `choices` ("a|b|c"), its index into *(int *) */
	OPTION_IGNORE,	/* taken and without effect here; with or without =value */
};

/* A key may have two rows: a FLAG, for the word alone, and another kind, for key=value. */
struct option_row {
	const char *key;
	enum option_kind kind;
	size_t offset;		/* of the target in the options struct */
	uint64_t value;		/* FLAG: what it sets */
	uint64_t min, max;	/* max 0: no upper bound */
	const char *choices;
	const char *help;	/* one line; NULL hides it from help */
};

/* Takes words that the table does not know: 1 taken, 0 unknown, negative errno with err filled. */
typedef int (*options_unknown_fn)(void *arg, const char *word, char *err, size_t err_size);

/*
 * Fills the fields of target that list names; the others keep what they have, so set defaults
 * first (a default string must come from mem_strdup). After an error too, options_done() frees.
 */
int options_parse(const struct option_row *rows, size_t nr_rows, const char *list, void *target,
		  options_unknown_fn unknown, void *arg, char *err, size_t err_size) must_check;
void options_done(const struct option_row *rows, size_t nr_rows, void *target);
/* Decimal (or 0x) number with an optional unit k, M, G, T (1024s, either case); the whole string must fit. */
int parse_size(const char *text, uint64_t *ret_bytes) must_check;
int parse_u64(const char *text, uint64_t *ret) must_check;

#endif
