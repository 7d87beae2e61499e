/*
 * Pass 0: the superblock.
 *
 * It is believed when it passes the gate. When the primary does not, the places where copies lie for
 * each block size are tried, and then every block.
 */
#include "super.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "descs.h"
#include "layout/feature.h"
#include "layout/super.h"

#define DAY_S     86400u
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

/* Looks for a copy, first where groups have their usual size. */
static bool find_copy(struct fsck *f, fsblk_t *ret_block)
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
	return scan_for_copy(f, ret_block);
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

/*
 * A superblock can pass its gate and still be wrong in a field that says where descriptors lie. Where its
 * descriptors are impossible, without a copy that is not, and those of another superblock are not, that one
 * is the better one.
 */
void super_weigh(struct fsck *f)
{
	struct ext_super super = f->super;
	struct geometry geo = f->geo;
	group_t lost = f->used_backup ? 0 : descs_count_lost(f);
	bool is_better = false;
	fsblk_t block;

	if (!lost)
		return;
	store_set_block_size(&f->store, EXT_BLOCK_SIZE_MIN);
	if (!find_copy(f, &block)) {
		store_set_block_size(&f->store, f->geo.block_size);
		return;
	}
	descs_forget(f);
	store_set_block_size(&f->store, f->geo.block_size);
	descs_read(f);
	if (descs_count_lost(f) < lost) {
		struct where w = {.block = block, .str = "its group descriptors are impossible"};

		problem(f, SUPER_UNUSABLE, w);
		/* With -n nothing is decided; what is told is told of the better one. */
		is_better = problem(f, SUPER_FROM_BACKUP, w) || f->opt.mode == MODE_NO;
	}
	if (!is_better) {
		f->super = super;
		f->geo = geo;
		f->used_backup = false;
		descs_forget(f);
		store_set_block_size(&f->store, f->geo.block_size);
		descs_read(f);
	}
	use_found(f);
}

/* ---- fields ---- */

/* Extra bytes of inodes that the superblock asks for: 0, or at least the length and the checksum. */
static bool extra_isize_is_possible(const struct fsck *f, unsigned extra)
{
	return extra == 0 ||
	       (extra >= 4 && extra % 4 == 0 && extra <= f->geo.inode_size - EXT_GOOD_OLD_INODE_SIZE);
}

static void check_extra_isize(struct fsck *f, le16_t *field)
{
	if (f->geo.inode_size == EXT_GOOD_OLD_INODE_SIZE ||
	    extra_isize_is_possible(f, le16_get(*field)))
		return;
	if (problem(f, SUPER_EXTRA_ISIZE, (struct where){.num = le16_get(*field)})) {
		*field = le16_make(EXT_EXTRA_ISIZE);
		f->super_dirty = true;
	}
}

/* A clock that is off by less than a day is no damage. */
static bool lies_in_future(const struct fsck *f, uint32_t low, uint8_t high)
{
	return (low | (uint64_t)high << 32) > (uint64_t)f->now + DAY_S;
}

static void check_times(struct fsck *f)
{
	struct ext_super *s = &f->super;

	if (lies_in_future(f, le32_get(s->mtime), s->mtime_hi) &&
	    problem(f, SUPER_MTIME_FUTURE, (struct where){0})) {
		s->mtime = le32_make(f->now);
		s->mtime_hi = 0;
		f->super_dirty = true;
	}
	if (lies_in_future(f, le32_get(s->wtime), s->wtime_hi) &&
	    problem(f, SUPER_WTIME_FUTURE, (struct where){0})) {
		s->wtime = le32_make(f->now);
		s->wtime_hi = 0;
		f->super_dirty = true;
	}
}

/* Without the 64bit feature the field means nothing, and yet others look at it. */
static void check_desc_size(struct fsck *f)
{
	unsigned size = le16_get(f->super.desc_size);

	if ((size && !is_power_of_2(size)) || size > 1024) {
		if (problem(f, SUPER_DESC_SIZE, (struct where){.num = size})) {
			f->super.desc_size = le16_make(0);
			f->super_dirty = true;
		}
	}
}

/* Whoever reads these fields takes the inodes for reserved ones, whatever the feature says. */
static void check_quota_fields(struct fsck *f)
{
	struct ext_super *s = &f->super;

	if ((le32_get(s->usr_quota_inum) || le32_get(s->grp_quota_inum) ||
	     le32_get(s->prj_quota_inum)) &&
	    problem(f, SUPER_QUOTA, (struct where){0})) {
		s->usr_quota_inum = s->grp_quota_inum = s->prj_quota_inum = le32_make(0);
		f->super_dirty = true;
		f->backups_dirty = true;
	}
}

/* e2fsck clears the inode that the field names, feature or not: here the field goes, and the file stays. */
static void check_orphan_file(struct fsck *f)
{
	inr_t ino = le32_get(f->super.orphan_file_inum);
	struct where w = {.ino = ino};
	union inode_buf buf;
	bool is_used;

	if (!ino)
		return;
	is_used = inode_nr_is_valid(&f->geo, ino) && fsck_read_inode(f, ino, &buf) &&
		  (le16_get(buf.raw.links_count) || le32_get(buf.raw.blocks) ||
		   le32_get(buf.raw.block[0]));
	if (problem(f, is_used ? SUPER_ORPHAN_FILE : SUPER_ORPHAN_FILE_STALE, w)) {
		f->super.orphan_file_inum = le32_make(0);
		f->super_dirty = true;
		f->backups_dirty = true;
	}
}

static void check_uuid(struct fsck *f)
{
	static const uint8_t none[16];
	struct rand rand;
	unsigned i;

	if (!fsck_may_write(f) || memcmp(f->super.uuid, none, sizeof(none)) != 0 ||
	    !problem(f, SUPER_NO_UUID, (struct where){0}))
		return;
	rand_init(&rand, (uint64_t)f->now << 32 ^ (uintptr_t)f);
	for (i = 0; i < sizeof(f->super.uuid); i++)
		f->super.uuid[i] = (uint8_t)rand_below(&rand, 256);
	f->super.uuid[6] = (uint8_t)((f->super.uuid[6] & 0x0f) | 0x40);
	f->super.uuid[8] = (uint8_t)((f->super.uuid[8] & 0x3f) | 0x80);
	f->super_dirty = true;
	f->backups_dirty = true;
}

static void check_hash_sign(struct fsck *f)
{
	uint32_t flags = le32_get(f->super.flags);

	if (!fsck_may_write(f) || !f->geo.has_dir_index ||
	    flags & (EXT_FLAGS_SIGNED_HASH | EXT_FLAGS_UNSIGNED_HASH) ||
	    !problem(f, SUPER_HASH_UNSET, (struct where){0}))
		return;
	f->super.flags = le32_make(flags | EXT_FLAGS_SIGNED_HASH);
	f->super_dirty = true;
}

void super_check_fields(struct fsck *f)
{
	struct ext_super *s = &f->super;

	if (le32_get(s->r_blocks_count) > f->geo.blocks_count / 2 &&
	    problem(f, SUPER_RESERVED_TOO_MANY,
		    (struct where){.num = le32_get(s->r_blocks_count), .num2 = f->geo.blocks_count})) {
		s->r_blocks_count = le32_make((uint32_t)(f->geo.blocks_count / 20));
		f->super_dirty = true;
	}
	if ((le32_get(s->free_blocks_count) > f->geo.blocks_count ||
	     le32_get(s->free_inodes_count) > f->geo.inodes_count) &&
	    problem(f, SUPER_FREE_IMPOSSIBLE,
		    (struct where){.num = le32_get(s->free_blocks_count),
				   .num2 = le32_get(s->free_inodes_count)}))
		f->super_dirty = true; /* pass 5 counts them */
	if (s->log_groups_per_flex > 31 &&
	    problem(f, SUPER_FLEX, (struct where){.num = s->log_groups_per_flex})) {
		s->log_groups_per_flex = 0;
		f->super_dirty = true;
	}
	check_extra_isize(f, &s->min_extra_isize);
	check_extra_isize(f, &s->want_extra_isize);
	descs_check(f);
	check_quota_fields(f);
	check_orphan_file(f);
	check_desc_size(f);
	check_uuid(f);
	check_times(f);
	check_hash_sign(f);
}

/* ---- copies ---- */

/* What a copy must share with the superblock, as e2fsck takes it. */
static bool copy_differs(const struct ext_super *a, const struct ext_super *b)
{
	const uint32_t ro_compat = EXT_RO_COMPAT_LARGE_FILE;
	const uint32_t incompat = EXT_INCOMPAT_RECOVER;

	return le32_get(a->feature_compat) != le32_get(b->feature_compat) ||
	       (le32_get(a->feature_incompat) ^ le32_get(b->feature_incompat)) & ~incompat ||
	       (le32_get(a->feature_ro_compat) ^ le32_get(b->feature_ro_compat)) & ~ro_compat ||
	       le32_get(a->blocks_count) != le32_get(b->blocks_count) ||
	       le32_get(a->inodes_count) != le32_get(b->inodes_count) ||
	       memcmp(a->uuid, b->uuid, sizeof(a->uuid)) != 0;
}

/* The first group behind 0 whose copy differs or cannot be one; 0: all are well. */
static group_t first_different_copy(struct fsck *f, bool only_first)
{
	struct ext_super copy;
	group_t g;

	for (g = super_next_group(&f->geo, 0); g < f->geo.groups_count;
	     g = super_next_group(&f->geo, g)) {
		if (store_read_bytes(&f->store, super_location(&f->geo, g), &copy, sizeof(copy)))
			continue;
		if (only_first && !super_has_magic(&copy))
			continue;
		if (!super_has_magic(&copy) || copy_differs(&f->super, &copy))
			return g;
		if (only_first)
			break;
	}
	return 0;
}

bool super_backups_differ(struct fsck *f)
{
	return first_different_copy(f, true) != 0;
}

void super_check_backups(struct fsck *f)
{
	group_t g;

	if (!fsck_may_write(f) || f->backups_dirty)
		return;
	g = first_different_copy(f, false);
	if (g && problem(f, SUPER_BACKUPS_DIFFER, (struct where){.group = g}))
		f->backups_dirty = true;
}

/* ---- writing ---- */

static void write_copies(struct fsck *f)
{
	struct ext_super copy = f->super;
	struct group_head head;
	group_t g;
	uint32_t i;

	copy.state = le16_make((uint16_t)(le16_get(copy.state) & ~EXT_VALID_FS));
	for (g = 1; g < f->geo.groups_count; g++) {
		head = group_head(&f->geo, g);
		copy.block_group_nr = le16_make((uint16_t)g);
		if (head.has_super &&
		    store_write_bytes(&f->store, super_location(&f->geo, g), &copy, sizeof(copy)))
			fsck_fail(f, "writing a copy of the superblock", -EIO);
		for (i = 0; i < head.gdt_blocks; i++)
			descs_write_block(f, head.gdt + i, head.gdt_index + i);
	}
}

void super_write(struct fsck *f, uint16_t state)
{
	int err;

	if (!fsck_may_write(f))
		return;
	fsck_begin_changes(f);
	if (f->desc_dirty)
		descs_write(f);
	if (f->backups_dirty)
		write_copies(f);
	fsck_flush(f); /* the superblock calls valid only what is durable */
	f->super.state = le16_make(state);
	f->super.wtime = le32_make(f->now);
	f->super.wtime_hi = 0;
	err = store_write_bytes(&f->store, EXT_SUPER_OFFSET, &f->super, sizeof(f->super));
	if (err)
		fsck_fail(f, "writing the superblock", err);
	fsck_flush(f);
	f->desc_dirty = f->super_dirty = f->backups_dirty = false;
}
