/*
 * Pass 0: which superblock is believed.
 *
 * The primary when it passes the gate. When it does not, the places where copies lie for each block size are
 * tried, and then every block. One that passes is still weighed against its copy.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "descs.h"
#include "layout/feature.h"
#include "layout/super.h"
#include "super.h"

#define WHY_BYTES 192

/* ---- the superblock ---- */

/*
 * A check must understand all that it sees: what is unknown, even what a mount may pass over, could be
 * "repaired" away.
 */
static bool features_are_known(const struct ext_super *super, char *why)
{
	uint32_t unknown = le32_get(super->feature_compat) & ~FEATURE_COMPAT_SUPPORTED;
	char names[WHY_BYTES - 32];

	if (feature_check(super, why, WHY_BYTES) != FEATURE_RW)
		return false;
	if (!unknown)
		return true;
	feature_describe(FEATURE_COMPAT, unknown, names, sizeof(names));
	snprintf(why, WHY_BYTES, "unsupported features: %s", names);
	return false;
}

static int read_super_at(struct fsck *f, uint64_t offset, struct ext_super *super, struct geometry *geo,
			 char *why)
{
	uint8_t block[1024];
	int err;

	if (offset + sizeof(*super) > f->store.size_bytes) {
		snprintf(why, WHY_BYTES, "it lies behind the end of the image");
		return -EINVAL;
	}
	err = store_read(&f->store, offset / sizeof(block), 1, block);
	if (err) {
		snprintf(why, WHY_BYTES, "it cannot be read: %s", strerror(-err));
		return err;
	}
	memcpy(super, block, sizeof(*super));
	err = super_check(super, f->store.size_bytes, geo, why, WHY_BYTES);
	if (!err && !features_are_known(super, why))
		return -EOPNOTSUPP;
	return err;
}

/* A copy at this block for this block size, that says it is one for it. */
static bool take_copy(struct fsck *f, fsblk_t block, unsigned block_size, char *why)
{
	struct ext_super super;
	struct geometry geo;

	if (read_super_at(f, block * block_size, &super, &geo, why) || geo.block_size != block_size)
		return false;
	f->super = super;
	f->super.block_group_nr = le16_make(0);
	f->geo = geo;
	f->used_backup = true;
	return true;
}

static const unsigned block_sizes[] = {1024, 2048, 4096};
static const group_t copy_groups[] = {1, 3, 5, 7, 9, 25, 27, 49};

#define SCAN_PIECE_BYTES (1u << 20)
#define SCAN_BYTES_MAX   (4ull << 30) /* copies of larger groups lie before that */

/* Is it a copy that lies where it says that it lies? Another image inside a file does not. */
static bool take_scanned(struct fsck *f, const uint8_t *bytes, uint64_t offset)
{
	struct ext_super super;
	struct geometry geo;
	char why[WHY_BYTES];
	group_t g;

	memcpy(&super, bytes, sizeof(super));
	g = le16_get(super.block_group_nr);
	if (!super_has_magic(&super) || g == 0 ||
	    super_check(&super, f->store.size_bytes, &geo, why, sizeof(why)) || g >= geo.groups_count ||
	    super_location(&geo, g) != offset)
		return false;
	f->super = super;
	f->super.block_group_nr = le16_make(0);
	f->geo = geo;
	f->used_backup = true;
	return true;
}

/* Groups of an unusual size: every block of the image is looked at. */
static bool scan_for_copy(struct fsck *f, fsblk_t *ret_block)
{
	uint64_t end = min(f->store.size_bytes, SCAN_BYTES_MAX), at = 0, i;

	f->piece = fsck_alloc(f, SCAN_PIECE_BYTES);
	while ((at = round_down(store_next_data(&f->store, at, end), 1024)) + 1024 <= end) {
		uint64_t count = min(end - at, (uint64_t)SCAN_PIECE_BYTES) / 1024;

		if (store_read(&f->store, at / 1024, (unsigned)count, f->piece))
			break;
		for (i = 0; i < count; i++)
			if (take_scanned(f, f->piece + i * 1024, at + i * 1024)) {
				*ret_block = (at + i * 1024) >> f->geo.block_bits;
				fsck_release_pieces(f);
				return true;
			}
		at += count * 1024;
	}
	fsck_release_pieces(f);
	return false;
}

/* Where copies usually lie, and where they lie if the superblock at hand is right. */
static bool find_usual_copy(struct fsck *f, fsblk_t *ret_block)
{
	char why[WHY_BYTES];
	unsigned i, g;

	for (g = 0; g < array_size(copy_groups); g++)
		for (i = 0; i < array_size(block_sizes); i++) {
			fsblk_t first = block_sizes[i] == EXT_BLOCK_SIZE_MIN ? 1 : 0;
			fsblk_t block = first + (fsblk_t)copy_groups[g] * block_sizes[i] * 8;

			if (take_copy(f, block, block_sizes[i], why)) {
				*ret_block = block;
				return true;
			}
		}
	return false;
}

static bool find_own_copy(struct fsck *f, fsblk_t *ret_block)
{
	unsigned block_size = f->geo.block_size;
	group_t g = super_next_group(&f->geo, 0);
	char why[WHY_BYTES];

	if (g >= f->geo.groups_count)
		return false;
	*ret_block = super_location(&f->geo, g) / block_size;
	return take_copy(f, *ret_block, block_size, why);
}

/* Looks for a copy, first where groups have their usual size. */
static bool find_copy(struct fsck *f, fsblk_t *ret_block)
{
	return find_usual_copy(f, ret_block) || scan_for_copy(f, ret_block);
}

static void find_given(struct fsck *f)
{
	char why[WHY_BYTES] = "", text[WHY_BYTES + 64];
	unsigned i;

	for (i = 0; i < array_size(block_sizes); i++)
		if ((!f->opt.backup_block_size || f->opt.backup_block_size == block_sizes[i]) &&
		    take_copy(f, f->opt.backup_block, block_sizes[i], why))
			return;
	snprintf(text, sizeof(text), "no superblock in block %llu: %s",
		 (unsigned long long)f->opt.backup_block, why);
	fsck_stop(f, FSCK_ERROR, text);
}

/*
 * Features that a tool turns on stand in the copies too. Where a copy of the very same file system does
 * not have what the primary claims, these are flipped bits.
 */
static bool copy_disowns_features(struct fsck *f, const struct ext_super *primary, fsblk_t *ret_block)
{
	return find_copy(f, ret_block) &&
	       memcmp(f->super.uuid, primary->uuid, sizeof(primary->uuid)) == 0;
}

static void find_primary_or_copy(struct fsck *f)
{
	char why[WHY_BYTES], text[WHY_BYTES + 160];
	fsblk_t block;
	int err = read_super_at(f, EXT_SUPER_OFFSET, &f->super, &f->geo, why);
	struct ext_super primary = f->super;

	if (!err)
		return;
	if (err == -EOPNOTSUPP) {
		if (!copy_disowns_features(f, &primary, &block))
			fsck_stop(f, FSCK_ERROR, why);
	} else if (!find_copy(f, &block)) {
		snprintf(text, sizeof(text),
			 "%s; no copy of the superblock was found either. "
			 "If this is an ext2 or ext3 file system, -b BLOCK names a copy",
			 why);
		fsck_stop(f, FSCK_ERROR, text);
	}
	problem(f, SUPER_UNUSABLE, (struct where){.str = why});
	if (!problem(f, SUPER_FROM_BACKUP, (struct where){.block = block}) && f->opt.mode != MODE_NO)
		fsck_stop(f, FSCK_UNCORRECTED | FSCK_ERROR,
			  "there is no other superblock to go on with");
}

static void use_found(struct fsck *f)
{
	store_set_block_size(&f->store, f->geo.block_size);
	if (f->used_backup) {
		f->super_dirty = true;
		f->backups_dirty = true;
	}
}

void super_find(struct fsck *f)
{
	if (f->opt.backup_block)
		find_given(f);
	else
		find_primary_or_copy(f);
	use_found(f);
}

struct version {
	struct ext_super super;
	struct geometry geo;
	bool used_backup;
};

static struct version present_version(const struct fsck *f)
{
	return (struct version){f->super, f->geo, f->used_backup};
}

static void switch_version(struct fsck *f, const struct version *v)
{
	f->super = v->super;
	f->geo = v->geo;
	f->used_backup = v->used_backup;
	descs_forget(f);
	store_set_block_size(&f->store, f->geo.block_size);
	descs_read(f);
}

/* A copy as it would be used; the present superblock stays. */
static bool find_other_version(struct fsck *f, bool everywhere, struct version *ret, fsblk_t *ret_block)
{
	struct version present = present_version(f);
	bool is_found;

	store_set_block_size(&f->store, EXT_BLOCK_SIZE_MIN);
	is_found = find_own_copy(f, ret_block) || find_usual_copy(f, ret_block) ||
		   (everywhere && scan_for_copy(f, ret_block));
	*ret = present_version(f);
	f->super = present.super;
	f->geo = present.geo;
	f->used_backup = present.used_backup;
	store_set_block_size(&f->store, f->geo.block_size);
	return is_found;
}

/* Do they put inodes at different places? */
static bool geometry_differs(const struct version *v, const struct fsck *f)
{
	const struct geometry *a = &v->geo, *b = &f->geo;

	return a->block_size != b->block_size || a->blocks_per_group != b->blocks_per_group ||
	       a->inodes_per_group != b->inodes_per_group || a->inode_size != b->inode_size;
}

/*
 * A superblock can pass its gate and still be wrong in a field that says where descriptors or inodes lie. Where its
 * descriptors are impossible, without a copy that is not, and those of another superblock are not, that one
 * is the better one; and so it is where a copy of the same file system leads to inodes that can be believed better.
 */
void super_weigh(struct fsck *f)
{
	struct version present = present_version(f), other;
	group_t lost = f->used_backup ? 0 : descs_count_lost(f);
	int64_t points = 0;
	fsblk_t block;
	bool is_better;

	if (f->used_backup || !find_other_version(f, lost != 0, &other, &block))
		return;
	if (!lost) {
		if (!geometry_differs(&other, f) ||
		    memcmp(f->super.uuid, other.super.uuid, sizeof(f->super.uuid)) != 0)
			return;
		points = descs_judge(f);
	}
	switch_version(f, &other);
	is_better = lost ? descs_count_lost(f) < lost : descs_judge(f) > points;
	if (is_better) {
		struct where w = {.block = block,
				  .str = lost ? "its group descriptors are impossible"
					      : "no inodes lie where it says"};

		problem(f, SUPER_UNUSABLE, w);
		/* With -n nothing is decided; what is told is told of the better one. */
		is_better = problem(f, SUPER_FROM_BACKUP, w) || f->opt.mode == MODE_NO;
	}
	if (!is_better)
		switch_version(f, &present);
	use_found(f);
}
