/* Feature bits: one table for names, and the verdict for mounting. FORMAT.md 2. */
#include "layout/feature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct feature {
	enum feature_class class;
	uint32_t bit;
	const char *name;
};

/* The first name of a bit is the one that is printed; more names are taken by feature_parse(). */
static const struct feature features[] = {
	{FEATURE_COMPAT, EXT_COMPAT_DIR_PREALLOC, "dir_prealloc"},
	{FEATURE_COMPAT, EXT_COMPAT_IMAGIC_INODES, "imagic_inodes"},
	{FEATURE_COMPAT, EXT_COMPAT_HAS_JOURNAL, "has_journal"},
	{FEATURE_COMPAT, EXT_COMPAT_EXT_ATTR, "ext_attr"},
	{FEATURE_COMPAT, EXT_COMPAT_RESIZE_INODE, "resize_inode"},
	{FEATURE_COMPAT, EXT_COMPAT_DIR_INDEX, "dir_index"},
	{FEATURE_COMPAT, EXT_COMPAT_LAZY_BG, "lazy_bg"},
	{FEATURE_COMPAT, EXT_COMPAT_EXCLUDE_INODE, "exclude_inode"},
	{FEATURE_COMPAT, EXT_COMPAT_EXCLUDE_BITMAP, "snapshot_bitmap"},
	{FEATURE_COMPAT, EXT_COMPAT_SPARSE_SUPER2, "sparse_super2"},
	{FEATURE_COMPAT, EXT_COMPAT_FAST_COMMIT, "fast_commit"},
	{FEATURE_COMPAT, EXT_COMPAT_STABLE_INODES, "stable_inodes"},
	{FEATURE_COMPAT, EXT_COMPAT_ORPHAN_FILE, "orphan_file"},

	{FEATURE_INCOMPAT, EXT_INCOMPAT_COMPRESSION, "compression"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_FILETYPE, "filetype"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_RECOVER, "needs_recovery"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_JOURNAL_DEV, "journal_dev"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_META_BG, "meta_bg"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_EXTENTS, "extent"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_EXTENTS, "extents"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_64BIT, "64bit"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_MMP, "mmp"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_FLEX_BG, "flex_bg"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_EA_INODE, "ea_inode"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_DIRDATA, "dirdata"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_CSUM_SEED, "metadata_csum_seed"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_LARGEDIR, "large_dir"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_INLINE_DATA, "inline_data"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_ENCRYPT, "encrypt"},
	{FEATURE_INCOMPAT, EXT_INCOMPAT_CASEFOLD, "casefold"},

	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_SPARSE_SUPER, "sparse_super"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_LARGE_FILE, "large_file"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_BTREE_DIR, "btree_dir"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_HUGE_FILE, "huge_file"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_GDT_CSUM, "uninit_bg"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_GDT_CSUM, "uninit_groups"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_DIR_NLINK, "dir_nlink"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_EXTRA_ISIZE, "extra_isize"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_HAS_SNAPSHOT, "has_snapshot"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_QUOTA, "quota"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_BIGALLOC, "bigalloc"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_METADATA_CSUM, "metadata_csum"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_REPLICA, "replica"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_READONLY, "read-only"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_PROJECT, "project"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_VERITY, "verity"},
	{FEATURE_RO_COMPAT, EXT_RO_COMPAT_ORPHAN_PRESENT, "orphan_present"},
};

/* The letter of an unknown bit's name: FEATURE_I17. */
static const char class_letter[] = {
	[FEATURE_COMPAT] = 'C',
	[FEATURE_INCOMPAT] = 'I',
	[FEATURE_RO_COMPAT] = 'R',
};

const char *feature_name(enum feature_class class, uint32_t bit)
{
	size_t i;

	for (i = 0; i < array_size(features); i++)
		if (features[i].class == class && features[i].bit == bit)
			return features[i].name;
	return NULL;
}

static void append(char *buf, size_t size, const char *word)
{
	size_t len = strlen(buf);

	if (len < size)
		snprintf(buf + len, size - len, "%s%s", len ? " " : "", word);
}

void feature_describe(enum feature_class class, uint32_t mask, char *buf, size_t size)
{
	unsigned n;

	if (size == 0)
		return;
	buf[0] = '\0';
	for (n = 0; n < 32; n++) {
		uint32_t bit = UINT32_C(1) << n;
		const char *name = feature_name(class, bit);
		char unknown[16];

		if (!(mask & bit))
			continue;
		if (!name) {
			snprintf(unknown, sizeof(unknown), "FEATURE_%c%u", class_letter[class], n);
			name = unknown;
		}
		append(buf, size, name);
	}
}

/* FEATURE_I17 and its like, in any case of letters. */
static int parse_numbered(const char *name, enum feature_class *ret_class, uint32_t *ret_bit)
{
	static const char prefix[] = "FEATURE_";
	const char *number = name + sizeof(prefix);	/* behind the prefix and a letter */
	unsigned long n;
	size_t c;
	char *end;

	if (strncasecmp(name, prefix, sizeof(prefix) - 1) != 0)
		return -ENOENT;
	for (c = 0; c < array_size(class_letter); c++) {
		if ((name[sizeof(prefix) - 1] & ~0x20) != class_letter[c])
			continue;
		if (*number < '0' || *number > '9')
			return -ENOENT;
		n = strtoul(number, &end, 10);
		if (*end || n > 31)
			return -ENOENT;
		*ret_class = (enum feature_class)c;
		*ret_bit = UINT32_C(1) << n;
		return 0;
	}
	return -ENOENT;
}

int feature_parse(const char *name, enum feature_class *ret_class, uint32_t *ret_bit)
{
	size_t i;

	for (i = 0; i < array_size(features); i++) {
		if (strcasecmp(features[i].name, name) != 0)
			continue;
		*ret_class = features[i].class;
		*ret_bit = features[i].bit;
		return 0;
	}
	return parse_numbered(name, ret_class, ret_bit);
}

enum mount_verdict feature_check(const struct ext_super *super, char *why, size_t why_size)
{
	uint32_t incompat = le32_get(super->feature_incompat) & ~FEATURE_INCOMPAT_SUPPORTED;
	uint32_t ro_compat = le32_get(super->feature_ro_compat) & ~FEATURE_RO_COMPAT_SUPPORTED;
	char names[512];

	if (why_size)
		why[0] = '\0';
	if (le32_get(super->rev_level) > EXT_DYNAMIC_REV) {
		snprintf(why, why_size, "unsupported revision %u", le32_get(super->rev_level));
		return FEATURE_REFUSE;
	}
	if (incompat & EXT_INCOMPAT_JOURNAL_DEV) {
		snprintf(why, why_size, "this is an external journal, not a file system (journal_dev)");
		return FEATURE_REFUSE;
	}
	if (incompat) {
		feature_describe(FEATURE_INCOMPAT, incompat, names, sizeof(names));
		snprintf(why, why_size, "unsupported features: %s", names);
		return FEATURE_REFUSE;
	}
	/* Its clusters take part in finding groups, so not even reading is safe. */
	if (ro_compat & EXT_RO_COMPAT_BIGALLOC) {
		snprintf(why, why_size, "unsupported features: bigalloc");
		return FEATURE_REFUSE;
	}
	if (ro_compat) {
		feature_describe(FEATURE_RO_COMPAT, ro_compat, names, sizeof(names));
		snprintf(why, why_size, "features that allow reading only: %s", names);
		return FEATURE_RO;
	}
	return FEATURE_RW;
}
