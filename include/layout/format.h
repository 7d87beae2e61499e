/*
 * layout/format.h - ext2 and ext3 as they lie on disk.
 *
 * Purpose     Every structure and number of the format, little-endian types only. The functions
 *             that read and write them stand in the neighbours of this header.
 * Ownership   Bytes belong to the caller.
 * Locking     None.
 * Invariants  Each struct is naturally aligned, without holes, and has the size the disk gives it.
 *             Field names are the documents' words less their prefix (s_, bg_, i_, e_, h_).
 * Units       As in each margin comment. Times are seconds since 1970 unless a comment differs.
 * Sources     FORMAT.md; the number in brackets is its section.
 */
#ifndef LAYOUT_FORMAT_H
#define LAYOUT_FORMAT_H

#include <assert.h>

#include "base/endian.h"
#include "base/types.h"

/* ---- sizes and numbers of the whole format ---- */

#define EXT_SUPER_MAGIC		0xef53
#define EXT_SUPER_OFFSET	1024u	/* bytes from the start of the disk, at any block size */
#define EXT_SUPER_SIZE		1024u
#define EXT_BLOCK_SIZE_MIN	1024u
#define EXT_BLOCK_SIZE_MAX	4096u	/* the largest that is supported here */
#define EXT_BLOCK_BITS_MIN	10u
#define EXT_BLOCK_BITS_MAX	12u
#define EXT_NAME_LEN		255u
#define EXT_LINK_MAX		65000u
#define EXT_GROUP_DESC_SIZE	32u

#define EXT_GOOD_OLD_REV	0u	/* inodes of 128 bytes, first free inode 11 */
#define EXT_DYNAMIC_REV		1u
#define EXT_GOOD_OLD_INODE_SIZE	128u
#define EXT_GOOD_OLD_FIRST_INO	11u
#define EXT_EXTRA_ISIZE		32u	/* what a new large inode uses beyond its 128 bytes */

/* Reserved inodes. */
#define EXT_BAD_INO		1u
#define EXT_ROOT_INO		2u
#define EXT_USR_QUOTA_INO	3u
#define EXT_GRP_QUOTA_INO	4u
#define EXT_BOOT_LOADER_INO	5u
#define EXT_UNDEL_DIR_INO	6u
#define EXT_RESIZE_INO		7u
#define EXT_JOURNAL_INO		8u
#define EXT_EXCLUDE_INO		9u
#define EXT_REPLICA_INO		10u

/* Slots of ext_inode.block. */
#define EXT_NDIR_BLOCKS		12u
#define EXT_IND_BLOCK		12u
#define EXT_DIND_BLOCK		13u
#define EXT_TIND_BLOCK		14u
#define EXT_N_BLOCKS		15u
#define EXT_FAST_SYMLINK_MAX	59u	/* bytes of a target that lies in the inode */

/* ext_super.state: bits. */
#define EXT_VALID_FS		0x0001u	/* unmounted cleanly, or has a journal */
#define EXT_ERROR_FS		0x0002u	/* errors were found: check in full */
#define EXT_ORPHAN_FS		0x0004u	/* orphans are being recovered */
#define EXT_FC_REPLAY		0x0020u	/* a fast commit is being replayed (ext4) */

/* ext_super.first_error_errcode, last_error_errcode: Linux numbers errors so. */
#define EXT_ERRCODE_EIO		2u
#define EXT_ERRCODE_CORRUPTED	5u

/* ext_super.errors: what to do when damage is met. */
#define EXT_ERRORS_CONTINUE	1u
#define EXT_ERRORS_RO		2u
#define EXT_ERRORS_PANIC	3u

/* ext_super.creator_os */
#define EXT_OS_LINUX		0u
#define EXT_OS_HURD		1u
#define EXT_OS_MASIX		2u
#define EXT_OS_FREEBSD		3u
#define EXT_OS_LITES		4u

/* ext_super.flags */
#define EXT_FLAGS_SIGNED_HASH	0x0001u
#define EXT_FLAGS_UNSIGNED_HASH	0x0002u
#define EXT_FLAGS_TEST_FILESYS	0x0004u

/* ext_super.default_mount_opts */
#define EXT_DEFM_DEBUG		0x0001u
#define EXT_DEFM_BSDGROUPS	0x0002u
#define EXT_DEFM_XATTR_USER	0x0004u
#define EXT_DEFM_ACL		0x0008u
#define EXT_DEFM_UID16		0x0010u
#define EXT_DEFM_JMODE		0x0060u	/* a field of two bits */
#define EXT_DEFM_JMODE_DATA	0x0020u
#define EXT_DEFM_JMODE_ORDERED	0x0040u
#define EXT_DEFM_JMODE_WBACK	0x0060u
#define EXT_DEFM_NOBARRIER	0x0100u
#define EXT_DEFM_BLOCK_VALIDITY	0x0200u
#define EXT_DEFM_DISCARD	0x0400u
#define EXT_DEFM_NODELALLOC	0x0800u

/* ---- features [2] ---- */

#define EXT_COMPAT_DIR_PREALLOC		0x0001u
#define EXT_COMPAT_IMAGIC_INODES	0x0002u
#define EXT_COMPAT_HAS_JOURNAL		0x0004u
#define EXT_COMPAT_EXT_ATTR		0x0008u
#define EXT_COMPAT_RESIZE_INODE		0x0010u
#define EXT_COMPAT_DIR_INDEX		0x0020u
#define EXT_COMPAT_LAZY_BG		0x0040u
#define EXT_COMPAT_EXCLUDE_INODE	0x0080u
#define EXT_COMPAT_EXCLUDE_BITMAP	0x0100u
#define EXT_COMPAT_SPARSE_SUPER2	0x0200u
#define EXT_COMPAT_FAST_COMMIT		0x0400u
#define EXT_COMPAT_STABLE_INODES	0x0800u
#define EXT_COMPAT_ORPHAN_FILE		0x1000u

#define EXT_INCOMPAT_COMPRESSION	0x00001u
#define EXT_INCOMPAT_FILETYPE		0x00002u
#define EXT_INCOMPAT_RECOVER		0x00004u
#define EXT_INCOMPAT_JOURNAL_DEV	0x00008u
#define EXT_INCOMPAT_META_BG		0x00010u
#define EXT_INCOMPAT_EXTENTS		0x00040u
#define EXT_INCOMPAT_64BIT		0x00080u
#define EXT_INCOMPAT_MMP		0x00100u
#define EXT_INCOMPAT_FLEX_BG		0x00200u
#define EXT_INCOMPAT_EA_INODE		0x00400u
#define EXT_INCOMPAT_DIRDATA		0x01000u
#define EXT_INCOMPAT_CSUM_SEED		0x02000u
#define EXT_INCOMPAT_LARGEDIR		0x04000u
#define EXT_INCOMPAT_INLINE_DATA	0x08000u
#define EXT_INCOMPAT_ENCRYPT		0x10000u
#define EXT_INCOMPAT_CASEFOLD		0x20000u

#define EXT_RO_COMPAT_SPARSE_SUPER	0x00001u
#define EXT_RO_COMPAT_LARGE_FILE	0x00002u
#define EXT_RO_COMPAT_BTREE_DIR		0x00004u
#define EXT_RO_COMPAT_HUGE_FILE		0x00008u
#define EXT_RO_COMPAT_GDT_CSUM		0x00010u
#define EXT_RO_COMPAT_DIR_NLINK		0x00020u
#define EXT_RO_COMPAT_EXTRA_ISIZE	0x00040u
#define EXT_RO_COMPAT_HAS_SNAPSHOT	0x00080u
#define EXT_RO_COMPAT_QUOTA		0x00100u
#define EXT_RO_COMPAT_BIGALLOC		0x00200u
#define EXT_RO_COMPAT_METADATA_CSUM	0x00400u
#define EXT_RO_COMPAT_REPLICA		0x00800u
#define EXT_RO_COMPAT_READONLY		0x01000u
#define EXT_RO_COMPAT_PROJECT		0x02000u
#define EXT_RO_COMPAT_SHARED_BLOCKS	0x04000u
#define EXT_RO_COMPAT_VERITY		0x08000u
#define EXT_RO_COMPAT_ORPHAN_PRESENT	0x10000u

/* ---- superblock [1] ---- */

struct ext_super {
	/* 0x000 */ le32_t inodes_count;		/* fixed at mkfs */
	/* 0x004 */ le32_t blocks_count;		/* fixed at mkfs, changed by a resize */
	/* 0x008 */ le32_t r_blocks_count;		/* blocks kept for root, or resuid and resgid */
	/* 0x00c */ le32_t free_blocks_count;		/* recomputed by fsck; may lag after a crash */
	/* 0x010 */ le32_t free_inodes_count;		/* recomputed by fsck; may lag after a crash */
	/* 0x014 */ le32_t first_data_block;		/* fsblk of this superblock: 1 at 1 KiB, else 0 */
	/* 0x018 */ le32_t log_block_size;		/* block size is 1024 << this */
	/* 0x01c */ le32_t log_cluster_size;		/* once fragments; equal to log_block_size */
	/* 0x020 */ le32_t blocks_per_group;
	/* 0x024 */ le32_t clusters_per_group;		/* equal to blocks_per_group */
	/* 0x028 */ le32_t inodes_per_group;
	/* 0x02c */ le32_t mtime;			/* last mount */
	/* 0x030 */ le32_t wtime;			/* last write of the superblock */
	/* 0x034 */ le16_t mnt_count;			/* mounts since the last check */
	/* 0x036 */ le16_t max_mnt_count;		/* signed; <= 0 is never check for it */
	/* 0x038 */ le16_t magic;			/* EXT_SUPER_MAGIC */
	/* 0x03a */ le16_t state;			/* EXT_VALID_FS ... */
	/* 0x03c */ le16_t errors;			/* EXT_ERRORS_CONTINUE ... */
	/* 0x03e */ le16_t minor_rev_level;
	/* 0x040 */ le32_t lastcheck;
	/* 0x044 */ le32_t checkinterval;		/* seconds; 0 is never */
	/* 0x048 */ le32_t creator_os;
	/* 0x04c */ le32_t rev_level;
	/* 0x050 */ le16_t def_resuid;
	/* 0x052 */ le16_t def_resgid;
	/* From here on the fields count in revision 1 only. */
	/* 0x054 */ le32_t first_ino;			/* first inode that is not reserved */
	/* 0x058 */ le16_t inode_size;			/* bytes */
	/* 0x05a */ le16_t block_group_nr;		/* the group that this copy lies in */
	/* 0x05c */ le32_t feature_compat;
	/* 0x060 */ le32_t feature_incompat;
	/* 0x064 */ le32_t feature_ro_compat;
	/* 0x068 */ uint8_t uuid[16];
	/* 0x078 */ char volume_name[16];		/* not always terminated */
	/* 0x088 */ char last_mounted[64];
	/* 0x0c8 */ le32_t algorithm_usage_bitmap;
	/* 0x0cc */ uint8_t prealloc_blocks;
	/* 0x0cd */ uint8_t prealloc_dir_blocks;
	/* 0x0ce */ le16_t reserved_gdt_blocks;		/* blocks per descriptor table kept for growth */
	/* 0x0d0 */ uint8_t journal_uuid[16];		/* of an external journal */
	/* 0x0e0 */ le32_t journal_inum;
	/* 0x0e4 */ le32_t journal_dev;
	/* 0x0e8 */ le32_t last_orphan;			/* head of the orphan list; an inode number */
	/* 0x0ec */ le32_t hash_seed[4];
	/* 0x0fc */ uint8_t def_hash_version;		/* EXT_HASH_LEGACY ... */
	/* 0x0fd */ uint8_t jnl_backup_type;		/* 1: jnl_blocks holds a copy of i_block and size */
	/* 0x0fe */ le16_t desc_size;			/* counts with the 64bit feature only */
	/* 0x100 */ le32_t default_mount_opts;
	/* 0x104 */ le32_t first_meta_bg;		/* first meta group with the meta_bg layout */
	/* 0x108 */ le32_t mkfs_time;
	/* 0x10c */ le32_t jnl_blocks[17];		/* journal inode: block[15], size high, size low */
	/* 0x150 */ le32_t blocks_count_hi;		/* this and the next two: 64bit feature only */
	/* 0x154 */ le32_t r_blocks_count_hi;
	/* 0x158 */ le32_t free_blocks_count_hi;
	/* 0x15c */ le16_t min_extra_isize;
	/* 0x15e */ le16_t want_extra_isize;
	/* 0x160 */ le32_t flags;			/* EXT_FLAGS_SIGNED_HASH ... */
	/* 0x164 */ le16_t raid_stride;			/* blocks */
	/* 0x166 */ le16_t mmp_interval;		/* seconds */
	/* 0x168 */ le64_t mmp_block;
	/* 0x170 */ le32_t raid_stripe_width;		/* blocks */
	/* 0x174 */ uint8_t log_groups_per_flex;
	/* 0x175 */ uint8_t checksum_type;
	/* 0x176 */ uint8_t encryption_level;
	/* 0x177 */ uint8_t reserved_pad;
	/* 0x178 */ le64_t kbytes_written;
	/* 0x180 */ le32_t snapshot_inum;
	/* 0x184 */ le32_t snapshot_id;
	/* 0x188 */ le64_t snapshot_r_blocks_count;
	/* 0x190 */ le32_t snapshot_list;
	/* 0x194 */ le32_t error_count;			/* errors since the last check */
	/* 0x198 */ le32_t first_error_time;
	/* 0x19c */ le32_t first_error_ino;
	/* 0x1a0 */ le64_t first_error_block;
	/* 0x1a8 */ char first_error_func[32];
	/* 0x1c8 */ le32_t first_error_line;
	/* 0x1cc */ le32_t last_error_time;
	/* 0x1d0 */ le32_t last_error_ino;
	/* 0x1d4 */ le32_t last_error_line;
	/* 0x1d8 */ le64_t last_error_block;
	/* 0x1e0 */ char last_error_func[32];
	/* 0x200 */ char mount_opts[64];		/* text, terminated */
	/* 0x240 */ le32_t usr_quota_inum;
	/* 0x244 */ le32_t grp_quota_inum;
	/* 0x248 */ le32_t overhead_clusters;		/* 0: to be computed */
	/* 0x24c */ le32_t backup_bgs[2];		/* sparse_super2: the two groups with a copy */
	/* 0x254 */ uint8_t encrypt_algos[4];
	/* 0x258 */ uint8_t encrypt_pw_salt[16];
	/* 0x268 */ le32_t lpf_ino;			/* lost+found, when it is not the usual one */
	/* 0x26c */ le32_t prj_quota_inum;
	/* 0x270 */ le32_t checksum_seed;
	/* 0x274 */ uint8_t wtime_hi;			/* bits 32 to 39 of the times above */
	/* 0x275 */ uint8_t mtime_hi;
	/* 0x276 */ uint8_t mkfs_time_hi;
	/* 0x277 */ uint8_t lastcheck_hi;
	/* 0x278 */ uint8_t first_error_time_hi;
	/* 0x279 */ uint8_t last_error_time_hi;
	/* 0x27a */ uint8_t first_error_errcode;	/* EXT_ERRCODE_ ... */
	/* 0x27b */ uint8_t last_error_errcode;
	/* 0x27c */ le16_t encoding;
	/* 0x27e */ le16_t encoding_flags;
	/* 0x280 */ le32_t orphan_file_inum;
	/* 0x284 */ le32_t reserved[94];
	/* 0x3fc */ le32_t checksum;			/* metadata_csum only */
};
static_assert(sizeof(struct ext_super) == EXT_SUPER_SIZE, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, magic) == 0x38, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, first_ino) == 0x54, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, uuid) == 0x68, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, reserved_gdt_blocks) == 0xce, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, hash_seed) == 0xec, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, jnl_blocks) == 0x10c, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, flags) == 0x160, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, error_count) == 0x194, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, mount_opts) == 0x200, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, lpf_ino) == 0x268, "FORMAT.md 1");
static_assert(offsetof(struct ext_super, checksum) == 0x3fc, "FORMAT.md 1");

/* ---- group descriptor [3] ---- */

struct ext_group_desc {
	/* 0x00 */ le32_t block_bitmap;		/* fsblk, fixed at mkfs */
	/* 0x04 */ le32_t inode_bitmap;		/* fsblk, fixed at mkfs */
	/* 0x08 */ le32_t inode_table;		/* first fsblk, fixed at mkfs */
	/* 0x0c */ le16_t free_blocks_count;	/* recomputed by fsck */
	/* 0x0e */ le16_t free_inodes_count;	/* recomputed by fsck */
	/* 0x10 */ le16_t used_dirs_count;	/* recomputed by fsck */
	/* 0x12 */ le16_t flags;		/* EXT_BG_*, ext4 */
	/* 0x14 */ le32_t exclude_bitmap;	/* this and the rest: ext4, zero here */
	/* 0x18 */ le16_t block_bitmap_csum;
	/* 0x1a */ le16_t inode_bitmap_csum;
	/* 0x1c */ le16_t itable_unused;
	/* 0x1e */ le16_t checksum;
};
static_assert(sizeof(struct ext_group_desc) == EXT_GROUP_DESC_SIZE, "FORMAT.md 3");
static_assert(offsetof(struct ext_group_desc, free_blocks_count) == 0x0c, "FORMAT.md 3");
static_assert(offsetof(struct ext_group_desc, checksum) == 0x1e, "FORMAT.md 3");

#define EXT_BG_INODE_UNINIT	0x0001u
#define EXT_BG_BLOCK_UNINIT	0x0002u
#define EXT_BG_INODE_ZEROED	0x0004u

/* ---- inode [5] ---- */

struct ext_inode {
	/* 0x00 */ le16_t mode;
	/* 0x02 */ le16_t uid;			/* low 16 bits */
	/* 0x04 */ le32_t size;			/* bytes, low 32 bits */
	/* 0x08 */ le32_t atime;		/* signed seconds, low 32 bits; the next two as well */
	/* 0x0c */ le32_t ctime;
	/* 0x10 */ le32_t mtime;
	/* 0x14 */ le32_t dtime;		/* deletion; of an orphan: the next orphan */
	/* 0x18 */ le16_t gid;			/* low 16 bits */
	/* 0x1a */ le16_t links_count;
	/* 0x1c */ le32_t blocks;		/* 512-byte units, indirect and xattr blocks included */
	/* 0x20 */ le32_t flags;		/* EXT_*_FL */
	/* 0x24 */ le32_t version;		/* osd1 */
	/* 0x28 */ le32_t block[EXT_N_BLOCKS];	/* tree, fast symlink or device number */
	/* 0x64 */ le32_t generation;
	/* 0x68 */ le32_t file_acl;		/* fsblk of the xattr block, 0 is none */
	/* 0x6c */ le32_t size_high;		/* regular files; once dir_acl of directories */
	/* 0x70 */ le32_t faddr;		/* fragments: never used */
	/* 0x74 */ le16_t blocks_high;		/* huge_file only; from here osd2 as Linux has it */
	/* 0x76 */ le16_t file_acl_high;	/* 64bit only */
	/* 0x78 */ le16_t uid_high;
	/* 0x7a */ le16_t gid_high;
	/* 0x7c */ le16_t checksum_lo;		/* metadata_csum only */
	/* 0x7e */ le16_t reserved;
	/* From here on only in inodes above 128 bytes, and only what extra_isize covers. */
	/* 0x80 */ le16_t extra_isize;		/* bytes in use beyond 128, this field included */
	/* 0x82 */ le16_t checksum_hi;
	/* 0x84 */ le32_t ctime_extra;		/* nanoseconds << 2 | bits 32 and 33 of the seconds */
	/* 0x88 */ le32_t mtime_extra;
	/* 0x8c */ le32_t atime_extra;
	/* 0x90 */ le32_t crtime;
	/* 0x94 */ le32_t crtime_extra;
	/* 0x98 */ le32_t version_hi;
	/* 0x9c */ le32_t projid;
};
static_assert(sizeof(struct ext_inode) == EXT_GOOD_OLD_INODE_SIZE + EXT_EXTRA_ISIZE, "FORMAT.md 5");
static_assert(offsetof(struct ext_inode, block) == 0x28, "FORMAT.md 5");
static_assert(offsetof(struct ext_inode, generation) == 0x64, "FORMAT.md 5");
static_assert(offsetof(struct ext_inode, uid_high) == 0x78, "FORMAT.md 5");
static_assert(offsetof(struct ext_inode, extra_isize) == 0x80, "FORMAT.md 5");
static_assert(offsetof(struct ext_inode, crtime) == 0x90, "FORMAT.md 5");

/* ext_inode.flags */
#define EXT_SECRM_FL		0x00000001u
#define EXT_UNRM_FL		0x00000002u
#define EXT_COMPR_FL		0x00000004u
#define EXT_SYNC_FL		0x00000008u
#define EXT_IMMUTABLE_FL	0x00000010u
#define EXT_APPEND_FL		0x00000020u
#define EXT_NODUMP_FL		0x00000040u
#define EXT_NOATIME_FL		0x00000080u
#define EXT_DIRTY_FL		0x00000100u
#define EXT_COMPRBLK_FL		0x00000200u
#define EXT_NOCOMPR_FL		0x00000400u
#define EXT_ENCRYPT_FL		0x00000800u
#define EXT_INDEX_FL		0x00001000u	/* the directory has an htree */
#define EXT_IMAGIC_FL		0x00002000u
#define EXT_JOURNAL_DATA_FL	0x00004000u
#define EXT_NOTAIL_FL		0x00008000u
#define EXT_DIRSYNC_FL		0x00010000u
#define EXT_TOPDIR_FL		0x00020000u
#define EXT_HUGE_FILE_FL	0x00040000u
#define EXT_EXTENTS_FL		0x00080000u
#define EXT_VERITY_FL		0x00100000u
#define EXT_EA_INODE_FL		0x00200000u
#define EXT_DAX_FL		0x02000000u
#define EXT_INLINE_DATA_FL	0x10000000u
#define EXT_PROJINHERIT_FL	0x20000000u
#define EXT_CASEFOLD_FL		0x40000000u
#define EXT_RESERVED_FL		0x80000000u

/* What a user may see and change (chattr), and what a new inode takes from its directory. */
#define EXT_FL_USER_VISIBLE	0x0003dfffu
#define EXT_FL_USER_MODIFIABLE	0x000380ffu
#define EXT_FL_INHERITED                                                              \
	(EXT_SECRM_FL | EXT_UNRM_FL | EXT_COMPR_FL | EXT_SYNC_FL | EXT_NODUMP_FL |    \
	 EXT_NOATIME_FL | EXT_COMPRBLK_FL | EXT_NOCOMPR_FL | EXT_JOURNAL_DATA_FL |    \
	 EXT_NOTAIL_FL | EXT_DIRSYNC_FL)

/* ---- directory entry [7] ---- */

struct ext_dirent {
	/* 0x00 */ le32_t inode;	/* 0: the entry is free space */
	/* 0x04 */ le16_t rec_len;	/* bytes to the next entry, a multiple of 4 */
	/* 0x06 */ uint8_t name_len;
	/* 0x07 */ uint8_t file_type;	/* EXT_FT_* with the filetype feature, else 0 */
	/* 0x08: the name, not terminated */
};
static_assert(sizeof(struct ext_dirent) == 8, "FORMAT.md 7");

#define EXT_FT_UNKNOWN	0u
#define EXT_FT_REG_FILE	1u
#define EXT_FT_DIR	2u
#define EXT_FT_CHRDEV	3u
#define EXT_FT_BLKDEV	4u
#define EXT_FT_FIFO	5u
#define EXT_FT_SOCK	6u
#define EXT_FT_SYMLINK	7u
#define EXT_FT_MAX	8u

/* ---- htree [7.3] ---- */

#define EXT_HASH_LEGACY			0u
#define EXT_HASH_HALF_MD4		1u
#define EXT_HASH_TEA			2u
#define EXT_HASH_LEGACY_UNSIGNED	3u	/* this and the next two never lie on disk */
#define EXT_HASH_HALF_MD4_UNSIGNED	4u
#define EXT_HASH_TEA_UNSIGNED		5u
#define EXT_HASH_SIPHASH		6u

struct ext_dx_entry {
	/* 0x00 */ le32_t hash;		/* least hash below; the lowest bit set: goes on from the left */
	/* 0x04 */ le32_t block;	/* lblk in the directory */
};
static_assert(sizeof(struct ext_dx_entry) == 8, "FORMAT.md 7.3");

/* Lies over the hash of the first ext_dx_entry, whose hash is always 0. */
struct ext_dx_countlimit {
	/* 0x00 */ le16_t limit;	/* entries that fit */
	/* 0x02 */ le16_t count;	/* entries in use, this one included */
};
static_assert(sizeof(struct ext_dx_countlimit) == 4, "FORMAT.md 7.3");

struct ext_dx_root_info {
	/* 0x00 */ le32_t reserved_zero;
	/* 0x04 */ uint8_t hash_version;
	/* 0x05 */ uint8_t info_length;		/* 8 */
	/* 0x06 */ uint8_t indirect_levels;	/* 0 or 1; interior nodes between root and leaves */
	/* 0x07 */ uint8_t unused_flags;
};
static_assert(sizeof(struct ext_dx_root_info) == 8, "FORMAT.md 7.3");

/* Block 0 of an indexed directory: to a linear reader just "." and "..". */
struct ext_dx_root {
	/* 0x00 */ struct ext_dirent dot;
	/* 0x08 */ char dot_name[4];
	/* 0x0c */ struct ext_dirent dotdot;	/* rec_len reaches to the end of the block */
	/* 0x14 */ char dotdot_name[4];
	/* 0x18 */ struct ext_dx_root_info info;
	/* 0x20 */ struct ext_dx_entry entries[];
};
static_assert(sizeof(struct ext_dx_root) == 0x20, "FORMAT.md 7.3");

/* An interior block: to a linear reader one free entry over the whole block. */
struct ext_dx_node {
	/* 0x00 */ struct ext_dirent fake;
	/* 0x08 */ struct ext_dx_entry entries[];
};
static_assert(sizeof(struct ext_dx_node) == 8, "FORMAT.md 7.3");

/* ---- extended attributes [9] ---- */

#define EXT_XATTR_MAGIC		0xea020000u
#define EXT_XATTR_REFCOUNT_MAX	1024u

struct ext_xattr_header {		/* at the start of an xattr block */
	/* 0x00 */ le32_t magic;
	/* 0x04 */ le32_t refcount;	/* inodes that name this block */
	/* 0x08 */ le32_t blocks;	/* always 1 */
	/* 0x0c */ le32_t hash;		/* of all entries; 0: not to be shared */
	/* 0x10 */ le32_t checksum;	/* metadata_csum only */
	/* 0x14 */ le32_t reserved[3];
};
static_assert(sizeof(struct ext_xattr_header) == 32, "FORMAT.md 9");

struct ext_xattr_inode_header {	/* after extra_isize in a large inode */
	/* 0x00 */ le32_t magic;
};
static_assert(sizeof(struct ext_xattr_inode_header) == 4, "FORMAT.md 9");

struct ext_xattr_entry {
	/* 0x00 */ uint8_t name_len;
	/* 0x01 */ uint8_t name_index;	/* EXT_XATTR_INDEX_*: the prefix of the name */
	/* 0x02 */ le16_t value_offs;	/* from the block's start, or from the first entry in an inode */
	/* 0x04 */ le32_t value_inum;	/* ea_inode only, 0 here */
	/* 0x08 */ le32_t value_size;
	/* 0x0c */ le32_t hash;		/* of name and value; 0 in an inode */
	/* 0x10: the name, not terminated; the next entry begins at a multiple of 4 */
};
static_assert(sizeof(struct ext_xattr_entry) == 16, "FORMAT.md 9");

#define EXT_XATTR_INDEX_USER			1u
#define EXT_XATTR_INDEX_POSIX_ACL_ACCESS	2u
#define EXT_XATTR_INDEX_POSIX_ACL_DEFAULT	3u
#define EXT_XATTR_INDEX_TRUSTED			4u
#define EXT_XATTR_INDEX_LUSTRE			5u
#define EXT_XATTR_INDEX_SECURITY		6u
#define EXT_XATTR_INDEX_SYSTEM			7u
#define EXT_XATTR_INDEX_RICHACL			8u
#define EXT_XATTR_INDEX_ENCRYPTION		9u
#define EXT_XATTR_INDEX_HURD			10u

#endif
