/*
 * journal/format.h - the blocks of a jbd2 journal, as they lie on disk.
 *
 * Purpose     Names for every byte of the log: superblock, descriptor block with its tags,
 *             commit block, revoke block. The only declarations of this format; mkfs writes
 *             an empty log with them, the journal and fsck read and write full ones.
 * Ownership   Nothing is owned; these are views of a block's bytes.
 * Locking     None.
 * Invariants  Everything is big-endian. The names are those of the kernel's document less the
 *             prefix that the struct's name says: sb->maxlen is s_maxlen, commit->chksum is
 *             h_chksum, tag->blocknr is t_blocknr.
 * Units       A log block is one block of the file system that holds the journal. Numbers
 *             called blocknr are home blocks of the file system; start, first, head and maxlen
 *             count log blocks.
 * Sources     The kernel's document of jbd2 (filesystems/ext4/journal); what was found by
 *             experiment is in JOURNAL.md.
 */
#ifndef JOURNAL_FORMAT_H
#define JOURNAL_FORMAT_H

#include "base/endian.h"

#define JOURNAL_MAGIC 0xc03b3998u

/* Kinds of log blocks (journal_header.blocktype). A data block has no header. */
#define JOURNAL_DESCRIPTOR_BLOCK 1u
#define JOURNAL_COMMIT_BLOCK     2u
#define JOURNAL_SUPERBLOCK_V1    3u
#define JOURNAL_SUPERBLOCK_V2    4u
#define JOURNAL_REVOKE_BLOCK     5u

/* Features; in a version 2 superblock only. */
#define JOURNAL_COMPAT_CHECKSUM       0x0001u /* commit blocks carry the CRC32 of their transaction */
#define JOURNAL_INCOMPAT_REVOKE       0x0001u /* the log may hold revoke blocks */
#define JOURNAL_INCOMPAT_64BIT        0x0002u /* tags and revoke records have 64-bit block numbers */
#define JOURNAL_INCOMPAT_ASYNC_COMMIT 0x0004u /* a commit block may be durable before its blocks */
#define JOURNAL_INCOMPAT_CSUM_V2      0x0008u /* CRC32C in every kind of block; 16 bits in a tag */
#define JOURNAL_INCOMPAT_CSUM_V3      0x0010u /* the same with 32 bits in a tag (journal_tag3) */
#define JOURNAL_INCOMPAT_FAST_COMMIT  0x0020u /* a fast commit area follows the log */

/* commit.chksum_type with COMPAT_CHECKSUM, superblock.checksum_type with CSUM_V2 and CSUM_V3. */
#define JOURNAL_CHKSUM_NONE   0u
#define JOURNAL_CHKSUM_CRC32  1u
#define JOURNAL_CHKSUM_MD5    2u
#define JOURNAL_CHKSUM_SHA1   3u
#define JOURNAL_CHKSUM_CRC32C 4u
#define JOURNAL_CRC32_SIZE    4u /* commit.chksum_size that goes with CRC32 */

/* Flags of a tag. */
#define JOURNAL_TAG_ESCAPE    0x1u /* the block began with the magic; its first word is zeroed in the log */
#define JOURNAL_TAG_SAME_UUID 0x2u /* no UUID follows this tag */
#define JOURNAL_TAG_DELETED   0x4u /* not written by anybody; skipped */
#define JOURNAL_TAG_LAST      0x8u /* no tag follows in this descriptor block */

#define JOURNAL_UUID_BYTES     16u
#define JOURNAL_USERS_MAX      48u
#define JOURNAL_BLOCKS_MIN     1024u /* log blocks; a smaller log is refused by the kernel */
#define JOURNAL_SUPER_BYTES    1024u
#define JOURNAL_FIRST_SEQUENCE 1u    /* of a new log */

/* Every log block that is not data begins with this. */
struct journal_header {
	/* 0x00 */ be32_t magic;
	/* 0x04 */ be32_t blocktype;
	/* 0x08 */ be32_t sequence;	/* tid of the transaction; 0 in a superblock */
};
_Static_assert(sizeof(struct journal_header) == 12, "jbd2 header");

/*
 * The first block of the log. From 0x24 on the fields exist in version 2 only; version 1 ends
 * there and the rest of the block means nothing.
 */
struct journal_super {
	/* 0x000 */ struct journal_header header;
	/* fixed when the journal is made */
	/* 0x00c */ be32_t blocksize;		/* bytes */
	/* 0x010 */ be32_t maxlen;		/* log blocks, this one and the fast commit area included */
	/* 0x014 */ be32_t first;		/* first log block of the ring */
	/* changed while mounted */
	/* 0x018 */ be32_t sequence;		/* tid that the log begins with, or that comes next */
	/* 0x01c */ be32_t start;		/* log block of that transaction; 0: the log is empty */
	/* 0x020 */ be32_t error;		/* s_errno: why the journal was aborted, or 0 */
	/* version 2 */
	/* 0x024 */ be32_t feature_compat;
	/* 0x028 */ be32_t feature_incompat;
	/* 0x02c */ be32_t feature_ro_compat;
	/* 0x030 */ uint8_t uuid[16];		/* the file system's for an internal journal */
	/* 0x040 */ be32_t nr_users;
	/* 0x044 */ be32_t dynsuper;		/* unused */
	/* 0x048 */ be32_t max_transaction;	/* log blocks; unused */
	/* 0x04c */ be32_t max_trans_data;	/* unused */
	/* 0x050 */ uint8_t checksum_type;	/* JOURNAL_CHKSUM_CRC32C with CSUM_V2 and CSUM_V3 */
	/* 0x051 */ uint8_t padding2[3];
	/* 0x054 */ be32_t num_fc_blocks;	/* fast commit area, log blocks at the end */
	/* 0x058 */ be32_t head;		/* where a clean log is continued; 0: at first */
	/* 0x05c */ be32_t padding[40];
	/* 0x0fc */ be32_t checksum;		/* CRC32C of the whole with this field zero */
	/* 0x100 */ uint8_t users[16 * 48];	/* UUIDs of the file systems of an external journal */
};
_Static_assert(sizeof(struct journal_super) == JOURNAL_SUPER_BYTES, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, blocksize) == 0x0c, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, error) == 0x20, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, uuid) == 0x30, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, checksum_type) == 0x50, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, head) == 0x58, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, checksum) == 0xfc, "jbd2 superblock");
_Static_assert(offsetof(struct journal_super, users) == 0x100, "jbd2 superblock");

/*
 * A descriptor block is a header and tags; the blocks that the tags name follow it in the log,
 * in the same order. Tags are packed at the stride of journal_tag_bytes(), which need not be a
 * multiple of four; after a tag without SAME_UUID come 16 bytes of UUID.
 *
 *	+--------+-----+------+-----+-----+-- --+----------+------+   +------+------+
 *	| header | tag | uuid | tag | tag | ... | tag LAST | tail |   | data | data | ...
 *	+--------+-----+------+-----+-----+-- --+----------+------+   +------+------+
 *	                         the tail exists with CSUM_V2 and CSUM_V3 only
 */
struct journal_tag {			/* without CSUM_V3 */
	/* 0x00 */ be32_t blocknr;	/* home block, low half */
	/* 0x04 */ be16_t checksum;	/* low half of CRC32C(uuid, sequence, block), with CSUM_V2; else 0 */
	/* 0x06 */ be16_t flags;
	/* 0x08 */ be32_t blocknr_high;	/* with 64BIT only */
} __attribute__((packed));		/* behind a UUID or a tag of 10 bytes it lies at an even place only */
_Static_assert(sizeof(struct journal_tag) == 12, "jbd2 tag");

struct journal_tag3 {			/* with CSUM_V3 */
	/* 0x00 */ be32_t blocknr;
	/* 0x04 */ be32_t flags;
	/* 0x08 */ be32_t blocknr_high;	/* 0 without 64BIT */
	/* 0x0c */ be32_t checksum;	/* CRC32C(uuid, sequence, block) */
} __attribute__((packed));
_Static_assert(sizeof(struct journal_tag3) == 16, "jbd2 tag, version 3");

/* Bytes from one tag to the next, the UUID not counted. */
static inline size_t journal_tag_bytes(uint32_t feature_incompat)
{
	size_t bytes = offsetof(struct journal_tag, blocknr_high);

	if (feature_incompat & JOURNAL_INCOMPAT_CSUM_V3)
		return sizeof(struct journal_tag3);
	/* CSUM_V2 was meant to widen the checksum by two bytes; the room for them stayed. */
	if (feature_incompat & JOURNAL_INCOMPAT_CSUM_V2)
		bytes += sizeof(be16_t);
	if (feature_incompat & JOURNAL_INCOMPAT_64BIT)
		bytes += sizeof(be32_t);
	return bytes;
}

/* The last bytes of a descriptor or revoke block, with CSUM_V2 and CSUM_V3. */
struct journal_tail {
	/* 0x00 */ be32_t checksum;	/* CRC32C(uuid, block with this field zero) */
};
_Static_assert(sizeof(struct journal_tail) == 4, "jbd2 tail");

/* Ends a transaction: once this is durable, recovery replays it. */
struct journal_commit {
	/* 0x00 */ struct journal_header header;
	/* 0x0c */ uint8_t chksum_type;	/* JOURNAL_CHKSUM_*; type, size and chksum[0] all 0: none */
	/* 0x0d */ uint8_t chksum_size;	/* bytes used of chksum */
	/* 0x0e */ uint8_t padding[2];
	/* 0x10 */ be32_t chksum[8];	/* [0] of the transaction; of this block with CSUM_V2 and V3 */
	/* 0x30 */ be64_t commit_sec;	/* since 1970 */
	/* 0x38 */ be32_t commit_nsec;
	/* 0x3c */ be32_t unused;	/* ours to keep the struct free of holes; zero */
};
_Static_assert(sizeof(struct journal_commit) == 64, "jbd2 commit block");
_Static_assert(offsetof(struct journal_commit, chksum) == 0x10, "jbd2 commit block");
_Static_assert(offsetof(struct journal_commit, commit_sec) == 0x30, "jbd2 commit block");

/* Names blocks whose copies in earlier transactions must not be replayed: be32 or be64 numbers. */
struct journal_revoke {
	/* 0x00 */ struct journal_header header;
	/* 0x0c */ be32_t count;	/* bytes of this block in use, this header included */
};
_Static_assert(sizeof(struct journal_revoke) == 16, "jbd2 revoke block");

static inline size_t journal_revoke_record_bytes(uint32_t feature_incompat)
{
	return feature_incompat & JOURNAL_INCOMPAT_64BIT ? sizeof(be64_t) : sizeof(be32_t);
}

#endif
