/*
 * drivers/parttable.h - inside partition tables: what the two formats share.
 *
 * Purpose     Reads pieces of a disk whatever its block size, and gathers partitions.
 * Ownership   read_piece() gives memory to the caller.
 * Locking     None.
 */
#ifndef DRIVERS_PARTTABLE_H
#define DRIVERS_PARTTABLE_H

#include <assert.h>

#include "base/endian.h"
#include "drivers/partdisk.h"

/* One of the four of an MBR, which lie misaligned in their sector: copy before use. */
struct mbr_entry {
	/* 0x0 */ uint8_t flag;		/* 0x80: bootable; else 0 */
	/* 0x1 */ uint8_t first_chs[3];	/* of no use to us */
	/* 0x4 */ uint8_t type;		/* 0: unused */
	/* 0x5 */ uint8_t last_chs[3];
	/* 0x8 */ le32_t first_lba;
	/* 0xc */ le32_t nr_lbas;
};
static_assert(sizeof(struct mbr_entry) == 16, "MBR entry");

struct gpt_header {
	/* 0x00 */ char signature[8];
	/* 0x08 */ le32_t revision;
	/* 0x0c */ le32_t header_bytes;
	/* 0x10 */ le32_t header_crc;	/* over header_bytes, with zeros in its own place */
	/* 0x14 */ le32_t reserved;
	/* 0x18 */ le64_t my_lba;
	/* 0x20 */ le64_t other_lba;	/* of the other header */
	/* 0x28 */ le64_t first_usable_lba;
	/* 0x30 */ le64_t last_usable_lba;
	/* 0x38 */ uint8_t disk_guid[16];
	/* 0x48 */ le64_t entries_lba;
	/* 0x50 */ le32_t nr_entries;
	/* 0x54 */ le32_t entry_bytes;
	/* 0x58 */ le32_t entries_crc;
	/* 0x5c */ le32_t pad;		/* not of the header */
};
static_assert(sizeof(struct gpt_header) == 0x60, "GPT header");
static_assert(offsetof(struct gpt_header, entries_lba) == 0x48, "GPT header");

#define GPT_NAME_UNITS 36u
struct gpt_entry {
	/* 0x00 */ uint8_t type_guid[16];	/* zeros: unused */
	/* 0x10 */ uint8_t guid[16];
	/* 0x20 */ le64_t first_lba;
	/* 0x28 */ le64_t last_lba;		/* still a part of it */
	/* 0x30 */ le64_t attributes;
	/* 0x38 */ le16_t name[GPT_NAME_UNITS];	/* UTF-16 */
};
static_assert(sizeof(struct gpt_entry) == 0x80, "GPT entry");

/* partread.c: len bytes at offset, anywhere on the disk; mem_free() them. -EINVAL beyond the end. */
int read_piece(struct disk *disk, uint64_t offset, uint32_t len, unsigned char **ret_bytes) must_check;
/* The next free place in the table, zeroed; NULL when it is full. */
struct partition *partition_add(struct partition_table *table);

/* gpt.c: is there something that calls itself a GPT? */
bool gpt_is_there(struct disk *disk);
/* -EUCLEAN when neither of the two is sound. */
int gpt_read(struct disk *disk, struct partition_table *table) must_check;
/* A word for people, "?" for types that are rare. */
const char *gpt_type_word(const uint8_t guid[16]);

#endif
