/*
 * mkfs/args_lists.h - the options whose value is a list, and what all options share.
 *
 * Purpose     The lower half of args.c: words of -O, -E and -J, each against its table.
 * Ownership   As args.h.
 * Locking     None.
 */
#ifndef MKFS_ARGS_LISTS_H
#define MKFS_ARGS_LISTS_H

#include "args.h"

/* Says on stderr why an option is refused; always ARGS_BAD. */
enum args_verdict args_bad(const char *fmt, ...) printf_like(1, 2);
void args_warn(const char *fmt, ...) printf_like(1, 2);
/* A number with k, M, G, T, or s for sectors; without one its unit is left open (0). -EINVAL. */
int args_parse_size(const char *text, struct size_arg *ret) must_check;

enum args_verdict args_take_features(const char *list, struct mkfs_params *p) must_check;
enum args_verdict args_take_extended(const char *list, struct args *args) must_check;
enum args_verdict args_take_journal(const char *list, struct args *args) must_check;

#endif
