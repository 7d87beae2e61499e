/*
 * layout/dirhash.h - the hashes that order an indexed directory.
 *
 * Purpose     Names are sorted by hash in an htree, so a single wrong bit loses files for other
 *             implementations. Three functions, each with names taken as signed or unsigned bytes.
 * Ownership   Values.
 * Locking     None.
 * Sources     FORMAT.md 7.4.
 */
#ifndef LAYOUT_DIRHASH_H
#define LAYOUT_DIRHASH_H

#include "layout/format.h"

struct dirhash {
	uint32_t major;		/* orders the tree; lowest bit always 0 */
	uint32_t minor;		/* orders readdir within one major; 0 with the legacy hash */
};

/* The largest major of a name is below this: it marks the end of a directory. */
#define DIRHASH_EOF 0xfffffffeu

/*
 * Hashes a name. version is EXT_HASH_LEGACY ... EXT_HASH_TEA_UNSIGNED, see dirhash_version(); seed is the
 * superblock's hash_seed in host order. -EINVAL: no such version.
 */
must_check int dirhash(unsigned version, const uint32_t seed[4], const char *name, unsigned name_len,
		       struct dirhash *ret);

/*
 * The version to compute for one that lies on disk (in the superblock or an htree root): the unsigned
 * variant where the superblock's flags say that this file system's names were hashed so.
 */
unsigned dirhash_version(const struct ext_super *super, unsigned version_on_disk);

/* The superblock's seed in host order. */
void dirhash_seed(const struct ext_super *super, uint32_t ret[4]);

#endif
