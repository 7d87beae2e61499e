/*
 * Options whose value is a list of words: -O, -E and -J.
 */
#include "args_lists.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/options.h"
#include "uuid.h"

/* ---- what all options share ---- */

enum args_verdict args_bad(const char *fmt, ...)
{
	va_list args;

	fputs("mkfs.extant: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return ARGS_BAD;
}

void args_warn(const char *fmt, ...)
{
	va_list args;

	fputs("mkfs.extant: warning: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

int args_parse_size(const char *text, struct size_arg *ret)
{
	char number[24];
	size_t len = strlen(text);
	uint64_t unit;

	if (len == 0 || len >= sizeof(number))
		return -EINVAL;
	if (parse_u64(text, &ret->count) == 0) {
		ret->unit_bytes = 0;
		return 0;
	}
	memcpy(number, text, len + 1);
	number[len - 1] = 0;
	if (parse_u64(number, &ret->count))
		return -EINVAL;
	switch (text[len - 1] | 0x20) {
	case 'k': unit = 1ull << 10; break;
	case 'm': unit = 1ull << 20; break;
	case 'g': unit = 1ull << 30; break;
	case 't': unit = 1ull << 40; break;
	case 's': unit = SECTOR_SIZE; break;
	default: return -EINVAL;
	}
	ret->unit_bytes = unit;
	return ret->count > UINT64_MAX / unit ? -EINVAL : 0;
}

/* ---- -O ---- */

static const uint32_t features_offered[3] = {
	[FEATURE_COMPAT] = EXT_COMPAT_HAS_JOURNAL | EXT_COMPAT_EXT_ATTR | EXT_COMPAT_RESIZE_INODE |
			   EXT_COMPAT_DIR_INDEX,
	[FEATURE_INCOMPAT] = EXT_INCOMPAT_FILETYPE | EXT_INCOMPAT_META_BG,
	[FEATURE_RO_COMPAT] = EXT_RO_COMPAT_SPARSE_SUPER | EXT_RO_COMPAT_LARGE_FILE,
};

static void clear_features(struct mkfs_params *p)
{
	for (int i = 0; i < 3; i++) {
		p->feature_set[i] = 0;
		p->feature_clear[i] = UINT32_MAX;
	}
}

static enum args_verdict take_feature(const char *word, struct mkfs_params *p)
{
	bool off = word[0] == '^' || word[0] == '-';
	const char *name = word + off;
	enum feature_class class;
	uint32_t bit;

	if (!off && strcasecmp(name, "none") == 0) {
		clear_features(p);
		return ARGS_GO;
	}
	if (feature_parse(name, &class, &bit))
		return args_bad("-O %s: there is no feature of this name", word);
	/* Turning off what is never on is harmless, and scripts do it. */
	if (!off && !(features_offered[class] & bit))
		return args_bad("-O %s: not supported; this makes ext2 and ext3, and %s is not theirs", word, name);
	if (off) {
		p->feature_clear[class] |= bit;
		p->feature_set[class] &= ~bit;
	} else {
		p->feature_set[class] |= bit;
		p->feature_clear[class] &= ~bit;
	}
	return ARGS_GO;
}

enum args_verdict args_take_features(const char *list, struct mkfs_params *p)
{
	enum args_verdict v = ARGS_GO;
	char *copy = mem_strdup(list);
	char *rest = copy;
	char *word;

	if (!copy)
		return args_bad("out of memory");
	while (v == ARGS_GO && (word = strsep(&rest, ", \t")))
		if (*word)
			v = take_feature(word, p);
	mem_free(copy);
	return v;
}

/* ---- -E and -J ---- */

struct extended {
	uint64_t stride, stripe_width, offset, journal_mib;
	bool discard, test_fs;
	char *resize, *hash_seed;
	struct args *args;
};

#define AT(field) offsetof(struct extended, field)

static const struct option_row extended_rows[] = {
	{.key = "stride", .kind = OPTION_U64, .offset = AT(stride), .max = 0xffff},
	{.key = "stripe_width", .kind = OPTION_U64, .offset = AT(stripe_width), .max = UINT32_MAX},
	{.key = "stripe-width", .kind = OPTION_U64, .offset = AT(stripe_width), .max = UINT32_MAX},
	{.key = "offset", .kind = OPTION_U64, .offset = AT(offset), .max = INT64_MAX},
	{.key = "discard", .kind = OPTION_FLAG, .offset = AT(discard), .value = true},
	{.key = "nodiscard", .kind = OPTION_FLAG, .offset = AT(discard), .value = false},
	{.key = "test_fs", .kind = OPTION_FLAG, .offset = AT(test_fs), .value = true},
	{.key = "resize", .kind = OPTION_STRING, .offset = AT(resize)},
	{.key = "hash_seed", .kind = OPTION_STRING, .offset = AT(hash_seed)},
	{.key = "lazy_itable_init", .kind = OPTION_IGNORE},
	{.key = "lazy_journal_init", .kind = OPTION_IGNORE},
	{.key = "no_copy_xattrs", .kind = OPTION_IGNORE},
};

static const struct option_row journal_rows[] = {
	{.key = "size", .kind = OPTION_U64, .offset = AT(journal_mib), .min = 1, .max = UINT32_MAX},
};

/* Words that mke2fs knows and this program will not take, with the reason. */
static const struct {
	const char *key, *why;
} refused_words[] = {
	{"num_backup_sb", "it belongs to sparse_super2"},
	{"packed_meta_blocks", "it belongs to flex_bg"},
	{"mmp_update_interval", "it belongs to mmp"},
	{"quotatype", "it belongs to quota"},
	{"encoding", "it belongs to casefold"},
	{"encoding_flags", "it belongs to casefold"},
	{"desc_size", "it belongs to 64bit"},
	{"desc-size", "it belongs to 64bit"},
	{"orphan_file_size", "it belongs to orphan_file"},
	{"android_sparse", "Android's sparse format is not written here"},
	{"device", "a journal on another device is not supported"},
	{"fast_commit_size", "it belongs to fast_commit"},
	{"location", "the journal of a file system without extents has its fixed place"},
};

static int take_root_owner(const char *value, struct mkfs_params *p)
{
	char uid[12];
	const char *colon = strchr(value, ':');
	uint64_t u, g;

	if (!colon || (size_t)(colon - value) >= sizeof(uid))
		return -EINVAL;
	memcpy(uid, value, (size_t)(colon - value));
	uid[colon - value] = 0;
	if (parse_u64(uid, &u) || parse_u64(colon + 1, &g) || u > UINT32_MAX || g > UINT32_MAX)
		return -EINVAL;
	p->root_uid = (uint32_t)u;
	p->root_gid = (uint32_t)g;
	return 0;
}

/* Words that stand with or without a value, and those that are refused for a reason. */
static int other_word(void *arg, const char *word, char *err, size_t err_size)
{
	struct args *args = ((struct extended *)arg)->args;
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : NULL;

	if (len == 10 && memcmp(word, "root_owner", len) == 0) {
		args->params.root_uid = getuid();
		args->params.root_gid = getgid();
		if (!value || take_root_owner(value, &args->params) == 0)
			return 1;
		snprintf(err, err_size, "option root_owner: \"%s\" is not UID:GID", value);
		return -EINVAL;
	}
	if (len == 24 && memcmp(word, "assume_storage_prezeroed", len) == 0) {
		args->is_prezeroed = !value || strcmp(value, "0") != 0;
		return 1;
	}
	for (size_t i = 0; i < array_size(refused_words); i++) {
		if (strlen(refused_words[i].key) != len || memcmp(refused_words[i].key, word, len) != 0)
			continue;
		snprintf(err, err_size, "%.*s is not supported: %s", (int)len, word, refused_words[i].why);
		return -EOPNOTSUPP;
	}
	return 0;
}

static enum args_verdict apply_extended(const struct extended *x, struct args *args)
{
	struct mkfs_params *p = &args->params;

	p->stride = x->stride;
	p->stripe_width = x->stripe_width;
	args->offset_bytes = x->offset;
	args->discard = x->discard;
	if (x->test_fs)
		p->extra_flags |= EXT_FLAGS_TEST_FILESYS;
	if (x->offset % SECTOR_SIZE)
		return args_bad("-E offset=%llu: must be a multiple of 512", (unsigned long long)x->offset);
	if (x->resize && (args_parse_size(x->resize, &p->resize) || p->resize.count == 0))
		return args_bad("-E resize=%s: must be a size", x->resize);
	if (x->hash_seed && uuid_from_text(x->hash_seed, p->hash_seed))
		return args_bad("-E hash_seed=%s: must be a UUID", x->hash_seed);
	if (p->stride && p->stripe_width % p->stride)
		args_warn("stripe_width %llu is no multiple of stride %llu", (unsigned long long)p->stripe_width,
		     (unsigned long long)p->stride);
	return ARGS_GO;
}

enum args_verdict args_take_extended(const char *list, struct args *args)
{
	struct extended x = {.stride = args->params.stride, .stripe_width = args->params.stripe_width,
			     .offset = args->offset_bytes, .discard = args->discard, .args = args};
	enum args_verdict v;
	char err[160];

	if (options_parse(extended_rows, array_size(extended_rows), list, &x, other_word, &x, err, sizeof(err)))
		v = args_bad("-E: %s", err);
	else
		v = apply_extended(&x, args);
	options_done(extended_rows, array_size(extended_rows), &x);
	return v;
}

enum args_verdict args_take_journal(const char *list, struct args *args)
{
	struct extended x = {.args = args};
	char err[160];

	if (options_parse(journal_rows, array_size(journal_rows), list, &x, other_word, &x, err, sizeof(err)))
		return args_bad("-J: %s", err);
	args->params.journal_mib = x.journal_mib;
	args->params.wants_journal = true;
	return ARGS_GO;
}
