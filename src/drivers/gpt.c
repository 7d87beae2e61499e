/*
 * GUID partition tables.
 *
 *	LBA 0            1        2 .. 33            ...           -33 .. -2     -1
 *	protective MBR | header | entries | partitions ... | entries | backup header
 *
 * A header is sound when its CRC, its own place, the sizes in it and the CRC of its entries are. The
 * backup is looked for in the last LBA; a first header that is damaged cannot tell where else. The
 * length of an LBA is not written anywhere: 512 is tried, then 4096.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "parttable.h"

#define HEADER_BYTES_MIN offsetof(struct gpt_header, pad)
#define ENTRY_BYTES_MIN sizeof(struct gpt_entry)
#define ENTRY_BYTES_MAX 4096u
#define ENTRIES_MAX 1024u	/* tables of 128 are usual; more than this is damage */

static const char signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};
static const uint32_t lba_sizes[] = {512, 4096};

struct gpt {
	uint64_t entries_lba;
	uint32_t nr_entries, entry_bytes, entries_crc;
};

static const struct {
	uint8_t guid[16];
	const char *word;
} type_words[] = {
	{{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}, "Linux"},
	{{0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09},
	 "Linux root"},
	{{0xe1, 0xc7, 0x3a, 0x93, 0xb4, 0x2e, 0x13, 0x4f, 0xb8, 0x44, 0x0e, 0x14, 0xe2, 0xae, 0xf9, 0x15},
	 "Linux home"},
	{{0x6d, 0xfd, 0x57, 0x06, 0xab, 0xa4, 0xc4, 0x43, 0x84, 0xe5, 0x09, 0x33, 0xc8, 0x4b, 0x4f, 0x4f},
	 "Linux swap"},
	{{0x79, 0xd3, 0xd6, 0xe6, 0x07, 0xf5, 0xc2, 0x44, 0xa2, 0x3c, 0x23, 0x8f, 0x2a, 0x3d, 0xf9, 0x28},
	 "Linux LVM"},
	{{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b},
	 "EFI System"},
	{{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7},
	 "Windows data"},
	{{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49},
	 "BIOS boot"},
};

const char *gpt_type_word(const uint8_t guid[16])
{
	for (size_t i = 0; i < array_size(type_words); i++)
		if (memcmp(type_words[i].guid, guid, 16) == 0)
			return type_words[i].word;
	return "?";
}

/* The CRC of a header is made with its own field as zeros. */
static uint32_t header_crc_of(const struct gpt_header *header, uint32_t len)
{
	static const unsigned char zeros[sizeof(header->header_crc)];
	const unsigned char *bytes = (const unsigned char *)header;
	uint32_t before = offsetof(struct gpt_header, header_crc), behind = before + sizeof(zeros);
	uLong crc = crc32(0, bytes, before);

	crc = crc32(crc, zeros, sizeof(zeros));
	return (uint32_t)crc32(crc, bytes + behind, len - behind);
}

/* Pure: is this header, in memory of one LBA's length and found at my_lba, sound? */
static int header_parse(const struct gpt_header *header, uint32_t lba_bytes, uint64_t my_lba,
			struct gpt *ret_gpt)
{
	uint32_t len = le32_get(header->header_bytes);
	struct gpt gpt = {
		.entries_lba = le64_get(header->entries_lba),
		.nr_entries = le32_get(header->nr_entries),
		.entry_bytes = le32_get(header->entry_bytes),
		.entries_crc = le32_get(header->entries_crc),
	};

	if (memcmp(header->signature, signature, sizeof(signature)) != 0)
		return -EUCLEAN;
	if (len < HEADER_BYTES_MIN || len > lba_bytes)
		return -EUCLEAN;
	if (header_crc_of(header, len) != le32_get(header->header_crc))
		return -EUCLEAN;
	if (le64_get(header->my_lba) != my_lba)
		return -EUCLEAN;
	if (gpt.entry_bytes < ENTRY_BYTES_MIN || gpt.entry_bytes > ENTRY_BYTES_MAX ||
	    !is_power_of_2(gpt.entry_bytes))
		return -EUCLEAN;
	if (gpt.nr_entries > ENTRIES_MAX || gpt.entries_lba < 1 ||
	    gpt.entries_lba > UINT64_MAX / lba_bytes)
		return -EUCLEAN;
	*ret_gpt = gpt;
	return 0;
}

/* The mixed order of a GUID's text: the first three fields are little-endian numbers. */
static void guid_to_text(const uint8_t g[16], char text[37])
{
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3],
		 g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]);
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 0x3f));
	to[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/*
 * Three bytes a unit are always enough. Control characters, which would break the line they are
 * shown in, and halves of surrogate pairs, which no disk tool writes in names, become '?'.
 */
static void name_to_utf8(const le16_t units[GPT_NAME_UNITS], char name[PARTITION_NAME_BYTES_MAX])
{
	size_t len = 0;

	for (uint32_t i = 0; i < GPT_NAME_UNITS; i++) {
		uint32_t c = le16_get(units[i]);

		if (c == 0)
			break;
		if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000))
			c = '?';
		len += put_utf8(name + len, c);
	}
	name[len] = '\0';
}

/* Partitions of impossible extent are listed with size 0, so that choosing them is refused (p1). */
static void set_extent(struct partition *p, uint64_t first, uint64_t last, uint32_t lba_bytes)
{
	bool is_possible = first <= last && last < UINT64_MAX / lba_bytes - 1;

	p->offset_bytes = is_possible ? first * lba_bytes : 0;
	p->size_bytes = is_possible ? (last - first + 1) * lba_bytes : 0;
}

static void entries_parse(const unsigned char *entries, const struct gpt *gpt,
			  struct partition_table *table)
{
	static const uint8_t unused[16];

	for (uint32_t i = 0; i < gpt->nr_entries; i++) {
		const void *at = entries + (size_t)i * gpt->entry_bytes;
		const struct gpt_entry *entry = at;
		struct partition *p;

		if (memcmp(entry->type_guid, unused, sizeof(unused)) == 0)
			continue;
		p = partition_add(table);
		if (!p)
			return;
		p->number = i + 1;
		memcpy(p->type_guid, entry->type_guid, sizeof(p->type_guid));
		guid_to_text(entry->guid, p->uuid);
		name_to_utf8(entry->name, p->name);
		set_extent(p, le64_get(entry->first_lba), le64_get(entry->last_lba), table->lba_bytes);
	}
}

static int entries_read(struct disk *disk, const struct gpt *gpt, struct partition_table *table)
{
	uint32_t len = gpt->nr_entries * gpt->entry_bytes;
	unsigned char *entries;
	int err;

	if (len == 0)
		return 0;
	err = read_piece(disk, gpt->entries_lba * table->lba_bytes, len, &entries);
	if (err)
		return err == -EINVAL ? -EUCLEAN : err;
	if (crc32(0, entries, len) == gpt->entries_crc)
		entries_parse(entries, gpt, table);
	else
		err = -EUCLEAN;
	mem_free(entries);
	return err;
}

/* One of the two, at one place. -EUCLEAN when it is not sound; the table is then as before. */
static int gpt_read_at(struct disk *disk, uint32_t lba_bytes, uint64_t lba,
		       struct partition_table *table)
{
	unsigned char *header;
	struct gpt gpt;
	int err = read_piece(disk, lba * lba_bytes, lba_bytes, &header);

	if (err)
		return err == -EINVAL ? -EUCLEAN : err;
	err = header_parse((const void *)header, lba_bytes, lba, &gpt);
	mem_free(header);
	if (err)
		return err;
	table->lba_bytes = lba_bytes;
	err = entries_read(disk, &gpt, table);
	if (!err)
		table->scheme = PARTITIONS_GPT;
	return err;
}

bool gpt_is_there(struct disk *disk)
{
	for (size_t i = 0; i < array_size(lba_sizes); i++) {
		unsigned char *header;
		bool is_there;

		if (read_piece(disk, lba_sizes[i], sizeof(signature), &header))
			continue;
		is_there = memcmp(header, signature, sizeof(signature)) == 0;
		mem_free(header);
		if (is_there)
			return true;
	}
	return false;
}

int gpt_read(struct disk *disk, struct partition_table *table)
{
	uint64_t size_bytes = disk_limits(disk)->size_bytes;
	int err = -EUCLEAN;

	for (size_t i = 0; i < array_size(lba_sizes); i++) {
		err = gpt_read_at(disk, lba_sizes[i], 1, table);
		if (err != -EUCLEAN)
			return err;
	}
	for (size_t i = 0; i < array_size(lba_sizes); i++) {
		uint64_t nr_lbas = size_bytes / lba_sizes[i];

		if (nr_lbas < 3)
			continue;
		err = gpt_read_at(disk, lba_sizes[i], nr_lbas - 1, table);
		table->is_backup = !err;
		if (err != -EUCLEAN)
			return err;
	}
	return -EUCLEAN;
}
