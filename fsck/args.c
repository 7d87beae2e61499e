/* The command line. */
#include "args.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"

static const char help_text[] =
	"usage: fsck.extant [-panyrcdfktvDFV] [-b SUPERBLOCK] [-B BLOCKSIZE] [-l|-L FILE] [-C FD]\n"
	"                   [-E OPTIONS] [--json] [--undo FILE | -z FILE] [--undo-apply FILE] IMAGE\n"
	"\n"
	" -p, -a  repair what is safe to repair without questions\n"
	" -n      open read-only, answer no to every question\n"
	" -y      answer yes to every question\n"
	" -f      check also when the file system says it is clean\n"
	" -b N    use the copy of the superblock in block N; -B its block size\n"
	" -c      read every block; those that cannot be read become the list of bad blocks\n"
	" -cc     write every block back as well; -k keeps the blocks that the list has\n"
	" -l FILE add these blocks to the list of bad blocks; -L FILE: they become the list\n"
	" -D      index and pack directories\n"
	" -F      flush and forget what is cached of the image first\n"
	" -C FD   write progress to a descriptor, 0 draws a bar; -FD: only after SIGUSR1\n"
	" -t      times (-tt of each pass); -v counts; -d details; -V version\n"
	" -E ...  journal_only, fragcheck, discard, nodiscard; what else e2fsck has is taken without effect\n"
	" -r, -j, -I, -P, -N of e2fsck are taken without effect\n"
	" --json  the report as JSON on standard output\n"
	" --undo FILE        record what is overwritten (also -z FILE)\n"
	" --undo-apply FILE  write it back\n";

static int usage(void)
{
	fputs(help_text, stderr);
	return FSCK_USAGE;
}

/* ---- -E ---- */

struct extended {
	bool journal_only, fragcheck, discard;
	uint64_t ea_version, readahead_kb; /* looked at, and nothing more */
};

static const struct option_row extended_rows[] = {
	{"ea_ver", OPTION_U64, offsetof(struct extended, ea_version), 0, 1, 2, NULL, NULL},
	{"fragcheck", OPTION_FLAG, offsetof(struct extended, fragcheck), true, 0, 0, NULL, NULL},
	{"journal_only", OPTION_FLAG, offsetof(struct extended, journal_only), true, 0, 0, NULL, NULL},
	{"discard", OPTION_FLAG, offsetof(struct extended, discard), true, 0, 0, NULL, NULL},
	{"nodiscard", OPTION_FLAG, offsetof(struct extended, discard), false, 0, 0, NULL, NULL},
	{"optimize_extents", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"no_optimize_extents", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"inode_count_fullmap", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"no_inode_count_fullmap", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"readahead_kb", OPTION_U64, offsetof(struct extended, readahead_kb), 0, 0, UINT32_MAX, NULL,
	 NULL},
	{"bmap2extent", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"unshare_blocks", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"fixes_only", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
	{"check_encoding", OPTION_IGNORE, 0, 0, 0, 0, NULL, NULL},
};

/* False: an unknown word; e2fsck leaves with 1 then. */
static bool parse_extended(const char *list, struct fsck_options *opt)
{
	struct extended e = {.discard = opt->discard};
	char err[200];
	size_t i;

	if (options_parse(extended_rows, array_size(extended_rows), list, &e, NULL, NULL, err,
			  sizeof(err))) {
		fprintf(stderr, "fsck.extant: -E: %s\nThere are:", err);
		for (i = 0; i < array_size(extended_rows); i++)
			fprintf(stderr, " %s", extended_rows[i].key);
		fputc('\n', stderr);
		options_done(extended_rows, array_size(extended_rows), &e);
		return false;
	}
	opt->journal_only |= e.journal_only;
	opt->fragcheck |= e.fragcheck;
	opt->discard = e.discard;
	return true;
}

/* ---- one option ---- */

enum long_option { LONG_JSON = 256, LONG_UNDO, LONG_UNDO_APPLY, LONG_HELP };

static const struct option long_options[] = {
	{"json", no_argument, NULL, LONG_JSON},
	{"undo", required_argument, NULL, LONG_UNDO},
	{"undo-apply", required_argument, NULL, LONG_UNDO_APPLY},
	{"help", no_argument, NULL, LONG_HELP},
	{NULL, 0, NULL, 0},
};

struct parsing {
	struct args *args;
	unsigned modes; /* how many of -p -n -y */
	bool preen, no, yes;
	bool version, help;
};

/* What is no number leaves 1, as with e2fsck. */
static int bad_number(char option, const char *text)
{
	fprintf(stderr, "fsck.extant: -%c: '%s' is not a number\n", option, text);
	return FSCK_CORRECTED;
}

static int take_number(char option, const char *text, uint64_t *ret)
{
	return parse_u64(text, ret) ? bad_number(option, text) : 0;
}

/* Negative: the same descriptor, but silent until SIGUSR1. */
static int take_progress(struct fsck_options *opt, const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		return bad_number('C', text);
	opt->progress_on = fd >= 0;
	fd = labs(fd);
	if (fd > INT_MAX || (fd && fcntl((int)fd, F_GETFD) < 0)) {
		fprintf(stderr, "fsck.extant: -C: descriptor %ld is not open\n", fd);
		return FSCK_ERROR;
	}
	if (fd == 0 && !isatty(STDOUT_FILENO))
		opt->progress_on = false; /* a bar is for people; a pipe stays clean */
	opt->progress_fd = (int)fd;
	return 0;
}

static int take_list(struct fsck_options *opt, const char *path, bool replaces)
{
	opt->bad_list_path = path;
	opt->bad_list_replaces |= replaces;
	return 0;
}

/* What is written down, and has no other meaning than to e2fsck itself. */
static int take_without_effect(int c, const char *value)
{
	uint64_t number;

	return c == 'I' || c == 'P' ? take_number((char)c, value, &number) : 0;
}

static int take(struct parsing *p, int c, const char *value)
{
	struct fsck_options *opt = &p->args->opt;
	uint64_t number = 0;
	int status = 0;

	switch (c) {
	case 'p':
	case 'a': p->preen = true; break;
	case 'n': p->no = true; break;
	case 'y': p->yes = true; break;
	case 'f': opt->force = true; break;
	case 'v': opt->verbose = true; break;
	case 'd': opt->debug = true; break;
	case 't': opt->timing++; break;
	case 'c': opt->scan++; break;
	case 'k': opt->bad_list_stays = true; break;
	case 'l': return take_list(opt, value, false);
	case 'L': return take_list(opt, value, true);
	case 'D': opt->optimize_dirs = true; break;
	case 'F': opt->flush_first = true; break;
	case 'V': p->version = true; break;
	case 'b':
		status = take_number('b', value, &number);
		opt->backup_block = number;
		break;
	case 'B':
		status = take_number('B', value, &number);
		opt->backup_block_size = (unsigned)number;
		break;
	case 'C': return take_progress(opt, value);
	case 'E': return parse_extended(value, opt) ? 0 : FSCK_CORRECTED;
	case 'z':
	case LONG_UNDO: opt->undo_path = value; break;
	case LONG_UNDO_APPLY: p->args->undo_apply = value; break;
	case LONG_JSON: opt->json = true; break;
	case LONG_HELP: p->help = true; break;
	case 'r':
	case 'N':
	case 'I':
	case 'P':
	case 'j': return take_without_effect(c, value);
	default: return usage();
	}
	return status;
}

static enum args_result fail(struct args *args, int status, const char *why)
{
	if (why)
		fprintf(stderr, "fsck.extant: %s\n", why);
	args->status = status;
	return ARGS_BAD;
}

static enum args_result check_modes(struct parsing *p)
{
	struct fsck_options *opt = &p->args->opt;

	if (p->preen + p->no + p->yes > 1)
		return fail(p->args, FSCK_ERROR, "only one of -p (or -a), -n and -y makes sense");
	opt->mode = p->preen ? MODE_PREEN : p->no ? MODE_NO : p->yes ? MODE_YES : MODE_ASK;
	if (opt->mode == MODE_NO && (opt->scan || opt->bad_list_path || opt->optimize_dirs))
		return fail(p->args, FSCK_ERROR, "-n writes nothing: it goes with none of -c, -l, -L and -D");
	if (opt->mode == MODE_ASK && (opt->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return fail(p->args, FSCK_ERROR, "without a terminal -p, -n or -y is needed");
	if (opt->mode == MODE_NO && opt->undo_path)
		return fail(p->args, FSCK_ERROR, "-n writes nothing, so there is nothing to undo");
	if (opt->discard && opt->undo_path)
		return fail(p->args, FSCK_ERROR, "-E discard does not go with --undo");
	return ARGS_GO;
}

enum args_result args_parse(int argc, char **argv, struct args *ret)
{
	struct parsing p = {.args = ret};
	int c;

	memset(ret, 0, sizeof(*ret));
	optind = 1;
	while ((c = getopt_long(argc, argv, "panyrcC:B:dE:fvtFVb:I:j:P:l:L:N:Dkz:", long_options,
				NULL)) != -1) {
		ret->status = take(&p, c, optarg);
		if (ret->status)
			return ARGS_BAD;
	}
	if (p.help) {
		fputs(help_text, stdout);
		ret->status = FSCK_OK;
		return ARGS_BAD;
	}
	if (p.version)
		return ARGS_VERSION;
	if (optind + 1 != argc)
		return fail(ret, usage(), NULL);
	ret->path = argv[optind];
	if (ret->undo_apply)
		return ARGS_APPLY_UNDO;
	return check_modes(&p);
}
