/*
 * From what was asked for to the numbers of a superblock.
 *
 * The arithmetic is mke2fs's, step for step, so that the same options give the same file system:
 * usage type by size, block size, inode count, then a search for group sizes that fit. The search
 * starts over with smaller groups when a group would have more inodes than its bitmap has bits,
 * and with fewer blocks when the last group is too short for its own metadata.
 *
 * Where the blocks of these groups lie is place.c's matter.
 */
#include "plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layout/blockpath.h"
#include "layout/group.h"
#include "layout/super.h"
#include "place.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define LAST_GROUP_FREE_MIN  50u	/* a last group with fewer free blocks is not worth having */
#define JOURNAL_BLOCKS_MAX   10240000u
#define JOURNAL_BLOCKS_LEAST 1024u
#define INODES_PER_GROUP_MAX 65536u	/* less one block of them: descriptors count in 16 bits */

struct err {
	char *text;
	size_t size;
};

static int refuse(struct err err, int errnum, const char *fmt, ...) printf_like(3, 4);

static int refuse(struct err err, int errnum, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err.text, err.size, fmt, args);
	va_end(args);
	return errnum;
}

/* ---- usage types ---- */

struct usage {
	const char *name;
	uint64_t below_bytes;	/* by size: the first row that is larger; 0: by name only */
	unsigned block_size;	/* 0: as others say */
	unsigned inode_ratio;
};

static const struct usage usages[] = {
	{"floppy", 3 * MIB, 1024, 8192},
	{"small", 512 * MIB, 1024, 4096},
	{"default", 4 * TIB, 0, 0},
	{"big", 16 * TIB, 0, 32768},
	{"huge", UINT64_MAX, 0, 65536},
	{"news", 0, 0, 4096},
	{"largefile", 0, 4096, 1048576},
	{"largefile4", 0, 4096, 4194304},
};

#define DEFAULT_BLOCK_SIZE  4096u
#define DEFAULT_INODE_RATIO 16384u
#define DEFAULT_INODE_SIZE  256u

static const struct usage *usage_find(const char *name, size_t len)
{
	for (size_t i = 0; i < array_size(usages); i++)
		if (strlen(usages[i].name) == len && memcmp(usages[i].name, name, len) == 0)
			return &usages[i];
	return NULL;
}

bool plan_usage_is_known(const char *name, size_t len)
{
	return usage_find(name, len) != NULL;
}

static const struct usage *usage_by_size(uint64_t size_bytes)
{
	const struct usage *u = usages;

	while (size_bytes >= u->below_bytes && u->below_bytes != UINT64_MAX)
		u++;
	return u;
}

struct choice {
	unsigned block_size, inode_ratio;
};

static void usage_apply(const struct usage *u, struct choice *c)
{
	if (u->block_size)
		c->block_size = u->block_size;
	if (u->inode_ratio)
		c->inode_ratio = u->inode_ratio;
}

/* Later words of the list win over earlier ones; unknown words were warned about. */
static struct choice usage_choose(const struct mkfs_params *p)
{
	struct choice c = {DEFAULT_BLOCK_SIZE, DEFAULT_INODE_RATIO};
	const char *word = p->usage;

	if (!word)
		usage_apply(usage_by_size(p->size_bytes), &c);
	while (word) {
		size_t len = strcspn(word, ",");
		const struct usage *u = usage_find(word, len);

		if (u)
			usage_apply(u, &c);
		word = word[len] ? word + len + 1 : NULL;
	}
	c.block_size = max(c.block_size, p->block_size_min);
	if (p->block_size)
		c.block_size = p->block_size;
	c.inode_ratio = max(c.inode_ratio, c.block_size);
	if (p->inode_ratio)
		c.inode_ratio = p->inode_ratio;
	return c;
}

/* ---- features ---- */

static void choose_features(const struct mkfs_params *p, struct ext_super *s)
{
	uint32_t f[3] = {0, 0, 0};

	if (p->rev_level != EXT_GOOD_OLD_REV) {
		f[FEATURE_COMPAT] = EXT_COMPAT_EXT_ATTR | EXT_COMPAT_RESIZE_INODE | EXT_COMPAT_DIR_INDEX;
		f[FEATURE_INCOMPAT] = EXT_INCOMPAT_FILETYPE;
		f[FEATURE_RO_COMPAT] = EXT_RO_COMPAT_SPARSE_SUPER | EXT_RO_COMPAT_LARGE_FILE;
		if (p->is_ext3)
			f[FEATURE_COMPAT] |= EXT_COMPAT_HAS_JOURNAL;
	}
	for (int class = 0; class < 3; class++)
		f[class] = (f[class] & ~p->feature_clear[class]) | p->feature_set[class];
	if (p->wants_journal)
		f[FEATURE_COMPAT] |= EXT_COMPAT_HAS_JOURNAL;
	s->feature_compat = le32_make(f[FEATURE_COMPAT]);
	s->feature_incompat = le32_make(f[FEATURE_INCOMPAT]);
	s->feature_ro_compat = le32_make(f[FEATURE_RO_COMPAT]);
}

static int check_features(const struct mkfs_params *p, const struct ext_super *s, struct err err)
{
	uint32_t any = le32_get(s->feature_compat) | le32_get(s->feature_incompat) |
		       le32_get(s->feature_ro_compat);
	bool has_resize = super_has_compat(s, EXT_COMPAT_RESIZE_INODE);

	if (p->rev_level == EXT_GOOD_OLD_REV && super_has_compat(s, EXT_COMPAT_HAS_JOURNAL))
		return refuse(err, -EINVAL, "a revision 0 file system cannot have a journal");
	if (p->rev_level == EXT_GOOD_OLD_REV && p->resize.count)
		return refuse(err, -EINVAL, "a revision 0 file system cannot keep room for resize=");
	if (p->rev_level == EXT_GOOD_OLD_REV && any)
		return refuse(err, -EINVAL, "a revision 0 file system cannot have features");
	if (has_resize && super_has_incompat(s, EXT_INCOMPAT_META_BG))
		return refuse(err, -EINVAL, "meta_bg and resize_inode exclude each other; "
			      "add ^resize_inode to -O");
	if (has_resize && !super_has_ro_compat(s, EXT_RO_COMPAT_SPARSE_SUPER))
		return refuse(err, -EINVAL, "resize_inode needs sparse_super; add ^resize_inode to -O");
	return 0;
}

/* ---- sizes ---- */

static int choose_sizes(const struct mkfs_params *p, const struct choice *c, struct ext_super *s,
			struct err err)
{
	unsigned inode_size = p->inode_size ? p->inode_size : DEFAULT_INODE_SIZE;
	uint64_t blocks = p->size_bytes / c->block_size;

	if (c->block_size > EXT_BLOCK_SIZE_MAX)
		return refuse(err, -EINVAL, "blocks of %u bytes are not supported; the largest are %u",
			      c->block_size, EXT_BLOCK_SIZE_MAX);
	if (blocks > UINT32_MAX)
		return refuse(err, -EINVAL, "%llu blocks of %u bytes are too many: their numbers have 32 bits%s",
			      (unsigned long long)blocks, c->block_size,
			      c->block_size < EXT_BLOCK_SIZE_MAX ? "; choose larger blocks with -b" : "");
	if (p->rev_level != EXT_GOOD_OLD_REV &&
	    (inode_size < EXT_GOOD_OLD_INODE_SIZE || inode_size > c->block_size || !is_power_of_2(inode_size)))
		return refuse(err, -EINVAL, "invalid inode size %u: a power of 2 from %u to the block size, %u",
			      inode_size, EXT_GOOD_OLD_INODE_SIZE, c->block_size);
	if (p->blocks_per_group && (p->blocks_per_group < 256 || p->blocks_per_group > 8 * c->block_size))
		return refuse(err, -EINVAL, "%u blocks per group are out of range: 256 to %u",
			      p->blocks_per_group, 8 * c->block_size);
	if (p->rev_level == EXT_GOOD_OLD_REV)
		inode_size = EXT_GOOD_OLD_INODE_SIZE;
	s->log_block_size = le32_make(log2_floor(c->block_size / EXT_BLOCK_SIZE_MIN));
	s->log_cluster_size = s->log_block_size;
	s->first_data_block = le32_make(c->block_size == EXT_BLOCK_SIZE_MIN ? 1 : 0);
	s->blocks_count = le32_make((uint32_t)blocks);
	s->inode_size = le16_make((uint16_t)inode_size);
	return 0;
}

static int choose_inodes(const struct mkfs_params *p, const struct choice *c, const struct ext_super *s,
			 uint64_t *ret_inodes, struct err err)
{
	uint64_t blocks = le32_get(s->blocks_count);
	uint64_t inodes = p->nr_inodes ? p->nr_inodes : blocks * c->block_size / c->inode_ratio;

	if (inodes > UINT32_MAX)
		return refuse(err, -EINVAL, "%llu inodes are too many; %s", (unsigned long long)inodes,
			      p->nr_inodes ? "they must be fewer than 2^32" : "choose a larger -i");
	if (inodes * le16_get(s->inode_size) >= blocks * c->block_size)
		return refuse(err, -EINVAL, "%llu inodes of %u bytes do not fit into %llu blocks; "
			      "choose a larger -i or a smaller -N", (unsigned long long)inodes,
			      le16_get(s->inode_size), (unsigned long long)blocks);
	*ret_inodes = inodes;
	return 0;
}

/* ---- groups ---- */

/* What the search for group sizes works on. */
struct search {
	unsigned block_size, inode_size, desc_per_block, addr_per_block;
	uint32_t first_data_block;
	uint64_t blocks_asked;
	uint32_t reserved_asked;	/* r_blocks_count for blocks_asked */
	uint64_t inodes_asked;
	uint32_t resize_gdt_blocks;	/* -E resize=; 0: by rule */
	bool has_resize_inode, meta_bg, sparse_super;
	/* found */
	uint64_t blocks;
	uint32_t r_blocks;
	uint32_t blocks_per_group;
	group_t groups;
	uint32_t gdt_blocks;
	uint32_t inodes_per_group, table_blocks;
	uint32_t reserved_gdt_blocks;
};

/* Room for 1024 times the size, at most what one indirect block can name. */
static uint32_t reserved_gdt(const struct search *s)
{
	uint64_t blocks_max = UINT32_MAX;
	uint64_t groups, gdt;

	if (s->resize_gdt_blocks)
		return s->resize_gdt_blocks;
	if (!s->has_resize_inode)
		return 0;
	if (s->blocks < blocks_max / 1024)
		blocks_max = s->blocks * 1024;
	groups = div_round_up(blocks_max - s->first_data_block, s->blocks_per_group);
	gdt = div_round_up(groups, s->desc_per_block);
	gdt = gdt > s->gdt_blocks ? gdt - s->gdt_blocks : 0;
	return (uint32_t)min(gdt, (uint64_t)s->addr_per_block);
}

/* Whole blocks of inodes, and a multiple of 8 so that bitmaps end with a byte. */
static void round_inodes(struct search *s, uint32_t wanted)
{
	for (;; wanted--) {
		s->table_blocks = (uint32_t)div_round_up((uint64_t)wanted * s->inode_size, s->block_size);
		s->inodes_per_group = s->table_blocks * (s->block_size / s->inode_size);
		s->inodes_per_group = max(s->inodes_per_group, 8u) & ~7u;
		s->table_blocks = (uint32_t)div_round_up((uint64_t)s->inodes_per_group * s->inode_size,
							 s->block_size);
		if ((uint64_t)s->inodes_per_group * s->groups <= UINT32_MAX)
			return;
	}
}

static bool last_group_has_super(const struct search *s)
{
	struct geometry geo = {.sparse_super = s->sparse_super, .groups_count = s->groups};

	return group_has_super(&geo, s->groups - 1);
}

/*
 * One round of the search. 0 with *ret_done false: a number was changed, go round again.
 */
static int search_round(struct search *s, bool *ret_done, struct err err)
{
	uint64_t inodes = s->inodes_asked ? s->inodes_asked : s->blocks / max(4096 / s->block_size, 1u);
	uint64_t per_group, overhead, rest;

	*ret_done = false;
	s->groups = (group_t)div_round_up(s->blocks - s->first_data_block, s->blocks_per_group);
	if (s->groups == 0)
		return refuse(err, -ENOSPC, "the file system would be too small: %llu blocks",
			      (unsigned long long)s->blocks);
	s->gdt_blocks = div_round_up(s->groups, s->desc_per_block);
	per_group = div_round_up(max(inodes, (uint64_t)EXT_GOOD_OLD_FIRST_INO + 1), s->groups);
	if (per_group > s->block_size * 8) {
		if (s->blocks_per_group < 256)
			return refuse(err, -EINVAL, "%llu inodes are too many for the size",
				      (unsigned long long)inodes);
		s->blocks_per_group -= 8;
		s->blocks = s->blocks_asked;
		return 0;
	}
	per_group = min(per_group, (uint64_t)INODES_PER_GROUP_MAX - s->block_size / s->inode_size);
	round_inodes(s, (uint32_t)per_group);

	s->reserved_gdt_blocks = reserved_gdt(s);
	if (s->reserved_gdt_blocks + s->gdt_blocks > s->blocks_per_group * 3 / 4) {
		/* Descriptors would fill the groups: spread them. */
		s->meta_bg = true;
		s->has_resize_inode = false;
		s->reserved_gdt_blocks = s->resize_gdt_blocks = 0;
	}
	overhead = 3 + (uint64_t)s->table_blocks + s->reserved_gdt_blocks + (s->meta_bg ? 1 : s->gdt_blocks);
	if (overhead > s->blocks_per_group)
		return refuse(err, -EINVAL, "%u inodes for each group of %u blocks are too many",
			      s->inodes_per_group, s->blocks_per_group);

	overhead = 2 + (uint64_t)s->table_blocks;
	if (last_group_has_super(s))
		overhead += 1 + s->gdt_blocks + s->reserved_gdt_blocks;
	rest = (s->blocks - s->first_data_block) % s->blocks_per_group;
	if (s->groups == 1 && rest && rest < overhead)
		return refuse(err, -ENOSPC, "the file system would be too small: %llu blocks, and %llu are "
			      "needed for its own tables", (unsigned long long)s->blocks,
			      (unsigned long long)overhead);
	if (rest && rest < overhead + LAST_GROUP_FREE_MIN) {
		double ratio = 100.0 * s->reserved_asked / (double)s->blocks_asked;

		s->blocks -= rest;
		s->r_blocks = (uint32_t)(ratio * (double)s->blocks / 100.0);
		return 0;
	}
	*ret_done = true;
	return 0;
}

static uint32_t resize_gdt(const struct mkfs_params *p, const struct search *s)
{
	uint64_t unit = p->resize.unit_bytes ? p->resize.unit_bytes : s->block_size;
	uint64_t target = p->resize.count * unit / s->block_size;
	uint64_t have = div_round_up(div_round_up(s->blocks_asked, s->blocks_per_group), s->desc_per_block);
	uint64_t need = div_round_up(div_round_up(target, s->blocks_per_group), s->desc_per_block);

	return need > have ? (uint32_t)min(need - have, (uint64_t)s->addr_per_block) : 0;
}

static int search_init(const struct mkfs_params *p, const struct ext_super *super, uint64_t inodes,
		       struct search *s, struct err err)
{
	uint64_t unit;

	memset(s, 0, sizeof(*s));
	s->block_size = EXT_BLOCK_SIZE_MIN << le32_get(super->log_block_size);
	s->inode_size = le16_get(super->inode_size);
	s->desc_per_block = s->block_size / EXT_GROUP_DESC_SIZE;
	s->addr_per_block = s->block_size / 4;
	s->first_data_block = le32_get(super->first_data_block);
	s->blocks = s->blocks_asked = le32_get(super->blocks_count);
	s->r_blocks = s->reserved_asked = (uint32_t)(p->reserved_percent * (double)s->blocks / 100.0);
	s->inodes_asked = inodes;
	s->has_resize_inode = super_has_compat(super, EXT_COMPAT_RESIZE_INODE);
	s->meta_bg = super_has_incompat(super, EXT_INCOMPAT_META_BG);
	s->sparse_super = super_has_ro_compat(super, EXT_RO_COMPAT_SPARSE_SUPER);
	s->blocks_per_group = p->blocks_per_group ? p->blocks_per_group : s->block_size * 8;
	if (!p->resize.count)
		return 0;
	unit = p->resize.unit_bytes ? p->resize.unit_bytes : s->block_size;
	if (p->resize.count > UINT64_MAX / unit || p->resize.count * unit / s->block_size <= s->blocks)
		return refuse(err, -EINVAL, "resize= must be more than the size of the file system");
	s->resize_gdt_blocks = resize_gdt(p, s);
	if (!s->resize_gdt_blocks)
		return 0;
	if (s->meta_bg || !s->sparse_super)
		return refuse(err, -EINVAL, "resize= needs resize_inode, which goes with sparse_super and without meta_bg");
	s->has_resize_inode = true;
	return 0;
}

static void set_bit(le32_t *word, uint32_t bit, bool on)
{
	*word = le32_make(on ? le32_get(*word) | bit : le32_get(*word) & ~bit);
}

static int choose_groups(const struct mkfs_params *p, struct ext_super *super, uint64_t inodes, struct err err)
{
	struct search s;
	bool done = false;
	int e = search_init(p, super, inodes, &s, err);

	while (!e && !done)
		e = search_round(&s, &done, err);
	if (e)
		return e;
	super->blocks_count = le32_make((uint32_t)s.blocks);
	super->r_blocks_count = le32_make(s.r_blocks);
	super->blocks_per_group = super->clusters_per_group = le32_make(s.blocks_per_group);
	super->inodes_per_group = le32_make(s.inodes_per_group);
	super->inodes_count = le32_make(s.inodes_per_group * s.groups);
	super->reserved_gdt_blocks = le16_make((uint16_t)s.reserved_gdt_blocks);
	set_bit(&super->feature_compat, EXT_COMPAT_RESIZE_INODE, s.has_resize_inode);
	set_bit(&super->feature_incompat, EXT_INCOMPAT_META_BG, s.meta_bg);
	if (s.inodes_per_group * s.groups < EXT_GOOD_OLD_FIRST_INO)
		return refuse(err, -ENOSPC, "no inode is left for lost+found: %u inodes in all; "
			      "ask for more with -N 16, or give it more room", s.inodes_per_group * s.groups);
	return 0;
}

/* ---- the journal ---- */

lblk_t plan_default_journal(uint64_t blocks_count)
{
	static const struct {
		uint64_t below;
		lblk_t journal;
	} rows[] = {
		{2048, 0},	   {32768, 1024},	{262144, 4096},	   {524288, 8192},
		{4194304, 16384},  {8388608, 32768},	{16777216, 65536}, {33554432, 131072},
	};

	for (size_t i = 0; i < array_size(rows); i++)
		if (blocks_count < rows[i].below)
			return rows[i].journal;
	return 262144;
}

static int choose_journal(const struct mkfs_params *p, struct plan *plan, struct err err)
{
	uint64_t blocks = plan_default_journal(plan->geo.blocks_count);
	uint64_t free_blocks = place_free_blocks(plan);

	if (blocks == 0) {
		plan->journal_does_not_fit = true;
		return 0;
	}
	if (p->journal_mib && p->journal_mib != JOURNAL_SIZE_DEFAULT) {
		if (p->journal_mib > JOURNAL_BLOCKS_MAX)	/* also keeps the product in 64 bits */
			return refuse(err, -EINVAL, "a journal of %llu MiB is too large",
				      (unsigned long long)p->journal_mib);
		blocks = p->journal_mib * (MIB / plan->geo.block_size);
	}
	if (blocks < JOURNAL_BLOCKS_LEAST || blocks > JOURNAL_BLOCKS_MAX)
		return refuse(err, -EINVAL, "a journal of %llu blocks is out of range: %u to %u blocks "
			      "of %u bytes", (unsigned long long)blocks, JOURNAL_BLOCKS_LEAST,
			      JOURNAL_BLOCKS_MAX, plan->geo.block_size);
	if (p->journal_mib && p->journal_mib != JOURNAL_SIZE_DEFAULT && blocks > free_blocks / 2)
		return refuse(err, -ENOSPC, "a journal of %llu blocks would take more than half of the "
			      "%llu free ones", (unsigned long long)blocks, (unsigned long long)free_blocks);
	plan->journal_blocks = blocks;
	return 0;
}

/* ---- the rest of the superblock ---- */

static void fill_raid(const struct mkfs_params *p, struct ext_super *s, unsigned block_size)
{
	uint64_t stride = p->io_min_bytes > block_size ? p->io_min_bytes / block_size : 0;
	uint64_t width = p->io_opt_bytes > block_size ? p->io_opt_bytes / block_size : 0;

	s->raid_stride = le16_make((uint16_t)(p->stride ? p->stride : stride));
	s->raid_stripe_width = le32_make((uint32_t)(p->stripe_width ? p->stripe_width : width));
}

static void fill_time(const struct mkfs_params *p, struct ext_super *s)
{
	uint8_t high = (uint8_t)((uint64_t)p->now >> 32);

	s->wtime = s->lastcheck = s->mkfs_time = le32_make((uint32_t)p->now);
	s->wtime_hi = s->lastcheck_hi = s->mkfs_time_hi = high;
}

static void fill_constant(const struct mkfs_params *p, struct ext_super *s)
{
	s->magic = le16_make(EXT_SUPER_MAGIC);
	s->state = le16_make(p->super_only ? EXT_VALID_FS | EXT_ERROR_FS : EXT_VALID_FS);
	s->errors = le16_make(p->errors ? p->errors : EXT_ERRORS_CONTINUE);
	s->max_mnt_count = le16_make(0xffff);	/* -1: never check for the number of mounts */
	s->creator_os = le32_make(p->creator_os);
	s->rev_level = le32_make(p->rev_level);
	s->flags = le32_make(EXT_FLAGS_SIGNED_HASH | p->extra_flags);
	s->def_hash_version = EXT_HASH_HALF_MD4;
	memcpy(s->hash_seed, p->hash_seed, sizeof(s->hash_seed));
	memcpy(s->uuid, p->uuid, sizeof(s->uuid));
	memcpy(s->volume_name, p->label, sizeof(s->volume_name));
	memcpy(s->last_mounted, p->last_mounted, sizeof(s->last_mounted));
	fill_time(p, s);
}

static void finish_super(struct ext_super *s)
{
	/* Revision 0 has no such field; mke2fs fills it all the same. */
	s->first_ino = le32_make(EXT_GOOD_OLD_FIRST_INO);
	if (le32_get(s->rev_level) == EXT_GOOD_OLD_REV)
		return;
	s->default_mount_opts = le32_make(EXT_DEFM_XATTR_USER | EXT_DEFM_ACL);
	if (le16_get(s->inode_size) > EXT_GOOD_OLD_INODE_SIZE) {
		s->min_extra_isize = le16_make(EXT_EXTRA_ISIZE);
		s->want_extra_isize = le16_make(EXT_EXTRA_ISIZE);
	}
}

/* The resize inode is as long as its tree reaches; from 4 GiB on that needs large_file. */
static void need_large_file(struct plan *plan)
{
	const struct geometry *geo = &plan->geo;
	uint64_t blocks = blockpath_slot_start(geo, EXT_TIND_BLOCK);

	if (geo->has_resize_inode && blocks << geo->block_bits > UINT32_MAX) {
		set_bit(&plan->super.feature_ro_compat, EXT_RO_COMPAT_LARGE_FILE, true);
		plan->geo.has_large_file = true;
		plan->geo.feature_ro_compat |= EXT_RO_COMPAT_LARGE_FILE;
	}
}

static int build_super(const struct mkfs_params *p, struct plan *plan, struct err err)
{
	struct ext_super *s = &plan->super;
	struct choice c = usage_choose(p);
	uint64_t inodes = 0;
	int e;

	fill_constant(p, s);
	choose_features(p, s);
	e = check_features(p, s, err);
	if (!e)
		e = choose_sizes(p, &c, s, err);
	if (!e)
		e = choose_inodes(p, &c, s, &inodes, err);
	if (e)
		return e;
	plan->blocks_unused = le32_get(s->blocks_count);
	fill_raid(p, s, c.block_size);
	e = choose_groups(p, s, inodes, err);
	if (e)
		return e;
	plan->blocks_unused -= le32_get(s->blocks_count);
	finish_super(s);
	return 0;
}

int plan_make(const struct mkfs_params *p, struct plan *ret, char *text, size_t size)
{
	struct err err = {text, size};
	char why[128];
	int e;

	memset(ret, 0, sizeof(*ret));
	ret->root_uid = p->root_uid;
	ret->root_gid = p->root_gid;
	ret->now = p->now;
	ret->super_only = p->super_only;
	e = build_super(p, ret, err);
	if (e)
		return e;
	if (super_check(&ret->super, UINT64_MAX, &ret->geo, why, sizeof(why)))
		return refuse(err, -EINVAL, "no file system can be made so: %s", why);
	need_large_file(ret);
	ret->stride = le16_get(ret->super.raid_stride);
	if (ret->geo.has_journal)
		e = choose_journal(p, ret, err);
	if (e)
		return e;
	return place_files(ret, err.text, err.size);
}
