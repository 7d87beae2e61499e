/*
 * layout/feature.h - feature bits, their names, and what they allow us.
 *
 * Purpose     One table of features answers mount (may we write, read, or nothing), mkfs -O
 *             (which bit is this word) and reports (which words are these bits). Names are
 *             those that dumpe2fs prints and mke2fs takes.
 * Ownership   Returned strings are constants.
 * Locking     None.
 * Sources     FORMAT.md 2.
 */
#ifndef LAYOUT_FEATURE_H
#define LAYOUT_FEATURE_H

#include "layout/format.h"

enum feature_class {
	FEATURE_COMPAT,		/* an implementation that does not know it may write */
	FEATURE_INCOMPAT,	/* ... may do nothing */
	FEATURE_RO_COMPAT,	/* ... may read */
};

/* What is read and written here. Other compat bits are left alone; FORMAT.md 2 says why that is safe. */
#define FEATURE_COMPAT_SUPPORTED                                                      \
	(EXT_COMPAT_DIR_PREALLOC | EXT_COMPAT_HAS_JOURNAL | EXT_COMPAT_EXT_ATTR |     \
	 EXT_COMPAT_RESIZE_INODE | EXT_COMPAT_DIR_INDEX | EXT_COMPAT_SPARSE_SUPER2)
#define FEATURE_INCOMPAT_SUPPORTED                                                    \
	(EXT_INCOMPAT_FILETYPE | EXT_INCOMPAT_RECOVER | EXT_INCOMPAT_META_BG)
#define FEATURE_RO_COMPAT_SUPPORTED                                                   \
	(EXT_RO_COMPAT_SPARSE_SUPER | EXT_RO_COMPAT_LARGE_FILE)

enum mount_verdict {
	FEATURE_RW,		/* everything is known */
	FEATURE_RO,		/* may be read; why names what stands against writing */
	FEATURE_REFUSE,		/* cannot be read; why names what is not known */
};

/*
 * May this superblock's file system be written, read, or nothing? why gets a clause such as
 * "unsupported features: extents 64bit" when the answer is not FEATURE_RW, else an empty string.
 * Looks at the revision and the three feature words only.
 */
must_check enum mount_verdict feature_check(const struct ext_super *super, char *why, size_t why_size);

/* The name of a single bit, or NULL when the bit is not known. */
const char *feature_name(enum feature_class class, uint32_t bit);

/*
 * Writes the names of all bits in mask to buf, separated by spaces; an unknown bit n reads
 * FEATURE_C<n>, FEATURE_I<n> or FEATURE_R<n>, as dumpe2fs has it. Cuts off what does not fit.
 */
void feature_describe(enum feature_class class, uint32_t mask, char *buf, size_t size);

/* The class and bit of a name as mke2fs -O takes it (also FEATURE_C<n> ...). 0, or -ENOENT: no such name. */
must_check int feature_parse(const char *name, enum feature_class *ret_class, uint32_t *ret_bit);

static inline bool super_has_compat(const struct ext_super *s, uint32_t bit)
{
	return le32_get(s->feature_compat) & bit;
}

static inline bool super_has_incompat(const struct ext_super *s, uint32_t bit)
{
	return le32_get(s->feature_incompat) & bit;
}

static inline bool super_has_ro_compat(const struct ext_super *s, uint32_t bit)
{
	return le32_get(s->feature_ro_compat) & bit;
}

#endif
