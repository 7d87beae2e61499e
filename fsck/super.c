/* Pass 0: the fields of the superblock, and its copies. */
#include "super.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rand.h"
#include "descs.h"
#include "layout/feature.h"
#include "layout/super.h"

#define DAY_S 86400u

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

/* More inodes than the usual ones are never reserved by mkfs: a flipped bit would cost the files in them. */
#define FIRST_INO_LOOKED_AT 4096u

static bool has_files_below(struct fsck *f, inr_t end)
{
	inr_t ino;

	for (ino = EXT_GOOD_OLD_FIRST_INO; ino < min(end, FIRST_INO_LOOKED_AT); ino++) {
		union inode_buf buf;
		unsigned mode;

		if (!fsck_read_inode(f, ino, &buf) || !le16_get(buf.raw.links_count))
			continue;
		mode = le16_get(buf.raw.mode);
		if (S_ISDIR(mode) || S_ISREG(mode) || S_ISLNK(mode))
			return true;
	}
	return false;
}

static void check_first_ino(struct fsck *f)
{
	struct where w = {.num = f->geo.first_ino};

	if (f->geo.first_ino == EXT_GOOD_OLD_FIRST_INO || !has_files_below(f, f->geo.first_ino) ||
	    !problem(f, SUPER_FIRST_INO, w))
		return;
	f->super.first_ino = le32_make(EXT_GOOD_OLD_FIRST_INO);
	f->geo.first_ino = EXT_GOOD_OLD_FIRST_INO;
	f->super_dirty = true;
	f->backups_dirty = true;
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
	check_first_ino(f);
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
	fsck_identify_undo(f);
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
