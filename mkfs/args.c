/*
 * The command line.
 *
 * One letter is one small function in the switch; -O, -E and -J are lists (args_lists.c).
 * Numbers are read strictly: what does not fit whole is refused with the option's letter.
 */
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "args_lists.h"
#include "base/options.h"
#include "uuid.h"

#define INODE_RATIO_MIN 1024u
#define INODE_RATIO_MAX (65536u * 1024)
#define RESERVED_PERCENT_DEFAULT 5.0
#define RESERVED_PERCENT_MAX 50.0
#define EPOCH_MAX 15032385535ll		/* the last second that an inode can keep, in 2446 */

static const char help_text[] =
	"usage: mkfs.extant [options] FILE-OR-DEVICE [SIZE]\n"
	"\n"
	"Makes an ext3 (or ext2) file system. SIZE counts blocks of -b, or KiB without -b;\n"
	"with k, M, G, T or s (sectors of 512 bytes) behind it, those. A file that does not\n"
	"exist is created, sparse; then SIZE must be given.\n"
	"\n"
	"  -t ext2|ext3       with a journal (ext3, the default) or without\n"
	"  -b BYTES           block size: 1024, 2048 or 4096; -BYTES: at least so much\n"
	"  -I BYTES           inode size: 128 to the block size, a power of 2 (256)\n"
	"  -i BYTES           one inode for so many bytes of the disk\n"
	"  -N COUNT           so many inodes, at least\n"
	"  -m PERCENT         of the blocks reserved for root (5)\n"
	"  -L LABEL           volume label, up to 16 bytes\n"
	"  -U UUID            or random (the default), time, clear\n"
	"  -j                 with a journal\n"
	"  -J size=MIB        journal of this size; implies -j\n"
	"  -O [^]FEATURE,...  has_journal ext_attr resize_inode dir_index filetype meta_bg\n"
	"                     sparse_super large_file; ^ turns off; none turns off all before\n"
	"  -E WORD,...        stride=BLOCKS stripe_width=BLOCKS resize=SIZE hash_seed=UUID\n"
	"                     offset=BYTES root_owner[=UID:GID] discard nodiscard test_fs\n"
	"                     assume_storage_prezeroed[=0|1]\n"
	"                     lazy_itable_init lazy_journal_init no_copy_xattrs (no effect)\n"
	"  -T USAGE,...       floppy small default big huge news largefile largefile4\n"
	"  -g BLOCKS          blocks per group, a multiple of 8\n"
	"  -e BEHAVIOUR       on damage: continue (the default), remount-ro or panic\n"
	"  -M DIRECTORY       the last mount point to record\n"
	"  -o OS              creator: linux, freebsd, lites\n"
	"  -r 0|1             revision; 0 has no features and inodes of 128 bytes\n"
	"  -S                 write superblocks and descriptors only (a last resort; run fsck next)\n"
	"  -F                 overwrite what is there already\n"
	"  -K                 the same as -E nodiscard\n"
	"  -D                 taken for compatibility; writes are always synced at the end\n"
	"  -n                 show the plan and change nothing\n"
	"  -q                 say nothing but errors\n"
	"  -v                 say more\n"
	"  -V, --version      show the version\n"
	"  --help             show this text\n"
	"\n"
	"With SOURCE_DATE_EPOCH, -U and -E hash_seed= the image is the same on every run.\n"
	"Exit status: 0 done, 1 refused or failed.\n";

/* ---- numbers ---- */

/* A size where a plain number is bytes. */
static int parse_bytes(const char *text, uint64_t *ret)
{
	struct size_arg size;
	int err = args_parse_size(text, &size);

	if (!err)
		*ret = size.count * (size.unit_bytes ? size.unit_bytes : 1);
	return err;
}

static enum args_verdict take_block_size(const char *text, struct mkfs_params *p)
{
	bool is_minimum = text[0] == '-';
	uint64_t bytes;

	if (parse_bytes(text + is_minimum, &bytes) || !is_power_of_2(bytes) || bytes < EXT_BLOCK_SIZE_MIN ||
	    bytes > EXT_BLOCK_SIZE_MAX)
		return args_bad("-b %s: the block size must be 1024, 2048 or 4096", text);
	if (is_minimum)
		p->block_size_min = (unsigned)bytes;
	else
		p->block_size = (unsigned)bytes;
	return ARGS_GO;
}

static enum args_verdict take_inode_ratio(const char *text, struct mkfs_params *p)
{
	uint64_t bytes;

	if (parse_bytes(text, &bytes) || bytes < INODE_RATIO_MIN || bytes > INODE_RATIO_MAX)
		return args_bad("-i %s: bytes per inode must be %u to %u", text, INODE_RATIO_MIN, INODE_RATIO_MAX);
	p->inode_ratio = (unsigned)bytes;
	return ARGS_GO;
}

static enum args_verdict take_percent(const char *text, struct mkfs_params *p)
{
	char *end;
	double percent = strtod(text, &end);

	/* Written so that not-a-number is refused too. */
	if (end == text || *end || !(percent >= 0 && percent <= RESERVED_PERCENT_MAX))
		return args_bad("-m %s: the reserved percentage must be 0 to 50", text);
	p->reserved_percent = percent;
	return ARGS_GO;
}

static enum args_verdict take_number(char letter, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (parse_u64(text, ret) || *ret < min || *ret > max)
		return args_bad("-%c %s: must be a number from %llu to %llu", letter, text,
			   (unsigned long long)min, (unsigned long long)max);
	return ARGS_GO;
}

/* ---- words ---- */

static enum args_verdict take_type(const char *text, bool *seen, struct mkfs_params *p)
{
	if (*seen)
		return args_bad("-t may be given only once");
	*seen = true;
	p->is_ext3 = strcmp(text, "ext3") == 0;
	if (!p->is_ext3 && strcmp(text, "ext2") != 0)
		return args_bad("-t %s: only ext2 and ext3 are made here", text);
	return ARGS_GO;
}

static enum args_verdict take_errors(const char *text, struct mkfs_params *p)
{
	if (strcmp(text, "continue") == 0)
		p->errors = EXT_ERRORS_CONTINUE;
	else if (strcmp(text, "remount-ro") == 0)
		p->errors = EXT_ERRORS_RO;
	else if (strcmp(text, "panic") == 0)
		p->errors = EXT_ERRORS_PANIC;
	else
		return args_bad("-e %s: must be continue, remount-ro or panic", text);
	return ARGS_GO;
}

static enum args_verdict take_os(const char *text, struct mkfs_params *p)
{
	static const struct {
		const char *name, *number;
		uint32_t os;
	} rows[] = {
		{"linux", "0", EXT_OS_LINUX},
		{"freebsd", "3", EXT_OS_FREEBSD},
		{"lites", "4", EXT_OS_LITES},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		if (strcasecmp(text, rows[i].name) == 0 || strcmp(text, rows[i].number) == 0) {
			p->creator_os = rows[i].os;
			return ARGS_GO;
		}
	}
	if (strcasecmp(text, "hurd") == 0 || strcasecmp(text, "gnu") == 0 || strcmp(text, "1") == 0)
		return args_bad("-o %s: the Hurd's own inode fields are not supported", text);
	return args_bad("-o %s: no such system; known are linux, freebsd and lites", text);
}

static void take_label(const char *text, struct mkfs_params *p)
{
	size_t len = strlen(text);

	if (len > sizeof(p->label)) {
		len = sizeof(p->label);
		args_warn("the label is too long and was cut to '%.*s'", (int)len, text);
	}
	memset(p->label, 0, sizeof(p->label));
	memcpy(p->label, text, len);
}

static void take_last_mounted(const char *text, struct mkfs_params *p)
{
	memset(p->last_mounted, 0, sizeof(p->last_mounted));
	memcpy(p->last_mounted, text, min(strlen(text), sizeof(p->last_mounted)));
}

static void take_usage(const char *text, struct mkfs_params *p)
{
	const char *word = text;

	p->usage = text;
	while (word) {
		size_t len = strcspn(word, ",");

		if (len && !plan_usage_is_known(word, len))
			args_warn("-T %.*s: no such usage type; ignored", (int)len, word);
		word = word[len] ? word + len + 1 : NULL;
	}
}

static enum args_verdict take_uuid(const char *text, struct mkfs_params *p)
{
	int err = 0;

	if (strcasecmp(text, "clear") == 0 || strcasecmp(text, "null") == 0)
		memset(p->uuid, 0, sizeof(p->uuid));
	else if (strcasecmp(text, "random") == 0)
		err = uuid_make_random(p->uuid);
	else if (strcasecmp(text, "time") == 0)
		err = uuid_make_time(p->uuid);
	else if (uuid_from_text(text, p->uuid))
		return args_bad("-U %s: must be a UUID, or clear, random or time", text);
	return err ? args_bad("no random bytes for a UUID: %s", strerror(-err)) : ARGS_GO;
}

/* ---- what is known of mke2fs and not done here ---- */

static enum args_verdict refuse_letter(int letter)
{
	switch (letter) {
	case 'c': return args_bad("-c: looking for bad blocks is not supported; disks replace them by themselves");
	case 'l': return args_bad("-l: a list of bad blocks is not supported");
	case 'd': return args_bad("-d: filling the new file system from a directory is not supported; mount it and copy");
	case 'C': return args_bad("-C: clusters belong to bigalloc, which ext2 and ext3 do not have");
	case 'G': return args_bad("-G: it belongs to flex_bg, which ext2 and ext3 do not have");
	case 'z': return args_bad("-z: undo files are not supported");
	default: return args_bad("try 'mkfs.extant --help'");
	}
}

/* ---- all together ---- */

#define OPTION_HELP 256

static enum args_verdict take_letter(int letter, const char *text, bool *seen_type, struct args *args)
{
	struct mkfs_params *p = &args->params;
	enum args_verdict v = ARGS_GO;
	uint64_t n = 0;

	switch (letter) {
	case 't': return take_type(text, seen_type, p);
	case 'b': return take_block_size(text, p);
	case 'i': return take_inode_ratio(text, p);
	case 'm': return take_percent(text, p);
	case 'e': return take_errors(text, p);
	case 'o': return take_os(text, p);
	case 'U': return take_uuid(text, p);
	case 'O': return args_take_features(text, p);
	case 'E': return args_take_extended(text, args);
	case 'R': return args_take_extended(text, args);	/* its name of old */
	case 'J': return args_take_journal(text, args);
	case 'L': take_label(text, p); break;
	case 'M': take_last_mounted(text, p); break;
	case 'T': take_usage(text, p); break;
	case 'j': p->wants_journal = true; break;
	case 'S': p->super_only = true; break;
	case 'F': args->force = true; break;
	case 'n': args->dry_run = true; break;
	case 'q': args->quiet = true; break;
	case 'v': args->verbose = true; break;
	case 'K': args->discard = false; break;
	case 'D': break;
	case 'I':
		v = take_number('I', text, EXT_GOOD_OLD_INODE_SIZE, EXT_BLOCK_SIZE_MAX, &n);
		p->inode_size = (unsigned)n;
		break;
	case 'N':
		v = take_number('N', text, 0, UINT32_MAX, &n);
		p->nr_inodes = n;
		break;
	case 'g':
		v = take_number('g', text, 256, 8 * EXT_BLOCK_SIZE_MAX, &n);
		if (v == ARGS_GO && n % 8)
			return args_bad("-g %s: must be a multiple of 8", text);
		p->blocks_per_group = (uint32_t)n;
		break;
	case 'r':
		v = take_number('r', text, EXT_GOOD_OLD_REV, EXT_DYNAMIC_REV, &n);
		p->rev_level = (uint32_t)n;
		break;
	default:
		return refuse_letter(letter);
	}
	return v;
}

static enum args_verdict set_now(struct mkfs_params *p)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	p->now = (int64_t)time(NULL);
	if (!epoch)
		return ARGS_GO;
	if (parse_u64(epoch, &seconds) || seconds > EPOCH_MAX)
		return args_bad("SOURCE_DATE_EPOCH=%s: must be seconds since 1970", epoch);
	p->now = (int64_t)seconds;
	return ARGS_GO;
}

static enum args_verdict set_defaults(struct args *args)
{
	int err;

	memset(args, 0, sizeof(*args));
	args->discard = true;
	args->params.is_ext3 = true;
	args->params.rev_level = EXT_DYNAMIC_REV;
	args->params.reserved_percent = RESERVED_PERCENT_DEFAULT;
	err = uuid_make_random(args->params.uuid);
	if (!err)
		err = uuid_make_random(args->params.hash_seed);
	if (err)
		return args_bad("no random bytes for a UUID: %s", strerror(-err));
	return set_now(&args->params);
}

static enum args_verdict take_operands(int argc, char **argv, struct args *args)
{
	if (optind >= argc)
		return args_bad("which file or device? Try 'mkfs.extant --help'");
	args->path = argv[optind++];
	if (optind < argc) {
		const char *text = argv[optind++];

		if (args_parse_size(text, &args->size) || args->size.count == 0)
			return args_bad("'%s' is no size: a number, with k, M, G, T or s behind it", text);
		args->has_size = true;
	}
	if (optind < argc)
		return args_bad("'%s' is one word too many", argv[optind]);
	return ARGS_GO;
}

enum args_verdict args_parse(int argc, char **argv, struct args *ret)
{
	static const struct option long_options[] = {
		{"help", no_argument, NULL, OPTION_HELP},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	enum args_verdict v = set_defaults(ret);
	bool seen_type = false;
	int letter;

	while (v == ARGS_GO && (letter = getopt_long(argc, argv,
			"b:cC:d:De:E:Fg:G:i:I:jJ:Kl:L:m:M:nN:o:O:qr:R:St:T:U:vVz:", long_options, NULL)) != -1) {
		if (letter == OPTION_HELP) {
			fputs(help_text, stdout);
			return ARGS_DONE;
		}
		if (letter == 'V') {
			puts("mkfs.extant " EXTANT_VERSION);
			return ARGS_DONE;
		}
		v = take_letter(letter, optarg, &seen_type, ret);
	}
	return v == ARGS_GO ? take_operands(argc, argv, ret) : v;
}
